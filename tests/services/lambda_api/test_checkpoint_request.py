"""Checkpoints are read as the model has them, whichever way they take."""

import json
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.protocols.aws.errors import ServiceError
from engine.protocols.http.message import Request
from engine.services.lambda_api.durable.checkpoint_request import read_checkpoint
from engine.services.lambda_api.routes import checked, find

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:f:$LATEST/durable-execution/name/id"
TEXTS = st.sampled_from(["", "a", "a b", "A1-_", "é", "x" * 65, "STEP", "WAIT", "START", "SUCCEED", None, 7])
OPTIONS = st.sampled_from([{}, {"ReplayChildren": True}, {"ReplayChildren": 1}, {"More": None}, None])
UPDATES = st.fixed_dictionaries(
    {"Id": TEXTS, "Type": st.sampled_from(["STEP", "NO"]), "Action": st.sampled_from(["START", "NO"])},
    optional={
        "Name": TEXTS,
        "SubType": TEXTS,
        "ParentId": TEXTS,
        "Payload": TEXTS,
        "ContextOptions": OPTIONS,
        "WaitOptions": st.sampled_from([{"WaitSeconds": 1}, {"WaitSeconds": 0}]),
        "Error": st.just({"ErrorMessage": "m"}),
        "Unknown": TEXTS,
    },
)
BODIES = st.fixed_dictionaries(
    {}, optional={"CheckpointToken": TEXTS, "ClientToken": TEXTS, "Updates": st.lists(UPDATES, max_size=3)}
)
PLAIN = {"CheckpointToken": "dG9r", "Updates": [{"Id": "a", "Type": "STEP", "Action": "START", "Name": "n"}]}


def request_of(body, arn=ARN):
    target = f"/2025-12-01/durable-executions/{quote(arn, safe='')}/checkpoint".encode()
    return Request(None, "POST", target, b"", None, json.dumps(body).encode(), "1.1", "", 0.0)


@given(BODIES)
@example(PLAIN)
def test_what_is_read_in_one_go_is_what_the_model_reads(body):
    request = request_of(body)
    read = read_checkpoint(request)
    if read is None:
        return
    call = checked(find("POST", request.target), request.body)

    assert (call.operation, call.name, call.members) == (read.operation, read.name, read.members)


def test_what_sdks_send_is_read_in_one_go():
    assert PLAIN == read_checkpoint(request_of(PLAIN)).members
    assert ARN == read_checkpoint(request_of(PLAIN)).name


@given(st.text(max_size=20))
def test_other_targets_are_left_to_the_model(text):
    request = request_of(PLAIN, ARN + text)
    try:
        call = checked(find("POST", request.target), request.body)
    except ServiceError:
        call = None

    assert (None if call is None else call.name) == getattr(read_checkpoint(request), "name", None)


def test_more_updates_than_an_execution_can_take_are_refused_before_they_are_looked_at():
    body = {"CheckpointToken": "dA==", "Updates": [None] * 6002}
    with pytest.raises(ServiceError, match="Cannot checkpoint more than 6001 updates"):
        read_checkpoint(request_of(body))
