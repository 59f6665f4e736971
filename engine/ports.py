"""The seams: what a source, an executor, an observer and a clock promise, and what they are given.

Everything here is called on the engine's event loop, and nothing here may block it.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, ClassVar, NamedTuple, Protocol, Self, TypeVar

import anyio
from anyio.abc import TaskStatus

from engine.core.cluster_config import ClusterConfig
from engine.core.cluster_nodes import NodeReading
from engine.core.cpu_law import CpuLaw
from engine.core.engine_events import EngineEvent
from engine.core.error_bodies import InitFailure
from engine.core.event import Event
from engine.core.function import Account, Function
from engine.core.invocation import Invocation, Reply, Result
from engine.core.late_dataclass import dataclass
from engine.core.outcome import Outcome
from engine.core.python_interpreter import PythonInterpreter
from engine.core.recursion import RecursionGuard
from engine.core.served_function import ImportedModuleFor

T = TypeVar("T")


class Clock(Protocol):
    """The only way to know the time."""

    def now(self) -> float:
        """Monotonic seconds; the origin means nothing."""

    def wall(self) -> float:
        """Seconds since the Unix epoch."""


class Sink(Protocol):
    """Given to a source: hand over one event, get its outcome. A failure is an `Outcome` too."""

    def submit(self, event: Event, reply: Reply, /) -> None:
        """Accept `event`; call `reply` once, now or later. Raises only `FunctionNotFound`, `NotAccepting`."""

    async def invoke(self, event: Event, /) -> Outcome:
        """The same, awaited. Cancelling the wait does not stop the invocation (as on Lambda)."""


class SettingsModel(Protocol):
    """What a source reads the table of an event into: a pydantic model or a `SettingsTable`."""

    @classmethod
    def model_validate(cls, obj: Any, /) -> Self:
        """`obj`, a table, as one of these. Raises pydantic's ValidationError with all that is wrong."""

    def model_dump(self, *, mode: str = "python") -> dict[str, Any]:
        """As a table; mode `json`: of what JSON has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One `[[functions.NAME.events]]` table: which function, and the source's own settings."""

    function: Function
    settings: SettingsModel
    qualifier: str | None = None
    """The alias by which the event calls it; None for the function itself."""


class ServiceRegistry:
    """The services of one engine, found by their class; closed in the reverse of the order they came in."""

    def __init__(self) -> None:
        self._by_class: dict[type[Any], Any] = {}
        self._closing: list[Callable[[], None]] = []

    def add(self, service: T, close: Callable[[], None] | None = None) -> T:
        """Register `service`, the only one of its class, and return it. `close` lets go of it."""
        if self._by_class.setdefault(type(service), service) is not service:
            raise ValueError(f"there is a {type(service).__name__} already")
        if close is not None:
            self._closing.append(close)
        return service

    def find(self, kind: type[T]) -> T | None:
        """The service of that class; None if there is none."""
        service: T | None = self._by_class.get(kind)
        return service

    def close(self) -> None:
        """Close all, the last one first."""
        while self._closing:
            self._closing.pop()()


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What a source is built with besides its bindings."""

    account: Account
    clock: Clock
    new_request_id: Callable[[], str]
    listen: Mapping[str, tuple[str, int]]  # listener name -> host, port
    hosts: tuple[str, ...] = ()
    """Further names that clients call the listeners by, each with all below it."""
    allowed_origins: tuple[str, ...] = ()
    """Origins, as browsers send them, whose pages may do what programs may."""
    reject: Callable[[str], None] = lambda _: None
    """Told of each request that became no event: `unknown_function`, `invalid_payload`,
    `payload_too_large`, `not_accepting`, `forbidden` or `caller_rate`."""
    say: Callable[[str], None] = lambda _: None
    """Takes one line, without its newline, for whoever runs the engine. Rarely called."""
    tracer: Tracer | None = None
    """Makes spans of invocations. None: nobody does, and only X-Ray's header is passed on, as on AWS."""
    recursion: RecursionGuard = field(default_factory=RecursionGuard)
    """Counts the calls of each function in trace headers, and stops loops."""
    services: ServiceRegistry = field(default_factory=ServiceRegistry)
    """What sources of one engine share: the queues that mappings poll in process, the buckets."""


