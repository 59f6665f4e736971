"""Tumbling windows: which batch comes next, when records are invoked with window by window.

A window has the records that arrived in it. It ends with an invocation without records once a record of a
later one is next, the shard ended, a read after its time found nothing, or its state became too large. A
record that arrived in a window that has ended belongs to the one after: (unverified).

Source: Lambda Developer Guide, "Implementing stateful Kinesis Data Streams processing with Lambda".
"""

from __future__ import annotations

import math
from itertools import islice
from typing import NamedTuple

from engine.core.streams.commands import StreamBatch
from engine.core.streams.settings import StreamSettings
from engine.core.streams.shard import Shard
from engine.core.streams.subshard import OpenWindow, Subshard, Tried


class NextBatch(NamedTuple):
    """A batch; or None, and when to look again (infinite: after the next read)."""

    batch: StreamBatch | None
    due_s: float = math.inf


def next_window_batch(
    shard: Shard, subshard: Subshard, settings: StreamSettings, now_s: float, most: int, known: Tried | None
) -> NextBatch:
    """The next batch of a shard's one sub-shard. It opens windows; the end of a final batch closes them.

    `most`, `known`: what `Shard.together` says of its buffer.
    """
    window, buffer = subshard.window, subshard.buffer
    if window is not None and window.is_terminated:
        return NextBatch(final_batch(shard, subshard, window))
    if not buffer:
        if window is None or not (shard.at_end or shard.empty_s >= window.end_s):
            return NextBatch(None)
        return NextBatch(final_batch(shard, subshard, window))
    arrived_s = buffer[0].arrived_s
    if window is not None and arrived_s >= window.end_s:
        return NextBatch(final_batch(shard, subshard, window))
    if window is None:
        length_s = settings.tumbling_window_s
        start_s = max(math.floor(arrived_s / length_s) * length_s, shard.closed_window_s)
        window = subshard.window = OpenWindow(start_s, length_s)
    count = _records_in(window, subshard, most)
    is_waiting = count == len(buffer) and not shard.at_end and known is None
    if is_waiting and not subshard.is_ripe(settings, now_s):
        return NextBatch(None, subshard.since_s + settings.batching_window_s)
    return NextBatch(StreamBatch(shard.shard_id, subshard.number, subshard.cut(count), window.shown()))


def final_batch(shard: Shard, subshard: Subshard, window: OpenWindow) -> StreamBatch:
    """The last invocation of a window."""
    return StreamBatch(shard.shard_id, subshard.number, (), window.shown(is_final=True))


def place_in_window(shard: Shard, subshard: Subshard, batch: StreamBatch) -> StreamBatch:
    """What to invoke with instead of `batch`, the first in work: itself with the state of now, or an end."""
    window = subshard.window
    if batch.window is None:
        return batch
    if window is None:  # it ended early, and what is left of its records begins one of the same time
        shown = batch.window
        window = subshard.window = OpenWindow(shown.start_s, shown.end_s - shown.start_s)
    if window.is_terminated and not batch.window.is_final:
        final = final_batch(shard, subshard, window)
        subshard.pending.appendleft(final)
        return final
    batch.window = window.shown(is_final=batch.window.is_final)
    return batch


def _records_in(window: OpenWindow, subshard: Subshard, most: int) -> int:
    """How many records from the first of the buffer belong to the window; one or more, up to `most`."""
    for place, record in enumerate(islice(subshard.buffer, most)):
        if record.arrived_s >= window.end_s:
            return place
    return min(most, len(subshard.buffer))
