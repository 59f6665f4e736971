"""Samples by name: the fields as they are written, what varies, and that nothing else makes the events."""

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sources.samples.catalogue import SOURCES
from engine.sources.samples.common import EPOCH_S
from engine.sources.samples.fields import fields_in
from engine.sources.samples.template import EventTemplate
from engine.testing import events

NAMES = list(SOURCES)


def made(text, number=0, at_s=EPOCH_S, salt=""):
    return EventTemplate.named(text).event(number, at_s, salt)


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ('http-v2:path=/orders/7,route=GET /orders/{id},query={"q":["1","2"]}', None),
        ("sqs:body=hello,queue=orders", events.sqs("hello", queue="orders")),
        ('sqs:body={"id":1}', events.sqs({"id": 1})),
        ("s3:key=a b.png,bucket=photos,body=12345", events.s3("a b.png", bucket="photos", body=b"12345")),
        ("s3-eventbridge:key=k", events.s3_eventbridge("k", body=b"hello")),
        ('sns:message={"id":1},subject=s,topic=t', events.sns({"id": 1}, subject="s", topic="t")),
        ('eventbridge:detail={"n":1},source=me', events.eventbridge({"n": 1}, source="me")),
        ("logs:message=hello,group=/app,stream=s", events.logs("hello", group="/app", stream="s")),
        ("schedule:name=nightly", events.schedule(name="nightly")),
        ("http-v1:method=post,body=x", events.http_v1("POST", body="x")),
        ("function-url:path=/a b", events.http_v2(path="/a b")),
        ("alb:multi_value_headers=true", events.alb(multi_value_headers=True)),
        ('destination:payload=1,result={"ok":1}', events.destination(1, result={"ok": 1})),
        ("destination:payload=1,error=KeyError", events.destination(1, error=("KeyError", "failed"))),
        ("dead-letter:payload=1,queue=q", events.sqs(events.dead_letter(1), queue="q")),
    ],
)
def test_a_template_is_the_factory_with_words(text, event):
    """What `engine.testing.events` is held to is held of it."""
    if event is None:
        query = [("q", "1"), ("q", "2")]
        event = events.http_v2(path="/orders/7", route="GET /orders/{id}", query=query)

    assert event == made(text)


@pytest.mark.parametrize("name", NAMES)
def test_each_event_has_ids_and_a_time_of_its_own(name):
    """And the same number, time and salt the same event, whoever asks."""
    first, second = json.dumps(made(name, 1)), json.dumps(made(name, 2))

    assert first != second
    assert first == json.dumps(made(name, 1))
    assert first != json.dumps(made(name, 1, salt="other"))
    assert first != json.dumps(made(name, 1, at_s=EPOCH_S + 1))


@pytest.mark.parametrize("name", NAMES)
def test_a_time_that_is_set_is_that_of_every_event(name):
    """Written in either way."""
    with_offset = f"{name}:time=2026-01-02T03:04:05+02:00"

    assert made(f"{name}:time=1767315845") == made(with_offset, at_s=5.0) == made(name, at_s=1767315845.0)


def test_values_vary_by_event_and_by_record():
    """A number where it is one, text in quotes."""
    body = '{"n": {n}, "text": "{n}", "place": {i}, "id": "{uuid}"}'
    batch = made(f"sqs:body={body},records=2,queue=q-{{n}}", 7)
    first, second = (json.loads(record["body"]) for record in batch["Records"])

    assert [(7, "7", 0), (7, "7", 1)] == [(one["n"], one["text"], one["place"]) for one in (first, second)]
    assert first["id"] != second["id"]
    assert batch["Records"][0]["eventSourceARN"].endswith(":q-7")


def test_digests_are_those_of_the_bodies_that_were_set():
    """Every one, and of the text in the file too."""
    for record in made("sqs:body=n {n} of {i},records=3", 5)["Records"]:
        assert hashlib.md5(record["body"].encode()).hexdigest() == record["md5OfBody"]
    [record] = made("s3:body=hello")["Records"]

    assert (5, hashlib.md5(b"hello").hexdigest()) == (
        record["s3"]["object"]["size"],
        record["s3"]["object"]["eTag"],
    )


