"""Delivery policies of HTTP subscriptions as laws of retries.

Source: SNS Developer Guide, "Creating an Amazon SNS delivery policy": its members, their bounds and phases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from engine.services.deliveries.retry_law import SNS_HTTP_LAW, RetryLaw, RetryPhase
from engine.services.sns.errors import invalid
from engine.services.sns.topic_attributes import effective_delivery_policy

_DEFAULTS: Final = {
    "minDelayTarget": 20,
    "maxDelayTarget": 20,
    "numRetries": 3,
    "numMaxDelayRetries": 0,
    "numNoDelayRetries": 0,
    "numMinDelayRetries": 0,
}
CONTENT_TYPES: Final = frozenset(
    {
        *(f"text/{kind}" for kind in ("css", "csv", "html", "plain", "xml")),
        *(f"application/{kind}" for kind in ("json", "octet-stream", "x-www-form-urlencoded", "xml")),
        *(f"application/{kind}+xml" for kind in ("atom", "soap", "xhtml")),
    }
)
"""Those that a delivery policy may name; AWS takes most of them with raw delivery only."""
DEFAULT_CONTENT_TYPE: Final = "text/plain; charset=UTF-8"
_MAX_RETRIES: Final = 100
_MAX_DELAY_S: Final = 3_600


class HttpRules(NamedTuple):
    """What a delivery policy says of the requests of a subscription.

    Attributes:
        law: When they are made again.
        content_type: `Content-Type` of notifications.
    """

    law: RetryLaw
    content_type: str


def http_rules(delivery_policy: str | None, topic_attributes: Mapping[str, str]) -> HttpRules:
    """Those of a subscription: by its own policy, else by its topic's, else AWS's default."""
    shown = effective_subscription_policy(delivery_policy, topic_attributes)
    retries, requests = shown["healthyRetryPolicy"], shown["requestPolicy"]
    law = _law(retries) if isinstance(retries, dict) else SNS_HTTP_LAW
    content_type: Any = requests.get("headerContentType") if isinstance(requests, dict) else None
    if _media_type(content_type) not in CONTENT_TYPES:
        content_type = DEFAULT_CONTENT_TYPE
    return HttpRules(law, content_type)


def effective_subscription_policy(
    delivery_policy: str | None, topic_attributes: Mapping[str, str]
) -> dict[str, Any]:
    """What is shown of a subscription: its own policy over that of its topic, where that lets it."""
    http: Any = effective_delivery_policy(topic_attributes)["http"]
    shown = {
        "healthyRetryPolicy": http["defaultHealthyRetryPolicy"],
        "requestPolicy": http["defaultRequestPolicy"],
    }
    if not delivery_policy or http["disableSubscriptionOverrides"] is True:
        return shown
    return {**shown, **{name: value for name, value in orjson.loads(delivery_policy).items() if value}}


def check_delivery_policy(text: str, prefix: str) -> None:
    """Raises ServiceError for a subscription's policy that is none."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise invalid(f"{prefix}DeliveryPolicy: failed to parse JSON.") from None
    if not isinstance(document, dict):
        raise invalid(f"{prefix}DeliveryPolicy: failed to parse JSON.")
    requests = document.get("requestPolicy") or {}
    given = requests.get("headerContentType") if isinstance(requests, dict) else requests
    if given is not None and _media_type(given) not in CONTENT_TYPES:
        raise invalid(f"{prefix}DeliveryPolicy: requestPolicy.headerContentType")
    policy = document.get("healthyRetryPolicy")
    if policy is None:
        return
    if not isinstance(policy, dict):
        raise invalid(f"{prefix}DeliveryPolicy: healthyRetryPolicy")
    for name in _DEFAULTS.keys() & policy.keys():
        most = _MAX_DELAY_S if name.endswith("Target") else _MAX_RETRIES
        value = policy[name]
        if not _is_natural(value) or value > most:
            raise invalid(f"{prefix}DeliveryPolicy: healthyRetryPolicy.{name} must be between 0 and {most}")


def _media_type(content_type: object) -> str | None:
    """What it is without its parameters; None for what is no header."""
    if not isinstance(content_type, str) or not content_type.isascii() or not content_type.isprintable():
        return None
    return content_type.partition(";")[0].strip().lower()


def _law(policy: Mapping[str, Any]) -> RetryLaw:
    """The phases, one after the other: at once, after the least delay, growing, after the longest delay."""
    given = {name: value for name, value in policy.items() if name in _DEFAULTS and _is_natural(value)}
    values = {**_DEFAULTS, **given}
    least_s, most_s = float(values["minDelayTarget"]), float(values["maxDelayTarget"])
    most_s = max(least_s, most_s)
    at_once, least, most = (values[f"num{kind}DelayRetries"] for kind in ("No", "Min", "Max"))
    growing = max(values["numRetries"] - at_once - least - most, 0)
    grows = RetryPhase(growing, max(least_s, 1e-3), max(most_s, 1e-3))
    phases = (RetryPhase(at_once, 0.0, 0.0), RetryPhase(least, least_s, least_s), grows)
    last = RetryPhase(max(most, 1), most_s, most_s)
    return SNS_HTTP_LAW._replace(phases=(*phases, last), max_retries=values["numRetries"])


def _is_natural(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
