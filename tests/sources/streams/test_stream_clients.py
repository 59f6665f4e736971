"""The clients of streams against servers that answer what they please: on real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import asynccontextmanager

import pytest

from engine.core.streams.records import TRIM_HORIZON, PositionType, ReadFailure, StreamPosition
from engine.protocols.aws.signing import MADE_UP, Credentials
from engine.protocols.http.client import CannotConnect, Response
from engine.runtime.clock import SystemClock
from engine.sources.streams import dynamodb, endpoint, kinesis
from engine.sources.streams.credentials import CredentialFinder
from engine.sources.streams.dynamodb import DynamodbClient
from engine.sources.streams.endpoint import (
    PartnerTransport,
    StreamEndpoint,
    UrlTransport,
    aws_url,
)
from engine.sources.streams.item_size import size_of_images
from engine.sources.streams.kinesis import KinesisClient
from engine.sources.streams.port import StreamError
from tests.sources.streams.conftest import no_partner

pytestmark = pytest.mark.real_time

STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000"
SUMMARY = {"StreamDescriptionSummary": {"StreamCreationTimestamp": 1.5, "StreamARN": STREAM}}
RECORD = {
    "SequenceNumber": "7",
    "ApproximateArrivalTimestamp": 1545084650.9871,
    "Data": "aGVsbG8=",
    "PartitionKey": "k\u00fc",
}


def answer(status: int, body: object, kind: str = "application/x-amz-json-1.1") -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


@asynccontextmanager
async def serving(respond: Callable[[str, dict], bytes]):
    """A server that answers by operation and input, and keeps connections; the headers of each request."""
    seen: list[dict[str, str]] = []

    async def serve(reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b"":
            lines = head.decode().split("\r\n")[1:-2]
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await reader.readexactly(int(headers["content-length"]))
            seen.append(headers)
            writer.write(respond(headers["x-amz-target"].partition(".")[2], json.loads(body)))
        writer.close()

    async def quietly(reader, writer):
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()


def kinesis_at(url: str) -> KinesisClient:
    transport = UrlTransport(url, SystemClock(), "kinesis", "us-east-1", None)
    where = StreamEndpoint(transport, kinesis.TARGET, kinesis.CONTENT_TYPE)
    return KinesisClient(where, "s", STREAM, lambda: "role", named=True)


def dynamodb_at(url: str, *, named: bool = False) -> DynamodbClient:
    transport = UrlTransport(url, SystemClock(), "dynamodb", "us-east-1", None)
    where = StreamEndpoint(transport, dynamodb.TARGET, dynamodb.CONTENT_TYPE)
    return DynamodbClient(where, "t", TABLE, named=named, drop_unchanged=True)


async def failure(respond: Callable[[str, dict], bytes]) -> StreamError:
    """What a read of Kinesis raises at such a server."""
    async with serving(respond) as (url, _):
        client = kinesis_at(url)
        with pytest.raises(StreamError) as caught:
            await client.read("shardId-000000000000", "iterator", 10)
        client.close()
    return caught.value


async def test_requests_are_signed_and_share_a_connection():
    """Targets, content types and credential scopes are AWS's."""
    async with serving(lambda operation, _: answer(200, {"ShardIterator": operation})) as (url, seen):
        of_kinesis, of_dynamodb = kinesis_at(url), dynamodb_at(url)
        found = [await one.cursor("shardId-000000000000", TRIM_HORIZON) for one in (of_kinesis, of_dynamodb)]
        of_kinesis.close()
        of_dynamodb.close()

    assert ["GetShardIterator", "GetShardIterator"] == found
    assert ["Kinesis_20131202.GetShardIterator", "DynamoDBStreams_20120810.GetShardIterator"] == [
        one["x-amz-target"] for one in seen
    ]
    assert ["application/x-amz-json-1.1", "application/x-amz-json-1.0"] == [
        one["content-type"] for one in seen
    ]
    assert ["/us-east-1/kinesis/aws4_request", "/us-east-1/dynamodb/aws4_request"] == [
        one["authorization"].split(",")[0][-len(scope) :]
        for one, scope in zip(
            seen, ("/us-east-1/kinesis/aws4_request", "/us-east-1/dynamodb/aws4_request"), strict=True
        )
    ]


