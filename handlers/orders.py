"""Validates orders and adds them up in exact decimals: over HTTP, from a queue, or called directly.

An order is `{"id": "A-1", "items": [{"sku": "pen", "quantity": 2, "price": "1.20"}]}`.
From a queue only the bad messages are reported back (partial batch response), so that the good ones
are not delivered again. Needs `report_batch_item_failures`.
"""

import base64
import json
from decimal import Decimal, InvalidOperation

CENT = Decimal("0.01")


class InvalidOrder(ValueError):
    """The order cannot be taken; the text says why, in the customer's terms."""


def handler(event, context):
    """Queue batch, HTTP request or a bare order."""
    if "Records" in event:
        return take_batch(event["Records"])
    if "requestContext" in event:
        return answer(event)
    return take(event)


def take_batch(records):
    """Messages that failed come back later, and end in the dead-letter queue."""
    failed = []
    for record in records:
        try:
            order = take(parse(record["body"]))
        except InvalidOrder as error:
            print(f"message {record['messageId']} refused: {error}")
            failed.append({"itemIdentifier": record["messageId"]})
        else:
            print(f"order {order['id']} taken: {order['total']}")
    return {"batchItemFailures": failed}


def answer(event):
    """`POST` an order: 201 with its total, or 400 with the reason."""
    body = event.get("body") or ""
    try:
        if event.get("isBase64Encoded"):
            body = base64.b64decode(body)
        status, document = 201, take(parse(body))
    except InvalidOrder as error:
        status, document = 400, {"message": str(error)}
    except ValueError:
        status, document = 400, {"message": "the body is not base64"}
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(document, default=str),
    }


def parse(text):
    """JSON with prices as `Decimal`: `0.1` stays a tenth."""
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise InvalidOrder(f"not JSON: {error}") from None


def take(order):
    """The order's id, number of items, and total. Money stays `Decimal`: Lambda writes it as a number."""
    if not isinstance(order, dict) or not isinstance(order.get("id"), str) or not order["id"]:
        raise InvalidOrder("an order needs an id")
    items = order.get("items")
    if not isinstance(items, list) or not items:
        raise InvalidOrder("an order needs at least one item")
    total = sum((cost(item) for item in items), Decimal(0))
    return {"id": order["id"], "items": len(items), "total": total.quantize(CENT)}


def cost(item):
    """Quantity times price of one line."""
    if not isinstance(item, dict):
        raise InvalidOrder("an item is an object with quantity and price")
    quantity = item.get("quantity", 1)
    if isinstance(quantity, bool) or not isinstance(quantity, int) or not 0 < quantity <= 10_000:
        raise InvalidOrder(f"quantity must be a whole number from 1 to 10000, not {quantity!r}")
    try:
        price = Decimal(str(item.get("price")))
    except InvalidOperation:
        raise InvalidOrder(f"price must be a number, not {item.get('price')!r}") from None
    if not price.is_finite() or not 0 <= price <= 1_000_000:
        raise InvalidOrder(f"price must be from 0 to 1000000, not {price}")
    return quantity * price
