"""`engine top`: what it makes of two status documents, and how it shows that."""

import copy
import http.server
import io
import itertools
import json
import threading

import pytest
from click.testing import CliRunner
from rich.console import Console

from engine.cli import main
from engine.cli.top.event_log import EventLog
from engine.cli.top.formatting import HEADINGS, ORDERS, dollars, ordered, rate, seconds, span
from engine.cli.top.lines import Plain
from engine.cli.top.reading import frame_of
from engine.cli.top.screen import Picture


def function(**changes):
    """One function of a status document, as it is when nothing happened yet."""
    return {
        "in_flight": 0,
        "ready": 0,
        "desired": 0,
        "queued": 0,
        "environments": {"starting": 0, "idle": 0, "busy": 0},
        "invocations": {"success": 0, "error": 0, "timeout": 0},
        "scaled": {"up": {"demand": 0}, "down": {"idle": 0}, "to_zero": {"idle": 0}},
        "throttles": {},
        "cold_starts": 0,
        "duration_s": {"classes": []},
        "cost_usd": {"total": "0"},
    } | changes


def document(uptime_s, **functions):
    return {
        "uptime_s": uptime_s,
        "in_flight": sum(one["in_flight"] for one in functions.values()),
        "classes_per_doubling": 16,
        "rejected": {"unknown_function": 0},
        "functions": functions,
    }


BEFORE = document(100.0, hello=function(), idle=function())
AFTER = document(
    102.0,
    hello=function(
        in_flight=3,
        ready=5,
        desired=4,
        queued=1,
        environments={"starting": 1, "idle": 1, "busy": 3},
        invocations={"success": 15, "error": 4, "timeout": 1},
        scaled={"up": {"demand": 6}, "down": {"timeout": 1}, "to_zero": {"idle": 0}},
        throttles={"function_limit": 8},
        cold_starts=4,
        duration_s={"classes": [[-52, 20]]},
        cost_usd={"total": "0.00002"},
    ),
    idle=function(),
)


def test_a_row_is_what_happened_between_two_documents():
    """Rates by the engine's own time, percentiles of the new values only, money for a million."""
    frame = frame_of(BEFORE, AFTER)
    hello = frame.rows[0]

    assert ("hello", 10.0, 0.25, 4.0) == (hello.function, hello.per_s, hello.errors, hello.throttles_per_s)
    assert (0.10286, 0.10286) == (round(hello.p50_s, 5), round(hello.p99_s, 5))
    assert (3, 1, 5, 2.0) == (hello.in_flight, hello.queued, hello.environments, hello.cold_per_s)
    assert (1.0, 0.00001) == (round(hello.usd_per_million, 6), hello.usd_per_s)
    assert (10.0, 5, 4, 0.036) == (frame.per_s, frame.ready, frame.desired, round(frame.usd_per_hour, 6))


def test_a_function_that_did_nothing_has_no_share_of_errors():
    """Nothing is not zero per cent."""
    idle = frame_of(BEFORE, AFTER).rows[1]

    assert (0.0, None, None, None) == (idle.per_s, idle.errors, idle.p99_s, idle.usd_per_million)


@pytest.mark.parametrize("before", [None, AFTER | {"uptime_s": 9000.0}])
def test_without_a_document_of_the_same_process_rates_are_zero(before):
    """The first look, and one after a restart."""
    frame = frame_of(before, AFTER)

    assert (0.0, 0.0, 0.0, 3) == (frame.per_s, frame.usd_per_hour, frame.span_s, frame.in_flight)


def test_a_new_function_counts_from_zero_and_one_that_began_anew_never_falls():
    """Counters that fell belong to another life of the function."""
    later = copy.deepcopy(AFTER) | {"uptime_s": 104.0}
    later["functions"]["new"] = function(invocations={"success": 6})
    later["functions"]["hello"]["invocations"] = {"success": 2, "error": 0, "timeout": 0}
    later["functions"]["hello"]["cost_usd"] = {"total": "0.000001"}
    rows = {row.function: row for row in frame_of(AFTER, later).rows}

    assert (3.0, 0.0, 0.0) == (rows["new"].per_s, rows["hello"].per_s, rows["hello"].usd_per_s)


def test_the_log_says_what_changed():
    """Scaling, throttles and failures, each with its reason."""
    log = EventLog()
    log.add(BEFORE, AFTER | {"rejected": {"unknown_function": 2}})

    assert [
        "hello: 6 environments more (demand)",
        "hello: 1 environments fewer (timeout)",
        "hello: 8 throttled (function limit)",
        "hello: 4 ended in error",
        "hello: 1 ended in timeout",
        "the engine: 2 rejected (unknown function)",
    ] == [str(one) for one in log]
    assert ["good", "bad", "bad", "bad", "bad", "bad"] == [one.tone for one in log]


