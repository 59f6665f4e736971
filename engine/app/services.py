"""What AWS clients talk to (Lambda, SQS, S3) and what feeds functions, built and tied to each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from engine.app.async_invoke_configs import InvokeConfig
from engine.app.destination_senders import QueueSender, fetch_code
from engine.app.engine import Engine
from engine.app.mapping_metrics import mapping_readings
from engine.config import Config
from engine.core.destinations import target_of
from engine.packages.records import LATEST, StoredState
from engine.packages.store import PackageStore
from engine.ports import EventSource, Host, Sink
from engine.protocols.aws.gate import AwsGate
from engine.protocols.aws.router import AwsRouter
from engine.protocols.http.request_gate import RequestGate
from engine.protocols.http.server import Request
from engine.registry import resolve
from engine.services.lambda_api.code_packages import Spawn
from engine.services.lambda_api.control_plane import BODY_LIMIT_BYTES, ControlPlane
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.service import LambdaApi
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

    def __init__(self, engine: Engine, package_store: PackageStore, spawn: Spawn) -> None:
        """Blocks if there is a state folder.

        Raises:
            ConfigError: A source cannot be built as configured.
            OSError: The state folder cannot be used.
        """
        config = engine.config
        shared: dict[str, object] = {}
        host = self._host = Host(
            account=config.account,
            clock=engine.platform.clock,
            new_request_id=engine.new_request_id,
            listen=config.listeners,
            hosts=config.hosts,
            allowed_origins=config.allowed_origins,
            reject=engine.stats.reject,
            say=engine.say,
            services=shared,
        )
        self._engine = engine
        self._sqs = shared[SQS] = SqsService(host)
        self._sqs.declare(config.resources.queues)
        engine.senders[SQS] = QueueSender(self._sqs, host)
        self._s3 = shared[S3] = S3Service(
            host,
            spawn=spawn,
            offload=engine.platform.offload,
            buckets=config.resources.buckets,
            settings=config.resources.s3,
            folder=Path(config.state_dir).absolute() / _OBJECTS if config.state_dir else None,
            senders=engine.senders,
            exists=self._exists,
        )
        engine.senders[S3] = self._s3.put_record
        webhooks = Webhooks(
            self._s3.notifier,
            self._s3.records,
            host,
            self._s3.api.handle,
            spawn=spawn,
            fetch=fetching(engine.platform.offload),
            token=config.resources.s3.intake_token,
            confirm_hosts=config.resources.s3.intake_confirm_hosts,
        )
        sources = self._built()
        mappings = _one(SqsSource, sources)
        assert mappings is not None
        engine.stats.mappings.watch(partial(mapping_readings, mappings))
        if (remote := _one(RemoteSqsSource, sources)) is not None:
            engine.stats.mappings.watch(partial(mapping_readings, remote))
        self.sources = {kind: (source, self._sink_of(source)) for kind, source in sources.items()}
        self._registry = FunctionRegistry({function.name: function for function in config.functions}, host)
        self._control_plane = ControlPlane(
            self._registry,
            package_store,
            engine.deployments,
            _one(HttpSource, sources),
            offload=engine.platform.offload,
            spawn=spawn,
            fetch_code=partial(fetch_code, self._s3),
            mappings=mappings,
            log_line=engine.say,
        )
        engine.async_configs.invoke_config = self._invoke_config
        lambda_api = LambdaApi(
            self._registry, self._control_plane, host, engine.sink, spawn, engine.asynchronous
        )
        handlers = {"lambda": lambda_api.handle, SQS: self._sqs.handle, S3: webhooks.handle}
        endpoint = AwsRouter(handlers, host.new_request_id)
        gate = AwsGate(gate_of("aws", config), endpoint, self._s3.api, engine.stats.reject)
        self.handle: Callable[[Request], None] = gate.handle
        limits = (BODY_LIMIT_BYTES, self._sqs.BODY_LIMIT_BYTES, self._s3.api.body_limit_bytes)
        self.body_limit_bytes = max(limits)

    async def restore(self, state: StoredState) -> None:
        """Run what came over the Lambda API before. Called once, before anything is served."""
        await self._control_plane.restore(state)

    def stop(self) -> None:
        """The listener is about to drain: end what clients only wait at."""
        self._sqs.stop()

    def close(self) -> None:
        """Make safe what is kept in the state folder. Blocks."""
        self._s3.close()

    # ---------------------------------------------------------------- inside

    def _built(self) -> dict[str, EventSource]:
        host, config = self._host, self._engine.config
        sources: dict[str, EventSource] = {}
        for kind, bindings in config.bindings.items():
            if kind == "http" and "http" not in host.listen:
                continue  # an engine in a Python program that was told of no address
            sources[kind] = resolve("source", kind).build(bindings, host)
        if "http" in host.listen and _one(HttpSource, sources) is None:  # there may come function URLs
            sources["http"] = HttpSource([], host, GatewayIdentity(host.account, host.listen["http"][1]))
        if _one(SqsSource, sources) is None:
            sources[SQS] = SqsSource.build([], host)
        if _one(S3Source, sources) is None:
            sources[S3] = S3Source.build([], host)
        return sources

    def _sink_of(self, source: EventSource) -> Sink:
        """Events whose outcome nobody waits for go through the queue: `asynchronous`, optional, says so."""
        return self._engine.asynchronous if getattr(source, "asynchronous", False) else self._engine.sink

    def _invoke_config(self, name: str, qualifier: str | None) -> InvokeConfig:
        record = self._registry.record(name)
        kept = record.invoking.get(qualifier or LATEST) if record is not None else None
        return _NONE if kept is None else kept.config

    def _exists(self, arn: str) -> bool:
        """Whether there is the function or the queue of that ARN."""
        target = target_of(arn)
        if target is None:
            return False
        if target.service == SQS:
            return self._sqs.queues.find_arn(arn) is not None
        account = self._host.account
        name = target.resource.removeprefix("function:").partition(":")[0]
        own = target[1:3] == (account.region, account.account_id)
        return own and self._engine.deployments.function(name) is not None


def gate_of(name: str, config: Config, *, navigations: bool = False) -> RequestGate:
    """The rule for the listener of that name."""
    listener = config.listeners.get(name)
    return RequestGate(
        listener.host if listener is not None else "localhost",
        hosts=config.hosts,
        allowed_origins=config.allowed_origins,
        navigations=navigations,
    )


def _one(kind: type[T], sources: Mapping[str, EventSource]) -> T | None:
    """The source of that class, under whatever name; there is one instance of each."""
    return next((source for source in sources.values() if isinstance(source, kind)), None)
