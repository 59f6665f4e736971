"""What is sent, and how answers are judged: no socket."""

import json
from collections import Counter
from types import SimpleNamespace

import pytest

pytest.importorskip("hdrh", reason="hdrhistogram is not installed")

from engine.load.generator.recorder import FAILURE, SUCCESS, THROTTLED, RequestOutcome
from engine.load.generator.senders import Sender
from engine.load.planning.plan import Mix, Stream

URLS = {"aws": "http://aws", "http": "http://http"}


def sender(**stream):
    """A sender of a stream called `s`."""
    return Sender("s", Stream(**{"function": "f", **stream}), URLS, seed=1)


def reply(status=200, body=b"{}", **headers):
    """An HTTP answer."""
    return SimpleNamespace(status_code=status, headers=headers, content=body)


def test_an_invocation_is_a_post_to_the_invoke_api():
    """Its body is the event."""
    request = sender(send="invoke", events=(Mix(event={"n": 1}),)).request(0, 5.0)

    assert ("POST", "http://aws/2015-03-31/functions/f/invocations") == (request.method, request.url)
    assert b'{"n":1}' == request.body


def test_an_http_request_has_its_own_method_and_target():
    """A GET has no body."""
    request = sender(send="http", method="GET", target="/x?y=1").request(0, 5.0)

    assert ("GET", "http://http/x?y=1", b"") == (request.method, request.url, request.body)


def test_an_asynchronous_invocation_carries_a_numbered_record():
    """So that it can be told to have arrived."""
    request = sender(send="event").request(7, 5.25)

    assert "Event" == request.headers["X-Amz-Invocation-Type"]
    assert {"id": "s/7", "sent_s": 5.25, "poison": False} == json.loads(request.body)


def test_messages_of_batches_are_numbered_without_gaps():
    """Ten messages a request: the second request begins with the eleventh."""
    request = sender(send="sqs", queue="q", records=10).request(1, 5.0)
    entries = json.loads(request.body)["Entries"]

    assert "AmazonSQS.SendMessageBatch" == request.headers["X-Amz-Target"]
    assert [f"s/{number}" for number in range(10, 20)] == [
        json.loads(entry["MessageBody"])["id"] for entry in entries
    ]
    assert [str(place) for place in range(10)] == [entry["Id"] for entry in entries]


def test_an_object_tells_by_its_key_what_it_is():
    """A notification has nothing else of the object's."""
    request = sender(send="s3", bucket="b").request(3, 5.5)

    assert ("PUT", "http://aws/b/s/good/5.500000/3") == (request.method, request.url)
    assert "/s3/" in request.headers["Authorization"]


def test_the_same_number_is_the_same_request():
    """Whichever process sends it; and the mix is that of the weights."""
    events = (Mix(event={"ok": True}, weight=7), Mix(event={"ok": False}, weight=3, fails=True))
    one, other = sender(send="invoke", events=events), sender(send="invoke", events=events)

    requests = [one.request(number, 0.0) for number in range(1000)]

    assert requests == [other.request(number, 1.0) for number in range(1000)]
    counts = Counter(request.fails for request in requests)
    assert 620 < counts[False] < 780
    assert all(request.fails == (b"false" in request.body) for request in requests)


def test_poison_is_the_share_that_is_asked_for():
    """The same records each time."""
    poisoned = sender(send="event", poison=0.3)

    bad = [json.loads(poisoned.request(number, 0.0).body)["poison"] for number in range(1000)]

    assert 230 < sum(bad) < 370
    assert bad == [json.loads(poisoned.request(number, 0.0).body)["poison"] for number in range(1000)]


BATCH = b'{"Successful": [{}, {}], "Failed": [{"Code": "InternalError"}]}'


@pytest.mark.parametrize(
    ("send", "answer", "expected"),
    [
        ("invoke", reply(), RequestOutcome(SUCCESS)),
        ("invoke", reply(429), RequestOutcome(THROTTLED)),
        ("invoke", reply(500), RequestOutcome(FAILURE, "status 500")),
        (
            "invoke",
            reply(body=b'{"errorType": "ValueError"}', **{"X-Amz-Function-Error": "Unhandled"}),
            RequestOutcome(FAILURE, "ValueError"),
        ),
        ("http", reply(204), RequestOutcome(SUCCESS)),
        ("http", reply(503), RequestOutcome(THROTTLED)),
        ("http", reply(502), RequestOutcome(FAILURE, "status 502")),
        ("event", reply(202), RequestOutcome(SUCCESS, records=1)),
        ("event", reply(429), RequestOutcome(THROTTLED)),
        ("event", reply(200), RequestOutcome(FAILURE, "status 200")),
        ("sqs", reply(body=b'{"Successful": [{}, {}]}'), RequestOutcome(SUCCESS, records=2)),
        ("sqs", reply(body=BATCH), RequestOutcome(FAILURE, "InternalError", records=2)),
        ("sqs", reply(400), RequestOutcome(FAILURE, "status 400")),
        ("s3", reply(), RequestOutcome(SUCCESS, records=1)),
        ("s3", reply(503), RequestOutcome(THROTTLED)),
        ("s3", reply(404), RequestOutcome(FAILURE, "status 404")),
    ],
)
def test_answers_mean_what_the_service_means(send, answer, expected):
    """Each service has its own word for a refusal."""
    assert expected == sender(send=send, queue="q", bucket="b").answer(answer)


def test_a_function_may_tell_where_and_when_it_began():
    """Only if it succeeded."""
    telling = sender(send="invoke", tells_begin=True)
    body = b'{"began_s": 4.5, "environment": "env-1"}'

    assert RequestOutcome(SUCCESS, began=("env-1", 4.5)) == telling.answer(reply(body=body))
    assert RequestOutcome(THROTTLED) == telling.answer(reply(429))


def test_each_request_has_an_event_of_its_own_source():
    """Its ids and time, and the number in the fields; the same number gives the same again."""
    mix = Mix(source="sqs", fields={"body": {"n": "{n}"}, "queue": "orders"})
    stream = Stream(send="invoke", function="f", events=(mix,))
    one, other = (Sender("s", stream, URLS, seed=1, wall_s=1_000_000.0) for _ in range(2))
    [first], [second] = (json.loads(one.request(number, 5.0).body)["Records"] for number in (0, 1))

    assert one.request(1, 5.0) == other.request(1, 5.0)
    assert ['{"n":"0"}', '{"n":"1"}'] == [first["body"], second["body"]]
    assert first["messageId"] != second["messageId"]
    assert "1000005000" == first["attributes"]["SentTimestamp"]
