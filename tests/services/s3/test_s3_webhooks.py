"""The intake: what other stores and AWS send by webhook becomes AWS's records, and functions hear of it."""

import base64
import json
from http.client import BadStatusLine

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import NotAccepting
from engine.services.s3.notification_rules import NotificationRule, NotificationTarget

FUNCTION = NotificationTarget("lambda", "arn:aws:lambda:us-east-1:123456789012:function:f")
ALL = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*", "s3:ObjectRestore:*")
RULES = (NotificationRule(id="thumbnails", target=FUNCTION, events=ALL),)
ETAG = "5d41402abc4b2a76b9719d911017c592"

MINIO = {
    "EventName": "s3:ObjectCreated:Put",
    "Key": "photos/in/my cat.jpg",
    "Records": [
        {
            "eventVersion": "2.0",
            "eventSource": "minio:s3",
            "awsRegion": "",
            "eventTime": "2026-01-02T03:04:05.678Z",
            "eventName": "s3:ObjectCreated:Put",
            "userIdentity": {"principalId": "minioadmin"},
            "requestParameters": {"principalId": "minioadmin", "region": "", "sourceIPAddress": "10.0.0.9"},
            "responseElements": {
                "x-amz-request-id": "17A5B6C7D8E9F012",
                "x-minio-deployment-id": "0b2c",
                "x-minio-origin-endpoint": "http://10.0.0.1:9000",
            },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "Config",
                "bucket": {
                    "name": "photos",
                    "ownerIdentity": {"principalId": "minioadmin"},
                    "arn": "arn:aws:s3:::photos",
                },
                "object": {
                    "key": "in%2Fmy+cat.jpg",
                    "size": 5,
                    "eTag": ETAG,
                    "contentType": "image/jpeg",
                    "userMetadata": {"content-type": "image/jpeg"},
                    "sequencer": "17A5B6C7D8E9F013",
                },
            },
            "source": {"host": "10.0.0.9", "port": "", "userAgent": "mc"},
        }
    ],
}
CEPH = {
    "Records": [
        {
            "eventVersion": "2.2",
            "eventSource": "ceph:s3",
            "awsRegion": "default",
            "eventTime": "2026-01-02T03:04:05.678901Z",
            "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": "tester"},
            "requestParameters": {"sourceIPAddress": ""},
            "responseElements": {"x-amz-request-id": "503a4c37", "x-amz-id-2": "14d2-zone1"},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "all",
                "bucket": {
                    "name": "photos",
                    "ownerIdentity": {"principalId": "tester"},
                    "arn": "arn:aws:s3:default::photos",
                    "id": "503a4c37-85eb",
                },
                "object": {
                    "key": "in/my cat.jpg",
                    "size": "5",
                    "eTag": ETAG,
                    "versionId": "",
                    "sequencer": "F7E6D75DC742D108",
                    "metadata": [],
                    "tags": [],
                },
            },
            "eventId": "",
            "opaqueData": "me@example.com",
        }
    ]
}
SEAWEED = {
    "key": "/buckets/photos/in/my cat.jpg",
    "event_type": "create",
    "message": {
        "new_entry": {"name": "my cat.jpg", "attributes": {"file_size": "5"}, "chunks": []},
        "new_parent_path": "/buckets/photos/in",
    },
}
BRIDGE = {
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "account": "111122223333",
    "time": "2026-01-02T03:04:05Z",
    "region": "ca-central-1",
    "resources": ["arn:aws:s3:::photos"],
    "detail": {
        "version": "0",
        "bucket": {"name": "photos"},
        "object": {"key": "in/my cat.jpg", "size": 5, "etag": ETAG, "sequencer": "617f08299329d189"},
        "request-id": "N4N7GDK58NMKJ12R",
        "requester": "123456789012",
        "source-ip-address": "1.2.3.4",
        "reason": "PutObject",
    },
}
TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "photos", "RequestId": "A"}


def sns(inner):
    return {
        "Type": "Notification",
        "MessageId": "1",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:t",
        "Subject": "Amazon S3 Notification",
        "Message": json.dumps(inner),
        "Timestamp": "2026-01-02T03:04:06.000Z",
    }


class Post:
    """The intake of a shop in which a function hears of the bucket `photos`."""

    def __init__(self, make_shop, *, rules=RULES, **options):
        self.fetched, self.spawned = [], []
        options |= {"fetch": self._fetch, "spawn": lambda work, *given: self.spawned.append(work(*given))}
        self.shop = make_shop(fixed={"photos": rules}, intake=options)

    async def _fetch(self, url):
        self.fetched.append(url)
        if "broken" in url:
            raise OSError("no route")
        if "rubbish" in url:
            raise BadStatusLine("what no server of HTTP would say")

    def __call__(self, document, headers=(), target="/_intake/s3", method="POST"):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.shop.exchange(method, target, body, headers)


