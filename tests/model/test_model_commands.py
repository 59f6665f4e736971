"""`engine cost`, `plan` and `simulate`: what they print, the files they write, and how mistakes are told."""

from __future__ import annotations

import json
import re
import shlex
from decimal import Decimal
from html import unescape

import pytest
from click.testing import CliRunner

from engine.cli import COMMANDS, main

VEHICLES = "--requests 7440000 --duration-ms 2000 --memory-mb 1024"
PROVISIONED = "--requests 0 --memory-mb 4096 --provisioned 7 --provisioned-hours 24"


def run(*words, code=0):
    done = CliRunner().invoke(main, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception

    assert code == done.exit_code, done.output
    return done


def document(*words, code=0):
    return json.loads(run(*words, "--json", code=code).stdout)


def one_line(done):
    """The only line of stderr."""
    (line,) = done.stderr.splitlines()
    return line


def test_every_command_is_found_where_it_is_said_to_be():
    """`--help` of each."""
    listed = run("--help").output
    for name in COMMANDS:
        assert name in listed
        assert "Usage" in run(name, "--help").output


def test_an_unknown_command_is_no_traceback():
    """It is told, with exit code 2."""
    assert "No such command" in run("prise", code=2).stderr


# ---------------------------------------------------------------- cost


@pytest.mark.parametrize(
    ("words", "usd"),
    [
        ("--requests 3000000 --duration-ms 120 --memory-mb 1536 --free-tier", "2.73"),
        (VEHICLES, "249.49"),
        ("--requests 6000000 --duration-ms 280 --memory-mb 4096 --storage-mb 2048 --free-tier", "106.41"),
        (f"{PROVISIONED} --provisioned-requests 2000000 --provisioned-ms 280", "32.26"),
        (f"{VEHICLES} --snapstart --cold-starts 74400 --days 31", "263.92"),
    ],
)
def test_the_worked_examples_of_aws(words, usd):
    """OD-1 to OD-3, PC-2 and SS-1 of the pricing page, to the cent."""
    assert usd == document("cost", *words.split())["usd_printed"]


def test_a_bill_for_people():
    """Dearest line first, the total, a million requests, and where prices are from."""
    text = run("cost", "--requests", 1_000_000, "--front-door", "http", "--log-bytes", 1000).stdout

    assert text.index("apigateway.http") < text.index("logs.cloudwatch") < text.index("total")
    assert "for a million requests" in text
    assert "prices: us-east-1, AWS Price List" in text


def test_a_price_file_takes_the_place_of_prices(tmp_path):
    """Exactly, whatever digits it has; the rest is as shipped."""
    file = tmp_path / "prices.json"
    file.write_text('{"published": "2030-01-01", "meters": {"lambda.requests": 0.00000030000000000000001}}')
    found = document("cost", "--requests", 1_000_000, "--duration-ms", 0, "--prices", file)

    assert Decimal("0.30000000000000001") == Decimal(found["usd"])
    assert "2030-01-01" == found["prices"]["published"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is no JSON"),
        ("[]", "must be a JSON object"),
        ('{"meters": {"lambda.request": 1}}', "meters.lambda.request: no such meter, did you mean"),
        ('{"meters": {"lambda.requests": -1}}', "meters.lambda.requests"),
        ('{"region": "mars"}', "region: the prices are for"),
    ],
)
def test_a_price_file_that_is_none(tmp_path, text, problem):
    """One clear line with the file, the key and what is wrong."""
    file = tmp_path / "prices.json"
    file.write_text(text)
    line = one_line(run("cost", "--requests", 1, "--prices", file, code=2))

    assert line.startswith(f"error: {file}: ")
    assert problem in line


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("--requests 1 --region mars", "region 'mars': no prices known"),
        ("--requests 1 --region us-east-2x", "region 'us-east-2x'"),
        ("--requests 1 --prices /nowhere", "/nowhere: No such file"),
        ("--requests 1 --cold-starts 2", "--cold-starts 2: more than --requests 1"),
        ("--requests 1 --provisioned-requests 2", "there is no --provisioned"),
        ("--requests 1 --savings-plan no-upfront --region eu-west-1", "savings plan"),
    ],
)
def test_what_cannot_be_priced_is_one_line(words, problem):
    """And exit code 2."""
    line = one_line(run("cost", *words.split(), code=2))

    assert line.startswith("error: ")
    assert problem in line


