"""Events of streams in files and templates, and the streams and tables that the partner is to have."""

import pytest

from engine.app.preflight import stream_warnings
from engine.config import load_config
from engine.errors import ConfigError
from engine.sources.streams.settings import KinesisEvent

FUNCTION = """
[functions.f]
handler = "handlers.hello.handler"
[[functions.f.events]]
"""
TABLE = 'type = "kinesis"\nstream = "s"\n[tables.abc]\npartition_key = "k"\n'
UNREAD = 'cannot be read: partner = "none": say where it is by endpoint_url'
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Orders:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions:
        - {AttributeName: id, AttributeType: S}
        - {AttributeName: at, AttributeType: N}
        - {AttributeName: kind, AttributeType: S}
      KeySchema: [{AttributeName: id, KeyType: HASH}, {AttributeName: at, KeyType: RANGE}]
      ProvisionedThroughput: {ReadCapacityUnits: 1, WriteCapacityUnits: 1}
      GlobalSecondaryIndexes:
        - IndexName: by-kind
          KeySchema: [{AttributeName: kind, KeyType: HASH}]
          Projection: {ProjectionType: ALL}
          ProvisionedThroughput: {ReadCapacityUnits: 1, WriteCapacityUnits: 1}
      StreamSpecification: {StreamViewType: NEW_IMAGE}
      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}
  Carts: {Type: AWS::Serverless::SimpleTable, Properties: {PrimaryKey: {Name: n, Type: Number}}}
  Clicks:
    Type: AWS::Kinesis::Stream
    Properties: {ShardCount: 3, RetentionPeriodHours: 48, Tags: [{Key: a, Value: b}]}
  Busy: {Type: AWS::Kinesis::Stream, Properties: {Name: busy, StreamModeDetails: {StreamMode: ON_DEMAND}}}
  Failed: {Type: AWS::SQS::Queue}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: orders.handler
      CodeUri: src
      Runtime: python3.12
      Environment: {Variables: {TABLE: !Ref Orders, ARN: !GetAtt Orders.StreamArn, CLICKS: !Ref Clicks}}
      Events:
        Changes:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Orders.StreamArn
            StartingPosition: TRIM_HORIZON
            BatchSize: 7
            MaximumBatchingWindowInSeconds: 3
            ParallelizationFactor: 2
            MaximumRetryAttempts: 4
            MaximumRecordAgeInSeconds: 600
            BisectBatchOnFunctionError: true
            FunctionResponseTypes: [ReportBatchItemFailures]
            DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Failed.Arn}}
            FilterCriteria: {Filters: [{Pattern: '{"eventName":["INSERT"]}'}]}
            Enabled: false
            MetricsConfig: {Metrics: [EventCount]}
        Clicks:
          Type: Kinesis
          Properties:
            Stream: !GetAtt Clicks.Arn
            StartingPosition: AT_TIMESTAMP
            StartingPositionTimestamp: 1500000000
            TumblingWindowInSeconds: 60
  Mapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      EventSourceArn: arn:aws:kinesis:eu-west-1:123456789012:stream/elsewhere
      FunctionName: !Ref F
      StartingPosition: LATEST
      BatchSize: 9
"""


@pytest.fixture
def template(write, project):
    """Write a template beside a folder `src` with its code, and return its path."""
    (project / "src").mkdir()
    (project / "src" / "orders.py").write_text("")
    return lambda text: write("template.yaml", text)


def test_events_of_a_template_have_all_their_properties(template):
    """A stream is known by the name in its ARN; a destination is the queue of the template."""
    bindings = load_config(template(TEMPLATE)).bindings
    [changes] = [binding.settings for binding in bindings["dynamodb"]]
    clicks, mapped = [binding.settings for binding in bindings["kinesis"]]

    assert {
        "table": "Orders",
        "starting_position": "TRIM_HORIZON",
        "batch_size": 7,
        "maximum_batching_window_s": 3,
        "parallelization_factor": 2,
        "maximum_retry_attempts": 4,
        "maximum_record_age_s": 600,
        "bisect_batch_on_function_error": True,
        "report_batch_item_failures": True,
        "on_failure": "arn:aws:sqs:us-east-1:000000000000:Failed",
        "filters": ('{"eventName":["INSERT"]}',),
        "enabled": False,
    }.items() <= vars(changes).items()
    assert ("Clicks", "AT_TIMESTAMP", 1_500_000_000, 60) == (
        clicks.stream,
        clicks.starting_position,
        clicks.starting_position_timestamp_s,
        clicks.tumbling_window_s,
    )
    assert ("elsewhere", "LATEST", 9) == (mapped.stream, mapped.starting_position, mapped.batch_size)


CONSUMER = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Clicks: {Type: AWS::Kinesis::Stream}
  Reader:
    Type: AWS::Kinesis::StreamConsumer
    Properties: {StreamARN: !GetAtt Clicks.Arn, ConsumerName: reader}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: orders.handler
      CodeUri: src
      Runtime: python3.12
      Environment:
        Variables: {CONSUMER: !Ref Reader, NAME: !GetAtt Reader.ConsumerName, OF: !GetAtt Reader.StreamARN}
      Events:
        ByName: {Type: Kinesis, Properties: {Stream: !Ref Reader, StartingPosition: LATEST}}
        ByArn: {Type: Kinesis, Properties: {Stream: !GetAtt Reader.ConsumerARN, StartingPosition: LATEST}}
  Mapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties: {EventSourceArn: !Ref Reader, FunctionName: !Ref F, StartingPosition: LATEST}
"""


