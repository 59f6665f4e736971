"""Queues, buckets and functions that are made for a run: they reach the function, and go with the run."""

import json
from importlib.util import find_spec
from urllib.request import Request, urlopen

import pytest

if find_spec("locust") is None or find_spec("hdrh") is None:
    pytest.skip("the extra loadtest is not installed", allow_module_level=True)

from engine.load.errors import LoadTestError
from engine.load.generator.senders import Sender
from engine.load.planning.function_scenario import DrivenFunction
from engine.load.planning.plan import LoadStage, Mix, Plan
from engine.load.planning.scenario import load_scenario
from engine.load.results.conservation import engine_counts
from engine.load.running.deliveries import Channel
from engine.load.running.drain import drained
from engine.load.running.engine_process import running_engine
from engine.load.running.engine_view import EngineView, function_since, less
from engine.load.running.kept_functions import kept
from engine.load.running.wiring import call, messages_in, wired

pytestmark = [pytest.mark.real_time, pytest.mark.slow]


def sent(stream, name, urls):
    """Send the first request of the stream."""
    request = Sender(name, stream, urls, seed=1).request(0, 0.0)
    made = Request(request.url, request.body, request.headers, method=request.method)
    with urlopen(made, timeout=10) as answer:
        return answer.status


def test_what_is_made_for_a_run_reaches_the_function_and_goes_with_it(tmp_path):
    """One message and one object, both taken by the user's function; a scenario's function beside it."""
    hello = DrivenFunction("hello")
    wanted = {"q": hello.stream("sqs", (Mix(),)), "b": hello.stream("s3", (Mix(),))}
    noisy = load_scenario("noisy-neighbour").streams
    with running_engine(["handlers.hello.handler"]) as engine:
        aws = engine.urls["aws"]
        with (
            kept({**noisy, **wanted}, aws),
            wired(wanted, aws, "x-1-2-3") as streams,
            EngineView(engine._replace(pid=None), 1.0) as view,
            Channel(tmp_path / "none", []) as channel,
        ):
            assert [200, 200] == [sent(stream, name, engine.urls) for name, stream in streams.items()]
            plan = Plan(
                run_id="x",
                scenario="x",
                urls=engine.urls,
                streams=streams,
                stages=(LoadStage(name="s", seconds=1),),
                result="r",
            )
            left = drained(plan, {}, channel, engine.admin, 20.0, lambda _: None)
            counts, status = engine_counts(view.metrics(), view.metrics_before), view.status()
            call(aws, "GET", "/2015-03-31/functions/slow")
        with pytest.raises(LoadTestError):
            messages_in(aws, streams["q"].queue)
        for path in ("/2015-03-31/functions/slow", f"/{streams['b'].bucket}"):
            with pytest.raises(LoadTestError, match="404"):
                call(aws, "GET", path, service="s3" if "functions" not in path else "lambda")

    assert ({"q": 0}, {"q": 0, "b": 0}) == (left.dead, left.waiting)
    assert 1 == counts.deleted[f"{streams['q'].queue}:hello"] == counts.ended["hello", "s3", "success"]
    assert 2 == status["functions"]["hello"]["invocations"]["success"]


def test_nothing_stays_of_what_could_not_be_made_as_a_whole():
    """The second queue is refused, for there is another of its name: the first goes, and that one stays."""
    stream = DrivenFunction("hello").stream("sqs", (Mix(),))
    create = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.CreateQueue"}
    with running_engine(["handlers.hello.handler"]) as engine:
        aws, queue = engine.urls["aws"], "engine-load-1-2-3-0"
        call(aws, "POST", "/", json.dumps({"QueueName": queue}), create, service="sqs")
        with pytest.raises(LoadTestError, match="QueueNameExists"), wired({"q": stream}, aws, "x-1-2-3"):
            pass
        left = messages_in(aws, queue).total()
        with pytest.raises(LoadTestError, match="QueueDoesNotExist"):
            messages_in(aws, f"{queue}-dead")

    assert 0 == left


def test_what_an_engine_counted_before_is_taken_off():
    """Numbers, also as text; what is new is whole."""
    before = {"a": 3, "usd": "0.10", "new": {}, "name": "x"}
    now = {"a": 5, "usd": "0.25", "new": {"b": 1}, "name": "x", "more": 7}

    assert {"a": 2, "usd": "0.15", "new": {"b": 1}, "name": "x", "more": 7} == less(now, before)
    assert [0, 3] == less([4, 5], [4, 2])


def test_classes_of_times_are_taken_off_by_class():
    """A class that is new has moved the others to other places."""
    before = {"duration_s": {"count": 4, "classes": [[-52, 3], [0, 1]]}}
    now = {"duration_s": {"count": 9, "classes": [[-52, 5], [-40, 3], [0, 1]]}}

    assert 5 == function_since(before, now)["duration_s"]["count"]
    assert [(-52, 2), (-40, 3), (0, 0)] == function_since(before, now)["duration_s"]["classes"]
