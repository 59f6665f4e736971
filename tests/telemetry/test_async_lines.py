"""What the log says of asynchronous events."""

import json

import pytest

from engine.core.engine_events import DeliveryFailed, EventDropped, EventsAbandoned
from engine.telemetry.log import PlatformLog
from engine.testing import VirtualClock

NOTICES = {
    "dropped": (
        EventDropped(function="f", request_id="id-1", reason="RetriesExhausted", runs=3, handed_over=False),
        "[engine] f: id-1 ran 3 times and was given up (RetriesExhausted); nobody has it\n",
        "engine.eventDropped",
    ),
    "dropped but kept": (
        EventDropped(function="f", request_id="id-1", reason="EventAgeExceeded", runs=1, handed_over=True),
        "[engine] f: id-1 ran once and was given up (EventAgeExceeded); was handed over\n",
        "engine.eventDropped",
    ),
    "not delivered": (
        DeliveryFailed(function="f", request_id="id-1", destination="arn:aws:sqs:r:1:q", reason="it is full"),
        "[engine] f: id-1 could not be handed to arn:aws:sqs:r:1:q: it is full\n",
        "engine.deliveryFailed",
    ),
    "abandoned": (
        EventsAbandoned(function="f", count=5, handed_over=2),
        (
            "[engine] f: 5 asynchronous events still waited when the engine stopped; 2 of them were "
            "handed over, the others are lost\n"
        ),
        "engine.eventsAbandoned",
    ),
}


@pytest.mark.parametrize(("notice", "text", "kind"), NOTICES.values(), ids=NOTICES)
def test_what_becomes_of_an_event_is_one_line(notice, text, kind):
    """In both styles."""
    written = {"text": [], "json": []}
    for style, lines in written.items():
        log = PlatformLog(style, VirtualClock(), lines.append, lambda flush: None)
        log.noticed(notice)
        log.flush()

    assert [text] == written["text"]
    document = json.loads(written["json"][0])
    assert (kind, "f") == (document["type"], document["record"]["function"])


def test_what_a_source_says_is_a_line_too():
    """In both styles."""
    lines = []
    for style in ("text", "json"):
        log = PlatformLog(style, VirtualClock(), lines.append, lambda _: None)
        log.say("replay trace.csv: 3 sent")
        log.flush()
    text, record = lines

    assert "[engine] replay trace.csv: 3 sent\n" == text
    assert {
        "time": "2026-01-01T00:00:00.000Z",
        "type": "engine.said",
        "record": {"message": "replay trace.csv: 3 sent"},
    } == json.loads(record)
