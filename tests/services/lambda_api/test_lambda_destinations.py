"""Destinations in event-invoke configs: which are taken, and how they are shown."""

import pytest

INVOKING = "/2019-09-25/functions/hello/event-invoke-config"
OUTCOMES = ("OnSuccess", "OnFailure")
SQS = "arn:aws:sqs:eu-west-1:123456789012"


def put(bench, **destinations):
    config = {outcome: {"Destination": arn} for outcome, arn in destinations.items()}
    return bench.call("PUT", INVOKING, DestinationConfig=config)


@pytest.mark.parametrize("arn", [f"{SQS}:q.fifo", "arn:aws:sns:eu-west-1:123456789012:t.fifo"])
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_fifo_queues_and_topics_are_no_destinations(bench, outcome, arn):
    """AWS refuses them with 400 InvalidParameterValueException (aws-cdk#13793); the text is (unverified)."""
    assert (
        400,
        "InvalidParameterValueException",
        {"Type": "User", "message": f"The destination ARN {arn} is invalid."},
    ) == put(bench, **{outcome: arn}).error


def test_a_bucket_takes_failures_alone(bench):
    """As documented."""
    bucket = "arn:aws:s3:::lost"

    assert 200 == put(bench, OnFailure=bucket).status
    status, code, document = put(bench, OnSuccess=bucket).error
    assert (400, "InvalidParameterValueException") == (status, code)
    assert (
        "The provided destination config DestinationConfig("
        f"onSuccess=OnSuccess(destination={bucket}), onFailure=null) is invalid."
    ) == document["message"]


def test_what_is_no_arn_breaks_the_model_and_another_service_the_config(bench):
    """Members are validated first."""
    assert "ValidationException" == put(bench, OnFailure="garbage").error[1]
    stream = "arn:aws:kinesis:eu-west-1:123456789012:stream/s"
    assert "InvalidParameterValueException" == put(bench, OnFailure=stream).error[1]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_empty_destination_is_none(bench, outcome):
    """The model's pattern takes it; both members are always shown (recorded)."""
    put(bench, OnSuccess=f"{SQS}:q", OnFailure=f"{SQS}:q")
    document = bench.call("POST", INVOKING, DestinationConfig={outcome: {"Destination": ""}}).document

    assert {"OnSuccess": {}, "OnFailure": {}} == document["DestinationConfig"]