def test_a_value_may_stand_in_a_file(tmp_path):
    """With commas, lines and all."""
    (tmp_path / "body.txt").write_text("a, b\nc={n}")

    assert "a, b\nc=3" == made(f"sqs:body=@{tmp_path / 'body.txt'}", 3)["Records"][0]["body"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sqx:body=1", "no source 'sqx', did you mean 'sqs'?"),
        ("sqs:quee=1", "sqs: no field 'quee', did you mean 'queue'?"),
        ("sqs:zzzzz=1", "sqs: no field 'zzzzz'; it has body, attributes, queue"),
        ("sqs:body", "sqs: 'body' does not begin with FIELD="),
        ('sqs:body={"a":1', 'sqs: {"a":1 is not JSON: it is not closed'),
        ('sqs:body={"a":1}x', "sqs: {\"a\":1} is followed by 'x', not by a comma"),
        ("sqs:body={a}", "sqs: body: {a} is not JSON"),
        ("sqs:records=0", "sqs: records: 0 is no whole number from 1 to 10,000"),
        ("sqs:records=99999999999999999999", "is no whole number"),
        ("sqs:attributes=[1]", "sqs: attributes: [1] is no JSON object"),
        pytest.param("sqs:body=" + "[" * 9999 + "]" * 9999, "is not JSON: maximum recursion", id="deep"),
        ("sqs:body=@/dev/zero", "sqs: body: /dev/zero: more than 64 MiB are in it"),
        ("http-v2:method=G ET", "http-v2: method: 'G ET' is not an HTTP method"),
        ("sqs:body=@none.txt", "sqs: body: none.txt: No such file or directory"),
        ("s3:event=ObjectCreated:Putt", "s3: event: no 'ObjectCreated:Putt', did you mean"),
        ("s3-eventbridge:event=ReducedRedundancyLostObject", "s3-eventbridge: EventBridge has no event"),
        ("http-v2:route=GET /a,path=/b", "http-v2: the route /a does not take GET /b"),
        ("alb:multi_value_headers=1", "alb: multi_value_headers: must be true or false, not 1"),
        ("schedule:time=noon", "schedule: time: noon is no time"),
        ("sqs:time=1767225600000", "sqs: time: 1767225600000 is no time: write seconds"),
        ("sqs:time=nan", "sqs: time: nan is no time"),
        ('sqs:attributes={"a":true}', "sqs: attributes: '{\"a\": true}' has a value of 'a' that is neither"),
        ('sqs:attributes={"c":{"x":1}}', "has a value of 'c' that is neither a text nor a number"),
        ('sns:attributes={"l":["a"]}', "sns: attributes: '{\"l\": [\"a\"]}' has a value of 'l'"),
        ('sqs:attributes={"":"x"}', "has the name '': letters, digits"),
        ("sqs:queue=", "sqs: queue: '' does not match "),
        ("sqs:queue=bad name!", "sqs: queue: 'bad name!' does not match "),
        ("sqs:queue=a\nb", "sqs: queue: 'a\\nb' does not match "),
        ("kinesis:key=", "kinesis: key: '' does not match "),
        ("kinesis:data=@/bin/true", "kinesis: data: /bin/true: not a text in UTF-8"),
        ("s3:bucket=UPPER", "s3: bucket: 'UPPER' must be of a-z"),
        ("s3:key=", "s3: key: '' has not 1 to 1,024 bytes"),
        ("dynamodb:event=INSERT,expired=true", "dynamodb: expired: time to live removes items"),
        ("dynamodb:keys={}", "dynamodb: keys: '{}' has not one or two attributes"),
        ('dynamodb:keys={"id":true}', "dynamodb: keys: '{\"id\": true}' has a value of 'id' that is neither"),
        ("http-v2:path=nosl", "http-v2: path: 'nosl' does not begin with /"),
        ('alb:query={"a":{"b":1}}', "alb: query: '{\"a\": {\"b\": 1}}' has a value of 'a' that is neither"),
    ],
)
def test_what_cannot_be_used_is_one_line(text, sentence):
    """Before anything is sent."""
    with pytest.raises(ValueError, match=r"(?s).*") as refused:
        EventTemplate.named(text)

    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["event.json", '{"a": 1}', "12", "dir/sqs", "C:file", "", "nothing:there"])
def test_what_names_no_source_is_left_to_others(text):
    """Files, folders and JSON."""
    assert EventTemplate.named(text) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(max_examples=50)
@given(first=json_values, second=st.text(alphabet=st.characters(exclude_characters=',{["@')), third=st.text())
def test_whatever_json_is_set_comes_out_of_the_text_again(first, second, third):
    """Braces, commas and quotes inside it change nothing."""
    texts = {"a": json.dumps(first), "b": second, "c": json.dumps(third)}

    assert texts == fields_in(",".join(f"{name}={value}" for name, value in texts.items()))


@given(text=st.text(alphabet='{}[]",=:a@\\ ', max_size=20))
def test_any_text_gives_fields_or_one_error(text):
    """Never another exception."""
    try:
        found = fields_in(text)
    except ValueError:
        return

    assert all(isinstance(value, str) for value in found.values())


def test_attributes_of_messages_have_the_type_of_their_value():
    """A text, a number; bytes have no JSON."""
    [record] = made('sqs:attributes={"n": 1, "s": "x"}')["Records"]

    assert {"n": "Number", "s": "String"} == {
        name: one["dataType"] for name, one in record["messageAttributes"].items()
    }
