"""The request bodies of the Lambda API's control plane, member by member.

Source: Lambda API reference; the API model of botocore.
"""

from __future__ import annotations

from typing import Final

from engine.sources.invoke.members import Flag, Items, Shape, Share, Structure, Table, Text, Whole

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

_ROLE: Final = Text(pattern=r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")
_HANDLER: Final = Text(most=128, pattern=r"[^\s]+")
_DESCRIPTION: Final = Text(most=256)
_VARIABLE: Final = Text(pattern="[a-zA-Z]([a-zA-Z0-9_])+")
_LAYER: Final = Text(least=1, most=2048)
_SHA256: Final = Text(most=256)
_TAGS: Final = Table(key=Text(most=128), of=Text(most=256))
_BASE64: Final = Text()
_CODE_MEMBERS: Final[dict[str, Shape]] = {
    "ZipFile": _BASE64,
    "S3Bucket": Text(
        least=3,
        most=63,
        pattern=r"[0-9A-Za-z\.\-_]*(?<!\.)",
    ),
    "S3Key": Text(least=1, most=1024),
    "S3ObjectVersion": Text(least=1, most=1024),
    "ImageUri": Text(),
}
_ARCHITECTURES: Final = Items(of=Text(allowed=("x86_64", "arm64")), least=1, most=1)
_SETTINGS: Final[dict[str, Shape]] = {
    "Runtime": Text(),
    "Role": _ROLE,
    "Handler": _HANDLER,
    "Description": _DESCRIPTION,
    "Timeout": Whole(least=1, most=900),
    "MemorySize": Whole(least=128, most=10240),
    "Environment": Structure(members={"Variables": Table(key=_VARIABLE, of=Text())}),
    "TracingConfig": Structure(members={"Mode": Text(allowed=("Active", "PassThrough"))}),
    "EphemeralStorage": Structure(members={"Size": Whole(least=512, most=10240)}, required=("Size",)),
    "SnapStart": Structure(members={"ApplyOn": Text(allowed=("PublishedVersions", "None"))}),
    "LoggingConfig": Structure(
        members={
            "LogFormat": Text(allowed=("JSON", "Text")),
            "ApplicationLogLevel": Text(allowed=("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")),
            "SystemLogLevel": Text(allowed=("DEBUG", "INFO", "WARN")),
            "LogGroup": Text(least=1, most=512, pattern=r"[\.\-_/#A-Za-z0-9]+"),
        }
    ),
    "Layers": Items(of=_LAYER),
    "DeadLetterConfig": Structure(members={"TargetArn": Text()}),
    "KMSKeyArn": Text(),
    "VpcConfig": Structure(
        members={
            "SubnetIds": Items(of=Text(), most=16),
            "SecurityGroupIds": Items(of=Text(), most=5),
            "Ipv6AllowedForDualStack": Flag(),
        }
    ),
    "FileSystemConfigs": Items(
        of=Structure(
            members={
                "Arn": Text(most=200),
                "LocalMountPath": Text(most=160, pattern=r"/mnt/[a-zA-Z0-9-_.]+"),
            },
            required=("Arn", "LocalMountPath"),
        ),
        most=1,
    ),
}

CREATE_FUNCTION: Final = Structure(
    members={
        "FunctionName": Text(least=1),
        "Code": Structure(members=_CODE_MEMBERS),
        **_SETTINGS,
        "Publish": Flag(),
        "PackageType": Text(allowed=("Zip", "Image")),
        "Tags": _TAGS,
        "Architectures": _ARCHITECTURES,
    },
    required=("FunctionName", "Role", "Code"),
)
UPDATE_CODE: Final = Structure(
    members={
        **_CODE_MEMBERS,
        "Publish": Flag(),
        "DryRun": Flag(),
        "RevisionId": Text(),
        "Architectures": _ARCHITECTURES,
    }
)
UPDATE_CONFIGURATION: Final = Structure(members={**_SETTINGS, "RevisionId": Text()})
PUBLISH_VERSION: Final = Structure(
    members={"CodeSha256": _SHA256, "Description": _DESCRIPTION, "RevisionId": Text()}
)

_VERSION: Final = Text(least=1, most=1024, pattern=r"(\$LATEST|[0-9]+)")
_ROUTING: Final = Structure(
    members={"AdditionalVersionWeights": Table(key=Text(least=1, most=1024, pattern="[0-9]+"), of=Share())}
)
ALIAS_NAME: Final = Text(least=1, most=128, pattern="(?!^[0-9]+$)([a-zA-Z0-9-_]+)")
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
        "RevisionId": Text(),
    }
)

CONCURRENCY: Final = Structure(
    members={"ReservedConcurrentExecutions": Whole(least=0)}, required=("ReservedConcurrentExecutions",)
)
PROVISIONED: Final = Structure(
    members={"ProvisionedConcurrentExecutions": Whole(least=1)}, required=("ProvisionedConcurrentExecutions",)
)

