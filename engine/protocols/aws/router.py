"""One endpoint for many AWS services: tells which service a request is for, and hands it on.

Source: AWS General Reference, "Signature Version 4" (credential scope); Amazon SQS Developer Guide,
"Making API requests" (`X-Amz-Target`, `Action`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

import orjson

from engine.protocols.aws.xml_text import escape
from engine.protocols.http.header_cache import HeaderCache
from engine.protocols.http.message import Request
from engine.protocols.http.request_gate import RequestGate

_log = logging.getLogger("engine.protocols")

_MAX_NAMES: Final = 1024
_MAX_NAME_BYTES: Final = 64
_MAX_SCOPES: Final = 1024
_MAX_URLS: Final = 4096
_MAX_URL_BYTES: Final = 256
_MAX_CREDENTIAL_BYTES: Final = 512

AUTHORIZATION: Final = 1
TARGET: Final = 2
HOST: Final = 3
AGENT: Final = 4
_WANTED: Final = (b"authorization", b"x-amz-target", b"host", b"user-agent")
_OF_BROWSERS: Final = (b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest")

_QUERY_CREDENTIAL: Final = re.compile(rb"[?&]X-Amz-Credential=([^&]*)")
_QUERY_ACTION: Final = re.compile(rb"[?&]Action=[A-Za-z]")
_FORM_ACTION: Final = re.compile(rb"(?:^|&)Action=[A-Za-z]")
_API_VERSION_PATH: Final = re.compile(rb"/20\d\d-\d\d-\d\d/")
_QUEUE_PATH: Final = re.compile(rb"/\d{12}/[A-Za-z0-9_.-]{1,80}/?(?:\?|$)")
_EMULATOR: Final = {b"/health": "GET", b"/start-durable-execution": "POST"}
"""What SAM CLI asks an emulator of durable functions, and how; no form sent to a bucket is of JSON."""
_FORM_BYTES: Final = 65_536  # of a form are looked at
_ACCOUNT: Final = re.compile(r"\d{12}", re.ASCII)
_TARGETS: Final = {
    b"AWSEvents": "events",
    b"AWSStepFunctions": "states",
    b"AmazonSQS": "sqs",
    b"AmazonSSM": "ssm",
    b"DynamoDBStreams_20120810": "dynamodb",
    b"DynamoDB_20120810": "dynamodb",
    b"Kinesis_20131202": "kinesis",
    b"Logs_20140328": "logs",
    b"TrentService": "kms",
}
"""The prefix of `X-Amz-Target` to the name used in credential scopes, where the two differ."""
_QUERY_VERSION: Final = re.compile(rb"(?:^|[?&])Version=([0-9-]{10})")
_VERSIONS: Final = {b"2010-03-31": "sns", b"2010-05-08": "iam", b"2011-06-15": "sts"}
"""Version of a Query API to the name used in credential scopes; any other is SQS's."""
_FAILURE: Final = "InternalFailure"
_FAILURES: Final = {"lambda": "ServiceException", "s3": "InternalError"}
_REST_XML: Final = frozenset({"s3", "s3control", "route53", "cloudfront"})


class CredentialScope(NamedTuple):
    """What the caller signed for. Signatures are not checked: any key is taken for a good one.

    Attributes:
        service: `lambda`, `sqs`, `s3`, ...; told from the request's shape if it is not signed.
        region: As signed; None if unsigned, or signed for several regions (SigV4A).
        account: The access key id if that is 12 digits, a custom of local AWS endpoints; else None.
    """

    service: str
    region: str | None = None
    account: str | None = None


_LAMBDA: Final = CredentialScope("lambda")
_SQS: Final = CredentialScope("sqs")
_S3: Final = CredentialScope("s3")

Refuse = Callable[[Request, CredentialScope, int, str, str], None]
"""Answers with an error in the protocol that the caller speaks: status, code, message."""

Handler = Callable[[Request, CredentialScope], None]
"""Answers the request once, now or later, and names it by `x-amzn-requestid`. Raises only by a bug."""


class FieldNames(dict[bytes, int]):
    """Header name, in any spelling, to the number of the field it is (from 1), or 0 for no wanted one.

    It learns the spellings clients use, up to a bound, so that one look-up a header is enough.
    """

    def __init__(self, *wanted: bytes) -> None:
        """`wanted` are names in lower case; their fields are numbered in this order."""
        super().__init__()
        self._wanted = {name: number for number, name in enumerate(wanted, 1)}

    def __missing__(self, name: bytes) -> int:
        field = self._wanted.get(name.lower(), 0)
        if len(self) < _MAX_NAMES and len(name) <= _MAX_NAME_BYTES:
            self[name] = field
        return field


