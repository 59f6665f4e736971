"""One validator: what `engine serve` refuses, `engine check` refuses in the same words, all at once."""

import json
import os
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from engine.cli.check import check
from engine.cli.serve import serve

APP = "def handler(event, context):\n    return 1\n"
FUNCTION = '[functions.{name}]\nhandler = "app.handler"\n{keys}\n'
EVENT = "[[functions.{name}.events]]\n{keys}\n"


def function(keys: str = "", *events: str, name: str = "f") -> str:
    tables = [EVENT.format(name=name, keys=event) for event in events]
    return "\n".join([FUNCTION.format(name=name, keys=keys), *tables])


def http(path: str, method: str = "GET") -> str:
    return f'type = "http"\nmethod = "{method}"\npath = "{path}"'


BUS_EVENT = 'type = "eventbridge"\npattern = { source = ["s"] }\n'
TRANSFORMER = 'input_transformer = {{ paths = {}, template = "{}" }}'
RULE = '[rules.f]\npattern = {{ source = ["s"] }}\ntargets = [{}]\n'
REFUSED = {
    "a state folder that is somebody else's": (
        '[engine]\nstate_dir = "theirs"\n' + function(),
        "{folder}/theirs: is neither empty nor a state folder of the engine (it holds 'precious')",
    ),
    "a state folder that is a file": (
        '[engine]\nstate_dir = "app.py"\n' + function(),
        "{folder}/app.py: cannot be used as state folder: Not a directory",
    ),
    "a listener at no host": (
        '[engine]\naws = "no.such.host.invalid:0"\n' + function(),
        "engine.aws: 'no.such.host.invalid': ",
    ),
    "a listener at an address of others": (
        '[engine]\naws = "192.0.2.1:0"\n' + function(),
        "engine.aws: error while attempting to bind on address ('192.0.2.1', 0): cannot assign",
    ),
    "an alias twice": (
        function('aliases = ["live", "live"]'),
        "functions.f.aliases: 'live' is named twice",
    ),
    "a route that two functions claim": (
        function("", http("/a/{x}")) + function("", http("/a/{y}"), name="g"),
        "functions.g.events[0]: GET /a/{y} is taken by function 'f'",
    ),
    "two catch-alls": (
        function("", http("$default", "ANY")) + function("", http("/*", "ANY"), name="g"),
        "functions.g.events[0]: ANY $default is taken by function 'f'",
    ),
    "a trace that is not there": (
        function("", 'type = "replay"\nfile = "none.jsonl"'),
        "functions.f.events[0].file: none.jsonl: No such file or directory",
    ),
    "a trace whose first row is wrong": (
        function("", 'type = "replay"\nfile = "wrong.jsonl"'),
        "functions.f.events[0].file: wrong.jsonl:1: ",
    ),
    "a module to preload": (
        function('preload = ["json", "no_such_module"]'),
        "functions.f.preload[1]: no module 'no_such_module' is installed",
    ),
    "a part of one": (
        function('preload = ["json.no_such_part"]'),
        "functions.f.preload[0]: no module 'json.no_such_part' is installed",
    ),
    "a program": (
        function('bootstrap = "no-such-program --flag"'),
        "functions.f.bootstrap: no program 'no-such-program' that can be run",
    ),
    "a program that may not be run": (
        function('bootstrap = "./app.py"'),
        "functions.f.bootstrap: no program './app.py' that can be run",
    ),
    "a stream of a runtime": (
        function('streaming = "generator"\nexecutor = "runtime"'),
        "functions.f.streaming: a program of its own streams over the Runtime API, without this setting",
    ),
    "a durable stream": (
        function('streaming = "generator"\ndurable = { execution_timeout_s = 60 }'),
        "functions.f.streaming: a durable function has one result, at its end",
    ),
    "an observer": (
        '[engine]\nobservers = ["nobody"]\n' + function(),
        "engine.observers[0]: 'nobody' is no observer",
    ),
    "a variable as other frameworks write it": (
        function("", http("/users/:id")),
        "functions.f.events[0].path: path '/users/:id' has ':id', which would be plain text; a variable is",
    ),
    "another": (
        function("", http("/users/<int:id>")),
        "functions.f.events[0].path: path '/users/<int:id>' has '<int:id>', which",
    ),
    "a method": (
        function("", http("/", "GETT")),
        "functions.f.events[0].method: 'GETT' is not an HTTP method, did you mean 'GET'?",
    ),
    "a path that is none": (
        function("", BUS_EVENT + 'input_path = "detail"'),
        "functions.f.events[0].input_path: 'detail' does not begin with $",
    ),
    "a path of a template that is none": (
        function("", BUS_EVENT + TRANSFORMER.format('{ a = "$.b[" }', "<a>")),
        "functions.f.events[0].input_transformer.paths: '$.b[' cannot be read from '[' on",
    ),
    "a template with a name that is not there": (
        function("", BUS_EVENT + TRANSFORMER.format('{ a = "$.b" }', "<b>")),
        "functions.f.events[0].input_transformer: template contains invalid placeholder b",
    ),
    "bounds of the API": (
        function("", BUS_EVENT + TRANSFORMER.format('{ "a b" = "$.b" }', "x")),
        "functions.f.events[0]: Value '{a b=$.b}' at 'targets.1.member.inputTransformer.inputPathsMap' ",
    ),
    "a rule with a FIFO queue": (
        function() + RULE.format('{ to = "sqs:x.fifo" }'),
        "rules.f.targets[0].message_group: is required: a FIFO queue takes no message without one",
    ),
    "a rule with one id twice": (
        function() + RULE.format('{ to = "sqs:a", id = "target-2" }, { to = "sqs:b" }'),
        "rules.f.targets[1].id: 'target-2' is the id of another target of the rule",
    ),
    "a rule with a service that is none": (
        function() + RULE.format('{ to = "foo:q" }'),
        "rules.f.targets[0].to: 'foo:q' is neither an ARN nor one of sqs:NAME, lambda:NAME, sns:NAME, events",
    ),
    "a FIFO queue for dead letters": (
        function() + RULE.format('{ to = "q", dead_letter_queue = "d.fifo" }'),
        "rules.f.targets[0].dead_letter_queue: a FIFO queue cannot be used here (AWS)",
    ),
    "an event with the name of a rule": (
        function("", BUS_EVENT + 'name = "f"') + RULE.format('{ to = "q" }'),
        "functions.f.events[0].name: there is a rule 'f' on bus 'default' already, of the table rules",
    ),
    "logs of a function that is not there": (
        function("", 'type = "logs"\nfunction = "zz"'),
        "functions.f.events[0].function: 'zz' is no function",
    ),
    "a handler that is a file": (
        '[functions.f]\nhandler = "app.py"\n',
        "functions.f.handler: 'app.py' names a file and no function: write 'app.py:NAME'",
    ),
}
WORTH_A_LOOK = {
    "a name that the module does not bind": (
        '[functions.f]\nhandler = "app.hanlder"\n',
        "functions.f.handler: Handler 'hanlder' missing on module 'app', did you mean 'handler'?",
    ),
    "a handler that is a number": (
        '[functions.f]\nhandler = "odd.number"\n',
        "functions.f.handler: Handler 'number' of module 'odd' is of type int, which cannot be called",
    ),
    "a module that is no Python": (
        '[functions.f]\nhandler = "broken.handler"\n',
        "functions.f.handler: Syntax error in module 'broken': ",
    ),
    "a return outside of a function": (
        '[functions.f]\nhandler = "stray.handler"\n',
        "functions.f.handler: Syntax error in module 'stray': 'return' outside function",
    ),
    "a wrapper that is not there": (
        function('environment = { AWS_LAMBDA_EXEC_WRAPPER = "/opt/none" }'),
        "functions.f.environment.AWS_LAMBDA_EXEC_WRAPPER: no program '/opt/none' is there",
    ),
    "snapstart on a thread": (
        function('executor = "thread"\nsnapstart = true'),
        "functions.f.snapstart: ignored: the executor 'thread' starts no processes",
    ),
    "preload for a task": (
        '[functions.f]\nhandler = "odd.task"\npreload = "auto"\n',
        "functions.f.preload: ignored: the executor 'loop' starts no processes",
    ),
    "a layer for another Python": (
        function('layers = ["old"]'),
        "functions.f.layers[0]: '",
    ),
    "two events that overlap": (
        function("", 'type = "s3"\nbucket = "inbox"\nprefix = "a/"')
        + function(
            "", 'type = "s3"\nbucket = "inbox"\nprefix = "a/b"\nevents = ["s3:ObjectCreated:Put"]', name="g"
        ),
        "functions.g.events[0]: overlaps an event of function 'f' on bucket 'inbox'",
    ),
    "a queue that hides messages too briefly": (
        function("timeout_s = 60", 'type = "sqs"\nqueue = "jobs"'),
        "functions.f: queue 'jobs' hides messages for 30 s, less than the timeout of function 'f' (60 s)",
    ),
    "a date that never comes": (
        function("", 'type = "schedule"\nschedule = "cron(0 0 31 2 ? *)"'),
        "functions.f.events[0].schedule: 'cron(0 0 31 2 ? *)' never fires",
    ),
    "a time that is over": (
        function("", 'type = "schedule"\nschedule = "at(2001-01-01T00:00:00)"'),
        "functions.f.events[0].schedule: 'at(2001-01-01T00:00:00)' never fires",
    ),
    "a trace in milliseconds": (
        function("", 'type = "replay"\nfile = "ms.jsonl"'),
        "functions.f.events[0].file: ms.jsonl: there is a wait of 1,000 s among its first 3 rows",
    ),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "odd.py").write_text("number = 7\n\nasync def task(event, context):\n    return 1\n")
    (tmp_path / "broken.py").write_text("def handler(:\n")
    (tmp_path / "stray.py").write_text("def handler(e, c): pass\nreturn 1\n")
    (tmp_path / "old/python/lib/python3.6/site-packages").mkdir(parents=True)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "precious").write_text("mine")
    (tmp_path / "wrong.jsonl").write_text("{}\n")
    (tmp_path / "ms.jsonl").write_text(
        "".join(f'{{"timestamp": {n + 1}000, "payload": 1}}\n' for n in range(3))
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(command, *arguments: str) -> tuple[int, list[str]]:
    result = CliRunner().invoke(command, arguments)
    return result.exit_code, [line.removeprefix("error: ") for line in result.stderr.splitlines()]


@pytest.mark.parametrize("case", REFUSED)
def test_both_refuse_in_the_same_words(folder, case):
    text, line = REFUSED[case]
    (folder / "engine.toml").write_text(text)

    code, checked = said(check, "--config", "engine.toml")
    refused, lines = said(serve, "--config", "engine.toml")
    assert (2, checked) == (refused, [one for one in lines if not one.startswith("warning: ")])
    assert 2 == code
    line = line.replace("{folder}", str(folder))
    assert [line] == [one[: len(line)] for one in checked]


def test_every_problem_at_once(folder):
    names = [f"f{number}" for number in range(len(REFUSED))]
    texts = [re.sub(r"\bf\b", name, REFUSED[case][0]) for name, case in zip(names, REFUSED, strict=True)]
    engine = [text for text in texts if text.startswith("[engine]\nobservers")]
    functions = [text for text in texts if not text.startswith("[engine]") and "functions.g" not in text]
    (folder / "engine.toml").write_text("\n".join([*engine, *functions]))

    _, checked = said(check, "--config", "engine.toml")
    assert (2, checked) == said(serve, "--config", "engine.toml")
    assert len(engine) + len(functions) == len(checked)


@pytest.mark.parametrize("case", WORTH_A_LOOK)
def test_check_warns(folder, case):
    text, line = WORTH_A_LOOK[case]
    (folder / "engine.toml").write_text(text)

    code, checked = said(check, "--config", "engine.toml")
    assert 0 == code
    assert 1 == sum(one.removeprefix("warning: ").startswith(line) for one in checked)


UNCERTAIN = {
    "bound under a condition": "import os\nif os.name: handler = len\n",
    "by a star": "from os.path import *\n",
    "by globals": "globals()['handler'] = print\n",
    "by a module's own __getattr__": "def __getattr__(name): return print\n",
    "by a function": "def make():\n    global handler\n    handler = print\nmake()\n",
    "a literal, and then not": "handler = None\ndef handler(event, context): pass\n",
    "decorated": "import functools\n@functools.cache\ndef handler(event, context): pass\n",
    "by match": "match print:\n    case handler: pass\n",
    "by import": "from os import path as handler\n",
}


@pytest.mark.parametrize("case", UNCERTAIN)
def test_what_is_not_certain_is_not_said(folder, case):
    (folder / "app.py").write_text(UNCERTAIN[case])
    (folder / "engine.toml").write_text(function())

    assert (0, []) == said(check, "--config", "engine.toml")


@pytest.mark.real_time
def test_serve_warns_too(folder):
    (folder / "engine.toml").write_text(WORTH_A_LOOK["a date that never comes"][0])
    anywhere = [part for name in ("http", "aws", "admin") for part in (f"--{name}", "127.0.0.1:0")]
    command = [sys.executable, "-m", "engine", "serve", "--config", "engine.toml", *anywhere]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)
    ) as server:
        assert json.loads(server.stdout.readline())["ready"]
        server.terminate()
        assert b"never fires" in server.stderr.read()


