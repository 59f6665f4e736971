"""`[queues.NAME]`: what may be written, what is refused, and what it makes."""

from __future__ import annotations

import tomllib

import pytest
from pydantic import TypeAdapter, ValidationError

from engine.services.sqs.settings import QueueSettings, queue_problems

TABLES = TypeAdapter(dict[str, QueueSettings])


def tables(text: str) -> dict[str, QueueSettings]:
    return TABLES.validate_python(tomllib.loads(text)["queues"])


def test_the_queues_of_a_file_are_made(site):
    """And a dead-letter queue that has no table of its own."""
    site.service.declare(
        tables(
            """
            [queues.orders]
            visibility_timeout_s = 180
            redrive = { dead_letter_queue = "orders-dlq", max_receive_count = 3 }
            tags = { team = "shop" }
            [queues."audit.fifo"]
            content_based_deduplication = true
            redrive = { dead_letter_queue = "late.fifo", max_receive_count = 2 }
            [queues."late.fifo"]
            delay_s = 5
            redrive = { dead_letter_queue = "audit.fifo", max_receive_count = 2 }
            """
        )
    )
    queues = site.service.queues

    assert ["audit.fifo", "late.fifo", "orders", "orders-dlq"] == queues.names()
    assert (180, site.arn("orders-dlq"), 3) == (
        queues.find("orders").policy.visibility_s,
        *queues.find("orders").policy.redrive,
    )
    assert {"Tags": {"team": "shop"}} == site.q("ListQueueTags", "orders").document
    assert queues.find("audit.fifo").policy.content_deduplication
    assert site.arn("audit.fifo") == queues.find("late.fifo").policy.redrive.arn


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[queues."a b"]', [(("a b",), "the name must be 1 to 80")]),
        (f"[queues.{'a' * 81}]", [(("a" * 81,), "the name must be 1 to 80")]),
        (
            "[queues.q]\ncontent_based_deduplication = true",
            [(("q", "content_based_deduplication"), "is for FIFO")],
        ),
        (
            '[queues."q.fifo"]\nthroughput_limit = "perMessageGroupId"',
            [(("q.fifo", "throughput_limit"), "perM")],
        ),
        (
            '[queues.q]\nredrive = { dead_letter_queue = "d.fifo", max_receive_count = 1 }',
            [(("q", "redrive", "dead_letter_queue"), "'d.fifo' must be a standard queue")],
        ),
        (
            '[queues.q]\nredrive = { dead_letter_queue = "q", max_receive_count = 1 }',
            [(("q", "redrive", "dead_letter_queue"), "a queue cannot be")],
        ),
        ('[queues."q.fifo"]\ncontent_based_deduplication = true', []),
    ],
)
def test_tables_that_do_not_fit_are_named(text, expected):
    """With the place and the end of a sentence."""
    found = list(queue_problems(tables(text)))

    assert [place for place, _ in expected] == [place for place, _ in found]
    assert all(said.startswith(begin) for (_, begin), (_, said) in zip(expected, found, strict=True))


@pytest.mark.parametrize(
    "line",
    [
        "visibility_timeout_s = 43201",
        "visibility_timeout_s = 1.5",
        'delay_s = "5"',
        "retention_s = 59",
        "receive_wait_s = 21",
        "maximum_message_bytes = 1023",
        "redrive = { dead_letter_queue = 'd' }",
        "redrive = { dead_letter_queue = 'd', max_receive_count = 0 }",
        "visibility = 5",
    ],
)
def test_values_out_of_bounds_are_refused(line):
    """By the model itself."""
    with pytest.raises(ValidationError):
        tables(f"[queues.q]\n{line}")


def test_queues_are_found_by_name_and_arn(site):
    """Anything else is an error in SQS's words."""
    queue = site.service.declare(tables("[queues.q]")) or site.service.queue("q")

    assert queue is site.service.queue(site.arn("q"))
    assert site.service.queues.find_arn("arn:aws:sqs:us-east-1:123456789012:q") is None
