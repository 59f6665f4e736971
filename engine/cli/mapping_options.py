"""What `cost`, `plan` and `simulate` are told of a queue: who sends, what waits, how its mapping scales."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from engine.cli.model_options import Count, F, Text, refuse, take, with_options
from engine.core.scaling.pollers import (
    MAX_MINIMUM_POLLERS,
    MAX_POLLERS,
    MIN_POLLERS,
    ProvisionedPollers,
    SqsPollers,
)


class RequiredUnlessBacklog(click.Option):
    """A required option that may be missing where --backlog is given."""

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """The value; None where it may be missing."""
        missing = self.value_is_missing(value)
        return (
            None if missing and ctx.params.get("backlog") is not None else super().process_value(ctx, value)
        )


def _pollers(text: str) -> ProvisionedPollers:
    low, colon, high = text.partition(":")
    if not (colon and low.isdecimal() and high.isdecimal()):
        raise ValueError(f"{text!r}: must be MINIMUM:MAXIMUM, numbers of pollers")
    minimum, maximum = int(low), int(high)
    for name, value, most in (("minimum", minimum, MAX_MINIMUM_POLLERS), ("maximum", maximum, MAX_POLLERS)):
        if not MIN_POLLERS <= value <= most:
            raise ValueError(f"{text!r}: {name}: must be {MIN_POLLERS} to {most:,}")
    if minimum > maximum:
        raise ValueError(f"{text!r}: minimum ({minimum}) is above maximum ({maximum})")
    return ProvisionedPollers(minimum_pollers=minimum, maximum_pollers=maximum)


def send_batch_option(command: F) -> F:
    """How messages are sent."""
    option = click.option(
        "--sqs-send-batch",
        type=click.IntRange(1, 10),
        default=1,
        show_default=True,
        help="messages that producers send in one call",
    )
    return option(command)


def mapping_options(command: F) -> F:
    """A backlog, and how a mapping scales."""
    options = (
        click.option(
            "--backlog", type=Count(min=1), metavar="MESSAGES", help="that wait in a queue at second 0"
        ),
        click.option(
            "--maximum-concurrency",
            type=click.IntRange(2, 1_000),
            help="of the mapping; default: none of its own",
        ),
        click.option(
            "--provisioned-pollers",
            type=Text("MINIMUM:MAXIMUM", _pollers),
            help="of the mapping, 10 batches at a time each",
        ),
    )
    return with_options(command, options)


def policy_of(options: dict[str, Any]) -> SqsPollers | ProvisionedPollers:
    """The policy of the mapping, taken out of `options`."""
    given: Mapping[str, Any] = take(options, "maximum_concurrency", "provisioned_pollers")
    maximum, pollers = given["maximum_concurrency"], given["provisioned_pollers"]
    if pollers is None:
        return SqsPollers(maximum_concurrency=maximum)
    if maximum is not None:
        refuse(["--maximum-concurrency and --provisioned-pollers exclude each other (AWS)"])
    found: ProvisionedPollers = pollers
    return found
