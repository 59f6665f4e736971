"""What is told of which happening, to whom, and in which words."""

import base64
import hashlib
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.function import Account
from engine.errors import NotAccepting
from engine.services.s3.notification_records import NotificationRecords
from engine.services.s3.notification_rules import NotificationRule, NotificationTarget

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:q"
TOPIC = "arn:aws:sns:us-east-1:123456789012:t"


def configuration(*entries, bridge=False):
    """The XML; an entry is (tag, target tag, arn, events, prefix, suffix)."""
    text = ""
    for tag, inner, arn, events, prefix, suffix in entries:
        rules = "".join(
            f"<FilterRule><Name>{name}</Name><Value>{value}</Value></FilterRule>"
            for name, value in (("prefix", prefix), ("suffix", suffix))
            if value is not None
        )
        listed = "".join(f"<Event>{event}</Event>" for event in events)
        text += f"<{tag}><Id>mine</Id><{inner}>{arn}</{inner}>{listed}"
        text += f"<Filter><S3Key>{rules}</S3Key></Filter></{tag}>"
    text += "<EventBridgeConfiguration/>" if bridge else ""
    return (
        f'<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{text}'
        "</NotificationConfiguration>"
    ).encode()


def function(events=("s3:ObjectCreated:*",), prefix=None, suffix=None):
    return ("CloudFunctionConfiguration", "CloudFunction", FUNCTION, events, prefix, suffix)


def queue(events=("s3:ObjectCreated:*",), arn=QUEUE):
    return ("QueueConfiguration", "Queue", arn, events, None, None)


def configure(shop, *entries, bridge=False, headers=()):
    return shop.ask("PUT", "/b-1?notification", configuration(*entries, bridge=bridge), headers)


def test_the_record_is_awss(shop):
    configure(shop, function())
    answer = shop.ask("PUT", "/b-1/in/Happy%20Face%40%C3%A9.jpg", b"hello")
    [(target, document)] = shop.deliveries.delivered
    sequencer = document["Records"][0]["s3"]["object"].pop("sequencer")

    assert NotificationTarget("lambda", FUNCTION) == target
    assert {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "us-east-1",
                "eventTime": "2020-03-13T07:06:40.500Z",
                "eventName": "ObjectCreated:Put",
                "userIdentity": {"principalId": "AWS:AIDAJDPLRKLG7UEXAMPLE"},
                "requestParameters": {"sourceIPAddress": "127.0.0.1"},
                "responseElements": {
                    "x-amz-request-id": answer.headers["x-amz-request-id"],
                    "x-amz-id-2": answer.headers["x-amz-id-2"],
                },
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "mine",
                    "bucket": {
                        "name": "b-1",
                        "ownerIdentity": {"principalId": "A3NL1KOZZKEXAMPLE"},
                        "arn": "arn:aws:s3:::b-1",
                    },
                    "object": {
                        "key": "in/Happy+Face%40%C3%A9.jpg",
                        "size": 5,
                        "eTag": "5d41402abc4b2a76b9719d911017c592",
                    },
                },
            }
        ]
    } == document
    assert 18 == len(sequencer) == len(bytes.fromhex(sequencer)) * 2


def test_each_happening_has_the_members_aws_gives_it(shop):
    events = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*")
    configure(shop, function(events))
    shop.ask("PUT", "/b-1/k", b"1")
    shop.ask("PUT", "/b-1/c", headers={"x-amz-copy-source": "/b-1/k"})
    shop.ask(
        "PUT",
        "/b-1/k?tagging",
        b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    )
    shop.ask("DELETE", "/b-1/k?tagging")
    shop.ask("DELETE", "/b-1/k")
    versioned = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    shop.ask("PUT", "/b-1?versioning", versioned)
    shop.ask("DELETE", "/b-1/never")
    members = [
        (record["eventName"], record["eventVersion"], sorted(record["s3"]["object"]))
        for record in shop.deliveries.records
    ]

    assert [
        ("ObjectCreated:Put", "2.1", ["eTag", "key", "sequencer", "size"]),
        ("ObjectCreated:Copy", "2.1", ["eTag", "key", "sequencer", "size"]),
        ("ObjectTagging:Put", "2.3", ["eTag", "key"]),
        ("ObjectTagging:Delete", "2.3", ["eTag", "key"]),
        ("ObjectRemoved:Delete", "2.1", ["key", "sequencer"]),
        ("ObjectRemoved:DeleteMarkerCreated", "2.1", ["eTag", "key", "sequencer", "versionId"]),
    ] == members


