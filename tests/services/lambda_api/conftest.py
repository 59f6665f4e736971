"""What the Lambda API's tests share: a fixed clock, a scripted sink, requests without a socket."""

import io
import itertools
import json
import zipfile
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from decimal import Decimal

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from engine.core.durable.refusals import CallbackUnknown, CheckpointRefused
from engine.core.error_bodies import throttle_body
from engine.core.event import MISSING, Event
from engine.core.function import Account, Function
from engine.core.outcome import Outcome, Status
from engine.core.rate import Rate
from engine.errors import EngineError
from engine.packages.deployment import Readiness
from engine.packages.store import PackageStore
from engine.ports import ConfiguredUrl, Host
from engine.protocols.aws.router import AwsRouter
from engine.protocols.aws.service_model import Node
from engine.protocols.http.message import Request
from engine.services.lambda_api.control_plane import ControlPlane
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.model import lambda_model
from engine.services.lambda_api.routes import find
from engine.services.lambda_api.service import LambdaApi
from engine.services.sqs.service import SqsService
from engine.sources.sqs.source import SqsSource
from tests.services.lambda_api.fake_streams import FakeStreams

RATE = Rate(request_usd=Decimal(0), millisecond_usd=Decimal(0))


class FixedClock:
    """12 March 2020, 19:03:58.390 UTC."""

    def now(self) -> float:
        return 100.0

    def wall(self) -> float:
        return 1584039838.390


class NoExecutions:
    """The durable executions of an engine that has had none."""

    def find(self, arn):
        return None

    def of_function(self, function):
        return ()

    def checkpoint(self, arn, token, updates, client_token):
        raise CheckpointRefused("Invalid checkpoint token")

    def state(self, arn, token, marker, max_items):
        raise CheckpointRefused("Invalid checkpoint token")

    def callback_succeeded(self, callback_id, result):
        raise CallbackUnknown("Callback does not exist")

    def callback_failed(self, callback_id, error):
        raise CallbackUnknown("Callback does not exist")

    def callback_heartbeat(self, callback_id):
        raise CallbackUnknown("Callback does not exist")

    def when_kept(self, done):
        done(None)


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


class FakeDeployment:
    """Keeps what it is told to run; everything is ready at once, and gone at once."""

    def __init__(self) -> None:
        self.functions: dict[tuple[str, str], Function] = {}
        self.routes: dict[str, object] = {}
        self.reserved: dict[str, int | None] = {}
        self.provisioned: dict[tuple[str, str], int] = {}
        self.ready = Readiness(0, failing=False)
        self.refuses: EngineError | None = None
        self._tell: Callable[[Function], None] = lambda _: None

    async def put(self, function: Function) -> None:
        if self.refuses is not None:
            raise self.refuses
        old = self.functions.get((function.name, function.version))
        self.functions[function.name, function.version] = function
        if old is not None:
            self._tell(old)

    def remove(self, name: str, version: str | None = None) -> None:
        for key in [key for key in self.functions if key[0] == name and version in (None, key[1])]:
            self._tell(self.functions.pop(key))

    def route(self, name: str, routes: object) -> None:
        self.routes[name] = routes

    def reserve(self, name: str, reserved: int | None) -> None:
        self.reserved[name] = reserved

    def provision(self, name: str, version: str, count: int) -> None:
        self.provisioned[name, version] = count

    def readiness(self, _name: str, _version: str) -> Readiness:
        return self.ready

    def on_gone(self, tell: Callable[[Function], None]) -> None:
        self._tell = tell


class FakeFunctionUrls:
    """Function URLs that nobody serves."""

    def __init__(self, configured: list[ConfiguredUrl]) -> None:
        self.urls: dict[str, tuple[str, str | None]] = {}
        self._configured = configured

    def open(self, url_id: str, function: str, qualifier: str | None, *_: object) -> None:
        self.urls[url_id] = function, qualifier

    def close(self, url_id: str) -> None:
        del self.urls[url_id]

    def configured(self) -> list[ConfiguredUrl]:
        return self._configured

    def address(self, url_id: str) -> str:
        return f"http://127.0.0.1:3000/_url/{url_id}/"


async def inline(work: Callable[[], object]) -> object:
    """An offload that blocks."""
    return work()


def spawn(function: Callable[..., object], *args: object) -> None:
    """Runs a coroutine that never has to wait, at once."""
    coroutine = function(*args)
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits for something")


ACCOUNT = Account(region="eu-west-1", account_id="123456789012")


