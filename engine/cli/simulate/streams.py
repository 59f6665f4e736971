"""Records of a stream for `engine simulate`: options, the load they make, and what is said of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final

import click

from engine.cli.model_options import Count, F, is_given, number, refuse, refuse_unused, take, with_options
from engine.cli.prediction_tables import NotedTable, count, percent, seconds, span
from engine.core.function import Function
from engine.core.late_dataclass import dataclass
from engine.core.streams.settings import (
    DYNAMODB_POLL_INTERVAL_S,
    KINESIS_POLL_INTERVAL_S,
    MAX_PAYLOAD_BYTES,
    StreamSettings,
)
from engine.model.cost.usage import Usage, kinesis_stream
from engine.model.queueing.prediction import Prediction
from engine.model.simulation.simulated_stream import (
    FOLLOWED_S,
    StreamLoad,
    StreamSummary,
    keys_of,
)
from engine.model.simulation.workload import Workload
from engine.ports import Binding
from engine.report import charts
from engine.sources.streams.settings import StreamEvent

_READ_LIMITS: Final = {"kinesis": 10_000, "dynamodb": 1_000}
_PAGE_BYTES: Final = {"kinesis": 10_000_000, "dynamodb": 1_000_000}
_TAKEN: Final = {
    "kinesis": "a shard takes, 1,000 a second and 1 MB a second",
    "dynamodb": "a partition takes, 1,000 write units a second, of which each is one or more",
}
_OF_SETTINGS: Final = {
    "stream_batch": "batch_size",
    "stream_window": "maximum_batching_window_s",
    "stream_factor": "parallelization_factor",
    "stream_retries": "maximum_retry_attempts",
    "stream_age": "maximum_record_age_s",
    "bisect": "bisect_batch_on_function_error",
    "report_failures": "report_batch_item_failures",
}
"""Options that the settings of a mapping in a configuration say, unless they are given."""
_AROUND_BYTES: Final = 450
"""A record of Kinesis in an event, without its data; a few more or less, by the names in it."""
_LATE_SHARE: Final = 0.05
_BLOCKED_SHARE: Final = 0.5
_OPTIONS: Final = (*_OF_SETTINGS, "shards", "stream_keys", "poison", "record_bytes")

ASSUMPTIONS: Final = (
    "stream: the wait between attempts doubles from 0.25 s to 60 s: AWS publishes none (unverified)",
    "stream: the batching window begins with the first record that waits (AWS does not say)",
    "stream: keys are equally likely and spread over shards by their hash; shards neither split nor merge",
    "stream: as long as AWS lets it, a shard is read at once while it has more, else at the base rate",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamWorkload:
    """Traffic as the records of a stream.

    Attributes:
        kind: Of the stream: "kinesis" or "dynamodb".
        settings: Of the mapping.
        shards: Open shards.
        keys: Different keys.
        poison_share: Of the records, with which no invocation succeeds.
        record_bytes: Data of a record.
        seed: Of keys and poison.
    """

    kind: str
    settings: StreamSettings
    shards: int
    keys: int
    poison_share: float
    record_bytes: int
    seed: int

    @property
    def _event_bytes(self) -> int:
        """What a record adds to the event: of Kinesis its data in base64 and the members around it."""
        return self.record_bytes if self.kind != "kinesis" else -(-self.record_bytes // 3) * 4 + _AROUND_BYTES

    def load(self, workload: Workload) -> StreamLoad:
        """The arrivals of a function as records."""
        draw = Random(self.seed)  # noqa: S311  # it simulates: the same seed, the same records
        records = len(workload.at_s)
        poison = draw.sample(range(records), round(records * self.poison_share))
        return StreamLoad(
            at_s=workload.at_s,
            keys=keys_of(records, self.keys, draw),
            batch_s=workload.service_s or [0.0],
            endings=workload.endings,
            settings=self.settings,
            poison=frozenset(poison),
            shards=self.shards,
            record_bytes=self._event_bytes,
            data_bytes=self.record_bytes,
            page_bytes=_PAGE_BYTES[self.kind],
            has_read_limits=self.kind == "kinesis",
            has_put_limits=self.kind == "kinesis",
        )

    def usage(self, records: int, horizon_s: float) -> Usage:
        """What the stream itself costs. Lambda's reads of a DynamoDB stream are free."""
        if self.kind != "kinesis":
            return {}
        return kinesis_stream(self.shards, records, self.record_bytes, horizon_s)

    def assumptions(self, summary: StreamSummary) -> list[str]:
        """What is taken for granted, and what does not look well, a sentence each."""
        said = list(ASSUMPTIONS)
        if self.kind == "kinesis":
            said.append(
                "stream: provisioned shards; a put is counted in units of 25 KB; reads are not billed"
            )
        else:
            said.append("stream: writes of the table are not in the bill; its stream is free for Lambda")
        return [*said, *self._warnings(summary)]

    def _warnings(self, summary: StreamSummary) -> list[str]:
        found = []
        places = self.shards * self.settings.subshards
        if self.keys < places:
            busy = f"{self.keys} keys keep at most {self.keys} of {places} batches at a time busy"
            found.append(f"stream: {busy}: order is kept for each key")
        if summary.above_limits:
            found.append(self._above(summary))
        if self._event_bytes > MAX_PAYLOAD_BYTES:
            found.append("stream: one record is more than an event of 6 MB may have: AWS does not deliver it")
        if summary.is_behind:
            found.append(_behind(summary))
        if summary.late_invocations > max(1, _LATE_SHARE * summary.counts["batches"]):
            found.append(
                f"stream: {count(summary.late_invocations)} invocations began after the last record came, "
                "and after the time looked at: they are billed, but not all are among those in flight"
            )
        settings = self.settings
        if self.poison_share and settings.maximum_retry_attempts < 0 and settings.maximum_record_age_s < 0:
            found.append(
                "stream: without a limit of attempts or age a poison record blocks what is behind it for "
                "as long as the stream keeps it: a day"
            )
        return found

    def _above(self, summary: StreamSummary) -> str:
        """That the stream would not take what comes."""
        share = percent(summary.above_limits / summary.records)
        return (
            f"stream: {share} of the records are more than {_TAKEN[self.kind]}: "
            f"AWS refuses such puts; here they are taken. The busiest second of a shard has "
            f"{count(summary.busiest_per_s)} records; more shards are needed"
        )


