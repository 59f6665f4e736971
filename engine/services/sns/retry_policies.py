"""Delivery policies of HTTP subscriptions as laws of retries.

Source: SNS Developer Guide, "Creating an Amazon SNS delivery policy": its members, their bounds and phases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

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
_MAX_RETRIES: Final = 100
_MAX_DELAY_S: Final = 3_600


def subscription_law(delivery_policy: str | None, topic_policy: Mapping[str, Any]) -> RetryLaw:
    """The law of a subscription: by its own policy, else by its topic's, else AWS's default."""
    if delivery_policy:
        found = orjson.loads(delivery_policy).get("healthyRetryPolicy")
        if isinstance(found, dict):
            return _law(found)
    http = topic_policy.get("http")
    found = http.get("defaultHealthyRetryPolicy") if isinstance(http, dict) else None
    return _law(found) if isinstance(found, dict) else SNS_HTTP_LAW


def effective_subscription_policy(
    delivery_policy: str | None, topic_attributes: Mapping[str, str]
) -> dict[str, Any]:
    """What is shown of a subscription: its own policy over that of its topic."""
    http: Any = effective_delivery_policy(topic_attributes)["http"]
    shown = {
        "healthyRetryPolicy": http["defaultHealthyRetryPolicy"],
        "requestPolicy": http["defaultRequestPolicy"],
    }
    return {**shown, **(orjson.loads(delivery_policy) if delivery_policy else {})}


def check_delivery_policy(text: str, prefix: str) -> None:
    """Raises ServiceError for a subscription's policy that is none."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise invalid(f"{prefix}DeliveryPolicy: failed to parse JSON.") from None
    if not isinstance(document, dict):
        raise invalid(f"{prefix}DeliveryPolicy: failed to parse JSON.")
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
