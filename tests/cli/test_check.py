"""`engine check`: exit 0 and what would run, or exit 2 and every problem."""

import io
import json

import pytest
from click.testing import CliRunner

from engine.cli.check import check, print_table
from engine.config import from_targets

GOOD = """
[engine]
admin = "0.0.0.0:9464"

[functions.hello]
handler = "hello.handler"
memory_mb = 256
environment_concurrency = 4

[[functions.hello.events]]
type = "http"
method = "GET"
path = "/hello/{name}"

[functions.jobs]
handler = "hello.handler"
executor = "thread"
timeout_s = 0.5
reserved_concurrency = 10
provisioned_concurrency = 2
overflow = "queue"
queue_limit = 7
"""

BAD = """
[functions.hello]
handler = "helo.handler"
memory_mb = 64
"""

SOURCE = """
from pydantic import BaseModel

class Feed:
    class Settings(BaseModel):
        pass
"""

WARNING = (
    "engine.admin: 0.0.0.0:9464 exposes metrics and status to whoever can reach this machine"
)  # fmt: skip


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Write a configuration and run `engine check` on it."""
    (tmp_path / "hello.py").write_text("raise RuntimeError('never imported here')\n")
    monkeypatch.chdir(tmp_path)

    def _run(text, *options, name="engine.toml"):
        (tmp_path / name).write_text(text)
        return CliRunner().invoke(check, ["--config", name, *options])

    return _run


def test_a_valid_configuration_is_printed_as_plain_lines(run):
    """No box and no colour where there is no terminal; warnings go to stderr."""
    result = run(GOOD)

    assert 0 == result.exit_code
    assert [
        (
            "function  handler        memory  timeout  executor        "
            "concurrency                          events"
        ),
        (
            "hello     hello.handler  256 MB  3 s      process (auto)  "
            "unreserved, 4 per environment        http GET /hello/{name}"
        ),
        (
            "jobs      hello.handler  128 MB  0.5 s    thread          "
            "reserved 10, provisioned 2, queue 7  none: Invoke API only"
        ),
        "",
        "account 000000000000 in us-east-1: 1000 at a time",
        "http at 127.0.0.1:3000",
        "aws at 127.0.0.1:4566",
        "admin at 0.0.0.0:9464",
    ] == result.stdout.splitlines()
    assert f"warning: {WARNING}\n1 warning\n" == result.stderr


def test_json_says_the_same_and_the_defaults(run):
    """One object, on stdout alone."""
    result = run(GOOD, "--json")

    document = json.loads(result.stdout)
    assert (True, "engine.toml", [WARNING]) == (document["ok"], document["file"], document["warnings"])
    assert {"http": "127.0.0.1:3000", "aws": "127.0.0.1:4566", "admin": "0.0.0.0:9464"} == document[
        "listeners"
    ]
    hello, jobs = document["functions"]
    assert (256, 3.0, "auto") == (hello["memory_mb"], hello["timeout_s"], hello["executor"])
    assert ["process", "thread"] == [hello["runs_on"], jobs["runs_on"]]
    assert ("http", "GET", "/hello/{name}") == tuple(
        hello["events"][0][k] for k in ("type", "method", "path")
    )
    assert [] == jobs["events"]
    assert "" == result.stderr


def test_queues_buckets_and_what_lies_beside_the_file_are_known(run, tmp_path):
    """A source of the user's own needs no installation; secrets are not shown."""
    (tmp_path / "feeds_beside.py").write_text(SOURCE)
    text = (
        '[functions.a]\nhandler = "hello.handler"\non_failure = "s3:failed"\n'
        '[[functions.a.events]]\ntype = "feeds_beside:Feed"\n'
        '[queues.jobs]\n[s3]\nintake_token = "secret"\n'
    )
    plain, as_json = run(text), run(text, "--json")
    document = json.loads(as_json.stdout)

    assert (0, 0) == (plain.exit_code, as_json.exit_code)
    assert {"queues: jobs", "buckets: failed"} <= set(plain.stdout.splitlines())
    assert (30, False) == (
        document["queues"]["jobs"]["visibility_timeout_s"],
        document["buckets"]["failed"]["versioning"],
    )
    assert "secret" not in as_json.stdout


def test_every_problem_is_a_line_on_stderr_and_the_exit_code_is_2(run):
    """Never a traceback."""
    result = run(BAD)

    assert (2, "") == (result.exit_code, result.stdout)
    assert [
        "functions.hello.handler: no module 'helo' in",
        "functions.hello.memory_mb: 64 is below 128 (AWS minimum)",
    ] == [line.split(" '/")[0] for line in result.stderr.splitlines()]


