"""Samples of what becomes of asynchronous events: records for destinations, and dead letters."""

from __future__ import annotations

import json
from typing import Any, Literal, cast

from engine.core.billing import rate
from engine.core.destinations import ArnParts, CompletedEvent, DestinationRecord
from engine.core.event import Event
from engine.core.lambda_prices import fallback_sheet
from engine.core.outcome import Outcome, Status
from engine.core.retry import Condition
from engine.services.s3.notification_records import iso_ms
from engine.sources.samples.common import ACCOUNT, EPOCH_S, SampleIds
from engine.sources.samples.sqs import SqsMessage


def destination(
    payload: Any = None,
    *,
    result: Any = None,
    error: tuple[str, str] | None = None,
    condition: Literal["Success", "RetriesExhausted", "EventAgeExceeded", "ZeroReservedConcurrency"]
    | None = None,
    runs: int | None = None,
    via: Literal["lambda", "eventbridge"] = "lambda",
    function: str = "function",
    at_s: float = EPOCH_S,
    salt: str = "",
) -> dict[str, Any]:
    """The record of an asynchronous event that is done with, as a destination of it gets it.

    A function gets it as its event; a queue as the body of a message: `sqs(destination(...))`.

    Args:
        payload: Of the event, any JSON value.
        result: What the function returned; it counts where there is no `error`.
        error: Type and message of the error that the last attempt ended with.
        condition: Why no more is done; None: `Success`, or `RetriesExhausted` with an error.
        runs: Attempts that ran; None: 1, 3 with an error, 0 for an event that never ran.
        via: Who gets it: `eventbridge` has it in an envelope.
        function: Name of the function that ran.
        at_s: When it was done with.
        salt: Makes the ids others than those of another salt.
    """
    word = condition or ("Success" if error is None else "RetriesExhausted")
    never = error is None and word != "Success"
    count = runs if runs is not None else 0 if never else 1 if error is None else 3
    completed = _completed(payload, result, error, Condition(word), count, function, at_s, SampleIds(salt))
    service = "events" if via == "eventbridge" else "lambda"
    region, account_id = ACCOUNT.region, ACCOUNT.account_id
    resource = "event-bus/default" if via == "eventbridge" else "function:destination"
    arn = f"arn:aws:{service}:{region}:{account_id}:{resource}"
    record = completed.record_for(ArnParts(service, region, account_id, resource), arn)
    return cast("dict[str, Any]", json.loads(record.body))


def dead_letter(
    payload: Any = None,
    *,
    error: tuple[str, str] = ("Exception", "failed"),
    function: str = "function",
    at_s: float = EPOCH_S,
    salt: str = "",
) -> SqsMessage:
    """The message that a dead-letter queue of a function gets, for `sqs`. Arguments as in `destination`."""
    completed = _completed(
        payload, None, error, Condition.RETRIES_EXHAUSTED, 3, function, at_s, SampleIds(salt)
    )
    record: DestinationRecord = completed.dead_letter()
    attributes: dict[str, str | int | float | bytes] = {
        name: int(value) if data_type == "Number" else value
        for name, (data_type, value) in record.attributes.items()
    }
    return SqsMessage(body=record.body.decode(), attributes=attributes)


def _completed(
    payload: Any,
    result: Any,
    error: tuple[str, str] | None,
    condition: Condition,
    runs: int,
    function: str,
    at_s: float,
    ids: SampleIds,
) -> CompletedEvent:
    request_id = ids("asynchronous", function)
    status = Status.SUCCESS if error is None else Status.ERROR
    said = result if error is None else {"errorMessage": error[1], "errorType": error[0], "stackTrace": []}
    price = rate(fallback_sheet(ACCOUNT.region), 128, "x86_64")
    return CompletedEvent(
        event=Event(function, json.dumps(payload).encode(), request_id, at_s),
        condition=condition,
        runs=runs,
        last=Outcome(status, json.dumps(said).encode(), request_id, price) if runs else None,
        function_arn=ACCOUNT.function_arn(function, "$LATEST"),
        timestamp=iso_ms(at_s),
        record_id=ids("record", function),
    )
