"""The codes of errors in the Query protocol, which services that left it still send along.

Source: the models of botocore; AWS's "Common errors" of services with this protocol; recorded answers.
"""

from __future__ import annotations

from typing import Final

from engine.protocols.aws.service_model import ServiceModel

_COMMON: Final = {
    "InvalidParameterValueException": "InvalidParameterValue",
    "MissingRequiredParameterException": "MissingParameter",
    "SerializationException": "MalformedInput",
    "UnknownOperationException": "InvalidAction",
}
"""Errors of every service, which no model has."""


def query_code(model: ServiceModel, name: str) -> str:
    """The code for the error of that name."""
    error = model.shapes.get(name, {}).get("error")
    return str(error["code"]) if error is not None else _COMMON.get(name, name)


def query_status(model: ServiceModel, name: str) -> int:
    """The HTTP status of the error of that name; 400 if the model does not say."""
    error = model.shapes.get(name, {}).get("error")
    return int(error["httpStatusCode"]) if error is not None else 400
