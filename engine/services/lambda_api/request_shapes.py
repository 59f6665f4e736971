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
_HANDLER: Final = StringShape(most=128, pattern=r"[^\s]+")
_DESCRIPTION: Final = StringShape(most=256)
_VARIABLE: Final = StringShape(pattern="[a-zA-Z]([a-zA-Z0-9_])+")
_LAYER: Final = StringShape(least=1, most=2048)
_SHA256: Final = StringShape(most=256)
_TAGS: Final = MapShape(key=StringShape(most=128), of=StringShape(most=256))
_BASE64: Final = StringShape()
_CODE_MEMBERS: Final[dict[str, Shape]] = {
    "ZipFile": _BASE64,
    "S3Bucket": StringShape(
        least=3,
        most=63,
        pattern=r"[0-9A-Za-z\.\-_]*(?<!\.)",
    ),
    "S3Key": StringShape(least=1, most=1024),
    "S3ObjectVersion": StringShape(least=1, most=1024),
    "ImageUri": StringShape(),
}
_ARCHITECTURES: Final = ListShape(of=StringShape(allowed=("x86_64", "arm64")), least=1, most=1)
_SETTINGS: Final[dict[str, Shape]] = {
    "Runtime": StringShape(),
    "Role": _ROLE,
    "Handler": _HANDLER,
    "Description": _DESCRIPTION,
    "Timeout": Integer(least=1, most=900),
    "MemorySize": Integer(least=128, most=10240),
    "Environment": Structure(members={"Variables": MapShape(key=_VARIABLE, of=StringShape())}),
    "TracingConfig": Structure(members={"Mode": StringShape(allowed=("Active", "PassThrough"))}),
    "EphemeralStorage": Structure(members={"Size": Integer(least=512, most=10240)}, required=("Size",)),
    "SnapStart": Structure(members={"ApplyOn": StringShape(allowed=("PublishedVersions", "None"))}),
    "LoggingConfig": Structure(
        members={
            "LogFormat": StringShape(allowed=("JSON", "Text")),
            "ApplicationLogLevel": StringShape(allowed=("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")),
            "SystemLogLevel": StringShape(allowed=("DEBUG", "INFO", "WARN")),
            "LogGroup": StringShape(least=1, most=512, pattern=r"[\.\-_/#A-Za-z0-9]+"),
        }
    ),
    "Layers": ListShape(of=_LAYER),
    "DeadLetterConfig": Structure(members={"TargetArn": StringShape()}),
    "KMSKeyArn": StringShape(),
    "VpcConfig": Structure(
        members={
            "SubnetIds": ListShape(of=StringShape(), most=16),
            "SecurityGroupIds": ListShape(of=StringShape(), most=5),
            "Ipv6AllowedForDualStack": Boolean(),
        }
    ),
    "FileSystemConfigs": ListShape(
        of=Structure(
            members={
                "Arn": StringShape(most=200),
                "LocalMountPath": StringShape(most=160, pattern=r"/mnt/[a-zA-Z0-9-_.]+"),
            },
            required=("Arn", "LocalMountPath"),
        ),
        most=1,
    ),
}

