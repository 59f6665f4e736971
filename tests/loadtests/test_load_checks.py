"""The verdict of a run: which numbers hold, and which say nothing."""

import copy

import pytest

pytest.importorskip("hdrh", reason="hdrhistogram is not installed")

from engine.cli.load.running import publish
from engine.load.planning.plan import Breaks
from engine.load.planning.scenario import Limits, Unchanged
from engine.load.results.checks import (
    FAILED,
    GENERATOR_LIMITED,
    PASSED,
    RunCheck,
    generator_checks,
    limit_checks,
    longest_shortfall_s,
    sum_checks,
    verdict,
)
from engine.load.results.knee import knee, why_broken

GOOD, BAD = RunCheck("good", held=True, saw=""), RunCheck("bad", held=False, saw="")


def row(target=100.0, success=100, failure=0, throttled=0, p99_ms=10.0):
    """A stage of one stream."""
    return {
        "target_per_s": target,
        "success": success,
        "failure": failure,
        "throttled": throttled,
        "p99_ms": p99_ms,
    }


def stage(name="one", **more):
    """A stage of the client's findings."""
    return {"name": name, **row(**more), "streams": {"a": row(**more)}}


DOCUMENT = {
    "verdict": PASSED,
    "scenario": "spike",
    "generator": [],
    "client": {
        "streams": {"a": {**row(), "due": 100}},
        "stages": [stage("one"), stage("two", p99_ms=11.0)],
        "unexpected": {},
        "unanswered": 0,
        "dropped": 0,
        "lag_ms": {"p99": 5.0},
        "cpu_percent": 40.0,
        "measured": {"objectives": []},
    },
    "conservation": [{"what": "x", "sent": 5, "found": 5, "agrees": True}],
    "knee": None,
    "ready": [{"environments": 10, "last_ms": 20.0}],
    "engine": {"overhead_p99_ms": 1.5},
    "phases": [
        {"title": "one", "began_s": 0.0, "ended_s": 2.0},
        {"title": "two", "began_s": 2.0, "ended_s": 4.0},
    ],
    "samples": {
        "at_s": [0.0, 1.0, 2.0, 3.0, 4.0],
        "ready": [0, 1, 2, 2, 0],
        "desired": [2, 2, 2, 1, 0],
        "environments": [2, 2, 2, 1, 0],
        "cost_usd": [0.0, 1.0, 2.0, 2.0, 2.0],
        "rss_mb": [100.0, 100.0, 100.0, 100.0, 104.0],
        "files": [10, 10, 10, 10, 12],
    },
    "series": [],
}


@pytest.fixture
def document():
    """A copy to change."""
    return copy.deepcopy(DOCUMENT)


@pytest.mark.parametrize(
    ("sums", "generator", "limits", "found", "expected"),
    [
        ([GOOD], [GOOD], [GOOD], [], PASSED),
        ([GOOD], [GOOD], [BAD], [], FAILED),
        ([GOOD], [BAD], [GOOD], ["generator"], GENERATOR_LIMITED),
        ([GOOD], [BAD], [BAD], ["generator"], GENERATOR_LIMITED),
        ([GOOD], [BAD], [GOOD], [], GENERATOR_LIMITED),
        ([BAD], [BAD], [GOOD], ["generator"], FAILED),
        ([GOOD], [BAD], [GOOD], ["engine CPU"], PASSED),
        ([GOOD], [BAD], [BAD], ["engine CPU"], FAILED),
        ([GOOD], [GOOD], [GOOD], ["function concurrency"], PASSED),
    ],
)
def test_what_is_lost_is_lost_and_a_generator_at_its_limit_says_nothing(
    sums, generator, limits, found, expected
):
    """A limit may be missed because of the generator; an answer is not lost because of it.

    Nothing is blamed on a generator that did not keep up, if something else was the limit.
    """
    assert expected == verdict(sums, generator, limits, found=found)


def held(checks):
    """Whether each check held."""
    return [check.held for check in checks]


