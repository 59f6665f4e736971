"""`engine events`, and `--event SOURCE:FIELD=VALUE,...` of the commands that invoke."""

import json

import pytest
from click.testing import CliRunner

from engine.cli import main
from engine.sources.samples.catalogue import SOURCES
from engine.testing import events

HANDLER = """
async def handler(event, context):
    return event

async def one(event, context):
    [record] = event["Records"]
    seen.append(record["messageId"] + record["attributes"]["SentTimestamp"])
    assert len({one[:36] for one in seen}) == len(seen), "an id came twice"
    return record["body"]

seen = []
"""


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """`cli(*words)`: the command in a folder with `app.py`."""
    (tmp_path / "app.py").write_text(HANDLER)
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, list(words))


def test_every_source_is_listed_with_one_line(cli):
    """In the order of the catalogue."""
    lines = cli("events").stdout.splitlines()

    assert [f"{name} {one.about}" for name, one in SOURCES.items()] == [
        " ".join(one.split()) for one in lines
    ]


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_prints_an_event_and_its_fields(cli, source):
    """The event is JSON, the same each time; each field has its line."""
    printed, again, fields = cli("events", source), cli("events", source), cli("events", source, "--fields")

    assert json.loads(printed.stdout) == json.loads(again.stdout)
    assert ["field", *(one.name for one in SOURCES[source].fields)] == [
        line.split()[0] for line in fields.stdout.splitlines()
    ]


def test_fields_are_set_by_words(cli, tmp_path):
    """Text, JSON and files."""
    (tmp_path / "order.json").write_text('{"id": 7}')
    printed = cli("events", "sns", "message=@order.json", "subject=orders, and more")

    assert events.sns({"id": 7}, subject="orders, and more") == json.loads(printed.stdout)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sqz",), "error: no source 'sqz', did you mean 'sqs'?"),
        (("sqs", "bdy=1"), "error: sqs: no field 'bdy', did you mean 'body'?"),
        (("sqs", "body"), "error: 'body' is not FIELD=VALUE"),
        (("kinesis", "data=@/bin/true"), "error: data: /bin/true: not a text in UTF-8"),
        (
            ("sqs", "queue=bad name!"),
            "error: sqs: queue: 'bad name!' does not match [A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\\.fifo",
        ),
    ],
)
def test_what_is_wrong_is_one_line(cli, words, said):
    """And the exit code that of usage."""
    done = cli("events", *words)

    assert (2, said) == (done.exit_code, done.stderr.strip())


def test_invoke_gives_the_handler_an_event_of_the_source(cli):
    """On virtual time it is the same on every run, else it has ids of its own."""
    words = ("invoke", "app.handler", "--event", 'sqs:body={"id": 7},queue=orders')
    first, second = (json.loads(cli(*words, "--virtual-time").stdout) for _ in range(2))
    third, fourth = (json.loads(cli(*words).stdout)["Records"][0] for _ in range(2))

    assert first == second
    assert events.sqs({"id": 7}, queue="orders")["Records"][0].keys() == first["Records"][0].keys()
    assert '{"id":7}' == third["body"]
    assert third["messageId"] != fourth["messageId"]


def test_a_file_of_that_name_comes_first(cli, tmp_path):
    """As before there were sources."""
    (tmp_path / "sqs").write_text('{"from": "file"}')

    assert {"from": "file"} == json.loads(cli("invoke", "app.handler", "--event", "sqs").stdout)


@pytest.mark.real_time
def test_simulate_gives_each_live_invocation_an_event_of_its_own(cli):
    """The handler fails at an id that it has seen."""
    words = ("--traffic", "constant:20", "--executor", "loop", "--event", "sqs")
    done = cli("simulate", *words, "--seconds", "1", "--live", "app.one")

    assert 0 == done.exit_code, done.output


@pytest.mark.parametrize(
    "command", [("tune",), ("simulate", "--traffic", "constant:1", "--live"), ("replay",)]
)
def test_each_command_refuses_what_is_no_event(cli, tmp_path, command):
    """With the same line."""
    (tmp_path / "app.one").write_text('{"timestamp": 1}\n')
    done = cli(*command, "app.one", "--event", "sqs:quee=1")

    assert (2, "error: --event sqs: no field 'quee', did you mean 'queue'?") == (
        done.exit_code,
        done.stderr.strip(),
    )
