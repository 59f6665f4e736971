"""A value that no key takes is one line about that key, in our words, whatever the type of the key."""

import re

import pytest

from engine.config.problems import validated
from engine.config.settings import EngineSettings, FunctionSettings
from engine.services.eventbridge.settings import EventBridgeEvent, RuleSettings
from engine.services.s3.settings import BucketSettings, S3Event, S3Settings
from engine.services.sqs.settings import QueueSettings
from engine.sources.http.settings import CorsSettings, HttpEvent
from engine.sources.schedule.source import ScheduleEvent
from engine.sources.sqs.settings import RemoteEvent, SqsEvent

MODELS = (
    EngineSettings,
    FunctionSettings,
    QueueSettings,
    BucketSettings,
    S3Settings,
    S3Event,
    HttpEvent,
    CorsSettings,
    ScheduleEvent,
    EventBridgeEvent,
    RuleSettings,
    SqsEvent,
    RemoteEvent,
)
WRONG = ("all", 3.5, {"ab": 1}, [1], [{}], None, True, -1)
INSIDES = re.compile(r"pydantic|function-|literal\[|tuple\[|constrained|union|input should", re.IGNORECASE)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_wrong_value_is_told_once_and_without_the_names_of_types(model):
    """Unions among them: each key of each table, with values of every kind."""
    for key in model.model_fields:
        for value in WRONG:
            found = []
            validated(model, {key: value}, (), found)
            of_key = [problem for problem in found if problem.place[:1] == (key,)]
            shown = [f"{problem.place}: {problem.sentence}" for problem in of_key]

            assert [] == [line for line in shown if INSIDES.search(line)]
            assert len({problem.place for problem in of_key}) == len(of_key), shown


@pytest.mark.parametrize("value", ["all", 3, True, {"a": 1}], ids=repr)
def test_preload_says_what_it_takes(value):
    """One line."""
    found = []
    validated(FunctionSettings, {"handler": "app.handler", "preload": value}, ("functions", "f"), found)

    (problem,) = found
    assert ("functions", "f", "preload") == problem.place
    assert "is neither 'auto' nor an array of names of modules" in problem.sentence