CREATE_FUNCTION: Final = Structure(
    members={
        "FunctionName": StringShape(least=1),
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

_VERSION: Final = StringShape(least=1, most=1024, pattern=r"(\$LATEST|[0-9]+)")
_ROUTING: Final = Structure(
    members={
        "AdditionalVersionWeights": MapShape(
            key=StringShape(least=1, most=1024, pattern="[0-9]+"), of=Double()
        )
    }
)
ALIAS_NAME: Final = StringShape(least=1, most=128, pattern="(?!^[0-9]+$)([a-zA-Z0-9-_]+)")
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
    members={"ReservedConcurrentExecutions": Integer(least=0)}, required=("ReservedConcurrentExecutions",)
)
PROVISIONED: Final = Structure(
    members={"ProvisionedConcurrentExecutions": Integer(least=1)},
    required=("ProvisionedConcurrentExecutions",),
)

_DESTINATION: Final = Structure(members={"Destination": StringShape(most=350)})
EVENT_INVOKE: Final = Structure(
    members={
        "MaximumRetryAttempts": Integer(least=0, most=2),
        "MaximumEventAgeInSeconds": Integer(least=60, most=21600),
        "DestinationConfig": Structure(members={"OnSuccess": _DESTINATION, "OnFailure": _DESTINATION}),
    }
)

_CORS: Final = Structure(
    members={
        "AllowCredentials": Boolean(),
        "AllowHeaders": ListShape(of=StringShape(most=1024), most=100),
        "AllowMethods": ListShape(
            of=StringShape(most=6, allowed=("GET", "PUT", "HEAD", "POST", "PATCH", "DELETE", "*")), most=6
        ),
        "AllowOrigins": ListShape(of=StringShape(least=1, most=253), most=100),
        "ExposeHeaders": ListShape(of=StringShape(most=1024), most=100),
        "MaxAge": Integer(least=0, most=86400),
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
    least=1, most=128, pattern=r"((?!^\d+$)^[0-9a-zA-Z-_]+$)", matches=r"(?!\d+$)[0-9a-zA-Z\-_]+"
)

ADD_PERMISSION: Final = Structure(
    members={
        "StatementId": StringShape(least=1, most=100, pattern="([a-zA-Z0-9-_]+)"),
        "Action": StringShape(pattern=r"(lambda:[*]|lambda:[a-zA-Z]+|[*])"),
        "Principal": StringShape(pattern=r"[^\s]+"),
        "SourceArn": StringShape(),
        "SourceAccount": StringShape(most=12, pattern=r"\d{12}"),
        "EventSourceToken": StringShape(most=256),
        "PrincipalOrgID": StringShape(least=12, most=34),
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
    "BatchSize": Integer(least=1, most=10_000),
    "FilterCriteria": Structure(
        members={"Filters": ListShape(of=Structure(members={"Pattern": StringShape(most=4_096)}))}
    ),
    "KMSKeyArn": StringShape(most=10_000),
    "MetricsConfig": Structure(
        members={
            "Metrics": ListShape(of=StringShape(allowed=("EventCount", "ErrorCount", "KafkaMetrics")), most=3)
        }
    ),
    "LoggingConfig": Structure(members={"SystemLogLevel": StringShape(allowed=("DEBUG", "INFO", "WARN"))}),
    "ScalingConfig": Structure(members={"MaximumConcurrency": Integer(least=2, most=1_000)}),
    "MaximumBatchingWindowInSeconds": Integer(least=0, most=300),
    "FunctionResponseTypes": ListShape(of=StringShape(allowed=("ReportBatchItemFailures",)), most=1),
    "ProvisionedPollerConfig": Structure(
        members={
            "MinimumPollers": Integer(least=1, most=200),
            "MaximumPollers": Integer(least=1, most=10_000),
        }
    ),
}
_MAPPED_FUNCTION: Final = StringShape(least=1, most=256)
CREATE_MAPPING: Final = Structure(
    members={
        "EventSourceArn": StringShape(most=10_000),
        "FunctionName": _MAPPED_FUNCTION,
        **_MAPPING_MEMBERS,
        "Tags": _TAGS,
    },
    required=("FunctionName",),
)
UPDATE_MAPPING: Final = Structure(members={"FunctionName": _MAPPED_FUNCTION, **_MAPPING_MEMBERS})

LAYER_NAME: Final = StringShape(
    least=1,
    most=140,
    pattern=r"(arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+",
)
PUBLISH_LAYER: Final = Structure(
    members={
        "Description": _DESCRIPTION,
        "Content": Structure(members={key: _CODE_MEMBERS[key] for key in _CODE_MEMBERS if key != "ImageUri"}),
        "CompatibleRuntimes": ListShape(of=StringShape(allowed=RUNTIMES), most=15),
        "LicenseInfo": StringShape(most=512),
        "CompatibleArchitectures": ListShape(of=StringShape(allowed=("x86_64", "arm64")), most=2),
    },
    required=("Content",),
)
