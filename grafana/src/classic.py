"""Builds Grafana's classic dashboard model (schema version 42) from declarations, with the foundation SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    gauge,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models

from grafana.src.board import Board, Panel, PanelRow, Query, Variable
from grafana.src.variables import ALL

_SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
_GRID_WIDTH: Final = 24
_BUILDERS: Final[dict[str, Any]] = {
    "timeseries": timeseries.Panel,
    "stat": stat.Panel,
    "gauge": gauge.Panel,
    "heatmap": heatmap.Panel,
    "state-timeline": statetimeline.Panel,
    "bargauge": bargauge.Panel,
    "table": table.Panel,
}


def as_json(board: Board) -> str:
    """The dashboard as Grafana reads it: sorted keys, so that a change is a small difference."""
    return str(JSONEncoder(sort_keys=True, indent=2).encode(built(board))) + "\n"


def built(board: Board) -> models.Dashboard:
    """The dashboard as a value of the SDK."""
    builder = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags(["invocation-engine"])
        .readonly()
        .time("now-15m", "now")
        .refresh("5s")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .link(
            dashboard.DashboardLink("Engine dashboards")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["invocation-engine"])
            .as_dropdown(True)  # noqa: FBT003  the SDK's
            .include_vars(True)  # noqa: FBT003
            .keep_time(True)  # noqa: FBT003
        )
    )
    for variable in board.variables:
        builder = builder.with_variable(_variable(variable))
    for mark in board.marks:
        builder = builder.annotation(
            dashboard.AnnotationQuery()
            .name(mark.name)
            .enable(True)  # noqa: FBT003
            .datasource(_SOURCE)
            .icon_color(mark.colour)
            .expr(mark.expr)
        )
    for number, (row, panel, place) in enumerate(_placed(board), start=1):
        if panel is None:
            builder = builder.with_row(dashboard.Row(row.title).id(number).grid_pos(place))
        else:
            builder = builder.with_panel(_panel(panel, number, place))
    return builder.build()


def _placed(board: Board) -> Iterator[tuple[PanelRow, Panel | None, models.GridPos]]:
    """Rows and panels with their places: from left to right, and below when the line is full."""
    y = 0
    for row in board.rows:
        yield row, None, models.GridPos(h=1, w=_GRID_WIDTH, x=0, y=y)
        y, x, tallest = y + 1, 0, 0
        for panel in row.panels:
            if x + panel.width > _GRID_WIDTH:
                x, y, tallest = 0, y + tallest, 0
            yield row, panel, models.GridPos(h=panel.height, w=panel.width, x=x, y=y)
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest


def _variable(variable: Variable) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(variable.name)
        .label(variable.label)
        .datasource(_SOURCE)
        .query({"query": variable.metric, "refId": f"var-{variable.name}", "qryType": 1})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)  # noqa: FBT003
        .include_all(True)  # noqa: FBT003
        .all_value(ALL[variable.name])
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def _panel(panel: Panel, number: int, place: models.GridPos) -> Any:
    builder = (
        _BUILDERS[panel.type]()
        .id(number)
        .title(panel.title)
        .description(panel.description)
        .datasource(_SOURCE)
        .unit(panel.unit)
        .grid_pos(place)
    )
    for letter, query in zip("ABCDEFGH", panel.queries, strict=False):
        builder = builder.with_target(_target(panel, letter, query))
    if panel.thresholds is not None:
        builder = builder.min(0).max(1).thresholds(_thresholds(*panel.thresholds))
    return _styled(panel, builder)


def _styled(panel: Panel, builder: Any) -> Any:
    match panel.type:
        case "timeseries":
            return _timeseries(panel, builder)
        case "stat":
            return builder.graph_mode(common_models.BigValueGraphMode.AREA).reduce_options(_last())
        case "gauge" | "bargauge":
            return builder.reduce_options(_last())
        case "state-timeline":
            mapping = models.ValueMap(
                options={
                    value: models.ValueMappingResult(text=text, color=colour, index=index)
                    for index, (value, text, colour) in enumerate(panel.states)
                }
            )
            return builder.mappings([mapping]).show_value(common_models.VisibilityMode.NEVER)
        case "heatmap":
            return builder.calculate(False).y_axis(heatmap.YAxisConfig().unit(panel.unit))  # noqa: FBT003
        case _:  # a table: one line for each series, its last value beside its name
            last = models.DataTransformerConfig(id_val="reduce", options={"reducers": ["lastNotNull"]})
            return builder.with_transformation(last)


def _timeseries(panel: Panel, builder: Any) -> Any:
    builder = (builder.min(0) if panel.stacked or panel.stepped else builder).show_points(
        common_models.VisibilityMode.NEVER
    )
    builder = builder.tooltip(
        common.VizTooltipOptions()
        .mode(common_models.TooltipDisplayMode.MULTI)
        .sort(common_models.SortOrder.DESCENDING)
    ).legend(
        common.VizLegendOptions()
        .display_mode(common_models.LegendDisplayMode.LIST)
        .placement(common_models.LegendPlacement.BOTTOM)
        .show_legend(True)  # noqa: FBT003
    )
    if panel.bars:
        builder = builder.draw_style(common_models.GraphDrawStyle.BARS).fill_opacity(80)
    elif panel.stacked:
        builder = builder.fill_opacity(30)
    if panel.stepped:
        builder = builder.line_interpolation(common_models.LineInterpolation.STEP_AFTER)
    if panel.stacked:
        builder = builder.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL).group("A"))
    for letter, query in zip("ABCDEFGH", panel.queries, strict=False):
        if query.dashed:
            style = {"fill": "dash", "dash": [8, 8]}
            builder = builder.override_by_query(
                letter,
                [
                    models.DynamicConfigValue(id_val="custom.lineStyle", value=style),
                    models.DynamicConfigValue(id_val="custom.fillOpacity", value=0),
                ],
            )
    return builder


def _target(panel: Panel, letter: str, query: Query) -> prometheus.Dataquery:
    target = (
        prometheus.Dataquery()
        .ref_id(letter)
        .datasource(_SOURCE)
        .expr(query.expr)
        .legend_format(query.legend)
        .editor_mode(prometheus_models.QueryEditorMode.CODE)
    )
    target = target.instant() if query.instant else target.range()
    if panel.type == "heatmap":
        return target.format(prometheus_models.PromQueryFormat.HEATMAP).exemplar(True)  # noqa: FBT003
    return target.format(prometheus_models.PromQueryFormat.TIME_SERIES)


def _thresholds(orange: float, red: float) -> dashboard.ThresholdsConfig:
    steps = [
        models.Threshold(color="green", value=None),
        models.Threshold(color="orange", value=orange),
        models.Threshold(color="red", value=red),
    ]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])
