"""engine.toml: what is right becomes a frozen Config, what is wrong becomes one line each."""

import dataclasses

import pytest

from engine.config import Listener, load_config
from engine.core.function import Account, DurableConfig, Function
from engine.errors import ConfigError
from engine.registry import EXECUTORS
from engine.registry import SOURCES as REGISTERED

KNOWN = ", ".join(("auto", *sorted(EXECUTORS)))
SOURCES = ", ".join(sorted(REGISTERED))

FUNCTION = '[functions.f]\nhandler = "handlers.hello.handler"\n'


def problems(path):
    """The lines of the error that loading `path` raises."""
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return list(caught.value.problems)


def test_a_function_needs_no_more_than_a_handler(write, project):
    """Every other key has the default of `Function`, the engine that of `Account`."""
    config = load_config(write("engine.toml", FUNCTION))

    [function] = config.functions
    assert Account() == config.account
    expected = Function("f", handler="handlers.hello.handler", code=str(project), events=function.events)
    assert expected == function
    assert ("text", 10.0, ()) == (config.log_format, config.grace_s, config.warnings)
    assert {
        "http": Listener("127.0.0.1", 3000),
        "aws": Listener("127.0.0.1", 4566),
        "admin": Listener("127.0.0.1", 9464),
    } == dict(config.listeners)


def test_the_example_of_the_contract_loads(write, project):
    """Every key of the documented example arrives where it belongs."""
    config = load_config(
        write(
            "engine.toml",
            """
[engine]
region = "us-east-1"
account_id = "000000000000"
concurrency_limit = 1000
scaling_rate = 1000
log_format = "text"

[functions.orders]
handler = "handlers.orders.handler"
code = "."
executor = "auto"
memory_mb = 512
timeout_s = 30
reserved_concurrency = 100
provisioned_concurrency = 0
environment_concurrency = 1
keep_alive_s = 300
overflow = "throttle"
cold_start = "measured"
environment = { TABLE = "orders" }
tags = { team = "shop" }

[functions.hello]
handler = "handlers.hello.handler"

[[functions.hello.events]]
type = "http"
method = "GET"
path = "/hello/{name}"
payload_format = "2.0"
""",
        )
    )

    orders, hello = config.functions
    expected = Function(
        "orders",
        handler="handlers.orders.handler",
        code=str(project),
        memory_mb=512,
        timeout_s=30,
        reserved_concurrency=100,
        environment={"TABLE": "orders"},
        tags={"team": "shop"},
    )
    assert expected == orders
    assert ("http",) == tuple(config.bindings)
    [binding] = config.bindings["http"]
    assert hello is binding.function
    assert ("GET", "/hello/{name}") == (binding.settings.method, binding.settings.path)


def test_the_only_function_without_events_gets_every_route(write):
    """Like a Function URL."""
    config = load_config(write("engine.toml", FUNCTION))

    [binding] = config.bindings["http"]
    assert ("ANY", "$default", "2.0") == (
        binding.settings.method,
        binding.settings.path,
        binding.settings.payload_format,
    )


def test_one_of_several_functions_without_events_gets_no_route(write):
    """It is reached by the Invoke API."""
    text = FUNCTION + '[functions.g]\nhandler = "handlers.orders.handler"\n'

    assert {} == dict(load_config(write("engine.toml", text)).bindings)


def test_a_source_of_the_users_own_checks_its_own_table(write):
    """`type` may be `module:Class`; its `Settings` validates the rest."""
    text = FUNCTION + '[[functions.f.events]]\ntype = "feeds_of_user:FeedSource"\nevery_s = 0.5\n'

    config = load_config(write("engine.toml", text))

    [binding] = config.bindings["feeds_of_user:FeedSource"]
    assert (0.5, "fast") == (binding.settings.every_s, binding.settings.mode)


