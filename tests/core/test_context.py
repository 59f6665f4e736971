"""The context object has every member of Lambda's, with its types."""

import copy
import json
import uuid

import pytest
from awslambdaric.lambda_context import LambdaContext as AwsContext

from engine.core.context import ClientContextError, LambdaContext, log_stream_name
from engine.core.context_template import ContextTemplate
from engine.core.function import Function

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:orders"
STREAM = "2026/01/31/[$LATEST]0123456789abcdef0123456789abcdef"
CLIENT = {
    "client": {"installation_id": "i1", "app_title": "shop", "unknown": 1},
    "custom": {"colour": "red"},
    "env": {"locale": "de"},
}


class Time:
    """A monotonic clock and a wall clock that stand still until they are told otherwise."""

    def __init__(self):
        self.now_s = 50.0

    def now(self):
        return self.now_s

    def wall(self):
        return 1_700_000_000.0 + self.now_s


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def written():
    return []


@pytest.fixture
def template(time, written):
    return ContextTemplate(
        Function("orders", handler="app.handler", memory_mb=512),
        ARN,
        STREAM,
        now_s=time.now,
        wall_s=time.wall,
        log=written.append,
    )


def aws_context(monkeypatch, client_context, request_id="r1"):
    monkeypatch.setenv("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/orders")
    monkeypatch.setenv("AWS_LAMBDA_LOG_STREAM_NAME", STREAM)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "orders")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
    return AwsContext(request_id, client_context, None, 0, ARN, None)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("aws_request_id", "r1"),
        ("invoked_function_arn", ARN),
        ("function_name", "orders"),
        ("function_version", "$LATEST"),
        ("memory_limit_in_mb", "512"),
        ("log_group_name", "/aws/lambda/orders"),
        ("log_stream_name", STREAM),
        ("client_context", None),
        ("tenant_id", None),
        ("_epoch_deadline_time_in_ms", 1_700_000_053_000),
    ],
)
def test_each_member_has_lambdas_value_and_type(template, member, value):
    """Memory is text, absent things are None, the deadline is in epoch milliseconds."""
    context = template.make("r1", 53.0)

    assert value == getattr(context, member)


def test_every_public_member_of_awss_context_is_there(template, monkeypatch):
    """Nothing that AWS's object offers is missing, and nothing is added."""
    public = {name for name in dir(aws_context(monkeypatch, None)) if not name.startswith("_")}

    assert public == {name for name in dir(template.make("r1", 53.0)) if not name.startswith("_")}


@pytest.mark.parametrize("sent", [None, CLIENT, {"w3c": {"traceparent": "00-1"}}])
def test_vars_of_a_context_have_what_those_of_awss_have(template, monkeypatch, sent):
    """In the same order, for handlers that log them; `dir` too."""
    context = template.make("r1", 53.0, None, None if sent is None else json.dumps(sent))
    expected = aws_context(monkeypatch, copy.deepcopy(sent))
    context.set_by_the_handler = expected.set_by_the_handler = 1

    assert list(vars(expected)) == list(vars(context))
    assert [str(value) for name, value in vars(expected).items() if "deadline" not in name] == [
        str(value) for name, value in vars(context).items() if "deadline" not in name
    ]
    assert {"__annotations__", "__slots__", "__getattr__"} >= {
        name for name in dir(context) if name != "__slotnames__"
    } - set(dir(expected))
    assert vars(context) == vars(copy.copy(context))


@pytest.mark.parametrize(
    "sent",
    [None, {}, CLIENT, {"client": None, "custom": {}}, {"custom": {"a": 1}, "w3c": {"traceparent": "00-1"}}],
)
def test_the_repr_is_awss(template, monkeypatch, sent):
    """Logged contexts read the same."""
    text = None if sent is None else json.dumps(sent)

    assert repr(aws_context(monkeypatch, sent)) == repr(template.make("r1", 53.0, None, text))


def test_identity_is_an_object_of_its_own_for_each_invocation(template):
    """It is never None, and what one handler puts there no other sees."""
    first, second = template.make("r1", 53.0), template.make("r2", 53.0)
    first.identity.cognito_identity_id = "me"

    assert "me" == first.identity.cognito_identity_id
    assert (None, None) == (second.identity.cognito_identity_id, second.identity.cognito_identity_pool_id)


