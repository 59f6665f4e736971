"""A stream in front of a simulated function: what its mapping does is what `core.streams` decides."""

from __future__ import annotations

import json
from random import Random

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cli import main
from engine.core.function import Function
from engine.core.streams.settings import StreamSettings
from engine.model.simulation.simulated_stream import StreamLoad, StreamSummary, keys_of
from engine.model.simulation.simulator import Simulation
from engine.model.simulation.workload import Workload


def simulated(at_s, *, batch_s=0.1, keys=None, shards=1, poison=(), function=None, errors=(), **chosen):
    """The run of a function whose stream has records at these seconds."""
    function = function or Function("f", handler="a.b")
    load = StreamLoad(
        at_s=at_s,
        keys=keys or keys_of(len(at_s), 1_000, Random(1)),
        batch_s=[batch_s],
        endings=errors,
        poison=frozenset(poison),
        shards=shards,
        settings=StreamSettings(**chosen),
    )
    run = Simulation([Workload(function=function, at_s=[], service_s=[])], streams={"f": load})
    run.run()
    return run.streams[0]


def summary(*args, **chosen) -> StreamSummary:
    return simulated(*args, **chosen).summary()


@settings(max_examples=25)
@given(
    st.integers(0, 2**32),
    st.sampled_from((0, 1, 5)),
    st.integers(1, 4),
    st.integers(1, 10),
    st.sampled_from((0, 2, -1)),
    st.booleans(),
    st.booleans(),
)
def test_every_polled_record_is_invoked_with_dropped_unseen_or_waits(
    seed, window_s, shards, factor, retries, bisect, reporting
):
    random = Random(seed)
    at_s = sorted(random.uniform(0, 30) for _ in range(200))
    stream = simulated(
        at_s,
        shards=shards,
        poison=random.sample(range(200), 4),
        function=Function("f", handler="a.b", reserved_concurrency=random.choice((1, 3, None))),
        errors=[0] * 9 + [1],
        batch_size=random.choice((1, 10, 100)),
        batching_window_s=window_s,
        parallelization_factor=factor,
        maximum_retry_attempts=retries,
        maximum_record_age_s=60,
        bisect=bisect,
        report_batch_item_failures=reporting,
    )
    counts, seen = stream.poller.counts, stream.summary()

    assert counts.polled == counts.filtered + counts.invoked + counts.dropped_unseen + seen.waiting
    assert (200, 0) == (counts.polled, seen.waiting)
    assert 200 == counts.succeeded + counts.dropped
    assert counts.succeeded == seen.record_age.count


def test_a_shard_that_is_full_does_so_many_batches_a_second():
    """Closed form: shards x factor x batch size / duration. Full batches of 10 in half a second."""
    seen = summary([0.0] * 8_000, batch_s=0.5, shards=2, batch_size=10, parallelization_factor=4)
    ideal_s = 8_000 / (2 * 4 * 10 / 0.5)

    assert 8 == seen.peak_concurrency
    assert ideal_s <= seen.record_age.percentiles_s[100.0] <= 1.15 * ideal_s


def test_an_idle_stream_is_behind_by_half_a_poll():
    """One record now and then is found within a second: half of one on average."""
    random = Random(3)
    seen = summary(sorted(random.uniform(0, 2_000) for _ in range(400)), batch_s=0.0)

    assert 0.45 <= seen.iterator_age.mean_s <= 0.55
    assert seen.iterator_age.percentiles_s[100.0] <= 1.0


def test_a_poison_record_without_limits_blocks_what_is_behind_it():
    seen = summary([float(n) for n in range(60)], poison=[10], batch_size=1)

    assert (10, 50) == (seen.counts["succeeded"], seen.waiting)
    assert seen.is_behind
    assert 1 == seen.most_blocked


def test_bisect_and_reports_save_its_neighbours():
    at_s = [0.0] * 64
    lost = [
        64 - summary(at_s, poison=[10], batch_size=64, maximum_retry_attempts=2, **how).counts["succeeded"]
        for how in ({}, {"bisect": True}, {"report_batch_item_failures": True})
    ]

    assert [64, 1, 54] == lost


def test_a_throttle_is_no_attempt():
    """Two batches at a time where the function may run one."""
    seen = summary(
        [0.0] * 40,
        keys=list(range(40)),
        batch_s=2.0,
        function=Function("f", handler="a.b", reserved_concurrency=1),
        batch_size=10,
        parallelization_factor=2,
        maximum_retry_attempts=0,
    )

    assert seen.counts["throttles"] > 0
    assert 40 == seen.counts["succeeded"]


def test_reads_of_a_shard_keep_to_the_limits_of_kinesis():
    """2 MB a second: 40 MB take twenty seconds, however fast the function is."""
    seen = summary([0.0] * 40_000, batch_s=0.0, batch_size=10_000, parallelization_factor=10)

    assert 15 <= seen.record_age.percentiles_s[100.0] <= 20


# ---------------------------------------------------------------- the command


def answered(words, *more):
    done = CliRunner().invoke(main, ["simulate", *words.split(), *more], catch_exceptions=False)

    assert 0 == done.exit_code, done.output
    return done.stdout


def test_the_command_says_what_became_of_the_records():
    found = json.loads(
        answered("--traffic 50 --seconds 60 --stream kinesis --shards 2 --stream-factor 2 --json")
    )
    stream = found["stream"]

    assert stream["records"] == stream["succeeded"]
    assert 4 == stream["batches_at_a_time"]
    assert found["attempts"] == stream["batches"]
    assert {"kinesis.shards", "kinesis.put"} <= {line["meter"] for line in found["cost_of_run"]["lines"]}
    assert any("unverified" in line for line in found["assumptions"])
    assert len(stream["over_time"]["at_s"]) == len(stream["over_time"]["oldest_age_s"])