@pytest.fixture
def post(make_shop):
    return Post(make_shop)


@pytest.mark.parametrize(
    "document",
    [MINIO, CEPH, SEAWEED, BRIDGE, sns(MINIO), sns(BRIDGE), [BRIDGE]],
    ids=["minio", "ceph", "seaweedfs", "eventbridge", "sns", "sns-of-eventbridge", "list"],
)
def test_every_store_ends_as_awss_record(post, document):
    answer = post(document)
    [(target, told)] = post.shop.deliveries.delivered
    [record] = told["Records"]

    assert (200, FUNCTION) == (answer.status, target)
    assert ("aws:s3", "2.1", "ObjectCreated:Put") == (
        record["eventSource"],
        record["eventVersion"],
        record["eventName"],
    )
    assert {
        "awsRegion",
        "eventName",
        "eventSource",
        "eventTime",
        "eventVersion",
        "requestParameters",
        "responseElements",
        "s3",
        "userIdentity",
    } == set(record)
    entity = record["s3"]
    assert ("thumbnails", "photos", "arn:aws:s3:::photos") == (
        entity["configurationId"],
        entity["bucket"]["name"],
        entity["bucket"]["arn"],
    )
    assert ("in/my+cat.jpg", 5) == (entity["object"]["key"], entity["object"]["size"])
    assert int(entity["object"]["sequencer"], 16) > 0
    assert (document is SEAWEED) == ("eTag" not in entity["object"])


def test_what_a_store_says_is_kept(post):
    """Time, region, sequencer, and the address of who asked."""
    for document in (MINIO, CEPH, BRIDGE):
        post(document)
    minio, ceph, bridge = post.shop.deliveries.records

    assert ["2026-01-02T03:04:05.678Z", "us-east-1", "17A5B6C7D8E9F013"] == [
        minio["eventTime"],
        minio["awsRegion"],
        minio["s3"]["object"]["sequencer"],
    ]
    assert "10.0.0.9" == minio["requestParameters"]["sourceIPAddress"]
    assert ("default", "F7E6D75DC742D108") == (ceph["awsRegion"], ceph["s3"]["object"]["sequencer"])
    assert ("2026-01-02T03:04:05.000Z", "ca-central-1", "1.2.3.4", "AWS:123456789012") == (
        bridge["eventTime"],
        bridge["awsRegion"],
        bridge["requestParameters"]["sourceIPAddress"],
        bridge["userIdentity"]["principalId"],
    )


def test_awss_own_record_stays_as_it_is(post):
    """All but the id of the rule, which is ours."""
    configured = (
        b"<NotificationConfiguration><CloudFunctionConfiguration><Id>thumbnails</Id><CloudFunction>"
        + FUNCTION.arn.encode()
        + b"</CloudFunction><Event>s3:ObjectCreated:*</Event></CloudFunctionConfiguration>"
        b"</NotificationConfiguration>"
    )
    post.shop.ask("PUT", "/b-1")
    post.shop.ask("PUT", "/b-1?notification", configured)
    post.shop.ask("PUT", "/b-1/a%20b%2Bc/%C3%A9", b"hello")
    [(_, sent)] = post.shop.deliveries.delivered
    text = json.dumps(sent).replace("b-1", "photos")
    post(json.loads(text))
    [(_, told)] = post.shop.deliveries.delivered[1:]

    assert json.loads(text) == told


