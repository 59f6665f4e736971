"""What was recorded on AWS about queues, each fact in all operations it is about and in both protocols."""

from __future__ import annotations

import json
import time
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError

BAD_ENTRY_ID = (
    "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most "
    "80 letters long."
)
BATCHES = {
    "SendMessageBatch": {"MessageBody": "x"},
    "DeleteMessageBatch": {"ReceiptHandle": "x"},
    "ChangeMessageVisibilityBatch": {"ReceiptHandle": "x", "VisibilityTimeout": 1},
}
BY_QUEUE = {"DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue"}
BY_GROUP = {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}


def entry_of(operation: str, entry_id: str | None) -> dict[str, object]:
    return BATCHES[operation] if entry_id is None else {"Id": entry_id, **BATCHES[operation]}


def as_form(operation: str, entry: dict[str, object]) -> dict[str, str]:
    return {f"{operation}RequestEntry__1__{name}": str(value) for name, value in entry.items()}


# --- empty is given, not missing


@pytest.mark.parametrize("operation", BATCHES)
@pytest.mark.parametrize("entry_id", ["", "a b", "a" * 81, "a:b"])
def test_an_empty_id_of_an_entry_is_malformed_as_any_other(site, operation, entry_id):
    """In both protocols."""
    site.create()
    entry = entry_of(operation, entry_id)
    answers = [
        site.q(operation, Entries=[entry]),
        site.query(operation, "/123456789012/q", **as_form(operation, entry)),
    ]

    for answer in answers:
        assert (400, "AWS.SimpleQueueService.InvalidBatchEntryId") == (answer.status, answer.code)
        assert BAD_ENTRY_ID == answer.message


@pytest.mark.parametrize("operation", BATCHES)
def test_an_absent_id_of_an_entry_is_missing(site, operation):
    """In both protocols."""
    site.create()
    entry = entry_of(operation, None)
    answers = [
        site.q(operation, Entries=[entry]),
        site.query(operation, "/123456789012/q", **as_form(operation, entry)),
    ]

    for answer in answers:
        assert "MissingParameter" == answer.code
        assert f"The request must contain the parameter {operation}RequestEntry.1.Id." == answer.message


@pytest.mark.parametrize("operation", BATCHES)
def test_a_batch_without_entries_is_empty_only_if_it_says_so(site, operation):
    """A form can say it in one way only."""
    site.create()
    empty = "AWS.SimpleQueueService.EmptyBatchRequest"
    absent = site.q(operation)

    assert ("MissingParameter", "The request must contain the parameter Entries.") == (
        absent.code,
        absent.message,
    )
    assert empty == site.q(operation, Entries=[]).code
    assert empty == site.query(operation, "/123456789012/q").code


@pytest.mark.real_time
def test_boto3_sees_the_shape_of_an_empty_id(sqs):
    """As the code that a query client would get, and in its short form."""
    url = sqs.create_queue(QueueName="empty-id")["QueueUrl"]
    with pytest.raises(sqs.exceptions.InvalidBatchEntryId) as caught:
        sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": "", "ReceiptHandle": "x"}])

    assert {
        "Code": "AWS.SimpleQueueService.InvalidBatchEntryId",
        "Message": BAD_ENTRY_ID,
        "QueryErrorCode": "InvalidBatchEntryId",
        "Type": "Sender",
    } == caught.value.response["Error"]


# --- attributes of FIFO throughput change, together


@pytest.mark.parametrize(("first", "then"), [(BY_QUEUE, BY_GROUP), (BY_GROUP, BY_QUEUE)])
def test_scope_and_limit_of_a_fifo_queue_change_together_and_are_shown(site, first, then):
    """Both ways; the order in which they are written does not count."""
    site.create("f.fifo", **first)
    for pair in (then, dict(reversed(first.items()))):
        assert 200 == site.q("SetQueueAttributes", "f.fifo", Attributes=pair).status

        shown = site.q("GetQueueAttributes", "f.fifo", AttributeNames=[*pair]).document["Attributes"]

        assert pair == shown


