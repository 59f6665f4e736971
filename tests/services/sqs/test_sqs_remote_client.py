"""A mapping from a queue elsewhere through aiobotocore, over real sockets."""

import json

import anyio
import pytest

from engine import Engine, Function
from engine.ports import Binding, Host
from engine.sources.sqs.remote_source import RemoteSqsSource
from engine.sources.sqs.settings import RemoteEvent

pytest.importorskip("aiobotocore", reason="aiobotocore is not installed (extra sqs)")

pytestmark = pytest.mark.real_time

HANDLER = """
seen = {}

async def handler(event, context):
    failed = []
    for record in event["Records"]:
        seen[record["body"]] = seen.get(record["body"], 0) + 1
        if record["body"] == "bad" and seen["bad"] == 1:
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
"""


@pytest.fixture
def credentials(monkeypatch):
    """As an operator gives them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


async def fed(tmp_path, until, **event):
    """Feed a function until `until()` holds; what was said."""
    (tmp_path / "fed_from_afar.py").write_text(HANDLER)
    function = Function("work", handler="fed_from_afar.handler", code=str(tmp_path), timeout_s=1)
    async with Engine([function]) as engine, anyio.create_task_group() as group:
        said = []
        host = Host(
            account=engine.config.account,
            clock=engine.platform.clock,
            new_request_id=engine.new_request_id,
            listen={},
            say=said.append,
        )
        settings = RemoteEvent(report_batch_item_failures=True, **event)
        source = RemoteSqsSource.build([Binding(function=function, settings=settings)], host)
        stopping = anyio.Event()
        await group.start(source.serve, engine.sink, stopping)
        with anyio.fail_after(60):
            while not until(source, said):
                await anyio.sleep(0.02)
        stopping.set()
    return said


@pytest.mark.parametrize("by", ["name", "url"])
async def test_a_queue_at_another_server_is_drained_and_failures_come_again(
    tmp_path, sqs, real_site, credentials, by
):
    """Found by name or by URL; `bad` fails once."""
    url = sqs.create_queue(QueueName=f"far-{by}", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
    for number in range(5):
        entries = [{"Id": str(n), "MessageBody": json.dumps([number, n])} for n in range(10)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    sqs.send_message(QueueUrl=url, MessageBody="bad")

    def done(source, _said):
        return [51] == [feed.counts.deleted for feed, _ in source.statistics()]

    queue = url if by == "url" else f"far-{by}"
    said = await fed(tmp_path, done, queue=queue, endpoint_url=real_site.endpoint_url, region="eu-west-1")

    assert [] == said
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    assert dict.fromkeys(names, "0") == attributes


@pytest.mark.parametrize(
    ("queue", "reason"), [("nowhere", "NonExistentQueue"), ("http://127.0.0.1:9/1/q", "Could not connect")]
)
async def test_what_is_wrong_is_said_in_one_line(tmp_path, real_site, credentials, queue, reason):
    """No such queue, and nobody there."""
    endpoint = real_site.endpoint_url if "//" not in queue else queue
    said = await fed(tmp_path, lambda _, said: said, queue=queue, endpoint_url=endpoint)

    [line] = said
    assert line.startswith(f"functions.work: queue {queue}: ")
    assert reason in line
    assert "\n" not in line
