"""Scenarios of the user's own functions: a load of their own, or a scenario that takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from engine.load.planning.objectives import CallerObjectives
from engine.load.planning.plan import Mix, Send, Stream
from engine.load.planning.profile import LoadProfile
from engine.load.planning.scenario import Limits, Scenario

Via = Literal["http", "invoke", "queue", "bucket"]
"""How a function is invoked, as the command line has it."""

SEND_OF: Final[Mapping[Via, Send]] = {"http": "http", "invoke": "invoke", "queue": "sqs", "bucket": "s3"}
VIA_OF: Final[Mapping[Send, Via]] = {
    "http": "http",
    "invoke": "invoke",
    "event": "invoke",
    "sqs": "queue",
    "s3": "bucket",
}

_DRAIN_S: Final = 30.0


class DrivenFunction(NamedTuple):
    """One function that is driven, or one URL.

    Attributes:
        name: Of the function; of a URL what the report calls it.
        method, target, headers: Of HTTP requests; the target is path and query.
    """

    name: str
    method: str = "POST"
    target: str = "/"
    headers: Mapping[str, str] = {}

    def stream(self, send: Send, events: tuple[Mix, ...]) -> Stream:
        """The requests of it.

        Raises:
            ValueError: Samples of a source are not sent like that.
        """
        sample = next((one.source for one in events if one.source), None)
        if sample is not None and send not in ("invoke", "sqs"):
            raise ValueError(f"--event {sample}: the engine makes the event itself: --via invoke or queue")
        return Stream(
            send=send,
            function=self.name,
            events=events,
            is_users=True,
            method=self.method,
            target=self.target,
            headers=dict(self.headers),
        )


def own_scenario(
    driven: Sequence[DrivenFunction], via: Via, events: tuple[Mix, ...], profile: LoadProfile, words: str
) -> Scenario:
    """A load of these functions by `profile`, of which `words` are what the user wrote."""
    names = ", ".join(one.name for one in driven)
    return Scenario(
        question=f"How does {names} do at {words} by {via}?",
        streams={one.name: one.stream(SEND_OF[via], events) for one in driven},
        stages=profile.stages,
        spacing=profile.spacing,
        profiles=profile.profiles,
        moments=profile.moments,
        drain_s=_DRAIN_S,
    )


def with_functions(
    scenario: Scenario, driven: Sequence[DrivenFunction], via: Via | None, events: tuple[Mix, ...] | None
) -> tuple[Scenario, tuple[str, ...]]:
    """The scenario with these functions in the place of its own, in turn; and what is left out, in words.

    Streams that keep their function stay as they are. Without `via` and `events` they are sent as the
    scenario sends: its events are made for its own functions, so the user's get `{}`.
    """
    streams = dict(scenario.streams)
    places = [name for name, one in streams.items() if not one.keeps_function]
    for place, name in enumerate(places):
        function = driven[place % len(driven)]
        send = SEND_OF[via] if via is not None else streams[name].send
        stream = function.stream(send, events or (Mix(),))
        streams[name] = stream.model_copy(update={"records": streams[name].records})
    left_out: tuple[str, ...] = ()
    changed: dict[str, Any] = {}
    if scenario.limits.ready:
        changed["ready"] = ()
        left_out = ("times to N environments, which only the scenario's own function tells",)
    limits = scenario.limits.model_copy(update=changed)
    return scenario.model_copy(update={"streams": streams, "limits": limits}), left_out


def without_engine(scenario: Scenario, *, is_engine: bool) -> tuple[Scenario, tuple[str, ...]]:
    """The scenario for what runs already: limits on what cannot be seen there are left out, in words.

    Raises:
        ValueError: It has a function of its own, or a queue or a bucket, and the server is no engine.
    """
    limits = scenario.limits.model_copy(update={"rss_growth": None, "more_files": None})
    left_out = ["memory and open files, which only an engine started here tells"]
    if not is_engine:
        if any(one.keeps_function or one.send in ("sqs", "s3") for one in scenario.streams.values()):
            raise ValueError("this scenario needs an engine: --url is none")
        unseen = {"overhead_p99_ms": None, "shortfall_s": None, "empty": (), "free": ()}
        limits = limits.model_copy(update=unseen)
        left_out = ["what only an engine tells: overhead, environments, cost, memory"]
    return scenario.model_copy(update={"limits": limits}), tuple(left_out)


def with_objectives(scenario: Scenario, objectives: CallerObjectives | None) -> Scenario:
    """The scenario with these promises to callers instead of its own."""
    if objectives is None:
        return scenario
    limits = Limits.model_validate({**dict(scenario.limits), "objectives": objectives})
    return scenario.model_copy(update={"limits": limits})