class Bench:
    """The API in front of a scripted sink and a fake deployment."""

    def __init__(
        self,
        functions: list[Function],
        package_store: PackageStore,
        *,
        queues: bool = True,
        fetches: bool = False,
        spawner: Callable[..., object] = spawn,
        account: Account = ACCOUNT,
        urls: list[ConfiguredUrl] | None = None,
    ) -> None:
        self.sink = ScriptedSink()
        self.fetched = b""
        """The object in every bucket, with `fetches`."""
        ids = itertools.count(1)
        self.host = Host(
            account=account,
            clock=FixedClock(),
            new_request_id=lambda: f"0f0e0d0c-0b0a-4908-8706-{next(ids):012x}",
            listen={},
        )
        self.deployment, self.function_urls, self.package_store = (
            FakeDeployment(),
            FakeFunctionUrls(urls or []),
            package_store,
        )
        self.registry = FunctionRegistry({function.name: function for function in functions}, self.host)
        service = SqsService(self.host)
        self.queues, self.mappings = service.queues, SqsSource([], self.host, service)
        self.streams = FakeStreams(account)
        self.control_plane = ControlPlane(
            self.registry,
            package_store,
            self.deployment,
            self.function_urls,
            offload=inline,
            spawn=spawner,
            fetch_code=self._fetch if fetches else None,
            mappings=self.mappings if queues else None,
            streams=self.streams if queues else None,
            durable=NoExecutions(),
        )
        self.api = LambdaApi(self.registry, self.control_plane, self.host, self.sink, spawner)
        self.endpoint = AwsRouter({"lambda": self.api.handle}, self.host.new_request_id)

    async def _fetch(self, _bucket: str, _key: str, _version: str | None) -> bytes:
        return self.fetched

    def ask(
        self,
        method: str,
        target: str | bytes,
        headers: dict[str, str] | list[tuple[bytes, bytes]] | None = None,
        body: bytes = b"",
        too_large: int = 0,
    ) -> Answer:
        """The one answer to a request."""
        [answer] = self.ask_later(method, target, headers, body, too_large)
        return answer

    def ask_later(
        self,
        method: str,
        target: str | bytes,
        headers: dict[str, str] | list[tuple[bytes, bytes]] | None = None,
        body: bytes = b"",
        too_large: int = 0,
    ) -> list[Answer]:
        """Where the answers to a request are put."""
        raw = target.encode() if isinstance(target, str) else target
        if not isinstance(headers, list):
            headers = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        client = Client()
        request = Request.parsed(client, method, raw, headers, body, 7.0, "1.1", too_large)
        self.endpoint.handle(request)
        return client.answers

    def invoke(self, body: bytes = b"{}", name: str = "hello", too_large: int = 0, **headers: str) -> Answer:
        """The answer to an Invoke; `x_amz_log_type` is the header X-Amz-Log-Type."""
        spelled = {key.replace("_", "-").title(): value for key, value in headers.items()}
        return self.ask("POST", f"/2015-03-31/functions/{name}/invocations", spelled, body, too_large)

    @staticmethod
    def zipped(files: dict[str, str]) -> str:
        """An archive of text files, in Base64."""
        return zipped(files)

    def call(self, method: str, target: str, **members: object) -> Answer:
        """The answer to a request whose body is an object of `members`."""
        return self.ask(method, target, body=json.dumps(members).encode())

    def create(self, name: str = "made", files: dict[str, str] | None = None, **members: object) -> Answer:
        """The answer to a CreateFunction from a small archive."""
        code = {"ZipFile": zipped(files or {"app.py": "def handler(event, context): return event"})}
        wanted = {
            "FunctionName": name,
            "Role": "arn:aws:iam::123456789012:role/any",
            "Runtime": "python3.12",
            "Handler": "app.handler",
            "Code": code,
        }
        kept = {key: value for key, value in {**wanted, **members}.items() if value is not None}
        return self.call("POST", "/2015-03-31/functions", **kept)

    @property
    def event(self) -> Event:
        """The one event that was submitted."""
        [event] = self.sink.events
        return event


