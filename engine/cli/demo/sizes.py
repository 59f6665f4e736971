"""Sizes and times of the demo, cut to what this machine allows."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from engine.cli.demo.engine_process import ROOT, DemoError
from engine.cli.demo.load import allow_open_files
from engine.cli.demo.phases import DemoPhase
from engine.config import load_config
from engine.core.lambda_prices import fallback_sheet, price_sheet
from engine.core.late_dataclass import dataclass

WANTED_PEAK: Final = 1000
"""Invocations at a time that the demo promises to reach: the account limit of Lambda."""


_OBJECTS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSizes:
    """Sizes and times.

    Attributes:
        config: The configuration of the example handlers.
        burst: How many requests come at once from zero; also the concurrency limit.
        over: How many come at once when the limit is to be crossed.
        connections: How many clients measure the throughput.
        throughput_s, mixed_s: How long these phases drive.
        messages, objects: How many go into the queue and the bucket.
        sleep_s: How long the handler of the bursts waits, at least; see `Drive`.
        keep_alive_s: How long idle environments live.
        thumbnails: Whether Pillow is there.
        prices: Region and date of the prices that apply.
        notes: What had to be cut, and why.
    """

    config: Path
    burst: int = WANTED_PEAK
    over: int = WANTED_PEAK * 3 // 2
    connections: int = 64
    throughput_s: float = 3.0
    mixed_s: float = 4.5
    messages: int = 10_000
    objects: int = _OBJECTS
    sleep_s: float = 1.0
    keep_alive_s: float = 5.0
    thumbnails: bool = True
    prices: str = ""
    notes: tuple[str, ...] = ()

    @property
    def refused(self) -> int:
        """How many requests of the second burst are over the limit."""
        return self.over - self.burst

    def arguments(self) -> tuple[str, ...]:
        """Of `engine serve`."""
        listeners = (text for name in ("http", "aws", "admin") for text in (f"--{name}", "127.0.0.1:0"))
        limit = str(self.burst)
        return ("--config", str(self.config), *listeners, "--concurrency-limit", limit, "--log-format", "off")

    def phases(self) -> tuple[DemoPhase, ...]:
        """In the order in which they run."""
        return (
            DemoPhase(
                title="from zero",
                target=f"0 → {self.burst:,} at a time, none refused",
                shows="concurrency",
                planned_s=self.sleep_s + 1.5,
            ),
            DemoPhase(
                title="over the limit",
                target=f"{self.over:,} at once: {self.refused:,} refused",
                shows="concurrency",
                planned_s=self.sleep_s + 1.0,
            ),
            DemoPhase(
                title="throughput, HTTP events, on thread",
                target=f"{self.connections} connections, {self.throughput_s:g} s",
                shows="rate",
                planned_s=self.throughput_s,
            ),
            DemoPhase(
                title="throughput, Invoke API, on process",
                target=f"{self.connections} connections, {self.throughput_s:g} s",
                shows="rate",
                planned_s=self.throughput_s,
            ),
            DemoPhase(
                title="mixed traffic",
                target="work, and every way to fail",
                shows="rate",
                planned_s=self.mixed_s,
            ),
            DemoPhase(
                title="a queue and a bucket",
                target=f"{self.messages:,} messages and {self.objects:,} objects, none lost",
                shows="rate",
                planned_s=2.0,
            ),
            DemoPhase(
                title="back to zero",
                target=f"0 environments after {self.keep_alive_s:g} s idle",
                shows="environments",
                planned_s=self.keep_alive_s + 0.5,
            ),
        )


def make_plan() -> DemoSizes:
    """The plan for this machine.

    Raises:
        DemoError: The example handlers are not there.
        ConfigError: Their configuration cannot be run.
    """
    path = ROOT / "handlers" / "engine.toml"
    if not path.is_file():
        raise DemoError(f"the example handlers are missing: there is no {path}")
    config = load_config(path)
    region = config.account.region
    sheet = price_sheet(region) or fallback_sheet(region)
    notes = []
    burst, over = WANTED_PEAK, WANTED_PEAK * 3 // 2
    fits = allow_open_files(burst + over)
    if fits < burst + over:
        notes.append(
            f"this machine allows {fits:,} connections at a time (hard limit of open files; see ulimit -Hn): "
            f"bursts of {burst:,} and {over:,} are cut to {fits * 2 // 5:,} and {fits * 3 // 5:,}"
        )
        burst, over = fits * 2 // 5, fits * 3 // 5
    thumbnails = find_spec("PIL") is not None
    if not thumbnails:
        notes.append(
            "thumbnails are left out: Pillow is not installed (pip install invocation-engine[handlers])"
        )
    return DemoSizes(
        config=path,
        burst=burst,
        over=over,
        keep_alive_s=max(function.keep_alive_s for function in config.functions),
        thumbnails=thumbnails,
        objects=_OBJECTS if thumbnails else 0,
        prices=f"prices of {sheet.region} as of {sheet.published}",
        notes=(*notes, *sheet.assumptions),
    )