async def test_a_stream_that_is_being_created_has_no_shards_yet():
    """So that it is read from its beginning: kinesis-mock lists them while nothing can be put."""
    shard = {"ShardId": "a", "SequenceNumberRange": {"StartingSequenceNumber": "1"}}
    of_stream = {**SUMMARY["StreamDescriptionSummary"], "StreamStatus": "CREATING"}
    of_table = {"StreamArn": TABLE, "StreamStatus": "ENABLING", "Shards": [shard]}

    def respond(operation, _):
        if operation == "DescribeStreamSummary":
            return answer(200, {"StreamDescriptionSummary": of_stream})
        return answer(200, {"Shards": [shard], "StreamDescription": of_table})

    async with serving(respond) as (url, _):
        clients = (kinesis_at(url), dynamodb_at(url))
        early = [list(await client.list_shards()) for client in clients]
        of_stream["StreamStatus"], of_table["StreamStatus"] = "ACTIVE", "ENABLED"
        later = [[one.shard_id for one in await client.list_shards()] for client in clients]
        for client in clients:
            client.close()

    assert [[], []] == early
    assert [["a"], ["a"]] == later


async def test_pages_of_shards_are_put_together():
    """With parents and ends."""

    def respond(operation, given):
        if operation == "DescribeStreamSummary":
            return answer(200, SUMMARY)
        if "NextToken" in given:
            child = {
                "ShardId": "b",
                "ParentShardId": "a",
                "AdjacentParentShardId": "z",
                "SequenceNumberRange": {"StartingSequenceNumber": "9"},
            }
            return answer(200, {"Shards": [child]})
        ended = {"StartingSequenceNumber": "1", "EndingSequenceNumber": "8"}
        return answer(200, {"Shards": [{"ShardId": "a", "SequenceNumberRange": ended}], "NextToken": "t"})

    async with serving(respond) as (url, _):
        client = kinesis_at(url)
        shards = await client.list_shards()
        client.close()

    assert [("a", (), 8), ("b", ("a", "z"), None)] == [tuple(one) for one in shards]


async def test_a_page_has_records_as_functions_get_them():
    """The payload is JSON text in AWS's order; times have milliseconds."""
    page = {"Records": [RECORD], "NextShardIterator": "next", "MillisBehindLatest": 1500}
    async with serving(lambda *_: answer(200, page)) as (url, _):
        client = kinesis_at(url)
        read = await client.read("shardId-000000000000", "iterator", 10)
        client.close()
    [record] = read.records

    assert (7, "7", "k\u00fc", 1545084650.987) == record[:4]
    assert ("next", 1.5, ()) == (read.cursor, read.behind_s, read.children)
    assert "shardId-000000000000:7" == json.loads(record.payload)["eventID"]
    assert len(record.payload) + 1 == record.size_bytes


async def test_the_end_of_a_shard_names_its_children():
    """No iterator, and what comes after."""
    children = [{"ShardId": "b", "ParentShards": ["a"], "HashKeyRange": {}}]
    async with serving(lambda *_: answer(200, {"Records": [], "ChildShards": children})) as (url, _):
        client = kinesis_at(url)
        read = await client.read("a", "iterator", 10)
        client.close()

    assert (None, [("b", ("a",), None)]) == (read.cursor, [tuple(one) for one in read.children])


