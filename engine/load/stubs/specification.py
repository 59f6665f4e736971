"""What `--stub TARGET=LATENCY,...` says: a service or upstream, its latency, its errors, its answer."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import Field

from engine.core.spelling import did_you_mean
from engine.load.planning.frozen_table import FrozenTable

FORM: Final = (
    "TARGET=LATENCY[,ERRORS%][,throttled=SHARE%][,body=TEXT|@FILE], as in dynamodb=8ms,0.1%, "
    "https://api.example=40ms±10 or sns=p50=8ms,p99=40ms"
)
_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_UNIT: Final = "|".join(_MS)
_NUMBER: Final = r"\d{1,9}(?:\.\d{1,9})?"
_MEAN: Final = re.compile(rf"({_NUMBER})({_UNIT})(?:(?:±|\+-|\+/-)({_NUMBER})({_UNIT})?)?", re.ASCII)
_TIME: Final = re.compile(rf"({_NUMBER})({_UNIT})", re.ASCII)
_SHARE: Final = re.compile(rf"({_NUMBER})%", re.ASCII)
_SERVICE: Final = re.compile(r"[a-z][a-z0-9-]*")
_PORTS: Final = {"http": 80, "https": 443}
_Z99: Final = 2.3263478740408408
"""The 99th percentile of the standard normal distribution."""

SERVICES: Final = Path(__file__).with_name("aws_services.json")
"""By boto3's name: the end of `AWS_ENDPOINT_URL_...`, and its protocol, as botocore's models have it."""


class Latency(FrozenTable):
    """How long answers take, in milliseconds: mean and standard deviation, or median and 99th percentile.

    With a spread, times follow a gamma distribution: it has exactly this mean and deviation, and is never
    below 0. Of percentiles it is a log-normal one.
    """

    mean_ms: float = Field(default=0.0, ge=0)
    spread_ms: float = Field(default=0.0, ge=0)
    p50_ms: float | None = None
    p99_ms: float | None = None

    def sampler(self, random: Random) -> Callable[[], float]:
        """What draws one time in seconds at each call."""
        if self.p50_ms is not None and self.p99_ms is not None:
            mu, sigma = math.log(self.p50_ms / 1000), math.log(self.p99_ms / self.p50_ms) / _Z99
            return lambda: random.lognormvariate(mu, sigma)
        if not self.spread_ms or not self.mean_ms:
            seconds = self.mean_ms / 1000
            return lambda: seconds
        shape = (self.mean_ms / self.spread_ms) ** 2
        scale_s = self.spread_ms**2 / self.mean_ms / 1000
        return lambda: random.gammavariate(shape, scale_s)

    def __str__(self) -> str:
        if self.p50_ms is not None:
            return f"p50 {self.p50_ms:g} ms, p99 {self.p99_ms:g} ms"
        return f"{self.mean_ms:g} ms" + (f" ± {self.spread_ms:g}" if self.spread_ms else "")


class Stub(FrozenTable):
    """One stand-in.

    Attributes:
        name: The target as it was written.
        service: boto3's name of an AWS service; empty for an upstream.
        scheme, host, port: Of an upstream.
        latency: Of every answer, errors too.
        errors: Share of the requests that the stub fails at.
        throttled: Share of the requests that it refuses as too many.
        body: What a good answer says instead of the empty one.
    """

    name: str
    service: str = ""
    scheme: str = ""
    host: str = ""
    port: int = 0
    latency: Latency
    errors: float = Field(default=0.0, ge=0, le=1)
    throttled: float = Field(default=0.0, ge=0, le=1)
    body: str | None = None

    @property
    def words(self) -> str:
        """What is set, for people."""
        shares = [(self.errors, "errors"), (self.throttled, "throttled")]
        return ", ".join(
            [str(self.latency), *(f"{100 * share:.4g} % {what}" for share, what in shares if share)]
        )


def known_services() -> dict[str, list[str]]:
    """AWS services by boto3's names: the end of their variable, and their protocol."""
    table: dict[str, list[str]] = json.loads(SERVICES.read_text(encoding="utf-8"))
    return table


