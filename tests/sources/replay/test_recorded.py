"""Whole traces by function: own columns, files beside a published trace, what is told by the first lines."""

from math import isnan
from pathlib import Path
from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sources.replay.published import LAYOUTS
from engine.sources.replay.recorded import Trace, in_order, inits_of, recorded
from engine.sources.replay.trace_file import TraceError

OWN = """timestamp,function,duration_ms,memory_mb,status
2026-11-02T10:00:09.500Z,ship,1990,1024,ok
2026-11-02T10:00:00.000Z,pay,118,512,ok
2026-11-02T10:00:00.350Z,pay,121,512,timeout
2026-11-02T10:00:01.020Z,ship,2010,1024,error
2026-11-02T10:00:01.020Z,pay,97,512,
"""
AZURE_2019 = """HashOwner,HashApp,HashFunction,Trigger,1,2,3
o1,a1,f1,http,0,3000,0
o1,a1,f2,http,1,0,0
o2,a2,f1,timer,0,1,1
"""
DURATIONS_2019 = (
    "HashOwner,HashApp,HashFunction,Average,Count,Minimum,Maximum,"
    + ",".join(f"percentile_Average_{p}" for p in (0, 1, 25, 50, 75, 99, 100))
    + "\no1,a1,f1,230,4,80,900,80,80,100,150,240,900,900\no2,a2,f1,50,2,-1,,-1,,1,2,3,4,5\n"
)
MEMORY_2019 = """HashOwner,HashApp,SampleCount,AverageAllocatedMb,AverageAllocatedMb_pct100
o1,a1,20,130,169.5
"""
HUAWEI_2023 = "day,time,0,1\n3,259200,,2\n3,259260,1,\n3,259320,2,1\n"
DELAYS_2023 = "day,time,0,1\n3,259200,,0.5\n3,259260,0.25,\n3,259320,,1\n"
HUAWEI_2025 = (
    "time_worker,time_frontend,requestID,clusterName,funcName,podID,userID,totalCost_worker,runtimeCost,"
    "totalCost_frontend\n"
    "100.010,100.012,r1,1,7,pool22-300-128-01,5,0.024,0.0239,0.012\n"
    "100.900,102.200,r3,2,7,pool24-600-512-07,6,1.2,1.1998,1.2\n"
)
COLD_2025 = (
    "day,time,clusterName,funcName,userID,requestID,totalCost_cold_start,podAllocationCost,podID\n"
    "0,51937.4,2,10,134,r9,2.24,0.03,p\n0,51940.0,1,7,5,r2,0.60,0.02,p\n"
)
AFAAS = (
    "day,time,clustername,funcname,requestid,podid,mem,totalcost,podallocationcost,deploycodecost,"
    "createinstancecost\n20250420,2025-04-20 00:00:01.120,c1,f1,q1,p1,134217728,182,12,60,110\n"
)
TEXTS = {
    "azure2019": AZURE_2019,
    "azure2021": "app,func,end_timestamp,duration\na1,f1,120.5,0.134\n",
    "huawei2023": HUAWEI_2023,
    "huawei2025": HUAWEI_2025,
}


def read(tmp_path, text, name="t.csv", **beside):
    files = {}
    for what, content in {"file": text, **beside}.items():
        files[what] = tmp_path / (name if what == "file" else f"{what}.csv")
        files[what].write_text(content)
    return recorded(Trace(**files).recognised(), Random(1)).functions


def test_own_columns_are_taken_and_lines_sorted(tmp_path):
    """Durations, memory and endings of each function; equal moments keep their order."""
    found = read(tmp_path, OWN)

    assert ["pay", "ship"] == list(found)
    assert [0.0, 0.35, 1.02] == pytest.approx(found["pay"].at_s)
    assert [0.118, 0.121, 0.097] == found["pay"].service_s
    assert ["success", "timeout", "success"] == found["pay"].endings
    assert (["error", "success"], 512, 1024) == (
        found["ship"].endings,
        found["pay"].memory_mb,
        found["ship"].memory_mb,
    )
    assert ["pay", "pay", "pay", "ship", "ship"] == [row.function for row in in_order(found)]


def test_columns_have_the_names_that_users_give_them(tmp_path):
    """A missing duration is not said; initialisations are those of the calls that waited."""
    text = "ts,Function_Name,elapsed,init_duration_ms\n1700000000000,f,120,80\n1700000001000,f,,\n"
    one = read(tmp_path, text)["f"]

    assert ([0.0, 1.0], [0.08]) == (one.at_s, one.inits_s)
    assert (0.12, True) == (one.service_s[0], isnan(one.service_s[1]))


def test_a_duration_without_a_unit_that_is_absurd_is_asked_for(tmp_path):
    """All below 30: probably seconds."""
    with pytest.raises(TraceError, match="all are below 30: seconds"):
        read(tmp_path, "time,duration\n1,0.5\n2,12\n")

    assert [0.0005, 0.04] == read(tmp_path, "time,duration\n1,0.5\n2,40\n")["function"].service_s
    assert [0.5] == read(tmp_path, "time,duration_s\n1,0.5\n")["function"].service_s