class Finding(NamedTuple):
    """What is to be said of a binding before anything runs.

    Attributes:
        binding: Its position among those that were examined.
        sentence: Goes on after the place and a colon.
        key: Of its settings; None for all of it.
        refused: It cannot be run; else it is worth a look.
    """

    binding: int
    sentence: str
    key: str | None = None
    refused: bool = True


class EventSource(Protocol):
    """Where events come from. One instance serves all bindings of its type.

    A source may have a class method `examine(bindings, wall_s) -> Iterable[Finding]`: what `build` would
    refuse, and what is worth a look, found without opening anything; `wall_s` is the time, in seconds since
    the Unix epoch. `engine check` and `engine serve` both show it.

    A source with a class attribute `asynchronous = True`, which is optional, feeds the queue of
    asynchronous invocation: its events are tried again if they fail or are throttled, and their outcome
    comes when they are done with. Any other source feeds the functions directly.
    """

    Settings: ClassVar[type[Any]]
    """A `SettingsModel`."""

    @classmethod
    def build(cls, bindings: Sequence[Binding], host: Host) -> EventSource:
        """Make one, holding nothing yet that must be let go."""

    async def serve(self, sink: Sink, stopping: anyio.Event, *, task_status: TaskStatus[str | None]) -> None:
        """Feed `sink` until `stopping` is set; then take nothing new, answer what was taken, return.

        Calls `task_status.started(address or None)` once it takes events. Cancellation means the
        grace period is over: drop everything and leave.
        """


class ConfiguredUrl(NamedTuple):
    """A function URL that the engine's configuration has.

    Attributes:
        id: As in its host name.
        function: Whose it is.
        qualifier: An alias or None.
        config: The members `AuthType`, `InvokeMode` and, if pages of other origins may use it, `Cors`.
    """

    id: str
    function: str
    qualifier: str | None
    config: Mapping[str, Any]


class FunctionUrlHost(Protocol):
    """Serves function URLs. The Lambda API opens and closes them; `sources/http` implements it."""

    def open(
        self,
        url_id: str,
        function: str,
        qualifier: str | None,
        cors: Mapping[str, Any] | None = None,
        invoke_mode: str = "BUFFERED",
    ) -> None:
        """Send requests for the URL to the function.

        `cors` and `invoke_mode` are the members `Cors` and `InvokeMode` of its configuration.
        """

    def close(self, url_id: str) -> None:
        """Stop serving the URL; does nothing if it is not open."""

    def configured(self) -> Sequence[ConfiguredUrl]:
        """Those that are served without having been opened."""

    def address(self, url_id: str) -> str:
        """The URL as clients reach it, with a slash at its end."""


class PollerBounds(Protocol):
    """Bounds of provisioned mode, in pollers."""

    @property
    def minimum(self) -> int:
        """Pollers that are kept."""

    @property
    def maximum(self) -> int:
        """Pollers at most."""


class QueueMappingSettings(Protocol):
    """How a queue is polled for a function: the keys of an event of type `sqs`."""

    @property
    def enabled(self) -> bool:
        """Whether it takes messages."""

    @property
    def batch_size(self) -> int:
        """Messages of one invocation, at most."""

    @property
    def maximum_batching_window_s(self) -> float:
        """Seconds that messages are gathered, from the first one on."""

    @property
    def maximum_concurrency(self) -> int | None:
        """Batches that run at a time, at most; None for no bound."""

    @property
    def provisioned_pollers(self) -> PollerBounds | None:
        """Bounds of provisioned mode, or None."""

    @property
    def report_batch_item_failures(self) -> bool:
        """Whether the function names the messages that failed."""

    @property
    def filters(self) -> tuple[str | dict[str, Any], ...]:
        """EventBridge patterns, as JSON text or tables."""


class QueueMapping(Protocol):
    """One event source mapping from a queue to a function; it keeps its UUID when it is changed."""

    uuid: str
    function: str
    qualifier: str | None
    modified_s: float
    """Wall time of the last change, seconds."""

    @property
    def settings(self) -> QueueMappingSettings:
        """How it polls."""