_DESTINATION: Final = Structure(members={"Destination": Text(most=350)})
EVENT_INVOKE: Final = Structure(
    members={
        "MaximumRetryAttempts": Whole(least=0, most=2),
        "MaximumEventAgeInSeconds": Whole(least=60, most=21600),
        "DestinationConfig": Structure(members={"OnSuccess": _DESTINATION, "OnFailure": _DESTINATION}),
    }
)

_CORS: Final = Structure(
    members={
        "AllowCredentials": Flag(),
        "AllowHeaders": Items(of=Text(most=1024), most=100),
        "AllowMethods": Items(
            of=Text(most=6, allowed=("GET", "PUT", "HEAD", "POST", "PATCH", "DELETE", "*")), most=6
        ),
        "AllowOrigins": Items(of=Text(least=1, most=253), most=100),
        "ExposeHeaders": Items(of=Text(most=1024), most=100),
        "MaxAge": Whole(least=0, most=86400),
    }
)
_URL_MEMBERS: Final[dict[str, Shape]] = {
    "AuthType": Text(allowed=("NONE", "AWS_IAM")),
    "Cors": _CORS,
    "InvokeMode": Text(allowed=("BUFFERED", "RESPONSE_STREAM")),
}
CREATE_URL: Final = Structure(members=_URL_MEMBERS, required=("AuthType",))
UPDATE_URL: Final = Structure(members=_URL_MEMBERS)
URL_QUALIFIER: Final = Text(
    least=1, most=128, pattern=r"((?!^\d+$)^[0-9a-zA-Z-_]+$)", matches=r"(?!\d+$)[0-9a-zA-Z\-_]+"
)

ADD_PERMISSION: Final = Structure(
    members={
        "StatementId": Text(least=1, most=100, pattern="([a-zA-Z0-9-_]+)"),
        "Action": Text(pattern=r"(lambda:[*]|lambda:[a-zA-Z]+|[*])"),
        "Principal": Text(pattern=r"[^\s]+"),
        "SourceArn": Text(),
        "SourceAccount": Text(most=12, pattern=r"\d{12}"),
        "EventSourceToken": Text(most=256),
        "PrincipalOrgID": Text(least=12, most=34),
        "FunctionUrlAuthType": Text(allowed=("NONE", "AWS_IAM")),
        "InvokedViaFunctionUrl": Flag(),
        "RevisionId": Text(),
    },
    required=("StatementId", "Action", "Principal"),
)
TAG: Final = Structure(members={"Tags": _TAGS}, required=("Tags",))
RECURSION: Final = Structure(
    members={"RecursiveLoop": Text(allowed=("Allow", "Terminate"))}, required=("RecursiveLoop",)
)

_MAPPING_MEMBERS: Final[dict[str, Shape]] = {
    "Enabled": Flag(),
    "BatchSize": Whole(least=1, most=10_000),
    "FilterCriteria": Structure(
        members={"Filters": Items(of=Structure(members={"Pattern": Text(most=4_096)}))}
    ),
    "KMSKeyArn": Text(most=10_000),
    "MetricsConfig": Structure(
        members={"Metrics": Items(of=Text(allowed=("EventCount", "ErrorCount", "KafkaMetrics")), most=3)}
    ),
    "LoggingConfig": Structure(members={"SystemLogLevel": Text(allowed=("DEBUG", "INFO", "WARN"))}),
    "ScalingConfig": Structure(members={"MaximumConcurrency": Whole(least=2, most=1_000)}),
    "MaximumBatchingWindowInSeconds": Whole(least=0, most=300),
    "FunctionResponseTypes": Items(of=Text(allowed=("ReportBatchItemFailures",)), most=1),
    "ProvisionedPollerConfig": Structure(
        members={
            "MinimumPollers": Whole(least=1, most=200),
            "MaximumPollers": Whole(least=1, most=10_000),
        }
    ),
}
_MAPPED_FUNCTION: Final = Text(least=1, most=256)
CREATE_MAPPING: Final = Structure(
    members={
        "EventSourceArn": Text(most=10_000),
        "FunctionName": _MAPPED_FUNCTION,
        **_MAPPING_MEMBERS,
        "Tags": _TAGS,
    },
    required=("FunctionName",),
)
UPDATE_MAPPING: Final = Structure(members={"FunctionName": _MAPPED_FUNCTION, **_MAPPING_MEMBERS})

LAYER_NAME: Final = Text(
    least=1,
    most=140,
    pattern=r"(arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+",
)
PUBLISH_LAYER: Final = Structure(
    members={
        "Description": _DESCRIPTION,
        "Content": Structure(members={key: _CODE_MEMBERS[key] for key in _CODE_MEMBERS if key != "ImageUri"}),
        "CompatibleRuntimes": Items(of=Text(allowed=RUNTIMES), most=15),
        "LicenseInfo": Text(most=512),
        "CompatibleArchitectures": Items(of=Text(allowed=("x86_64", "arm64")), most=2),
    },
    required=("Content",),
)
