"""Takes an order from its prices to its parcel, as a durable function: steps, a map, an approval, a wait.

An order is `{"id": "A-1", "items": [{"sku": "pen", "quantity": 2}]}`. Needs AWS's SDK for durable functions,
`pip install aws-durable-execution-sdk-python`, on AWS as well as here.
"""

import json

from aws_durable_execution_sdk_python import durable_execution, durable_step
from aws_durable_execution_sdk_python.config import Duration, WaitForCallbackConfig

CENTS = {"pen": 120, "desk": 24_900}
APPROVED_ABOVE_CENTS = 10_000
PATIENCE = WaitForCallbackConfig(timeout=Duration.from_days(3))


@durable_execution
def handler(event, context):
    """Runs again from its start after each wait; what was done before is not done again."""
    total = sum(context.map(event["items"], price, name="prices").get_results())
    if total > APPROVED_ABOVE_CENTS and not is_approved(context, total):
        return {"id": event["id"], "status": "refused", "cents": total}
    context.wait(Duration.from_seconds(event.get("cooling_off_s", 1)), name="cooling-off")
    parcel = context.step(ship(event["id"]), name="ship")
    return {"id": event["id"], "status": "shipped", "cents": total, "parcel": parcel}


def price(context, item, _index, _items):
    """Of one line, in a context of its own: the lines are priced at the same time."""
    return context.step(lambda _: CENTS[item["sku"]] * item.get("quantity", 1), name=item["sku"])


def is_approved(context, total):
    """Asks a person, who has three days. Nothing runs meanwhile, and nothing is billed."""

    def ask(callback_id, _context):
        print(f"{total} cents: answer callback {callback_id}")  # a mail with a link, a message in a chat

    return json.loads(context.wait_for_callback(ask, name="approval", config=PATIENCE))["approved"]


@durable_step
def ship(_context, order_id):
    """A parcel's number, once: a step that has succeeded is never repeated."""
    return f"P-{order_id}"
