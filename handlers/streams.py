"""Reads the changes of a DynamoDB table, and clicks that are the records of a Kinesis stream."""

import base64
import json


def handler(event, context):
    """Prints each record. One that it cannot read fails the batch, which then comes again."""
    for record in event["Records"]:
        if record["eventSource"] == "aws:dynamodb":
            print(record["eventName"], record["dynamodb"]["Keys"]["id"]["S"])
        else:
            print("click on", json.loads(base64.b64decode(record["kinesis"]["data"]))["page"])
