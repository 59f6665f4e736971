"""Hands requests for services that the engine has not to a partner: moto, or another emulator by its URL.

moto is started at the first such request. It listens on a Unix socket in a private folder, so it is reached
through the engine alone: by the service, region and account that a request was signed for, never by its
own administrative paths, and never for Lambda, SQS and S3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from importlib.util import find_spec
from typing import Final
from urllib.parse import quote, urlsplit

import orjson

from engine.core.function import Account
from engine.ports import Clock
from engine.protocols.aws.router import UNSERVED, CredentialScope, Refuse
from engine.protocols.aws.signing import MADE_UP, signed
from engine.protocols.http.client import MAX_ANSWER_BYTES, HttpClientError, HttpConnection, Response
from engine.protocols.http.message import SERVER_HEADERS, Request, header_block
from engine.services.partner.declared import Declaration, DeclaredResources
from engine.services.partner.moto_process import MotoProcess, PartnerFailed

MOTO: Final = "moto"
NONE: Final = "none"

_FAILED_STATUS: Final = 424
"""Failed Dependency: SDKs send 5xx again, which would hide that what the partner kept is lost."""
_FAILED_CODE: Final = "PartnerFailed"
_UNSERVED_HEADER: Final = b"x-engine-unserved"
_ANSWER_S: Final = 900.0
_CONNECT_S: Final = 10.0
_HOP_BY_HOP: Final = frozenset({*SERVER_HEADERS, "expect", "proxy-authorization", "te", "trailer"})
_SAFE: Final = "".join(map(chr, range(0x21, 0x7F)))
_NO_PARTNER: Final = "the engine has no partner, and no endpoint_url says where else it is"
_NOT_INSTALLED: Final = f"{_NO_PARTNER}: pip install 'invocation-engine[aws]' gives it moto"
_INSTALL: Final = " pip install 'invocation-engine[aws]' has moto answer for it."


@cache
def is_installed() -> bool:
    """Whether the extra `aws` is there, as it was when that was first asked."""
    return find_spec("moto") is not None and find_spec("flask") is not None


class Partner:
    """`handle` answers requests that are no service's of the engine.

    Attributes:
        starts: How often moto was started: what it kept before is lost.
    """

    def __init__(
        self,
        setting: str | None,
        account: Account,
        endpoint_url: str | None,
        *,
        clock: Clock,
        spawn: Callable[..., object],
        say: Callable[[str], None],
        declared: Iterable[Declaration] = (),
    ) -> None:
        """Nothing is started yet.

        Args:
            setting: `moto`, `none`, or the URL of an emulator; None for moto where it is installed.
            account: Whose account id moto answers for.
            endpoint_url: Of the engine's listener for AWS clients, for services inside moto.
            clock: Of the requests that the engine signs itself.
            spawn: Starts a coroutine function with its arguments.
            say: Takes a line for whoever runs the engine.
            declared: What is made in it before it answers anything else.
        """
        self._setting, self._account, self._endpoint_url = setting, account, endpoint_url
        self._clock, self._spawn, self._say = clock, spawn, say
        self._moto: MotoProcess | None = None
        self._lost = ""
        self.starts = 0
        self._declared = DeclaredResources(declared, say)

    def handle(self, request: Request, scope: CredentialScope, refuse: Refuse) -> None:
        """Answer `request`, now or later; by `refuse` what nobody serves."""
        setting = self.answers_for
        if setting is None:
            refuse(request, scope, 501, UNSERVED, _unserved(scope, "" if self._setting else _INSTALL))
        else:
            self._spawn(self._exchange, request, scope, refuse, setting)

    def close(self) -> None:
        """End moto, if it runs. Blocks for a moment."""
        if self._moto is not None:
            self._moto.close()

    @property
    def answers_for(self) -> str | None:
        """`moto` or the URL of the emulator; None if there is no partner."""
        setting = self._setting or (MOTO if is_installed() else NONE)
        return None if setting == NONE else setting

    async def ask(
        self,
        service: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        most_bytes: int,
        timeout_s: float,
    ) -> Response:
        """What the partner answers to a POST of the engine's own, signed for `service`, within `timeout_s`.

        Raises:
            PartnerFailed: There is none, it could not be started, or what it kept is lost: it has ended.
            HttpClientError: It did not answer, or with more than `most_bytes`.
        """
        setting = self.answers_for
        if setting is None:
            raise PartnerFailed(_NO_PARTNER if self._setting else _NOT_INSTALLED)
        return await self._sent(setting, service, "POST", "/", headers, body, most_bytes, timeout_s)

    async def _exchange(self, request: Request, scope: CredentialScope, refuse: Refuse, setting: str) -> None:
        target = quote(request.target.decode("latin-1"), safe=_SAFE, encoding="latin-1")
        headers = _passed_on(request, scope)
        try:
            answer = await self._sent(setting, scope.service, request.method, target, headers, request.body)
        except PartnerFailed as error:
            refuse(request, scope, _FAILED_STATUS, _FAILED_CODE, f"{error}.")
        except HttpClientError as error:
            if self._moto is not None:
                await self._moto.wait_end()
            how, self._lost = self._lost or f"the partner failed: {error}", ""
            refuse(request, scope, _FAILED_STATUS, _FAILED_CODE, f"{how}.")
        except ValueError as error:
            refuse(request, scope, 400, "BadRequestException", str(error))
        else:
            if answer.header(_UNSERVED_HEADER) is not None:
                refuse(request, scope, 501, UNSERVED, _unserved(scope, ""))
            else:
                request.respond(answer.status, _head_of(answer), answer.body)

    async def _sent(
        self,
        setting: str,
        service: str,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        most_bytes: int = MAX_ANSWER_BYTES,
        timeout_s: float = _ANSWER_S,
    ) -> Response:
        connection = await self._to(setting, service, most_bytes)
        try:
            await self._declared.make(self.starts, partial(self._make, setting))
            return await connection.request(method, target, headers, body, timeout_s=timeout_s)
        finally:
            connection.close()

    async def _make(self, setting: str, one: Declaration) -> Response:
        """The answer to a request by which something is made."""
        body, region = orjson.dumps(one.members), self._account.region
        headers = signed(
            [("Content-Type", one.content_type), ("X-Amz-Target", one.target)],
            body,
            host=f"{one.service}.{region}.amazonaws.com",
            service=one.service,
            region=region,
            credentials=MADE_UP,
            wall_s=self._clock.wall(),
        )
        connection = await self._to(setting, one.service, MAX_ANSWER_BYTES)
        try:
            return await connection.request("POST", "/", headers, body, timeout_s=_CONNECT_S)
        finally:
            connection.close()

    async def _to(self, setting: str, service: str, most_bytes: int) -> HttpConnection:
        if setting == MOTO:
            return await self._to_moto(service, most_bytes)
        return await _to_server(setting, most_bytes)

    async def _to_moto(self, service: str, most_bytes: int) -> HttpConnection:
        """A connection to moto, which is started, for `service`, if it does not run.

        Raises:
            PartnerFailed: It cannot be started; or it has ended since, which is told to one caller.
        """
        if self._lost:
            how, self._lost = self._lost, ""
            raise PartnerFailed(how)
        if self._moto is None or not self._moto.is_alive:
            self._moto = MotoProcess(self._account.account_id, self._endpoint_url, self._has_ended)
            self.starts += 1
            self._say(f"partner: moto starts, for {service!r}; what it keeps ends with the engine")
        moto = self._moto
        await moto.wait_ready()
        return await HttpConnection.open_unix(moto.socket, "moto", _CONNECT_S, max_answer_bytes=most_bytes)

    def _has_ended(self, how: str) -> None:
        self._lost = f"{how}: what it kept is lost; it starts anew with the next request"
        self._say(f"partner: {self._lost}")


_ELSEWHERE: Final = (
    "For a function that needs it: `endpoint_url = false` leaves AWS's own addresses to it, and "
    "AWS_ENDPOINT_URL_<SERVICE> in its `environment` names another server."
)


def _unserved(scope: CredentialScope, hint: str) -> str:
    return f"Neither the engine nor a partner of it serves {scope.service[:64]!r}.{hint} {_ELSEWHERE}"


def _head_of(answer: Response) -> bytes:
    """Its header lines without those of CORS: which pages may read the answer is the listener's to say."""
    found = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers)
    return header_block((name, value) for name, value in found if not _is_left_out(name.lower()))


