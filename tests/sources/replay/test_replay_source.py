"""Replays in virtual time: when rows are sent, and what is said of it."""

import asyncio

import anyio
import pytest
from pydantic import ValidationError

from engine import Engine, Function
from engine.core.outcome import Status
from engine.errors import ConfigError
from engine.sources.replay.source import ReplayTrace
from engine.testing import virtual_platform

TRACE = "timestamp,function,payload\n100,,1\n101.5,g,2\n110,f,3\n"


async def test_rows_are_sent_in_their_own_time(bench):
    """From the first of them; it ends by itself and says how it went."""
    file = bench.write("t.csv", TRACE)
    source = bench.source({"file": file})

    await bench.run(source)

    assert [(0, "f", b"1"), (1.5, "g", b"2"), (10, "f", b"3")] == [
        (at_s, event.function, event.payload) for at_s, event in bench.sent
    ]
    assert {"replay"} == {event.trigger for _, event in bench.sent}
    assert [
        f"replay {file}: 3 sent, 0 late (by up to 0.000 s), 3 succeeded, 0 failed, 0 throttled, 0 refused"
    ] == bench.said


@pytest.mark.parametrize(("speed", "expected"), [(10, [0, 0.15, 1]), (0.5, [0, 3, 20]), (0, [0, 0, 0])])
async def test_time_can_be_scaled(bench, speed, expected):
    """Faster, slower, or not waited for at all."""
    await bench.run(bench.source({"file": bench.write("t.csv", TRACE), "speed": float(speed)}))

    assert expected == bench.at_s


async def test_a_replay_can_begin_later(bench):
    """Seconds of the trace are left out."""
    source = bench.source({"file": bench.write("t.csv", TRACE), "start_s": 1.0, "speed": 2.0})

    await bench.run(source)

    assert [0.25, 4.5] == bench.at_s
    assert 1 == source.summaries[0].skipped


async def test_rows_earlier_than_the_first_are_sent_at_once(bench):
    """A trace that is not sorted loses nothing."""
    file = bench.write("t.csv", "timestamp,payload\n5,1\n3,2\n6,3\n4,4\n")
    source = bench.source({"file": file})

    await bench.run(source)
    assert [0, 0, 1, 1] == bench.at_s
    assert (4, 0) == (source.summaries[0].sent, source.summaries[0].skipped)


async def test_what_is_left_out_is_told(bench):
    """Each row is in a number."""
    file = bench.write("t.csv", "timestamp,payload\n5,1\n3,2\n6,3\n7,4\n")
    source = bench.source({"file": file, "start_s": 1.0})

    await bench.run(source)
    assert (2, 2) == (source.summaries[0].sent, source.summaries[0].skipped)
    assert "2 before its start left out, 2 sent" in bench.said[-1]


async def test_a_replay_can_go_round(bench):
    """Until the engine stops."""
    source = bench.source({"file": bench.write("t.csv", TRACE), "loop": True})

    await bench.run(source, 25)

    assert [0, 1.5, 10, 10, 11.5, 20, 20, 21.5] == bench.at_s


async def test_an_empty_trace_is_over_at_once(bench):
    """Even if it is to go round."""
    source = bench.source({"file": bench.write("t.jsonl", ""), "loop": True})

    await bench.run(source)

    assert 0 == source.summaries[0].sent


async def test_rows_out_of_order_are_sent_in_the_order_of_the_file(bench):
    """Those that stand after later ones go with them."""
    trace = "".join(f'{{"timestamp": {at_s}}}\n' for at_s in (0, 5, 3, 6))

    await bench.run(bench.source({"file": bench.write("t.jsonl", trace)}))

    assert [0, 5, 5, 6] == bench.at_s


async def test_what_became_of_the_events_is_counted(bench):
    """Failures, throttles, and rows for functions that do not exist."""
    trace = '{"timestamp": 0}\n{"timestamp": 0, "function": "nobody"}\n{"timestamp": 1}\n'
    file = bench.write("t.jsonl", trace)
    for status in (Status.ERROR, Status.THROTTLED):
        bench.status = status
        await bench.run(bench.source({"file": file}))

    assert ["unknown_function"] * 2 == bench.rejected
    assert [
        "2 sent, 0 late (by up to 0.000 s), 0 succeeded, 2 failed, 0 throttled, 1 refused",
        "2 sent, 0 late (by up to 0.000 s), 0 succeeded, 0 failed, 2 throttled, 1 refused",
    ] == [line.partition(": ")[2] for line in bench.said]


async def test_above_the_limit_of_events_in_flight_the_trace_is_late(bench):
    """And says by how much, and that this is why."""
    bench.takes_s = 10.0
    trace = "".join(f'{{"timestamp": {n}}}\n' for n in range(4))
    source = bench.source({"file": bench.write("t.jsonl", trace), "most_in_flight": 2})

    await bench.run(source)

    assert (2, [0, 1, 10, 11]) == (bench.most_in_flight, bench.at_s)
    assert (2, 8.0) == (source.summaries[0].late, round(source.summaries[0].latest_s, 3))
    assert "2 late (by up to 8.000 s, 2 of them held by most_in_flight)" in bench.said[-1]


