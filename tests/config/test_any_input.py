"""Whatever a document holds, it becomes a Config or a ConfigError."""

import datetime
import os

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.config import EngineSettings, FunctionSettings, load_config
from engine.config.configuration import Config, DocumentOrigin, build
from engine.config.templates.event_sources import BUCKET_KEYS, EVENT_KEYS, EVENTS, QUEUE_KEYS
from engine.config.templates.names import BUCKET, DATA_STREAM, QUEUE, TABLE_TYPES
from engine.config.templates.sam import READERS
from engine.errors import ConfigError
from engine.services.partner.settings import DataStreamSettings, TableSettings
from engine.services.s3.settings import BucketSettings, S3Settings
from engine.services.sqs.settings import QueueSettings

KEYS = st.sampled_from(
    [*EngineSettings.model_fields, *FunctionSettings.model_fields, "engine", "functions", "type", "path", "x"]
)
TYPES = st.sampled_from(
    ["http", "sqs", "json:JSONDecoder", "a:b", "auto", "loop", "json.tool.main", "measured"]
)
SCALARS = st.one_of(
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.booleans(),
    st.text(max_size=20),
    TYPES,
    st.just("\0"),
    st.just("x" * 5000),
    st.just(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)),
    st.just(datetime.time(1, 2)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
TABLES = st.dictionaries(KEYS | st.text(max_size=5), VALUES, max_size=6)
TABLE_NAMES = st.text(max_size=5) | st.sampled_from(["jobs", "jobs.fifo", "photos"])
RESOURCE_KEYS = [
    *(*QueueSettings.model_fields, *BucketSettings.model_fields, *S3Settings.model_fields),
    *(*DataStreamSettings.model_fields, *TableSettings.model_fields),
]
RESOURCES = st.dictionaries(st.sampled_from(RESOURCE_KEYS), VALUES, max_size=4)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "engine": TABLES | VALUES,
        "functions": st.dictionaries(st.text(max_size=5) | st.just("f"), TABLES | VALUES, max_size=3)
        | VALUES,
        "queues": st.dictionaries(TABLE_NAMES, RESOURCES | VALUES, max_size=3) | VALUES,
        "buckets": st.dictionaries(TABLE_NAMES, RESOURCES | VALUES, max_size=3) | VALUES,
        "streams": st.dictionaries(TABLE_NAMES, RESOURCES | VALUES, max_size=3) | VALUES,
        "tables": st.dictionaries(TABLE_NAMES, RESOURCES | VALUES, max_size=3) | VALUES,
        "s3": RESOURCES | VALUES,
        "more": VALUES,
    },
)


def outcome(make):
    """What `make` made, or the problems it found; anything else it raises is an error of the test."""
    try:
        return make()
    except ConfigError as error:
        found = error
    assert found.problems
    assert all(problem and "\n" not in problem for problem in found.problems)
    return found


@settings(max_examples=200, deadline=None)
@given(DOCUMENTS)
def test_any_document_is_a_config_or_a_config_error(document):
    """One line a problem, never another exception."""
    assert isinstance(
        outcome(lambda: build(document, DocumentOrigin(folder=os.getcwd()))), Config | ConfigError
    )


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200) | st.text(alphabet="[]{}=\"'\n.,#a1 ", max_size=80).map(str.encode))
@pytest.mark.parametrize("name", ["engine.toml", "template.yaml", "template.json", "anything"])
def test_any_bytes_in_a_file_are_a_config_error(project, name, data):
    """No bytes of that length name a function, and none is worse than invalid."""
    (project / name).write_bytes(data)
    found = outcome(lambda: load_config(name))

    assert isinstance(found, ConfigError) or not found.functions