@pytest.mark.parametrize(
    ("detail_type", "detail", "name"),
    [
        ("Object Created", {"reason": "CopyObject"}, "ObjectCreated:Copy"),
        ("Object Created", {"reason": "CompleteMultipartUpload"}, "ObjectCreated:CompleteMultipartUpload"),
        ("Object Created", {"reason": "POST Object"}, "ObjectCreated:Post"),
        (
            "Object Deleted",
            {"reason": "DeleteObject", "deletion-type": "Permanently Deleted"},
            "ObjectRemoved:Delete",
        ),
        (
            "Object Deleted",
            {"reason": "DeleteObject", "deletion-type": "Delete Marker Created"},
            "ObjectRemoved:DeleteMarkerCreated",
        ),
        ("Object Tags Added", {}, "ObjectTagging:Put"),
        ("Object Restore Completed", {}, "ObjectRestore:Completed"),
    ],
)
def test_eventbridges_names_have_their_counterparts(post, detail_type, detail, name):
    post({**BRIDGE, "detail-type": detail_type, "detail": {**BRIDGE["detail"], **detail}})
    [record] = post.shop.deliveries.records

    assert name == record["eventName"]
    assert name.startswith("ObjectRemoved") == ("size" not in record["s3"]["object"])


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            {
                "key": "/buckets/photos/a",
                "event_type": "delete",
                "message": {"old_entry": {"name": "a", "attributes": {"fileSize": "3"}}},
            },
            [("ObjectRemoved:Delete", "a", None)],
        ),
        (
            {
                "key": "/buckets/photos/a",
                "event_type": "update",
                "message": {"newEntry": {"name": "a", "chunks": [{"size": 2}, {"size": "3"}]}},
            },
            [("ObjectCreated:Put", "a", 5)],
        ),
        (
            {
                "key": "/buckets/photos/d/a",
                "event_type": "rename",
                "message": {
                    "old_entry": {"name": "a"},
                    "new_entry": {"name": "b", "attributes": {"file_size": 1}},
                    "new_parent_path": "/buckets/photos/e",
                },
            },
            [("ObjectRemoved:Delete", "d/a", None), ("ObjectCreated:Put", "e/b", 1)],
        ),
        ({"key": "/buckets/photos", "event_type": "create", "message": {"new_entry": {}}}, []),
        ({"key": "/etc/config", "event_type": "create", "message": {"new_entry": {}}}, []),
        (
            {
                "key": "/buckets/photos/d",
                "event_type": "create",
                "message": {"new_entry": {"is_directory": True}},
            },
            [],
        ),
        (
            {
                "key": "/buckets/photos/.uploads/1/2.part",
                "event_type": "create",
                "message": {"new_entry": {}},
            },
            [],
        ),
    ],
)
def test_seaweedfs_tells_of_files_and_only_objects_are_told(post, event, told):
    answer = post(event)
    heard = [
        (record["eventName"], record["s3"]["object"]["key"], record["s3"]["object"].get("size"))
        for record in post.shop.deliveries.records
    ]

    assert (200, told) == (answer.status, heard)


@pytest.mark.parametrize(
    "document", [MINIO, CEPH, SEAWEED, BRIDGE], ids=["minio", "ceph", "seaweedfs", "eventbridge"]
)
def test_every_store_can_be_told_as_eventbridge_does(make_shop, document):
    rule = NotificationRule(id="r", target=FUNCTION, events=ALL, form="eventbridge")
    post = Post(make_shop, rules=(rule,))
    post(document)
    [(_, event)] = post.shop.deliveries.delivered

    assert ("Object Created", "aws.s3", "PutObject") == (
        event["detail-type"],
        event["source"],
        event["detail"]["reason"],
    )
    assert ("in/my cat.jpg", 5) == (event["detail"]["object"]["key"], event["detail"]["object"]["size"])
    if document is BRIDGE:
        changed = ("id", "account", "detail")
        assert [event[key] for key in BRIDGE if key not in changed] == [
            BRIDGE[key] for key in BRIDGE if key not in changed
        ]
        assert BRIDGE["detail"] == event["detail"] | {"requester": "123456789012"}


def test_filters_hold_for_other_stores_too(make_shop):
    rule = NotificationRule(
        id="r", target=FUNCTION, events=("s3:ObjectCreated:*",), prefix="in/my c", suffix=".jpg"
    )
    post = Post(make_shop, rules=(rule,))
    for name in ("in/my cat.jpg", "in/my cat.png", "out/my cat.jpg"):
        post({**BRIDGE, "detail": {**BRIDGE["detail"], "object": {"key": name}}})

    assert [("ObjectCreated:Put", "in/my+cat.jpg")] == post.shop.deliveries.told


