"""Durable executions of a whole engine on virtual time: who is told of their ends, and when they are gone."""

import asyncio
import json

from engine import Engine, Function, Status
from engine.core.durable_event import StartEvent
from engine.core.function import DurableConfig
from engine.core.invocation import Result
from engine.testing import Act, ScriptedExecutor, virtual_platform

DAY_S = 86_400
WAIT = {"Id": "w", "Type": "WAIT", "Action": "START"}
SUCCEEDED = {"Status": "SUCCEEDED", "Result": "7"}
FAILED = {"Status": "FAILED", "Error": {"ErrorMessage": "no", "ErrorType": "Refused"}}


class Scripted:
    """An engine whose durable function waits once and then answers; `plain` keeps what it is given."""

    def __init__(self, wait_s=None, answer=SUCCEEDED, settings=None, **keys):
        self.wait_s, self.answer, self.lines, self.given = wait_s, answer, [], []
        durable = DurableConfig(keys.pop("timeout_s", 10 * DAY_S), retention_days=1)
        functions = [
            Function("f", handler="handlers.hello.handler", durable=durable, **keys),
            Function("plain", handler="handlers.hello.handler"),
        ]
        self.engine = Engine(
            functions,
            platform=virtual_platform(),
            executor=self._executor,
            write_log=self.lines.append,
            log_format="text",
            **(settings or {}),
        )

    def _executor(self, function, facts, workshop):
        act = self._durable if function.name == "f" else self._plain
        return ScriptedExecutor(facts=facts, loop=workshop.loop, act=act)

    def _plain(self, invocation):
        self.given.append(json.loads(invocation.event.payload))
        return Act()

    def _durable(self, invocation):
        event = invocation.event.document
        operations = event["InitialExecutionState"]["Operations"]
        answer = self.answer
        if self.wait_s is not None and len(operations) == 1:
            wait = WAIT | {"WaitOptions": {"WaitSeconds": self.wait_s}}
            durable = self.engine.parts.durable
            durable.checkpoint(event["DurableExecutionArn"], event["CheckpointToken"], [wait], None)
            answer = {"Status": "PENDING"}
        return Act(result=Result(Status.SUCCESS, json.dumps(answer).encode()))

    def start(self, name=None, payload=b"1"):
        """As an Invoke of type Event does; returns the ARN."""
        event = StartEvent("f", payload, self.engine.new_request_id(), 0.0, "event")
        event.execution_name, event.waits, event.started = name, False, lambda *_: None
        self.engine.sink.submit(event, lambda _: None)
        return event.arn

    def find(self, arn):
        return self.engine.parts.durable.find(arn)


async def test_a_caller_waits_for_fifteen_minutes_and_the_execution_goes_on():
    scripted = Scripted(wait_s=1000)
    async with scripted.engine as engine:
        now = engine.platform.clock.now
        began_s, outcome = now(), await engine.invoke("f")
        waited_s = now() - began_s
        [execution] = engine.parts.durable.of_function("f")
        status = execution.status
        await asyncio.sleep(101)

    assert (900, Status.TIMEOUT) == (round(waited_s), outcome.status)
    assert ("RUNNING", "SUCCEEDED", "7") == (status, execution.status, execution.result)


async def test_the_end_of_an_event_goes_to_its_destination_once():
    """Of one that failed; it is not started again."""
    scripted = Scripted(wait_s=60, answer=FAILED, on_failure="lambda:plain", on_success="lambda:plain")
    async with scripted.engine as engine:
        scripted.start()
        await engine.submit("f", 1)
        await asyncio.sleep(DAY_S / 2)
        executions = list(engine.parts.durable.of_function("f"))

    assert ["FAILED"] * 2 == [execution.status for execution in executions]
    assert ["RetriesExhausted"] * 2 == [one["requestContext"]["condition"] for one in scripted.given]
    assert [{"errorMessage": "no", "errorType": "Refused"}] * 2 == [
        one["responsePayload"] for one in scripted.given
    ]