def test_what_goes_on_is_one_line_that_counts_up():
    """A throttle a second would push everything else out of the log."""
    log = EventLog()
    documents = [
        document(float(at_s), f=function(throttles={"account_limit": 10 * at_s})) for at_s in (1, 2, 3, 60)
    ]
    for before, after in itertools.pairwise(documents):
        log.add(before, after)

    assert [(3.0, 20), (60.0, 570)] == [(one.at_s, one.times) for one in log]


def test_functions_that_come_and_go_and_a_restart_are_told():
    """Without numbers that would belong to another process."""
    log = EventLog()
    log.add(document(1.0, a=function()), document(2.0, b=function()))
    log.add(AFTER, document(0.5, hello=function()))

    assert ["b: is there", "a: is gone", "the engine: was started anew"] == [str(one) for one in log]


@pytest.mark.parametrize("order", ORDERS)
def test_the_highest_comes_first_and_equal_ones_by_name(order):
    """Names alone are in order of the alphabet."""
    functions = {"b": function(), "a": function(), "busy": AFTER["functions"]["hello"]}
    rows = frame_of(
        document(1.0, b=function(), a=function(), busy=function()), document(2.0, **functions)
    ).rows
    expected = ["a", "b", "busy"] if order == "name" else ["busy", "a", "b"]

    assert expected == [row.function for row in ordered(rows, order)]


def test_numbers_are_short():
    """Three digits, and the unit that suits."""
    assert ["0", "0.2", "13", "12,345"] == [rate(0), rate(0.25), rate(12.6), rate(12345)]
    assert [
        "",
        "123 µs",
        "12.3 ms",
        "2.5 s",
    ] == [seconds(None), seconds(0.000123), seconds(0.0123), seconds(2.5)]
    assert ["$0.00", "$0.0012", "$1,234.50"] == [dollars(0), dollars(0.00123), dollars(1234.5)]
    assert ["1 min 01 s", "1 h 01 min", "1 d 1 h"] == [span(61), span(3661), span(90000)]


def picture(width=120, height=30, **settings) -> str:
    shown = Picture(url="http://127.0.0.1:9464", **settings)
    shown.log.add(BEFORE, AFTER)
    shown.take(frame_of(BEFORE, AFTER))
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    console.print(shown.drawn(console))
    return console.file.getvalue()


def test_the_picture_has_totals_functions_and_the_log():
    """One look says how the engine is."""
    text = picture()

    assert "10 per s   3 in use / 5 ready / 4 desired   1 queued   4.0 throttled/s" in text
    assert [] == [heading for heading in HEADINGS if heading not in text]
    assert "hello" in text
    assert "6 environments more (demand)" in text
    assert "s sort: rate" in text


@pytest.mark.parametrize(("width", "height"), [(120, 30), (60, 12), (20, 5)])
def test_the_picture_is_no_wider_than_the_terminal(width, height):
    """A small window shows less of it."""
    assert [] == [line for line in picture(width, height).splitlines() if len(line) > width]


def test_only_the_functions_asked_for_are_shown():
    """Totals are of all."""
    text = picture(pattern="id*")

    assert (True, False, True) == ("idle" in text, "hello  " in text, "10 per s" in text)


def test_keys_sort_pause_and_quit():
    """Paused, the picture stands still."""
    shown = Picture(url="http://x")
    shown.take(frame_of(BEFORE, AFTER))
    going_on = [shown.press(key) for key in "sp?"]
    shown.take(frame_of(None, BEFORE))

    assert [True, True, True] == going_on
    assert ("errors", True, 10.0) == (shown.order, shown.paused, shown.frame.per_s)
    assert shown.press("q") is False


def test_plain_lines_leave_out_what_did_nothing():
    """A line of totals, and a row for each function that works."""
    out = io.StringIO()
    Plain(out, "rate", "*").show(frame_of(BEFORE, AFTER), EventLog().add(BEFORE, AFTER))
    lines = out.getvalue().splitlines()

    assert "1 min 42 s  hello: 6 environments more (demand)" == lines[0]
    assert lines[5].startswith("up 1 min 42 s   10 per s   3 in use")
    assert "hello 10 25 % 4.0 103 ms 103 ms 3 1 5 2.0 1.00" == " ".join(lines[7].split())
    assert 8 == len(lines)