def _is_left_out(name: str) -> bool:
    return name in _HOP_BY_HOP or name.startswith("access-control-")


def _authorization(key: str, region: str, service: str) -> str:
    """A signature that nobody can check, with a credential scope that says where a request belongs."""
    credential = f"{key}/20260101/{region}/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"


async def _to_server(url: str, most_bytes: int) -> HttpConnection:
    parts = urlsplit(url)
    return await HttpConnection.open(
        parts.hostname or "", parts.port or 80, _CONNECT_S, max_answer_bytes=most_bytes
    )


def _passed_on(request: Request, scope: CredentialScope) -> list[tuple[str, str]]:
    """The request's headers, with one credential scope: the one that the engine has read.

    A signature is passed on as it came, unless there is none or more than one.
    """
    found = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]
    kept = [(name, value) for name, value in found if name.lower() not in _HOP_BY_HOP]
    signatures = [value for name, value in kept if name.lower() == "authorization"]
    own = f"/{scope.region}/{scope.service}/aws4_request"
    if len(signatures) == 1 and signatures[0].partition(",")[0].endswith(own):
        return kept
    key = scope.account or "test"
    made = _authorization(key, scope.region or "us-east-1", scope.service)
    return [
        *((name, value) for name, value in kept if name.lower() != "authorization"),
        ("Authorization", made),
    ]