@pytest.mark.real_time
def test_boto3_changes_scope_and_limit_together(sqs):
    """And sees the new pair at once."""
    url = sqs.create_queue(QueueName="pair.fifo", Attributes={"FifoQueue": "true", **BY_QUEUE})["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes=BY_GROUP)

    assert BY_GROUP == sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[*BY_GROUP])["Attributes"]


def test_a_scope_alone_changes_too(site):
    """As long as the pair is a possible one afterwards."""
    site.create("f.fifo")
    site.q("SetQueueAttributes", "f.fifo", Attributes={"DeduplicationScope": "messageGroup"})

    shown = site.q("GetQueueAttributes", "f.fifo", AttributeNames=["All"]).document["Attributes"]

    assert "messageGroup" == shown["DeduplicationScope"]
    assert 200 == site.q("SetQueueAttributes", "f.fifo", Attributes=BY_GROUP).status
    answer = site.q("SetQueueAttributes", "f.fifo", Attributes={"DeduplicationScope": "queue"})
    assert "InvalidAttributeValue" == answer.code


@pytest.mark.parametrize(
    ("first", "then", "bodies"),
    [(BY_QUEUE, BY_GROUP, ["a", "c"]), (BY_GROUP, BY_QUEUE, ["a", "b", "c", "d"])],
)
def test_duplicates_are_judged_by_the_scope_of_creation(site, first, then, bodies):
    """Before and after the change, of ids that were never used before too."""
    site.create("f.fifo", **first)

    def send(body: str, group: str, dedup_id: str) -> None:
        site.q(
            "SendMessage", "f.fifo", MessageBody=body, MessageGroupId=group, MessageDeduplicationId=dedup_id
        )

    send("a", "1", "before")
    send("b", "2", "before")
    site.q("SetQueueAttributes", "f.fifo", Attributes=then)
    send("c", "1", "after")
    send("d", "2", "after")

    assert bodies == sorted(site.bodies(name="f.fifo"))


# --- the Query protocol: the answer's form is negotiated


@pytest.mark.real_time
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_query_request_that_accepts_json_is_answered_in_json(sqs, real_site, method):
    """By plain HTTP; the outermost member is the root that the XML has."""
    url = sqs.create_queue(QueueName=f"accept-{method.lower()}")["QueueUrl"]
    body = 'a\r"b" &quot;'
    attribute = {"a": {"DataType": "String", "StringValue": "v"}}
    sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attribute)

    def ask(target: str, accept: str | None, **form: str) -> tuple[str, bytes]:
        text = urlencode({"Version": "2012-11-05", **form})
        address = target if method == "POST" else f"{target}?{text}"
        data = text.encode() if method == "POST" else None
        headers = {} if accept is None else {"Accept": accept}
        try:
            with urlopen(Request(address, data, headers, method=method)) as answer:
                return answer.headers["Content-Type"], answer.read()
        except HTTPError as error:
            return error.headers["Content-Type"], error.read()

    listed = ask(f"{real_site.endpoint_url}/", "application/json", Action="ListQueues")
    got = ask(url, "application/json", **{"Action": "ReceiveMessage", "MessageAttributeName.1": "All"})
    none = ask(url, "application/json", Action="ReceiveMessage")
    wrong = ask(url, "application/json", Action="ReceiveMessage", MaxNumberOfMessages="11")
    [message] = json.loads(got[1])["ReceiveMessageResponse"]["ReceiveMessageResult"]["messages"]

    assert "application/json" == listed[0] == got[0] == wrong[0]
    assert url in json.loads(listed[1])["ListQueuesResponse"]["ListQueuesResult"]["queueUrls"]
    assert (body, None) == (message["Body"], message["Attributes"])
    assert [("a", "v")] == [
        (one["Name"], one["Value"]["StringValue"]) for one in message["MessageAttributes"]
    ]
    assert {"messages": None} == json.loads(none[1])["ReceiveMessageResponse"]["ReceiveMessageResult"]
    assert "InvalidParameterValue" == json.loads(wrong[1])["Error"]["Code"]
    assert "text/xml" == ask(url, None, Action="ReceiveMessage")[0]


# --- attributes that come and go together