def test_what_changed_nothing_is_not_told(shop):
    """A delete of what is not there, a refused put, a begun upload, a read."""
    configure(shop, function(("s3:ObjectCreated:*", "s3:ObjectRemoved:*")))
    shop.ask("DELETE", "/b-1/never")
    shop.ask("PUT", "/b-1/k", b"x", {"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="})
    shop.ask("POST", "/b-1/k?uploads")
    shop.ask("GET", "/b-1/k")

    assert [] == shop.deliveries.told


def test_deleting_many_keys_tells_of_each_whether_it_was_there_or_not(shop):
    """In a bucket that never had versions; in one that has, each gets a marker, and a version that is not
    there nothing.
    """
    configure(shop, function(("s3:ObjectRemoved:*",)))
    shop.ask("PUT", "/b-1/k", b"x")
    listed = "".join(f"<Object><Key>{key}</Key></Object>" for key in ("k", "never", "k"))
    body = f"<Delete>{listed}</Delete>".encode()
    digest = {"content-md5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()}
    shop.ask("POST", "/b-1?delete", body, digest)
    gone = shop.deliveries.records.copy()
    shop.deliveries.delivered.clear()
    versioned = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    shop.ask("PUT", "/b-1?versioning", versioned)
    shop.ask("POST", "/b-1?delete", body, digest)

    assert [("ObjectRemoved:Delete", key, ["key", "sequencer"]) for key in ("k", "never", "k")] == [
        (record["eventName"], record["s3"]["object"]["key"], sorted(record["s3"]["object"]))
        for record in gone
    ]
    assert [("ObjectRemoved:DeleteMarkerCreated", key) for key in ("k", "never", "k")] == (
        shop.deliveries.told
    )


def test_a_notification_has_the_region_of_the_bucket(shop):
    """Wherever the request was signed: in S3's form and in EventBridge's."""
    where = b"<LocationConstraint>eu-west-3</LocationConstraint>"
    shop.ask("PUT", "/b-2", b"<CreateBucketConfiguration>%b</CreateBucketConfiguration>" % where)
    shop.ask("PUT", "/b-2?notification", configuration(function(), bridge=True))
    scope = (
        "AWS4-HMAC-SHA256 Credential=test/20200313/us-west-2/s3/aws4_request, SignedHeaders=host, Signature=0"
    )
    shop.ask("PUT", "/b-2/k", b"x", {"authorization": scope})
    (_, record), (_, bridged) = shop.deliveries.delivered

    assert "eu-west-3" == record["Records"][0]["awsRegion"] == bridged["region"]


def test_filters_choose_by_event_prefix_and_suffix(shop):
    configure(shop, function(("s3:ObjectCreated:Put",), "in/", ".jpg"))
    for key in ("in/a.jpg", "in/a.png", "out/a.jpg", "in/.jpg"):
        shop.ask("PUT", f"/b-1/{key}", b"")
    shop.ask("PUT", "/b-1/in/copy.jpg", headers={"x-amz-copy-source": "b-1/in/a.jpg"})
    shop.ask("DELETE", "/b-1/in/a.jpg")

    assert [("ObjectCreated:Put", "in/a.jpg"), ("ObjectCreated:Put", "in/.jpg")] == shop.deliveries.told


@pytest.mark.parametrize("prefix", ["in a/é", "in+a/%C3%A9", "in%20a/%C3%A9"])
def test_a_filter_may_be_written_plain_or_encoded(shop, prefix):
    configure(shop, function(prefix=prefix))
    shop.ask("PUT", "/b-1/in%20a/%C3%A9.jpg", b"")

    assert [("ObjectCreated:Put", "in+a/%C3%A9.jpg")] == shop.deliveries.told


def test_every_target_hears_by_itself(shop):
    body = configuration(function(), queue(("s3:ObjectRemoved:*",)), bridge=True)
    same_ids = shop.ask("PUT", "/b-1?notification", body)
    body = body.replace(b"<Id>mine</Id><Queue>", b"<Queue>")
    assert 200 == shop.ask("PUT", "/b-1?notification", body).status
    shop.deliveries.delivered.clear()
    shop.ask("PUT", "/b-1/k", b"")
    shop.ask("DELETE", "/b-1/k")

    assert (400, "InvalidArgument") == same_ids.error[:2]
    (_, record), (_, bridged), *_ = shop.deliveries.delivered
    assert ["lambda", "eventbridge", "queue", "eventbridge"] == [
        target.kind for target, _ in shop.deliveries.delivered
    ]
    assert record["Records"][0]["s3"]["object"]["sequencer"] == (bridged["detail"]["object"]["sequencer"])


CREATED, PUT = ("s3:ObjectCreated:*",), ("s3:ObjectCreated:Put",)
OVERLAP = "Configurations overlap. Configurations on the same bucket cannot share a common event type."
AMBIGUOUS = (
    "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are "
    "overlapping for the same event type."
)


@pytest.mark.parametrize(
    ("first", "second", "message", "events"),
    [
        ((CREATED, None, None), (PUT, None, None), OVERLAP, ["s3:ObjectCreated:*, s3:ObjectCreated:Put"]),
        ((CREATED, "images/", None), (PUT, None, None), AMBIGUOUS, []),
        ((PUT, "images/", ".jpg"), (PUT, "images/old/", "peg.jpg"), AMBIGUOUS, []),
        ((PUT, "images/", ".jpg"), (PUT, "images/", ".png"), None, []),
        ((PUT, "images/", ".jpg"), (PUT, "logs/", ".jpg"), None, []),
        ((PUT, None, None), (("s3:ObjectCreated:Copy",), None, None), None, []),
    ],
)
def test_two_that_may_match_one_event_of_one_key_are_refused(shop, first, second, message, events):
    body = configuration(function(*first), ("QueueConfiguration", "Queue", QUEUE, *second))
    answer = shop.ask("PUT", "/b-1?notification", body.replace(b"<Id>mine</Id><Queue>", b"<Queue>"))

    assert (200 if message is None else 400) == answer.status
    if message is not None:
        assert ("InvalidArgument", message) == answer.error[1:]
        assert events == answer.text("ArgumentValue")


def test_a_queue_is_sent_a_test_event(shop):
    answer = configure(shop, queue())
    [(target, document)] = shop.deliveries.delivered

    assert NotificationTarget("queue", QUEUE) == target
    assert {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": "2020-03-13T07:06:40.500Z",
        "Bucket": "b-1",
        "RequestId": answer.headers["x-amz-request-id"],
        "HostId": answer.headers["x-amz-id-2"],
    } == document


def test_a_function_is_sent_none(shop):
    configure(shop, function())

    assert [] == shop.deliveries.delivered


def test_targets_that_are_not_there_are_refused_each_by_its_number(shop):
    shop.deliveries.refused[QUEUE] = "The destination queue does not exist"
    shop.deliveries.refused[FUNCTION] = "Not authorized to invoke function [f]"
    gone = queue(), function(("s3:ObjectRemoved:*",))
    body = configuration(*gone).replace(b"<Id>mine</Id><Queue>", b"<Queue>")
    answer = shop.ask("PUT", "/b-1?notification", body)
    skipped = configure(shop, queue(), headers={"x-amz-skip-destination-validation": "true"})

    assert (
        400,
        "InvalidArgument",
        "Unable to validate the following destination configurations",
    ) == answer.error
    assert [QUEUE] == answer.text("ArgumentName1")
    assert ["The destination queue does not exist"] == answer.text("ArgumentValue1")
    assert [f"{FUNCTION}, null"] == answer.text("ArgumentName2")
    assert ["Not authorized to invoke function [f]"] == answer.text("ArgumentValue2")
    assert (200, []) == (skipped.status, shop.deliveries.delivered)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (queue(arn="nonsense"), "The ARN could not be parsed"),
        (function(events=("s3:ObjectCreated:Everything",)), "The event is not supported for notifications"),
        (
            queue(arn=f"{QUEUE}.fifo"),
            "Unable to validate the following destination configurations",
        ),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(shop, entry, message):
    answer = configure(shop, entry)

    assert (400, "InvalidArgument", message) == answer.error


@pytest.mark.parametrize(
    ("entry", "name"), [(queue(arn="x"), "Queue"), ((*function()[:2], "x", *function()[3:]), "CloudFunction")]
)
def test_an_arn_that_is_none_is_told_with_the_element_it_stands_in(shop, entry, name):
    assert [name] == configure(shop, entry).text("ArgumentName")


def test_a_filter_of_another_kind_is_refused(shop):
    body = configuration(function(prefix="in/")).replace(b"<Name>prefix", b"<Name>infix")

    assert (400, "InvalidArgument", "filter rule name must be either prefix or suffix") == shop.ask(
        "PUT", "/b-1?notification", body
    ).error


def test_a_configuration_replaces_the_one_before(shop):
    configure(shop, function(), bridge=True)
    listed = shop.ask("GET", "/b-1?notification")
    configure(shop)
    shop.ask("PUT", "/b-1/k", b"")

    assert (["mine"], [FUNCTION], True) == (
        listed.text("Id"),
        listed.text("CloudFunction"),
        b"<EventBridgeConfiguration>" in listed.body,
    )
    assert [] == shop.deliveries.delivered
    empty = shop.ask("GET", "/b-1?notification").body
    assert empty.endswith(b'2006-03-01/"></NotificationConfiguration>')


def test_eventbridge_hears_of_everything_in_its_own_words(shop):
    configure(shop, bridge=True)
    shop.ask("PUT", "/b-1/a%20b%40", b"hello")
    shop.ask("DELETE", "/b-1/a%20b%40")
    (target, made), (_, gone) = shop.deliveries.delivered
    sequencers = [event["detail"]["object"].pop("sequencer") for event in (made, gone)]

    assert "eventbridge" == target.kind
    assert ("Object Created", "aws.s3", "123456789012", "2020-03-13T07:06:40Z", ["arn:aws:s3:::b-1"]) == (
        made["detail-type"],
        made["source"],
        made["account"],
        made["time"],
        made["resources"],
    )
    assert {"key": "a b@", "size": 5, "etag": "5d41402abc4b2a76b9719d911017c592"} == made["detail"]["object"]
    assert ("PutObject", "127.0.0.1") == (made["detail"]["reason"], made["detail"]["source-ip-address"])
    assert ("Object Deleted", {"key": "a b@"}, "Permanently Deleted", "DeleteObject") == (
        gone["detail-type"],
        gone["detail"]["object"],
        gone["detail"]["deletion-type"],
        gone["detail"]["reason"],
    )
    assert sequencers == sorted(sequencers)


def test_rules_of_the_configuration_file_stay_whatever_the_api_does(make_shop):
    rule = NotificationRule(
        id="fixed", target=NotificationTarget("lambda", FUNCTION), events=("s3:ObjectCreated:*",)
    )
    shop = make_shop(fixed={"b-1": (rule,)})
    shop.ask("PUT", "/b-1")
    configure(shop)
    shop.ask("PUT", "/b-1/k", b"")

    assert ["fixed"] == [record["s3"]["configurationId"] for record in shop.deliveries.records]
    assert [] == shop.ask("GET", "/b-1?notification").text("Id")


def test_a_change_that_could_not_be_told_is_to_be_tried_again(shop):
    """An engine that drains answers 503."""
    configure(shop, function())

    def deliver(_target, _document, _trace):
        raise NotAccepting("draining")

    shop.deliveries.deliver = deliver

    assert (503, "ServiceUnavailable") == shop.ask("PUT", "/b-1/k", b"").error[:2]


@given(st.lists(st.floats(0, 4e9), min_size=1, max_size=50))
def test_sequencers_only_grow(times):
    """Whatever the wall clock does."""
    clock = SimpleNamespace(wall=iter(times).__next__)
    records = NotificationRecords(Account(), clock, str)
    given_out = [records.sequencer() for _ in times]

    assert given_out == sorted(set(given_out))
    assert {18} == {len(one) for one in given_out}
