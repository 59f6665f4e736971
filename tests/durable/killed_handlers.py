"""A durable function that writes down what it does, for those who look after its engine was killed."""

import os

from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import Duration


def _note(*words):
    descriptor = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, (" ".join(words) + "\n").encode())
    os.close(descriptor)


@durable_execution
def steps(event, context):
    name = event["name"]
    for number in map(str, range(4)):

        def work(_, number=number):
            _note("ran", name, number)
            return number

        context.step(work, name=f"step-{number}")
        _note("acknowledged", name, number)
        if number == "1":
            context.wait(Duration.from_seconds(1), name="pause")
    return name