def test_old_prices_are_a_warning():
    """Those of a region that were published years ago; the bill is on stdout all the same."""
    done = run("cost", "--requests", 1, "--region", "sa-east-1")

    assert "warning: the prices of sa-east-1 are" in one_line(done)
    assert "total" in done.stdout


@pytest.mark.parametrize("words", ["--requests -3", "--requests many", "--requests 1 --memory-mb 64", ""])
def test_options_out_of_range(words):
    """As click tells it: the option, the value, the range."""
    assert "Error: " in run("cost", *words.split(), code=2).stderr


def test_a_budget_that_is_broken():
    """Exit code 3, and the bill all the same."""
    done = run("cost", "--requests", 10**9, "--budget", 100, code=3)

    assert "total" in done.stdout
    assert "above the budget of $100.00" in one_line(done)


# ---------------------------------------------------------------- plan


def test_a_plan_names_its_method_its_error_and_its_prices():
    """And all that follows: more traffic, provisioned concurrency, recommendations."""
    found = document("plan", "--traffic", 1000, "--duration-ms", "exp:100")

    assert ("analytic", "ok") == (found["method"], found["verdict"])
    assert "exact for Poisson" in found["error"]
    assert 7 == len(found["traffic_times"])
    assert 9712.04 == pytest.approx(found["limit_crossed_at_requests_per_s"], abs=0.01)
    assert 4 == len(found["provisioned"])
    assert "us-east-1" == found["cost"]["prices"]["region"]


@pytest.mark.parametrize(
    "traffic", ["constant:50", "sine:1000:500:86400", "step:10:5000:600", "onoff:100:60:60"]
)
def test_a_plan_for_any_traffic(traffic):
    """For people."""
    text = run("plan", "--traffic", traffic, "--reserved", 200, "--provisioned", 20).stdout

    assert "cold starts" in text
    assert "a month of 30 days" in text


def test_an_objective_that_is_not_kept():
    """Exit code 3, and the verdict first."""
    done = run(
        "plan", "--traffic", 100, "--p99-ms", 50, "--cold", 1, "--throttles", 1, "--budget", 9999, code=3
    )

    assert done.stdout.startswith("FAILS    p99 (ms): 100, at most 50 asked for")
    assert 3 == done.stdout.count("OK  ")


def test_a_report_stands_alone(tmp_path):
    """One file: no script, no address, the document inside; the charts of traffic that moves."""
    file = tmp_path / "report.html"
    found = document("plan", "--traffic", "sine:100:50:3600", "--html", file)
    text = file.read_text()
    data = text.partition('id="data">')[2].partition("</script>")[0]

    assert found == json.loads(data)
    assert 5 <= text.count("<svg")
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "src=" not in text


@pytest.mark.parametrize(
    "words",
    [
        "plan --traffic 50 --container 0.05 --find reserved --throttles 1",
        "plan --traffic onoff:20:60:60 --hours 1 --errors 1 --container fargate:1:2",
        "plan --traffic 50 --beside pay\\ --traffic\\ onoff:9:60:60\\ --reserved\\ 5 --throttles 50",
        "plan --traffic 1 --cpu-ms 1 --memory-mb 512 --find memory",
        "simulate --traffic 5 --seconds 9 --compare --cold 100",
        "simulate --population 3 --seconds 600 --timeout-s 900",
    ],
)
def test_a_page_has_all_that_the_terminal_shows(tmp_path, words):
    """Each cell of each line; assumptions, notes and the bill of the run too."""
    file = tmp_path / "report.html"
    done = run(*shlex.split(words), "--html", file)
    page = unescape(file.read_text().partition("<script")[0])
    cells = {cell for line in done.stdout.splitlines() for cell in re.split(r"\s{2,}", line.lstrip("-* "))}

    assert [] == sorted(cell for cell in cells if cell not in page)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("--traffic 10 --provisioned 2000", "--provisioned 2000: more than the 1000"),
        ("--traffic 10 --reserved 2000", "--reserved 2000: more than --concurrency-limit 1000"),
        ("--traffic 10 --html /nowhere/report.html", "/nowhere/report.html: No such file"),
        ("--traffic 10 --region atlantis", "region 'atlantis'"),
    ],
)
def test_what_cannot_be_planned_is_one_line(words, problem):
    """And exit code 2."""
    assert problem in one_line(run("plan", *words.split(), code=2))


