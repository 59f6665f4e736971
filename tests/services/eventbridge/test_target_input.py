"""What a target gets: constants, parts, and templates as recorded on AWS."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.services.eventbridge.bus_event import BusEvent
from engine.services.eventbridge.target_input import InputRefused, RuleNames, compile_input
from tests.services.eventbridge.conftest import DEAD, QUEUE

DETAIL = {
    "command": "update-account",
    "payload": {"acc_id": 1, "sf_id": "baz"},
    "id": "a-1",
    "list": ["HIGH"],
    "flag": True,
}
PATHS = {
    "command": "$.detail.command",
    "payload": "$.detail.payload",
    "id": "$.detail.id",
    "list": "$.detail.list",
    "flag": "$.detail.flag",
    "detail-type": "$.detail-type",
    "missing": "$.detail.nothing.at.all",
}
DOCUMENT = {
    "version": "0",
    "id": "e",
    "detail-type": "Account",
    "source": "shop",
    "account": "000000000000",
    "time": "2026-01-01T00:00:00Z",
    "region": "us-east-1",
    "resources": [],
    "detail": DETAIL,
}
RULE = RuleNames("r", "arn:aws:events:us-east-1:000000000000:rule/r")
REFUSED = InputRefused


def rendered(document=None, **target):
    """The text that a target with these members gets; None if nothing is delivered."""
    try:
        event = BusEvent(document or DOCUMENT, 1767225600.0)
        return compile_input({"Id": "t"} | target)(event, RULE).decode()
    except InputRefused:
        return None


def transformed(template, paths=None, document=None):
    transformer = {"InputTemplate": template, "InputPathsMap": PATHS if paths is None else paths}
    return rendered(document, InputTransformer=transformer)


@pytest.mark.parametrize(
    ("template", "delivered"),
    [
        ('{"c": <command>}', '{"c":"update-account"}'),
        ('{"c": "<command>"}', '{"c":"update-account"}'),
        (
            '{"b": <payload>, "p": "u/<id>/s/<id>"}',
            '{"b":{"acc_id":1,"sf_id":"baz"},"p":"u/a-1/s/a-1"}',
        ),
        ('"Event of <detail-type>, <command>"', '"Event of Account, update-account"'),
        ('"P <payload> L <list>"', '"P {acc_id:1,sf_id:baz} L [HIGH]"'),
        ('{"l": <list>}', '{"l":["HIGH"]}'),
        ('{"l": "<list>"}', None),
        ("<list> bare text", None),
        ('{"c": <missing>}', '{"c":""}'),
        ('"x <missing>"', '"x "'),
        ('"<id> one"\n"<command> two"', '"a-1 one"\n"update-account two"'),
        ('"is <flag>!"', '"is true!"'),
    ],
)
def test_templates_give_what_was_recorded(template, delivered):
    """Each row of the recordings."""
    assert delivered == transformed(template)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("aws.events.rule-arn", RULE.arn),
        ("aws.events.rule-name", "r"),
        ("aws.events.event.ingestion-time", "2026-01-01T00:00:00Z"),
        ("aws.events.event.json", DOCUMENT),
        (
            "aws.events.event",
            {
                "detailType" if name == "detail-type" else name: value
                for name, value in DOCUMENT.items()
                if name != "detail"
            },
        ),
    ],
)
def test_reserved_names_need_no_path(name, value):
    """`aws.events.event` has no detail, and `detailType`."""
    assert {"v": value} == json.loads(transformed(f'{{"v": <{name}>}}', {}))


def test_input_is_a_constant_and_input_path_a_part():
    """A text that a path leads to has its quotes; without both a target gets the event."""
    assert '{"k": 1}' == rendered(Input='{"k": 1}')
    assert '"baz"' == rendered(InputPath="$.detail.payload.sf_id")
    assert '"HIGH"' == rendered(InputPath="$['detail'][\"list\"][0]")
    assert json.dumps(DETAIL, separators=(",", ":")) == rendered(InputPath="$.detail")
    assert "null" == rendered(InputPath="$.detail.list[3]")
    assert "null" == rendered(InputPath="$.detail.list[*].x")
    assert '["HIGH"]' == rendered(InputPath="$.detail.list[*]")
    assert '[1,"baz"]' == rendered(InputPath="$.detail.payload.*")
    assert '["baz"]' == rendered(InputPath="$.*.*.sf_id")
    assert DOCUMENT == json.loads(rendered(InputPath="$"))
    assert DOCUMENT == json.loads(rendered())


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"Input": "{}", "InputPath": "$.x"},
            "Only one of Input, InputPath, or InputTransformer must be provided for target t.",
        ),
        (
            {"InputTransformer": {"InputTemplate": "<gone>"}},
            "InputTemplate for target t contains invalid placeholder gone.",
        ),
        ({"Input": "{"}, "JSON syntax error in input for target t."),
        (
            {"InputPath": "detail"},
            "InputPath for target t is not valid: 'detail' does not begin with $.",
        ),
        (
            {"InputTransformer": {"InputTemplate": "<a>", "InputPathsMap": {"a": "$.x[y]"}}},
            "InputPathsMap for target t is not valid: '$.x[y]' cannot be read from '[y]' on.",
        ),
    ],
)
async def test_a_target_that_cannot_be_is_refused(site, members, message):
    """And is not added."""
    answer = site.rule(**members)

    assert ("ValidationException", message) == answer
    assert [] == site.ask("ListTargetsByRule", Rule="r")["Targets"]


async def test_lines_that_are_no_one_json_value_go_to_no_function(site):
    """Lambda takes no such payload; queues take it."""
    lines = {"InputTemplate": '"a <n>"\n"b <n>"', "InputPathsMap": {"n": "$.detail.n"}}
    site.rule("f", InputTransformer=lines, DeadLetterConfig={"Arn": DEAD})
    site.rule("q", InputTransformer=lines, Arn=QUEUE)
    site.rule("one", InputTransformer=lines | {"InputTemplate": '"a <n>"\n'})
    site.put({"n": 2})
    [(_, letter)] = [one for one in site.records if one[0] == "dead"]

    assert "INVALID_JSON" == letter.attributes["ERROR_CODE"][1]
    assert [("q", '"a 2"\n"b 2"'), ("f", '"a 2"')] == [one for one in site.got if one[0] != "dead"]


async def test_what_a_template_makes_no_json_of_is_a_dead_letter(site):
    """Nothing is delivered; other rules go on."""
    site.rule(
        InputTransformer={"InputTemplate": '{"l": "<l>"}', "InputPathsMap": {"l": "$.detail.l"}},
        DeadLetterConfig={"Arn": DEAD},
    )
    site.put({"l": ["HIGH"]})
    [(name, record)] = site.records

    assert "dead" == name
    assert "INVALID_JSON" == record.attributes["ERROR_CODE"][1]
    assert {"l": ["HIGH"]} == json.loads(record.body)["detail"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_value_without_quotes_comes_through_as_it_is(value):
    """Whatever JSON it is."""
    document = DOCUMENT | {"detail": {"v": value}}

    assert {"v": value} == json.loads(transformed('{"v": <v>}', {"v": "$.detail.v"}, document))


@given(st.text(), st.text())
def test_texts_in_quotes_stay_one_text(first, second):
    """Quotes and backslashes in them end nothing, in both kinds of template."""
    document = DOCUMENT | {"detail": {"a": first, "b": second}}
    paths = {"a": "$.detail.a", "b": "$.detail.b"}

    assert f"{first}-{second}" == json.loads(transformed('"<a>-<b>"', paths, document))
    assert {"x": f"{first}-{second}"} == json.loads(transformed('{"x": "<a>-<b>"}', paths, document))
