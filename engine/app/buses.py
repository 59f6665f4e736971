"""Topics and event buses of one engine, imported and built when something first needs one of them."""

from __future__ import annotations

from random import Random

from engine.app.bus_targets import FunctionPort
from engine.app.engine import Engine
from engine.config.resources import Resources
from engine.core.delivery_counts import TargetKind
from engine.core.destinations import DestinationSender
from engine.core.retry import RETRY_WAIT_S
from engine.errors import ConfigError
from engine.ports import Host
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.sent_trace import sent_trace
from engine.services.deliveries.deliveries import Deliveries
from engine.services.deliveries.delivery import TargetPort, port_of
from engine.services.eventbridge.service import EventBridgeService
from engine.services.lambda_api.code_packages import Spawn
from engine.services.sns.http_endpoints import REQUESTS, HttpPort
from engine.services.sns.service import SnsService


class Buses:
    """What delivers to targets, and the services that have it do so.

    Attributes:
        ports: How each kind of target is reached. A service adds itself here as one.
        deliveries: Those under way, of all services.
        events: The event buses.
        topics: Those of SNS.
    """

    def __init__(self, engine: Engine, host: Host, queues: DestinationSender, spawn: Spawn) -> None:
        """`queues` sends to the engine's queues, `spawn` starts a coroutine function. The engine is open."""
        counts = engine.stats.deliveries
        self._http = HttpPort(spawn, engine.platform.offload_apart(REQUESTS), counts)
        self.ports: dict[TargetKind, TargetPort] = {
            "lambda": FunctionPort(engine.asynchronous, host),
            "sqs": port_of(queues),
            "http": self._http,
        }
        self.deliveries = Deliveries(
            engine.loop,
            host.clock,
            Random(engine.platform.seed),  # noqa: S311  # jitter
            self.ports,
            queues,
            counts,
            scale=host.account.retry_wait_s / RETRY_WAIT_S,
        )
        self.events = host.services.add(
            EventBridgeService(
                engine.loop,
                host.clock,
                host.account,
                host.new_request_id,
                self.deliveries,
                sent_trace(traced=host.tracer is not None),
            )
        )
        self.ports["events"] = self.events.attempt
        self.topics = host.services.add(SnsService(host, self.deliveries.deliver_all, engine.endpoint_url))
        self.ports["sns"] = port_of(self.topics.send)

    def declare(self, resources: Resources) -> None:
        """Make the buses and rules of the configuration. Raises ConfigError if AWS would refuse one."""
        try:
            self.events.declare(resources.buses, resources.rules)
        except ServiceError as error:
            raise ConfigError((f"rules: {error.message}",)) from None

    def close(self) -> None:
        """Fire and retry nothing more: what waits goes to its dead-letter queue."""
        self.events.close()
        self._http.close()
        self.deliveries.close()
