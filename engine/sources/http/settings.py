"""What a user says about one HTTP event: `[[functions.NAME.events]]` with `type = "http"`."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Final, Literal

from engine.core.spelling import did_you_mean
from engine.core.table import SettingsTable, fresh
from engine.core.table_rules import Bounds, Check, Length, Pattern
from engine.protocols.http.cors import Cors

ANY: Final = "ANY"
DEFAULT_PATH: Final = "$default"

METHODS: Final = frozenset(
    f"{ANY} GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT "
    "ACL BIND CHECKOUT COPY LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY PROPFIND "
    "PROPPATCH PURGE QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE UNBIND UNLINK UNLOCK UNSUBSCRIBE".split()
)
"""What the listener's parser (llhttp) takes for a method, and ANY."""

_FOREIGN_VARIABLE = re.compile(r":([A-Za-z_]\w*)|<(?:\w+:)?([A-Za-z_]\w*)>|\[([A-Za-z_]\w*)\]")
_VARIABLE = re.compile(r"\{([A-Za-z0-9._:-]+)(\+?)\}")
_REST_STAGE: Final = "Prod"  # what SAM names the stage nobody named

StageName = Annotated[str, Pattern(r"^(\$default|[A-Za-z0-9_-]{1,128})$")]


class FrontDoor(StrEnum):
    """Which AWS service the engine stands in for: it decides how failures are answered."""

    URL = "function-url"
    HTTP_API = "http-api"
    REST = "rest-api"
    ALB = "alb"


_TIMEOUTS_S: Final = {FrontDoor.REST: 29.0, FrontDoor.HTTP_API: 30.0}
"""How long APIs wait for a function (API Gateway Developer Guide, "Quotas")."""


def _methods(methods: tuple[str, ...]) -> tuple[str, ...]:
    methods = tuple(method.upper() for method in methods)
    for method in methods:
        if method != "*" and method not in METHODS:
            raise ValueError(f"{method!r} is not an HTTP method; write GET, POST, ... or *")
    return methods