def test_code_is_relative_to_the_file_not_to_the_working_directory(write, project):
    """The same file means the same wherever the engine is started."""
    (project / "deploy").mkdir()
    path = write("deploy/engine.toml", FUNCTION + 'code = ".."\n')

    assert str(project) == load_config(path).functions[0].code


@pytest.mark.parametrize("handler", ["handlers/hello.handler", "handlers/hello.py:handler", "json.tool.main"])
def test_each_notation_of_a_handler_is_found(write, handler):
    """With slashes, as a file, or on sys.path only."""
    path = write("engine.toml", f'[functions.f]\nhandler = "{handler}"\n')

    assert handler == load_config(path).functions[0].handler


NO_ORIGIN = "is no origin such as 'https://app.example.com': scheme, host and port alone"
ENGINE = [
    ("region = 'mars-1'", "engine.region: 'mars-1' is not an AWS region name such as 'us-east-1'"),
    ("account_id = '12'", "engine.account_id: '12' is not an AWS account id (12 digits)"),
    ("account_id = 123456789012", "engine.account_id: 123456789012 is not a string"),
    ("concurrency_limit = 0", "engine.concurrency_limit: 0 is below 1 (minimum)"),
    ("concurrency_limit = 1.5", "engine.concurrency_limit: 1.5 is not a whole number"),
    ("concurrency_limit = true", "engine.concurrency_limit: true is not a whole number"),
    ("scaling_rate = -1", "engine.scaling_rate: -1 is below 0 (minimum)"),
    ("log_format = 'txt'", "engine.log_format: 'txt' is not 'text', 'json' or 'off', did you mean 'text'?"),
    ("grace_s = -0.5", "engine.grace_s: -0.5 is below 0 (minimum)"),
    ("grace_s = nan", "engine.grace_s: nan is not a finite number"),
    ("http = 3000", "engine.http: 3000 is not of the form 'HOST:PORT'"),
    ("http = ':3000'", "engine.http: ':3000' is not of the form 'HOST:PORT', such as '127.0.0.1:3000'"),
    ("http = '127.0.0.1:65536'", "engine.http: '65536' in '127.0.0.1:65536' is not a port (0 to 65535)"),
    ("aws = '127.0.0:1'", "engine.aws: '127.0.0' in '127.0.0:1' is not a host name or address"),
    (
        "aws = '::1:80'",
        "engine.aws: '::1:80': an IPv6 address, and only that, stands in brackets: '[::1]:3000'",
    ),
    ("hosts = ['http://x']", "engine.hosts[0]: 'http://x' is not the name of a host"),
    ("hosts = ['x:80']", "engine.hosts[0]: 'x:80' is not the name of a host"),
    ("hosts = ['*.x']", "engine.hosts[0]: '*.x' is not the name of a host"),
    *(
        (f"allowed_origins = ['{wrong}']", f"engine.allowed_origins[0]: '{wrong}' {NO_ORIGIN}")
        for wrong in (
            "*",
            "null",
            "app.example.com",
            "https://a.test/",
            "https://*.a.test",
            "https://u@a.test",
        )
    ),
    ("admin = '127.0.0.1:3000'", "engine.admin: 127.0.0.1:3000 is taken by 'http'"),
    ("regoin = 'us-east-1'", "engine.regoin: unknown key, did you mean 'region'?"),
    ("zzz = 1", "engine.zzz: unknown key"),
]


@pytest.mark.parametrize(("line", "problem"), ENGINE)
def test_a_wrong_key_of_the_engine_is_one_line(write, line, problem):
    """Key, value, bound and the nearest valid name."""
    assert [problem] == problems(write("engine.toml", f"[engine]\n{line}\n{FUNCTION}"))


