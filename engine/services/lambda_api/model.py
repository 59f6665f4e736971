"""AWS's model of the Lambda API, with what is known of AWS beyond it."""

from __future__ import annotations

from functools import cache
from typing import Final

from engine.protocols.aws.service_model import Node, ServiceModel, service_model
from engine.services.lambda_api.runtimes import RUNTIMES

_CHANGES: Final[Node] = {
    # Bounds of the documentation ("Lambda quotas"); those of the model are for managed instances, since 2026.
    "Timeout": {"max": 900},
    "MemorySize": {"max": 10_240},
    "EphemeralStorageSize": {"max": 10_240},
    # An unknown runtime of a function is told as InvalidParameterValueException, after all else.
    "CreateFunctionRequest": {"members": {"Runtime": {"shape": "String"}}},
    "UpdateFunctionConfigurationRequest": {"members": {"Runtime": {"shape": "String"}}},
    # Of several mistakes AWS tells those of runtimes first, and of runtimes its present set.
    "PublishLayerVersionRequest": {"members": {"CompatibleRuntimes": {"shape": "CompatibleRuntimes"}}},
    # A malformed token is told as any other bad one (AWS's testing package).
    "CheckpointToken": {"pattern": r"[\s\S]*"},
    # Patterns as AWS was recorded to tell them, in November 2025.
    "LayerVersionArn": {
        "pattern": r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:"
        r"\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)"
    },
    "TaggableResource": {
        "pattern": r"arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:"
        r"(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|"
        r"code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-"
        r"[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|capacity-provider:[a-zA-Z0-9-_]+)"
    },
    # AWS tells the values of an enumeration in an order of its own: these were recorded.
    "InvokeMode": {"enum": ["RESPONSE_STREAM", "BUFFERED"]},
    "EventSourcePosition": {"enum": ["LATEST", "AT_TIMESTAMP", "TRIM_HORIZON"]},
    # Lists and maps of which AWS's messages do not say that their members must not be null.
    "SubnetIds": {"sparse": True},
    "SecurityGroupIds": {"sparse": True},
    "EnvironmentVariables": {"sparse": True},
    "CompatibleArchitectures": {"sparse": True},
    "CompatibleRuntimes": {
        "sparse": True,
        "told": f"Member must satisfy enum value set: [{', '.join(RUNTIMES)}]",
    },
}
"""By shape: keys that are other than in the model."""


@cache
def lambda_model() -> ServiceModel:
    """The model. It is read at the first request that needs it."""
    return service_model("lambda").revised(_CHANGES)
