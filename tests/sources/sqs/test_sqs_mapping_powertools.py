"""AWS Powertools' batch processors in a handler, as users have them: real executors, real answers."""

import anyio
import pytest

from engine import Function

pytest.importorskip("aws_lambda_powertools", reason="aws-lambda-powertools is not installed")

PLAIN = """
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

processor = BatchProcessor(event_type=EventType.SQS)
seen = []

def work(record):
    seen.append(record.body)
    order = record.json_body
    assert record.event_source_arn.endswith(":q")
    if order["fails"] and seen.count(record.body) == 1:
        raise ValueError("not now")

def handler(event, context):
    return process_partial_response(event=event, record_handler=work, processor=processor, context=context)
"""

ASYNCHRONOUS = """
import asyncio
from aws_lambda_powertools.utilities import batch

processor = batch.AsyncBatchProcessor(event_type=batch.EventType.SQS)
seen = []

async def work(record):
    await asyncio.sleep(0.1)
    seen.append(record.body)
    if record.json_body["fails"] and seen.count(record.body) == 1:
        raise ValueError("not now")

def handler(event, context):
    return batch.async_process_partial_response(event, work, processor, context)
"""

FIFO = """
from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor, process_partial_response

processor = SqsFifoPartialProcessor(skip_group_on_error=True)
seen = []

def work(record):
    seen.append(record.body)
    if record.body == "a1" and seen.count("a1") == 1:
        raise ValueError("not now")

def handler(event, context):
    return process_partial_response(event=event, record_handler=work, processor=processor, context=context)
"""


@pytest.fixture
def make_function(tmp_path):
    """A function of this code; `name` is its module, which must be new each time."""

    def make(name, code, **keys):
        (tmp_path / f"{name}.py").write_text(code)
        return Function("work", handler=f"{name}.handler", code=str(tmp_path), **keys)

    return make


async def test_a_batch_processor_brings_back_what_failed_and_nothing_else(make_site, make_function):
    """The others are deleted; the second attempt succeeds."""
    queues = {"q": {"visibility_timeout_s": 5}}
    site = make_site(
        {"report_batch_item_failures": True}, work=make_function("plain_batches", PLAIN), queues=queues
    )
    async with site:
        site.send('{"fails": false}', '{"fails": true}', '{"fails": false}')
        await anyio.sleep(1)
        assert (0, 1) == site.left()
        await anyio.sleep(6)

        assert (0, 0) == site.left()
        assert (4, 1, 3) == (
            site.entry.counts.delivered,
            site.entry.counts.failed,
            site.entry.counts.deleted,
        )


async def test_a_batch_of_which_all_fail_is_an_error_and_all_come_back(make_site, make_function):
    """Powertools raises then."""
    site = make_site(
        {"report_batch_item_failures": True},
        work=make_function("failing_batches", PLAIN),
        queues={"q": {"visibility_timeout_s": 5}},
    )
    async with site:
        site.send('{"fails": true, "n": 1}', '{"fails": true, "n": 2}')
        await anyio.sleep(1)
        assert (0, 2) == site.left()
        assert {"error": 1} == site.ended()
        await anyio.sleep(10)

        assert (0, 0) == site.left()


@pytest.mark.real_time
async def test_an_asynchronous_processor_works_too(make_site, make_function):
    """It runs a loop of its own, in a thread."""
    site = make_site(
        {"report_batch_item_failures": True},
        work=make_function("asynchronous_batches", ASYNCHRONOUS, timeout_s=1),
        queues={"q": {"visibility_timeout_s": 1}},
    )
    async with site:
        site.send('{"fails": false}', '{"fails": true}')
        with anyio.fail_after(60):
            while site.entry.counts.deleted < 2:
                await anyio.sleep(0.05)

        assert (0, 0) == site.left()
        assert 1 == site.entry.counts.failed


async def test_a_fifo_processor_keeps_each_group_in_order(make_site, make_function):
    """What comes after a failure in its group is reported with it; other groups go on."""
    function = make_function("fifo_batches", FIFO)
    site = make_site(
        {"queue": "q.fifo", "report_batch_item_failures": True},
        work=function,
        queues={"q.fifo": {"visibility_timeout_s": 5}},
    )
    async with site:
        for group in "ab":
            site.send(*[f"{group}{number}" for number in range(3)], name="q.fifo", group=group)
        await anyio.sleep(1)
        assert (0, 2) == site.left("q.fifo")
        await anyio.sleep(6)

        assert (0, 0) == site.left("q.fifo")
        assert ({"success": 2}, 2) == (site.ended(), site.entry.counts.failed)
