"""A durable function without the SDK: sends the checkpoints that its input lists, and returns the answers."""

from __future__ import annotations

import json
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    client = boto3.client("lambda", config=Config(retries={"total_max_attempts": 1}))
    token = event["CheckpointToken"]
    answers: list[Any] = []
    [execution] = event["InitialExecutionState"]["Operations"]
    for updates in json.loads(execution["ExecutionDetails"]["InputPayload"]):
        try:
            answer = client.checkpoint_durable_execution(
                DurableExecutionArn=event["DurableExecutionArn"], CheckpointToken=token, Updates=updates
            )
        except ClientError as error:
            metadata = error.response["ResponseMetadata"]
            answers.append([metadata["HTTPStatusCode"], error.response["Error"]["Message"]])
        else:
            token = answer["CheckpointToken"]
            answers.append(answer["NewExecutionState"]["Operations"])
    return {"Status": "SUCCEEDED", "Result": json.dumps(answers, default=str)}