FUNCTIONS = [
    ("memory_mb = 64", "memory_mb: 64 is below 128 (AWS minimum)"),
    ("memory_mb = 10241", "memory_mb: 10241 is above 10240 (AWS maximum)"),
    ("memory_mb = '512'", "memory_mb: '512' is not a whole number"),
    ("timeout_s = 0", "timeout_s: 0 must be more than 0 (AWS minimum)"),
    ("timeout_s = 900.5", "timeout_s: 900.5 is above 900 (AWS maximum)"),
    ("timeout_s = inf", "timeout_s: inf is not a finite number"),
    ("timeout_s = true", "timeout_s: true is not a number"),
    ("reserved_concurrency = -1", "reserved_concurrency: -1 is below 0 (minimum)"),
    ("provisioned_concurrency = -1", "provisioned_concurrency: -1 is below 0 (minimum)"),
    ("environment_concurrency = 0", "environment_concurrency: 0 is below 1 (AWS minimum)"),
    ("environment_concurrency = 1601", "environment_concurrency: 1601 is above 1600 (AWS maximum)"),
    ("keep_alive_s = -1", "keep_alive_s: -1 is below 0 (minimum)"),
    ("queue_limit = -1", "queue_limit: -1 is below 0 (minimum)"),
    ("overflow = 'drop'", "overflow: 'drop' is not 'throttle' or 'queue'"),
    ("architecture = 'arm'", "architecture: 'arm' is not 'x86_64' or 'arm64', did you mean 'arm64'?"),
    ("cold_start = 'cold'", "cold_start: 'cold' is neither 'measured' nor a number of milliseconds"),
    ("cold_start = -1", "cold_start: -1 is neither 'measured' nor a number of milliseconds, 0 or more"),
    ("cold_start = true", "cold_start: true is neither 'measured' nor a number of milliseconds, 0 or more"),
    ("executor = 'tread'", ("executor: 'tread' is no executor, did you mean 'thread'? "
     f"(known: {KNOWN}, or module:Class)")),
    ("bootstrap = 5", "bootstrap: 5 is neither a string nor a list of strings"),
    ("bootstrap = ['node', 5]", "bootstrap: holds a word that is no string"),
    ("bootstrap = 'node \"x'", "bootstrap: 'node \"x' is no command: no closing quotation"),
    ("bootstrap = ['']", "bootstrap: names no program"),
    ('bootstrap = ["a\\u0000"]', "bootstrap: holds a NUL character"),
    ("executor = 'feeds_of_user:Zzz'", "executor: 'feeds_of_user:Zzz': module 'feeds_of_user' has no 'Zzz'"),
    ("executor = ' '", "executor: is empty"),
    ("code = 'nowhere'", "code: no folder '{folder}/nowhere'"),
    ("code = 'handler'", "code: no folder '{folder}/handler', did you mean 'handlers'?"),
    ("code = 'engine.toml'", "code: '{folder}/engine.toml' is neither a folder nor a zip archive"),
    ("environment = { AWS_REGION = 'x' }", "environment.AWS_REGION: is reserved by AWS Lambda"),
    ("environment = { _X = 'x' }", ("environment._X: is no variable name: "
     "a letter, then letters, digits or underscores, 2 or more (AWS)")),
    ("environment = { A = 'x' }", ("environment.A: is no variable name: "
     "a letter, then letters, digits or underscores, 2 or more (AWS)")),
    ("environment = { AB = 3 }", "environment.AB: 3 is not a string"),
    (f"environment = {{ A2 = '{'x' * 4088}' }}",
     "environment: 4097 bytes as JSON is above 4096 (AWS maximum)"),
    ("environment = []", "environment: an array is not a table"),
    ("tags = { team = 1 }", "tags.team: 1 is not a string"),
    ("memory = 512", "memory: unknown key, did you mean 'memory_mb'?"),
    ("events = 'http'", "events: 'http' is not an array"),
    ("events = ['http']", "events[0]: 'http' is not a table"),
    ("events = [{ path = '/' }]", "events[0].type: is required"),
    ("events = [{ type = 1 }]", "events[0].type: 1 is not a string"),
    ("events = [{ type = 'htp' }]", ("events[0].type: 'htp' is no source, did you mean 'http'? "
     f"(known: {SOURCES}, or module:Class)")),
    ("events = [{ type = 'feeds_of_user:FeedSource' }]", "events[0].every_s: is required"),
    ("events = [{ type = 'feeds_of_user:FeedSource', every_s = 0 }]",
     "events[0].every_s: 0 must be more than 0 (minimum)"),
    ("events = [{ type = 'feeds_of_user:FeedSource', every_s = 1, mod = 'fast' }]",
     "events[0].mod: unknown key, did you mean 'mode'?"),
    ("events = [{ type = 'feeds_of_user:FeedSource', every_s = 1, mode = 'slw' }]",
     "events[0].mode: 'slw' is not 'fast' or 'slow', did you mean 'slow'?"),
    ("events = [{ type = 'http', stage = 'a b' }]",
     "events[0].stage: 'a b' does not match ^(\\$default|[A-Za-z0-9_-]{{1,128}})$"),
    ("events = [{ type = 'http', path = 'x' }]",
     "events[0].path: path 'x' must start with '/' (or be $default)"),
    ("events = [{ type = 'feeds_of_user:NoSettings' }]",
     "events[0].type: 'feeds_of_user:NoSettings' is not an event source: it has no Settings model"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "problem"), FUNCTIONS)