def test_azure_2019_with_its_durations_and_memory(tmp_path):
    """Drawn from the percentiles; the median of its trigger, or nothing, without."""
    found = read(tmp_path, AZURE_2019, durations=DURATIONS_2019, memory=MEMORY_2019)

    assert ["f1", "a2/f1", "f2"] == list(found)
    assert 0.248 == pytest.approx(fmean(found["f1"].service_s), rel=0.05)
    assert (0.080, 0.9) == pytest.approx((min(found["f1"].service_s), max(found["f1"].service_s)), rel=0.1)
    assert [0.230] == found["f2"].service_s
    assert all(map(isnan, found["a2/f1"].service_s))
    assert (170, None) == (found["f1"].memory_mb, found["a2/f1"].memory_mb)


def test_a_law_whose_mean_is_off_is_scaled(tmp_path):
    """Percentiles of averages are too narrow, the mean is not."""
    wide = DURATIONS_2019.replace("f1,230,", "f1,420,")
    found = read(tmp_path, AZURE_2019, durations=wide)

    assert 0.420 == pytest.approx(fmean(found["f1"].service_s), rel=0.05)


def test_huawei_2023_with_its_delays(tmp_path):
    """Of the same minute; where there is none, it is not said. Time counts from the start of the data."""
    found = read(tmp_path, HUAWEI_2023, durations=DELAYS_2023)

    assert 60 <= found["0"].at_s[0] < 120
    assert [0.5, 0.5, 1.0] == found["1"].service_s
    assert (0.25, True) == (found["0"].service_s[0], isnan(found["0"].service_s[1]))


def test_huawei_2025_tells_functions_apart_by_user_and_pool(tmp_path):
    """The pool's name has the memory; a request began its cost before the frontend's line."""
    found = read(tmp_path, HUAWEI_2025)

    assert {"7": 128, "6/7": 512} == {name: one.memory_mb for name, one in found.items()}
    assert (0.0, 1.0) == pytest.approx((found["7"].at_s[0], found["6/7"].at_s[0]))


@pytest.mark.parametrize(("text", "expected"), [(COLD_2025, [2.24, 0.6]), (AFAAS, [0.182])])
def test_files_of_cold_starts_say_how_environments_initialise(tmp_path, text, expected):
    """And not when events come, which is said."""
    with pytest.raises(TraceError, match="holds cold starts only, not when events came: see --init-times"):
        read(tmp_path, text)

    assert expected == inits_of(tmp_path / "t.csv")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_published_layout_is_told_by_its_first_line(tmp_path, layout):
    """Whatever the file is called."""
    path = tmp_path / "day_000.txt"
    path.write_text(TEXTS[layout])

    assert layout == Trace(file=path).recognised().layout


def test_wrong_lines_are_left_out_on_demand(tmp_path):
    """How many, and the first; else nothing is read."""
    path = tmp_path / "t.csv"
    path.write_text(OWN + "soon,pay,1,128,ok\n1,pay,1,128,maybe\n")
    found = recorded(Trace(file=path, skip=True).recognised(), Random(1))

    assert 5 == sum(len(one.at_s) for one in found.functions.values())
    assert f"{path}: 2 wrong lines left out; line 7: timestamp: 'soon' is neither" in found.skipped[0]
    with pytest.raises(TraceError, match=r":7: timestamp: 'soon' .* \(2 lines are wrong; also 8\)"):
        recorded(Trace(file=path).recognised(), Random(1))


heads = st.sampled_from(
    [OWN, DURATIONS_2019, MEMORY_2019, DELAYS_2023, AFAAS, COLD_2025, *TEXTS.values(), ""]
)


@given(heads, st.binary(max_size=120), st.sampled_from(["events", "reports", *LAYOUTS]), st.booleans())
def test_no_file_makes_anything_but_a_trace_or_a_sentence(tmp_path_factory, known, content, layout, skip):
    """In any layout, with any file beside it."""
    path = Path(tmp_path_factory.mktemp("trace")) / "t.csv"
    path.write_bytes(known.encode() + content)
    beside = {"azure2019": {"durations": path, "memory": path}, "huawei2023": {"durations": path}}
    try:
        trace = Trace(file=path, layout=layout, skip=skip, **beside.get(layout, {})).recognised()
        assert recorded(trace, Random(1)).functions
    except TraceError as error:
        assert str(path) in str(error)  # noqa: PT017  # either is right


@pytest.mark.parametrize("layout", ["events", "reports"])
def test_a_log_that_was_exported_as_csv_is_a_trace(tmp_path, layout):
    """By its first line; memory is in bytes there, newest lines come first."""
    path = tmp_path / "insights.txt"
    path.write_text(
        "@timestamp,@requestId,@duration,@billedDuration,@memorySize\n"
        "2026-11-02 12:00:01.000,b,500,500,128000000\n2026-11-02 12:00:00.100,a,100,100,128000000\n"
    )
    one = recorded(Trace(file=path, layout=layout).recognised(), Random(1)).functions["function"]

    assert ([0.0, 0.5], [0.1, 0.5], 128) == (pytest.approx(one.at_s), one.service_s, one.memory_mb)