@pytest.mark.parametrize(
    ("sent", "kind", "said"),
    [
        (answer(400, {"__type": "ExpiredIteratorException", "message": "old"}), ReadFailure.EXPIRED, "old"),
        (answer(400, {"__type": "TrimmedDataAccessException"}), ReadFailure.TRIMMED, "Trimmed"),
        (
            answer(400, {"__type": "com.amazonaws.kinesis#ResourceNotFoundException", "Message": "none"}),
            ReadFailure.GONE,
            "GetRecords: ResourceNotFoundException: none",
        ),
        (
            answer(400, {"__type": "ProvisionedThroughputExceededException", "message": "Rate"}),
            ReadFailure.ERROR,
            "GetRecords: ProvisionedThroughputExceededException: Rate",
        ),
        (
            answer(500, b"<html><title>500</title>" + b"x" * 99_999, "text/html; charset=utf-8"),
            ReadFailure.ERROR,
            "GetRecords: answered 500 with text/html in place of JSON",
        ),
        (answer(200, b'{"Records": [', "application/json"), ReadFailure.ERROR, "in place of JSON"),
        (answer(200, b"[]"), ReadFailure.ERROR, "in place of JSON"),
        (answer(200, {"Records": 7}), ReadFailure.ERROR, "answered Records that cannot be read"),
        (answer(200, {"Records": [{}]}), ReadFailure.ERROR, "answered Records that cannot be read"),
        (
            answer(200, {"Records": [{**RECORD, "SequenceNumber": "seven"}]}),
            ReadFailure.ERROR,
            "answered Records that cannot be read",
        ),
        (
            answer(200, {"Records": [{**RECORD, "ApproximateArrivalTimestamp": None}]}),
            ReadFailure.ERROR,
            "answered Records that cannot be read",
        ),
        (answer(503, {"message": "a\nb" * 999}), ReadFailure.ERROR, "GetRecords: status 503: a b"),
        (b"220 smtp\r\n", ReadFailure.ERROR, "answered what is not HTTP"),
        (b"", ReadFailure.ERROR, "closed the connection before it had answered"),
    ],
)
async def test_what_cannot_be_used_is_one_line(sent, kind, said):
    """Of a kind that decides what follows."""
    if sent:
        error = await failure(lambda *_: sent)
    else:

        def hang_up(*_):
            raise ConnectionError

        error = await failure(hang_up)

    assert kind is error.kind
    assert said in error.reason
    assert "\n" not in error.reason
    assert len(error.reason) < 400


@pytest.mark.parametrize(
    ("code", "client_at"),
    [
        ("InvalidArgumentException", kinesis_at),
        ("ResourceNotFoundException", kinesis_at),
        ("com.amazonaws.dynamodb.v20120810#ValidationException", dynamodb_at),
        ("TrimmedDataAccessException", dynamodb_at),
    ],
)
async def test_a_number_that_the_server_does_not_know_is_one_that_is_not_kept(code, client_at):
    """However it says so; if there is no such shard, it is gone."""
    shards = ["a"]

    def respond(_, given):
        if given["ShardId"] not in shards:
            return answer(400, {"__type": "ResourceNotFoundException"})
        if given["ShardIteratorType"] == "TRIM_HORIZON":
            return answer(200, {"ShardIterator": "i"})
        return answer(400, {"__type": code})

    position = StreamPosition(PositionType.AFTER_SEQUENCE_NUMBER, "7")
    kinds = []
    async with serving(respond) as (url, _):
        client = client_at(url)
        for shard_id in ("a", "b"):
            with pytest.raises(StreamError) as caught:
                await client.cursor(shard_id, position)
            kinds.append(caught.value.kind)
        client.close()

    assert [ReadFailure.TRIMMED, ReadFailure.GONE] == kinds


async def test_a_stream_is_known_by_when_it_was_made():
    """Of a table's stream its ARN counts too. Where nothing tells it, it has no identity."""
    made_at = [5.5, None]

    def respond(operation, _):
        if operation == "DescribeStreamSummary":
            return answer(200, {"StreamDescriptionSummary": {"StreamCreationTimestamp": made_at[0]}})
        if operation == "DescribeStream":
            described = {"StreamArn": TABLE, "CreationRequestDateTime": 5.5, "Shards": []}
            return answer(200, {"StreamDescription": described})
        return answer(200, {"Shards": []})

    found = []
    async with serving(respond) as (url, _):
        for client in (kinesis_at(url), dynamodb_at(url)):
            await client.list_shards()
            found.append(client.identity)
            client.close()
        made_at.pop(0)
        client = kinesis_at(url)
        await client.list_shards()
        client.close()

    assert ["5.5", f"{TABLE} 5.5", None] == [*found, client.identity]


