"""REPORT lines as a trace: of CloudWatch, as text and JSON, and of this engine's own log."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.billing import rate
from engine.core.event import Event
from engine.core.function import Function
from engine.core.invocation import Invocation
from engine.core.lambda_prices import HOME_REGION, price_sheet
from engine.core.outcome import Outcome, Status
from engine.sources.replay.reader import rows_of
from engine.sources.replay.reports import Report, report_in
from engine.sources.replay.trace_file import TraceError, WrongLines
from engine.telemetry.log import PlatformLog
from engine.testing import VirtualClock

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC).timestamp()
COLD = (
    "REPORT RequestId: 11111111-aaaa-4bbb-8ccc-000000000001\tDuration: 395.99 ms\tBilled Duration: 662 ms\t"
    "Memory Size: 512 MB\tMax Memory Used: 301 MB\tInit Duration: 265.72 ms\t"
)
WARM = (
    "REPORT RequestId: 11111111-aaaa-4bbb-8ccc-000000000002\tDuration: 12.01 ms\tBilled Duration: 13 ms\t"
    "Memory Size: 512 MB\tMax Memory Used: 301 MB\t"
)
LATE = WARM.replace("12.01", "3000.00") + "Status: timeout"
RESTORED = (
    "REPORT RequestId: 11111111-aaaa-4bbb-8ccc-000000000004\tDuration: 40.10 ms\tBilled Duration: 160 ms\t"
    "Memory Size: 1024 MB\tMax Memory Used: 88 MB\tRestore Duration: 300.20 ms\t"
    "Billed Restore Duration: 119 ms"
)
DEAD = WARM + "Status: error\tError Type: Runtime.ExitError"
JSON = json.dumps(
    {
        "time": "2026-11-02T12:00:00.412Z",
        "type": "platform.report",
        "record": {
            "requestId": "11111111-aaaa-4bbb-8ccc-000000000005",
            "metrics": {"durationMs": 8.2, "billedDurationMs": 9, "memorySizeMB": 512, "maxMemoryUsedMB": 88},
            "status": "success",
        },
    }
)


INSIGHTS = """@timestamp,@requestId,@duration,@billedDuration,@memorySize,@maxMemoryUsed,@initDuration
2026-11-02 12:00:00.000,a,395.99,662,512000000,301000000,265.72
2026-11-02 12:00:01.000,b,12.01,13,512000000,301000000,
"""
LOG_EVENTS = [
    {"timestamp": 1793620800000, "message": COLD + "\n"},
    {"timestamp": 1793620800500, "message": "said"},
    {"timestamp": 1793620801000, "message": WARM},
]


def read(tmp_path, text, name="t.log", wrong=None):
    path = tmp_path / name
    path.write_text(text)
    with rows_of(path, wrong=wrong) as rows:
        return list(rows)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (COLD, (0.39599, 0.26572, 662, 512, "success")),
        (WARM, (0.01201, None, 13, 512, "success")),
        (LATE, (3.0, None, 13, 512, "timeout")),
        (RESTORED, (0.0401, 0.3002, 160, 1024, "success")),
        (DEAD, (0.01201, None, 13, 512, "crash")),
        (WARM + "Status: error\tError Type: ValueError", (0.01201, None, 13, 512, "error")),
        ("REPORT RequestId: x\tDuration: 1.2.3 ms\tBilled Duration: 1 ms\tMemory Size: 1 MB", None),
        ("START RequestId: x Version: $LATEST", None),
    ],
)
def test_a_report_line_says(line, expected):
    """Duration, initialisation or restore, what was billed, memory, ending."""
    found = report_in(line)

    assert (None if expected is None else Report(*map(approximate, expected))) == found


@pytest.mark.parametrize(
    "text",
    [
        f"START RequestId: x\n2026-11-02T12:00:00.000Z {COLD}\nsaid\n2026-11-02T12:00:01.000Z\t{WARM}\n",
        f"2026-11-02T12:00:00+00:00 2026/11/02/[$LATEST]ab {COLD}\n1793620801000 {WARM}\n",
        "\n".join(map(json.dumps, LOG_EVENTS)),
        json.dumps({"events": LOG_EVENTS}, indent=2),
        f'timestamp,message\n1793620800000,"{COLD}"\n1793620800500,said\n1793620801000,"{WARM}"\n',
        INSIGHTS,
    ],
)
def test_a_log_is_a_trace_however_it_was_exported(tmp_path, text):
    """An event came before the time of its line: by its duration, and by its init if it was cold."""
    name = "t.csv" if text.startswith(("timestamp", "@timestamp")) else "t.log"
    cold, warm = read(tmp_path, text, name)

    assert (NOON - 0.39599 - 0.26572, NOON + 1 - 0.01201) == pytest.approx((cold.at_s, warm.at_s), abs=1e-5)
    assert (0.39599, 0.26572, 512, 662) == (cold.duration_s, cold.init_s, cold.memory_mb, cold.billed_ms)
    assert (0.01201, None, 512, 13) == (warm.duration_s, warm.init_s, warm.memory_mb, warm.billed_ms)


def test_json_of_the_platform(tmp_path):
    """As with the log format JSON; what handlers write is passed over."""
    (row,) = read(tmp_path, '{"ready": true}\n{"level": "INFO"}\nnot json\n' + JSON + "\n")

    assert (NOON + 0.412 - 0.0082, None) == (pytest.approx(row.at_s, abs=1e-5), row.function)
    assert (pytest.approx(0.0082), 512, "success", 9) == (
        row.duration_s,
        row.memory_mb,
        row.ending,
        row.billed_ms,
    )


def test_the_engines_own_json_log_names_function_and_arrival(tmp_path):
    """An event came when its wait began, for an initialisation or for its turn."""
    lines = []
    clock = VirtualClock()
    log = PlatformLog("json", clock, lines.append, lambda flush: flush())
    log.register(Function("pay", handler="h.h", memory_mb=256))
    event = Event("pay", b"{}", "id", 0.0, "invoke")
    invocation = Invocation(event, lambda _: None)
    log.began(invocation)
    log.ended(invocation, outcome_of(event), None)
    (row,) = read(tmp_path, "".join(lines))

    assert ("pay", 256, 0.25, 0.1, "success") == (
        row.function,
        row.memory_mb,
        row.duration_s,
        row.init_s,
        row.ending,
    )
    assert clock.wall() - 0.25 - 0.15 == pytest.approx(row.at_s, abs=1e-3)


def test_a_log_without_reports_is_an_empty_trace(tmp_path):
    """What an engine says first is no event."""
    assert [] == read(tmp_path, '{"ready": true, "http": null}\n')
    assert [] == read(tmp_path, "")


def approximate(value):
    return pytest.approx(value) if isinstance(value, float) else value


def outcome_of(event):
    sheet = price_sheet(HOME_REGION)
    assert sheet is not None
    return Outcome(
        Status.SUCCESS,
        b"{}",
        event.request_id,
        rate(sheet, 256, "x86_64"),
        cold_start=True,
        queue_wait_s=0.15,
        init_s=0.1,
        duration_s=0.25,
        billed_ms=350,
    )


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        (f"x\n{WARM}\n", 2, 'REPORT has no time: it is needed in front of the line (or log_format = "json")'),
        (f"2026-11-02T12:00:00Z {WARM[:60]}\n", 1, "is no REPORT line: it is cut off, or of another form"),
        (JSON + "\n" + JSON[:90] + "\n", 2, "is no JSON"),
        (JSON.replace("8.2", '"x"'), 1, "durationMs: 'x' is not a number"),
        (JSON.replace("8.2", "-1"), 1, "durationMs: -1 must be 0 or more"),
        (JSON.replace("2026-11-02T", ""), 1, "timestamp: '12:00:00.412Z' is neither"),
        ('{"events": 5,\n"x": "REPORT RequestId:"}', 1, "holds no list of events"),
        (
            f"2026-11-02T12:00:00Z {WARM}\n2026-11-02T12:00:00Z \udcff{WARM}",
            2,
            "is not UTF-8",
        ),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, place, reason):
    """By its number; the others are read, where wrong ones are to be left out."""
    path = tmp_path / "t.log"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(TraceError) as caught, rows_of(path) as rows:
        list(rows)

    assert str(caught.value).startswith(f"{path}:{place}: {reason}")


def test_wrong_lines_are_counted(tmp_path):
    """One sentence for all of them: the first with its reason, a few numbers, how many."""
    wrong = WrongLines()
    good = f"2026-11-02T12:00:00Z {WARM}\n"
    rows = read(tmp_path, (good + WARM + "\n") * 30, wrong=wrong)

    assert (30, 30) == (len(rows), wrong.count)
    assert str(wrong.error()).startswith("line 2: REPORT has no time")
    assert "(30 lines are wrong; also 4, 6, 8, 10, 12, 14, 16, 18, 20, ...)" in str(wrong.error())


pieces = st.sampled_from(
    [COLD, WARM, LATE, JSON, '"platform.report"', "REPORT RequestId:", '{"message":', "\n"]
)


@given(
    st.lists(pieces | st.text(max_size=20) | st.sampled_from(["2026-11-02T12:00:00Z ", "\udcff"]), max_size=8)
)
def test_no_log_makes_anything_but_rows_or_a_sentence(tmp_path_factory, parts):
    """Whatever it holds."""
    path = tmp_path_factory.mktemp("log") / "t.log"
    path.write_text("".join(parts), encoding="utf-8", errors="surrogatepass")
    try:
        with rows_of(path) as rows:
            assert all(row.duration_s is not None for row in rows)
    except TraceError as error:
        assert str(path) in str(error)  # noqa: PT017  # either is right