def node(name, **changes):
    """One node of a status document."""
    return {
        "name": name,
        "state": "up",
        "cores": 2,
        "memory_mb": 4000,
        "load": 1.25,
        "free_memory_mb": 3000,
        "round_trip_s": 0.0004,
        "environments": {"starting": 1, "idle": 2, "busy": 3},
        "invocations": {"success": 0, "crash": 0},
        "joins": 1,
        "losses": {"silent": 0, "left": 0},
    } | changes


def lost(name):
    """One that is not there any more."""
    gone = ("cores", "memory_mb", "load", "free_memory_mb", "round_trip_s")
    changes = {"state": "lost", "losses": {"silent": 1, "left": 0}}
    return {key: value for key, value in node(name, **changes).items() if key not in gone}


def test_the_nodes_of_a_cluster_have_a_table_and_lines_in_the_log():
    """Rates between two documents; one in trouble comes first; without a cluster there is nothing of it."""
    before = BEFORE | {"nodes": [node("a"), node("b")]}
    after = AFTER | {"nodes": [node("a", invocations={"success": 9, "crash": 1}), lost("b"), node("c")]}
    log, out = EventLog(), io.StringIO()
    Plain(out, "rate", "*").show(frame_of(before, after), log.add(before, after))
    shown = Picture(url="http://x")
    shown.take(frame_of(before, after))
    console = Console(file=io.StringIO(), width=120, height=40)
    console.print(shown.drawn(console))
    rows = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]

    assert ["node b: is lost (silent)", "node c: has joined"] == [
        str(one) for one in log if one.function.startswith("node")
    ]
    assert "a up 5.0 10 % 6 1.2/2 3,000/4,000 MB 400 µs" in [
        " ".join(line.split()) for line in out.getvalue().splitlines()
    ]
    at = rows.index("node per s errors envs CPU memory free round trip")
    assert ["b", "a", "c"] == [line.split()[0] for line in rows[at + 1 : at + 4]]
    assert "memory free" not in picture()


class Engine(http.server.BaseHTTPRequestHandler):
    """Answers with one document after the other, and then with the last."""

    documents: list[object]

    def do_GET(self):
        body = json.dumps(self.documents.pop(0) if len(self.documents) > 1 else self.documents[0]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def admin():
    """`admin(documents)` gives the URL of a listener that answers with them."""
    servers = []

    def started(*documents):
        handler = type("Handler", (Engine,), {"documents": list(documents)})
        server = http.server.HTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield started
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.real_time
def test_json_is_one_object_a_look(admin):
    """Every number as it is, for whatever reads it."""
    url = admin(BEFORE, AFTER, AFTER | {"uptime_s": 104.0})
    result = CliRunner().invoke(main, ["top", "--url", url, "--json", "--count", "2", "--every", "0.1"])
    first, second = map(json.loads, result.output.splitlines())

    assert 0 == result.exit_code
    assert (10.0, "hello", 0.0) == (first["per_s"], first["rows"][0]["function"], second["per_s"])
    assert {
        "at_s": 102.0,
        "function": "hello",
        "what": "environments more (demand)",
        "times": 6,
        "tone": "good",
    } == first["happened"][0]


@pytest.mark.real_time
def test_a_pipe_gets_plain_lines(admin):
    """No picture where there is no terminal."""
    result = CliRunner().invoke(
        main, ["top", "--url", admin(BEFORE, AFTER), "--count", "1", "--every", "0.1"]
    )

    assert 0 == result.exit_code
    assert "\x1b" not in result.output
    assert "10 per s" in result.output


@pytest.mark.real_time
@pytest.mark.parametrize("answer", [[], {"functions": {}}, None])
def test_what_is_no_engine_is_one_line(admin, answer):
    """Not a traceback."""
    result = CliRunner().invoke(main, ["top", "--url", admin(answer), "--plain"])

    assert 2 == result.exit_code
    assert 1 == result.stderr.count("\n")
    assert "no status of an engine" in result.stderr


@pytest.mark.real_time
@pytest.mark.parametrize("url", ["ftp://x", "nonsense", "http://127.0.0.1:1", "http://127.0.0.1:99999"])
def test_a_wrong_address_is_one_line(url):
    """It names the address."""
    result = CliRunner().invoke(main, ["top", "--url", url, "--plain"])

    assert (2, 1) == (result.exit_code, result.stderr.count("\n"))
    assert url in result.stderr