async def test_an_answer_that_is_too_large_is_refused():
    """At the bytes that no page has."""
    size = endpoint.MAX_ANSWER_BYTES + 1
    error = await failure(lambda *_: answer(200, b" " * size))

    assert f"answered more than {endpoint.MAX_ANSWER_BYTES} bytes" in error.reason


async def test_a_server_that_is_not_there_is_one_line():
    """And is asked who it is when it is back."""
    async with serving(lambda *_: answer(200, {})) as (url, _):
        pass
    client = kinesis_at(url)
    with pytest.raises(StreamError, match="GetRecords: cannot connect to 127") as caught:
        await client.read("a", "iterator", 10)

    assert ReadFailure.ERROR is caught.value.kind


async def test_another_stream_of_the_name_is_gone_once_for_the_listing():
    """Also if a read was told first: whoever lists has to know."""
    made_at = [1.0, 2.0]

    def respond(operation, _):
        if operation == "DescribeStreamSummary":
            at_s = made_at[0] if len(made_at) == 1 else made_at.pop(0)
            return answer(200, {"StreamDescriptionSummary": {"StreamCreationTimestamp": at_s}})
        return answer(200, {"Shards": []})

    async with serving(respond) as (url, _):
        client = kinesis_at(url)
        kinds = []
        for _ in range(4):
            try:
                await client.list_shards()
                kinds.append(None)
            except StreamError as error:
                kinds.append(error.kind)
        client.close()

    assert [None, ReadFailure.GONE, None, None] == kinds


class ForgetfulTransport:
    """A server that may be started anew, or be out of reach; what it answers is given."""

    is_moto = True

    def __init__(self, **answers: dict) -> None:
        self.generation, self.answers, self.is_there = 1, answers, True

    async def post(self, headers, _body):
        if not self.is_there:
            raise CannotConnect("cannot connect to moto: No such file or directory")
        operation = dict(headers)["X-Amz-Target"].partition(".")[2]
        return Response(200, [], json.dumps(self.answers[operation]).encode())

    def close(self):
        pass


async def test_a_partner_that_was_started_anew_has_lost_the_stream():
    """Whoever asked first, the listing is told; then it is read as a new one."""
    transport = ForgetfulTransport(
        DescribeStreamSummary=SUMMARY, ListShards={"Shards": []}, GetRecords={"NextShardIterator": "n"}
    )
    where = StreamEndpoint(transport, kinesis.TARGET, kinesis.CONTENT_TYPE)
    client = KinesisClient(where, "s", STREAM, lambda: "role", named=True)
    await client.list_shards()
    transport.generation = 2
    kinds = []
    for ask in (lambda: client.read("a", "i", 1), client.list_shards, client.list_shards):
        try:
            await ask()
            kinds.append(None)
        except StreamError as error:
            kinds.append(error.kind)

    assert [ReadFailure.GONE, ReadFailure.GONE, None] == kinds
    assert client.closed_shards_grow


async def test_after_a_failure_a_read_asks_whether_it_is_the_same_stream():
    """It may have been made anew while nobody could look."""
    transport = ForgetfulTransport(DescribeStreamSummary=SUMMARY, ListShards={"Shards": []}, GetRecords={})
    where = StreamEndpoint(transport, kinesis.TARGET, kinesis.CONTENT_TYPE)
    client = KinesisClient(where, "s", STREAM, lambda: "role", named=True)
    await client.list_shards()
    transport.is_there = False
    with pytest.raises(StreamError, match="GetRecords: cannot connect to moto"):
        await client.read("a", "i", 1)
    transport.is_there = True
    transport.answers["DescribeStreamSummary"] = {"StreamDescriptionSummary": {"StreamCreationTimestamp": 9}}
    with pytest.raises(StreamError, match="was deleted, and made anew") as caught:
        await client.read("a", "i", 1)

    assert ReadFailure.GONE is caught.value.kind