async def test_after_its_retention_an_execution_is_gone_and_its_name_is_free():
    scripted = Scripted(wait_s=60)
    async with scripted.engine:
        first = scripted.start("one")
        same = scripted.start("one")
        await asyncio.sleep(60 + DAY_S - 5)
        kept = scripted.find(first)
        await asyncio.sleep(10)
        gone = scripted.find(first)
        other = scripted.start("one", b"2")

    assert (first, "SUCCEEDED", None) == (same, kept.status, gone)
    assert first != other


async def test_who_waits_when_the_engine_stops_is_told_and_a_line_says_what_is_lost():
    scripted = Scripted(wait_s=60)
    async with scripted.engine as engine:
        waiting = asyncio.ensure_future(engine.invoke("f"))
        await asyncio.sleep(1)
    outcome = await waiting

    assert Status.CANCELLED == outcome.status
    assert any("1 durable executions had not ended" in line for line in scripted.lines)


async def test_an_execution_whose_function_was_removed_fails():
    scripted = Scripted(wait_s=60)
    async with scripted.engine as engine:
        arn = scripted.start()
        await asyncio.sleep(1)
        engine.deployments.remove("f")
        await asyncio.sleep(60)
        execution = scripted.find(arn)

    assert ("FAILED", "ResourceNotFoundException") == (execution.status, execution.error["ErrorType"])


async def test_sleepers_wake_in_the_order_of_their_times():
    scripted = Scripted(wait_s=None)
    async with scripted.engine:
        arns = []
        for wait_s in (50, 20, 40, 10, 30):
            scripted.wait_s = wait_s
            arns.append(scripted.start())
            await asyncio.sleep(0.001)
        await asyncio.sleep(60)
        ended = sorted(map(scripted.find, arns), key=lambda execution: execution.ended_s)

    assert [arns[number] for number in (3, 1, 4, 2, 0)] == [execution.arn for execution in ended]


async def test_a_caller_is_told_that_there_is_no_concurrency_and_an_event_waits_for_it():
    scripted = Scripted(reserved_concurrency=0)
    async with scripted.engine as engine:
        outcome = await engine.invoke("f")
        refused = list(engine.parts.durable.of_function("f"))
        arn = scripted.start()
        await asyncio.sleep(60)
        waiting = scripted.find(arn).status
        engine.deployments.reserve("f", 1)
        await asyncio.sleep(10)
        ended = scripted.find(arn).status

    assert (Status.THROTTLED, []) == (outcome.status, refused)
    assert ("RUNNING", "SUCCEEDED") == (waiting, ended)


async def test_beyond_their_memory_the_oldest_executions_that_have_ended_are_gone_and_a_line_says_so_once():
    scripted = Scripted(settings={"durable_mb": 1})
    payload = json.dumps("x" * 300_000).encode()
    async with scripted.engine:
        ended = []
        for number in range(6):
            ended.append(scripted.start(f"name-{number}", payload))
            await asyncio.sleep(1)
        scripted.wait_s = 1000
        running = [scripted.start(None, payload) for _ in range(5)]
        await asyncio.sleep(1)
        kept = [scripted.find(arn) is not None for arn in ended]
        again = scripted.start("name-0", b"2")
        await asyncio.sleep(1)

        assert [False, False, False, True, True, True] == kept
        assert all(scripted.find(arn) for arn in running)
        assert again not in (None, ended[0])
    assert 1 == sum("durable_mb" in line for line in scripted.lines)


async def test_an_execution_that_is_deleted_twice_at_once_is_gone_once():
    scripted = Scripted()
    async with scripted.engine as engine:
        arn = scripted.start()
        await asyncio.sleep(1)
        execution = scripted.find(arn)
        engine.parts.durable.delete(execution)
        engine.parts.durable.delete(execution)
        await asyncio.sleep(1)
        assert scripted.find(arn) is None
    assert not [line for line in scripted.lines if "rror" in line]
