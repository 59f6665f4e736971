"""Each wrong call is answered by AWS's error for it, in both protocols, and never by a 500."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

MIB = 1_048_576
OVER = "x" * (MIB + 1)
SHORTER = "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes."
NO_QUEUE = "AWS.SimpleQueueService.NonExistentQueue"
CHARACTERS = "{0} can only include alphanumeric and punctuation characters. 1 to 128 in length."


def invalid(name: str, value: object, reason: str) -> str:
    return f"Value {value} for parameter {name} is invalid. Reason: {reason}"


def task_handle(source: str) -> str:
    """Well formed, of a task that never was."""
    document = {"taskId": "10f57157-fc38-4da9-a113-4de7e12d05aa", "sourceArn": ARN + source}
    return base64.b64encode(json.dumps(document).encode()).decode()


ARN = "arn:aws:sqs:eu-west-1:123456789012:"
ARN_FORM = (
    "You must use this format to specify the {0}: "
    "arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
)
PER_S = (
    "Value for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: You must enter a number that's "
    "between 1 and 500."
)
NO_NAME = "Value for parameter QueueName is invalid. Reason: Must specify a queue name."
NO_ACTION = "Please refer to the appropriate WSDL for a list of valid actions."
TO_FIFO = json.dumps({"deadLetterTargetArn": ARN + "f.fifo", "maxReceiveCount": 1})
ALLOW = {"Label": "l", "AWSAccountIds": ["123456789012"], "Actions": ["SendMessage"]}
Q = {"QueueUrl": "http://engine.test:4566/123456789012/q"}
F = {"QueueUrl": "http://engine.test:4566/123456789012/f.fifo"}
FIFO = {**F, "MessageBody": "x", "MessageGroupId": "g", "MessageDeduplicationId": "d"}
FIFO_ENTRY = {"Id": "a", "MessageBody": "x", "MessageGroupId": "g", "MessageDeduplicationId": "d"}
STRING = {"DataType": "String", "StringValue": "v"}

# operation, parameters, status, legacy code, message (None: only the code is known)
CALLS = [
    ("SendMessage", {**Q}, 400, "MissingParameter", "The request must contain the parameter MessageBody."),
    (
        "SendMessage",
        {**Q, "MessageBody": ""},
        400,
        "MissingParameter",
        "The request must contain the parameter MessageBody.",
    ),
    (
        "SendMessage",
        {"MessageBody": "x"},
        400,
        "MissingParameter",
        "The request must contain the parameter QueueUrl.",
    ),
    (
        "SendMessage",
        {"QueueUrl": "http://h/123456789012/none", "MessageBody": "x"},
        400,
        NO_QUEUE,
        "The specified queue does not exist.",
    ),
    ("SendMessage", {"QueueUrl": "http://h/999999999999/q", "MessageBody": "x"}, 400, NO_QUEUE, None),
    ("SendMessage", {**Q, "MessageBody": "\x00"}, 400, "InvalidMessageContents", None),
    ("SendMessage", {**Q, "MessageBody": "\ufffe"}, 400, "InvalidMessageContents", None),
    ("SendMessage", {**Q, "MessageBody": OVER}, 400, "InvalidParameterValue", SHORTER),
    (
        "SendMessage",
        {**Q, "MessageBody": "x" * MIB, "MessageAttributes": {"a": STRING}},
        400,
        "InvalidParameterValue",
        SHORTER,
    ),
    ("SendMessage", {**Q, "MessageBody": "x", "DelaySeconds": 901}, 400, "InvalidParameterValue", None),
    ("SendMessage", {**Q, "MessageBody": "x", "DelaySeconds": -1}, 400, "InvalidParameterValue", None),
    (
        "SendMessage",
        {**Q, "MessageBody": "x", "MessageDeduplicationId": "d"},
        400,
        "InvalidParameterValue",
        invalid(
            "MessageDeduplicationId",
            "d",
            "The request includes a parameter that is not valid for this queue type.",
        ),
    ),
    (
        "SendMessage",
        {**Q, "MessageBody": "x", "MessageAttributes": {"X": {"DataType": "String", "StringValue": ""}}},
        400,
        "InvalidParameterValue",
        "Message (user) attribute 'X' must contain a non-empty value of type 'String'.",
    ),
    *(
        (
            "SendMessage",
            {**Q, "MessageBody": "x", "MessageAttributes": attributes},
            400,
            "InvalidParameterValue",
            None,
        )
        for attributes in (
            {f"a{n}": STRING for n in range(11)},
            {"AWS.x": STRING},
            {"amazon.x": STRING},
            {".a": STRING},
            {"a.": STRING},
            {"a..b": STRING},
            {"a b": STRING},
            {"a" * 257: STRING},
            {"": STRING},
            {"a": {"DataType": "Text", "StringValue": "v"}},
            {"a": {"DataType": "", "StringValue": "v"}},
            {"a": {"DataType": "Number", "StringValue": "ten"}},
            {"a": {"DataType": "Number", "StringValue": "1" * 39}},
            {"a": {"DataType": "Number", "StringValue": "1e127"}},
            {"a": {"DataType": "Number", "StringValue": "NaN"}},
            {"a": {"DataType": "String", "StringValue": "\x01"}},
            {"a": {"DataType": "Binary"}},
        )
    ),
    ("SendMessage", {**F, "MessageBody": "x"}, 400, "InvalidParameterValue", None),
    (
        "SendMessage",
        {**F, "MessageBody": "x", "MessageDeduplicationId": "d"},
        400,
        "MissingParameter",
        "The request must contain the parameter MessageGroupId.",
    ),
    (
        "SendMessage",
        {**F, "MessageBody": "x", "MessageGroupId": "g"},
        400,
        "InvalidParameterValue",
        (
            "The queue should either have ContentBasedDeduplication enabled or "
            "MessageDeduplicationId provided explicitly"
        ),
    ),
    (
        "SendMessage",
        {**FIFO, "DelaySeconds": 2},
        400,
        "InvalidParameterValue",
        invalid("DelaySeconds", 2, "The request include parameter that is not valid for this queue type."),
    ),
    (
        "SendMessage",
        {**FIFO, "MessageGroupId": "group 123"},
        400,
        "InvalidParameterValue",
        invalid("MessageGroupId", "group 123", CHARACTERS.format("MessageGroupId")),
    ),
    (
        "SendMessage",
        {**FIFO, "MessageDeduplicationId": "d" * 129},
        400,
        "InvalidParameterValue",
        invalid("MessageDeduplicationId", "d" * 129, CHARACTERS.format("MessageDeduplicationId")),
    ),
    (
        "SendMessageBatch",
        {**Q, "Entries": []},
        400,
        "AWS.SimpleQueueService.EmptyBatchRequest",
        "There should be at least one SendMessageBatchRequestEntry in the request.",
    ),
    (
        "SendMessageBatch",
        {**Q, "Entries": [{"Id": f"{n}", "MessageBody": "x"} for n in range(20)]},
        400,
        "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        "Maximum number of entries per request are 10. You have sent 20.",
    ),
    (
        "SendMessageBatch",
        {**Q, "Entries": [{"Id": "a b", "MessageBody": "x"}]},
        400,
        "AWS.SimpleQueueService.InvalidBatchEntryId",
        (
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can "
            "be at most 80 letters long."
        ),
    ),
    (
        "DeleteMessageBatch",
        {**Q, "Entries": [{"Id": "x", "ReceiptHandle": "h"}] * 2},
        400,
        "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        "Id x repeated.",
    ),
    (
        "SendMessageBatch",
        {**Q, "Entries": [{"Id": "a", "MessageBody": "x" * MIB}, {"Id": "b", "MessageBody": "x"}]},
        400,
        "AWS.SimpleQueueService.BatchRequestTooLong",
        "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.",
    ),
    (
        "SendMessageBatch",
        {**F, "Entries": [{"Id": "a", "MessageBody": "x", "MessageDeduplicationId": "d"}]},
        400,
        "InvalidParameterValue",
        "The request must contain the parameter MessageGroupId.",
    ),
    (
        "ReceiveMessage",
        {**Q, "WaitTimeSeconds": 21},
        400,
        "InvalidParameterValue",
        invalid("WaitTimeSeconds", 21, "Must be >= 0 and <= 20, if provided."),
    ),
    (
        "ReceiveMessage",
        {**Q, "MaxNumberOfMessages": 11},
        400,
        "InvalidParameterValue",
        invalid("MaxNumberOfMessages", 11, "Must be between 1 and 10, if provided."),
    ),
    ("ReceiveMessage", {**Q, "MaxNumberOfMessages": 0}, 400, "InvalidParameterValue", None),
    ("ReceiveMessage", {**Q, "VisibilityTimeout": 43_201}, 400, "InvalidParameterValue", None),
    (
        "DeleteMessage",
        {**Q, "ReceiptHandle": "garbage"},
        400,
        "ReceiptHandleIsInvalid",
        'The input receipt handle "garbage" is not a valid receipt handle.',
    ),
    (
        "DeleteMessage",
        {**Q},
        400,
        "MissingParameter",
        "The request must contain the parameter ReceiptHandle.",
    ),
    (
        "ChangeMessageVisibility",
        {**Q, "ReceiptHandle": "garbage", "VisibilityTimeout": 0},
        400,
        "ReceiptHandleIsInvalid",
        None,
    ),
    ("ChangeMessageVisibility", {**Q, "ReceiptHandle": "garbage"}, 400, "MissingParameter", None),
    (
        "ChangeMessageVisibility",
        {**Q, "ReceiptHandle": "garbage", "VisibilityTimeout": 43_201},
        400,
        "InvalidParameterValue",
        None,
    ),
    ("GetQueueUrl", {"QueueName": "none"}, 400, NO_QUEUE, None),
    ("GetQueueUrl", {"QueueName": "q", "QueueOwnerAWSAccountId": "999999999999"}, 400, NO_QUEUE, None),
    ("CreateQueue", {"QueueName": "a b"}, 400, "InvalidParameterValue", None),
    ("CreateQueue", {"QueueName": "a" * 81}, 400, "InvalidParameterValue", None),
    (
        "CreateQueue",
        {"QueueName": "a.fifo"},
        400,
        "InvalidParameterValue",
        "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
    ),
    (
        "CreateQueue",
        {"QueueName": "a", "Attributes": {"FifoQueue": "true"}},
        400,
        "InvalidParameterValue",
        (
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "
            "must end with .fifo suffix and be 1 to 80 in length"
        ),
    ),
    (
        "CreateQueue",
        {"QueueName": "q", "Attributes": {"DelaySeconds": "7"}},
        400,
        "QueueAlreadyExists",
        "A queue already exists with the same name and a different value for attribute DelaySeconds",
    ),
    (
        "CreateQueue",
        {"QueueName": "new", "Attributes": {"FifoQueue": "false"}},
        400,
        "InvalidAttributeName",
        "Unknown Attribute FifoQueue.",
    ),
    (
        "CreateQueue",
        {"QueueName": "new", "Attributes": {"DeduplicationScope": "queue"}},
        400,
        "InvalidAttributeName",
        "You can specify the DeduplicationScope only when FifoQueue is set to true.",
    ),
    *(
        (
            "SetQueueAttributes",
            {**Q, "Attributes": {name: value}},
            400,
            "InvalidAttributeValue",
            f"Invalid value for the parameter {name}.",
        )
        for name, value in (
            ("VisibilityTimeout", "43201"),
            ("VisibilityTimeout", "-1"),
            ("VisibilityTimeout", "ten"),
            ("DelaySeconds", "901"),
            ("MessageRetentionPeriod", "59"),
            ("ReceiveMessageWaitTimeSeconds", "21"),
            ("MaximumMessageSize", "1048577"),
            ("SqsManagedSseEnabled", "maybe"),
            ("Policy", "no json"),
        )
    ),
    (
        "SetQueueAttributes",
        {**Q, "Attributes": {"QueueArn": "x"}},
        400,
        "InvalidAttributeName",
        "Unknown Attribute QueueArn.",
    ),
    (
        "SetQueueAttributes",
        {**F, "Attributes": {"FifoQueue": "false"}},
        400,
        "InvalidAttributeValue",
        "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.",
    ),
    *(
        (
            "SetQueueAttributes",
            {**Q, "Attributes": {"RedrivePolicy": policy}},
            400,
            "InvalidParameterValue",
            None,
        )
        for policy in (
            '{"maxReceiveCount": 1}',
            '{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:q"}',
            '{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:q", "maxReceiveCount": "many"}',
            '{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:q", "maxReceiveCount": 1001}',
            '{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:q", "maxReceiveCount": -1}',
            '{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:q", "maxReceiveCount": 1, "x": 1}',
            '{"deadLetterTargetArn": "arn:aws:sns:eu-west-1:123456789012:q", "maxReceiveCount": 1}',
            '{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:f.fifo", "maxReceiveCount": 1}',
            '{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:none", "maxReceiveCount": 1}',
        )
    ),
    *(
        (
            "SetQueueAttributes",
            {**Q, "Attributes": {"RedrivePolicy": policy}},
            400,
            "InvalidAttributeValue",
            "Invalid value for the parameter RedrivePolicy. Reason: Redrive policy is not a valid JSON map.",
        )
        for policy in ("no json", "[]", " ", "4")
    ),
    (
        "SetQueueAttributes",
        {**Q, "Attributes": {"RedrivePolicy": TO_FIFO}},
        400,
        "InvalidParameterValue",
        invalid("RedrivePolicy", TO_FIFO, "Dead-letter queue must be same type of queue as the source.."),
    ),
    *(
        (
            "SetQueueAttributes",
            {**Q, **more},
            400,
            "MissingParameter",
            "The request must contain the parameter Attribute.Name.",
        )
        for more in ({}, {"Attributes": {}})
    ),
    (
        "SetQueueAttributes",
        {**F, "Attributes": {"FifoThroughputLimit": "perMessageGroupId"}},
        400,
        "InvalidAttributeValue",
        (
            "Invalid value for the parameter FifoThroughputLimit. Reason: The perMessageGroupId value is "
            "allowed only when the value for DeduplicationScope is messageGroup."
        ),
    ),
    (
        "SetQueueAttributes",
        {**Q, "Attributes": {"Policy": json.dumps({"Statement": [{}] * 21})}},
        403,
        "OverLimit",
        "21 statements were found in the submitted policy, max allowed is 20",
    ),
    (
        "GetQueueAttributes",
        {**Q, "AttributeNames": ["Foobar"]},
        400,
        "InvalidAttributeName",
        "Unknown Attribute Foobar.",
    ),
    (
        "ListQueues",
        {"MaxResults": 0},
        400,
        "InvalidParameterValue",
        (
            "Value for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and "
            "1000."
        ),
    ),
    (
        "GetQueueUrl",
        {"QueueName": ""},
        400,
        "InvalidParameterValue",
        "Value for parameter QueueName is invalid. Reason: Must specify a queue name.",
    ),
    (
        "SetQueueAttributes",
        {**Q, "Attributes": {"KmsMasterKeyId": "k", "SqsManagedSseEnabled": "true"}},
        400,
        "InvalidAttributeName",
        (
            "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE "
            "or SQS SSE."
        ),
    ),
    (
        "SetQueueAttributes",
        {**Q, "Attributes": {"RedrivePolicy": '{"deadLetterTargetArn": "dummy", "maxReceiveCount": 42}'}},
        400,
        "InvalidParameterValue",
        invalid(
            "RedrivePolicy",
            '{"deadLetterTargetArn": "dummy", "maxReceiveCount": 42}',
            "Invalid value for deadLetterTargetArn.",
        ),
    ),
    *(
        ("SetQueueAttributes", {**Q, "Attributes": {"RedriveAllowPolicy": policy}}, 400, code, None)
        for policy, code in (
            ("no json", "InvalidAttributeValue"),
            ('{"redrivePermission": "some"}', "InvalidAttributeValue"),
            ('{"redrivePermission": "allowAll", "more": 1}', "InvalidAttributeValue"),
            ('{"redrivePermission": "byQueue", "sourceQueueArns": "arn"}', "InvalidAttributeValue"),
            ('{"redrivePermission": "byQueue"}', "InvalidParameterValue"),
            ('{"redrivePermission": "denyAll", "sourceQueueArns": ["arn"]}', "InvalidParameterValue"),
            (
                json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": ["arn"] * 11}),
                "InvalidParameterValue",
            ),
        )
    ),
    (
        "SendMessageBatch",
        {**Q, "Entries": [{"Id": "a", "MessageBody": "x"}, {"MessageBody": "x"}]},
        400,
        "MissingParameter",
        "The request must contain the parameter SendMessageBatchRequestEntry.2.Id.",
    ),
    (
        "SendMessageBatch",
        {**F, "Entries": [{**FIFO_ENTRY, "MessageBody": "\x00"}]},
        400,
        "InvalidMessageContents",
        None,
    ),
    (
        "SendMessageBatch",
        {**F, "Entries": [{**FIFO_ENTRY, "DelaySeconds": 3}]},
        400,
        "InvalidParameterValue",
        invalid("DelaySeconds", 3, "The request include parameter that is not valid for this queue type."),
    ),
    ("ListQueues", {"MaxResults": 1, "NextToken": "nonsense"}, 400, "InvalidParameterValue", None),
    (
        "StartMessageMoveTask",
        {"SourceArn": "arn:aws:sqs:eu-west-1:123456789012:none"},
        404,
        "ResourceNotFoundException",
        "The resource that you specified for the SourceArn parameter doesn't exist.",
    ),
    (
        "StartMessageMoveTask",
        {"SourceArn": ARN + "q", "DestinationArn": ARN + "none"},
        404,
        "ResourceNotFoundException",
        "The resource that you specified for the DestinationArn parameter doesn't exist.",
    ),
    *(
        ("StartMessageMoveTask", {"SourceArn": ARN + "q", **more}, 400, "InvalidParameterValue", message)
        for more, message in (
            ({"SourceArn": ""}, ARN_FORM.format("SourceArn")),
            ({"DestinationArn": "invalid"}, ARN_FORM.format("DestinationArn")),
            ({"DestinationArn": ""}, ARN_FORM.format("DestinationArn")),
            (
                {"DestinationArn": ARN + "q"},
                "Source queue arn and destination queue arn cannot be the same.",
            ),
            (
                {"DestinationArn": ARN + "f.fifo"},
                "The source queue and destination queue must be of the same queue type.",
            ),
        )
    ),
    *(
        ("StartMessageMoveTask", {"SourceArn": ARN + "dead", **more}, 400, "InvalidParameterValue", PER_S)
        for more in ({"MaxNumberOfMessagesPerSecond": 0}, {"MaxNumberOfMessagesPerSecond": 501})
    ),
    (
        "StartMessageMoveTask",
        {"SourceArn": "arn:aws:sqs:eu-west-1:123456789012:q"},
        400,
        "InvalidParameterValue",
        "Source queue must be configured as a Dead Letter Queue.",
    ),
    (
        "CancelMessageMoveTask",
        {"TaskHandle": "garbage"},
        400,
        "InvalidParameterValue",
        "Value for parameter TaskHandle is invalid.",
    ),
    (
        "CancelMessageMoveTask",
        {"TaskHandle": task_handle("none")},
        404,
        "ResourceNotFoundException",
        "The resource that you specified for the SourceArn parameter doesn't exist.",
    ),
    (
        "CancelMessageMoveTask",
        {"TaskHandle": task_handle("q")},
        404,
        "ResourceNotFoundException",
        "Task does not exist.",
    ),
    ("ListMessageMoveTasks", {"SourceArn": ARN + "none"}, 404, "ResourceNotFoundException", None),
    ("ListMessageMoveTasks", {"SourceArn": "x"}, 400, "InvalidParameterValue", ARN_FORM.format("SourceArn")),
    *(
        ("AddPermission", {**Q, **ALLOW, **more}, status, code, message)
        for more, status, code, message in (
            (
                {"Actions": ["SendMessageBatch"]},
                400,
                "InvalidParameterValue",
                invalid("ActionName", "SQS:SendMessageBatch", NO_ACTION),
            ),
            (
                {"Actions": ["SendMessage", "Dance"]},
                400,
                "InvalidParameterValue",
                invalid("ActionName", "SQS:Dance", NO_ACTION),
            ),
            (
                {"Actions": ["CreateQueue"]},
                400,
                "InvalidParameterValue",
                invalid(
                    "ActionName",
                    "SQS:CreateQueue",
                    "Only the queue owner is allowed to invoke this action.",
                ),
            ),
            (
                {"Actions": ["SendMessage"] * 8},
                403,
                "OverLimit",
                "8 Actions were found, maximum allowed is 7.",
            ),
            ({"Actions": []}, 400, "MissingParameter", "The request must contain the parameter Actions."),
            (
                {"AWSAccountIds": []},
                400,
                "InvalidParameterValue",
                invalid("PrincipalId", "[]", "Unable to verify."),
            ),
            ({"Label": ""}, 400, "MissingParameter", "The request must contain the parameter Label."),
        )
    ),
    (
        "UntagQueue",
        {**Q, "TagKeys": []},
        400,
        "InvalidParameterValue",
        "Tag keys must be between 1 and 128 characters in length.",
    ),
    (
        "TagQueue",
        {**Q, "Tags": {f"k{n}": "v" for n in range(51)}},
        400,
        "InvalidParameterValue",
        "Too many tags added for queue q.",
    ),
    ("CreateQueue", {}, 400, "InvalidParameterValue", NO_NAME),
    ("CreateQueue", {"QueueName": ""}, 400, "InvalidParameterValue", "Queue name cannot be empty"),
    ("GetQueueUrl", {}, 400, "InvalidParameterValue", NO_NAME),
    (
        "AddPermission",
        {**Q, "Label": "a b", "AWSAccountIds": ["1"], "Actions": ["*"]},
        400,
        "InvalidParameterValue",
        None,
    ),
    (
        "RemovePermission",
        {**Q, "Label": "none"},
        400,
        "InvalidParameterValue",
        invalid("Label", "none", "can't find label."),
    ),
    ("TagQueue", {**Q}, 400, "MissingParameter", "The request must contain the parameter Tags."),
    ("TagQueue", {**Q, "Tags": {"k" * 129: "v"}}, 400, "InvalidParameterValue", None),
    ("NoSuchThing", {**Q}, 400, "InvalidAction", "The action NoSuchThing is not valid for this endpoint."),
]

_QUERY_NAMES = {
    "Attributes": "Attribute",
    "MessageAttributes": "MessageAttribute",
    "Tags": "Tag",
    "AttributeNames": "AttributeName",
    "AWSAccountIds": "AWSAccountId",
    "Actions": "ActionName",
}


def flattened(operation: str, params: dict) -> dict[str, str]:
    """The same call in the Query protocol, as old SDKs write it."""
    flat: dict[str, str] = {}
    for name, value in params.items():
        query_name = f"{operation}RequestEntry" if name == "Entries" else _QUERY_NAMES.get(name, name)
        if isinstance(value, list):
            if not value:
                flat[query_name] = ""
            for n, item in enumerate(value, 1):
                inner = flattened(operation, item) if isinstance(item, dict) else {"": str(item)}
                flat.update({f"{query_name}.{n}{'.' * bool(key)}{key}": one for key, one in inner.items()})
        elif isinstance(value, dict):
            for n, (key, item) in enumerate(value.items(), 1):
                flat[f"{query_name}.{n}.{'Key' if name == 'Tags' else 'Name'}"] = key
                inner = item if isinstance(item, dict) else {"": item}
                for part, one in inner.items():
                    flat[f"{query_name}.{n}.Value{'.' * bool(part)}{part}"] = one
        else:
            flat[query_name] = str(value)
    return flat


@pytest.fixture
def site(make_site):
    site = make_site()
    site.create("q")
    site.create("f.fifo")
    site.create("dead")
    policy = {"deadLetterTargetArn": ARN + "dead", "maxReceiveCount": 1}
    site.create("source", RedrivePolicy=json.dumps(policy))
    return site


def named(call) -> str:
    return f"{call[0]}-{json.dumps(call[1])[-40:]}"


@pytest.mark.parametrize("call", CALLS, ids=named)
def test_the_json_protocol_says_what_is_wrong(site, call):
    """Status, shape, legacy code in the header, text."""
    operation, params, status, code, message = call
    answer = site.json(operation, **params)

    assert (status, code) == (answer.status, answer.code)
    assert ";Sender" in answer.headers["x-amzn-query-error"]
    assert answer.shape
    assert answer.headers["x-amzn-requestid"]
    assert message is None or message == answer.message


@pytest.mark.parametrize("call", CALLS, ids=named)
def test_the_query_protocol_says_the_same(site, call):
    """By the legacy code; one text differs."""
    operation, params, status, code, message = call
    answer = site.query(operation, **flattened(operation, params))
    if message == "The specified queue does not exist.":
        message = "The specified queue does not exist for this wsdl version."

    assert (status, code) == (answer.status, answer.code)
    assert message is None or message == answer.message
    assert ["Sender"] == answer.xml_text("Type")


def test_the_shape_chooses_the_exception_class_of_sdks(site):
    """`__type` ends in the name of the model's shape."""
    shapes = [
        (site.q("SendMessage", "none", MessageBody="x"), "com.amazonaws.sqs#QueueDoesNotExist"),
        (site.q("SendMessage"), "com.amazon.coral.service#MissingRequiredParameterException"),
        (site.q("SendMessageBatch", Entries=[]), "com.amazonaws.sqs#EmptyBatchRequest"),
        (
            site.json("CreateQueue", QueueName="q", Attributes={"DelaySeconds": "1"}),
            "com.amazonaws.sqs#QueueNameExists",
        ),
    ]

    assert [expected for _, expected in shapes] == [answer.document["__type"] for answer, _ in shapes]


