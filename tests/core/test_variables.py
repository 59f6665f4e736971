"""The environment variables of a process of its own are Lambda's, and nothing of the host is among them."""

import os

import pytest

from engine import Function
from engine.core.function import Account
from engine.core.variables import lambda_variables

STREAM = "2026/11/21/[$LATEST]00112233445566778899aabbccddeeff"


def variables(function=None, **options):
    function = function or Function("orders", handler="app.handler", memory_mb=512)
    account = Account(region="eu-west-1")
    return lambda_variables(function, account, log_stream=STREAM, task_root="/code", **options)


def test_a_python_environment_has_lambdas_variables():
    """The whole of it, name by name."""
    actual = variables(runtime_api="127.0.0.1:9001", python="3.13")

    assert {
        "_HANDLER": "app.handler",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_NAME": "orders",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/orders",
        "AWS_LAMBDA_LOG_STREAM_NAME": STREAM,
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
        "AWS_ACCESS_KEY_ID": "ASIAXXXXXXXXXXXXXXXX",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "LAMBDA_TASK_ROOT": "/code",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "TZ": ":UTC",
        "LANG": "en_US.UTF-8",
        "LC_CTYPE": "C.UTF-8",
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
        "_AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1",
        "_AWS_XRAY_DAEMON_PORT": "2000",
        "PWD": "/code",
        "SHLVL": "0",
    } == actual


@pytest.mark.parametrize(
    "name", ["AWS_EXECUTION_ENV", "AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_MAX_CONCURRENCY"]
)
def test_what_does_not_apply_is_not_set(name):
    """A runtime of another language, no Runtime API, one invocation at a time."""
    assert name not in variables()


def test_the_functions_own_variables_win():
    """They may name any that AWS does not reserve."""
    function = Function("f", handler="a.b", environment={"TABLE": "orders", "TZ": "Europe/Berlin"})
    actual = variables(function)

    assert ("orders", "Europe/Berlin") == (actual["TABLE"], actual["TZ"])


def test_the_engines_address_is_told_unless_the_function_has_another_or_wants_none():
    """`AWS_ENDPOINT_URL` of the function's own wins; `endpoint_url = false` leaves it unset."""
    url = "http://127.0.0.1:4566"
    own = Function("f", handler="a.b", environment={"AWS_ENDPOINT_URL": "http://127.0.0.1:8000"})
    without = Function("f", handler="a.b", endpoint_url=False)

    assert url == variables(endpoint_url=url)["AWS_ENDPOINT_URL"]
    assert "http://127.0.0.1:8000" == variables(own, endpoint_url=url)["AWS_ENDPOINT_URL"]
    assert "AWS_ENDPOINT_URL" not in variables(without, endpoint_url=url)
    assert "AWS_ENDPOINT_URL" not in variables()


@pytest.mark.parametrize("name", ["AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE"])
def test_a_function_that_says_where_its_credentials_are_is_given_no_others(name):
    """Made-up ones in variables would be found before its own."""
    actual = variables(Function("f", handler="a.b", environment={name: "mine"}, endpoint_url=False))

    assert "mine" == actual.pop(name)
    assert not [other for other in actual if other.startswith(("AWS_ACCESS", "AWS_SECRET", "AWS_SHARED"))]
    assert "AWS_EC2_METADATA_DISABLED" not in actual


def test_under_snapstart_the_log_stream_is_not_told():
    """A snapshot is made before there is one."""
    actual = variables(initialisation="snap-start")

    assert "snap-start" == actual["AWS_LAMBDA_INITIALIZATION_TYPE"]
    assert not {"AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_LOG_GROUP_NAME"} & actual.keys()


def test_a_managed_instance_is_told_how_many_it_takes():
    """Its runtime starts as many workers."""
    function = Function("f", handler="a.b", environment_concurrency=7)

    assert "7" == variables(function, initialisation="lambda-managed-instances")["AWS_LAMBDA_MAX_CONCURRENCY"]


def test_version_group_and_log_format_are_told():
    """As the environment was started with them."""
    actual = variables(version="3", log_group="shop", logs_json=True)

    assert ("3", "shop", "JSON") == (
        actual["AWS_LAMBDA_FUNCTION_VERSION"],
        actual["AWS_LAMBDA_LOG_GROUP_NAME"],
        actual["AWS_LAMBDA_LOG_FORMAT"],
    )


def test_nothing_of_the_host_is_inherited(monkeypatch):
    """Not even by accident."""
    monkeypatch.setitem(os.environ, "SECRET_OF_THE_HOST", "1")

    assert "SECRET_OF_THE_HOST" not in variables()