class QueueMappings(Protocol):
    """The event source mappings of the engine's own queues. `sources/sqs` implements it for the Lambda API.

    Settings and mappings that are passed in must come from the same object.
    """

    def __iter__(self) -> Iterator[QueueMapping]:
        """All mappings: those of the configuration and those made while the engine runs."""

    def find(self, uuid: str) -> QueueMapping | None:
        """The mapping of that UUID."""

    @property
    def max_filters(self) -> int:
        """Filters of one mapping, at most."""

    def is_filter(self, pattern: str) -> bool:
        """Whether the text is an EventBridge pattern that can filter messages."""

    def settings_from(self, values: Mapping[str, Any], base: Any = None) -> QueueMappingSettings:
        """Settings from the keys of an event of type `sqs`.

        Args:
            values: Values by key; a key that is left out has its default.
            base: Settings that give the keys AWS does not know (`keep_group_order`, `scaling`), or None.

        Raises:
            ValueError: The values do not fit together; the text is one sentence for people.
        """

    def arn(self, settings: Any) -> str:
        """ARN of the queue that the settings name, whether it exists or not."""

    def visibility_s(self, settings: Any) -> float | None:
        """Visibility timeout of the queue that the settings name, seconds; None if there is no such queue."""

    def open(
        self,
        function: str,
        qualifier: str | None,
        settings: Any,
        busy_s: Callable[[], float],
        *,
        uuid: str | None = None,
        modified_s: float | None = None,
    ) -> QueueMapping:
        """Add a mapping and poll for it.

        Args:
            function: What it runs.
            qualifier: Of which version or alias; None for the function itself.
            settings: How it polls.
            busy_s: Returns how long a batch may run, seconds.
            uuid: Its UUID; None for a new one.
            modified_s: Wall time of its last change, seconds; None for now.
        """

    def change(
        self,
        mapping: Any,
        function: str,
        qualifier: str | None,
        settings: Any,
        busy_s: Callable[[], float],
    ) -> None:
        """Apply new settings from the next batch on."""

    def close(self, mapping: Any) -> None:
        """Remove a mapping. Batches that run may end."""


class StreamMappingSettings(Protocol):
    """How a stream is read for a function: the keys of an event of type `kinesis` or `dynamodb`.

    Seconds are whole numbers; -1 stands for no limit, as in AWS's API.
    """

    @property
    def type(self) -> str:
        """`kinesis` or `dynamodb`."""

    @property
    def enabled(self) -> bool:
        """Whether it reads."""

    @property
    def batch_size(self) -> int:
        """Records of one invocation, at most."""

    @property
    def maximum_batching_window_s(self) -> int:
        """Seconds that records are gathered."""

    @property
    def starting_position(self) -> str:
        """`LATEST`, `TRIM_HORIZON` or `AT_TIMESTAMP`."""

    @property
    def parallelization_factor(self) -> int:
        """Batches of one shard that run at a time, at most."""

    @property
    def maximum_retry_attempts(self) -> int:
        """How often a batch is tried again; -1 for no limit."""

    @property
    def maximum_record_age_s(self) -> int:
        """Seconds after which a record is discarded; -1 for no limit."""

    @property
    def bisect_batch_on_function_error(self) -> bool:
        """Whether a batch that failed is tried again as two halves."""

    @property
    def tumbling_window_s(self) -> int:
        """Length of windows with a state, seconds; 0 for none."""

    @property
    def report_batch_item_failures(self) -> bool:
        """Whether the function names the records that failed."""

    @property
    def on_failure(self) -> str | None:
        """Where a record of what is discarded goes: an ARN or what is short for one; None for nowhere."""

    @property
    def filters(self) -> tuple[str | dict[str, Any], ...]:
        """EventBridge patterns, as JSON text or tables."""