@pytest.mark.parametrize(
    "params",
    [
        {"MessageBody": ["x"]},
        {"MessageBody": "x", "DelaySeconds": "5"},
        {"MessageBody": "x", "DelaySeconds": True},
        {"MessageBody": "x", "DelaySeconds": 1.5},
        {"MessageBody": "x", "MessageAttributes": []},
        {"MessageBody": "x", "MessageAttributes": {"a": "b"}},
        {"MessageBody": "x", "MessageAttributes": {"a": {"DataType": ["String"]}}},
        {"MessageBody": "x", "MessageAttributes": {"a": {"DataType": "Binary", "BinaryValue": "!"}}},
        {"QueueUrl": {}, "MessageBody": "x"},
        {"MessageBody": {"a": 1}},
    ],
    ids=str,
)
def test_members_of_a_wrong_type_are_refused(site, params):
    """As what could not be read at all."""
    answer = site.json("SendMessage", {**Q, **params})

    assert (400, "SerializationException") == (answer.status, answer.shape)


def test_numbers_and_booleans_are_taken_as_texts(site):
    """As AWS takes them, and nulls as absent: some clients do not check what they are given."""
    site.json("CreateQueue", QueueName="loose", Attributes={"DelaySeconds": 0, "VisibilityTimeout": None})
    attributes = {"a": {"DataType": "Number", "StringValue": 7}}
    sent = [
        site.q("SendMessage", "loose", MessageBody=5, MessageAttributes=attributes),
        site.q("SendMessageBatch", "loose", Entries=[{"Id": 1, "MessageBody": False}]),
    ]

    assert [200, 200] == [answer.status for answer in sent]
    assert ["1"] == [one["Id"] for one in sent[1].document["Successful"]]
    assert ["5", "false"] == site.bodies(name="loose")


