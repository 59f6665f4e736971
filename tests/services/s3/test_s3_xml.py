"""XML: what is written can be read, what could harm is refused, and nothing else is ever raised."""

from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.protocols.aws.rest_xml import element
from engine.protocols.aws.rest_xml_input import MalformedDocument, parse
from engine.services.s3.documents import answer
from engine.services.s3.errors import S3Error
from engine.services.s3.notification_configuration import parsed, shown
from engine.services.s3.notification_rules import (
    EVENT_TYPES,
    NotificationConfiguration,
    NotificationRule,
    NotificationTarget,
    overlap,
)

FUNCTION = NotificationTarget("lambda", "arn:aws:lambda:us-east-1:123456789012:function:f:live")
QUEUE = NotificationTarget("queue", "arn:aws:sqs:us-east-1:123456789012:q")
texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20
)
filters = st.none() | texts
rules = st.lists(
    st.builds(
        NotificationRule,
        id=texts.filter(lambda text: text.strip()),
        target=st.sampled_from([FUNCTION, QUEUE]),
        events=st.lists(st.sampled_from(sorted(EVENT_TYPES)), min_size=1, max_size=3).map(tuple),
        prefix=filters,
        suffix=filters,
    ),
    max_size=4,
    unique_by=lambda rule: rule.id,
).filter(lambda rules: not any(overlap(*pair) for pair in combinations(rules, 2)))


@given(st.lists(texts, max_size=4))
def test_what_is_written_can_be_read(values):
    root = parse(f"<R>{''.join(element('V', value) for value in values)}</R>".encode(), "R")

    assert values == [node.text or "" for node in root.iter("V")]


@given(rules, st.booleans())
def test_a_configuration_is_given_back_as_it_was_set(rules, bridge):
    assume(not any(overlap(*pair) for pair in combinations(rules, 2)))
    configuration = NotificationConfiguration(rules=tuple(rules), eventbridge=bridge)
    body = answer("GetBucketNotificationConfiguration", shown(configuration)).body

    assert configuration == parsed(body, lambda: "never needed")
    assert configuration == NotificationConfiguration.from_document(configuration.document())


tags = st.sampled_from(["NotificationConfiguration", "QueueConfiguration", "Queue", "Event", "Filter", "Id"])
trees = st.recursive(
    st.builds(
        lambda tag, text: f"<{tag}>{text}</{tag}>", tags, st.sampled_from(["", "x", "s3:Event", "&#0;"])
    ),
    lambda inner: st.builds(
        lambda tag, parts: f"<{tag}>{''.join(parts)}</{tag}>", tags, st.lists(inner, max_size=3)
    ),
    max_leaves=8,
)


@given(trees | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_no_document_is_a_bug(text):
    try:
        parsed(text.encode(), lambda: "id")
        status = 200
    except S3Error as error:
        status = error.status

    assert status in (200, 400)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<R>",
        b"<R/><R/>",
        b"<S/>",
        b"\xff\xfe<R/>",
        b'<?xml version="1.0" encoding="klingon"?><R/>',
        b'<?xml version="1.0" encoding="utf-7"?><R/>',
        b'<!DOCTYPE R [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><R>&b;</R>',
        b'<!DOCTYPE R SYSTEM "file:///etc/passwd"><R/>',
        b"<R>" + b"<a>" * 40 + b"</a>" * 40 + b"</R>",
        b"<R>\x00</R>",
        b"<R>&nbsp;</R>",
    ],
)
def test_what_is_no_document_or_could_harm_is_refused(body):
    with pytest.raises(MalformedDocument):
        parse(body, "R")


def test_namespaces_and_comments_do_not_matter():
    root = parse(b'<s:R xmlns:s="urn:x"><!-- no --><s:V> a </s:V></s:R>', "R")

    assert " a " == root.findtext("V")


def test_a_key_that_xml_cannot_hold_is_written_as_a_reference():
    """As S3 does, so that clients see something rather than a document cut short."""
    written = element("K", "a\x01b<&>")

    assert "<K>a&#x1;b&lt;&amp;&gt;</K>" == written
    with pytest.raises(ElementTree.ParseError):
        ElementTree.fromstring(written)
