"""Counts primes: pure CPU work, the kind that belongs in the process executor or on a larger memory size."""

import json

LIMIT = 5_000_000


def handler(event, context):
    """`{"below": 100000}`, or `GET /primes?below=100000`. At most five million."""
    is_http = "requestContext" in event
    parameters = (event.get("queryStringParameters") or {}) if is_http else event
    try:
        below = int(parameters.get("below", 100_000))
        if not 0 <= below <= LIMIT:
            raise ValueError(f"below must be from 0 to {LIMIT}, not {below}")
    except (TypeError, ValueError) as error:
        if not is_http:
            raise
        return respond(400, {"message": str(error)})
    count, largest = sieve(below)
    result = {"below": below, "count": count, "largest": largest}
    return respond(200, result) if is_http else result


def respond(status, document):
    """An HTTP answer in JSON."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(document),
    }


def sieve(below):
    """How many primes are less than `below`, and the largest of them (None if there is none)."""
    prime = bytearray([1]) * below
    prime[:2] = bytes(min(below, 2))
    for number in range(2, int(below**0.5) + 1):
        if prime[number]:
            prime[number * number :: number] = bytes(len(range(number * number, below, number)))
    largest = prime.rfind(1)
    return prime.count(1), largest if largest >= 0 else None
