"""What a checkpoint may not say: each rule with AWS's text, by its number in the list of AWS's validators."""

from __future__ import annotations

import pytest

from engine.core.durable.checkpoint_rules import read_update, update_document
from engine.core.durable.refusals import CheckpointRefused
from tests.core.durable.player import (
    BOOM,
    Player,
    called_back,
    chained,
    closed,
    opened,
    retried,
    started,
    state_of,
    succeeded,
    update,
    waiting,
)

MEBIBYTE = 1_048_576
FAILS = {"ErrorMessage": "x" * (MEBIBYTE - 19)}  # as JSON a byte too long
NAMED = started("named", Name="n", SubType="Step", ParentId="context")
ENDS = update("execution-result-1", "EXECUTION", "SUCCEED", Payload="1")
SAME_ID = "Cannot checkpoint multiple operations with the same ID."
PARENT = "Invalid parent operation id."
ACTION = "Invalid action for the given operation type."
TARGET = "Invalid function ARN '{}'"
OTHER_ACCOUNT = "arn:aws:lambda:us-east-1:999999999999:function:f:1"
OTHER_REGION = "arn:aws:lambda:eu-west-1:123456789012:function:f:1"
OTHERS = "Cannot start a CHAINED_INVOKE on a function in another {}."
TENANT = "TenantId must be 1 to 256 characters matching [a-zA-Z0-9._:/=+-@ ]."


def invoking(**options):
    """A chained invoke with these options."""
    return update("x", "CHAINED_INVOKE", "START", ChainedInvokeOptions=options)


