"""Which CPU law is in force, and by what mechanism."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from engine.app.executor_choice import ELSEWHERE, choose
from engine.core.cpu_law import CpuLaw
from engine.core.function import Function
from engine.executors.process.parent.cpu_limiter import mechanism_here
from engine.runtime.platform import Platform


class CpuInForce(NamedTuple):
    """What environments have of a CPU.

    Attributes:
        mechanism: By what Lambda's law is enforced; None where all functions have this machine's CPU.
        limited: Names of functions that are under the law.
        unlimited: Names of those that should be, and run on an executor that cannot limit them.
    """

    mechanism: str | None
    limited: Sequence[str]
    unlimited: Sequence[str]

    def __str__(self) -> str:
        if self.mechanism is None:
            return "host"
        except_for = f", not for {', '.join(self.unlimited)}: only process can" if self.unlimited else ""
        return f"lambda, by {self.mechanism}{except_for}"


def cpu_in_force(functions: Iterable[Function], law: CpuLaw, platform: Platform) -> CpuInForce:
    """What holds for these functions, if those that do not say have `law`."""
    limited: list[str] = []
    unlimited: list[str] = []
    for function in functions:
        if (function.cpu or law) == "lambda":
            is_limited = choose(function, platform).executor in ("process", *ELSEWHERE)
            (limited if is_limited else unlimited).append(function.name)
    may_come = law == "lambda"  # over the Lambda API
    mechanism = mechanism_here() if limited or may_come else None
    return CpuInForce(mechanism, limited, unlimited)