def _behind(summary: StreamSummary) -> str:
    """That the mapping does not keep up, how it shows, and what helps."""
    left = ""
    if summary.waiting:
        left = f"{summary.waiting:,} records were not done with {span(FOLLOWED_S)} after the last came; "
    late, early = span(summary.late_age_s), span(summary.early_age_s)
    helps = "more shards, a larger factor or larger batches help"
    if summary.counts["throttles"] > summary.counts["batches"]:
        helps = "the function is throttled: more concurrency, or larger batches, help"
    elif summary.blocked_share > _BLOCKED_SHARE:
        helps = "what fails blocks it: a limit of attempts or of age helps"
    return (
        f"stream: the mapping does not keep up: {left}the oldest record was {late} old in the last quarter "
        f"of the time, {early} in the second (means); {helps}"
    )


def stream_options(command: F) -> F:
    """A stream, and its mapping."""
    options = (
        click.option(
            "--stream",
            type=click.Choice(["kinesis", "dynamodb"]),
            help="traffic is records of a stream with a mapping; with --config the first function's settings",
        ),
        click.option("--shards", type=click.IntRange(1, 1_000), default=1, show_default=True),
        click.option(
            "--stream-batch", type=click.IntRange(1, 10_000), default=100, help="batch size [default: 100]"
        ),
        click.option(
            "--stream-window", type=click.IntRange(0, 300), default=0, help="batching window, s [default: 0]"
        ),
        click.option(
            "--stream-factor", type=click.IntRange(1, 10), default=1, help="batches of a shard at a time"
        ),
        click.option(
            "--stream-retries", type=click.IntRange(-1, 10_000), default=-1, help="[default: -1, no limit]"
        ),
        click.option(
            "--stream-age", type=click.IntRange(-1, 604_800), default=-1, help="of a record, s; -1: no limit"
        ),
        click.option("--bisect", is_flag=True, help="split a batch that failed"),
        click.option("--report-failures", is_flag=True, help="the function reports its first poison record"),
        click.option("--stream-keys", type=Count(min=1), default=1_000, show_default=True),
        click.option("--poison", type=number(0, 100), default=0.0, help="% of the records always fail"),
        click.option(
            "--record-bytes",
            type=click.IntRange(1, 10_485_760),
            default=1_000,
            show_default=True,
            help="data of a record; base64 makes it more in events",
        ),
    )
    return with_options(command, options)