def test_a_wrong_key_of_a_function_is_one_line(write, project, line, problem):
    """Key, value, bound and the nearest valid name."""
    path = write("engine.toml", FUNCTION + line)

    assert [f"functions.f.{problem.format(folder=project)}"] == problems(path)


HANDLERS = [
    ("handler", "'handler' is neither 'module.function' nor 'path/to/file.py:function'"),
    (".handler", "'.handler' is neither 'module.function' nor 'path/to/file.py:function'"),
    ("a..b.handler", "'a..b.handler' has an empty part in its module name"),
    ("a b.handler", "'a b.handler' holds white space"),
    ("x.txt:handler", "'x.txt:handler' is not of the form 'path/to/file.py:function'"),
    (f"{'m' * 128}.h", "130 characters is above 128 (AWS maximum)"),
    ("handlers.helo.handler", ("no module 'handlers.helo' in '{folder}' or on sys.path, "
     "did you mean 'handlers.hello'?")),
    ("handler.hello.handler", ("no module 'handler.hello' in '{folder}' or on sys.path, "
     "did you mean 'handlers.hello'?")),
    ("handlers/helo.py:handler", ("no file 'handlers/helo.py' in '{folder}', "
     "did you mean 'handlers/hello.py'?")),
    ("sys.exit", "'sys' is a module built into Python; AWS Lambda cannot use it as a handler module"),
]  # fmt: skip


@pytest.mark.parametrize(("handler", "problem"), HANDLERS)
def test_a_handler_that_cannot_exist_is_refused_before_it_is_imported(write, project, handler, problem):
    """Its notation and its file are checked; user code is not run."""
    path = write("engine.toml", f'[functions.f]\nhandler = "{handler}"\n')

    assert [f"functions.f.handler: {problem.format(folder=project)}"] == problems(path)


WHOLE = [
    ("functions = 3", ["functions: 3 is not a table"]),
    ("engine = 3\n" + FUNCTION, ["engine: 3 is not a table"]),
    ("[functions]\nf = 'x.y'", ["functions.f: 'x.y' is not a table"]),
    ("[functions.f]", ["functions.f.handler: is required"]),
    (FUNCTION + "[function.g]", ["function: unknown key, did you mean 'functions'?"]),
    (
        FUNCTION + "[subjects.t]",
        [
            (
                "subjects: unknown key "
                "(known: engine, functions, cluster, ray, queues, topics, buses, rules, buckets, streams, "
                "tables, s3)"
            )
        ],
    ),
    (
        '[functions."a b"]\nhandler = "handlers.hello.handler"',
        ["functions.'a b': the name must be 1 to 64 of the characters a-z A-Z 0-9 - _ (AWS)"],
    ),
]


