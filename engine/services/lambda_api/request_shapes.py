"""The request bodies of the Lambda API's control plane, member by member.

Source: Lambda API reference; the API model of botocore.
"""

from __future__ import annotations

from typing import Final

from engine.services.lambda_api.validation import (
    Boolean,
    Double,
    Integer,
    ListShape,
    MapShape,
    Shape,
    StringShape,
    Structure,
)

RUNTIMES: Final = (
    "nodejs18.x",
    "nodejs20.x",
    "nodejs22.x",
    "nodejs24.x",
    "java8.al2",
    "java11",
    "java17",
    "java21",
    "java25",
    "python3.8",
    "python3.9",
    "python3.10",
    "python3.11",
    "python3.12",
    "python3.13",
    "python3.14",
    "dotnet8",
    "dotnet10",
    "ruby3.2",
    "ruby3.3",
    "ruby3.4",
    "provided.al2",
    "provided.al2023",
)

_ROLE: Final = StringShape(pattern=r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")
_HANDLER: Final = StringShape(maximum=128, pattern=r"[^\s]+")
_DESCRIPTION: Final = StringShape(maximum=256)
_VARIABLE: Final = StringShape(pattern="[a-zA-Z]([a-zA-Z0-9_])+")
_LAYER: Final = StringShape(minimum=1, maximum=2048)
_SHA256: Final = StringShape(maximum=256)
_TAGS: Final = MapShape(key=StringShape(maximum=128), of=StringShape(maximum=256))
_BASE64: Final = StringShape()
_CODE_MEMBERS: Final[dict[str, Shape]] = {
    "ZipFile": _BASE64,
    "S3Bucket": StringShape(
        minimum=3,
        maximum=63,
        pattern=r"[0-9A-Za-z\.\-_]*(?<!\.)",
    ),
    "S3Key": StringShape(minimum=1, maximum=1024),
    "S3ObjectVersion": StringShape(minimum=1, maximum=1024),
    "ImageUri": StringShape(),
}
_ARCHITECTURES: Final = ListShape(of=StringShape(allowed=("x86_64", "arm64")), minimum=1, maximum=1)
_SETTINGS: Final[dict[str, Shape]] = {
    "Runtime": StringShape(),
    "Role": _ROLE,
    "Handler": _HANDLER,
    "Description": _DESCRIPTION,
    "Timeout": Integer(minimum=1, maximum=900),
    "MemorySize": Integer(minimum=128, maximum=10240),
    "Environment": Structure(members={"Variables": MapShape(key=_VARIABLE, of=StringShape())}),
    "TracingConfig": Structure(members={"Mode": StringShape(allowed=("Active", "PassThrough"))}),
    "EphemeralStorage": Structure(members={"Size": Integer(minimum=512, maximum=10240)}, required=("Size",)),
    "SnapStart": Structure(members={"ApplyOn": StringShape(allowed=("PublishedVersions", "None"))}),
    "LoggingConfig": Structure(
        members={
            "LogFormat": StringShape(allowed=("JSON", "Text")),
            "ApplicationLogLevel": StringShape(allowed=("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")),
            "SystemLogLevel": StringShape(allowed=("DEBUG", "INFO", "WARN")),
            "LogGroup": StringShape(minimum=1, maximum=512, pattern=r"[\.\-_/#A-Za-z0-9]+"),
        }
    ),
    "Layers": ListShape(of=_LAYER),
    "DeadLetterConfig": Structure(members={"TargetArn": StringShape()}),
    "KMSKeyArn": StringShape(),
    "VpcConfig": Structure(
        members={
            "SubnetIds": ListShape(of=StringShape(), maximum=16),
            "SecurityGroupIds": ListShape(of=StringShape(), maximum=5),
            "Ipv6AllowedForDualStack": Boolean(),
        }
    ),
    "FileSystemConfigs": ListShape(
        of=Structure(
            members={
                "Arn": StringShape(maximum=200),
                "LocalMountPath": StringShape(maximum=160, pattern=r"/mnt/[a-zA-Z0-9-_.]+"),
            },
            required=("Arn", "LocalMountPath"),
        ),
        maximum=1,
    ),
}

CREATE_FUNCTION: Final = Structure(
    members={
        "FunctionName": StringShape(minimum=1),
        "Code": Structure(members=_CODE_MEMBERS),
        **_SETTINGS,
        "Publish": Boolean(),
        "PackageType": StringShape(allowed=("Zip", "Image")),
        "Tags": _TAGS,
        "Architectures": _ARCHITECTURES,
    },
    required=("FunctionName", "Role", "Code"),
)
UPDATE_CODE: Final = Structure(
    members={
        **_CODE_MEMBERS,
        "Publish": Boolean(),
        "DryRun": Boolean(),
        "RevisionId": StringShape(),
        "Architectures": _ARCHITECTURES,
    }
)
UPDATE_CONFIGURATION: Final = Structure(members={**_SETTINGS, "RevisionId": StringShape()})
PUBLISH_VERSION: Final = Structure(
    members={"CodeSha256": _SHA256, "Description": _DESCRIPTION, "RevisionId": StringShape()}
)

_VERSION: Final = StringShape(minimum=1, maximum=1024, pattern=r"(\$LATEST|[0-9]+)")
_ROUTING: Final = Structure(
    members={
        "AdditionalVersionWeights": MapShape(
            key=StringShape(minimum=1, maximum=1024, pattern="[0-9]+"), of=Double()
        )
    }
)
ALIAS_NAME: Final = StringShape(minimum=1, maximum=128, pattern="(?!^[0-9]+$)([a-zA-Z0-9-_]+)")
CREATE_ALIAS: Final = Structure(
    members={
        "Name": ALIAS_NAME,
        "FunctionVersion": _VERSION,
        "Description": _DESCRIPTION,
        "RoutingConfig": _ROUTING,
    },
    required=("Name", "FunctionVersion"),
)
UPDATE_ALIAS: Final = Structure(
    members={
        "FunctionVersion": _VERSION,
        "Description": _DESCRIPTION,
        "RoutingConfig": _ROUTING,
        "RevisionId": StringShape(),
    }
)

CONCURRENCY: Final = Structure(
    members={"ReservedConcurrentExecutions": Integer(minimum=0)}, required=("ReservedConcurrentExecutions",)
)
PROVISIONED: Final = Structure(
    members={"ProvisionedConcurrentExecutions": Integer(minimum=1)},
    required=("ProvisionedConcurrentExecutions",),
)

_DESTINATION: Final = Structure(members={"Destination": StringShape(maximum=350)})
EVENT_INVOKE: Final = Structure(
    members={
        "MaximumRetryAttempts": Integer(minimum=0, maximum=2),
        "MaximumEventAgeInSeconds": Integer(minimum=60, maximum=21600),
        "DestinationConfig": Structure(members={"OnSuccess": _DESTINATION, "OnFailure": _DESTINATION}),
    }
)

_CORS: Final = Structure(
    members={
        "AllowCredentials": Boolean(),
        "AllowHeaders": ListShape(of=StringShape(maximum=1024), maximum=100),
        "AllowMethods": ListShape(
            of=StringShape(maximum=6, allowed=("GET", "PUT", "HEAD", "POST", "PATCH", "DELETE", "*")),
            maximum=6,
        ),
        "AllowOrigins": ListShape(of=StringShape(minimum=1, maximum=253), maximum=100),
        "ExposeHeaders": ListShape(of=StringShape(maximum=1024), maximum=100),
        "MaxAge": Integer(minimum=0, maximum=86400),
    }
)
_URL_MEMBERS: Final[dict[str, Shape]] = {
    "AuthType": StringShape(allowed=("NONE", "AWS_IAM")),
    "Cors": _CORS,
    "InvokeMode": StringShape(allowed=("BUFFERED", "RESPONSE_STREAM")),
}
CREATE_URL: Final = Structure(members=_URL_MEMBERS, required=("AuthType",))
UPDATE_URL: Final = Structure(members=_URL_MEMBERS)
URL_QUALIFIER: Final = StringShape(
    minimum=1, maximum=128, pattern=r"((?!^\d+$)^[0-9a-zA-Z-_]+$)", matches=r"(?!\d+$)[0-9a-zA-Z\-_]+"
)

ADD_PERMISSION: Final = Structure(
    members={
        "StatementId": StringShape(minimum=1, maximum=100, pattern="([a-zA-Z0-9-_]+)"),
        "Action": StringShape(pattern=r"(lambda:[*]|lambda:[a-zA-Z]+|[*])"),
        "Principal": StringShape(pattern=r"[^\s]+"),
        "SourceArn": StringShape(),
        "SourceAccount": StringShape(maximum=12, pattern=r"\d{12}"),
        "EventSourceToken": StringShape(maximum=256),
        "PrincipalOrgID": StringShape(minimum=12, maximum=34),
        "FunctionUrlAuthType": StringShape(allowed=("NONE", "AWS_IAM")),
        "InvokedViaFunctionUrl": Boolean(),
        "RevisionId": StringShape(),
    },
    required=("StatementId", "Action", "Principal"),
)
TAG: Final = Structure(members={"Tags": _TAGS}, required=("Tags",))
RECURSION: Final = Structure(
    members={"RecursiveLoop": StringShape(allowed=("Allow", "Terminate"))}, required=("RecursiveLoop",)
)

_MAPPING_MEMBERS: Final[dict[str, Shape]] = {
    "Enabled": Boolean(),
    "BatchSize": Integer(minimum=1, maximum=10_000),
    "FilterCriteria": Structure(
        members={"Filters": ListShape(of=Structure(members={"Pattern": StringShape(maximum=4_096)}))}
    ),
    "KMSKeyArn": StringShape(maximum=10_000),
    "MetricsConfig": Structure(
        members={
            "Metrics": ListShape(
                of=StringShape(allowed=("EventCount", "ErrorCount", "KafkaMetrics")), maximum=3
            )
        }
    ),
    "LoggingConfig": Structure(members={"SystemLogLevel": StringShape(allowed=("DEBUG", "INFO", "WARN"))}),
    "ScalingConfig": Structure(members={"MaximumConcurrency": Integer(minimum=2, maximum=1_000)}),
    "MaximumBatchingWindowInSeconds": Integer(minimum=0, maximum=300),
    "FunctionResponseTypes": ListShape(of=StringShape(allowed=("ReportBatchItemFailures",)), maximum=1),
    "ProvisionedPollerConfig": Structure(
        members={
            "MinimumPollers": Integer(minimum=1, maximum=200),
            "MaximumPollers": Integer(minimum=1, maximum=10_000),
        }
    ),
}
_MAPPED_FUNCTION: Final = StringShape(minimum=1, maximum=256)
CREATE_MAPPING: Final = Structure(
    members={
        "EventSourceArn": StringShape(maximum=10_000),
        "FunctionName": _MAPPED_FUNCTION,
        **_MAPPING_MEMBERS,
        "Tags": _TAGS,
    },
    required=("FunctionName",),
)
UPDATE_MAPPING: Final = Structure(members={"FunctionName": _MAPPED_FUNCTION, **_MAPPING_MEMBERS})

LAYER_NAME: Final = StringShape(
    minimum=1,
    maximum=140,
    pattern=r"(arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+",
)
PUBLISH_LAYER: Final = Structure(
    members={
        "Description": _DESCRIPTION,
        "Content": Structure(members={key: _CODE_MEMBERS[key] for key in _CODE_MEMBERS if key != "ImageUri"}),
        "CompatibleRuntimes": ListShape(of=StringShape(allowed=RUNTIMES), maximum=15),
        "LicenseInfo": StringShape(maximum=512),
        "CompatibleArchitectures": ListShape(of=StringShape(allowed=("x86_64", "arm64")), maximum=2),
    },
    required=("Content",),
)