def zipped(files: dict[str, str]) -> str:
    """An archive of text files, in Base64."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return b64encode(buffer.getvalue()).decode()


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
def package_store() -> Iterator[PackageStore]:
    """A folder for packages."""
    with PackageStore(None) as package_store:
        yield package_store


@pytest.fixture
def bench(package_store) -> Bench:
    return Bench(FUNCTIONS, package_store)


@pytest.fixture
def make_bench(package_store) -> Callable[..., Bench]:
    return lambda functions, **more: Bench(functions, package_store, **more)


@pytest.fixture
def end() -> Callable[..., Callable[[Event], Outcome]]:
    """A script: every event ends so."""
    return lambda *args, **more: lambda event: outcome(event, *args, **more)


@pytest.fixture
def throttle() -> Callable[[str], Callable[[Event], Outcome]]:
    """A script: every event is refused for `reason`."""
    return lambda reason: lambda event: outcome(event, Status.THROTTLED, throttle_body(reason), reason=reason)


@pytest.fixture(scope="session")
def any_bench() -> Iterator[Bench]:
    """One bench for all examples of a property."""
    with PackageStore(None) as package_store:
        yield Bench(FUNCTIONS, package_store)


class Body(io.BytesIO):
    """What botocore reads an answer from."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


class Lambda:
    """A boto3 client whose requests reach a bench without a socket. `aws.create_alias(...)` is a call.

    Every answer is compared with its operation's shape in AWS's model.
    """

    def __init__(self) -> None:
        self.bench: Bench
        self._client = boto3.client(
            "lambda",
            endpoint_url="http://lambda",
            region_name="eu-west-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
        )
        self._client.meta.events.register("before-send.lambda", self._send)

    def __getattr__(self, operation: str) -> Callable[..., dict]:
        method = getattr(self._client, operation)

        def call(**arguments: object) -> dict:
            answer = method(**arguments)
            self.status = answer.pop("ResponseMetadata")["HTTPStatusCode"]
            return answer

        return call

    def make(self, name: str, **more: object) -> dict:
        """CreateFunction from a small archive."""
        members = {
            "Role": "arn:aws:iam::123456789012:role/any",
            "Handler": "app.handler",
            "Runtime": "python3.12",
            "Code": {"ZipFile": b64decode(zipped({"app.py": "def handler(event, context): return event"}))},
        }
        return self.create_function(FunctionName=name, **{**members, **more})

    def error(self, operation: str, **arguments: object) -> tuple[int, str, str, str | None]:
        """What a call fails with: status, code, text, and `Type` where the body has it."""
        with pytest.raises(ClientError) as caught:
            getattr(self._client, operation)(**arguments)
        response = caught.value.response
        error, status = response["Error"], response["ResponseMetadata"]["HTTPStatusCode"]
        return status, error["Code"], error["Message"], response.get("Type")

    def _send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        target = request.url.removeprefix("http://lambda")
        headers = [
            (name.encode(), value if isinstance(value, bytes) else value.encode())
            for name, value in request.headers.items()
        ]
        body = request.body or b""
        answer = self.bench.ask(
            request.method, target, headers, body if isinstance(body, bytes) else body.encode()
        )
        if answer.status < 300 and answer.body not in (b"", b"{}"):  # AWS too leaves all of some away
            operation = find(request.method, target.encode()).operation
            shape = lambda_model().output_of(operation)
            assert [] == list(misfits(shape, answer.document, operation))
        return AWSResponse(request.url, answer.status, answer.headers, Body(answer.body))


def misfits(shape: Node, value: object, at: str) -> Iterator[str]:
    """What of an answer the model does not have, or lacks."""
    kind, members = shape["type"], shape.get("members", {})
    if not isinstance(value, _PYTHON.get(kind, object)) or (kind != "boolean" and isinstance(value, bool)):
        yield f"{at}: {value!r}"
    elif kind == "structure":
        yield from (f"{at} lacks {name}" for name in shape.get("required", ()) if name not in value)
        for name, given in value.items():
            if name not in members:
                yield f"{at}.{name}"
            elif given is not None:
                yield from misfits(lambda_model().shape_of(members[name]), given, f"{at}.{name}")
    elif kind in ("list", "map"):
        member = lambda_model().shape_of(shape["member" if kind == "list" else "value"])
        for given in value if kind == "list" else value.values():
            yield from misfits(member, given, at)


_PYTHON = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "integer": int,
    "long": int,
    "boolean": bool,
    "double": float,
}


@pytest.fixture(scope="session")
def lambda_client() -> Lambda:
    return Lambda()


@pytest.fixture
def aws(lambda_client: Lambda, bench: Bench) -> Lambda:
    """boto3 against the bench."""
    lambda_client.bench = bench
    return lambda_client


@pytest.fixture
def made(aws: Lambda) -> Lambda:
    """A client with the function `f`, its version 1 and the alias `live` for that."""
    aws.make("f")
    aws.publish_version(FunctionName="f")
    aws.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    return aws