@pytest.mark.parametrize(("text", "lines"), WHOLE)
def test_a_file_of_the_wrong_shape_is_refused(write, text, lines):
    """Tables have names."""
    assert lines == problems(write("engine.toml", text))


def test_every_problem_of_a_file_is_reported_at_once_in_its_order(write, project):
    """Not the first error only, whatever kind it is of."""
    text = """
[functions.b]
timeout_s = 901
handler = "nowhere.at_all.handler"
provisioned_concurrency = 3
reserved_concurrency = 2
executor = "lop"
events = [{ type = "htp" }, { type = "feeds_of_user:FeedSource", every_s = "x" }]

[functions.a]
code = "nowhere"
memory_mb = 1

[engine]
scaling_rate = -1
"""

    assert [
        "functions.b.timeout_s: 901 is above 900 (AWS maximum)",
        f"functions.b.handler: no module 'nowhere.at_all' in '{project}' or on sys.path",
        (
            "functions.b.provisioned_concurrency: 3 is above reserved_concurrency 2 (AWS: Requested "
            "Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function)"
        ),
        (
            "functions.b.executor: 'lop' is no executor, did you mean 'loop'? "
            f"(known: {KNOWN}, or module:Class)"
        ),
        (
            "functions.b.events[0].type: 'htp' is no source, did you mean 'http'? "
            f"(known: {SOURCES}, or module:Class)"
        ),
        "functions.b.events[1].every_s: 'x' is not a number",
        f"functions.a.code: no folder '{project}/nowhere'",
        "functions.a.memory_mb: 1 is below 128 (AWS minimum)",
        "functions.a.handler: is required",
        "engine.scaling_rate: -1 is below 0 (minimum)",
    ] == problems(write("engine.toml", text))


def test_functions_cannot_hold_more_than_the_account_has(write):
    """Reserved counts, and what is provisioned without a reservation."""
    text = (
        "[engine]\nconcurrency_limit = 150\n"
        + FUNCTION
        + "reserved_concurrency = 100\nprovisioned_concurrency = 100\n"
        + FUNCTION.replace("functions.f", "functions.g")
        + "provisioned_concurrency = 51\n"
    )

    assert [
        "engine.concurrency_limit: 150 is below 151, what functions hold for themselves (f 100, g 51)"
    ] == problems(write("engine.toml", text))


def test_leaving_less_unreserved_than_aws_allows_is_only_a_warning(write):
    """Small limits are useful on a small machine."""
    text = (
        "[engine]\nconcurrency_limit = 10\n"
        + FUNCTION
        + "reserved_concurrency = 10\n"
        + FUNCTION.replace("functions.f", "functions.g")
    )

    assert (
        (
            "engine.concurrency_limit: 0 of 10 stay unreserved; AWS refuses that: Specified "
            "ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
            "below its minimum value of [100]."
        ),
        "engine.concurrency_limit: nothing is left for g",
    ) == load_config(write("engine.toml", text)).warnings


@pytest.mark.parametrize("address", ["0.0.0.0:3000", "[::]:3000", "box.example:3000"])
def test_listening_beyond_loopback_is_a_warning(write, address):
    """Whoever binds elsewhere is told what that exposes."""
    config = load_config(write("engine.toml", f'[engine]\naws = "{address}"\n{FUNCTION}'))

    assert (
        (
            f"engine.aws: {address} exposes the API that invokes every function, without any authentication "
            "to whoever can reach this machine"
        ),
    ) == config.warnings


@pytest.mark.parametrize("address", ["localhost:0", "[::1]:3000", "127.9.9.9:3000"])
def test_listening_on_loopback_is_no_warning(write, address):
    """Only this machine can reach it."""
    config = load_config(write("engine.toml", f'[engine]\naws = "{address}"\n{FUNCTION}'))

    assert () == config.warnings
    assert address == str(config.listeners["aws"])