@pytest.mark.parametrize(
    "document", [TEST_EVENT, sns(TEST_EVENT), {"Records": []}, [], {"Type": "UnsubscribeConfirmation"}]
)
def test_test_events_and_empty_ones_are_taken_and_dropped(post, document):
    assert (200, []) == (post(document).status, post.shop.deliveries.delivered)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"\xff",
        b"1",
        {},
        {"Records": [1]},
        {"Records": [{}]},
        {"Records": [{"s3": {"bucket": {"name": "photos"}, "object": {"key": 1}}}]},
        {"Records": [{"eventName": "", "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}}]},
        {"Type": "Notification", "Message": "hello"},
        sns(sns(sns(MINIO))),
        {**BRIDGE, "detail-type": "Object Eaten"},
        {"key": "/buckets/photos/a", "event_type": "explode", "message": {}},
        {"Type": "SubscriptionConfirmation"},
        {"Type": "SubscriptionConfirmation", "SubscribeURL": "http://169.254.169.254/latest"},
        {"Type": "SubscriptionConfirmation", "SubscribeURL": "https://sns.us-east-1.amazonaws.com.evil.org/"},
        {"Type": "SubscriptionConfirmation", "SubscribeURL": "https://[::1"},
        {"Type": "SubscriptionConfirmation", "SubscribeURL": "file:///etc/passwd"},
    ],
)
def test_what_is_no_notification_is_refused(post, document):
    answer = post(document)

    assert (400, [], []) == (answer.status, post.shop.deliveries.delivered, post.fetched)
    assert json.loads(answer.body)["error"]


def test_a_subscription_is_confirmed_at_sns(make_shop):
    """And at hosts that were named, for those who run an SNS of their own."""
    post = Post(make_shop, confirm_hosts=("sns.internal",))
    urls = [
        "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription",
        "http://sns.internal:4566/?a=b",
    ]
    answers = [confirm(post, url) for url in urls]

    assert [200, 200] == answers
    assert urls == post.fetched


def test_a_subscription_that_cannot_be_confirmed_is_to_be_sent_again(post):
    assert 502 == confirm(post, "https://sns.us-east-1.amazonaws.com/broken")


def test_a_server_that_answers_rubbish_to_a_confirmation_ends_nothing(post, caplog):
    assert 500 == confirm(post, "https://sns.us-east-1.amazonaws.com/rubbish")
    assert ["BadStatusLine"] == [record.exc_info[0].__name__ for record in caplog.records]


def confirm(post, url):
    """Status of the answer, once what was spawned has run."""
    answered = []

    class Asked:
        method, body, too_large, target, peer = "POST", b"", 0, b"/_intake/s3", "127.0.0.1"

        def respond(self, status, _head, _body):
            answered.append(status)

    Asked.body = json.dumps({"Type": "SubscriptionConfirmation", "SubscribeURL": url}).encode()
    post.shop.intake.handle(Asked(), None)
    work = post.spawned.pop()
    with pytest.raises(StopIteration):
        work.send(None)
    [status] = answered
    return status


@pytest.mark.parametrize(
    ("headers", "target", "status"),
    [
        ({}, "/_intake/s3", 403),
        ({"authorization": "Bearer wrong"}, "/_intake/s3", 403),
        ({"authorization": "Bearer s3cret"}, "/_intake/s3", 200),
        ({"authorization": "s3cret"}, "/_intake/s3", 200),
        ({"authorization": "Basic " + base64.b64encode(b"x:s3cret").decode()}, "/_intake/s3", 200),
        ({"authorization": "Basic ???"}, "/_intake/s3", 403),
        ({}, "/_intake/s3?token=s3cret", 200),
        ({}, "/_intake/s3?token=%ff", 403),
    ],
)
def test_strangers_are_kept_out_by_the_token(make_shop, headers, target, status):
    """In `Authorization`, in each of its forms, or in the query."""
    post = Post(make_shop, token="s3cret")
    answer = post(MINIO, headers, target)

    assert status == answer.status
    assert (status == 200) == bool(post.shop.deliveries.delivered)


def test_a_sender_may_look_before_it_sends(post):
    """HEAD and GET find that there is somebody."""
    assert [200, 200, 405] == [post(b"", method=method).status for method in ("HEAD", "GET", "PUT")]


def test_too_much_is_refused(post):
    """Two megabytes."""
    answer = post(b"[" + b" " * 2 * 1024 * 1024 + b"]")

    assert 413 == answer.status


def test_what_the_engine_cannot_take_is_to_be_sent_again(post):
    def deliver(_target, _document, _trace):
        raise NotAccepting("draining")

    post.shop.deliveries.deliver = deliver

    assert 503 == post(MINIO).status


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "photos", "a/b", "%zz"]),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(
        st.sampled_from(
            ["Records", "s3", "bucket", "object", "name", "key", "eventName", "Type", "Message", "detail",
             "source", "detail-type", "event_type", "message", "new_entry", "old_entry", "size", "attributes",
             "chunks"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


def broken(document, path, value):
    """`document` with `value` at `path`, cut short where the path leads nowhere."""
    if not path or not isinstance(document, dict | list) or not document:
        return value
    keys = list(document) if isinstance(document, dict) else range(len(document))
    chosen = keys[path[0] % len(keys)]
    copied = dict(document) if isinstance(document, dict) else list(document)
    copied[chosen] = broken(document[chosen], path[1:], value)
    return copied


@settings(max_examples=150)
@given(st.sampled_from([MINIO, CEPH, SEAWEED, BRIDGE]), st.lists(st.integers(0, 9), max_size=6), junk)
def test_no_notification_is_a_bug(make_shop, document, path, value):
    post = Post(make_shop)

    assert post(broken(document, path, value)).status in (200, 400)
