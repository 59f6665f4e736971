"""EventBridge in templates: events of functions, buses, rules with any targets, and buckets that use them."""

import pytest

from engine.config import load_config
from engine.errors import ConfigError

TEMPLATE = """
Resources:
  Partners: {Type: AWS::Events::EventBus, Properties: {Name: partners, Tags: [{Key: k, Value: v}]}}
  Copies: {Type: AWS::SQS::Queue}
  Dead: {Type: AWS::SQS::Queue}
  Photos:
    Type: AWS::S3::Bucket
    Properties: {NotificationConfiguration: {EventBridgeConfiguration: {EventBridgeEnabled: true}}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: orders.handler
      CodeUri: src/
      Runtime: python3.13
      AutoPublishAlias: live
      Events:
        Large:
          Type: EventBridgeRule
          Properties:
            Pattern: {source: [shop], detail: {n: [{numeric: [">", 9]}]}}
            EventBusName: !Ref Partners
            RuleName: large
            InputTransformer: {InputPathsMap: {n: $.detail.n}, InputTemplate: '{"number": <n>}'}
            Target: {Id: t}
            DeadLetterConfig: {Type: SQS}
            RetryPolicy: {MaximumRetryAttempts: 5, MaximumEventAgeInSeconds: 900}
        Old:
          Type: CloudWatchEvent
          Properties:
            Pattern: {source: [aws.s3]}
            EventBusName: !GetAtt Partners.Arn
            Input: '{"old":  1.50}'
            State: DISABLED
            DeadLetterConfig: {Arn: !GetAtt Dead.Arn}
        Nightly:
          Type: Schedule
          Properties: {Schedule: rate(1 day)}
  Copy:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: !Ref Partners
      EventPattern: {source: [shop]}
      Targets:
        - {Id: q, Arn: !GetAtt Copies.Arn, InputPath: $.detail, DeadLetterConfig: {Arn: !GetAtt Dead.Arn}}
        - {Id: f, Arn: !GetAtt F.Arn}
        - {Id: gone, Arn: !ImportValue elsewhere}
  Ticks:
    Type: AWS::Events::Rule
    Properties:
      ScheduleExpression: rate(5 minutes)
      Targets:
        - {Id: f, Arn: !GetAtt F.Arn}
        - {Id: q, Arn: !GetAtt Copies.Arn}
"""

EVENTS = "Resources.F.Properties.Events"


@pytest.fixture
def load(write, project):
    """Loads a template beside the code."""
    (project / "src").mkdir()
    (project / "src" / "orders.py").write_text("")
    return lambda text=TEMPLATE: load_config(write("template.yaml", text))


def test_events_of_functions_become_rules(load):
    """EventBridgeRule, and CloudWatchEvent as it was called before. A dead-letter queue may be made."""
    config = load()
    large, old = config.bindings["eventbridge"]

    assert ["live", "live"] == [large.qualifier, old.qualifier]
    assert {
        "pattern": {"source": ["shop"], "detail": {"n": [{"numeric": [">", 9]}]}},
        "bus": "partners",
        "name": "large",
        "input_transformer": {"paths": {"n": "$.detail.n"}, "template": '{"number": <n>}'},
        "dead_letter_queue": "FLargeQueue",
        "maximum_retry_attempts": 5,
        "maximum_event_age_s": 900,
    } == {key: large.settings.model_dump()[key] for key in large.settings.model_fields_set - {"type"}}
    assert ("partners", '{"old":  1.50}', False) == (
        old.settings.bus,
        old.settings.input,
        old.settings.enabled,
    )
    assert '{"old":  1.50}' == old.settings.members(config.account)["Input"]
    assert {"Copies", "Dead", "FLargeQueue"} == config.resources.queues.keys()


def test_rules_and_buses_are_resources(load):
    """A schedule is an event of a function; its other targets are a rule's."""
    config = load()
    rules, arn = config.resources.rules, "arn:aws:{}:us-east-1:000000000000:{}"
    ticks = config.bindings["schedule"]

    assert {"partners": {"k": "v"}} == {name: bus.tags for name, bus in config.resources.buses.items()}
    assert ("partners", {"source": ["shop"]}) == (rules["Copy"].bus, rules["Copy"].pattern)
    assert [
        ("q", arn.format("sqs", "Copies"), "$.detail", arn.format("sqs", "Dead")),
        ("f", arn.format("lambda", "function:F"), None, None),
    ] == [(one.id, one.to, one.input_path, one.dead_letter_queue) for one in rules["Copy"].targets]
    assert ["rate(1 day)", "rate(5 minutes)"] == [binding.settings.schedule for binding in ticks]
    assert ("rate(5 minutes)", [arn.format("sqs", "Copies")]) == (
        rules["Ticks"].schedule,
        [one.to for one in rules["Ticks"].targets],
    )
    assert config.resources.buckets["photos"].eventbridge


def test_nothing_is_left_out_in_silence(load):
    """One target is in another stack."""
    place = "Resources.Copy.Properties.Targets"

    assert [f"{place}[2]: left out: it is from something that is known only once deployed"] == list(
        load().warnings
    )


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (
            ("{source: [aws.s3]}", "{source: aws.s3}"),
            f'{EVENTS}.Old.Properties.Pattern: is no pattern: "source" must be an object or an array',
        ),
        (
            ("MaximumEventAgeInSeconds: 900", "MaximumEventAgeInSeconds: 9"),
            f"{EVENTS}.Large.Properties.RetryPolicy.MaximumEventAgeInSeconds: 9 is below 60 (minimum)",
        ),
        (
            ("            Pattern: {source: [aws.s3]}\n", ""),
            f"{EVENTS}.Old.Properties.Pattern: is required",
        ),
        (
            ("'{\"old\":  1.50}'", "nojson"),
            f"{EVENTS}.Old.Properties.Input: JSON syntax error in input",
        ),
        (
            ("Properties: {Schedule: rate(1 day)}", "Properties: {Schedule: rate(1 day), Input: nojson}"),
            f"{EVENTS}.Nightly.Properties.Input: JSON syntax error in input",
        ),
        (
            ("InputPath: $.detail,", "Input: '{',"),
            "Resources.Copy.Properties.Targets[0].Input: JSON syntax error in input",
        ),
        (
            ("InputPath: $.detail,", "InputPath: detail,"),
            "Resources.Copy.Properties.Targets[0].InputPath: 'detail' does not begin with $",
        ),
        (
            ("InputTemplate: '{", "InputTemplate: '<gone> {"),
            f"{EVENTS}.Large.Properties.InputTransformer: template contains invalid placeholder gone",
        ),
        (
            (
                "- {Id: f, Arn: !GetAtt F.Arn}\n        - {Id: gone",
                "- {Id: q, Arn: !GetAtt F.Arn}\n        - {Id: gone",
            ),
            "Resources.Copy.Properties.Targets[1].Id: 'q' is the id of another target",
        ),
        (
            (
                "Copies: {Type: AWS::SQS::Queue}",
                "Copies: {Type: AWS::SQS::Queue, Properties: {FifoQueue: true}}",
            ),
            "Resources.Copy.Properties.Targets[0].SqsParameters.MessageGroupId: is required",
        ),
        (("rate(5 minutes)", "rate(5 minute)"), "Resources.Ticks.Properties.ScheduleExpression: "),
    ],
)
def test_what_is_wrong_is_named_by_its_property(load, wrong, line):
    """In the words of the template."""
    with pytest.raises(ConfigError) as caught:
        load(TEMPLATE.replace(*wrong))

    assert any(problem.startswith(line) for problem in caught.value.problems), caught.value.problems