async def test_a_line_that_is_wrong_ends_the_replay(bench):
    """What was sent before it is waited for; the line is named."""
    bench.takes_s = 5.0
    file = bench.write("t.jsonl", '{"timestamp": 0}\n{"timestamp": 1}\nbroken\n{"timestamp": 2}\n')

    await bench.run(bench.source({"file": file}))

    assert 2 == len(bench.sent)
    [line] = bench.said
    assert line.startswith(f"replay {file}: 2 sent, 0 late (by up to 0.000 s), 2 succeeded")
    assert line.endswith(f"; ended early: {file}:3: is no JSON: Expecting value")


async def test_traces_that_cannot_be_read_are_problems_of_the_configuration(bench):
    """All of them at once, before anything is sent."""
    tables = [{"file": "/no/such.csv"}, {"file": bench.write("t.jsonl", "nonsense")}]

    with pytest.raises(ConfigError) as caught:
        bench.source(*tables)

    assert ["/no/such.csv: No such file or directory", "t.jsonl:1: is no JSON: Expecting value"] == [
        line.partition(": ")[2].removeprefix(f"{bench.folder}/") for line in caught.value.problems
    ]


async def test_progress_is_said_every_ten_seconds(bench):
    """While it lasts."""
    trace = "".join(f'{{"timestamp": {n}}}\n' for n in range(0, 36, 7))
    await bench.run(bench.source({"file": bench.write("t.jsonl", trace)}))

    assert ["2 sent", "3 sent", "5 sent", "6 sent"] == [
        line.partition(": ")[2].partition(",")[0] for line in bench.said
    ]


async def test_stopping_sends_nothing_more_and_waits_for_what_was_sent(bench):
    """In the middle of a wait, and of a queue for room."""
    bench.takes_s = 7.0
    trace = "".join(f'{{"timestamp": {n}}}\n' for n in (0, 0, 0, 100))
    waiting = bench.source({"file": bench.write("t.jsonl", trace)})
    full = bench.source({"file": bench.write("t.jsonl", trace), "most_in_flight": 1})

    await bench.run(waiting, 3)
    await bench.run(full, 3)

    assert (3, 1) == (waiting.summaries[0].sent, full.summaries[0].sent)
    assert (0, 14) == (bench.in_flight, round(bench.clock.now() - bench.began_s))


async def test_cancelling_says_what_was_still_under_way(bench):
    """The grace period is over."""
    bench.takes_s = 100.0
    source = bench.source({"file": bench.write("t.csv", TRACE)})

    with anyio.move_on_after(11):
        await bench.run(source)

    assert "ended early: 3 events were still under way" in bench.said[-1]


async def test_a_long_trace_leaves_the_loop_to_others(bench):
    """A hundred thousand rows at once are not one turn of the loop, neither sent nor left out."""
    trace = '{"timestamp": 0}\n' * 10_000 + '{"timestamp": 5}\n' * 10_000
    source = bench.source(
        {"file": bench.write("t.jsonl", trace), "speed": 0.0, "start_s": 5.0, "most_in_flight": 100_000}
    )
    turns = []

    async def others():
        while True:
            turns.append(bench.loop.time())
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await bench.run(source)
    task.cancel()

    assert (10_000, 10_000) == (source.summaries[0].sent, source.summaries[0].skipped)
    assert 100 <= len(turns)


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"file": ""},
        {"file": "a\0b"},
        {"file": "t.csv", "speed": -1.0},
        {"file": "t.csv", "speed": float("inf")},
        {"file": "t.csv", "format": "xml"},
        {"file": "t.csv", "most_in_flight": 0},
        {"file": "t.csv", "repeat": True},
    ],
)
def test_bad_settings_are_refused_before_anything_runs(table):
    """By the model, so that all problems of a file are reported at once."""
    with pytest.raises(ValidationError):
        ReplayTrace.model_validate(table)


async def test_a_trace_runs_the_functions_of_an_engine(bench, tmp_path):
    """Over the engine's own sink, each function by its name."""
    (tmp_path / "app.py").write_text("async def handler(event, context):\n    return event\n")
    functions = [Function(name, handler="app.handler", code=str(tmp_path)) for name in "fg"]
    async with Engine(functions, platform=virtual_platform()) as engine:
        bench.submit = engine.sink.submit
        await bench.run(bench.source({"file": bench.write("t.csv", TRACE)}))

        began = {name: one.triggers["replay"].began for name, one in engine.stats.functions.items()}

    assert {"f": 2, "g": 1} == began
    assert "3 succeeded" in bench.said[0]