def test_an_entry_that_cannot_be_read_fails_its_batch(site):
    """Nothing of it is sent."""
    entries = [{"Id": "a", "MessageBody": "x"}, {"Id": "b", "MessageBody": []}]

    assert "SerializationException" == site.q("SendMessageBatch", Entries=entries).shape
    assert (0, 0, 0) == site.counts()


def test_a_wrong_entry_fails_the_whole_batch_of_a_fifo_queue(site):
    """Or those behind it would overtake."""
    good = {"MessageGroupId": "g", "MessageDeduplicationId": "d"}
    entries = [{"Id": "a", "MessageBody": "x", **good}, {"Id": "b", "MessageBody": "\x00", **good}]

    assert "InvalidMessageContents" == site.q("SendMessageBatch", "f.fifo", Entries=entries).code
    assert (0, 0, 0) == site.counts("f.fifo")


def test_list_values_of_attributes_are_not_supported(site):
    """They are reserved in the API's model."""
    attribute = {"DataType": "String", "StringValue": "x", "StringListValues": ["x"]}
    answer = site.q("SendMessage", MessageBody="x", MessageAttributes={"a": attribute})

    assert "AWS.SimpleQueueService.UnsupportedOperation" == answer.code


@pytest.mark.parametrize("body", [b"{", b"[]", b"5", b"\xff", b'{"a": "\\ud800"}', b"[" * 5_000])
def test_a_body_that_is_no_object_is_refused(site, body):
    """And nothing happens."""
    answer = site.json("SendMessage", body)

    assert (400, "SerializationException") == (answer.status, answer.shape)