def test_a_region_without_prices_is_a_warning(write):
    """The costs shown would be those of another region."""
    config = load_config(write("engine.toml", f'[engine]\nregion = "xy-north-7"\n{FUNCTION}'))

    assert (
        "engine.region: no prices are known for 'xy-north-7'; those of us-east-1 are used",
    ) == config.warnings


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[engine\n", "{path}:1:8: expected ']' at the end of a table declaration"),
        ("a = 1\nb = \n", "{path}:2:5: invalid value"),
        ('a = "', "{path}:1:6: unterminated string"),
        ("a = " + "[" * 5000, "{path}: nested too deeply"),
        ("a = 1" + "0" * 5000, "{path}: Exceeds the limit"),
    ],
)
def test_a_syntax_error_is_one_line_with_its_position(write, text, problem):
    """File, line, column, as editors understand it."""
    path = write("engine.toml", text)

    [line] = problems(path)
    assert line.startswith(problem.format(path=path))


def test_a_file_that_cannot_be_read_is_one_line(project):
    """Missing, a folder, or not text."""
    (project / "engine.toml").write_bytes(b"a = 1\nb = '\xff'\n")

    assert ["engine.toml:2: not UTF-8 text"] == problems("engine.toml")
    assert ["engin.toml: no such file, did you mean 'engine.toml'?"] == problems("engin.toml")
    assert ["handlers: cannot be read: Is a directory"] == problems("handlers")


def test_a_config_cannot_be_changed(write):
    """Neither its fields nor its mappings."""
    config = load_config(write("engine.toml", FUNCTION))

    with pytest.raises(dataclasses.FrozenInstanceError):
        config.grace_s = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.functions[0].memory_mb = 1
    with pytest.raises(TypeError):
        config.listeners["http"] = Listener("0.0.0.0", 1)
    with pytest.raises(TypeError):
        config.bindings["http"] = ()


def test_overrides_replace_what_the_file_says(write):
    """As options of the command line do: keys of the engine, and of every function."""
    path = write("engine.toml", f"[engine]\nscaling_rate = 5\n{FUNCTION}memory_mb = 256\n")

    config = load_config(path, {"memory_mb": 512, "http": "127.0.0.1:0", "executor": None})

    assert (512, "auto") == (config.functions[0].memory_mb, config.functions[0].executor)
    assert (5, Listener("127.0.0.1", 0)) == (config.account.scaling_rate, config.listeners["http"])


def test_an_unknown_override_is_a_problem(write):
    """A mistyped option does not vanish."""
    with pytest.raises(ConfigError) as caught:
        load_config(write("engine.toml", FUNCTION), {"memory": 512})

    assert ("memory: unknown key, did you mean 'memory_mb'?",) == caught.value.problems


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("bootstrap = 'node boot.mjs --name \"a b\"'", ("node", "boot.mjs", "--name", "a b")),
        ("bootstrap = ['node', 'boot.mjs']", ("node", "boot.mjs")),
        ("", ()),
    ],
)
def test_a_bootstrap_is_a_command_or_its_words(write, line, command):
    """With it the handler need not be Python."""
    handler = "index.handler" if line else "handlers.hello.handler"
    path = write("engine.toml", f"[functions.f]\nhandler = '{handler}'\n{line}\n")

    assert command == load_config(path).functions[0].bootstrap


def test_a_table_durable_makes_a_durable_function(write):
    durable = "durable = { execution_timeout_s = 60, retention_days = 1 }\n"
    config = load_config(write("engine.toml", FUNCTION + durable))

    assert DurableConfig(60, 1) == config.functions[0].durable


def test_a_durable_function_needs_an_execution_timeout(write):
    path = write("engine.toml", FUNCTION + "durable = { retention_days = 91 }\n")

    assert [
        "functions.f.durable.retention_days: 91 is above 90 (maximum)",
        "functions.f.durable.execution_timeout_s: is required",
    ] == problems(path)
