"""Webhooks: notifications that other stores, or AWS, send become events here.

POST what MinIO, Ceph RGW, SeaweedFS, Amazon SNS or EventBridge send to `/_intake/s3`. The answer is 200 once
every event is with the engine, and 503 before that, so that a sender that repeats loses nothing; parts of a
notification may then come twice. HEAD and GET answer 200, for senders that look first.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

import orjson

from engine.errors import NotAccepting
from engine.ports import Host, Offload
from engine.protocols.aws.router import CredentialScope
from engine.protocols.http.message import Request
from engine.services.s3.notification_records import NotificationRecords
from engine.services.s3.notifier import Notifier
from engine.sources.s3.webhook_shapes import UnknownShape, records_of

_log = logging.getLogger("engine.s3")

WEBHOOKS_PATH: Final = b"/_intake/s3"
"""No bucket can be named so."""
_MAX_BYTES: Final = 2 * 1024 * 1024
_JSON: Final = b"content-type: application/json\r\n"
_SNS_HOST: Final = re.compile(r"sns\.[a-z0-9-]{1,40}\.amazonaws\.com(\.cn)?")
_CONFIRM_WITHIN_S: Final = 10.0

Fetch = Callable[[str], Awaitable[None]]
"""Gets a URL; raises OSError if that fails."""


class Webhooks:
    """`handle` answers requests for `WEBHOOKS_PATH` and passes all others on.

    Signatures of SNS are not checked: what keeps strangers out is the token, which a sender shows as
    `Authorization: Bearer TOKEN` or `TOKEN` alone, as the password of `https://x:TOKEN@host/...`, or as
    `?token=TOKEN`. Subscriptions are confirmed at hosts of Amazon SNS, or at those named, and nowhere else.

    Args:
        notifier: Notifies functions and queues.
        records: Fills in what senders leave out.
        host: Its `reject` counts requests that are rejected.
        others: Answers requests for any other path: the service `s3`.
        spawn: Starts what goes on after a request was taken.
        fetch: Gets the URL that confirms a subscription.
        token: What senders must show, if anything.
        confirm_hosts: Hosts besides those of SNS.
    """

    def __init__(
        self,
        notifier: Notifier,
        records: NotificationRecords,
        host: Host,
        others: Callable[[Request, CredentialScope], None],
        *,
        spawn: Callable[..., object],
        fetch: Fetch,
        token: str | None = None,
        confirm_hosts: tuple[str, ...] = (),
    ) -> None:
        self._notifier = notifier
        self._records = records
        self._reject = host.reject
        self._others = others
        self._spawn = spawn
        self._fetch = fetch
        self._token = token
        self._confirm_hosts = frozenset(confirm_hosts)

    def handle(self, request: Request, scope: CredentialScope) -> None:
        """Answer once, now or later. Never raises for a bad request."""
        if request.target.partition(b"?")[0] == WEBHOOKS_PATH:
            self._receive(request)
        else:
            self._others(request, scope)

    def _receive(self, request: Request) -> None:
        if not self._is_authorized(request):
            _answer(request, 403, "the token is missing or wrong")
        elif request.method in ("GET", "HEAD"):
            _answer(request, 200, None)
        elif request.method != "POST":
            _answer(request, 405, f"{request.method} is not for notifications: POST them")
        elif request.too_large or len(request.body) > _MAX_BYTES:
            self._reject("payload_too_large")
            _answer(request, 413, f"more than {_MAX_BYTES} bytes")
        else:
            self._collect(request)

    def _collect(self, request: Request) -> None:
        try:
            document = orjson.loads(request.body)
            kind = document.get("Type") if isinstance(document, dict) else None
            if kind == "SubscriptionConfirmation":
                self._spawn(self._confirm, request, self._confirmable(document.get("SubscribeURL")))
                return
            if kind != "UnsubscribeConfirmation":
                for record in list(records_of(document, self._records, request.peer)):
                    self._notifier.forward(record)
        except (UnknownShape, orjson.JSONDecodeError) as error:
            self._reject("invalid_payload")
            _answer(request, 400, str(error))
        except NotAccepting as error:
            self._reject("not_accepting")
            _answer(request, 503, str(error))
        else:
            _answer(request, 200, None)

    async def _confirm(self, request: Request, url: str) -> None:
        try:
            await self._fetch(url)
        except OSError as error:
            _log.warning("the subscription at %s could not be confirmed: %s", urlsplit(url).hostname, error)
            _answer(request, 502, "the subscription could not be confirmed")
        except Exception:  # what a server answers can be anything; and a bug of ours is loud  # noqa: BLE001
            _log.exception("the subscription at %s could not be confirmed", urlsplit(url).hostname)
            _answer(request, 500, "internal error")
        else:
            _answer(request, 200, None)

    def _confirmable(self, url: Any) -> str:
        """The URL. Raises UnknownShape if its host is not allowed: senders are not authenticated."""
        try:
            parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
            name, scheme = parts.hostname or "", parts.scheme
        except ValueError:
            name = scheme = ""
        ours = name in self._confirm_hosts and scheme in ("http", "https")
        if not ours and not (scheme == "https" and _SNS_HOST.fullmatch(name)):
            raise UnknownShape(f"SubscribeURL is not at a host of Amazon SNS: {name[:100]!r}")
        assert isinstance(url, str)
        return url

    def _is_authorized(self, request: Request) -> bool:
        if self._token is None:
            return True
        sent = (request.header(b"authorization") or b"").decode("latin-1")
        kind, _, rest = sent.partition(" ")
        shown = [sent, rest if kind.lower() == "bearer" else ""]
        if kind.lower() == "basic":
            try:
                shown.append(base64.b64decode(rest).decode("utf-8", "replace").partition(":")[2])
            except (binascii.Error, ValueError):
                pass
        query = request.target.partition(b"?")[2].decode("latin-1")
        shown += [value for name, value in parse_qsl(query) if name == "token"]
        wanted = self._token.encode()
        return any(hmac.compare_digest(token.encode("utf-8", "replace"), wanted) for token in shown)


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Reject redirects: they could lead to any host."""


def fetching(offload: Offload) -> Fetch:
    """Returns a function that gets a URL by the standard library, on a worker thread."""

    async def fetch(url: str) -> None:
        await offload(partial(_get, url))

    return fetch


def _get(url: str) -> None:
    opener = build_opener(_NoRedirect())
    with opener.open(url, timeout=_CONFIRM_WITHIN_S) as answer:  # the caller vouches for the URL
        answer.read(65_536)


def _answer(request: Request, status: int, problem: str | None) -> None:
    body = b"{}" if problem is None else orjson.dumps({"error": problem})
    request.respond(status, _JSON, body)