@pytest.mark.parametrize(
    "body",
    [
        b"Action=SendMessage&QueueUrl=%FF&MessageBody=x",
        b"Action=SendMessage&" + b"&".join(b"a%d=1" % n for n in range(3_000)),
        b"Action=SendMessage&QueueUrl=/123456789012/q&MessageBody=x&DelaySeconds=ten",
        b"Action=SendMessage&QueueUrl=/123456789012/q&MessageBody=x&MessageAttribute.x.Name=a",
        b"Action=SendMessageBatch&QueueUrl=/123456789012/q&Entries.1=x",
        b"Action=SendMessage&QueueUrl=q&MessageBody="
        + b".".join([b"a"] * 5_000)
        + b"=1&"
        + b"b." * 5_000
        + b"=1&c",
    ],
    ids=lambda body: body[-30:].decode(),
)
def test_forms_that_cannot_be_read_are_refused(site, body):
    """With a client's error, and the service goes on."""
    answer = site.form(body)

    assert answer.status in (200, 400)
    assert 200 == site.q("SendMessage", MessageBody="still here").status


def test_too_much_is_refused_by_name(site):
    """The listener has not read such a body."""
    sizes = {
        "SendMessage": ("InvalidParameterValue", 400),
        "SendMessageBatch": ("AWS.SimpleQueueService.BatchRequestTooLong", 400),
        "DeleteMessage": ("RequestEntityTooLargeException", 413),
    }

    for operation, expected in sizes.items():
        client = site.start_json(operation, b"", too_large=9_000_000)
        [(status, head, _)] = client.answers
        code = head.decode().partition("x-amzn-query-error: ")[2].partition(";")[0]

        assert expected == (code, status)

    assert 413 == site.form(b"", too_large=9_000_000).status