class StreamMapping(Protocol):
    """One event source mapping from a stream to a function; it keeps its UUID when it is changed."""

    uuid: str
    function: str
    qualifier: str | None
    modified_s: float
    """Wall time of the last change, seconds."""

    @property
    def settings(self) -> StreamMappingSettings:
        """How it reads."""

    @property
    def last_result(self) -> str:
        """AWS's `LastProcessingResult`: `No records processed`, `OK`, `PROBLEM: Function call failed`."""


class StreamMappings(Protocol):
    """The event source mappings of streams, of Kinesis and of DynamoDB tables, wherever these are.

    `sources/streams` implements it for the Lambda API. Settings and mappings that are passed in must come
    from the same object.
    """

    def __iter__(self) -> Iterator[StreamMapping]:
        """All mappings: those of the configuration and those made while the engine runs."""

    def find(self, uuid: str) -> StreamMapping | None:
        """The mapping of that UUID."""

    @property
    def max_filters(self) -> int:
        """Filters of one mapping, at most."""

    def is_filter(self, service: str, pattern: str) -> bool:
        """Whether the text is an EventBridge pattern that can filter records of `kinesis` or `dynamodb`."""

    def settings_from(
        self, service: str, values: Mapping[str, Any], base: Any = None
    ) -> StreamMappingSettings:
        """Settings from the keys of an event of type `service`: `kinesis` or `dynamodb`.

        Args:
            service: The type.
            values: Values by key; a key that is left out has its default. `stream` (Kinesis) or `table`
                (DynamoDB) is the ARN.
            base: Settings that give the keys AWS does not know (`endpoint_url`, `region`, `profile`,
                `poll_interval_s`, `drop_unchanged`), or None.

        Raises:
            ValueError: The values do not fit together; the text is one sentence for people.
        """

    def arn(self, settings: Any) -> str:
        """ARN of the stream that the settings name.

        Of a table's stream that was not found yet it lacks the time at its end.
        """

    async def exists(self, settings: Any) -> bool:
        """Whether the server has what the settings' ARN names: that stream, and that consumer of it.

        True as well if it cannot be asked: the stream is read once it can.
        """

    async def open(
        self,
        function: str,
        qualifier: str | None,
        settings: Any,
        *,
        uuid: str | None = None,
        modified_s: float | None = None,
    ) -> StreamMapping:
        """Add a mapping and read for it; returns when it is known where to begin, or within seconds.

        With `LATEST` it gets what is put after this has returned.

        Args:
            function: What it runs.
            qualifier: Of which version or alias; None for the function itself.
            settings: How it reads.
            uuid: Its UUID; None for a new one.
            modified_s: Wall time of its last change, seconds; None for now.
        """

    def change(self, mapping: Any, function: str, qualifier: str | None, settings: Any) -> None:
        """Apply new settings from the next batch on. What was read, and how far, stays."""

    async def begun(self, mapping: Any, /) -> None:
        """Return when it is known where a mapping begins that was enabled, as `open` does."""

    def close(self, mapping: Any) -> None:
        """Remove a mapping. Batches that run may end."""