class AwsRouter:
    """Routes requests to services: by credential scope, then `X-Amz-Target` or `Action`, then path.

    An unsigned request with a path like `/2015-03-31/...` is Lambda's, and so is one that SAM CLI sends to an
    emulator of durable functions; one like `/<12 digits>/<name>` is SQS's, any other S3's.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        new_request_id: Callable[[], str],
        others: Callable[[Request, CredentialScope, Refuse], None] | None = None,
    ) -> None:
        """`handlers`: what answers for each service, by the name used in credential scopes.

        `others` answers for all other services, and is given what refuses a request in the protocol that its
        caller speaks; None: they are refused.
        """
        self._handlers = dict(handlers)
        self._others = others
        self._lambda = self._handlers.get("lambda", self._refuse)
        self._new_request_id = new_request_id
        self._names = FieldNames(*_WANTED, *_OF_BROWSERS)
        self._scopes: dict[bytes, CredentialScope] = {}
        self._lambda_urls: set[bytes] = set()
        self._plain = HeaderCache[bool]()  # heads with neither a signature nor a target

    def handle(self, request: Request) -> None:
        """Answer `request`, by its service's handler if there is one. Never raises for a bad request."""
        if request.target in self._lambda_urls and self._plain.get(request.head):
            try:
                self._lambda(
                    request, _LAMBDA
                )  # seen before, signature or none: all that can be told is known
            except Exception:  # a bug of ours  # noqa: BLE001
                self._failed(request, _LAMBDA)
            return
        self.pass_on(request, self.scope(request))

    def pass_on(self, request: Request, scope: CredentialScope) -> None:
        """Answer a request whose scope is known, by its service's handler if there is one."""
        handler = self._handlers.get(scope.service, self._other)
        try:
            handler(request, scope)
        except Exception:  # a bug of ours  # noqa: BLE001
            self._failed(request, scope)

    def scope(self, request: Request) -> CredentialScope:
        """Return the service, region and account that the request is for."""
        if self._plain.get(request.head):
            return self._unsigned(request, b"")
        names = self._names
        target = b""
        for name, value in request.headers:
            field = names[name]
            if field == AUTHORIZATION:
                credential = value.partition(b",")[0]
                scope = self._scopes.get(credential) or self._signed(credential)
                if scope is not None:
                    return scope
            elif field == TARGET:
                target = value
        if not target:
            self._plain.keep(request.head, value=True)
        return self._unsigned(request, target)

    def plain_scope(self, request: Request, gate: RequestGate) -> CredentialScope | None:
        """The same, if a program sent it to a name of ours; None if `gate` has more to look at.

        One pass over the headers for both: those of signed requests are never the same.
        """
        scope, target, hosts = None, b"", 0
        names = self._names
        for name, value in request.headers:
            field = names[name]
            if not field:
                continue
            if field == AUTHORIZATION:
                if scope is None:
                    credential = value.partition(b",")[0]
                    scope = self._scopes.get(credential) or self._signed(credential)
            elif field == TARGET:
                target = value
            elif field == HOST and gate.knows(value):
                hosts += 1
            elif field != AGENT or value.startswith(b"Mozilla/"):
                return None
        if hosts != 1:
            return None
        if scope is not None:
            return scope
        gate.remember(request.head)
        if not target:
            self._plain.keep(request.head, value=True)
        return self._unsigned(request, target)

    def _signed(self, credential: bytes) -> CredentialScope | None:
        """From an `Authorization` header up to its first comma: that is remembered."""
        algorithm, _, value = credential.partition(b"Credential=")
        scope = _parse_credential(value.rstrip(), regional=b"ECDSA" not in algorithm)
        if scope is not None and len(credential) <= _MAX_CREDENTIAL_BYTES:
            if len(self._scopes) >= _MAX_SCOPES:
                self._scopes.clear()  # scopes carry the day: the old ones are never seen again
            self._scopes[credential] = scope
        return scope

    def _unsigned(self, request: Request, target: bytes) -> CredentialScope:
        """From the shape of a request without a signature of version 4, or with one in its query."""
        url = request.target
        if not target and url in self._lambda_urls:
            return _LAMBDA  # none of what follows could change it
        if b"?" in url and (found := _QUERY_CREDENTIAL.search(url)) is not None:
            scope = _parse_credential(unquote_to_bytes(found[1]), regional=True)
            if scope is not None:
                return scope
        if target:
            prefix = target.partition(b".")[0]
            return CredentialScope(_TARGETS.get(prefix) or prefix.decode("latin-1"))
        if _is_query(request):
            return _query_scope(request)
        if _API_VERSION_PATH.match(url):
            if b"?" not in url and len(url) <= _MAX_URL_BYTES and len(self._lambda_urls) < _MAX_URLS:
                self._lambda_urls.add(url)
            return _LAMBDA
        if _EMULATOR.get(url) == request.method:
            return _LAMBDA
        return _SQS if _QUEUE_PATH.match(url) else _S3

    def _failed(self, request: Request, scope: CredentialScope) -> None:
        """500, with the code that the service has for it; called while the exception is handled."""
        _log.exception("the handler of %r failed", request)
        code = _FAILURES.get(scope.service, _FAILURE)
        self.refuse(request, scope, 500, code, "The engine has failed; its log says how.")

    def _other(self, request: Request, scope: CredentialScope) -> None:
        if self._others is None:
            self._refuse(request, scope)
        else:
            self._others(request, scope, self.refuse)

    def _refuse(self, request: Request, scope: CredentialScope) -> None:
        """501: there is no such service here."""
        served = ", ".join(sorted(self._handlers)) or "nothing"
        message = _NOT_SERVED.format(scope.service[:64], served)
        self.refuse(request, scope, 501, UNSERVED, message)

    def refuse(self, request: Request, scope: CredentialScope, status: int, code: str, message: str) -> None:
        """Answer with an error in the protocol the caller speaks: JSON 1.x, Query, REST-XML or REST-JSON."""
        request_id = self._new_request_id()
        kind, body = _error(request, scope.service, code, message, request_id)
        head = (
            f"Content-Type: {kind}\r\nx-amzn-RequestId: {request_id}\r\nx-amzn-ErrorType: {code}\r\n"
        ).encode()
        request.respond(status, head, body)