def test_a_key_of_kms_brings_its_period_and_goes_with_it(site):
    """Queue-managed encryption takes the place of both."""
    site.create(KmsMasterKeyId="alias/aws/sqs")

    def shown() -> dict[str, str]:
        has = site.q("GetQueueAttributes", AttributeNames=["All"]).document["Attributes"]
        return {name: text for name, text in has.items() if name.startswith(("Kms", "SqsM"))}

    key = {"KmsMasterKeyId": "alias/aws/sqs", "SqsManagedSseEnabled": "false"}
    assert {**key, "KmsDataKeyReusePeriodSeconds": "300"} == shown()
    site.q("SetQueueAttributes", Attributes={"KmsDataKeyReusePeriodSeconds": "860"})
    assert {**key, "KmsDataKeyReusePeriodSeconds": "860"} == shown()
    site.q("SetQueueAttributes", Attributes={"SqsManagedSseEnabled": "true"})
    assert {"SqsManagedSseEnabled": "true"} == shown()


@pytest.mark.parametrize("count", ["3", 3])
def test_a_count_of_receives_is_shown_as_a_number(site, count):
    """Also if it was given as text."""
    site.create("dead")
    policy = {"deadLetterTargetArn": site.arn("dead"), "maxReceiveCount": count}
    site.create(RedrivePolicy=json.dumps(policy))
    has = site.q("GetQueueAttributes", AttributeNames=["RedrivePolicy"]).document["Attributes"]

    assert {**policy, "maxReceiveCount": 3} == json.loads(has["RedrivePolicy"])


def test_a_queue_has_twenty_permissions_at_most(site):
    """The next one is over the limit."""
    site.create()
    more = {"AWSAccountIds": ["123456789012"], "Actions": ["SendMessage"]}
    for number in range(20):
        assert 200 == site.q("AddPermission", Label=f"l{number}", **more).status
    answer = site.q("AddPermission", Label="more", **more)

    assert (403, "OverLimit", "21 Statements were found, maximum allowed is 20.") == (
        answer.status,
        answer.code,
        answer.message,
    )


def test_an_entry_without_a_timeout_fails_alone(site):
    """By its number in the batch."""
    site.create()
    [failed] = site.q("ChangeMessageVisibilityBatch", Entries=[{"Id": "a", "ReceiptHandle": "x"}]).document[
        "Failed"
    ]

    assert "MissingParameter" == failed["Code"]
    assert (
        "The request must contain the parameter ChangeMessageVisibilityBatchRequestEntry.1.VisibilityTimeout."
        == failed["Message"]
    )


# --- stale receipts


def received(site, name: str) -> str:
    """The handle of the queue's one message, which is visible again."""
    more = {"MessageGroupId": "g", "MessageDeduplicationId": "d"} if name.endswith("fifo") else {}
    site.create(name)
    site.q("SendMessage", name, MessageBody="m", **more)
    [message] = site.q("ReceiveMessage", name, VisibilityTimeout=1).document["Messages"]
    site.clock.advance(1.2)
    return message["ReceiptHandle"]


def codes_of(site, name: str, operation: str, protocol: str, **params: object) -> list[str]:
    """The codes of all errors in the answer: of the call, or of entries."""
    if protocol == "query":
        entries = params.pop("Entries", [])
        form = {key: str(value) for key, value in params.items()}
        for entry in entries:
            form |= as_form(operation, entry)
        return site.query(operation, f"/123456789012/{name}", **form).xml_text("Code")
    answer = site.q(operation, name, **params)
    return [answer.code] if answer.code else [one["Code"] for one in answer.document.get("Failed", [])]


@pytest.mark.parametrize("seconds", [0, 20])
@pytest.mark.parametrize("protocol", ["json", "query"])
@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("name", ["q", "f.fifo"])
def test_a_late_change_of_visibility_changes_nothing(site, name, many, protocol, seconds):
    """It is fine on a standard queue, and refused on a FIFO queue, alone and in a batch."""
    change = {"ReceiptHandle": received(site, name), "VisibilityTimeout": seconds}
    if many:
        operation, params = "ChangeMessageVisibilityBatch", {"Entries": [{"Id": "a", **change}]}
    else:
        operation, params = "ChangeMessageVisibility", change
    codes = codes_of(site, name, operation, protocol, **params)

    assert (["InvalidParameterValue"] if name == "f.fifo" else []) == codes
    assert (1, 0, 0) == site.counts(name)
    assert ["m"] == site.bodies(name=name)