def parse_stubs(texts: Sequence[str]) -> tuple[Stub, ...]:
    """Each `--stub`. Raises ValueError with what is wrong, and the form that is right."""
    stubs: dict[object, Stub] = {}
    for text in texts:
        try:
            stub = parse_stub(text)
        except ValueError as error:
            raise ValueError(f"{text!r}: {error}; write {FORM}") from None
        if stubs.setdefault((stub.service, stub.host, stub.port), stub) is not stub:
            raise ValueError(f"{text!r}: {stub.name} is given twice")
    return tuple(stubs.values())


def parse_stub(text: str) -> Stub:
    """One `--stub`. Raises ValueError with what is wrong."""
    target, equals, rest = text.partition("=")
    if not (equals and rest):
        raise ValueError("no latency")
    found: dict[str, Any] = {"name": target, **_target(target)}
    words, has_body, body = rest.partition("body=")
    if has_body:
        if not words.endswith(","):
            raise ValueError("body= needs a latency and a comma before it")
        words = words[:-1]
        found["body"] = _body(body)
    fields: dict[str, float] = {}
    for word in words.split(","):
        for name, value in _part(word.strip()).items():
            if name in fields:
                raise ValueError(f"{word.strip()!r} is given twice")
            fields[name] = value
    found["errors"], found["throttled"] = fields.pop("errors", 0.0), fields.pop("throttled", 0.0)
    if found["errors"] + found["throttled"] > 1:
        raise ValueError("errors and throttled are more than all")
    return Stub(**found, latency=_latency(fields))


def _target(text: str) -> dict[str, Any]:
    if "://" not in text:
        known = known_services()
        if text not in known:
            hint = did_you_mean(text, known) if _SERVICE.fullmatch(text) else ""
            raise ValueError(f"{text!r} is neither an AWS service as boto3 names it nor a URL{hint}")
        return {"service": text}
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        raise ValueError(f"{text!r} has no such port") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{text!r} is no http:// or https:// URL")
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"{text!r}: a host is stubbed as a whole, so scheme, name and port alone")
    try:
        host = parts.hostname.encode("idna").decode()
    except UnicodeError:
        raise ValueError(f"{text!r} is no name of a host") from None
    return {"scheme": parts.scheme, "host": host, "port": port or _PORTS[parts.scheme]}


def _part(word: str) -> dict[str, float]:
    """The fields that it says. Raises ValueError."""
    if found := _MEAN.fullmatch(word):
        mean, unit, spread, unit_of_spread = found.groups()
        if spread is None:
            return {"mean_ms": float(mean) * _MS[unit]}
        return {
            "mean_ms": float(mean) * _MS[unit],
            "spread_ms": float(spread) * _MS[unit_of_spread or unit],
        }
    name, _, value = word.rpartition("=")
    if (name or "errors") in ("errors", "throttled") and (found := _SHARE.fullmatch(value)):
        return {name or "errors": _share(found[1])}
    if name in ("p50", "p99") and (found := _TIME.fullmatch(value)):
        return {f"{name}_ms": float(found[1]) * _MS[found[2]]}
    raise ValueError(f"{word!r} is neither a latency with its unit (us, ms, s) nor a share with %")


def _share(number: str) -> float:
    if float(number) > 100:
        raise ValueError(f"{number}% is more than all")
    return float(number) / 100


def _latency(times: dict[str, float]) -> Latency:
    if not times:
        raise ValueError("no latency")
    if "mean_ms" in times:
        if "p50_ms" in times or "p99_ms" in times:
            raise ValueError("a mean and percentiles exclude each other")
        if times.get("spread_ms") and not times["mean_ms"]:
            raise ValueError("a spread needs a mean above 0")
        return Latency(**times)
    if len(times) != 2:
        raise ValueError("p50 and p99 need each other")
    if not 0 < times["p50_ms"] <= times["p99_ms"]:
        raise ValueError("p50 must be above 0 and at most p99")
    return Latency(**times)


def _body(text: str) -> str:
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"body={text}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"body={text}: is not UTF-8") from None