def _is_query(request: Request) -> bool:
    """Whether it speaks the Query protocol: an `Action` in the query, or in a form sent to `/` or a queue."""
    target = request.target
    if b"?" in target and _QUERY_ACTION.search(target):
        return True
    if request.method != "POST" or not (target == b"/" or _QUEUE_PATH.match(target)):
        return False
    return _FORM_ACTION.search(request.body[:_FORM_BYTES]) is not None


def _query_scope(request: Request) -> CredentialScope:
    """Of a request of the Query protocol that is not signed, such as STS's AssumeRoleWithWebIdentity."""
    version = _QUERY_VERSION.search(request.target) or _QUERY_VERSION.search(request.body[:_FORM_BYTES])
    service = None if version is None else _VERSIONS.get(version[1])
    return _SQS if service is None else CredentialScope(service)


_NOT_SERVED: Final = (
    "This endpoint does not serve {!r}; it serves {}. For a function that needs it: "
    "`endpoint_url = false` leaves AWS's own addresses to it, and "
    "AWS_ENDPOINT_URL_<SERVICE> in its `environment` names another server."
)

ACCESS_DENIED: Final = "AccessDeniedException"
UNSERVED: Final = "NotImplementedException"
"""Error code for services and operations that AWS has and this engine has not. SDKs do not retry 501."""


def _parse_credential(credential: bytes, *, regional: bool) -> CredentialScope | None:
    """`<key id>/<date>/[<region>/]<service>/aws4_request`; None if it is not of that form."""
    parts = credential.decode("latin-1").rsplit("/", 4 if regional else 3)
    if len(parts) != (5 if regional else 4) or parts[-1] != "aws4_request" or not parts[-2]:
        return None
    key_id, service = parts[0], parts[-2]
    account = key_id if _ACCOUNT.fullmatch(key_id) else None
    return CredentialScope(service, parts[2] if regional else None, account)


def _error(request: Request, service: str, code: str, message: str, request_id: str) -> tuple[str, bytes]:
    """Content type and body. `code` as JSON protocols have it; those of XML leave `Exception` out."""
    short = code if code == UNSERVED else code.removesuffix("Exception")
    ours = code == _FAILURES.get(service, _FAILURE)
    if request.header(b"x-amz-target") is not None:
        sent = request.header(b"content-type")
        kind = "application/x-amz-json-1.1" if sent and b"1.1" in sent else "application/x-amz-json-1.0"
        return kind, orjson.dumps({"__type": code, "message": message})
    if _is_query(request):
        whose = "Receiver" if ours else "Sender"
        error = f"<Type>{whose}</Type><Code>{short}</Code><Message>{_xml_text(message)}</Message>"
        tail = f"<RequestId>{request_id}</RequestId>"
        return "text/xml", f"<ErrorResponse><Error>{error}</Error>{tail}</ErrorResponse>".encode()
    if service in _REST_XML:
        error = f"<Code>{short}</Code><Message>{_xml_text(message)}</Message>"
        text = f"{_XML_DECLARATION}<Error>{error}<RequestId>{request_id}</RequestId></Error>"
        return "application/xml", text.encode()
    key = "Message" if code == ACCESS_DENIED else "message"
    return "application/json", orjson.dumps({"Type": "Server" if ours else "User", key: message})


_XML_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NOT_XML: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def _xml_text(text: str) -> str:
    return escape(_NOT_XML.sub("?", text))
