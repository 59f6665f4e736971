"""Suite 9: maps, mostly one item at a time so that their order is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aws_durable_execution_sdk_python import BatchItemStatus, BatchResult, DurableContext
from aws_durable_execution_sdk_python.concurrency.models import BatchItem, CompletionReason
from aws_durable_execution_sdk_python.config import CompletionConfig, MapConfig, NestingType
from aws_durable_execution_sdk_python.serdes import EXTENDED_TYPES_SERDES, SerDes, SerDesContext
from batches import fail, giving, summary
from suite import Suite, seconds

handler = Suite()


class Wrapped(SerDes[str]):
    """A text behind a mark."""

    def serialize(self, value: str, serdes_context: SerDesContext) -> str:
        return f"wrapped:{value}"

    def deserialize(self, data: str, serdes_context: SerDesContext) -> str:
        return data.removeprefix("wrapped:")


class Joined(SerDes[BatchResult[str]]):
    """The texts of a batch whose items all succeeded, with commas between."""

    def serialize(self, value: BatchResult[str], serdes_context: SerDesContext) -> str:
        return "OPSERDE:" + ",".join(value.get_results())

    def deserialize(self, data: str, serdes_context: SerDesContext) -> BatchResult[str]:
        texts = data.removeprefix("OPSERDE:").split(",")
        items = [BatchItem(index, BatchItemStatus.SUCCEEDED, text) for index, text in enumerate(texts)]
        return BatchResult(items, CompletionReason.ALL_COMPLETED)


def one_at_a_time(**more: Any) -> MapConfig:
    return MapConfig(max_concurrency=1, **more)


def ended_by(**criteria: int) -> MapConfig:
    return one_at_a_time(completion_config=CompletionConfig(**criteria))


def run(item: DurableContext, what: Callable[[DurableContext], Any], index: int, items: Any) -> Any:
    """Each item is what is to be done for it."""
    return what(item)


def uppercase(item: DurableContext, text: str, index: int, items: Any) -> str:
    return text.upper()


@handler.fulfils("9-1")
def greets(event: list[str], context: DurableContext) -> list[Any]:
    def greet(item: DurableContext, name: str, index: int, items: Any) -> str:
        return item.step(lambda _: f"Hello, {name}!")

    return context.map(event, greet, name="map", config=one_at_a_time()).get_results()


@handler.fulfils("9-2")
def without_a_name(event: list[int], context: DurableContext) -> list[Any]:
    def double(item: DurableContext, number: int, index: int, items: Any) -> int:
        return number * 2

    return context.map(event, double, config=one_at_a_time()).get_results()


@handler.fulfils("9-3")
def item_and_index(event: list[int], context: DurableContext) -> list[Any]:
    def add(item: DurableContext, number: int, index: int, items: Any) -> int:
        return number + index

    return context.map(event, add, name="indexed", config=one_at_a_time()).get_results()


@handler.fulfils("9-4")
def no_items(event: list[Any], context: DurableContext) -> list[Any]:
    return context.map(event, uppercase, name="empty").get_results()


@handler.fulfils("9-5")
def first_failure_ends_it(event: None, context: DurableContext) -> dict[str, Any]:
    items = [giving("ok"), fail, giving("never")]
    return summary(context.map(items, run, name="failfast", config=ended_by(tolerated_failure_count=0)))


@handler.fulfils("9-6")
def failure_is_raised(event: None, context: DurableContext) -> list[Any]:
    items = [fail, giving("never")]
    batch = context.map(items, run, name="throwing", config=ended_by(tolerated_failure_count=0))
    batch.throw_if_error()
    return batch.get_results()


@handler.fulfils("9-7")
def two_successes_suffice(event: None, context: DurableContext) -> dict[str, Any]:
    items = [giving(f"r{index}") for index in range(4)]
    batch = context.map(items, run, name="min-successful", config=ended_by(min_successful=2))
    return summary(batch, "completionReason", "successCount", "totalCount")


@handler.fulfils("9-8")
def one_failure_is_tolerated(event: None, context: DurableContext) -> dict[str, Any]:
    items = [giving("a"), fail, giving("c")]
    return summary(context.map(items, run, name="tolerated", config=ended_by(tolerated_failure_count=1)))


@handler.fulfils("9-9")
def two_failures_are_not(event: None, context: DurableContext) -> dict[str, Any]:
    items = [fail, fail, giving("never")]
    config = ended_by(tolerated_failure_count=1)
    batch = context.map(items, run, name="tolerated-exceeded", config=config)
    return summary(batch, "completionReason", "successCount", "failureCount", "totalCount")


@handler.fulfils("9-10")
def half_failed_is_too_much(event: None, context: DurableContext) -> dict[str, Any]:
    items = [fail, fail, giving("never"), giving("never")]
    batch = context.map(items, run, name="tolerated-pct", config=ended_by(tolerated_failure_percentage=25))
    return summary(batch, "completionReason", "successCount", "failureCount", "totalCount")


@handler.fulfils("9-11")
def two_at_a_time(event: None, context: DurableContext) -> list[Any]:
    items = [giving("r0"), giving("r1"), giving("r2")]
    return context.map(items, run, name="concurrent", config=MapConfig(max_concurrency=2)).get_results()


@handler.fulfils("9-12")
def items_without_contexts(event: None, context: DurableContext) -> list[Any]:
    def step(item: DurableContext, text: str, index: int, items: Any) -> str:
        return item.step(lambda _: text)

    config = one_at_a_time(nesting_type=NestingType.FLAT)
    return context.map(["fa", "fb"], step, name="flat", config=config).get_results()


@handler.fulfils("9-13")
def own_names(event: list[int], context: DurableContext) -> list[Any]:
    def times_ten(item: DurableContext, number: int, index: int, items: Any) -> int:
        return number * 10

    config = one_at_a_time(item_namer=lambda number, index: f"item-{number}")
    return context.map(event, times_ten, name="named-items", config=config).get_results()


@handler.fulfils("9-14")
def own_serializer_of_items(event: None, context: DurableContext) -> list[Any]:
    config = one_at_a_time(item_serdes=Wrapped())
    return context.map(["x", "y"], uppercase, name="serdes", config=config).get_results()


@handler.fulfils("9-15")
def second_item_waits(event: None, context: DurableContext) -> list[Any]:
    def step(item: DurableContext, text: str, index: int, items: Any) -> str:
        if index == 1:
            item.wait(seconds(1))
        return item.step(lambda _: text)

    return context.map(["r0", "r1"], step, name="suspend", config=one_at_a_time()).get_results()


@handler.fulfils("9-16")
def larger_than_a_checkpoint(event: None, context: DurableContext) -> dict[str, Any]:
    items = [giving(letter * (70 * 1024)) for letter in "abcd"]
    batch = context.map(items, run, name="large", config=one_at_a_time())
    return summary(batch, "successCount", "totalCount")


@handler.fulfils("9-17")
def waits_after(event: None, context: DurableContext) -> list[Any]:
    batch = context.map(["a", "b"], uppercase, name="then-wait", config=one_at_a_time())
    context.wait(seconds(1))
    return batch.get_results()


@handler.fulfils("9-18")
def waits_after_a_failure(event: None, context: DurableContext) -> dict[str, Any]:
    config = ended_by(tolerated_failure_count=1)
    batch = context.map([giving("ok"), fail], run, name="fail-then-wait", config=config)
    context.wait(seconds(1))
    return summary(batch)


@handler.fulfils("9-19")
def own_serializer_of_the_whole(event: None, context: DurableContext) -> list[Any]:
    config = one_at_a_time(serdes=Joined(), item_serdes=EXTENDED_TYPES_SERDES)
    return context.map(["x", "y"], uppercase, name="op-serde", config=config).get_results()


@handler.fulfils("9-20")
def own_serializer_and_a_wait(event: None, context: DurableContext) -> list[Any]:
    config = one_at_a_time(serdes=Joined(), item_serdes=EXTENDED_TYPES_SERDES)
    batch = context.map(["x", "y"], uppercase, name="op-serde-replay", config=config)
    context.wait(seconds(1))
    return batch.get_results()
