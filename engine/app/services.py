"""What AWS clients talk to (Lambda, SQS, S3) and what feeds functions, built and tied to each other."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio

from engine.app.async_invoke_configs import InvokeConfig
from engine.app.destination_senders import QueueSender, fetch_code
from engine.app.engine import Engine
from engine.app.hosting import gate_of
from engine.app.http_listener import HttpListener
from engine.app.late_streams import KINDS, LateStreamMappings
from engine.app.log_subscribers import LogSubscribers
from engine.app.mapping_metrics import mapping_readings
from engine.core.destinations import DestinationRecord, target_of
from engine.packages.records import LATEST, StoredState
from engine.packages.store import PackageStore
from engine.ports import EventSource, Host, Sink, StreamMappings
from engine.protocols.aws.gate import AwsGate
from engine.protocols.aws.router import AwsRouter, CredentialScope
from engine.protocols.http.server import Request
from engine.registry import resolve
from engine.services.lambda_api.code_packages import Spawn
from engine.services.lambda_api.control_plane import BODY_LIMIT_BYTES, ControlPlane
from engine.services.lambda_api.durable.emulator import Emulator
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.service import LambdaApi
from engine.services.logs.handler import LogsHandler
from engine.services.partner.declared import declarations
from engine.services.partner.service import Partner
from engine.services.s3.service import SERVICE as S3
from engine.services.s3.service import S3Service
from engine.services.sqs.service import SqsService
from engine.sources.http.payload import GatewayIdentity
from engine.sources.http.source import HttpSource
from engine.sources.s3.source import S3Source
from engine.sources.s3.webhooks import Webhooks, fetching
from engine.sources.sqs.remote_source import RemoteSqsSource
from engine.sources.sqs.source import SERVICE as SQS
from engine.sources.sqs.source import SqsSource

T = TypeVar("T")

EVENTS: Final = "events"
SNS: Final = "sns"
EVENTBRIDGE: Final = "eventbridge"
_OBJECTS: Final = "objects"
"""Folder of the object store, inside the state folder."""
_NONE: Final[InvokeConfig] = {}


class Services:
    """All of one engine. Built while it is open; `close` when nothing of it is served any more.

    Attributes:
        sources: By type, each with the sink it feeds. `http`, `sqs` and `s3` are there for what clients may
            ask for, whether or not the configuration has such events.
        handle: Answers requests to the aws listener.
        body_limit_bytes: What that listener must take.
    """

    def __init__(
        self,
        engine: Engine,
        host: Host,
        http: EventSource | None,
        package_store: PackageStore,
        spawn: Spawn,
    ) -> None:
        """Blocks if there is a state folder. `http` is the source `http`, if it is there already.

        Raises:
            ConfigError: A source cannot be built as configured.
            OSError: The state folder cannot be used.
        """
        self._engine, self._config, self._spawn = engine, engine.config, spawn
        self._host, self._registry = host, host.services
        self._buses: Any = None
        self._partner = Partner(
            self._config.partner,
            host.account,
            engine.endpoint_url,
            clock=engine.platform.clock,
            spawn=spawn,
            say=engine.say,
            declared=declarations(self._config.resources.streams, self._config.resources.tables),
        )
        self._sqs = self._add_sqs()
        self._s3 = self._add_s3()
        self._add_topics()
        self._functions = FunctionRegistry(
            {function.name: function for function in self._config.functions}, self._host
        )
        self._logs = self._add_logs()
        self._streams = LateStreamMappings(self._make_streams)
        self._add_buses()
        sources = self._make_sources(http)
        self.sources = {kind: (source, self._sink_of(source)) for kind, source in sources.items()}
        self._show_mappings(sources)
        self._control_plane = self._make_control_plane(package_store, sources)
        engine.parts.async_configs.read_from(self._invoke_config)
        engine.parts.recursion.read_from(self._allows_recursion)
        self.handle: Callable[[Request], None] = self._make_gate(_one(HttpSource, sources)).handle
        self.body_limit_bytes = max(
            BODY_LIMIT_BYTES, self._sqs.BODY_LIMIT_BYTES, self._s3.api.body_limit_bytes
        )

    async def restore(self, state: StoredState) -> None:
        """Run what came over the Lambda API before. Called once, before anything is served."""
        await self._control_plane.restore(state)

    async def serve(
        self,
        start: Callable[..., Awaitable[Any]],
        at_aws: Sequence[socket.socket],
        urls: dict[str, str | None],
        stopping: anyio.Event,
        ended: anyio.Event,
    ) -> None:
        """Open the sources that are not in `urls`, and the listener for AWS clients; their URLs go there.

        `start` is that of a task group. Without `at_aws` there is no such listener. The sources end when
        `stopping`; the listener when all has `ended` that runs, since handlers are among its clients.
        """
        for kind, (source, sink) in self.sources.items():
            if kind not in urls:
                urls[kind] = await start(source.serve, sink, stopping)
        await self._streams.serve(start, self._engine.sink, stopping, frozenset(self.sources))
        if at_aws:
            engine = self._engine
            listener = HttpListener(
                "aws",
                self.handle,
                engine.platform.clock,
                self._config.listeners["aws"],
                self.body_limit_bytes,
                engine.say,
                on_stop=self.stop,
                sockets=at_aws,
            )
            urls["aws"] = await start(listener.serve, ended)

    def stop(self) -> None:
        """The listener is about to drain: end what clients only wait at."""
        self._sqs.stop()

    def close(self) -> None:
        """End the partner and retries of deliveries, and make safe what the state folder keeps. Blocks."""
        self._partner.close()
        if self._buses is not None:
            self._buses.close()
        self._registry.close()

    @property
    def buses(self) -> Any:
        """The `engine.app.buses.Buses`, imported and built when first asked for."""
        if self._buses is None:
            from engine.app.buses import Buses

            self._buses = Buses(self._engine, self._host, self._engine.parts.senders[SQS], self._spawn)
        return self._buses

    # ---------------------------------------------------------------- steps of building

    def _add_sqs(self) -> SqsService:
        service = self._registry.add(SqsService(self._host))
        service.declare(self._config.resources.queues)
        self._engine.parts.senders[SQS] = QueueSender(service, self._host)
        return service

    def _add_s3(self) -> S3Service:
        config, resources = self._config, self._config.resources
        service = S3Service(
            self._host,
            spawn=self._spawn,
            offload=self._engine.platform.offload,
            buckets=resources.buckets,
            settings=resources.s3,
            folder=Path(config.state_dir).absolute() / _OBJECTS if config.state_dir else None,
            senders=self._engine.parts.senders,
            exists=self._exists,
        )
        self._engine.parts.senders[S3] = service.put_record
        return self._registry.add(service, close=service.close)

    def _add_topics(self) -> None:
        """Those of the configuration; without any, SNS is opened when it is first needed."""
        self._engine.parts.senders[SNS] = self._send_to_topic
        topics = self._config.resources.topics
        if topics or SNS in self._config.bindings:
            self.buses.topics.declare(topics)

    def _add_logs(self) -> LogsHandler | None:
        """None if the engine keeps no logs."""
        engine, output = self._engine, self._engine.parts.output
        if output.function_log is None:
            return None
        handler = LogsHandler(
            self._host,
            output.function_log,
            output.logs_bytes,
            LogSubscribers(self._config.functions, self._functions, self._host, lambda: self.buses),
            engine.loop,
            engine.stats.keep_successes_of_all,
        )
        return self._registry.add(handler, close=handler.close)

    def _add_buses(self) -> None:
        """Those of the configuration; without any, EventBridge is opened when it is first needed."""
        self._engine.parts.senders[EVENTS] = self._send_event
        resources = self._config.resources
        if resources.buses or resources.rules or EVENTBRIDGE in self._config.bindings:
            self.buses.declare(resources)

    def _make_streams(self) -> StreamMappings:
        from engine.app.streams import checkpoint_folder, stream_mappings

        engine = self._engine
        return stream_mappings(
            self._host,
            self._partner,
            engine.parts.senders,
            self._functions,
            engine.stats.mappings,
            checkpoint_folder(self._config.state_dir, engine.platform, engine.say),
        )

    def _make_sources(self, http: EventSource | None) -> dict[str, EventSource]:
        host = self._host
        sources: dict[str, EventSource] = {} if http is None else {"http": http}
        for kind, bindings in self._config.bindings.items():
            if kind == "http":
                continue  # it is there, or the engine is one in a Python program that was told of no address
            if kind in KINDS:
                self._streams.get()  # what its source is a door of
            sources[kind] = resolve("source", kind).build(bindings, host)
        if "http" in host.listen and _one(HttpSource, sources) is None:  # there may come function URLs
            sources["http"] = HttpSource(
                [], host, GatewayIdentity(host.account, host.listen["http"][1], host.say)
            )
        if _one(SqsSource, sources) is None:
            sources[SQS] = SqsSource.build([], host)
        if _one(S3Source, sources) is None:
            sources[S3] = S3Source.build([], host)
        return sources

    def _sink_of(self, source: EventSource) -> Sink:
        """Events whose outcome nobody waits for go through the queue: `asynchronous`, optional, says so."""
        return self._engine.asynchronous if getattr(source, "asynchronous", False) else self._engine.sink

    def _show_mappings(self, sources: Mapping[str, EventSource]) -> None:
        """Have the metrics page show what polls queues."""
        for source in (_one(SqsSource, sources), _one(RemoteSqsSource, sources)):
            if source is not None:
                self._engine.stats.mappings.watch(partial(mapping_readings, source))

    def _make_control_plane(
        self, package_store: PackageStore, sources: Mapping[str, EventSource]
    ) -> ControlPlane:
        engine, mappings = self._engine, _one(SqsSource, sources)
        assert mappings is not None  # it is made even if no event asks for it
        return ControlPlane(
            self._functions,
            package_store,
            engine.deployments,
            _one(HttpSource, sources),
            offload=engine.platform.offload,
            spawn=self._spawn,
            fetch_code=partial(fetch_code, self._s3),
            mappings=mappings,
            streams=self._streams,
            durable=engine.parts.durable,
            log_line=engine.say,
        )

    def _make_gate(self, http: HttpSource | None) -> AwsGate:
        """What answers requests to the aws listener, by the service they are for."""
        engine, host = self._engine, self._host
        lambda_api = LambdaApi(
            self._functions,
            self._control_plane,
            host,
            engine.sink,
            self._spawn,
            engine.asynchronous,
            Emulator(engine.parts.durable, self._spawn, host.hosts),
        )
        handlers = {"lambda": lambda_api.handle, SQS: self._sqs.handle, S3: self._make_webhooks().handle}
        handlers[EVENTS] = self._handle_events
        handlers[SNS] = self._handle_topics
        if self._logs is not None:
            handlers["logs"] = self._logs.handle
        router = AwsRouter(handlers, host.new_request_id, self._partner.handle)
        handle_url = None if http is None else http.handle_url
        return AwsGate(gate_of("aws", self._config), router, self._s3.api, engine.stats.reject, handle_url)

    def _handle_events(self, request: Request, scope: CredentialScope) -> None:
        self.buses.events.handle(request, scope)

    def _handle_topics(self, request: Request, scope: CredentialScope) -> None:
        self.buses.topics.handle(request, scope)

    def _make_webhooks(self) -> Webhooks:
        settings = self._config.resources.s3
        return Webhooks(
            self._s3.notifier,
            self._s3.records,
            self._host,
            self._s3.api.handle,
            spawn=self._spawn,
            fetch=fetching(self._engine.platform.offload),
            token=settings.intake_token,
            confirm_hosts=settings.intake_confirm_hosts,
        )

    # ---------------------------------------------------------------- what they ask for

    def _send_event(self, arn: str, record: DestinationRecord) -> None:
        """Send it to an event bus. Raises DeliveryError."""
        self.buses.events.send(arn, record)

    def _send_to_topic(self, arn: str, record: DestinationRecord) -> None:
        """Publish it. Raises DeliveryError."""
        self.buses.topics.send(arn, record)

    def _invoke_config(self, name: str, qualifier: str | None) -> InvokeConfig:
        record = self._functions.record(name)
        kept = record.invoking.get(qualifier or LATEST) if record is not None else None
        return _NONE if kept is None else kept.config

    def _allows_recursion(self, name: str) -> bool:
        record = self._functions.record(name)
        return record is not None and record.recursion == "Allow"

    def _exists(self, arn: str) -> bool:
        """Whether there is the function, the queue or the topic of that ARN."""
        target = target_of(arn)
        if target is None:
            return False
        if target.service == SQS:
            return self._sqs.queues.find_arn(arn) is not None
        if target.service == SNS:
            return bool(self.buses.topics.has(arn))
        account = self._host.account
        name = target.resource.removeprefix("function:").partition(":")[0]
        own = target[1:3] == (account.region, account.account_id)
        return own and self._engine.deployments.function(name) is not None


def _one(kind: type[T], sources: Mapping[str, EventSource]) -> T | None:
    """The source of that class, under whatever name; there is one instance of each."""
    return next((source for source in sources.values() if isinstance(source, kind)), None)
