"""How many Locust processes a load needs: from its rate, and from the CPU that one request costs here."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Final

from engine.load.planning.plan import LoadStage, Plan, Stream
from engine.load.running.locust_process import run_locust
from engine.machine.cores import usable_cores
from engine.model.traffic.shapes import parse_shape

_ONE_IS_ENOUGH_PER_S: Final = 400.0
"""Requests a second that one process sends on any machine of today."""

_BUSY: Final = 0.6
"""Share of a core that a process may use: above 0.9 a run is not published."""

_PROBE_S: Final = 1.5
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def processes_for(plan: Plan, folder: Path, tell: Callable[[str], None]) -> int:
    """The processes for a plan; one core is left to what is driven. Measures if one may not be enough.

    Raises:
        LoadTestError: Locust could not be run.
    """
    peak_per_s, most = peak_of(plan), max(1, usable_cores() - 1)
    if peak_per_s <= _ONE_IS_ENOUGH_PER_S or most == 1:
        return 1
    place = folder / "generator"
    place.mkdir()
    cost_s = _request_cost_s(place)
    chosen = enough(peak_per_s, cost_s, most)
    tell(f"generator: a request costs it {cost_s * 1e6:,.0f} µs of CPU; {chosen} of at most {most} processes")
    return chosen


def enough(peak_per_s: float, cost_s: float, most: int) -> int:
    """Processes of which none is busier than it may be, `most` at the most."""
    return min(most, max(1, math.ceil(peak_per_s * cost_s / _BUSY)))


def peak_of(plan: Plan) -> float:
    """Requests a second at the most that a plan has due; a burst counts as spread over its stage."""
    left_s = plan.seconds - plan.warmup_s
    shaped = sum(parse_shape(words).peak_per_s(left_s) for words in plan.profiles.values())
    return max(
        sum(stage.per_s.values())
        + sum(stage.at_once.values()) / stage.seconds
        + (0.0 if stage.warmup else shaped)
        for stage in plan.stages
    )


def _request_cost_s(folder: Path) -> float:
    """Seconds of CPU that a process of the generator uses for one request."""
    with _trivial_server() as url:
        plan = Plan(
            run_id="generator",
            scenario="generator",
            urls={"http": url},
            streams={"probe": Stream(send="http", function="probe", method="GET")},
            stages=(LoadStage(name="probe", seconds=_PROBE_S, per_s={"probe": _ONE_IS_ENOUGH_PER_S}),),
            spacing="constant",
            result=str(folder / "client.json"),
        )
        client = run_locust(plan, folder, lambda _: None)
    return float(client["cpu_percent"]) / 100 / _ONE_IS_ENOUGH_PER_S


class _TrivialHandler(StreamRequestHandler):
    """Answers each request of a connection, none of which has a body."""

    def handle(self) -> None:
        """Until the client closes it."""
        for line in self.rfile:
            if line == b"\r\n":
                self.wfile.write(_ANSWER)


@contextmanager
def _trivial_server() -> Iterator[str]:
    """A server that does nothing but answer."""
    with ThreadingTCPServer(("127.0.0.1", 0), _TrivialHandler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, name="trivial-server", daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