async def test_without_a_partner_that_is_said():
    """By the way to have one."""
    transport = PartnerTransport(no_partner(), SystemClock(), "kinesis", "us-east-1")
    where = StreamEndpoint(transport, kinesis.TARGET, kinesis.CONTENT_TYPE)
    with pytest.raises(StreamError, match="ListShards: the engine has no partner") as caught:
        await where.call("ListShards", {})

    assert ReadFailure.ERROR is caught.value.kind


async def test_credentials_are_those_of_the_environment(monkeypatch):
    """A server that is not AWS gets made-up ones where there are none; AWS does not."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    found = await CredentialFinder(SystemClock(), None, required=True).find()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    made_up = await CredentialFinder(SystemClock(), None, required=False).find()
    with pytest.raises(StreamError, match="no credentials for AWS were found"):
        await CredentialFinder(SystemClock(), None, required=True).find()
    with pytest.raises(StreamError, match="credentials cannot be had: The config profile"):
        await CredentialFinder(SystemClock(), "nobody", required=False).find()

    assert (Credentials("AKIA", "secret", "token"), MADE_UP) == (found, made_up)


async def test_credentials_of_a_profile_are_read_by_botocore(monkeypatch, tmp_path):
    """Whatever the environment says."""
    (tmp_path / "credentials").write_text(
        "[work]\naws_access_key_id = AKWORK\naws_secret_access_key = hidden\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    assert (
        Credentials("AKWORK", "hidden") == await CredentialFinder(SystemClock(), "work", required=True).find()
    )


CHANGE = {
    "eventID": "9d75",
    "eventName": "MODIFY",
    "eventVersion": "1.0",
    "eventSource": "aws:dynamodb",
    "awsRegion": "us-east-1",
    "dynamodb": {
        "ApproximateCreationDateTime": 1795949683.755,
        "Keys": {"id": {"S": "a"}},
        "OldImage": {"id": {"S": "a"}},
        "NewImage": {"id": {"S": "a"}, "n": {"N": "42"}},
        "SequenceNumber": "1100000000017454423011",
        "SizeBytes": 502,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    },
}


def test_a_change_becomes_awss_record():
    """Version, whole seconds, size, order of members, and whose it is."""
    deleted = {
        **CHANGE,
        "userIdentity": {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"},
    }
    made = dynamodb.normalised(CHANGE, TABLE, sized=True)
    expired = dynamodb.normalised(deleted, TABLE, sized=False)

    assert ("1.1", 1795949683, 12) == (
        made["eventVersion"],
        made["dynamodb"]["ApproximateCreationDateTime"],
        made["dynamodb"]["SizeBytes"],
    )
    assert [
        *("ApproximateCreationDateTime", "Keys", "NewImage", "OldImage"),
        *("SequenceNumber", "SizeBytes", "StreamViewType"),
    ] == list(made["dynamodb"])
    assert [
        *("eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb", "eventSourceARN"),
    ] == list(made)
    assert {"type": "Service", "principalId": "dynamodb.amazonaws.com"} == expired["userIdentity"]
    assert 502 == expired["dynamodb"]["SizeBytes"]


async def test_the_newest_stream_of_a_table_is_read_without_changes_that_change_nothing():
    """A put of what was there already."""
    same = {**CHANGE, "dynamodb": {**CHANGE["dynamodb"], "NewImage": {"id": {"S": "a"}}}}
    newer = TABLE.replace("2026-01-01", "2026-01-02")
    description = {
        "StreamArn": newer,
        "CreationRequestDateTime": 1.0,
        "Shards": [
            {"ShardId": "s2", "ParentShardId": "s1", "SequenceNumberRange": {"EndingSequenceNumber": "5"}}
        ],
    }
    streams = [
        {"StreamArn": arn, "StreamLabel": arn.partition("/stream/")[2], "TableName": "t"}
        for arn in (newer, TABLE)
    ]
    answers = {
        "ListStreams": {"Streams": streams},
        "DescribeStream": {"StreamDescription": description},
        "GetRecords": {"Records": [same, CHANGE], "NextShardIterator": "n"},
    }
    async with serving(lambda operation, _: answer(200, answers[operation])) as (url, _):
        client = dynamodb_at(url, named=True)
        shards = await client.list_shards()
        page = await client.read("s2", "i", 100)
        client.close()
    [record] = page.records

    assert (newer, [("s2", ("s1",), 5)]) == (client.arn, [tuple(one) for one in shards])
    assert ('{"id":{"S":"a"}}', 1795949683) == (record.key, record.arrived_s)
    assert newer == json.loads(record.payload)["eventSourceARN"]


async def test_a_table_without_a_stream_is_gone():
    """It may have one later."""
    async with serving(lambda *_: answer(200, {"Streams": []})) as (url, _):
        client = dynamodb_at(url, named=True)
        with pytest.raises(StreamError, match="table t has no stream") as caught:
            await client.list_shards()
        client.close()

    assert ReadFailure.GONE is caught.value.kind


@pytest.mark.parametrize(
    ("images", "size"),
    [
        (({"id": {"S": "id_value"}}, {"id": {"S": "id_value"}}), 20),
        (({"id": {"S": "id_value"}}, {"id": {"S": "id_value"}, "id2": {"S": "id2_value"}}), 32),
        (
            (
                {"id": {"S": "id_value"}},
                {"id": {"S": "id_value"}, "id2": {"S": "id2_new_value"}},
                {"id": {"S": "id_value"}},
            ),
            46,
        ),
        (({"id": {"S": "id_value_1"}}, {"id": {"S": "id_value_1"}}), 24),
        (
            (
                {"id": {"S": "id_value_1"}},
                {"id": {"S": "id_value_1"}, "presentKey": {"S": "presentValue"}},
            ),
            46,
        ),
        (({"id": {"S": "id_value_1"}}, {"id": {"S": "id_value_1"}, "numericFilter": {"N": "42"}}), 39),
        (
            (
                {"id": {"S": "id_value_1"}},
                {"id": {"S": "id_value_1"}, "prefix": {"S": "us-1-other-suffix"}},
            ),
            47,
        ),
        (({"my_partition_key": {"S": "hello world"}}, {"my_partition_key": {"S": "hello world"}}), 54),
        (
            (
                {"my_partition_key": {"S": "hello world"}},
                {"my_partition_key": {"S": "hello world"}, "binary_key": {"B": "Zm9vYmFy"}},
            ),
            70,
        ),
        (
            (
                {"my_partition_key": {"S": "testId0"}},
                {"my_partition_key": {"S": "testId0"}, "should_fail": {"BOOL": True}},
            ),
            58,
        ),
        (({"n": {"N": "-1.50"}}, {"l": {"L": [{"NULL": True}, {"SS": ["a", "bc"]}]}}), 4 + 10),
        (({"m": {"M": {"k": {"NS": ["1", "22"]}}}}, {"b": {"BS": ["Zm8=", "Zg=="]}}), 10 + 4),
    ],
)
def test_sizes_are_those_that_were_recorded(images, size):
    """And, of lists, maps and sets, what the guide says (unverified)."""
    assert size == size_of_images(*images)


def test_the_addresses_of_aws():
    """By region; China has a domain of its own."""
    assert "https://kinesis.eu-west-1.amazonaws.com" == aws_url("kinesis", "eu-west-1")
    assert "https://streams.dynamodb.cn-north-1.amazonaws.com.cn" == aws_url("streams.dynamodb", "cn-north-1")
