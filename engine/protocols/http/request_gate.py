"""Which requests a listener takes at all: those of programs, and of web pages that are the user's own.

A page of any site can have the browser send requests to a listener on this machine, by a form, an image or a
script (CSRF), and can point a name of its own at this machine to pass for the same site (DNS rebinding).
Browsers say where a request comes from, in `Origin` and `Sec-Fetch-*`; pages can change neither, nor `Host`.

Sources: Fetch Standard, "Origin header" and "CORS protocol"; W3C, "Fetch Metadata Request Headers"; W3C,
"Upgrade Insecure Requests" section 3.2.1 (sent with navigations, in tabs and in frames; no script can add it
unasked); RFC 9110 section 7.2 and RFC 9112 section 3.2 (Host); RFC 6761 section 6.3 (`localhost.`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from engine.protocols.http.header_cache import MAX_HEADS, HeaderCache
from engine.protocols.http.message import Request

OWN_HOSTS: Final = ("localhost", "s3.localhost", "s3.localhost.localstack.cloud", "host.docker.internal")
"""Names the listeners are called by, besides addresses. What stands before one is a name of theirs too."""

_OF_URLS: Final = ".lambda-url."
_MAX_VALUES: Final = 1024
_MAX_VALUE_BYTES: Final = 512
_MAX_PORT: Final = 65_535
_AUTHORITY: Final = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,254})(?::([0-9]{0,5}))?")
_ORIGIN: Final = re.compile(r"(https?)://([^/?#@\\\s]+)")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_REGION: Final = r"[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}"
_AWS_NAME: Final = re.compile(
    rf"(?:[a-z0-9-]+\.{_REGION}|(?:{_REGION}\.)?[a-z0-9-]+|[a-z0-9-]+\.execute-api\.{_REGION}"
    rf"|(?:.+\.)?s3(?:[.-](?:dualstack\.)?[a-z0-9-]+)?)\.amazonaws\.com(?:\.cn)?"
    rf"|[a-z0-9-]+\.lambda-url\.{_REGION}\.on\.aws|[a-z0-9-]+\.{_REGION}\.api\.aws"
)
"""Endpoints of services, APIs, function URLs and buckets; not the names of customers' machines at AWS."""


class Authority(NamedTuple):
    """Host and port as `Host` and origins have them: the name in lower case, without a dot at its end."""

    name: str
    port: str


class GateRefusal(NamedTuple):
    """Why a request is refused.

    Attributes:
        status: 403, or 400 for a `Host` that cannot be.
        message: One sentence for whoever reads the answer.
        origin: The foreign `Origin`: a resource whose CORS configuration names it takes the request all the
            same. None if there is none.
        final: Whether no resource may take it: it is about `Host`.
    """

    status: int
    message: str
    origin: str | None = None
    final: bool = False


class Marks(NamedTuple):
    """What the rule looks at of a request, as sent.

    Attributes:
        method: GET, POST, ...
        version: `1.1` or `1.0`.
        hosts, origins: The values of all headers of that name.
        site, mode, dest: `Sec-Fetch-Site`, `-Mode` and `-Dest`; empty if absent.
        referer: `Referer`, which a page can leave out and cannot make up.
        agent: `User-Agent`.
        opens: Whether the browser wants to show the answer as a page: `Upgrade-Insecure-Requests: 1`, and
            HTML first in `Accept`.
        signed: Whether there is an AWS signature in `Authorization`, which a page cannot add unasked.
    """

    method: str
    version: str
    hosts: tuple[str, ...]
    origins: tuple[str, ...] = ()
    site: str = ""
    mode: str = ""
    dest: str = ""
    referer: str = ""
    agent: str = ""
    opens: bool = False
    signed: bool = False


