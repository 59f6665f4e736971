"""The admin listener's answers: /metrics, /healthz, /readyz, /status.json, /nodes.json, /invocations.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import orjson

from engine.ports import Clock
from engine.protocols.http.message import Request, header_block
from engine.protocols.http.request_gate import RequestGate, marks_of
from engine.telemetry.invocations_page import answer_invocations
from engine.telemetry.nodes_page import nodes_pieces
from engine.telemetry.page_formats import Format, choose_format
from engine.telemetry.stats import Stats
from engine.telemetry.status import status_pieces
from engine.telemetry.stepwise_pages import Pieces, StepwisePage

_TEXT = header_block([("content-type", "text/plain; charset=utf-8")])
_JSON = header_block([("content-type", "application/json"), ("cache-control", "no-store")])


class Admin:
    """Answers GET and HEAD requests about one engine."""

    def __init__(
        self,
        stats: Stats,
        clock: Clock,
        is_ready: Callable[[], bool],
        gate: RequestGate,
        *,
        shows_logs: bool,
        pages: Mapping[bytes, Callable[[Request], None]],
    ) -> None:
        """`gate` says whose requests are answered at all; `shows_logs`, whether they get handlers' lines.

        `pages` are others', by path: requests of any method are theirs.
        """
        self._others = pages
        self._gate = gate
        self._stats = stats
        self._now = clock.now
        self._began_s = clock.now()
        self._is_ready = is_ready
        self._write_metrics: Callable[[Format], Pieces] | None = None
        self._metrics_pages = {
            chosen: StepwisePage(
                partial(self._metrics_pieces, chosen),
                header_block([("content-type", chosen.value)]),
                zips=True,
            )
            for chosen in Format
        }
        self._status_page = StepwisePage(self._status_pieces, _JSON)
        self._pages: dict[bytes, Callable[[Request], None]] = {
            b"/metrics": self._metrics,
            b"/healthz": self._healthz,
            b"/readyz": self._readyz,
            b"/status.json": self._status_page.answer,
            b"/nodes.json": StepwisePage(partial(nodes_pieces, stats), _JSON).answer,
            b"/invocations.json": partial(answer_invocations, stats=stats, is_shown=shows_logs),
        }

    def handle(self, request: Request) -> None:
        """Answer `request`."""
        if not self._gate.is_plain(request) and (refusal := self._gate.judge(marks_of(request))) is not None:
            body = orjson.dumps({"message": refusal.message})
            request.respond(refusal.status, _JSON, body)
            return
        path = request.target.partition(b"?")[0]
        page = self._pages.get(path)
        if page is None and (other := self._others.get(path)) is not None:
            other(request)
        elif page is None:
            request.respond(404, _TEXT, b"try " + b", ".join(self._pages) + b"\n")
        elif request.method not in ("GET", "HEAD"):
            request.respond(405, _TEXT + b"allow: GET, HEAD\r\n", b"only GET and HEAD\n")
        else:
            page(request)

    def _metrics(self, request: Request) -> None:
        accept = request.header(b"accept")
        chosen = choose_format(accept.decode("latin-1") if accept else None)
        self._metrics_pages[chosen].answer(request)

    def _healthz(self, request: Request) -> None:
        request.respond(200, _TEXT, b"ok\n")  # that it answers at all is the health

    def _readyz(self, request: Request) -> None:
        if self._is_ready():
            request.respond(200, _TEXT, b"ready\n")
        else:
            request.respond(503, _TEXT, b"draining\n")

    def _metrics_pieces(self, chosen: Format) -> Pieces:
        """The page; what writes it is imported and set up in the first steps of the first page."""
        if self._write_metrics is None:
            from engine.telemetry.exposition import exposition_of

            yield
            self._write_metrics = exposition_of(self._stats).pieces
            yield
        return (yield from self._write_metrics(chosen))

    def _status_pieces(self) -> Pieces:
        return status_pieces(self._stats, uptime_s=self._now() - self._began_s)