def test_a_consumer_of_a_template_is_served_as_its_stream(template):
    """By what is known of its ARN before it is there: all but the time at its end. Nothing is left out."""
    config = load_config(template(CONSUMER))
    arn = "arn:aws:kinesis:us-east-1:000000000000:stream/Clicks/consumer/reader"

    assert ["Clicks"] * 3 == [binding.settings.stream for binding in config.bindings["kinesis"]]
    assert {"CONSUMER": arn, "NAME": "reader", "OF": arn.partition("/consumer")[0]} == config.functions[
        0
    ].environment
    assert () == config.warnings
    assert "Clicks" == KinesisEvent(stream=arn).stream_name


def test_a_consumer_that_names_itself_has_no_arn(template):
    """And reading the template ends."""
    with pytest.raises(ConfigError):
        load_config(template(CONSUMER.replace("StreamARN: !GetAtt Clicks.Arn", "StreamARN: !Ref Reader")))


def test_streams_and_tables_of_a_template_are_for_the_partner(template):
    """With keys, indexes and shards; throughput has no meaning here, and what is left out is said."""
    config = load_config(template(TEMPLATE))
    streams, tables = config.resources.streams, config.resources.tables
    orders, carts = tables["Orders"], tables["Carts"]

    assert {"Clicks": (3, 48), "busy": (4, 24), "elsewhere": (1, 24)} == {
        name: (stream.shards, stream.retention_hours) for name, stream in streams.items()
    }
    assert ("id:S", "at:N", "NEW_IMAGE") == (orders.partition_key, orders.sort_key, orders.stream)
    assert [
        {
            "IndexName": "by-kind",
            "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ] == orders.create_table["GlobalSecondaryIndexes"]
    assert ("n:N", None, None) == (carts.partition_key, carts.sort_key, carts.stream)
    assert {
        "TABLE": "Orders",
        "ARN": "arn:aws:dynamodb:us-east-1:000000000000:table/Orders/stream/local",
        "CLICKS": "Clicks",
    } == config.functions[0].environment
    assert (
        "Resources.Orders.Properties.PointInTimeRecoverySpecification: not supported here, ignored",
    ) == config.warnings


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (
            ("            StartingPosition: TRIM_HORIZON\n", ""),
            "Resources.F.Properties.Events.Changes.Properties.StartingPosition: is required",
        ),
        (
            ("      StartingPosition: LATEST\n", ""),
            "Resources.Mapping.Properties.StartingPosition: is required",
        ),
        (
            ("ParallelizationFactor: 2", "ParallelizationFactor: 11"),
            (
                "Resources.F.Properties.Events.Changes.Properties.ParallelizationFactor: "
                "11 is above 10 (maximum)"
            ),
        ),
        (
            ("ShardCount: 3", "ShardCount: 0"),
            "Resources.Clicks.Properties.ShardCount: 0 is below 1 (minimum)",
        ),
        (
            ("      StreamSpecification: {StreamViewType: NEW_IMAGE}\n", ""),
            "Resources.F.Properties.Events.Changes.Properties.Stream: table 'Orders' has no stream",
        ),
        (
            (
                "EventSourceArn: arn:aws:kinesis:eu-west-1:123456789012:stream/elsewhere",
                "EventSourceArn: arn:aws:kinesis:eu-west-1:123456789012:stream/a b",
            ),
            "Resources.Mapping.Properties.EventSourceArn: 'a b': is an ARN, or the name of a stream",
        ),
    ],
)
def test_what_is_wrong_with_a_stream_is_named_by_its_property(template, wrong, line):
    """Of the event, the mapping, or the stream."""
    with pytest.raises(ConfigError) as refused:
        load_config(template(TEMPLATE.replace(*wrong)))

    [told] = refused.value.problems
    assert told.startswith(line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('type = "kinesis"', "functions.f.events[0].stream: is required"),
        ('type = "dynamodb"\ntable = "t"', "functions.f.events[0].table: "),
        (
            'type = "kinesis"\nstream = "s"\non_failure = "lambda:x"',
            "functions.f.events[0].on_failure: 'lambda'",
        ),
        ('type = "kinesis"\nstream = "s"\n[streams."a b"]', "streams.'a b': the name must be 1 to 128"),
        (
            'type = "kinesis"\nstream = "s"\n[tables.ab]\npartition_key = "k"',
            "tables.ab: the name must be 3 to 255",
        ),
        ('type = "kinesis"\nstream = "s"\n[tables.abc]', "tables.abc.partition_key: is required"),
        (f"{TABLE}create_table = {{ AttributeDefinitions = 1 }}", "tables.abc.create_table: "),
        (f"{TABLE}create_table = {{ AttributeDefinitions = [1] }}", "tables.abc.create_table: "),
        (f'{TABLE}create_table = {{ TableName = "x" }}', "tables.abc.create_table: "),
        (f'{TABLE}sort_key = ""', "tables.abc.sort_key: "),
        (
            'type = "dynamodb"\ntable = "abc"\n[tables.abc]\npartition_key = "k"',
            "functions.f.events[0].table: table 'abc' has no stream",
        ),
    ],
)
def test_what_is_wrong_with_a_stream_of_a_file_is_told(write, text, line):
    """By its key."""
    with pytest.raises(ConfigError) as refused:
        load_config(write("engine.toml", FUNCTION + text))

    [told] = refused.value.problems
    assert told.startswith(line)


