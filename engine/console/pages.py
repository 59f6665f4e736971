"""The console's pages of one engine, by path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson

from engine.app import AwsClient
from engine.app.engine import Engine
from engine.console.actions import JSON_HEAD, Actions
from engine.console.feed import BOUNDS, feed_pieces
from engine.console.static_files import static_pages
from engine.core.function import Function
from engine.protocols.http.message import Request
from engine.telemetry.invocations_page import query_of
from engine.telemetry.label_values import OUTCOMES
from engine.telemetry.stepwise_pages import Pieces, StepwisePage
from engine.version import VERSION

Page = Callable[[Request], None]


def console_pages(engine: Engine, client: AwsClient) -> Mapping[bytes, Page]:
    """What `engine.app.serve` takes as `pages`."""
    return _Console(engine, client).pages()


class _Console:
    """Costs nothing as long as no page is open: everything is made when it is asked for."""

    def __init__(self, engine: Engine, client: AwsClient) -> None:
        self._engine = engine
        self._clock = engine.platform.clock
        self._began_s = self._clock.now()
        self._began_wall_s = self._clock.wall()
        self._full = engine.config.console_is_full
        self._actions = Actions(client, self._clock, allowed=self._full)

    def pages(self) -> dict[bytes, Page]:
        """By path."""
        read = {
            **dict(static_pages()),
            b"/console/session.json": self._session,
            b"/console/feed.json": StepwisePage(self._feed, JSON_HEAD).answer,
            b"/console/function.json": self._function,
        }
        return {**{path: partial(_read, page) for path, page in read.items()}, **self._actions.pages()}

    def _session(self, request: Request) -> None:
        """What stays the same while the engine runs."""
        account = self._engine.config.account
        document = {
            "token": self._actions.token,
            "full": self._full,
            "version": VERSION,
            "region": account.region,
            "began_wall_s": self._began_wall_s,
            "bounds": BOUNDS,
            "outcomes": OUTCOMES,
        }
        request.respond(200, JSON_HEAD, orjson.dumps(document))

    def _feed(self) -> Pieces:
        return feed_pieces(
            self._engine.stats,
            began_wall_s=self._began_wall_s,
            uptime_s=self._clock.now() - self._began_s,
            wall_s=self._clock.wall(),
            phases=list(self._actions.phases),
        )

    def _function(self, request: Request) -> None:
        name = query_of(request).get("function", "")
        function = self._engine.deployments.function(name)
        if function is None:
            request.respond(404, JSON_HEAD, orjson.dumps({"message": f"there is no function {name!r}"}))
            return
        document = _shown(function, self._engine.chosen.get(name))
        if not self._full:
            del document["variables"]
        request.respond(200, JSON_HEAD, orjson.dumps(document))


def _read(page: Page, request: Request) -> None:
    """Answer by `page` what only reads."""
    if request.method in ("GET", "HEAD"):
        page(request)
    else:
        request.respond(405, JSON_HEAD + b"allow: GET, HEAD\r\n", b'{"message": "only GET and HEAD"}')


def _shown(function: Function, executor: str | None) -> dict[str, Any]:
    """Its configuration; of variables the names alone."""
    return {
        "handler": function.handler,
        "executor": executor or function.executor,
        "memory_mb": function.memory_mb,
        "timeout_s": function.timeout_s,
        "durable": function.durable is not None,
        "reserved_concurrency": function.reserved_concurrency,
        "provisioned_concurrency": function.provisioned_concurrency,
        "variables": sorted(function.environment),
        "triggers": [str(event.get("type", "")) for event in function.events],
    }
