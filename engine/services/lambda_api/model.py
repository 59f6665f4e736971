"""AWS's model of the Lambda API, with what is known of AWS beyond it."""

from __future__ import annotations

from functools import cache

from engine.protocols.aws.service_model import ServiceModel, service_model


@cache
def lambda_model() -> ServiceModel:
    """The model. It is read at the first request that needs it."""
    return service_model("lambda")
