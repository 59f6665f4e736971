"""Waits: stands for a handler that spends its time on the network.

`handler` is a coroutine: the engine runs thousands of them on one loop. AWS Lambda does not await
coroutines: there `handler` ends in `Runtime.MarshalError` ("Object of type coroutine is not JSON
serializable"). `blocking` does the same with `time.sleep`, and is what to deploy.
"""

import asyncio
import json
import time

DEFAULT_S = 0.5


async def handler(event, context):
    """`{"seconds": 2}`, or `GET /sleep?seconds=2`; half a second if it is not said."""
    wanted_s = seconds(event)
    await asyncio.sleep(wanted_s)
    return result(event, context, wanted_s)


def blocking(event, context):
    """The same, for executors that run `def` handlers, and for AWS Lambda."""
    wanted_s = seconds(event)
    time.sleep(wanted_s)
    return result(event, context, wanted_s)


def seconds(event):
    """How long to wait, seconds. Raises ValueError for anything but a number from 0 on."""
    parameters = (
        (event or {}) if "requestContext" not in (event or {}) else event.get("queryStringParameters")
    )
    wanted_s = float((parameters or {}).get("seconds", DEFAULT_S))
    if not 0 <= wanted_s < float("inf"):
        raise ValueError(f"seconds must be 0 or more, not {wanted_s}")
    return wanted_s


def result(event, context, slept_s):
    """The time that was waited, and the time left until the deadline."""
    document = {"slept_s": slept_s, "remaining_ms": context.get_remaining_time_in_millis()}
    if "requestContext" not in (event or {}):
        return document
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(document),
    }