def stream_of(
    context: click.Context,
    options: dict[str, Any],
    function: Function,
    bindings: Mapping[str, Sequence[Binding]],
    *excluded: str,
) -> StreamWorkload | None:
    """What the options say, taken out of them; exits if one of `excluded` is given beside `--stream`."""
    kind, seed = options["stream"], options["seed"]
    if kind is None:
        refuse_unused(context, "needs --stream", *_OPTIONS)
        take(options, "stream", *_OPTIONS)
        return None
    refuse_unused(context, "--stream: the records of one function, by --traffic, are simulated", *excluded)
    refuse_unused(context, "a mapping on a stream tries again by itself", "asynchronous")
    if options["traffic"] is None:
        refuse(["--stream: needs --traffic, records a second"])
    given = take(options, "stream", *_OPTIONS)
    _fill(
        context, given, [one.settings for one in bindings.get(kind, ()) if one.function.name == function.name]
    )
    age_s = given["stream_age"]
    if 0 <= age_s < 60:
        refuse(["--stream-age: is -1, or at least 60 (AWS)"])
    settings = StreamSettings(
        batch_size=given["stream_batch"],
        batching_window_s=given["stream_window"],
        parallelization_factor=given["stream_factor"],
        maximum_retry_attempts=given["stream_retries"],
        maximum_record_age_s=age_s,
        bisect=given["bisect"],
        report_batch_item_failures=given["report_failures"],
        tumbling_window_s=given.get("tumbling_window_s", 0),
        poll_interval_s=KINESIS_POLL_INTERVAL_S if kind == "kinesis" else DYNAMODB_POLL_INTERVAL_S,
        read_limit=_READ_LIMITS[kind],
    )
    return StreamWorkload(
        kind=kind,
        settings=settings,
        shards=given["shards"],
        keys=given["stream_keys"],
        poison_share=given["poison"] / 100,
        record_bytes=given["record_bytes"],
        seed=seed,
    )


def _fill(context: click.Context, given: dict[str, Any], events: Sequence[Any]) -> None:
    """Take from the settings of the function's mapping what no option says."""
    if events and isinstance(events[0], StreamEvent):
        for option, member in _OF_SETTINGS.items():
            if not is_given(context, option):
                given[option] = getattr(events[0], member)
        given["tumbling_window_s"] = events[0].tumbling_window_s


def with_stream(prediction: Prediction, workload: StreamWorkload, summary: StreamSummary) -> Prediction:
    """The prediction of the invocations, with what became of the records."""
    places = workload.shards * workload.settings.subshards
    document = {"type": workload.kind, "batches_at_a_time": places, **summary.document()}
    return replace(
        prediction,
        lost_share=summary.dropped / summary.records if summary.records else 0.0,
        around=workload.usage(summary.records, prediction.horizon_s),
        assumptions=(*prediction.assumptions, *workload.assumptions(summary)),
        more={**prediction.more, "stream": {**document, "over_time": summary.samples}},
    )


def stream_table(prediction: Prediction) -> NotedTable:
    """What became of the records; empty if there is no stream."""
    found: Mapping[str, Any] | None = prediction.more.get("stream")
    if found is None:
        return NotedTable(())
    age, blocked = found["iterator_age"], found["blocked"]
    names = [name for name in ("p50", "p99", "max") if name in age]
    waiting, oldest = count(found["waiting"]), span(found["oldest_age_at_the_end_s"])
    peak, places = count(found["peak_concurrency"]), count(found["batches_at_a_time"])
    each = f"{found['records_each']:.4g} records, {count(found['throttles'])} throttled"
    rows = [
        ("records", f"{count(found['records'])}: {count(found['succeeded'])} done with well"),
        ("discarded", f"{count(found['exhausted'])} after all attempts, {count(found['expired'])} too old"),
        ("not done with", f"{waiting}, the oldest for {oldest}" if found["waiting"] else "0"),
        ("iterator age", ", ".join(f"{seconds(age[name] / 1000)} {name}" for name in names)),
        ("batches", f"{count(found['batches'])} of {each}"),
        ("batches at a time", f"{peak} peak of {places}"),
        (
            "blocked sub-shards",
            f"{count(blocked['peak'])} peak, {percent(blocked['share_of_time'])} of the time",
        ),
        ("split batches", count(found["bisects"])),
    ]
    return NotedTable(rows)


def stream_sections(prediction: Prediction) -> dict[str, str]:
    """Charts of a stream over time, by heading."""
    found: Mapping[str, Any] | None = prediction.more.get("stream")
    if found is None:
        return {}
    over_time: Mapping[str, Sequence[float]] = found["over_time"]

    def line(name: str) -> list[tuple[float, float]]:
        return list(zip(over_time["at_s"], over_time[name], strict=True))

    limits = {f"{found['batches_at_a_time']} batches at a time": float(found["batches_at_a_time"])}
    return {
        "Age of the oldest record": charts.lines(
            {"age": line("oldest_age_s")}, "seconds", "seconds old", label="Age of the oldest record"
        ),
        "Records that wait": charts.lines(
            {"waiting": line("waiting")}, "seconds", "records", label="Records that wait"
        ),
        "Batches at a time": charts.lines(
            {"with the function": line("in_flight"), "blocked": line("blocked")},
            "seconds",
            "batches",
            label="Batches at a time",
            limits=limits,
        ),
    }