def test_a_good_run_holds_everything(document):
    """No check is there that nothing can hold."""
    assert {True} == set(held([*sum_checks(document, Limits()), *generator_checks(document)]))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: d["conservation"][0].update(found=4, agrees=False), [True, False, True, True]),
        (lambda d: d["client"]["unexpected"].update({"a: status 500": 1}), [True, True, False, True]),
        (lambda d: d["client"].update(unanswered=1), [True, True, True, False]),
        (lambda d: d["client"]["streams"]["a"].update(success=0), [False, True, True, True]),
    ],
)
def test_nothing_may_be_lost(document, change, expected):
    """One request is enough."""
    change(document)

    assert expected == held(sum_checks(document, Limits()))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: d["client"]["lag_ms"].update(p99=5.1), [False, True, True]),
        (lambda d: d["client"].update(cpu_percent=91.0), [True, False, True]),
        (lambda d: d["client"].update(dropped=1), [True, True, False]),
    ],
)
def test_a_generator_that_did_not_keep_up_is_told(document, change, expected):
    """Lag above 5 ms, more than 90 % of a core, more than a thousandth dropped."""
    change(document)

    assert expected == held(generator_checks(document))


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(), []),
        (Limits(throttles=False), [True]),
        (Limits(throttles=True), [False]),
        (Limits(overhead_p99_ms=2), [True]),
        (Limits(overhead_p99_ms=1), [False]),
        (Limits(shortfall_s=1), [True]),
        (Limits(shortfall_s=0.5), [False]),
        (Limits(knee=True), [False]),
        (Limits(ready=(10,)), [True]),
        (Limits(ready=(10, 100)), [True, False]),
        (Limits(empty=("one",)), [False]),
        (Limits(empty=("two",)), [True]),
        (Limits(free=("one",)), [False]),
        (Limits(free=("two",)), [True]),
        (Limits(rss_growth=0.05), [True]),
        (Limits(rss_growth=0.03), [False]),
        (Limits(more_files=2), [True]),
        (Limits(more_files=1), [False]),
        (Limits(unchanged=Unchanged(stream="a", before="one", after="two", share=0.1)), [True]),
        (Limits(unchanged=Unchanged(stream="a", before="one", after="two", share=0.05)), [False]),
        (
            Limits(unchanged=Unchanged(stream="a", before="one", after="two", share=0.0, slack_ms=1)),
            [True],
        ),
        (Limits(unchanged=Unchanged(stream="a", before="one", after="never", share=1)), [False]),
    ],
)
def test_each_limit_is_judged_by_what_was_seen(document, limits, expected):
    """On the limit it holds, beyond it does not."""
    assert expected == held(limit_checks(document, limits))


def test_a_shortfall_lasts_until_enough_is_ready():
    """The longest one counts, and one that never ends counts to the last sample."""
    samples = {"at_s": [0, 1, 2, 3, 7], "ready": [0, 2, 0, 0, 1], "desired": [2, 2, 2, 2, 2]}

    assert 5 == longest_shortfall_s(samples)


BREAKS = Breaks(stream="a", p99_ms=100, refused=0.01)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (row(), None),
        (row(success=99, throttled=1), None),
        (row(success=98, throttled=1, failure=1), "2.0% refused or failed, above 1.0%"),
        (row(p99_ms=100.0), None),
        (row(p99_ms=250.0), "p99 250 ms, above 100 ms"),
        (row(success=0), "nothing was served"),
    ],
)
def test_a_stage_breaks_by_refusals_or_by_its_p99(seen, expected):
    """Whichever comes first."""
    assert expected == why_broken(seen, BREAKS)


def test_the_knee_is_between_what_held_and_what_broke():
    """Its uncertainty is half of the gap; capacity planning goes by what held."""
    found = knee([stage(target=90.0), stage(target=100.0), stage(target=110.0, p99_ms=500.0)], BREAKS)

    assert (105.0, 0.0476, 100.0, 110.0) == (
        found["per_s"],
        found["plus_minus"],
        found["held_per_s"],
        found["broke_per_s"],
    )
    assert "p99 500 ms, above 100 ms" == found["why"]
    assert [13, 130, 1300] == [one["instances"] for one in found["instances"]]


@pytest.mark.parametrize("stages", [[stage(), stage()], [stage(p99_ms=500.0)], []])
def test_there_is_no_knee_unless_a_stage_held_and_a_later_one_did_not(stages):
    """A search that began too high, or ended too low, found nothing."""
    assert knee(stages, BREAKS) is None


@pytest.mark.parametrize("word", [FAILED, GENERATOR_LIMITED])
def test_a_run_that_says_nothing_is_not_published(document, tmp_path, word):
    """The report stays where it is; the numbers are not kept with the commit."""
    document["verdict"] = word

    assert f"not published: the run is {word}" == publish(document, tmp_path / "published")
    assert [] == list(tmp_path.iterdir())


def test_a_run_whose_generator_did_not_keep_up_is_not_published(document, tmp_path):
    """Even if another limit is why."""
    document["generator"] = [{"check": "in time", "held": False, "saw": "82.0 ms"}]

    assert "not published: the generator did not keep up: 82.0 ms" == publish(
        document, tmp_path / "published"
    )
    assert [] == list(tmp_path.iterdir())


def test_what_is_published_leaves_out_what_is_only_drawn(document, tmp_path):
    """Small enough to be committed."""
    document["client"]["streams"]["a"]["curve_ms"] = [[0, 1]]

    publish(document, tmp_path)

    text = (tmp_path / "spike.json").read_text()
    assert '"verdict": "passed"' in text
    assert not any(word in text for word in ("samples", "curve_ms", "timeline"))
