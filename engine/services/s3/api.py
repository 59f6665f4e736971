"""S3's API as a handler of the AWS endpoint: each request becomes one operation, and one answer.

Small requests to a store in memory are answered at once, on the event loop. What is large is summed up, and
what lies in files is read and written, on worker threads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from engine.errors import NotAccepting
from engine.ports import Host, Offload
from engine.protocols.aws.router import CredentialScope
from engine.protocols.aws.sent_trace import sent_trace
from engine.protocols.http.cors import preflight_of
from engine.protocols.http.message import Request
from engine.protocols.http.request_gate import OWN_HOSTS
from engine.services.s3.blob_store import Content, read_content, retained
from engine.services.s3.body import KINDS, decoded_length
from engine.services.s3.cors import CorsRule, add_cors_headers
from engine.services.s3.errors import S3Error
from engine.services.s3.names import Hosts
from engine.services.s3.notifier import Notifier
from engine.services.s3.operation_context import HOST_ID, MB, OperationContext, S3Limits, copy_source
from engine.services.s3.operations.control import ACCOUNT_HEADER
from engine.services.s3.presigned import check_expiry
from engine.services.s3.request import XML_HEAD, S3Request, S3Response
from engine.services.s3.routing import S3Operation, find, methods_for_pages
from engine.services.s3.store import Store

_log = logging.getLogger("engine.s3")
_LOG_AGAIN_S: Final = 60.0

Spawn = Callable[..., object]
"""Starts a coroutine function with its arguments, in a task group that outlives the request."""

_SIGNED_QUERY: Final = frozenset({"Signature", "X-Amz-Expires", "X-Amz-Signature"})
_LIGHT_BYTES: Final = 256 * 1024
"""Bodies up to this are summed up on the loop: about 0.5 ms."""
_JOIN_BYTES: Final = 8 * MB


class S3Api:
    """`handle` is what `engine.protocols.aws.router.AwsRouter` calls for the service `s3`.

    Signatures are not checked, as nowhere on this endpoint; presigned URLs and form policies expire all the
    same. Bodies that are larger than the listener takes are refused here, in S3's words.
    `hosts` are further names of this endpoint, for virtual-host addressing.

    Attributes:
        body_limit_bytes: What the listener must take: the largest body that is stored, and its framing.
    """

    def __init__(
        self,
        store: Store,
        notifier: Notifier,
        host: Host,
        *,
        spawn: Spawn,
        offload: Offload,
        limits: S3Limits | None = None,
        hosts: tuple[str, ...] = (),
    ) -> None:
        limits = limits or S3Limits()
        self.body_limit_bytes = limits.put_bytes + limits.put_bytes // 64 + MB
        self._store = store
        self._notifier = notifier
        self._sent_trace = sent_trace(traced=host.tracer is not None)
        self._clock = host.clock
        self._new_request_id = host.new_request_id
        self._spawn = spawn
        self._offload = offload
        self._hosts = Hosts((*OWN_HOSTS, *hosts))
        self._quiet_until_s: dict[int | None, float] = {}  # by errno
        self._context = OperationContext(
            store=store,
            notifier=notifier,
            account=host.account,
            clock=host.clock,
            limits=limits,
            new_rule_id=host.new_request_id,
        )

    def handle(self, request: Request, _scope: CredentialScope) -> None:
        """Answer once, now or later. Never raises for a bad request."""
        long_id = self._new_request_id()
        request_id = (long_id[19:23] + long_id[24:]).upper()
        try:
            call = S3Request(request, self._hosts, request_id)
            if not _SIGNED_QUERY.isdisjoint(call.query):
                check_expiry(call.query, self._clock.wall())
            operation = find(call)
            if "origin" in call.headers and call.method != "OPTIONS":
                add_cors_headers(call, self._cors(call.bucket))
            self._check_size(call)
            if self._store.blob_store.blocks or len(request.body) > _LIGHT_BYTES:
                self._spawn(self._answer_later, call, operation)
            else:
                self._answer_now(call, operation)
        except S3Error as error:
            _refuse(request, error, request_id)

    # --- what the gate before the endpoint asks

    def is_for_bucket(self, request: Request) -> bool:
        """Whether the request names a bucket."""
        call = self._call(request)
        return call is not None and bool(call.bucket)

    def reads_object(self, request: Request) -> bool:
        """Whether the request is GetObject or HeadObject."""
        call = self._call(request)
        try:
            return call is not None and find(call).name in ("GetObject", "HeadObject")
        except S3Error:
            return False

    def allows_origin(self, request: Request, origin: str) -> bool:
        """Whether CORS of the buckets opens `request`, an operation on objects, to `origin`.

        The bucket of the request must name `origin` and take its method; that of a copy's source, GET.
        """
        call = self._call(request)
        if call is None:
            return False
        preflight = preflight_of(request)
        method = preflight.method if preflight is not None else request.method
        methods = methods_for_pages(call, method)
        if not methods or not all(self._opens(call.bucket, origin, allowed) for allowed in methods):
            return False
        header = call.headers.get("x-amz-copy-source")
        if header is None:
            return True
        try:
            source, _, _ = copy_source(header)
        except S3Error:
            return False
        return self._opens(source, origin, "GET")

    def _opens(self, bucket: str, origin: str, method: str) -> bool:
        return any(rule.names(origin) and rule.takes(origin, method) for rule in self._cors(bucket))

    def _call(self, request: Request) -> S3Request | None:
        try:
            return S3Request(request, self._hosts, "")
        except S3Error:
            return None

    def _cors(self, name: str) -> tuple[CorsRule, ...]:
        bucket = self._store.buckets.get(name)
        return bucket.cors if bucket is not None else ()

    # --- answering

    def _answer_now(self, call: S3Request, operation: S3Operation) -> None:
        if operation.prepare is not None:
            work, source, reads_source = operation.prepare(self._context, call)
            if source is not None and reads_source and source.size > _LIGHT_BYTES:
                self._spawn(self._answer_later, call, operation)
                return
            call.prepared = work()
        answer = operation.run(self._context, call)
        if answer.events:
            self._notify(call, answer)
        body = answer.body
        if isinstance(body, Content):
            if body.size > _JOIN_BYTES and len(body.pieces) > 1 and call.method != "HEAD":
                self._spawn(self._answer_later, call, operation, answer)
                return
            body = _zeros(body.size) if call.method == "HEAD" else body.read()
        self._send(call, answer, body)

    def _check_size(self, call: S3Request) -> None:
        """Raise S3Error if the body was too large to be read, or is larger than one object or part may be."""
        is_framed = call.headers.get("x-amz-content-sha256") in KINDS
        size = decoded_length(call.headers) if is_framed else len(call.request.body)
        size, max_size = call.request.too_large or size, self._context.limits.put_bytes
        if call.request.too_large or size > max_size:
            details = {"ProposedSize": str(size), "MaxSizeAllowed": str(max_size)}
            raise S3Error("EntityTooLarge", details=details)

    async def _answer_later(
        self, call: S3Request, operation: S3Operation, done: S3Response | None = None
    ) -> None:
        """The same in steps: prepare on a thread, run, flush the changes, notify, read on a thread.

        `done`: the answer of an operation that has run; only the reading is left.
        """
        try:
            answer = done
            if answer is None:
                answer = await self._perform(call, operation)
                self._notify(call, answer)
            body = answer.body
            if isinstance(body, Content):
                is_head = call.method == "HEAD"
                blob_store = self._store.blob_store
                body = _zeros(body.size) if is_head else await read_content(blob_store, self._offload, body)
            self._send(call, answer, body)
        except S3Error as error:
            _refuse(call.request, error, call.request_id)
        except OSError as error:
            self._log_disk_error(error)
            _refuse(call.request, S3Error("InternalError"), call.request_id)
        except Exception:  # noqa: BLE001  # a bug of ours: loud, but no end of the whole task group
            _log.exception("%s of %s/%s failed", operation.name, call.bucket, call.key)
            _refuse(call.request, S3Error("InternalError"), call.request_id)

    def _log_disk_error(self, error: OSError) -> None:
        """Log the error, each errno at most once a minute: while it lasts, every request fails."""
        now_s = self._clock.now()
        if now_s >= self._quiet_until_s.get(error.errno, now_s):
            self._quiet_until_s[error.errno] = now_s + _LOG_AGAIN_S
            _log.error("the object store cannot read or write its files: %s", error)

    async def _perform(self, call: S3Request, operation: S3Operation) -> S3Response:
        if operation.prepare is None:
            answer = operation.run(self._context, call)
        else:
            work, source, _ = operation.prepare(self._context, call)
            with retained(self._store.blob_store, source):
                call.prepared = await self._offload(work)
                # A new blob that no version came to use is removed at the end of the block.
                with retained(self._store.blob_store, call.prepared.content):
                    answer = operation.run(self._context, call)
        if operation.changes:
            await self._store.blob_store.flushed()
        return answer

    def _notify(self, call: S3Request, answer: S3Response) -> None:
        bucket = self._store.buckets.get(call.bucket)
        if bucket is None:
            return
        trace = self._sent_trace(call.request)
        try:
            for event in answer.events:
                self._notifier.notify_targets(bucket, event, trace)
        except NotAccepting:  # the engine stops: the client is to try again, which notifies again
            raise S3Error("ServiceUnavailable") from None

    def _send(self, call: S3Request, answer: S3Response, body: bytes) -> None:
        call.request.respond(answer.status, _ids(call.request_id) + answer.head, body)


def _zeros(size: int) -> bytes:
    """Zeros of the length of the answer to HEAD: untouched pages, which take no memory."""
    try:
        return bytes(size)
    except MemoryError:
        raise S3Error("NotImplemented", f"HEAD of an object of {size} bytes on this machine.") from None


def _ids(request_id: str) -> bytes:
    return b"x-amz-request-id: %b\r\nx-amz-id-2: %b\r\n" % (request_id.encode(), HOST_ID.encode())


def _refuse(request: Request, error: S3Error, request_id: str) -> None:
    bodiless = request.method == "HEAD" or error.status == 304
    of_control = request.header(ACCOUNT_HEADER.encode()) is not None
    body = b"" if bodiless else error.body(request_id, HOST_ID, of_control=of_control)
    head = _ids(request_id) + error.headers + (b"" if error.status == 304 else XML_HEAD)
    request.respond(error.status, head, body)
