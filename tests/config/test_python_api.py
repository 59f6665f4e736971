"""Functions made in Python, and targets of a command line, obey the rules of engine.toml."""

import dataclasses

import pytest

from engine.config import FunctionSettings, Listener, from_functions, from_targets
from engine.core.function import Function
from engine.errors import ConfigError

HELLO = "handlers.hello.handler"
ORDERS = "handlers.orders.handler"


def routes(config):
    """Function name and path of each HTTP event."""
    return [(one.function.name, one.settings.path) for one in config.bindings.get("http", ())]


def test_the_defaults_of_the_file_are_those_of_function():
    """A key left out of engine.toml means what it means when left out in Python."""
    function = Function("f", handler="a.b")

    assert function == FunctionSettings(handler="a.b").function("f", ".")
    apart = {"name", "version", "is_package", "init_limit_s"}
    names = {field.name for field in dataclasses.fields(Function)} - apart
    assert names == set(FunctionSettings.model_fields)


def test_a_function_made_in_python_comes_back_as_it_was(project):
    """Nothing is lost on the way through the models."""
    function = Function(
        "f",
        handler=HELLO,
        code=str(project),
        memory_mb=512,
        timeout_s=0.25,
        reserved_concurrency=0,
        overflow="queue",
        queue_limit=5,
        cold_start=250,
        environment={"AB": "c"},
        tags={"t": "u"},
        init_limit_s=3.0,
        events=({"type": "feeds_of_user:FeedSource", "every_s": 1.0},),
    )

    config = from_functions([function], concurrency_limit=5000, scaling_rate=0)

    assert (function,) == config.functions
    assert [function] == [one.function for bindings in config.bindings.values() for one in bindings]
    assert (5000, 0) == (config.account.concurrency_limit, config.account.scaling_rate)


def test_what_is_to_be_preloaded_may_be_learnt(project):
    """The word is no list of modules."""
    function = Function("f", handler=HELLO, code=str(project), preload="auto", no_preload=("wave",))

    assert (function,) == from_functions([function]).functions


@pytest.mark.parametrize("executor", ["loop", "thread", "process"])
def test_a_wrapper_where_no_program_is_started_is_refused(project, executor):
    """`auto` and `runtime` start one."""
    keys = {"handler": HELLO, "code": str(project), "environment": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrap"}}

    with pytest.raises(
        ConfigError, match=f"AWS_LAMBDA_EXEC_WRAPPER .* the executor '{executor}' starts none"
    ):
        from_functions([Function("f", executor=executor, **keys)])
    assert "auto" == from_functions([Function("f", **keys)]).functions[0].executor


def test_an_embedded_engine_listens_only_where_it_is_told_to(project):
    """No port is opened by importing a library; the catch-all comes with the listener."""
    quiet = from_functions([Function("f", handler=HELLO)])
    loud = from_functions(iter([Function("f", handler=HELLO)]), http="127.0.0.1:0")

    assert ({}, []) == (dict(quiet.listeners), routes(quiet))
    assert {"http": Listener("127.0.0.1", 0)} == dict(loud.listeners)
    assert [("f", "$default")] == routes(loud)


def test_everything_wrong_with_functions_made_in_python_is_one_error(project):
    """The same lines as for a file."""
    functions = [
        Function("f", handler=HELLO, memory_mb=1),
        Function("f", handler=HELLO),
        Function("g", handler="nodots", timeout_s="3"),
        "h",
    ]
    with pytest.raises(ConfigError) as caught:
        from_functions(functions, concurency_limit=1, scaling_rate=-1)

    assert [
        "engine.scaling_rate: -1 is below 0 (minimum)",
        "engine.concurency_limit: unknown key, did you mean 'concurrency_limit'?",
        "functions.f: two functions have this name",
        "functions.g.handler: 'nodots' is neither 'module.function' nor 'path/to/file.py:function'",
        "functions.g.timeout_s: '3' is not a number",
        "functions[3]: 'h' is not a Function",
    ] == list(caught.value.problems)


@pytest.mark.parametrize(
    ("target", "name", "handler"),
    [
        (HELLO, "hello", HELLO),
        (f"greet={HELLO}", "greet", HELLO),
        ("handlers/hello.handler", "hello", "handlers/hello.handler"),
        ("handlers/hello.py:handler", "hello", "handlers/hello.py:handler"),
        ("g=handlers/hello.py:handler", "g", "handlers/hello.py:handler"),
    ],
)
def test_a_target_is_named_or_names_itself(project, target, name, handler):
    """The last part of the module is the default name."""
    [function] = from_targets([target]).functions

    assert (name, handler, str(project)) == (function.name, function.handler, function.code)


def test_a_single_target_gets_every_route_and_several_share_by_name(project):
    """Like one Function URL, or like paths of an API."""
    one, two = from_targets([HELLO]), from_targets([HELLO, ORDERS])

    assert [("hello", "$default")] == routes(one)
    assert [
        ("hello", "/hello"),
        ("hello", "/hello/{proxy+}"),
        ("orders", "/orders"),
        ("orders", "/orders/{proxy+}"),
    ] == routes(two)


def test_options_of_the_command_line_apply_to_every_target(project):
    """Keys of the engine go to the engine, keys of a function to each."""
    config = from_targets(
        [HELLO, ORDERS], {"memory_mb": 512, "timeout_s": 5.0, "http": "127.0.0.1:0", "log_format": "off"}
    )

    assert [(512, 5.0), (512, 5.0)] == [(f.memory_mb, f.timeout_s) for f in config.functions]
    assert ("off", Listener("127.0.0.1", 0)) == (config.log_format, config.listeners["http"])


@pytest.mark.parametrize(
    ("targets", "overrides", "lines"),
    [
        (
            [HELLO, "hello=handlers.orders.handler"],
            {},
            [f"hello: '{HELLO}' and '{ORDERS}' have the same name; write NAME=MODULE.FUNCTION"],
        ),
        (["nodots"], {}, [
            "nodots.handler: 'nodots' is neither 'module.function' nor 'path/to/file.py:function'"
        ]),
        (
            [f"a b={HELLO}"],
            {},
            ["'a b': the name must be 1 to 64 of the characters a-z A-Z 0-9 - _ (AWS)"],
        ),
        ([HELLO], {"memory_mb": 1}, ["hello.memory_mb: 1 is below 128 (AWS minimum)"]),
        ([HELLO], {"http": "nowhere"}, [
            "http: 'nowhere' is not of the form 'HOST:PORT', such as '127.0.0.1:3000'"
        ]),
        ([HELLO], {"memry_mb": 1}, ["memry_mb: unknown key, did you mean 'memory_mb'?"]),
    ],
)  # fmt: skip
def test_a_wrong_target_is_one_line(project, targets, overrides, lines):
    """Named by target, as there are no tables on a command line."""
    with pytest.raises(ConfigError) as caught:
        from_targets(targets, overrides)

    assert lines == list(caught.value.problems)