@pytest.mark.parametrize(
    "words", ["--traffic -5", "--traffic wave:3", "--traffic 5 --duration-ms exp:x", "--traffic 5 --cold 300"]
)
def test_a_law_or_shape_that_is_none(words):
    """As click tells it."""
    assert "Error: Invalid value" in run("plan", *words.split(), code=2).stderr


# ---------------------------------------------------------------- simulate


def test_the_same_seed_gives_the_same_answer():
    """And another one another."""
    words = ("simulate", "--traffic", "50", "--seconds", 60, "--duration-ms", "exp:100")

    assert document(*words) == document(*words)
    assert document(*words) != document(*words, "--seed", 2)


def test_rules_and_kernel_agree():
    """Same requests, same cold starts, same bill."""
    words = ("simulate", "--traffic", "50", "--seconds", 20, "--duration-ms", "exp:100")
    rules, fast = document(*words, "--method", "rules"), document(*words, "--method", "fast")

    for name in ("requests", "cold_starts", "response", "billed_ms", "cost"):
        assert rules[name] == fast[name]


@pytest.mark.parametrize(
    "words",
    [
        "--asynchronous --errors 5 --crashes 1",
        "--sqs-batch 10",
        "--environment-concurrency 10 --overflow queue",
        "--reserved 3 --scaling-rate 1",
        "--provisioned 5",
    ],
)
def test_what_the_rules_know_can_be_simulated(words):
    """All of it, for people."""
    text = run("simulate", "--traffic", 20, "--seconds", 30, *words.split()).stdout

    assert "simulated: the live rules" in text
    assert "seed 1" in text


def test_policies_are_compared(tmp_path):
    """A row for each, and the front as a chart."""
    file = tmp_path / "report.html"
    words = ("--traffic", "onoff:20:10:20", "--seconds", 60, "--compare", "--html", file)
    found = document("simulate", *words)

    assert 9 == len(found["policies"])
    assert any(one["efficient"] for one in found["policies"])
    assert "down and left is better" in file.read_text()


def test_a_trace_of_events_is_played(tmp_path):
    """JSON Lines: its functions, busiest first."""
    file = tmp_path / "trace.jsonl"
    file.write_text(
        "".join(
            f'{{"timestamp": {at}, "function": "{name}"}}\n' for at, name in [(9, "a"), (5, "b"), (6, "a")]
        )
    )
    found = document("simulate", "--trace", file)

    assert ["a", "b"] == list(found["functions"])
    assert 4.1 == found["horizon_s"]  # to the last completion
    assert 2 == found["functions"]["a"]["requests"]


def test_functions_have_the_limits_of_a_configuration(tmp_path):
    """Those it names; the account is its own."""
    trace, config = tmp_path / "trace.csv", tmp_path / "engine.toml"
    trace.write_text("timestamp,function\n" + "1,a\n1,b\n" * 5)
    config.write_text(
        "[engine]\nconcurrency_limit = 110\n"
        '[functions.a]\nhandler = "handlers.hello.handler"\nreserved_concurrency = 2\n'
    )
    functions = document("simulate", "--trace", trace, "--config", config)["functions"]

    assert {"function_limit": 3} == functions["a"]["throttles"]["by_reason"]
    assert {} == functions["b"]["throttles"]["by_reason"]
    assert "nowhere.toml" in run("simulate", "--traffic", 1, "--config", "/nowhere.toml", code=2).stderr


def test_a_population_is_played():
    """Those that are called in that time, each with its own memory."""
    found = document("simulate", "--population", 40, "--seconds", 600, "--timeout-s", 60)

    assert 2 <= len(found["functions"])