class RequestGate:
    """The rule for one listener. `judge` decides by what it is given alone, and changes nothing.

    Args:
        bound: The address or name it listens at.
        hosts: Further names it is called by; each stands for those below it too.
        allowed_origins: Further origins, as browsers send them: `https://app.example.com`.
        navigations: Whether links from other sites lead here: GET requests that open a page in a tab of its
            own, such as an OAuth redirect. Pages of allowed origins may then show what is here, too: for a
            page of localhost 127.0.0.1 is another site, and images have no `Origin`. Without it, what a
            browser does not say the site of is taken for another site's, whatever it is.
        remember: How many heads are remembered.

    Attributes:
        passed: Whether a head (`Request.head`) was seen that nothing stands against, whatever the request.
    """

    __slots__ = (
        "_allowed",
        "_bound",
        "_hosts",
        "_known",
        "_memo",
        "_navigations",
        "_single",
        "passed",
    )

    def __init__(
        self,
        bound: str,
        *,
        hosts: Iterable[str] = (),
        allowed_origins: Iterable[str] = (),
        navigations: bool = False,
        remember: int = MAX_HEADS,
    ) -> None:
        self._bound = _bare(bound)
        self._single = not is_loopback(self._bound)
        self._hosts = tuple(_bare(host) for host in (*OWN_HOSTS, *hosts))
        self._allowed = frozenset(origin.lower().rstrip("/") for origin in allowed_origins)
        self._navigations = navigations
        self._known: dict[bytes, bool] = {}  # values of Host
        self._memo = HeaderCache[bool](remember)
        self.passed = self._memo.get

    def is_plain(self, request: Request) -> bool:
        """Whether a program sent it, to a name of ours: what is nearly always so, and quick to see.

        If not, `judge` has more to look at.
        """
        head = request.head
        if self.passed(head):
            return True
        plain = bool(head) and self._looks_plain(request)
        if plain:
            self.remember(head)
        return plain

    def remember(self, head: bytes) -> None:
        """Let `head` pass from now on. It must be that of a program, with one Host that is a name of ours."""
        self._memo.keep(head, value=True)

    def knows(self, host: bytes) -> bool:
        """Whether a value of Host is a name of ours, and not that of a function URL, which others look at."""
        known = self._known.get(host)
        if known is None:
            found = authority(host.decode("latin-1"))
            known = found is not None and _OF_URLS not in found.name and self._is_own(found.name)
            if len(host) <= _MAX_VALUE_BYTES:
                if len(self._known) >= _MAX_VALUES:
                    self._known.clear()
                self._known[host] = known
        return known

    def judge(self, marks: Marks) -> GateRefusal | None:
        """Return why the request is refused, or None."""
        if len(marks.hosts) > 1:
            return GateRefusal(400, "More than one Host header.", final=True)
        if not marks.hosts and marks.version != "1.0":
            return GateRefusal(400, "No Host header.", final=True)
        host = authority(marks.hosts[0]) if marks.hosts else None
        if marks.hosts and host is None:
            return GateRefusal(400, "The Host header is no host.", final=True)
        if host is not None and not self._is_own(host.name):
            message = f"{host.name} is no name of this engine: see [engine] hosts."
            return GateRefusal(403, message, final=True)
        if marks.origins:
            return self._judge_origin(marks.origins, host)
        if not marks.site and not marks.signed and is_browser(marks.agent):
            return self._judge_unsaid(marks, host)
        return self._judge_site(marks)

    def allows(self, origin: str, host: Authority | None = None) -> bool:
        """Whether pages of `origin` may do what programs may; `host` is what their request named."""
        if origin.lower() in self._allowed:
            return True
        found = _ORIGIN.fullmatch(origin.lower())
        where = authority(found[2]) if found else None
        if found is None or where is None:
            return False
        if is_loopback(where.name):
            return True
        default = _DEFAULT_PORTS[found[1]]
        return (
            host is not None and where.name == host.name and (where.port or default) == (host.port or default)
        )

    def _judge_origin(self, origins: tuple[str, ...], host: Authority | None) -> GateRefusal | None:
        if len(origins) == 1 and self.allows(origins[0], host):
            return None
        shown = origins[0] if len(origins) == 1 else ", ".join(origins)
        message = f"Pages of the origin {shown[:200]} are not allowed here: see [engine] allowed_origins."
        return GateRefusal(403, message, shown)

    def _judge_site(self, marks: Marks) -> GateRefusal | None:
        """Judge a request without `Origin` by `Sec-Fetch-Site`."""
        if marks.site in ("", "none", "same-origin", "same-site"):
            return None
        if self._navigations and marks.method == "GET":
            is_link = (marks.mode, marks.dest) == ("navigate", "document")
            if is_link or self._sent_by_own_page(marks, None):
                return None
        return GateRefusal(403, "Pages of other sites are not allowed here: see [engine] allowed_origins.")

    def _judge_unsaid(self, marks: Marks, host: Authority | None) -> GateRefusal | None:
        """Judge a request of a browser that does not name a site.

        Browsers do not name it to addresses other than loopback, and old ones never do.

        A link into a tab and one into a frame look the same then, and both are taken where links are.
        """
        if self._navigations:
            is_link = marks.method == "GET" and marks.opens
            if is_link or self._sent_by_own_page(marks, host):
                return None
        message = (
            "This browser does not say which site the request comes from, so it is taken for another one's: "
            'see "Who is served" in docs/operations.md.'
        )
        return GateRefusal(403, message)

    def _sent_by_own_page(self, marks: Marks, host: Authority | None) -> bool:
        return self.allows("/".join(marks.referer.split("/")[:3]), host)

    def _is_own(self, name: str) -> bool:
        if is_address(name) or name == self._bound or (self._single and "." not in name):
            return True
        if any(name == own or name.endswith(f".{own}") for own in self._hosts):
            return True
        return _AWS_NAME.fullmatch(name) is not None

    def _looks_plain(self, request: Request) -> bool:
        """Whether one Host of ours is all there is to judge: quick, for requests that are all different."""
        lower = request.lower_head
        if b"\r\norigin:" in lower or b"\r\nsec-fetch-" in lower or b"mozilla/" in lower:
            return False
        at = lower.find(b"\r\nhost:")
        if at < 0 or lower.rfind(b"\r\nhost:") != at:
            return False
        end = lower.find(b"\r\n", at + 7)
        return self.knows(lower[at + 7 : end if end >= 0 else len(lower)].strip(b" \t"))


