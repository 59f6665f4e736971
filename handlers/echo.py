"""Returns what it gets: the event itself, or the body of an HTTP event as it came."""


def handler(event, context):
    """An HTTP event is answered with its body and content type; any other event with itself."""
    if not isinstance(event, dict) or "requestContext" not in event:
        return event
    return {
        "statusCode": 200,
        "headers": {"content-type": event.get("headers", {}).get("content-type", "text/plain")},
        "body": event.get("body", ""),
        "isBase64Encoded": event.get("isBase64Encoded", False),
    }


async def async_handler(event, context):
    """The same as a coroutine, which the engine awaits.

    AWS Lambda does not: there an `async def` handler ends in `Runtime.MarshalError`, because the
    coroutine itself is taken for the result.
    """
    return handler(event, context)