def test_a_prediction_beside_what_was_observed(tmp_path):
    """The figures that both have, and how far they are apart."""
    file = tmp_path / "observed.json"
    file.write_text('{"requests": 600, "p50_ms": 100, "concurrency": 2}')
    words = ("simulate", "--traffic", "constant:20", "--seconds", 30, "--observed", file)
    rows = document(*words)["predicted_and_observed"]

    assert ["requests", "concurrency", "p50_ms"] == [row["name"] for row in rows]
    assert 0 == pytest.approx(max(abs(row["difference"]) for row in rows), abs=0.01)
    run(*words, "--within", 1)
    file.write_text('{"concurrency": 3}')
    run(*words, "--within", 10, code=3)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("", "say what comes: one of --traffic, --trace and --population"),
        ("--traffic 1 --population 3", "say what comes"),
        ("--trace /nowhere.jsonl", "/nowhere.jsonl: No such file"),
        ("--trace /nowhere.csv --layout azure2021", "/nowhere.csv: No such file"),
        ("--traffic 1000000 --seconds 1000", "too many to simulate"),
        (
            "--traffic 10 --seconds 9 --method fast --sqs-batch 5",
            "--method fast: events come through a queue",
        ),
        ("--traffic 10 --seconds 9 --compare --provisioned 3", "--compare: "),
        ("--traffic 10 --observed /nowhere", "/nowhere: No such file"),
        ("--population 3 --live handlers.hello.handler", "--live: needs --traffic"),
    ],
)
def test_what_cannot_be_simulated_is_one_line(words, problem):
    """And exit code 2."""
    line = one_line(run("simulate", *words.split(), code=2))

    assert line.startswith("error: ")
    assert problem in line


@pytest.mark.parametrize(
    ("name", "layout", "text", "place"),
    [
        ("t.jsonl", "events", '{"timestamp": 1}\n{"timestamp": "soon"}\n', "t.jsonl:2: timestamp"),
        (
            "t.csv",
            "azure2021",
            "app,func,end_timestamp,duration\na,f,1,1\na,f,x,1\n",
            "t.csv:3: end_timestamp",
        ),
        ("t.csv", "azure2019", "HashFunction,1,2\nf,1,2\nf,1\n", "t.csv:3: has 2 fields, not 3"),
    ],
)
def test_a_malformed_trace_is_one_line_with_its_number(tmp_path, name, layout, text, place):
    """File, line, what is wrong."""
    file = tmp_path / name
    file.write_text(text)
    line = one_line(run("simulate", "--trace", file, "--layout", layout, code=2))

    assert place in line


OWN = """timestamp,function,duration_ms,memory_mb,status
2026-11-02T10:00:00.000Z,pay,118,512,ok
2026-11-02T10:00:00.350Z,pay,121,512,ok
2026-11-02T10:00:01.020Z,ship,2010,1024,error
2026-11-02T10:00:01.020Z,pay,97,512,ok
2026-11-02T10:00:09.500Z,ship,1990,1024,ok
"""
REPORT = "REPORT RequestId: {}\tDuration: {} ms\tBilled Duration: {} ms\tMemory Size: 512 MB\t{}\n"


def log_of(tmp_path, lines, time="2026-11-02T10:00:{:02}Z "):
    file = tmp_path / "report.log"
    file.write_text("".join(time.format(at) + REPORT.format(at, *facts) for at, facts in enumerate(lines)))
    return file


def test_a_trace_with_durations_memory_and_endings_is_billed_as_it_says(tmp_path):
    """By an independent program: 4.168 GB-s, five requests; the window ends with the last call."""
    file = tmp_path / "own.csv"
    file.write_text(OWN)
    found = document("simulate", "--trace", file, "--init-ms", 0)

    assert 7.0467e-5 == pytest.approx(float(found["cost_of_run"]["usd"]), rel=1e-4)
    assert 11.49 == pytest.approx(found["horizon_s"])
    assert 0.377 == pytest.approx(found["in_flight"], abs=1e-3)


def test_what_a_trace_says_is_not_said_twice(tmp_path):
    """An option that would change nothing is refused."""
    file = tmp_path / "own.csv"
    file.write_text(OWN)
    for word, value in (("--duration-ms", 200), ("--memory-mb", 256), ("--errors", 2)):
        line = one_line(run("simulate", "--trace", file, word, value, code=2))

        assert f"error: {word}: would change nothing: the trace says it of each call" == line


def test_report_lines_are_played(tmp_path):
    """Durations, initialisations, memory; what timed out times out here, at the limit that it shows."""
    lines = [(100, 350, "Init Duration: 250 ms"), (50, 50, ""), (5000, 5000, "Status: timeout")]
    found = document("simulate", "--trace", log_of(tmp_path, lines))

    assert 3 == found["requests"]
    assert 1 / 3 == pytest.approx(found["failures"]["timeouts"])
    assert any("its time-out is 5 s" in one for one in found["assumptions"])


