"""Queues and buckets of a configuration: their tables, and what functions name as destinations."""

import pytest

from engine.config import load_config
from engine.errors import ConfigError
from engine.services.sqs.settings import QUEUE_NAME_RULE, QueueSettings

FUNCTION = '[functions.f]\nhandler = "handlers.hello.handler"\n'


def test_tables_become_settings(write):
    """Each by its name."""
    text = (
        "[queues.orders]\nvisibility_timeout_s = 180\n"
        'redrive = { dead_letter_queue = "lost", max_receive_count = 3 }\n'
        '[buckets.photos]\nversioning = true\n[[buckets.photos.notifications]]\nqueue = "changes"\n'
        "[s3]\nmax_put_mb = 5\n"
    )
    found = load_config(write("engine.toml", FUNCTION + text)).resources

    assert 180 == found.queues["orders"].visibility_timeout_s
    assert ("lost", 3) == (
        found.queues["orders"].redrive.dead_letter_queue,
        found.queues["orders"].redrive.max_receive_count,
    )
    assert QueueSettings() == found.queues["changes"]  # named by the bucket
    assert (True, 5) == (found.buckets["photos"].versioning, found.s3.max_put_mb)


def test_destinations_without_a_table_are_there_all_the_same(write):
    """In the engine's own region and account; a table of that name is kept as it is."""
    keys = (
        'on_success = "done"\non_failure = "s3:failed"\n'
        'dead_letter_queue = "arn:aws:sqs:us-east-1:000000000000:dead"\n'
        '[functions.g]\nhandler = "handlers.hello.handler"\n'
        'on_success = "arn:aws:sqs:eu-west-1:000000000000:elsewhere"\non_failure = "lambda:f"\n'
        "[queues.dead]\ndelay_s = 5\n"
    )
    config = load_config(write("engine.toml", FUNCTION + keys))

    assert {"dead", "done"} == config.resources.queues.keys()
    assert 5 == config.resources.queues["dead"].delay_s
    assert {"failed"} == config.resources.buckets.keys()
    assert () == config.warnings


def test_a_destination_that_nothing_reaches_is_a_warning(write):
    """It may come later, or not. Topics are made."""
    keys = 'on_success = "lambda:g"\non_failure = "sns:alarm"\n'
    config = load_config(write("engine.toml", FUNCTION + keys))

    assert ("functions.f.on_success: there is no function 'g'",) == config.warnings
    assert {"alarm"} == config.resources.topics.keys()


WRONG = [
    ("queues = 1\n" + FUNCTION, "queues: 1 is not a table"),
    (FUNCTION + "[queues]\nq = 1", "queues.q: 1 is not a table"),
    (
        FUNCTION + "[queues.q]\ndelay_s = 901\nvisibility = 1",
        "queues.q.delay_s: 901 is above 900 (maximum)",
        "queues.q.visibility: unknown key, did you mean 'visibility_timeout_s'?",
    ),
    (
        FUNCTION + '[queues."a b"]',
        f"queues.'a b': the name {QUEUE_NAME_RULE}",
    ),
    (FUNCTION + "[buckets.AB]", "buckets.AB: a bucket's name must be 3 to 63 characters long (AWS)"),
    (
        FUNCTION + '[[buckets.photos.notifications]]\nqueue = "q"\nevents = ["s3:Nothing"]',
        (
            "buckets.photos.notifications[0].events[0]: 's3:Nothing' is no event type of S3; write for "
            "example s3:ObjectCreated:* or s3:ObjectRemoved:Delete"
        ),
    ),
    (FUNCTION + "[s3]\nmax_put_mb = 1", "s3.max_put_mb: 1 is below 5 (minimum)"),
    (
        FUNCTION + 'on_failure = "s3:A"',
        "functions.f.on_failure: a bucket's name must be 3 to 63 characters long (AWS)",
    ),
    (
        FUNCTION + 'on_failure = "a/b"',
        f"functions.f.on_failure: the name of a queue {QUEUE_NAME_RULE}",
    ),
]


@pytest.mark.parametrize(("text", "lines"), [(text, lines) for text, *lines in WRONG])
def test_what_is_wrong_is_named(write, text, lines):
    """By table and key."""
    with pytest.raises(ConfigError) as caught:
        load_config(write("engine.toml", text))

    assert lines == list(caught.value.problems)