REFUSED = [
    (1, [ENDS, ENDS], "Cannot checkpoint multiple EXECUTION updates."),
    (2, [ENDS, started("x")], "EXECUTION checkpoint must be the last update."),
    (3, [started("x"), started("x")], SAME_ID),
    (3, [started("x"), succeeded("x"), succeeded("x")], SAME_ID),
    (3, [succeeded("x"), started("x")], SAME_ID),
    (3, [waiting("x"), update("x", "WAIT", "CANCEL")], SAME_ID),
    (4, [started("x", ParentId="nobody")], PARENT),
    (4, [started("x", ParentId="open")], PARENT),
    (4, [started("y"), started("x", ParentId="y")], PARENT),
    (4, [started("x", ParentId="y"), opened("y")], PARENT),
    (4, [opened("x", ParentId="x")], PARENT),
    (5, [update("open", "CONTEXT", "SUCCEED")], "Inconsistent operation type."),
    (5, [started("x"), update("x", "CONTEXT", "FAIL")], "Inconsistent operation type."),
    (6, [succeeded("named", SubType="Other")], "Inconsistent operation subtype."),
    (6, [started("x"), succeeded("x", SubType="Other")], "Inconsistent operation subtype."),
    (7, [succeeded("named", Name="other")], "Inconsistent operation name."),
    (8, [succeeded("open", ParentId="context")], "Inconsistent parent operation id."),
    (9, [update("x", "STEP", "FAIL", Error=FAILS)], f"Error object size must be less than {MEBIBYTE} bytes."),
    (
        10,
        [chained("x", Payload="é" * (MEBIBYTE // 2) + "x")],
        f"CHAINED_INVOKE input payload size must be less than or equal to {MEBIBYTE} bytes.",
    ),
    (
        11,
        [update("x", "EXECUTION", "SUCCEED", Payload="x" * (MEBIBYTE + 1))],
        f"Execution output payload size must be less than or equal to {MEBIBYTE} bytes.",
    ),
    (12, [update("x", "TASK", "START")], "Unknown operation type."),
    (13, [update("x", "STEP", "CANCEL")], ACTION),
    (13, [update("x", "STEP", "EXPLODE")], ACTION),
    (13, [update("x", "CONTEXT", "RETRY")], ACTION),
    (13, [update("wait", "WAIT", "SUCCEED")], ACTION),
    (13, [update("callback", "CALLBACK", "SUCCEED")], ACTION),
    (13, [update("chained", "CHAINED_INVOKE", "FAIL")], ACTION),
    (13, [update("x", "EXECUTION", "START")], ACTION),
    (14, [started("open")], "Invalid current STEP state to start."),
    (14, [started("pending")], "Invalid current STEP state to start."),
    (14, [started("done")], "Invalid current STEP state to start."),
    (14, [succeeded("pending")], "Invalid current STEP state to close."),
    (14, [update("done", "STEP", "FAIL")], "Invalid current STEP state to close."),
    (14, [retried("pending")], "Invalid current STEP state to re-attempt."),
    (14, [opened("context")], "Cannot start a CONTEXT that already exist."),
    (14, [closed("closed")], "Invalid current CONTEXT state to close."),
    (14, [waiting("wait")], "Cannot start a WAIT that already exist."),
    (
        14,
        [update("x", "WAIT", "CANCEL")],
        "Cannot cancel a WAIT that does not exist or has already completed.",
    ),
    (14, [called_back("callback")], "Cannot start a CALLBACK that already exist."),
    (14, [chained("chained")], "Cannot start a CHAINED_INVOKE operation that already exists."),
    (15, [update("open", "STEP", "FAIL", Payload="1")], "Cannot provide a Payload for FAIL action."),
    (15, [update("x", "CONTEXT", "FAIL", Payload="1")], "Cannot provide a Payload for FAIL action."),
    (15, [update("x", "EXECUTION", "FAIL", Payload="1")], "Cannot provide a Payload for FAIL action."),
    (16, [update("open", "STEP", "SUCCEED", Error=BOOM)], "Cannot provide an Error for SUCCEED action."),
    (16, [update("x", "EXECUTION", "SUCCEED", Error=BOOM)], "Cannot provide an Error for SUCCEED action."),
    (17, [update("open", "STEP", "RETRY", Error=BOOM)], "Invalid StepOptions for the given action."),
    (
        18,
        [retried("open", Error=BOOM, Payload="1")],
        "Cannot provide both error and payload to RETRY a STEP.",
    ),
    (
        19,
        [update("x", "CHAINED_INVOKE", "START")],
        "Update for CHAINED_INVOKE operation requires ChainedInvokeOptions.",
    ),
    (20, [chained("x", "no name!")], TARGET.format("no name!")),
    (20, [chained("x", "")], TARGET.format("")),
    (20, [chained("x", "n" * 257)], TARGET.format("n" * 257)),
    (20, [chained("x", "arn:aws:lambda:function:f")], TARGET.format("arn:aws:lambda:function:f")),
    (20, [invoking()], TARGET.format(None)),
    (21, [chained("x", OTHER_ACCOUNT)], OTHERS.format("account")),
    (22, [chained("x", OTHER_REGION)], OTHERS.format("region")),
    (23, [invoking(FunctionName="f", TenantId="")], TENANT),
    (23, [invoking(FunctionName="f", TenantId="a|b")], TENANT),
    (23, [invoking(FunctionName="f", TenantId=7)], TENANT),
]


@pytest.fixture
def player():
    """A child execution whose handler runs, with an operation of each kind and status."""
    player = Player(parent=("arn", "call"))
    player.begin()
    player.checkpoint(opened("context"), started("open"), NAMED, started("done"), succeeded("done"))
    player.checkpoint(started("pending"), retried("pending", 100), opened("closed"), closed("closed"))
    player.checkpoint(waiting("wait", 100), called_back("callback"), chained("chained"))
    return player


@pytest.mark.parametrize(
    ("rule", "updates", "message"),
    REFUSED,
    ids=[f"{rule}-{place}" for place, (rule, *_) in enumerate(REFUSED)],
)
def test_a_rule_refuses_the_whole_batch_and_nothing_has_changed(player, rule, updates, message):
    before = state_of(player.execution)

    for batch in (updates, [started("first"), *updates]):
        with pytest.raises(CheckpointRefused) as refused:
            player.checkpoint(*batch)
        assert message == refused.value.message

    assert before == state_of(player.execution)


def test_of_several_violations_the_first_update_counts(player):
    with pytest.raises(CheckpointRefused, match=r"Invalid action for the given operation type\."):
        player.checkpoint(update("wait", "WAIT", "SUCCEED"), started("done"))
    with pytest.raises(CheckpointRefused, match=r"Invalid parent operation id\."):
        player.checkpoint(started("done"), started("x", ParentId="nobody"))


ACCEPTED = {
    "nothing": [],
    "a step that is closed without a start": [succeeded("x")],
    "a step that is tried again without a start": [retried("x")],
    "a context that is closed without a start": [closed("x")],
    "a child of a context of the same batch": [opened("x"), started("y", ParentId="x")],
    "a child of a closed context": [started("x", ParentId="closed")],
    "the members of before, or none": [succeeded("named")],
    "the largest input": [chained("x", Payload="x" * MEBIBYTE)],
    "an ARN of the same account": [chained("x", "arn:aws:lambda:us-east-1:123456789012:function:f:live")],
    "a partial ARN": [chained("x", "123456789012:function:f")],
    "a tenant": [invoking(FunctionName="f", TenantId="a b/c=+-@:._")],
    "the end of a wait": [update("wait", "WAIT", "CANCEL")],
    "the end of the execution behind others": [started("x"), ENDS],
}


@pytest.mark.parametrize("updates", ACCEPTED.values(), ids=ACCEPTED)
def test_a_batch_is_accepted_with(player, updates):
    player.checkpoint(*updates)

    assert {each["Id"] for each in updates} - {ENDS["Id"]} <= player.statuses().keys()


@pytest.mark.parametrize("updates", [each for _, each, _ in REFUSED] + list(ACCEPTED.values()))
def test_an_update_is_written_as_it_was_read(updates):
    for document in updates:
        assert document == update_document(read_update(document))