def test_text_and_page_have_a_table_and_charts_of_the_stream(tmp_path):
    page = tmp_path / "page.html"
    words = (
        "--traffic 100 --seconds 30 --stream dynamodb --stream-keys 2 --stream-factor 10 --duration-ms 2000"
    )
    text = answered(words, "--html", str(page))
    html = page.read_text()

    assert "iterator age" in text
    assert "2 keys keep at most 2 of 10 batches at a time busy" in text
    assert "kinesis." not in text
    for heading in ("Records of the stream", "Age of the oldest record", "Batches at a time"):
        assert heading in html


def test_what_does_not_keep_up_is_said():
    text = answered("--traffic 100 --seconds 120 --stream kinesis --stream-batch 10 --duration-ms 900")

    assert "the mapping does not keep up" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--traffic 1500 --stream-batch 10000", "% of the records are more than a shard takes"),
        ("--traffic 50 --record-bytes 100000", "% of the records are more than a shard takes"),
        ("--traffic 1 --record-bytes 5000000", "one record is more than an event of 6 MB may have"),
        ("--traffic 20 --stream-batch 1", "the mapping does not keep up"),
        ("--traffic 20 --stream-batch 1", "invocations began after the last record came"),
        ("--traffic 5 --errors 100", "what fails blocks it: a limit of attempts or of age helps"),
        ("--traffic 5 --errors 100", "records were not done with 10 min after the last came"),
    ],
)
def test_what_the_stream_or_the_mapping_cannot_do_is_said(words, said):
    assert said in answered(f"--seconds 20 --stream kinesis {words}")


def test_a_table_takes_a_thousand_writes_a_second_of_each_partition():
    text = answered("--seconds 5 --traffic 1500 --stream dynamodb")

    assert "% of the records are more than a partition takes" in text


@pytest.mark.parametrize("begin_s", [10, 55])
def test_a_burst_that_is_done_with_is_kept_up_with(begin_s):
    """The quarters are of the time that is looked at, and a record waits for a read anyway."""
    text = answered(f"--traffic spike:0:900:{begin_s}:5 --seconds 60 --stream kinesis")

    assert "keep up" not in text
    assert (begin_s == 55) == ("began after" in text)


def test_batches_at_a_time_are_those_that_ran():
    """Four shards of a function that may run once; and of one that may not run at all."""
    one, none = (
        json.loads(answered(f"--traffic 50 --seconds 20 --stream kinesis --shards 4 {more} --json"))
        for more in ("--concurrency-limit 1", "--reserved 0")
    )

    assert 0 < one["stream"]["throttles"]
    assert (1, 0) == (one["stream"]["peak_concurrency"], none["stream"]["peak_concurrency"])
    [behind] = [line for line in none["assumptions"] if "does not keep up" in line]
    assert "the function is throttled: more concurrency" in behind


def test_a_read_brings_no_more_than_a_page_has():
    load = StreamLoad(
        at_s=[0.0] * 20,
        keys=[0] * 20,
        batch_s=[0.0],
        data_bytes=300_000,
        page_bytes=1_000_000,
        settings=StreamSettings(),
    )
    run = Simulation(
        [Workload(function=Function("f", handler="a.b"), at_s=[], service_s=[])], streams={"f": load}
    )
    run.run()

    assert [3] * 6 + [2] == [records for _, records in run.streams[0].invoked]


def test_a_mapping_that_keeps_up_has_no_such_lines():
    text = answered("--traffic 300 --seconds 30 --stream kinesis --stream-window 2")

    assert not any(word in text for word in ("keep up", "more than a shard", "began after"))


def test_peak_rates_are_those_of_invocations_not_of_records():
    found = json.loads(answered("--traffic 300 --seconds 30 --stream kinesis --json"))

    assert found["requests_per_s"]["peak"] <= 5


def test_records_above_what_a_shard_takes_are_counted_second_by_second():
    seen = summary([0.0] * 1_200 + [1.0] * 900 + [2.0] * 1_100, batch_size=10_000)

    assert (1_200, 300) == (seen.busiest_per_s, seen.above_limits)


def test_settings_of_the_configured_mapping_are_taken(tmp_path):
    config = tmp_path / "engine.toml"
    config.write_text(
        '[functions.f]\nhandler = "app.f"\n[[functions.f.events]]\ntype = "kinesis"\nstream = "s"\n'
        "batch_size = 7\nparallelization_factor = 3\n"
    )
    (tmp_path / "app.py").write_text("def f(event, context): ...\n")
    words = "--traffic 50 --seconds 30 --stream kinesis --json --config"
    found = json.loads(answered(words, str(config)))["stream"]
    other = json.loads(answered(words, str(config), "--stream-factor", "1"))["stream"]

    assert (3, 1) == (found["batches_at_a_time"], other["batches_at_a_time"])
    assert found["records_each"] <= 7


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--traffic 5 --shards 2", "--shards: would change nothing: needs --stream"),
        ("--stream kinesis", "--stream: needs --traffic"),
        ("--traffic 5 --stream kinesis --stream-age 30", "--stream-age: is -1, or at least 60"),
        ("--traffic 5 --stream kinesis --sqs-batch 3", "--sqs-batch: would change nothing"),
        ("--traffic 5 --stream kinesis --method fast", "--method fast: events come through a stream"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words, said):
    done = CliRunner().invoke(main, ["simulate", *words.split()])

    assert 2 == done.exit_code
    assert said in done.output