def marks_of(request: Request) -> Marks:
    """Read the marks of `request`."""
    found: dict[str, list[str]] = {}
    for name, value in request.headers:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))

    def one(name: str) -> str:
        return ",".join(found.get(name, ()))

    return Marks(
        request.method,
        request.version,
        tuple(found.get("host", ())),
        tuple(found.get("origin", ())),
        one("sec-fetch-site").lower(),
        one("sec-fetch-mode").lower(),
        one("sec-fetch-dest").lower(),
        one("referer"),
        one("user-agent"),
        one("upgrade-insecure-requests") == "1" and one("accept").lower().startswith("text/html"),
        one("authorization").startswith("AWS"),
    )


def authority(text: str) -> Authority | None:
    """`text` as host and port; None if it is neither a name nor an address, or holds more (`user@host`)."""
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        return None
    name = found[1].lower()
    if name.startswith("["):
        name = name[1:-1]
        if not is_address(name):
            return None
    else:
        name = name.removesuffix(".")
        if not all(name.split(".")):
            return None
    port = found[2] or ""
    if port and not 0 < int(port) <= _MAX_PORT:
        return None
    return Authority(name, port)


def is_address(name: str) -> bool:
    """Whether it is an IP address: those cannot be pointed elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(name: str) -> bool:
    """Whether it is this machine under any other circumstances: 127.0.0.0/8, ::1, localhost, *.localhost."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or (mapped is not None and mapped.is_loopback)


def is_browser(agent: str) -> bool:
    """Whether a browser sent it: all say `Mozilla/`. So does PowerShell, which shows no pages."""
    return agent.startswith("Mozilla/") and "PowerShell" not in agent


def _bare(host: str) -> str:
    return host.lower().strip("[]").removesuffix(".")