def _header_texts(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not value.isascii() or not value.isprintable() or " " in value or "," in value:
            raise ValueError(f"{value!r} holds what no origin and no header name has")
    return values


def _method(method: str) -> str:
    method = method.upper()
    if method not in METHODS:
        hint = did_you_mean(method, METHODS) or "; write GET, POST, ... or ANY"
        raise ValueError(f"{method!r} is not an HTTP method{hint}")
    return method


def _route(path: str) -> str:
    if path in (DEFAULT_PATH, "/*"):
        return DEFAULT_PATH
    problem = path_problem(path)
    if problem:
        raise ValueError(f"path {path!r} {problem}")
    return path


def _media_types(types: tuple[str, ...]) -> tuple[str, ...]:
    for media_type in types:
        if media_type.count("/") != 1:
            raise ValueError(f"{media_type!r} is not a media type like image/png, image/* or */*")
    return tuple(media_type.lower() for media_type in types)


class CorsSettings(SettingsTable, strict=False):
    """`cors` of an HTTP event: which pages of other origins may use the route, and read its answers.

    Attributes:
        origins: As browsers send them: `https://app.example.com`, also `https://*.example.com` and `*`. Only
            an origin that is named may use the route from another site: `*` adds headers to answers.
        methods: Or `*`.
        headers: Which a page may send.
        expose_headers: Which of the answer a page may read.
        max_age_s: How long a browser may remember the answer to a preflight.
        credentials: Whether a page may send cookies.
    """

    origins: Annotated[tuple[Annotated[str, Length(1, 253)], ...], Length(1), Check(_header_texts)]
    methods: Annotated[tuple[str, ...], Check(_methods)] = ("*",)
    headers: Annotated[tuple[str, ...], Check(_header_texts)] = ()
    expose_headers: Annotated[tuple[str, ...], Check(_header_texts)] = ()
    max_age_s: Annotated[int, Bounds(ge=0, le=86_400)] | None = None
    credentials: bool = False

    def rule(self) -> Cors:
        """Return the rule that these settings describe."""
        return Cors(
            origins=self.origins,
            methods=self.methods,
            headers=self.headers,
            expose=self.expose_headers,
            max_age_s=self.max_age_s,
            credentials=self.credentials,
        )


class HttpEvent(SettingsTable, strict=False):
    """One route to one function.

    Attributes:
        method: An HTTP method, or ANY.
        path: `/hello`, `/hello/{name}`, `/files/{path+}` (the rest of the path), or the catch-all
            `$default`, also written `/*`.
        payload_format: `2.0` (Function URL without a route, HTTP API with one), `1.0` (REST API) or
            `alb` (Application Load Balancer).
        api: With format 1.0, which kind of API it is: `rest`, or `http` for an HTTP API whose integration
            has format 1.0.
        stage: Name of the API stage; absent means `Prod` for a REST API, `$default` for an HTTP API. It
            stands in the event only: requests come without it, as through a custom domain.
        stage_variables: Sent with every event of formats 2.0 and 1.0.
        multi_value_headers: The target group attribute `lambda.multi_value_headers.enabled` (alb).
        binary_media_types: The REST API's list, for example `["image/png"]` or `["*/*"]` (1.0).
        cors: Pages of other origins that may use the route. Preflights are answered without the function.
        timeout_s: Seconds until the API answers 504 (an HTTP API 503) for a function that runs on;
            0 = never. Absent means 29 for a REST API, 30 for an HTTP API (AWS); others have none.
        response_stream: Pass on what the function streams as it comes: a function URL's InvokeMode
            RESPONSE_STREAM (2.0), or a REST API's response transfer mode STREAM (1.0).
    """

    type: Literal["http"] = "http"
    method: Annotated[str, Check(_method)] = ANY
    path: Annotated[str, Check(_route)] = DEFAULT_PATH
    payload_format: Literal["2.0", "1.0", "alb"] = "2.0"
    api: Literal["rest", "http"] | None = None
    stage: StageName | None = None
    stage_variables: dict[str, str] = fresh(dict)
    multi_value_headers: bool = False
    binary_media_types: Annotated[tuple[str, ...], Check(_media_types)] = ()
    cors: CorsSettings | None = None
    timeout_s: Annotated[float, Bounds(ge=0, le=900)] | None = None
    response_stream: bool = False

    def check_keys_together(self) -> None:
        """There is only what the format knows."""
        if self.multi_value_headers and self.payload_format != "alb":
            raise ValueError('multi_value_headers needs payload_format = "alb"')
        if self.binary_media_types and not self._is_rest:
            raise ValueError('binary_media_types needs payload_format = "1.0", and a REST API')
        if self.api is not None and self.payload_format != "1.0":
            raise ValueError('api needs payload_format = "1.0": other formats have one kind of API')
        if self.payload_format == "alb" and (self.stage or self.stage_variables):
            raise ValueError("a load balancer has no stage and no stage_variables")
        if self.payload_format == "alb" and self.cors:
            raise ValueError("a load balancer has no cors: its functions answer OPTIONS themselves")
        if self.timeout_s is not None and self.front_door not in _TIMEOUTS_S:
            raise ValueError(
                "timeout_s is for routes of APIs: nothing else ends a request before the function"
            )
        if self.response_stream and not self._is_rest and self.payload_format != "2.0":
            raise ValueError("response_stream is for function URLs (payload format 2.0) and REST APIs")
        if self._is_rest and self.stage == DEFAULT_PATH:
            raise ValueError("a REST API has no stage named $default")

    @property
    def _is_rest(self) -> bool:
        return self.payload_format == "1.0" and self.api != "http"

    @property
    def front_door(self) -> FrontDoor:
        """The closest AWS service: format 2.0 without method, route and stage is a Function URL."""
        if self.payload_format == "1.0":
            return FrontDoor.REST if self._is_rest else FrontDoor.HTTP_API
        if self.payload_format == "alb":
            return FrontDoor.ALB
        bare = self.path == DEFAULT_PATH and self.method == ANY
        return FrontDoor.URL if bare and not self.stage and not self.stage_variables else FrontDoor.HTTP_API

    @property
    def answer_within_s(self) -> float | None:
        """Seconds that the front door waits for the function; None: as long as it takes, or streams."""
        if self.response_stream:
            return None
        limit_s = _TIMEOUTS_S.get(self.front_door) if self.timeout_s is None else self.timeout_s
        return limit_s or None

    @property
    def stage_name(self) -> str:
        """The stage, or the front door's default."""
        return self.stage or (_REST_STAGE if self._is_rest else DEFAULT_PATH)

    @property
    def route_key(self) -> str:
        """`GET /hello/{name}`, or `$default`."""
        return DEFAULT_PATH if self.path == DEFAULT_PATH else f"{self.method} {self.path}"


def path_problem(path: str) -> str | None:
    """Why `path` cannot be a route, as the end of a sentence; None if it can."""
    if not path.startswith("/"):
        return "must start with '/' (or be $default)"
    if len(path) > 512:
        return "is longer than 512 characters"
    if re.search(r"[?#\s\x00-\x1f\x7f]", path):
        return "holds a space, '?', '#' or a control character; a route is the path alone"
    seen: set[str] = set()
    segments = path[1:].split("/")
    for position, segment in enumerate(segments):
        last = position == len(segments) - 1
        variable = _VARIABLE.fullmatch(segment)
        if not segment and not last:
            return "has an empty segment ('//')"
        if "*" in segment:
            return "holds '*'; write {name+} for the rest of a path, $default for everything"
        if not variable:
            if foreign := _FOREIGN_VARIABLE.fullmatch(segment):
                name = next(filter(None, foreign.groups()))
                return f"has {segment!r}, which would be plain text; a variable is {{{name}}}"
            if "{" in segment or "}" in segment:
                return f"has a bad variable in {segment!r}; a whole segment is {{name}} or {{name+}}"
            continue
        if variable[2] and not last:
            return f"must end with {segment}: it takes the rest of the path"
        if variable[1] in seen:
            return f"uses the variable {variable[1]!r} twice"
        seen.add(variable[1])
    return None
