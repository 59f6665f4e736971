"""What the Lambda API's tests share: a fixed clock, a scripted sink, requests without a socket."""

import itertools
import json
from collections.abc import Callable
from decimal import Decimal

import pytest

from engine.core.billing import Rate
from engine.core.event import MISSING, Event
from engine.core.failure import throttle_body
from engine.core.function import Account, Function
from engine.core.outcome import Outcome, Status
from engine.errors import EngineError
from engine.ports import Host
from engine.sources.invoke.source import LambdaApi
from engine.wire.aws import AwsEndpoint
from engine.wire.http_message import Request

RATE = Rate(request_usd=Decimal(0), millisecond_usd=Decimal(0))


class FixedClock:
    """12 March 2020, 19:03:58.390 UTC."""

    def now(self) -> float:
        return 100.0

    def wall(self) -> float:
        return 1584039838.390


def outcome(event: Event, status: Status = Status.SUCCESS, body: bytes = b"null", **more: object) -> Outcome:
    """An end of `event`; a success with null if nothing else is said."""
    return Outcome(status, body, event.request_id, RATE, **more)


def echo(event: Event) -> Outcome:
    """What a handler that returns its event would do."""
    document, event.document = event.document, MISSING
    assert document is not MISSING
    return outcome(event, body=json.dumps(document).encode())


class ScriptedSink:
    """Ends each event at once as `act` says, or raises what it returns; keeps the events."""

    def __init__(self) -> None:
        self.act: Callable[[Event], Outcome | EngineError] = echo
        self.events: list[Event] = []

    def submit(self, event: Event, reply: Callable[[Outcome], None], /) -> None:
        done = self.act(event)
        if isinstance(done, EngineError):
            raise done
        self.events.append(event)
        reply(done)

    async def invoke(self, event: Event, /) -> Outcome:
        raise AssertionError("the Lambda API never waits")


class Answer:
    """One answer, its header lines taken apart."""

    def __init__(self, status: int, head: bytes, body: bytes) -> None:
        self.status, self.head, self.body = status, head, body
        assert not head or head.endswith(b"\r\n")
        lines = head.decode("latin-1").split("\r\n")[:-1]
        self.pairs = [tuple(line.split(": ", 1)) for line in lines]
        self.headers = {name.lower(): value for name, value in self.pairs}

    @property
    def document(self) -> object:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str, object]:
        """Status, code, body of an error."""
        return self.status, self.headers["x-amzn-errortype"], self.document


class Client:
    """Stands in for the connection: keeps the answers."""

    peer = "127.0.0.1"

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def answer(self, request: Request, status: int, head: bytes, body: bytes) -> None:
        self.answers.append(Answer(status, head, body))


class Bench:
    """The API in front of a scripted sink."""

    def __init__(self, functions: list[Function]) -> None:
        self.sink = ScriptedSink()
        ids = itertools.count(1)
        self.host = Host(
            account=Account(region="eu-west-1", account_id="123456789012"),
            clock=FixedClock(),
            new_request_id=lambda: f"0f0e0d0c-0b0a-4908-8706-{next(ids):012x}",
            listen={},
        )
        self.api = LambdaApi(functions, self.host, self.sink)
        self.endpoint = AwsEndpoint({"lambda": self.api.handle}, self.host.new_request_id)

    def ask(
        self,
        method: str,
        target: str | bytes,
        headers: dict[str, str] | list[tuple[bytes, bytes]] | None = None,
        body: bytes = b"",
        too_large: int = 0,
    ) -> Answer:
        """The one answer to a request."""
        raw = target.encode() if isinstance(target, str) else target
        if not isinstance(headers, list):
            headers = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        client = Client()
        request = Request.parsed(client, method, raw, headers, body, 7.0, "1.1", too_large)
        self.endpoint.handle(request)
        [answer] = client.answers
        return answer

    def invoke(self, body: bytes = b"{}", name: str = "hello", too_large: int = 0, **headers: str) -> Answer:
        """The answer to an Invoke; `x_amz_log_type` is the header X-Amz-Log-Type."""
        spelled = {key.replace("_", "-").title(): value for key, value in headers.items()}
        return self.ask("POST", f"/2015-03-31/functions/{name}/invocations", spelled, body, too_large)

    @property
    def event(self) -> Event:
        """The one event that was submitted."""
        [event] = self.sink.events
        return event


FUNCTIONS = [
    Function("hello", handler="hello.handler"),
    Function(
        "orders-v2_x",
        handler="src/orders.handler",
        memory_mb=512,
        timeout_s=0.5,
        reserved_concurrency=100,
        environment={"TABLE": "orders"},
        tags={"team": "shop"},
    ),
    Function("warm", handler="warm.handler", provisioned_concurrency=7),
]


@pytest.fixture
def bench() -> Bench:
    return Bench(FUNCTIONS)


@pytest.fixture
def make_bench() -> Callable[[list[Function]], Bench]:
    return Bench


@pytest.fixture
def end() -> Callable[..., Callable[[Event], Outcome]]:
    """A script: every event ends so."""
    return lambda *args, **more: lambda event: outcome(event, *args, **more)


@pytest.fixture
def throttle() -> Callable[[str], Callable[[Event], Outcome]]:
    """A script: every event is refused for `reason`."""
    return lambda reason: lambda event: outcome(event, Status.THROTTLED, throttle_body(reason), reason=reason)


@pytest.fixture(scope="session")
def any_bench() -> Bench:
    """One bench for all examples of a property."""
    return Bench(FUNCTIONS)
