"""The options that describe durable executions, for `engine plan` and `engine simulate`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import click

from engine.cli.model_options import F, Text, refuse_unused, take, with_options
from engine.core.durable.values import MAX_EXECUTION_S
from engine.core.function import DurableConfig, Function
from engine.core.late_dataclass import dataclass
from engine.model.queueing.prediction import Prediction
from engine.model.simulation.durable_program import Program, parse_program
from engine.model.simulation.durable_summary import SAMPLES, DurableSummary, SampledExecutions
from engine.model.traffic.shapes import Shape

_SAID: Final = "--durable says it"
ASSUMPTIONS: Final = (
    "durable: requests are invocations, replays included; each is billed as such",
    "durable: a failed step is tried again as the SDK does by default; after that the execution fails",
    "durable: what a chained invoke runs is not billed here; the start of an execution is no operation",
    "durable: bytes are those of input and results, a GB is 10^9, kept for the run and its retention",
)


@dataclass(frozen=True, slots=True)
class DurableWorkload:
    """What each execution does, and how long it may take and is kept."""

    program: Program
    config: DurableConfig


def durable_options(command: F) -> F:
    """What durable executions do."""
    options = (
        click.option(
            "--durable",
            type=Text("PROGRAM", parse_program),
            help="traffic starts durable executions: 'step 200; wait 1h; parallel 3 (step exp:50 fails 5%); "
            "callback exp:2h; invoke 80; replay 5'; steps in ms",
        ),
        click.option("--retention-days", type=click.IntRange(1, 90), default=14, show_default=True),
    )
    return with_options(command, options)


def durable_of(context: click.Context, options: dict[str, Any], *excluded: str) -> DurableWorkload | None:
    """What the options say, taken out of them; exits if one of `excluded` is given beside `--durable`."""
    given = take(options, "durable", "retention_days")
    if given["durable"] is None:
        refuse_unused(context, "needs --durable", "retention_days")
        return None
    refuse_unused(context, _SAID, "service", "errors", "asynchronous")
    refuse_unused(context, "--durable is for executions that traffic starts alone", *excluded)
    return DurableWorkload(given["durable"], DurableConfig(MAX_EXECUTION_S, given["retention_days"]))


def with_executions(
    prediction: Prediction, summary: DurableSummary, executions: float | None = None
) -> Prediction:
    """The prediction of the invocations, with what so many executions use; None: those of the summary."""
    open_mean = None
    if executions is not None and prediction.horizon_s:  # by Little's law
        open_mean = executions / prediction.horizon_s * summary.took.mean_s
    return replace(
        prediction,
        around=summary.usage(executions),
        assumptions=(*prediction.assumptions, *ASSUMPTIONS),
        more={**prediction.more, "durable": summary.document(executions, open_mean)},
    )


@dataclass(frozen=True, slots=True)
class PlannedExecutions:
    """Executions that traffic starts, by a sample of them.

    Attributes:
        workload: What they do.
        sample: Some of them, alone.
    """

    workload: DurableWorkload
    sample: SampledExecutions

    @classmethod
    def of(cls, workload: DurableWorkload, function: Function) -> PlannedExecutions:
        """Play a sample."""
        return cls(workload, SampledExecutions(function, workload.program, workload.config, seed=1))

    def invocations(self, traffic: Shape) -> Shape:
        """The invocations of executions that are started at that rate."""
        return traffic.scaled(self.sample.summary.invocations_each)

    def complete(self, prediction: Prediction) -> Prediction:
        """Add to a prediction of the invocations what the executions use."""
        summary = self.sample.summary
        executions = prediction.requests / summary.invocations_each if summary.count else 0.0
        sampled = f"durable: invocations are those of {SAMPLES} executions, played alone by the live rules"
        found = with_executions(prediction, summary, executions)
        return replace(found, assumptions=(*found.assumptions, sampled))
