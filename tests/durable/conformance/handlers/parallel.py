"""Suite 8: parallel branches, mostly one at a time so that their order is known."""

from __future__ import annotations

import json
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, ParallelBranch
from aws_durable_execution_sdk_python.config import CompletionConfig, NestingType, ParallelConfig
from aws_durable_execution_sdk_python.serdes import SerDes, SerDesContext
from batches import fail, giving, stepping, summary
from suite import Suite, seconds

handler = Suite()


class Wrapped(SerDes[Any]):
    """A value in an envelope."""

    def serialize(self, value: Any, serdes_context: SerDesContext) -> str:
        return json.dumps({"wrapped": value})

    def deserialize(self, data: str, serdes_context: SerDesContext) -> Any:
        return json.loads(data)["wrapped"]


def one_at_a_time(**more: Any) -> ParallelConfig:
    return ParallelConfig(max_concurrency=1, **more)


def ended_by(**criteria: int) -> ParallelConfig:
    return one_at_a_time(completion_config=CompletionConfig(**criteria))


@handler.fulfils("8-1")
def two_steps(event: None, context: DurableContext) -> list[Any]:
    branches = [stepping("task-1"), stepping("task-2")]
    return context.parallel(branches, name="parallel", config=one_at_a_time()).get_results()


@handler.fulfils("8-2")
def without_a_name(event: None, context: DurableContext) -> list[Any]:
    return context.parallel([giving("alpha"), giving("beta")], config=one_at_a_time()).get_results()


@handler.fulfils("8-3")
def named_branches(event: None, context: DurableContext) -> list[Any]:
    branches = [ParallelBranch(giving("one"), "first"), ParallelBranch(giving("two"), "second")]
    return context.parallel(branches, name="named", config=one_at_a_time()).get_results()


@handler.fulfils("8-4")
def different_types(event: None, context: DurableContext) -> list[Any]:
    branches = [giving("hello"), giving(42), giving({"k": "v"})]
    return context.parallel(branches, name="hetero", config=one_at_a_time()).get_results()


@handler.fulfils("8-5")
def no_branches(event: None, context: DurableContext) -> list[Any]:
    return context.parallel([], name="empty").get_results()


@handler.fulfils("8-6")
def first_failure_ends_it(event: None, context: DurableContext) -> dict[str, Any]:
    branches = [giving("ok"), fail, giving("never")]
    return summary(context.parallel(branches, name="failfast", config=ended_by(tolerated_failure_count=0)))


@handler.fulfils("8-7")
def failure_is_raised(event: None, context: DurableContext) -> list[Any]:
    config = ended_by(tolerated_failure_count=0)
    batch = context.parallel([fail, giving("never")], name="throwing", config=config)
    batch.throw_if_error()
    return batch.get_results()


@handler.fulfils("8-8")
def two_successes_suffice(event: None, context: DurableContext) -> dict[str, Any]:
    branches = [giving(f"r{index}") for index in range(4)]
    batch = context.parallel(branches, name="min-successful", config=ended_by(min_successful=2))
    return summary(batch, "completionReason", "successCount", "totalCount")


@handler.fulfils("8-9")
def one_failure_is_tolerated(event: None, context: DurableContext) -> dict[str, Any]:
    branches = [giving("a"), fail, giving("c")]
    return summary(context.parallel(branches, name="tolerated", config=ended_by(tolerated_failure_count=1)))


@handler.fulfils("8-10")
def two_failures_are_not(event: None, context: DurableContext) -> dict[str, Any]:
    config = ended_by(tolerated_failure_count=1)
    batch = context.parallel([fail, fail, giving("never")], name="tolerated-exceeded", config=config)
    return summary(batch, "completionReason", "successCount", "failureCount", "totalCount")


@handler.fulfils("8-11")
def two_at_a_time(event: None, context: DurableContext) -> list[Any]:
    branches = [giving("r0"), giving("r1"), giving("r2")]
    config = ParallelConfig(max_concurrency=2)
    return context.parallel(branches, name="concurrent", config=config).get_results()


@handler.fulfils("8-12")
def branches_without_contexts(event: None, context: DurableContext) -> list[Any]:
    config = one_at_a_time(nesting_type=NestingType.FLAT)
    return context.parallel([stepping("fa"), stepping("fb")], name="flat", config=config).get_results()


@handler.fulfils("8-13")
def half_failed_is_too_much(event: None, context: DurableContext) -> dict[str, Any]:
    config = ended_by(tolerated_failure_percentage=25)
    branches = [fail, fail, giving("never"), giving("never")]
    batch = context.parallel(branches, name="tolerated-pct", config=config)
    return summary(batch, "completionReason", "successCount", "failureCount", "totalCount")


@handler.fulfils("8-14")
def second_branch_waits(event: None, context: DurableContext) -> list[Any]:
    def waiting(branch: DurableContext) -> str:
        branch.wait(seconds(2))
        return "b1"

    return context.parallel([stepping("b0"), waiting], name="replay", config=one_at_a_time()).get_results()


@handler.fulfils("8-15")
def own_serializer(event: None, context: DurableContext) -> list[Any]:
    config = one_at_a_time(item_serdes=Wrapped())
    return context.parallel([giving("x"), giving("y")], name="serde", config=config).get_results()


@handler.fulfils("8-16")
def all_fail(event: None, context: DurableContext) -> dict[str, Any]:
    config = ended_by(tolerated_failure_count=3)
    return summary(context.parallel([fail, fail, fail], name="all-fail", config=config))


@handler.fulfils("8-17")
def too_few_succeed(event: None, context: DurableContext) -> dict[str, Any]:
    branches = [giving("a"), fail, giving("c")]
    return summary(context.parallel(branches, name="min-not-reached", config=ended_by(min_successful=3)))


@handler.fulfils("8-18")
def failures_come_first(event: None, context: DurableContext) -> dict[str, Any]:
    config = ended_by(min_successful=3, tolerated_failure_count=1)
    branches = [fail, fail, giving("never"), giving("never")]
    batch = context.parallel(branches, name="combined", config=config)
    return summary(batch, "completionReason", "successCount", "failureCount", "totalCount")


@handler.fulfils("8-19")
def none_at_a_time(event: None, context: DurableContext) -> list[Any]:
    config = ParallelConfig(max_concurrency=0)
    return context.parallel([giving(1), giving(2)], name="bad-concurrency", config=config).get_results()


@handler.fulfils("8-20")
def accessors(event: None, context: DurableContext) -> dict[str, Any]:
    branches = [giving("a"), fail, giving("c")]
    batch = context.parallel(branches, name="accessors", config=ended_by(tolerated_failure_count=1))
    return {
        "hasFailure": batch.has_failure,
        "successCount": len(batch.succeeded()),
        "failureCount": len(batch.failed()),
        "errorCount": len(batch.get_errors()),
    }


@handler.fulfils("8-21")
def one_in_another(event: None, context: DurableContext) -> list[Any]:
    def outer(branch: DurableContext) -> list[Any]:
        inner = [stepping("i1"), stepping("i2")]
        return branch.parallel(inner, name="inner", config=one_at_a_time()).get_results()

    return context.parallel([outer], name="outer", config=one_at_a_time()).get_results()


@handler.fulfils("8-22")
def a_quarter_failed_is_not(event: None, context: DurableContext) -> dict[str, Any]:
    config = ended_by(tolerated_failure_percentage=25)
    branches = [fail, giving("b"), giving("c"), giving("d")]
    return summary(context.parallel(branches, name="pct-boundary", config=config))
