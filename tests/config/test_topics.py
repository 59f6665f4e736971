"""`[topics.NAME]` and events of type `sns`: what is wrong is one line, with its place."""

import pytest

from engine.config import load_config
from engine.errors import ConfigError

FUNCTION = '[functions.f]\nhandler = "handlers.hello.handler"\n'
EVENT = '[[functions.f.events]]\ntype = "sns"\n'
SUBSCRIPTION = "[[topics.t.subscriptions]]\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[topics.'a b']", "the name of a topic has up to 256 letters"),
        ("[topics.t]\ncontent_based_deduplication = true", "is for FIFO topics"),
        ("[topics.t]\nmaximum_message_bytes = 1", "maximum_message_bytes"),
        ("[topics.t]\n" + SUBSCRIPTION, "needs one of queue and url"),
        (
            "[topics.t]\n" + SUBSCRIPTION + 'queue = "q"\nurl = "http://x.example"',
            "needs one of queue and url",
        ),
        ("[topics.t]\n" + SUBSCRIPTION + 'url = "ftp://x.example"', "topics.t.subscriptions[0].url"),
        ("[topics.t]\n" + SUBSCRIPTION + 'queue = "q.fifo"', "a FIFO queue cannot subscribe"),
        (
            "[topics.t]\n" + (SUBSCRIPTION + 'queue = "q"\n') * 2,
            "topics.t.subscriptions[1]: is there already",
        ),
        (
            "[topics.'t.fifo']\n[[topics.'t.fifo'.subscriptions]]\nurl = 'http://x.example'",
            "a FIFO topic delivers to queues only",
        ),
        (
            "[topics.t]\n" + SUBSCRIPTION + 'queue = "q"\ndead_letter_queue = "d.fifo"',
            "topics.t.subscriptions[0].dead_letter_queue: must not be a FIFO queue",
        ),
        (
            "[topics.'t.fifo']\n[[topics.'t.fifo'.subscriptions]]\nqueue = 'q.fifo'\ndead_letter_queue = 'd'",
            "subscriptions[0].dead_letter_queue: must be a FIFO queue",
        ),
        (EVENT + 'topic = "t"\ndead_letter_queue = "d.fifo"', "dead_letter_queue: must not be a FIFO queue"),
        (EVENT, "functions.f.events[0].topic: is required"),
        (EVENT + 'topic = "t.fifo"', "a FIFO topic cannot invoke a function"),
        (EVENT + 'topic = "a b"', "the name of a topic has up to 256 letters"),
        (EVENT + 'topic = "t"\nfilter_policy = { a = 1 }', '"a" must be an object or an array'),
        (
            EVENT + 'topic = "t"\nfilter_policy = { a = { b = ["c"] } }',
            "does not support nested filter policy",
        ),
        (EVENT + 'topic = "t"\nfilter_policy = "{"', "filter_policy: failed to parse JSON."),
        (
            EVENT + 'topic = "t"\n' + EVENT + 'topic = "t"\nfilter_policy = { a = ["b"] }',
            "functions.f.events[1].topic: the function subscribes to that topic otherwise already",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(write, text, problem):
    """Before anything runs."""
    with pytest.raises(ConfigError) as caught:
        load_config(write("engine.toml", FUNCTION + text))

    assert problem in str(caught.value)


def test_what_is_named_is_there(write):
    """Topics of destinations and buckets, queues of subscriptions and for dead letters."""
    config = load_config(
        write(
            "engine.toml",
            FUNCTION
            + 'on_success = "sns:done"\n'
            + EVENT
            + 'topic = "arn:aws:sns:us-east-1:000000000000:t"\ndead_letter_queue = "dead"\n'
            + "[topics.t]\n"
            + SUBSCRIPTION
            + 'queue = "q"\ndead_letter_queue = "lost"\n'
            + '[buckets.photos]\nnotifications = [{ topic = "uploads" }]\n',
        )
    )

    assert {"t", "done", "uploads"} == config.resources.topics.keys()
    assert {"dead", "q", "lost"} == config.resources.queues.keys()
    assert () == config.warnings
