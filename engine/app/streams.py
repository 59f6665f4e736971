"""The stream mappings of an engine, as `LateStreamMappings` makes them: with all that streams bring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from engine.core.destinations import DestinationSender
from engine.core.function import Account
from engine.core.streams.counts import NOTHING_AT_WORK, StreamReport
from engine.packages.state_folder import CHECKPOINTS
from engine.ports import Host
from engine.runtime.platform import Platform
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.partner.service import Partner
from engine.sources.streams.checkpoint_files import CheckpointFiles
from engine.sources.streams.checkpoint_saver import CheckpointFolder
from engine.sources.streams.clients import StreamAccess
from engine.sources.streams.entries import StreamTotals
from engine.sources.streams.mappings import LiveStreamMappings, mappings_of
from engine.telemetry.mapping_readings import MappingReading, Mappings, StreamReading


def stream_mappings(
    host: Host,
    partner: Partner,
    senders: Mapping[str, DestinationSender],
    functions: FunctionRegistry,
    shown: Mappings,
    checkpoints: CheckpointFolder | None,
) -> LiveStreamMappings:
    """Make them, and have `shown` tell of them.

    Args:
        host: The engine's; its services have them from now on.
        partner: Who has the streams of mappings that name no endpoint.
        senders: What delivers records of what was given up, by service.
        functions: Know their roles.
        shown: What the metrics page has of mappings.
        checkpoints: Where it is kept how far mappings are.
    """
    role_of = partial(_role_of, functions, host.account)
    host.services.add(
        StreamAccess(partner=partner, senders=senders, role_of=role_of, checkpoints=checkpoints)
    )
    mappings = mappings_of(host)
    shown.watch(partial(stream_readings, mappings))
    return mappings


def checkpoint_folder(
    state_dir: str | None, platform: Platform, say: Callable[[str], None]
) -> CheckpointFolder | None:
    """In the state folder; None without one."""
    if state_dir is None:
        return None
    files = CheckpointFiles(Path(state_dir).absolute() / CHECKPOINTS)
    return CheckpointFolder(files=files, offload=platform.offload, clock=platform.clock, say=say)


def _role_of(functions: FunctionRegistry, account: Account, name: str) -> str:
    """The role that a function was made with; of one of the configuration, the one that it shows."""
    record = functions.record(name)
    role = record.latest.settings.get("Role") if record is not None and record.latest else None
    return role if isinstance(role, str) else f"arn:aws:iam::{account.account_id}:role/{name}"


def stream_readings(mappings: LiveStreamMappings) -> Iterator[MappingReading]:
    """The stream mappings that read, or did, at this moment; for each function that one ran."""
    for entry, now in mappings.statistics():
        totals = StreamTotals(
            entry.counts, entry.sizes, entry.destination_deliveries, entry.destination_failures
        )
        places = now.shards * entry.settings.parallelization_factor
        yield _reading(entry.function, entry.name, totals, now, places)
        for function, before in entry.earlier.items():
            yield _reading(function, entry.name_with(function), before, NOTHING_AT_WORK, 0)


def _reading(
    function: str, source: str, totals: StreamTotals, now: StreamReport, places: int
) -> MappingReading:
    counts, sizes = totals.counts, totals.sizes
    return MappingReading(
        function=function,
        source=source,
        records={
            "polled": counts.polled,
            "delivered": sizes.batched,
            "filtered": counts.filtered,
            "failed": counts.failed,
            "dropped": counts.dropped,
        },
        batches=sizes.batches,
        batched=sizes.batched,
        backlog=now.waiting,
        oldest_age_s=now.oldest_age_s,
        pollers=places,
        running=now.in_flight,
        stream=StreamReading(
            iterator_age_s=0.0 if now is NOTHING_AT_WORK else counts.iterator_age_s,
            records={
                "read": counts.polled,
                "filtered": counts.filtered,
                "succeeded": counts.succeeded,
                "exhausted": counts.exhausted,
                "expired": counts.expired,
                "given_back": counts.given_back,
            },
            batches={
                "succeeded": counts.batches - counts.failed_batches,
                "failed": counts.failed_batches - counts.partial_failures,
                "partial": counts.partial_failures,
                "throttled": counts.throttles,
            },
            bisects=counts.bisects,
            shards={"open": now.shards, "held": now.held_shards, "finished": now.finished_shards},
            blocked=now.blocked,
            deliveries={"delivered": totals.destination_deliveries, "failed": totals.destination_failures},
            lost_windows=counts.lost_windows,
        ),
    )
