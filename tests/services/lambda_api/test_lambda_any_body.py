"""Whatever a client sends to the control plane: an answer in the API's words, never a failure of ours."""

import json
import re
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.protocols.aws.operation import operations_of
from engine.services.lambda_api.control_plane import PARTS
from engine.services.lambda_api.model import lambda_model

MODEL = lambda_model()
ROUTES = [MODEL.operations[name]["http"] for name in sorted(operations_of(PARTS))]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["$LATEST", "1", "live", "hello", "app.handler", "python3.12", "eHl6", "NONE"])
)
MEMBERS = st.sampled_from(
    sorted(
        {name for shape in MODEL.shapes.values() if "error" not in shape for name in shape.get("members", ())}
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(MEMBERS | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=20,
)
BODIES = (
    st.dictionaries(MEMBERS, VALUES, max_size=10).map(json.dumps).map(str.encode)
    | VALUES.map(json.dumps).map(str.encode)
    | st.binary(max_size=40)
)
NAMES = st.sampled_from(["hello", "made", "made:1", "made:live", "hello:$LATEST", "nobody", "a b", ""])
QUERIES = st.sampled_from(
    [
        "",
        "?Qualifier=1",
        "?Qualifier=live",
        "?Qualifier=$LATEST",
        "?List=ALL",
        "?Marker=x",
        "?MaxItems=0",
        "?tagKeys=a",
    ]
)


def ask(bench, route, name, second, query, body):
    path, _, constants = route["requestUri"].partition("?")
    values = iter((name, second, "s1"))
    path = re.sub(r"\{\w+\}", lambda _: quote(next(values)), path)
    if constants:
        query = f"?{constants}&{query[1:]}"
    return bench.ask(route["method"], path + query, body=body)


@settings(max_examples=400, deadline=None)
@given(
    route=st.sampled_from(ROUTES),
    name=NAMES,
    second=st.sampled_from(["1", "live", "s1", "x y", "99999999999999999999"]),
    query=QUERIES,
    body=BODIES,
)
def test_no_body_makes_an_operation_fail(any_bench, route, name, second, query, body):
    """A document with the operation's own status, or an error of the caller's with a code and a text."""
    if not any_bench.deployment.functions:
        any_bench.create(Publish=True)
        any_bench.call("POST", "/2015-03-31/functions/made/aliases", Name="live", FunctionVersion="1")
    answer = ask(any_bench, route, name, second, query, body)

    if answer.status < 300:
        assert answer.status in {route["responseCode"] for route in ROUTES}
    else:
        status, code, document = answer.error
        assert status < 500 or code == "NotImplementedException"
        assert document.get("message", document.get("Message"))


@settings(max_examples=100, deadline=None)
@given(members=st.dictionaries(MEMBERS, VALUES, max_size=6))
def test_no_members_make_a_create_fail(any_bench, members):
    """Each member of an otherwise good request may be anything."""
    members.pop("FunctionName", None)
    answer = any_bench.create("tried", **members)
    if answer.status == 201:
        answer = any_bench.ask("DELETE", "/2015-03-31/functions/tried")

        assert 204 == answer.status
    else:
        assert answer.error[0] < 500