def test_a_time_out_takes_the_limit_where_no_duration_is_said(tmp_path):
    """The one of --timeout-s; a crash takes its environment with it."""
    file = tmp_path / "own.csv"
    file.write_text("timestamp,status,duration_ms\n0,timeout,\n10,crash,100\n20,ok,100\n")
    found = document("simulate", "--trace", file, "--timeout-s", 2, "--init-ms", 0)

    assert 2200 == found["billed_ms"]
    assert 3 == found["environments"]["created"]
    assert (2 / 3, 1 / 3) == pytest.approx((found["failures"]["share"], found["failures"]["timeouts"]))


def test_wrong_lines_are_left_out_where_that_is_asked_for(tmp_path):
    """With a warning; else they are one line, with their number."""
    file = tmp_path / "own.csv"
    file.write_text(OWN + "soon,pay,1,512,ok\n" * 3)
    line = one_line(run("simulate", "--trace", file, code=2))
    left = run("simulate", "--trace", file, "--skip-wrong-lines")

    assert f"error: {file}:7: timestamp: 'soon' is neither" in line
    assert "(3 lines are wrong; also 8, 9)" in line
    assert f"warning: {file}: 3 wrong lines left out; line 7" in left.stderr


def test_environments_initialise_like_those_of_a_file(tmp_path):
    """Of cold starts, or of any trace that has initialisations."""
    file = tmp_path / "cold.csv"
    file.write_text("day,time,totalCost_cold_start\n0,1,2\n0,2,2\n")
    words = ("--traffic", 0.1, "--keep-alive-s", 1, "--seconds", 300)
    found = document("simulate", *words, "--init-times", file)

    assert 2100 == pytest.approx(found["response"]["cold"]["mean_ms"])
    assert "holds cold starts only" in one_line(run("simulate", "--trace", file, code=2))


def test_a_plan_is_held_against_report_lines(tmp_path):
    """As long as they last, with what they show where nothing was said; exit code 3 if they are apart."""
    lines = [(100, 350, "Init Duration: 250 ms"), *[(80 + at, 80 + at, "") for at in range(59)]]
    file = log_of(tmp_path, lines)
    found = document("plan", "--traffic", 1, "--against", file)
    rows = {row["name"]: row for row in found["predicted_and_observed"]}

    assert 59.349 + 0.1 == pytest.approx(found["horizon_s"], abs=0.35)
    assert (60, 1) == (rows["requests"]["observed"], rows["cold_starts"]["observed"])
    assert rows["billed_ms"]["observed"] == sum(facts[1] for facts in lines)
    assert abs(rows["concurrency"]["difference"]) < 0.03
    assert 0.02 > abs(rows["p50_ms"]["difference"])
    assert {"mean_ms", "p90_ms", "p95_ms", "p99_ms", "cost_usd"} <= set(rows)
    assert ["durations", "initialisations", "memory (512 MB)", "time-out (3 s)"] == found[
        "taken_from_the_log"
    ]
    run("plan", "--traffic", 2, "--against", file, "--within", 10, code=3)


def test_report_lines_without_a_time_need_to_be_told_how_long_they_cover(tmp_path):
    """This engine's text log has such; it is no trace, either."""
    file = log_of(tmp_path, [(100, 100, "")] * 36, time="")
    found = document("plan", "--traffic", 1, "--against", file, "--hours", 0.01)
    rows = {row["name"]: row for row in found["predicted_and_observed"]}

    assert (36, 0.1) == pytest.approx((rows["requests"]["predicted"], rows["concurrency"]["observed"]))
    assert "say by --hours" in one_line(run("plan", "--traffic", 1, "--against", file, code=2))
    assert f"{file}:1: REPORT has no time" in one_line(run("simulate", "--trace", file, code=2))


@pytest.mark.parametrize(
    ("text", "words", "problem"),
    [
        (OWN, "", "has several functions: choose one by --function (pay, ship)"),
        (OWN, "--function x", "has no function 'x' (it has: pay, ship)"),
        ("timestamp\n1\n", "", ":2: has no duration"),
        ("timestamp,duration_ms\n1,x\n", "", ":2: duration_ms: 'x' is not a number"),
        ("timestamp,duration_ms\n", "", "no invocation in it"),
    ],
)
def test_a_log_that_cannot_be_held_against_a_plan_is_one_line(tmp_path, text, words, problem):
    """And exit code 2."""
    file = tmp_path / "t.csv"
    file.write_text(text)
    line = one_line(run("plan", "--traffic", 1, "--against", file, *words.split(), code=2))

    assert line.startswith(f"error: {file}")
    assert problem in line
