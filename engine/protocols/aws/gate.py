"""Checks requests of the endpoint for AWS clients: refuses pages of other sites, and answers preflights.

Source: Fetch Standard, "CORS protocol" and "CORS-safelisted request-header" (what a page may send without
being asked for its origin). AWS's own APIs answer preflights, and let pages of any origin read their answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from engine.protocols.aws.router import ACCESS_DENIED, AwsRouter, CredentialScope
from engine.protocols.http.cors import Cors, preflight_of
from engine.protocols.http.message import Request
from engine.protocols.http.request_gate import GateRefusal, Marks, RequestGate, is_browser, marks_of

_SIMPLE_TYPES: Final = ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
"""Media types of bodies that a page can send without being asked for its origin."""
_HARMLESS: Final = b"x-content-type-options: nosniff\r\ncontent-security-policy: sandbox\r\n"
"""What lies in buckets has this listener's origin: nothing of it may run as a page of ours."""
_EXPOSED: Final = (
    *("x-amzn-requestid", "x-amzn-errortype", "x-amzn-query-error", "x-amz-function-error"),
    *("x-amz-executed-version", "x-amz-log-result", "date"),
)
_REMEMBER_S: Final = 600


class Buckets(Protocol):
    """What of S3 is asked here."""

    def is_for_bucket(self, request: Request) -> bool:
        """Whether it names a bucket: then S3 answers a preflight by that bucket's CORS configuration."""

    def reads_object(self, request: Request) -> bool:
        """Whether it is GetObject or HeadObject."""

    def allows_origin(self, request: Request, origin: str) -> bool:
        """Whether CORS opens it to `origin`: an operation on objects, of buckets whose CORS names that."""


class AwsGate:
    """`handle` is the handler of the aws listener. `reject` is told of each request that is turned away."""

    def __init__(
        self,
        gate: RequestGate,
        endpoint: AwsRouter,
        buckets: Buckets,
        reject: Callable[[str], None],
        handle_url: Callable[[Request], bool] | None = None,
    ) -> None:
        """`handle_url` answers what is sent to the host name of a function URL, and says whether it was."""
        self._gate = gate
        self._passed = gate.passed
        self._endpoint = endpoint
        self._handle = endpoint.handle
        self._buckets = buckets
        self._reject = reject
        self._handle_url = handle_url

    def handle(self, request: Request) -> None:
        """Answer `request`, now or later. Never raises for a bad one."""
        if self._passed(request.head):
            self._handle(request)
        elif (scope := self._endpoint.plain_scope(request, self._gate)) is not None:
            self._endpoint.pass_on(request, scope)
        else:
            self._look(request)

    def _look(self, request: Request) -> None:
        if self._handle_url is not None and self._handle_url(request):
            return
        marks = marks_of(request)
        refusal = self._gate.judge(marks)
        scope = self._endpoint.scope(request)
        if refusal is not None and not self._is_allowed(request, scope, refusal):
            self._reject("forbidden")
            code = ACCESS_DENIED if refusal.status == 403 else "BadRequestException"
            self._endpoint.refuse(request, scope, refusal.status, code, refusal.message)
            return
        if not (marks.origins or marks.site or is_browser(marks.agent)):
            self._handle(request)
            return
        request.add_to_answer(_HARMLESS)
        if scope.service == "s3" and (request.method != "OPTIONS" or self._buckets.is_for_bucket(request)):
            self._handle(request)
        elif not self._shares(request, marks):
            self._handle_api(request, scope)

    def _is_allowed(self, request: Request, scope: CredentialScope, refusal: GateRefusal) -> bool:
        """Whether the bucket it is for takes it all the same."""
        if refusal.final or scope.service != "s3":
            return False
        if refusal.origin is None:
            return self._buckets.reads_object(request)
        return self._buckets.allows_origin(request, refusal.origin)

    def _shares(self, request: Request, marks: Marks) -> bool:
        """Let an allowed page read the answer; whether it was a preflight, which is answered here."""
        if not marks.origins:
            return False
        cors = Cors(origins=marks.origins, headers=("*",), expose=_EXPOSED, max_age_s=_REMEMBER_S)
        preflight = preflight_of(request)
        if preflight is not None:
            request.respond(200, cors.preflight_head(preflight), b"")
            return True
        request.add_to_answer(cors.head(marks.origins[0]))
        return False

    def _handle_api(self, request: Request, scope: CredentialScope) -> None:
        """What a browser sends to an API of JSON documents says that it is one: else a form could send it."""
        is_json = scope.service == "lambda" or request.header(b"x-amz-target") is not None
        kind = (request.header(b"content-type") or b"").partition(b";")[0].strip().lower().decode("latin-1")
        if is_json and request.body and kind in _SIMPLE_TYPES:
            self._reject("forbidden")
            message = f"This API takes no {kind or 'body without a type'} from a browser: send JSON as such."
            self._endpoint.refuse(request, scope, 415, "UnsupportedMediaTypeException", message)
        else:
            self._handle(request)