def test_problems_are_in_the_json_too(run):
    """A program reads them from stdout, a person from stderr."""
    result = run(BAD, "--json")

    document = json.loads(result.stdout)
    assert (2, False) == (result.exit_code, document["ok"])
    assert document["problems"] == result.stderr.splitlines()


def test_a_template_is_checked_as_well(run):
    """By the same command."""
    text = (
        "Resources:\n  Hello:\n    Type: AWS::Serverless::Function\n"
        "    Properties: {Runtime: python3.13, Handler: hello.handler}\n"
    )

    result = run(text, name="template.yaml")

    assert 0 == result.exit_code
    assert "http ANY $default 2.0" in result.stdout


def test_control_characters_of_a_file_do_not_reach_the_terminal(run):
    """They are shown escaped."""
    result = run('[functions."a\\u001b[31m"]\nhandler = "hello.handler"\n')

    assert 2 == result.exit_code
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize("arguments", [[], ["--config"], ["--config", "nowhere.toml"]])
def test_a_missing_file_is_one_clear_error(run, arguments):
    """As for every mistake on the command line."""
    result = CliRunner().invoke(check, arguments)

    assert 2 == result.exit_code
    assert "Traceback" not in result.output


def test_a_terminal_gets_a_box_in_which_nothing_is_cut_off(run, tmp_path):
    """Long values are folded; square brackets are not taken for markup."""
    (tmp_path / "[bold].py").write_text("")
    out = io.StringIO()
    config = from_targets(["hello.handler", "other=[bold].py:handler"])

    print_table(config, out, boxed=True)

    assert "[bold].py" in out.getvalue()
    assert "…" not in out.getvalue()
    assert "┃" in out.getvalue()


TEMPLATE = """
Parameters: {Stage: {Type: String, Default: dev}, Size: {Type: Number, Default: 128}}
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: hello.handler
      CodeUri: hello.py
      MemorySize: !Ref Size
      Tags: {stage: !Ref Stage}
      VpcConfig: {}
      Tracing: Active
"""


@pytest.mark.parametrize(
    "given",
    [
        ["Stage=prod", "Size=512"],
        ["Stage=prod Size=512"],
        ["Stage=prod", "--parameter-overrides", "Size=512"],
        ["ParameterKey=Stage,ParameterValue=prod", "ParameterKey=Size,ParameterValue=512"],
        ['ParameterKey=Stage,ParameterValue="prod" ParameterKey=Size,ParameterValue=512'],
    ],
)
def test_parameters_are_given_in_every_form_of_awss_tools(run, given):
    """One by one after the option, quoted together, with the option again, and in the long form."""
    result = run(TEMPLATE, "--parameter-overrides", *given, "--json", name="template.yaml")

    [hello] = json.loads(result.stdout)["functions"]
    assert (512, {"stage": "prod"}) == (hello["memory_mb"], hello["tags"])


def test_what_is_not_read_of_a_template_is_counted(run):
    """A line each, and how many they are."""
    result = run(TEMPLATE, name="template.yaml")

    assert [
        "warning: Resources.Hello.Properties.VpcConfig: not supported here, ignored",
        "warning: Resources.Hello.Properties.Tracing: not supported here, ignored",
        "2 warnings",
    ] == result.stderr.splitlines()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("Stage", "--parameter-overrides: 'Stage' is neither KEY=VALUE nor ParameterKey=KEY,ParameterValue="),
        ("Stag=x", "Parameters.Stag: a value is given, but there is no such parameter, did you mean "),
        ("Size=big", "Parameters.Size: 'big' is not a number"),
    ],
)  # fmt: skip
def test_a_value_that_no_parameter_can_have_is_a_problem(run, given, problem):
    """On the command line, unlike in samconfig.toml, a name that the template has not is a mistake."""
    result = run(TEMPLATE, "--parameter-overrides", given, name="template.yaml")

    assert 2 == result.exit_code
    assert any(line.startswith(problem) for line in result.stderr.splitlines())


def test_the_cpu_law_in_force_and_its_mechanism_are_said(run):
    """And which functions it cannot hold."""
    text = GOOD.replace("[engine]", '[engine]\ncpu = "lambda"')
    told = run(text).stdout
    document = json.loads(run(text, "--json").stdout)

    assert "cpu: lambda, by " in told
    assert ", not for jobs: only process can" in told
    assert "lambda" == document["engine"]["cpu"]
    assert document["engine"]["cpu_by"] in ("cpu.max", "cpu.cfs_quota_us", "duty cycle")


def test_without_the_law_nothing_is_said_of_it(run):
    assert "cpu:" not in run(GOOD).stdout
    assert json.loads(run(GOOD, "--json").stdout)["engine"]["cpu_by"] is None