def test_a_stream_and_a_destination_that_an_event_names_need_no_table(write):
    """Unless it is elsewhere; the ARN of the engine's own region and account is here."""
    text = 'type = "kinesis"\nstream = "{}"\n{}\non_failure = "{}"\n'
    event = "[[functions.f.events]]\n"
    config = load_config(
        write(
            "engine.toml",
            FUNCTION
            + text.format("here", "", "lost")
            + event
            + text.format("arn:aws:kinesis:us-east-1:000000000000:stream/named", "", "s3:kept")
            + event
            + text.format("url", 'endpoint_url = "http://127.0.0.1:1"', "lost")
            + event
            + text.format("other", 'region = "eu-west-1"', "lost")
            + event
            + text.format("arn:aws:kinesis:eu-west-1:000000000000:stream/far", "", "lost"),
        )
    )

    assert {"here", "named"} == config.resources.streams.keys()
    assert ({"lost"}, {"kept"}) == (config.resources.queues.keys(), config.resources.buckets.keys())


@pytest.mark.parametrize(
    ("partner", "lines"),
    [
        (
            "none",
            [
                f"functions.f: kinesis 's' {UNREAD}",
                f"functions.f: dynamodb 'abc' {UNREAD}",
            ],
        ),
        (
            "http://127.0.0.1:1",
            ["functions.f: dynamodb 'abc' is read once a client has made it: no [tables.abc] describes it"],
        ),
    ],
)
def test_what_cannot_be_read_is_said_before(write, partner, lines):
    """By `engine check`; not of what is elsewhere, or disabled."""
    event = "[[functions.f.events]]\n"
    config = load_config(
        write(
            "engine.toml",
            f'[engine]\npartner = "{partner}"\n{FUNCTION}type = "kinesis"\nstream = "s"\n'
            f'{event}type = "dynamodb"\ntable = "abc"\n'
            f'{event}type = "kinesis"\nstream = "u"\nendpoint_url = "aws"\n'
            f'{event}type = "kinesis"\nstream = "d"\nenabled = false\n',
        )
    )

    assert lines == stream_warnings(config, 0.0)


def test_a_position_in_the_future_is_said_before(write):
    """AWS refuses it; the file may be for later."""
    text = 'type = "kinesis"\nstream = "s"\nstarting_position = "AT_TIMESTAMP"\n'
    config = load_config(write("engine.toml", f"{FUNCTION}{text}starting_position_timestamp_s = 1000\n"))
    future = "functions.f: kinesis 's': starting_position_timestamp_s is in the future"

    assert [] == stream_warnings(config, 1000.0)
    assert [future] == [line.partition(", which")[0] for line in stream_warnings(config, 999.0)]
