"""Published layouts of traces, from small files of the documented columns."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sources.replay.published import LAYOUTS, Drawing, durations_of_2019, read
from engine.sources.replay.trace_file import LineError, TooManyCalls

AZURE_2019 = """HashOwner,HashApp,HashFunction,Trigger,1,2,3
o,a,quiet,timer,1,0,1
o,a,busy,http,3,0,2
o,b,never,queue,0,0,0
"""
AZURE_2021 = """app,func,end_timestamp,duration
a,f,100.5,0.5
a,g,130.0,2.0
a,f,110.25,0.25
"""
HUAWEI_2023 = """day,time,0,1
0,0,2,0
0,60,0,1
0,120,1,
"""
HUAWEI_2025 = (
    "time_worker,time_frontend,requestID,clusterName,funcName,podID,userID,totalCost_worker,workerCost,"
    "runtimeCost\n"
    "1,50.0,r,c,f,p,u,1,1,0.2\n1,51.5,r,c,g,p,u,1,1,0.1\n1,49.0,r,c,f,p,u,1,1,0.3\n"
)


def of(layout, text, how="even"):
    return read(layout, text.splitlines(keepends=True), Drawing(rng=Random(1), how=how))


def test_azure_2019_counts_by_minute():
    """Functions that are called, busiest first, spread over their minutes."""
    found = of("azure2019", AZURE_2019)

    assert ["busy", "quiet"] == list(found)
    assert [10, 30, 50, 135, 165] == found["busy"].at_s
    assert [30, 150] == found["quiet"].at_s
    assert [] == found["busy"].service_s


def test_azure_2021_says_when_each_ended():
    """Starts are ends less durations; the first is at 0."""
    found = of("azure2021", AZURE_2021)

    assert [0.0, 10.0] == found["a/f"].at_s
    assert [0.5, 0.25] == found["a/f"].service_s
    assert [28.0] == found["a/g"].at_s


def test_huawei_2023_has_a_column_for_each_function():
    """The width of a bin is the distance of its lines; an empty field is 0."""
    found = of("huawei2023", HUAWEI_2023, "start")

    assert {"0": [0.0, 0.0, 120.0], "1": [60.0]} == {name: one.at_s for name, one in found.items()}


def test_huawei_2025_has_a_line_for_each_request():
    """In order of time, whatever the order of the lines."""
    found = of("huawei2025", HUAWEI_2025)

    assert [0.0, 1.0] == found["f"].at_s
    assert [0.3, 0.2] == found["f"].service_s
    assert [2.5] == found["g"].at_s
    assert [None, None] == [found[name].vcpus for name in "fg"]


def test_huawei_2025_says_how_much_cpu_a_function_takes():
    """Cores, weighed by the durations of those that have both."""
    head, *rows = HUAWEI_2025.splitlines()
    used = zip(rows, ("0.5", "0.25", "1"), strict=True)
    found = of(
        "huawei2025", "\n".join([f"{head},cpu_usage", *(f"{row},{cores}" for row, cores in used)]) + "\n"
    )

    assert (0.2 * 0.5 + 0.3 * 1) / 0.5 == pytest.approx(found["f"].vcpus)
    assert 0.25 == pytest.approx(found["g"].vcpus)


def test_durations_of_azure_2019():
    """Percentiles in seconds."""
    text = (
        "HashOwner,HashApp,HashFunction,Average,Count,Minimum,Maximum,percentile_Average_0,"
        "percentile_Average_1,percentile_Average_25,percentile_Average_50,percentile_Average_75,"
        "percentile_Average_99,percentile_Average_100\no,a,f,100,7,10,900,10,10,50,90,120,800,900\n"
    )

    law = durations_of_2019(text.splitlines())["o", "a", "f"]

    assert 0.1 == law.mean_s
    assert (0.01, 0.01, 0.05, 0.09, 0.12, 0.8, 0.9) == law.percentiles_s


@pytest.mark.parametrize(
    ("layout", "text", "line", "reason"),
    [
        ("azure2019", "", 1, "is empty"),
        ("azure2019", "HashOwner,HashApp,HashFunction,Trigger\n", 1, "has no column '1'"),
        ("azure2019", AZURE_2019.replace("3,0,2", "3,x,2"), 3, "2: 'x' is not a number"),
        ("azure2019", AZURE_2019.replace("3,0,2", "3,0"), 3, "has 6 fields, not 7"),
        ("azure2019", AZURE_2019.replace("3,0,2", "3,0,-2"), 3, "3: -2 must be 0 or more"),
        ("azure2019", AZURE_2019.replace("3,0,2", "3,0,2.5"), 3, "3: 2.5 is not a whole number"),
        ("azure2021", AZURE_2021.replace("func", "function"), 1, "has no column 'func'"),
        ("azure2021", AZURE_2021.replace("2.0", "nan"), 3, "duration: nan must be 0 or more"),
        ("azure2021", "app,func,end_timestamp,duration\n", 1, "no invocation in the whole trace"),
        ("huawei2023", HUAWEI_2023.replace("0,120", "0,60"), 4, "time: does not rise"),
        ("huawei2025", HUAWEI_2025.replace("51.5", ""), 3, "time_frontend: '' is not a number"),
    ],
)
def test_a_malformed_trace_names_its_line(layout, text, line, reason):
    """The line in the file, from 1, and what is wrong with it."""
    with pytest.raises(LineError) as raised:
        of(layout, text)

    assert line == raised.value.line
    assert reason in raised.value.reason


@given(layout=st.sampled_from(LAYOUTS), text=st.text(max_size=200), kept=st.booleans())
def test_no_text_breaks_the_readers(layout, text, kept):
    """It is a trace, or a LineError."""
    texts = dict(zip(LAYOUTS, (AZURE_2019, AZURE_2021, HUAWEI_2023, HUAWEI_2025), strict=True))
    head = texts[layout].splitlines()[0] + "\n" if kept else ""
    try:
        found = of(layout, head + text)
    except (LineError, TooManyCalls):
        return
    assert found


@pytest.mark.parametrize("count", ["20000001", "9" * 18, "9" * 4000])
def test_more_calls_than_can_be_held_are_refused_before_they_are_made(count):
    """In one line, or one bin; what comes after the end that is asked for does not count."""
    azure = AZURE_2019.replace("3,0,2", f"3,0,{count}")
    huawei = HUAWEI_2023.replace("0,60,0,1", f"0,60,{count},1")
    cut = Drawing(rng=Random(1), until_s=60)

    for layout, text in (("azure2019", azure), ("huawei2023", huawei)):
        with pytest.raises(TooManyCalls, match="more than 20,000,000 calls"):
            of(layout, text)
    assert 3 == len(read("azure2019", azure.splitlines(), cut)["busy"].at_s)
    assert 2 == len(read("huawei2023", huawei.splitlines(), cut)["0"].at_s)