INTRINSICS = st.sampled_from(
    [
        "Ref",
        "Fn::Sub",
        "Fn::GetAtt",
        "Fn::Join",
        "Fn::If",
        "Fn::Select",
        "Fn::Split",
        "Fn::FindInMap",
        "Fn::Equals",
        "Fn::Not",
        "Fn::And",
        "Condition",
        "Fn::Cidr",
        "Fn::ForEach::L",
        "Fn::Length",
        "Fn::ToJsonString",
        "Fn::Transform",
        "Fn::Unheard",
    ]
)
NAMES = st.sampled_from(["F", "P", "C", "M", "AWS::Region", "AWS::NoValue", "${P}", "${F.Arn}", "x"])
PARTS = st.recursive(
    SCALARS.filter(lambda value: not isinstance(value, datetime.time)) | NAMES | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(INTRINSICS, inner, min_size=1, max_size=1)
        | st.dictionaries(st.sampled_from(["Type", "Properties", "Path", "Method", "Variables"]), inner)
    ),
    max_leaves=8,
)
EVENT_PROPERTIES = st.dictionaries(
    st.sampled_from(
        sorted(
            {path.partition(".")[0] for path in EVENT_KEYS.values()}
            | {"FunctionResponseTypes", "ScheduleExpression", "State"}
        )
    ),
    PARTS,
    max_size=5,
)
EVENT_TABLES = st.dictionaries(
    st.just("E"),
    st.fixed_dictionaries({"Type": st.sampled_from(sorted(EVENTS)), "Properties": EVENT_PROPERTIES}),
)
RESOURCE_PROPERTIES = (
    "ApiId AutoPublishAlias Body BodyS3Location Content ContentUri Cors CorsConfiguration DefinitionBody "
    "DefinitionUri EventSourceArn FunctionName HttpMethod Integration IntegrationUri Layers Name ParentId "
    "PathPart Qualifier ResourceId RestApiId RouteKey ScheduleExpression StageName Target Targets "
    "TargetFunctionArn Variables"
)
ANY_RESOURCE = st.fixed_dictionaries(
    {"Type": st.sampled_from(sorted({kind for readers in READERS for kind in readers}))},
    optional={
        "Properties": st.dictionaries(st.sampled_from(RESOURCE_PROPERTIES.split()), PARTS, max_size=5)
        | PARTS,
        "Metadata": PARTS,
        "Condition": PARTS,
    },
)
KEY_PARTS = st.dictionaries(
    st.sampled_from(["AttributeName", "AttributeType", "IndexName", "KeySchema", "KeyType", "Name", "Type"]),
    PARTS,
    max_size=3,
)
SOURCE_PROPERTIES = st.dictionaries(
    st.sampled_from([path.partition(".")[0] for path in (*QUEUE_KEYS.values(), *BUCKET_KEYS.values())])
    | st.sampled_from(["QueueName", "BucketName", "FifoQueue", "ShardCount", "StreamModeDetails"])
    | st.sampled_from(["AttributeDefinitions", "GlobalSecondaryIndexes", "KeySchema", "PrimaryKey", "Name"]),
    PARTS | st.lists(KEY_PARTS, max_size=2) | KEY_PARTS,
    max_size=5,
)
PROPERTIES = st.dictionaries(
    st.sampled_from(
        [
            "Handler",
            "Runtime",
            "CodeUri",
            "MemorySize",
            "Timeout",
            "Environment",
            "Tags",
            "Events",
            "FunctionUrlConfig",
            "FunctionName",
            "Architectures",
            "ProvisionedConcurrencyConfig",
            "PackageType",
            "EventInvokeConfig",
            "DeadLetterQueue",
        ]
    ),
    PARTS | EVENT_TABLES,
    max_size=6,
)
TEMPLATES = st.fixed_dictionaries(
    {
        "Resources": st.fixed_dictionaries(
            {
                "F": st.fixed_dictionaries(
                    {"Type": st.just("AWS::Serverless::Function"), "Properties": PROPERTIES}
                )
            },
            optional={
                "G": PARTS,
                "M": ANY_RESOURCE,
                "N": ANY_RESOURCE,
                "Q": st.fixed_dictionaries(
                    {
                        "Type": st.sampled_from([QUEUE, BUCKET, DATA_STREAM, *TABLE_TYPES]),
                        "Properties": SOURCE_PROPERTIES,
                    }
                ),
            },
        )
    },
    optional={
        "Parameters": st.dictionaries(st.just("P"), PARTS) | PARTS,
        "Conditions": st.dictionaries(st.just("C"), PARTS) | PARTS,
        "Mappings": st.dictionaries(st.just("M"), PARTS) | PARTS,
        "Globals": st.fixed_dictionaries({"Function": PROPERTIES}) | PARTS,
    },
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEMPLATES)
def test_any_template_is_a_config_or_a_config_error(project, template):
    """Malformed intrinsics, wrong types and odd names included."""
    (project / "template.yaml").write_text(yaml.safe_dump(template), encoding="utf-8")

    assert isinstance(outcome(lambda: load_config("template.yaml")), Config | ConfigError)