def test_what_is_no_operation_at_all(site):
    """A queue's URL without an action is 404; some actions are not for a queue's URL."""
    nothing = site.form(b"", "/123456789012/q")

    assert (404, b"<UnknownOperationException/>") == (nothing.status, nothing.body.strip())

    listing = site.query("ListQueues", "/123456789012/q")

    assert (400, "InvalidAction") == (listing.status, listing.code)
    assert "The action ListQueues is not valid for this endpoint." == listing.message


_NAMES = st.sampled_from(
    [
        "QueueUrl",
        "MessageBody",
        "Entries",
        "Attributes",
        "MessageAttributes",
        "Tags",
        "Id",
        "ReceiptHandle",
        "VisibilityTimeout",
        "MaxResults",
        "AttributeNames",
        "SourceArn",
        "QueueName",
        "DataType",
        "StringValue",
        "MessageGroupId",
        "1",
        "Name",
        "Value",
    ]
)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.just(Q["QueueUrl"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=8,
)
_MORE_NAMES = st.sampled_from(["SendMessageBatchRequestEntry", "Attribute", "2", "x"])
_OPERATIONS = sorted({call[0] for call in CALLS})


@settings(max_examples=200)
@given(
    operation=st.sampled_from(_OPERATIONS),
    params=st.dictionaries(_NAMES, _JSON, max_size=5),
    addressed=st.booleans(),
)
def test_whatever_is_sent_as_json_is_answered(shared_site, operation, params, addressed):
    """By 200 or a client's error."""
    params = {**params, **(Q if addressed else {})}
    client = shared_site.start_json(operation, orjson.dumps(_encodable(params)))

    assert {status for status, _, _ in client.answers} <= {200, 400, 403, 404}


@settings(max_examples=200)
@given(
    fields=st.dictionaries(
        st.lists(
            _NAMES | st.sampled_from(["SendMessageBatchRequestEntry", "Attribute", "2", "x"]),
            min_size=1,
            max_size=5,
        ).map(".".join),
        st.text(max_size=6) | st.just(Q["QueueUrl"]),
        max_size=6,
    ),
    operation=st.sampled_from(_OPERATIONS),
)
def test_whatever_is_sent_as_a_form_is_answered(shared_site, operation, fields):
    """By 200 or a client's error."""
    body = urlencode({"QueueUrl": Q["QueueUrl"], **fields, "Action": operation}, errors="replace").encode()
    answer = shared_site.form(body)

    assert answer.status in (200, 400, 403, 404)
    assert answer.xml is not None


def _encodable(value):
    """Integers that JSON's writer takes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value % (1 << 53)
    if isinstance(value, dict):
        return {key: _encodable(item) for key, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def shared_site(site_class):
    site = site_class()
    site.create("q")
    site.create("f.fifo")
    return site
