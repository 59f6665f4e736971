"""Whatever comes is answered: by a document or by AWS's error; whatever is delivered breaks nothing."""

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.service_model import service_model
from engine.services.eventbridge.bus_event import BusEvent
from engine.services.eventbridge.event_paths import EventPath
from engine.services.eventbridge.target_input import InputRefused, RuleNames, compile_input

MODEL = service_model("events")
SERVED = sorted(
    {"PutRule", "PutTargets", "PutEvents", "TestEventPattern", "CreateEventBus", "PutPermission"}
    | {"ListRules", "RemoveTargets", "TagResource", "DeleteRule", "UpdateEventBus", "RemovePermission"}
)
TEXTS = st.sampled_from(
    ["", "default", "r", "$.detail", "<a>", '"<a>"', "{}", '{"a":[1]}', "rate(1 day)", "\ud800"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def members(shape, depth=0):
    """Values that mostly have the types of the model."""
    kind = shape["type"]
    if kind == "structure" and depth < 4:
        inner = {
            name: members(MODEL.shape_of(reference), depth + 1)
            for name, reference in shape["members"].items()
        }
        return st.fixed_dictionaries({}, optional=inner) | VALUES
    if kind == "list" and depth < 4:
        return st.lists(members(MODEL.shape_of(shape["member"]), depth + 1), max_size=2) | VALUES
    if kind in ("integer", "long", "timestamp"):
        return st.integers() | VALUES
    return TEXTS | VALUES


@pytest.mark.parametrize("name", SERVED)
async def test_any_request_is_answered(site, name):
    """A crash would be HTTP 500."""

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(members(MODEL.input_of(name)).filter(lambda one: isinstance(one, dict)))
    def answered(document):
        with suppress(ServiceError):
            assert isinstance(site.service.perform(name, document), dict)

    site.rule()
    answered()


@given(st.text("$.[]'\"*a0 ", max_size=12), VALUES)
def test_any_path_is_read_or_refused_and_followed_without_harm(text, document):
    """In any document."""
    try:
        path = EventPath(text)
    except ValueError:
        return
    path.find(document)


@given(st.text('<>ab.\\"{}[]:, \n', max_size=20), st.text(max_size=5))
def test_any_template_gives_json_or_is_refused(template, value):
    """Lines of JSON, if it is one of quoted lines."""
    transformer = {"InputTemplate": template, "InputPathsMap": {"a": "$.detail.a", "b": "$.detail"}}
    try:
        render = compile_input({"Id": "t", "InputTransformer": transformer})
        made = render(BusEvent({"detail": {"a": value}}, 0.0), RuleNames("r", "arn"))
    except (ValueError, InputRefused):
        return
    lines = made.decode().split("\n") if template.lstrip().startswith('"') else [made]
    for line in lines:
        if line.strip():
            json.loads(line)