@pytest.mark.parametrize("protocol", ["json", "query"])
@pytest.mark.parametrize("name", ["q", "f.fifo"])
def test_a_late_delete_is_one_on_a_standard_queue_and_refused_on_a_fifo_queue(site, name, protocol):
    """Until somebody else receives the message."""
    codes = codes_of(site, name, "DeleteMessage", protocol, ReceiptHandle=received(site, name))

    assert (["InvalidParameterValue"] if name == "f.fifo" else []) == codes
    assert ((1, 0, 0) if name == "f.fifo" else (0, 0, 0)) == site.counts(name)


def received_again(site, name: str) -> str:
    """The first of the two handles of the queue's one message, which is in flight by the second."""
    first = received(site, name)
    assert site.q("ReceiveMessage", name, VisibilityTimeout=5).document["Messages"]
    return first


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(
    ("name", "codes", "hidden"), [("q", [], True), ("f.fifo", ["InvalidParameterValue"], False)]
)
def test_a_handle_from_before_the_last_receive_hides_a_message_of_a_standard_queue(
    site, name, codes, hidden, many
):
    """On AWS too (moto's pull request 4655, whose tests ran there); a FIFO queue refuses it."""
    change = {"ReceiptHandle": received_again(site, name), "VisibilityTimeout": 100}
    if many:
        told = codes_of(site, name, "ChangeMessageVisibilityBatch", "json", Entries=[{"Id": "a", **change}])
    else:
        told = codes_of(site, name, "ChangeMessageVisibility", "json", **change)
    site.clock.advance(6)
    site.service.queue(name).messages.tick(site.clock.now())

    assert (codes, (0, 1, 0) if hidden else (1, 0, 0)) == (told, site.counts(name))


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(("name", "codes", "left"), [("q", [], 0), ("f.fifo", ["InvalidParameterValue"], 1)])
def test_a_handle_from_before_the_last_receive_deletes_a_message_of_a_standard_queue(
    site, name, codes, left, many
):
    """And works again where nothing is left; a FIFO queue refuses it."""
    entry = {"ReceiptHandle": received_again(site, name)}
    for _ in range(2):
        if many:
            told = codes_of(site, name, "DeleteMessageBatch", "json", Entries=[{"Id": "a", **entry}])
        else:
            told = codes_of(site, name, "DeleteMessage", "json", **entry)

        assert (codes, (0, left, 0)) == (told, site.counts(name))


@pytest.mark.real_time
def test_boto3_finds_the_message_that_its_heartbeat_came_too_late_for(sqs):
    """By the clock of the machine."""
    url = sqs.create_queue(QueueName="late")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="m")
    [message] = sqs.receive_message(QueueUrl=url, VisibilityTimeout=1)["Messages"]
    time.sleep(1.1)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=20)

    assert ["m"] == [one["Body"] for one in sqs.receive_message(QueueUrl=url)["Messages"]]


# --- move tasks


@pytest.mark.real_time
def test_the_source_of_a_task_is_looked_for_before_the_task(sqs):
    """A well-formed handle of a queue that is gone."""
    dead = sqs.create_queue(QueueName="moved-dlq")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 1}}'
    sqs.create_queue(QueueName="moved", Attributes={"RedrivePolicy": policy})
    handle = sqs.start_message_move_task(SourceArn=arn)["TaskHandle"]

    def told() -> str:
        with pytest.raises(ClientError) as caught:
            sqs.cancel_message_move_task(TaskHandle=handle)
        assert "ResourceNotFoundException" == caught.value.response["Error"]["Code"]
        return caught.value.response["Error"]["Message"]

    sqs.list_message_move_tasks(SourceArn=arn)
    assert "Task does not exist." == told()
    sqs.delete_queue(QueueUrl=dead)
    assert "The resource that you specified for the SourceArn parameter doesn't exist." == told()
