"""What a dashboard is made of, as values: declared in one place each, built by `grafana.src.classic`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from grafana_foundation_sdk.models import units

from grafana.src.promql import TARGETS

Type = Literal["timeseries", "stat", "gauge", "heatmap", "state-timeline", "bargauge", "table"]

NUMBER, SHARE, SECONDS, PER_S, DOLLARS, BYTES = (
    units.Short,
    units.PercentUnit,
    units.Seconds,
    units.OpsPerSecond,
    units.Dollars,
    units.BytesIEC,
)


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel.

    Attributes:
        expr: PromQL with Grafana's variables.
        legend: Name of each series, `{{label}}` in it.
        dashed: Drawn as a dashed line without a fill: a limit or a target.
        instant: Asked once, for the end of the range.
    """

    expr: str
    legend: str = "{{function}}"
    dashed: bool = False
    instant: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title: What is shown.
        description: How to read it.
        type: Grafana's name of the kind of panel.
        queries: What it asks.
        unit: Grafana's unit.
        width: Of 24.
        height: In rows of the grid.
        stacked: Series are added up.
        bars: Drawn as bars: sums of each step.
        stepped: Levels that hold until the next one.
        thresholds: Values from which the colour is orange, and red.
        states: Value to name, of a state timeline.
    """

    title: str
    description: str
    type: Type
    queries: tuple[Query, ...]
    unit: str = NUMBER
    width: int = 12
    height: int = 8
    stacked: bool = False
    bars: bool = False
    stepped: bool = False
    thresholds: tuple[float, float] | None = None
    states: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PanelRow:
    """Panels that belong together, under a title."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of the dashboard: the values that `label` has in `metric`."""

    name: str
    label: str
    metric: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Moments drawn over all panels: when `expr` has a value."""

    name: str
    expr: str
    colour: str


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard."""

    uid: str
    title: str
    description: str
    rows: tuple[PanelRow, ...]
    variables: tuple[Variable, ...]
    marks: tuple[Mark, ...] = ()

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, in order."""
        return tuple(panel for row in self.rows for panel in row.panels)


CLUSTER = Variable("cluster", "Cluster", "label_values(engine_build_info, cluster)")
JOB = Variable("job", "Job", 'label_values(engine_build_info{cluster=~"$cluster"}, job)')
INSTANCE = Variable(
    "instance", "Instance", 'label_values(engine_build_info{cluster=~"$cluster",job=~"$job"}, instance)'
)
FUNCTION = Variable("function", "Function", f"label_values(engine_function_info{{{TARGETS}}}, function)")
RESTART = Mark(
    "Engine restarts",
    f"changes(process_start_time_seconds{{{TARGETS}}}[1m]) > 0",
    "orange",
)
