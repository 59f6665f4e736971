"""Events as each source makes them, for tests of handlers: made by the code that the sources use themselves.

    outcome = engine_sync.invoke("orders", events.sqs({"id": 1}, {"id": 2}, queue="orders"))

Every factory returns a new JSON value that the test may change. Two calls with the same arguments return the
same: ids are fixed, and the time is `at_s`, seconds since the Unix epoch, by default 2026-01-01 UTC, when
virtual time begins. What the factories do not take has the value that it has on the engine; addresses are
127.0.0.1, and the account is that of `Account()`.
"""

from __future__ import annotations

from engine.sources.samples.common import EPOCH_S
from engine.sources.samples.destinations import dead_letter, destination
from engine.sources.samples.eventbridge import eventbridge
from engine.sources.samples.http import alb, http_v1, http_v2
from engine.sources.samples.logs import logs
from engine.sources.samples.s3 import s3, s3_eventbridge
from engine.sources.samples.schedule import schedule
from engine.sources.samples.sns import sns
from engine.sources.samples.sqs import SqsMessage, sqs
from engine.sources.samples.streams import dynamodb, kinesis

__all__ = [
    "EPOCH_S",
    "SqsMessage",
    "alb",
    "dead_letter",
    "destination",
    "dynamodb",
    "eventbridge",
    "http_v1",
    "http_v2",
    "kinesis",
    "logs",
    "s3",
    "s3_eventbridge",
    "schedule",
    "sns",
    "sqs",
]