class Facts(Protocol):
    """Given to an executor: how it tells the driver what became of a command."""

    def placed(self, env_id: int, node: str) -> None:
        """An environment is on that node of a cluster. Told before `ready`; on one machine, never."""

    def ready(self, env_id: int, init_s: float | None) -> None:
        """The environment finished its init, which took `init_s`.

        None: its init is to be part of its first invocation, as on AWS after a reset.
        """

    def initialised(self, env_id: int) -> None:
        """An environment that was `ready` with None has done its init: another one may begin."""

    def waits(self, env_id: int) -> None:
        """It has not begun to initialise yet, or does so just now: the limit of its init starts over."""

    def hold(self) -> None:
        """No further environment is to begin its init for now, for lack of memory say.

        Those that are wanted wait with the others for their turn, and are given up when nobody needs them
        any more; `start` is not called until `resume`. Not to be told from inside a command.
        """

    def resume(self) -> None:
        """Environments may begin again."""

    def give_up(self, env_id: int) -> bool:
        """The machine needs its room: an idle one goes (`stop` is called), a busy one after its work.

        False: it is provisioned, or not there any more, and is not to go.
        """

    def failed(self, env_id: int, failure: InitFailure, init_s: float) -> None:
        """Its init failed; whoever waits for it is answered with AWS's error for that."""

    def succeeded(self, invocation: Invocation, body: bytes, raw: bool = False, /) -> None:  # noqa: FBT001, FBT002
        """The handler returned `body`: JSON text, or bytes of its own if `raw`. `ended`, for the hot path."""

    def began(self, invocation: Invocation, content_type: str, resume: Callable[[], None], /) -> None:
        """The handler streams its response, and its first piece is there, or its end.

        To be told before the first `piece`, as late as that, so that a handler which fails before has sent
        nothing. `resume` is called, on the loop, after each `piece` that returned False, when the next one
        may come. After an invocation has ended it is called only where environments run several at once: what
        was answered at its deadline goes on there, and its pieces are dropped.

        The response ends with `ended`: SUCCESS with an empty body, or an error in the middle of the stream,
        as of any handler that fails.
        """

    def piece(self, invocation: Invocation, data: bytes, /) -> bool:
        """A piece of the response, `core.response_stream.PIECE_BYTES` at most.

        False: whoever reads it is slow. Hold the handler back, and hand nothing over, until `resume`: of what
        is handed over nevertheless nothing is lost, but it is kept in memory. Too late, it changes nothing.
        """

    def ended(self, invocation: Invocation, result: Result) -> None:
        """The handler ended. Too late, it changes nothing. CRASH and OOM end the environment too."""

    def died(self, env_id: int) -> None:
        """An idle environment is gone. One that was starting is for `failed` to tell."""


class Executor(Protocol):
    """Runs the environments of one function. Commands never block; facts come back later.

    An executor never watches the deadline: the driver does, for all of them, and then calls `stop`.

    Optional methods:
    `provision(env_id)` is `start` for an environment that provisioned concurrency asks for.
    `async prepare()` gets ready what no invocation should wait for.
    `close()` lets go of everything and, as all commands, does not block: it begins what takes time, and
    `async wait_closed()` returns when that is done. The engine does not end before.
    `repeat(env_id) -> bool`, called when an init failed or was stopped at its limit, has a new environment
    under the same number initialise inside its first invocation, as AWS does (True), or leaves it failed
    (False). `ended` with INIT_ERROR tells that it failed again.
    `preloaded_init_s()` is what an init would take of a CPU at best, seconds, if all that can be imported
    beforehand were, or None if it is, or cannot be.
    `init_use(env_id) -> engine.core.init_turns.Use | None` says what a running init has had of the CPU, by
    which more than `init_concurrency` of them may run while they wait for something else.
    """

    def start(self, env_id: int, /) -> None:
        """Initialise a new environment, then tell `ready` or `failed`."""

    def run(self, env_id: int, invocation: Invocation, /) -> None:
        """Run the handler in it, then tell `ended`. `invocation.deadline_s` is for the Context."""

    def stop(self, env_id: int, /) -> None:
        """The environment is gone, whatever runs in it: kill what can be killed, tell nothing more."""

    def renew(self) -> None:
        """The code changed: environments started from now on are to have what is there now."""


class Observer(Protocol):
    """Sees what happens, changes nothing. Called on the hot path: be quick, never raise."""

    def began(self, invocation: Invocation, /) -> None:
        """It was handed to an environment."""

    def ended(self, invocation: Invocation, outcome: Outcome, error_type: str | None, /) -> None:
        """It ran and ended; `error_type` is set when the platform, not the handler, names the error."""

    def refused(self, event: Event, outcome: Outcome, reason: str, /) -> None:
        """It never ran. `reason` is the metric label: `function_limit`, `account_limit`, ..."""

    def noticed(self, notice: EngineEvent, /) -> None:
        """Something rare."""


class Tracer(ABC):
    """An observer that makes a span of each invocation. While there is one, sources adopt `traceparent`.

    When an invocation begins, it puts its span in the place of the parent in the event's `trace_id`.
    """

    @abstractmethod
    def awaits_answer(self, event: Event, /) -> None:
        """Keep the span of the event, about to be submitted, open until `answered` is called."""

    @abstractmethod
    def answered(self, event: Event, status: int, /) -> None:
        """A client got this HTTP status for the event, or the event was not taken."""