@pytest.mark.parametrize(("now_s", "remaining_ms"), [(50.0, 3000), (52.0005, 999), (53.0, 0), (60.0, 0)])
def test_the_remaining_time_runs_down_to_zero_and_stays(template, time, now_s, remaining_ms):
    """It is a whole number of milliseconds, rounded down, never negative."""
    context = template.make("r1", 53.0)
    time.now_s = now_s

    actual = context.get_remaining_time_in_millis()
    assert (remaining_ms, int) == (actual, type(actual))


def test_the_epoch_deadline_does_not_drift(template, time):
    """It is fixed when first read."""
    context = template.make("r1", 53.0)
    first = context._epoch_deadline_time_in_ms
    time.now_s = 52.9

    assert first == context._epoch_deadline_time_in_ms


def test_a_qualified_call_shows_the_qualified_arn(template):
    """The ARN is the one the caller addressed."""
    assert f"{ARN}:live" == template.make("r1", 53.0, f"{ARN}:live").invoked_function_arn


def test_a_tenant_is_shown(template):
    """Where the caller named one."""
    assert "blue" == template.make("r1", 53.0, tenant_id="blue").tenant_id


def test_log_writes_text_without_a_newline(template, written):
    """Whatever is logged becomes its `str`."""
    context = template.make("r1", 53.0)
    context.log("a")
    context.log({"b": 1})

    assert ["a", "{'b': 1}"] == written


def test_attributes_set_by_a_handler_stay_with_its_invocation(template):
    """The context is an ordinary object, and its own."""
    first, second = template.make("r1", 53.0), template.make("r2", 53.0)
    first.user, first.function_name = "ada", "renamed"

    assert "ada" == first.user
    assert not hasattr(second, "user")
    assert "orders" == second.function_name
    assert isinstance(first, LambdaContext)


def test_a_client_context_becomes_objects(template):
    """Known members are taken, unknown ones dropped, missing ones None."""
    context = template.make("r1", 53.0, None, json.dumps(CLIENT)).client_context

    assert ("i1", "shop", None) == (
        context.client.installation_id,
        context.client.app_title,
        context.client.app_package_name,
    )
    assert not hasattr(context.client, "unknown")
    assert ({"colour": "red"}, {"locale": "de"}) == (context.custom, context.env)


@pytest.mark.parametrize("text", ["", "null"])
def test_no_client_context_is_none(template, text):
    """Nothing sent, or null sent."""
    assert template.make("r1", 53.0, None, text).client_context is None


@pytest.mark.parametrize(
    ("w3c", "expected"),
    [
        (
            {"traceparent": "00-1", "tracestate": "s", "baggage": "b", "other": "x"},
            {"traceparent": "00-1", "tracestate": "s", "baggage": "b"},
        ),
        ({"traceparent": 5}, {}),
        ("text", {}),
    ],
)
def test_w3c_gives_the_trace_context_and_no_more(template, monkeypatch, w3c, expected):
    """Only three fields, only text, and a copy each time, as AWS's client does."""
    context = template.make("r1", 53.0, None, json.dumps({"w3c": w3c}))
    context.w3c()["changed"] = "x"

    assert expected == context.w3c() == aws_context(monkeypatch, {"w3c": w3c}).w3c()


def test_w3c_without_a_client_context_is_empty(template):
    """A dict all the same."""
    assert {} == template.make("r1", 53.0).w3c()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("nonsense", "Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_a_client_context_that_is_no_json_is_named(template, text, reason):
    """The invocation fails with AWS's type and words."""
    with pytest.raises(ClientContextError) as caught:
        template.make("r1", 53.0, None, text)

    assert f"Unable to parse Client Context JSON: {reason}" == str(caught.value)
    assert "Runtime.LambdaContextUnmarshalError" == caught.value.error_type


@pytest.mark.parametrize("text", ["[]", '"x"', "3", '{"client": "x"}'])
def test_a_client_context_of_the_wrong_shape_fails_as_on_aws(template, monkeypatch, text):
    """AWS's client stumbles over it; so the message is the same."""
    with pytest.raises(AttributeError) as theirs:
        aws_context(monkeypatch, json.loads(text))
    with pytest.raises(AttributeError) as ours:
        template.make("r1", 53.0, None, text)

    assert str(theirs.value) == str(ours.value)


def test_the_log_stream_is_named_after_day_version_and_environment():
    """With a log group of the user's choice the function's name comes first."""
    digits = uuid.UUID(int=7).hex

    assert f"2026/01/31/[7]{digits}" == log_stream_name("2026/01/31", digits, "7")
    assert f"2026/01/31/orders[$LATEST][{digits}]" == log_stream_name(
        "2026/01/31", digits, custom_group_function="orders"
    )
