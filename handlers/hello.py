"""Greets by name: the smallest useful handler, for a direct event or an HTTP one (payload 2.0)."""

import json


def handler(event, context):
    """`{"name": "Ada"}`, or `GET /hello/{name}`, or `?name=Ada`."""
    if "requestContext" not in event:
        return {"message": f"Hello, {event.get('name', 'world')}!"}
    name = (event.get("pathParameters") or event.get("queryStringParameters") or {}).get("name", "world")
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps({"message": f"Hello, {name}!", "requestId": context.aws_request_id}),
    }