def test_names_that_are_taken_in_the_engines_own_process(folder):
    (folder / "engine").mkdir()
    (folder / "engine" / "__init__.py").write_text("")
    (folder / "engine.toml").write_text(
        function('executor = "thread"') + function('executor = "loop"', name="g") + function(name="h")
    )
    code, checked = said(check, "--config", "engine.toml")
    assert (code, checked) == said(serve, "--config", "engine.toml") != (0, [])
    assert ["functions.f.code", "functions.g.code"] == [line.partition(":")[0] for line in checked]


def test_a_file_as_a_target(folder):
    assert (2, ["app.handler: 'app.py' names a file and no function: write 'app.py:NAME'"]) == said(
        serve, "app.py"
    )


def test_what_is_installed_and_what_can_be_run_is_taken(folder):
    program = folder / "bootstrap.sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (folder / "engine.toml").write_text(
        function('preload = ["json", "email.message", "sys", "pydantic"]')
        + function('bootstrap = "./bootstrap.sh x"', name="g")
        + function('bootstrap = ["python3", "-m", "awslambdaric"]', name="h")
    )
    assert (0, []) == said(check, "--config", "engine.toml")


TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Old:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: old, CompatibleRuntimes: [python3.6]}
  Web:
    Type: AWS::Serverless::HttpApi
    Properties: {StageName: prod, FailOnWarnings: true}
  Rest:
    Type: AWS::Serverless::Api
    Properties: {StageName: prod, FailOnWarnings: true}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Runtime: python3.11
      CodeUri: .
      Layers: [!Ref Old]
      Events:
        Get: {Type: HttpApi, Properties: {Path: "/u/{id}", Method: GET, ApiId: !Ref Web}}
"""


def test_a_template_says_what_of_it_does_not_count_here(folder):
    """Layers for another Python, a key without effect, and a stage that is not in the path."""
    (folder / "template.yaml").write_text(TEMPLATE)
    result = CliRunner().invoke(check, ["--config", "template.yaml"])
    lines = [line.removeprefix("warning: Resources.") for line in result.stderr.splitlines()]

    assert 0 == result.exit_code
    assert "HTTP API, stage prod: AWS's URL has /prod before each path; here paths come without" in (
        result.stdout.splitlines()
    )
    for begin in (
        "Old.Properties.CompatibleRuntimes: it is compatible with python3.6: ",
        "Web.Properties.FailOnWarnings: not supported here, ignored",
        "Rest.Properties.FailOnWarnings: not supported here, ignored",
    ):
        assert 1 == sum(line.startswith(begin) for line in lines), result.stderr
    assert "its modules in python/lib are for python3.6" in result.stderr