class Meter(Protocol):
    """Told what only the driver knows, for metrics: rare things, and samples of frequent ones."""

    def scaled(self, function: str, direction: str, reason: str, /) -> None:
        """One environment more (`up`), fewer (`down`), or the last one gone (`to_zero`).

        `reason` is one of `demand`, `provisioned`, `idle`, `renewed`, `limit`, `closing`, `init_failed`,
        `timeout`, `crash`.
        """

    def wanted(self, function: str, count: int, /) -> None:
        """So many environments were asked for, as Lambda would have made them.

        Here each of them waits for its turn to initialise, and is given up if its event is served before.
        """

    def came_from_zero(self, function: str, took_s: float, /) -> None:
        """An event that found no environment at all was answered, `took_s` after it was received."""

    def first_byte(self, function: str, after_s: float, /) -> None:
        """A streamed response began, so long after its event was received."""

    def streamed(self, function: str, count: int, /) -> None:
        """A streamed response ended, of which the handler wrote `count` bytes."""

    def answered(self, trigger: str, overhead_s: float, /) -> None:
        """A sample: one answer in which the engine itself took `overhead_s`, waiting and handler left out."""


class Offload(Protocol):
    """Runs something that blocks, an import say, beside the loop."""

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Await what `work` returns, or raise what it raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What an executor is built with besides its function and the facts it reports to."""

    account: Account
    clock: Clock
    loop: asyncio.AbstractEventLoop
    offload: Offload
    notify: Callable[[EngineEvent], None]
    log: Callable[[Invocation, str], None]  # what the runtime itself writes to an invocation's log
    logs_json: bool = False  # what it writes there is one JSON object a line, not text
    endpoint_url: str | None = None
    """`AWS_ENDPOINT_URL` for handlers: where AWS clients find this engine, or None if they cannot."""
    output: Callable[[Invocation | None, str], None] = lambda _invocation, _text: None
    """Takes what a handler in a process of its own wrote; None: written outside of any invocation."""
    say: Callable[[str], None] = lambda _: None
    """Logs a line, without its newline, for whoever runs the engine. Rarely called."""
    name_log_stream: Callable[[str, str, int, str], None] = lambda _function, _version, _env_id, _name: None
    """Told what an environment tells its handler to be its log stream, each time that changes."""
    is_async: bool | None = None
    """Whether the handler's source defines it by `async def` or by `def`; None if it does not tell."""
    cpu: CpuLaw = "host"
    """Whose CPU the environments of functions have that do not say."""
    python: PythonInterpreter | None = None
    """What the handler runs in; None: the engine's own, which executors in that process always get."""
    imported_module_for: ImportedModuleFor = "none"
    """Which environments on loop and thread run in the module as the program has imported it."""
    durable: Callable[[], Any] | None = None
    """Returns the `core.durable.service.DurableService`, for executors that run handlers of durable functions
    in this interpreter. It is imported with the first of them, so its type is not named here."""
    has_threads: bool = True
    """Whether handlers may run on threads; else all of them run on the loop, which stands still meanwhile."""
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    """Where agents connect to."""
    cores_elsewhere: Callable[[int], None] = lambda _cores: None
    """Told how many cores the nodes of a cluster have together, each time that changes."""
    watch_nodes: Callable[[Callable[[], Sequence[NodeReading]]], None] = lambda _read: None
    """Has those who watch the engine read there, from now on, which nodes of a cluster are there."""
    listens: Callable[[str, str], None] = lambda _name, _address: None
    """Told that a listener of this name has been opened for other parts of the engine, and where."""
    commons: dict[str, Any] = field(default_factory=dict)
    """What the executors of one engine share, by names of their own; the same dict for all of them."""


class ExecutorFactory(Protocol):
    """How an executor is made: the class itself, as named in the registry."""

    def __call__(self, function: Function, facts: Facts, workshop: Workshop, /) -> Executor:
        """Make one, holding nothing yet that must be let go."""
