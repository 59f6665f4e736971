"""The handler of the HTTP measurements: an asynchronous echo."""


async def handler(event, context):
    """The event itself; of an HTTP event its body, as the answer of an HTTP handler."""
    if "requestContext" not in event:
        return event
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": event["body"]}
