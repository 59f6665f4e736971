"""SAM and CloudFormation templates: read as far as they can be run here, and frank about the rest."""

import pytest

from engine.config import load_config
from engine.errors import ConfigError
from engine.services.s3.cors import CorsRule
from engine.services.sqs.settings import QUEUE_NAME_RULE

SHOP = """
AWSTemplateFormatVersion: 2010-09-09
Transform: AWS::Serverless-2016-10-31
Description: >
  A shop
Parameters:
  Stage:
    Type: String
    Default: dev
  Retries:
    Type: Number
    Default: 3
Mappings:
  Memory:
    dev: {Size: 256}
    prod: {Size: 1024}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
Globals:
  Function:
    Runtime: python3.13
    Timeout: 20
    Architectures: [arm64]
    CodeUri: src/
    Environment:
      Variables:
        STAGE: !Ref Stage
        LOG: INFO
    Tags: {team: shop}
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub "${AWS::StackName}-orders-${Stage}"
      Handler: orders.handler
      MemorySize: !FindInMap [Memory, !Ref Stage, Size]
      ReservedConcurrentExecutions: "50"
      ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 5}
      Environment:
        Variables:
          LOG: DEBUG
          RETRIES: !Ref Retries
          FLAG: true
          TABLE: !Ref Table
          TABLE_ARN: !GetAtt Table.Arn
          SELF: !Sub "arn:${AWS::Partition}:x:${AWS::Region}:${AWS::AccountId}:${!literal}"
          URLS: !Join [",", [!If [IsProd, a, b], c]]
          SECOND: !Select [1, !Split ["-", "x-y"]]
          GONE: !If [IsProd, here, !Ref "AWS::NoValue"]
      Events:
        List:
          Type: HttpApi
          Properties: {Path: /orders, Method: get}
        One:
          Type: Api
          Properties:
            Path: /orders/{id}
            Method: any
            RestApiId: !Ref SomeApi
        Work:
          Type: SQS
          Properties: {Queue: !GetAtt Queue.Arn}
      Policies:
        - DynamoDBCrudPolicy: {TableName: !Ref Table}
      Layers: [!Ref Shared]
  Web:
    Type: AWS::Serverless::Function
    Properties:
      Handler: web/app.handler
      Timeout: 5
      Tags: {tier: web}
      FunctionUrlConfig: {AuthType: AWS_IAM}
  Node:
    Type: AWS::Serverless::Function
    Properties: {Handler: index.handler, Runtime: nodejs22.x}
  Image:
    Type: AWS::Serverless::Function
    Properties: {PackageType: Image}
  OnlyProd:
    Type: AWS::Serverless::Function
    Condition: IsProd
    Properties: {Handler: nothing.handler}
  Table:
    Type: AWS::DynamoDB::GlobalTable
"""

PLAIN = """{
  "AWSTemplateFormatVersion": "2010-09-09",
  "Resources": {
    "Hello": {
      "Type": "AWS::Lambda::Function",
      "Properties": {
        "Runtime": "python3.12",
        "Handler": "orders.handler",
        "Code": "src",
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        "MemorySize": 512,
        "Environment": {"Variables": {"MODE": {"Fn::Sub": ["${x}-y", {"x": "a"}]}}},
        "Tags": [{"Key": "team", "Value": "shop"}]
      }
    },
    "Mapping": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {}}
  }
}"""


@pytest.fixture
def template(write, project):
    """Write a template beside a folder `src` with its code, and return its path."""
    (project / "src" / "web").mkdir(parents=True)
    (project / "src" / "orders.py").write_text("")
    (project / "src" / "web" / "app.py").write_text("")
    return lambda text, name="template.yaml": write(name, text)


def function(properties, head=""):
    """A template with one function, `F`, that has these property lines."""
    lines = "".join(f"      {line}\n" for line in properties.splitlines())
    fixed = "      Runtime: python3.13\n      CodeUri: src\n"
    return f"{head}Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n{fixed}{lines}"


def problems(path):
    """The lines of the error that loading `path` raises."""
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return list(caught.value.problems)


def test_a_sam_template_becomes_functions(template, project):
    """Globals are merged, intrinsics evaluated, numbers given as text are numbers."""
    orders, web = load_config(template(SHOP)).functions

    assert ("local-orders-dev", "orders.handler", str(project / "src")) == (
        orders.name,
        orders.handler,
        orders.code,
    )
    assert (256, 20.0, "arm64") == (orders.memory_mb, orders.timeout_s, orders.architecture)
    assert (50, 5) == (orders.reserved_concurrency, orders.provisioned_concurrency)
    expected = {
        "STAGE": "dev",
        "LOG": "DEBUG",
        "RETRIES": "3",
        "FLAG": "true",
        "TABLE": "Table",
        "TABLE_ARN": "Table.Arn",
        "SELF": "arn:aws:x:us-east-1:000000000000:${literal}",
        "URLS": "b,c",
        "SECOND": "y",
    }
    assert expected == orders.environment
    assert ("Web", 128, 5.0) == (web.name, web.memory_mb, web.timeout_s)
    assert {"STAGE": "dev", "LOG": "INFO"} == web.environment
    assert {"team": "shop", "tier": "web"} == web.tags


def test_http_events_of_a_template_become_routes(template):
    """Api is payload format 1.0, HttpApi 2.0, a Function URL the catch-all."""
    bindings = load_config(template(SHOP)).bindings["http"]

    assert [
        ("local-orders-dev", "GET", "/orders", "2.0"),
        ("local-orders-dev", "ANY", "/orders/{id}", "1.0"),
        ("Web", "ANY", "$default", "2.0"),
    ] == [
        (one.function.name, one.settings.method, one.settings.path, one.settings.payload_format)
        for one in bindings
    ]


TIMED = """
Transform: AWS::Serverless-2016-10-31
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: orders.handler
      CodeUri: handlers
      Runtime: python3.12
      Events:
        Slow: {Type: HttpApi, Properties: {Path: /slow, Method: get, TimeoutInMillis: 500}}
        Plain: {Type: HttpApi, Properties: {Path: /plain, Method: get}}
        Rest: {Type: Api, Properties: {Path: /rest, Method: get, TimeoutInMillis: 29000}}
"""


def test_the_time_limit_of_a_route_is_taken(template, project):
    """Without one it is API Gateway's own."""
    bindings = load_config(template(TIMED)).bindings["http"]

    assert {"/slow": 0.5, "/plain": 30.0, "/rest": 29.0} == {
        one.settings.path: one.settings.answer_within_s for one in bindings
    }


def test_what_a_template_means_on_aws_only_is_said(template):
    """Nothing is dropped in silence."""
    at = "Resources.Orders.Properties"
    assert [
        "Resources.Image: it is a container image: left out",
        "Resources.Node: its runtime nodejs22.x is not Python: left out",
        "Resources.OnlyProd: left out: its condition 'IsProd' is false",
        f"{at}.Environment.Variables.TABLE: Ref is known only once deployed; 'Table' stands for it",
        (
            f"{at}.Environment.Variables.TABLE_ARN: "
            "Fn::GetAtt is known only once deployed; 'Table.Arn' stands for it"
        ),
        f"{at}.Events.Work: left out: it is from something that is known only once deployed",
        f"{at}.Layers: left out: Shared is no layer with local content of this template",
        f"{at}.Policies: not checked here: handlers may do everything",
        "Resources.Web.Properties.FunctionUrlConfig.AuthType: not checked here, every request is let in",
    ] == sorted(load_config(template(SHOP)).warnings)


def test_a_plain_cloudformation_template_in_json_is_read_too(template, project):
    """`AWS::Lambda::Function` with a local folder as its Code."""
    config = load_config(template(PLAIN, "template.json"))

    [hello] = config.functions
    assert ("Hello", str(project / "src"), 512) == (hello.name, hello.code, hello.memory_mb)
    assert ({"MODE": "a-y"}, {"team": "shop"}) == (hello.environment, hello.tags)
    assert (
        "Resources.Mapping: mappings of anything but queues and streams are not supported, left out",
        "Resources.Hello.Properties.Role: not checked here: handlers may do everything",
    ) == config.warnings
    assert "$default" == config.bindings["http"][0].settings.path


@pytest.mark.parametrize("name", ["template.yml", "stack.template", "stack.conf"])
def test_a_template_is_told_by_its_extension_or_its_content(template, name):
    """Whatever it is called, it is not taken for TOML."""
    assert ["F"] == [
        f.name for f in load_config(template(function("Handler: orders.handler"), name)).functions
    ]


def test_several_function_urls_share_the_listener_by_name(template):
    """Each has a host of its own on AWS; here there is one."""
    one = function("Handler: orders.handler\nFunctionUrlConfig: {AuthType: NONE}")
    config = load_config(template(one + one.partition("Resources:\n")[2].replace("  F:", "  G:")))

    paths = [(b.function.name, b.settings.path) for b in config.bindings["http"]]
    assert [("F", "/F"), ("F", "/F/{proxy+}"), ("G", "/G"), ("G", "/G/{proxy+}")] == paths
    assert (
        "Resources.F.Properties.FunctionUrlConfig: served at /F (one listener, several catch-alls)"
        == config.warnings[0]
    )


WRONG = [
    ("", ["Handler: is required"]),
    ("Handler: orders.handler\nMemorySize: 64", ["MemorySize: 64 is below 128 (AWS minimum)"]),
    ("Handler: orders.handler\nTimeout: 2000", ["Timeout: 2000 is above 900 (AWS maximum)"]),
    ("Handler: orders.handler\nTimeout: soon", ["Timeout: 'soon' is not a number"]),
    ("Handler: orders.handler\nTimeout: [1]", ["Timeout: an array is not a number"]),
    ("Handler: order.handler", [
        "Handler: no module 'order' in '{src}' or on sys.path, did you mean 'orders'?"
    ]),
    (
        "Handler: orders.handler\nArchitectures: [arm]",
        ["Architectures: 'arm' is not 'x86_64' or 'arm64', did you mean 'arm64'?"],
    ),
    ("Handler: orders.handler\nEnvironment: 3", ["Environment.Variables: 3 is not a table"]),
    (
        "Handler: orders.handler\nEnvironment: {Variables: {AWS_REGION: x, NIL: null}}",
        [
            "Environment.Variables.AWS_REGION: is reserved by AWS Lambda",
            "Environment.Variables.NIL: null is not a string",
        ],
    ),
    ("Handler: orders.handler\nInlineCode: x", [
        "Handler: 'orders.handler' is not in index.py, which is all of its code"
    ]),
    ("Handler: orders.handler\nFunctionName: a b", [
        "FunctionName: the name must be 1 to 64 of the characters a-z A-Z 0-9 - _ (AWS)"
    ]),
    ("Handler: !ImportValue x", [
        "Handler: Fn::ImportValue is known only once deployed; '<Fn::ImportValue>' stands for it"
    ]),
    ("Handler: orders.handler\nMemorySize: !Ref Size", [
        ("MemorySize: parameter 'Size' has no value: "
        "give it one with --parameter-overrides Size=..., or a Default")
    ]),
    ("Handler: orders.handler\nMemorySize: !Select [7, [1]]", [
        "MemorySize: Fn::Select is malformed; '<Fn::Select>' stands for it"
    ]),
    ("Handler: orders.handler\nEvents: [1]", ["Events: an array is not a table"]),
    ("Handler: orders.handler\nEvents: {E: {}}", ["Events.E.Type: is required"]),
    ("Handler: orders.handler\nEvents: {E: {Type: Api, Properties: 1}}", [
        "Events.E.Properties: 1 is not a table"
    ]),
    ("Handler: orders.handler\nEvents: {E: {Type: Api, Properties: {Path: /}}}", [
        "Events.E.Properties.Method: is required"
    ]),
    ("Handler: orders.handler\nEvents: {E: {Type: HttpApi, Properties: {PayloadFormatVersion: '3.0'}}}", [
        "Events.E.Properties.PayloadFormatVersion: '3.0' is not '2.0', '1.0' or 'alb', did you mean '2.0'?"
    ]),
    ("Handler: orders.handler\nFunctionUrlConfig: 1", ["FunctionUrlConfig: 1 is not a table"]),
]  # fmt: skip


@pytest.mark.parametrize(("properties", "lines"), WRONG)
def test_a_wrong_property_is_named_as_the_template_names_it(template, project, properties, lines):
    """Resource, property, value, bound."""
    path = template(function(properties, "Parameters: {Size: {Type: Number}}\n"))

    expected = [f"Resources.F.Properties.{line.format(src=project / 'src')}" for line in lines]
    assert expected == problems(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "{path}: not a SAM or CloudFormation template: it has no Resources"),
        ("- 1", "{path}: not a SAM or CloudFormation template: it has no Resources"),
        ("Resources: {A: 1}", "{path}: no function in it can be run here"),
        ("Resources:\n  A: [", "{path}:2:7: "),
        ("Resources: {}\nResources: {}", "{path}:2:1: 'Resources' twice"),
        ("{", "{path}:1:2: expecting property name enclosed in double quotes"),
        (
            "Resources: !!python/object/apply:os.system ['true']",
            "{path}:1:12: could not determine a constructor",
        ),
        ("Resources: !!int ''", "{path}: not YAML: "),
        ("a: " + "[" * 5000, "{path}: nested too deeply"),
        ("a: *nobody", "{path}:1:4: found undefined alias"),
    ],
)
def test_a_file_that_is_no_template_is_one_line(template, text, problem):
    """Never a traceback, never a Python object made by the file."""
    path = template(text)

    assert problems(path)[0].startswith(problem.format(path=path))


@pytest.mark.parametrize(
    "resources",
    [
        "{}",
        "{B: {Type: 'AWS::S3::Bucket'}}",
        "{N: {Type: 'AWS::Unknown::Thing'}}",
        "{Q: {Type: 'AWS::SQS::Queue'}}",
    ],
)
def test_a_template_without_functions_is_one_as_an_engine_toml_may_be(template, resources):
    """They may come over the Lambda API."""
    assert () == load_config(template(f"Resources: {resources}")).functions


@pytest.mark.parametrize(
    "function",
    [
        "{Type: 'AWS::Lambda::Function', Properties: {PackageType: Image, Code: {ImageUri: x}}}",
        "{Type: 'AWS::Serverless::Function', Condition: C, Properties: {Handler: a.b}}",
        "[]",
    ],
)
def test_a_template_of_whose_functions_none_can_be_run_is_refused(template, function):
    """Whoever wrote them wants them."""
    text = f"Conditions: {{C: !Equals [a, b]}}\nResources: {{F: {function}}}"

    assert problems(template(text))[0].endswith(": no function in it can be run here")


BOMB = (
    "c: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\n"
    "e: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nv: &bomb [*e,*e,*e,*e,*e,*e,*e,*e]\n"
)


@pytest.mark.parametrize(
    "head",
    [
        "a: &a [1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\n" + BOMB,
        "v: &bomb [*bomb]\n",
    ],
    ids=["exponential", "endless"],
)
def test_a_document_that_explodes_is_refused(template, head):
    """Aliases may make a small file an endless document."""
    path = template(function("Handler: orders.handler\nTags: *bomb", head))

    assert [f"{path}: nested too deeply, or too large once its aliases are followed"] == problems(path)


def test_a_condition_that_refers_to_itself_ends(template):
    """It is taken as true, and said to be."""
    head = "Conditions: {A: {Condition: B}, B: !Not [{Condition: A}]}\n"
    path = template(function("Handler: orders.handler\nTags: {t: !If [A, x, y]}", head))

    config = load_config(path)

    assert {"t": "y"} == config.functions[0].tags
    assert ("Conditions.B: condition 'A' is not defined; taken as true",) == config.warnings


HEAD = """
Parameters:
  Stage: {Type: String, Default: dev}
  Names: {Type: CommaDelimitedList, Default: "a, b"}
  Secret: {Type: "AWS::SSM::Parameter::Value<String>", Default: /path}
Mappings: {Accounts: {123456789012: {Name: main}}}
Conditions:
  Dev: !Equals [!Ref Stage, dev]
  Prod: !Equals [!Ref Stage, prod]
  Both: !And [!Condition Dev, !Condition Prod]
  Either: !Or [!Condition Dev, !Condition Prod]
"""


@pytest.mark.parametrize(
    ("value", "evaluated"),
    [
        ("!Select [1, !Ref Names]", "b"),
        ("!Join ['-', !Ref Names]", "a-b"),
        ("!FindInMap [Accounts, '123456789012', Name]", "main"),
        ("!If [Both, x, y]", "y"),
        ("!If [Either, x, y]", "x"),
        ("!GetAtt F.Arn", "arn:aws:lambda:us-east-1:000000000000:function:F"),
        ("!Sub '${F.Arn}/${F}'", "arn:aws:lambda:us-east-1:000000000000:function:F/F"),
        ("!Sub ['${x}${Stage}', {x: !Ref Stage}]", "devdev"),
        ("!Ref AWS::Region", "us-east-1"),
        ("007", "7"),
        ("2026-01-01", "2026-01-01"),
    ],
)
def test_what_can_be_known_is_evaluated(template, value, evaluated):
    """Without a warning."""
    path = template(function(f"Handler: orders.handler\nEnvironment: {{Variables: {{VV: {value}}}}}", HEAD))

    config = load_config(path)

    assert {"VV": evaluated} == config.functions[0].environment
    assert () == config.warnings


@pytest.mark.parametrize(
    ("value", "stand_in", "warning"),
    [
        ("!Ref Nobody", "Nobody", "'Nobody' is neither a parameter nor a resource"),
        ("!Sub '${Nobody}!'", "Nobody!", "'Nobody' is neither a parameter nor a resource"),
        (
            "!FindInMap [A, b, c]",
            "<Fn::FindInMap>",
            "Fn::FindInMap is malformed; '<Fn::FindInMap>' stands for it",
        ),
        ("!Select [x, [1]]", "<Fn::Select>", "Fn::Select is malformed; '<Fn::Select>' stands for it"),
        ("!Ref [x]", "<Ref>", "Ref is malformed; '<Ref>' stands for it"),
        ("!If [Nope, x, y]", "x", "condition 'Nope' is not defined; taken as true"),
    ],
)
def test_what_cannot_be_known_has_a_stand_in_and_a_warning(template, value, stand_in, warning):
    """A handler that only passes it on still runs."""
    path = template(function(f"Handler: orders.handler\nEnvironment: {{Variables: {{VV: {value}}}}}", HEAD))

    config = load_config(path)

    assert {"VV": stand_in} == config.functions[0].environment
    assert (f"Resources.F.Properties.Environment.Variables.VV: {warning}",) == config.warnings


def test_two_functions_of_one_name_are_a_problem(template):
    """On AWS the second would replace the first, or fail."""
    one = function("Handler: orders.handler\nFunctionName: same")
    path = template(one + one.partition("Resources:\n")[2].replace("  F:", "  G:"))

    assert ["Resources.G.Properties.FunctionName: 'same' is the name of F too"] == problems(path)


def test_code_in_s3_is_a_problem(template):
    """It is not on this machine."""
    path = template(function("Handler: orders.handler").replace("CodeUri: src", "CodeUri: s3://b/k"))

    expected = "Resources.F.Properties.CodeUri: the code is in S3; write the local folder it is built from"
    assert [expected] == problems(path)


SOURCES = """
Parameters: {Prefix: {Type: String, Default: in/}}
Resources:
  Orders:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 120
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3}
      KmsMasterKeyId: !Ref Key
  Dead: {Type: AWS::SQS::Queue, Properties: {QueueName: lost}}
  Audit: {Type: AWS::SQS::Queue, Properties: {FifoQueue: true, ContentBasedDeduplication: true}}
  Photos:
    Type: AWS::S3::Bucket
    Properties:
      VersioningConfiguration: {Status: Enabled}
      CorsConfiguration:
        CorsRules: [{Id: one, AllowedOrigins: ["https://a.test"], AllowedMethods: [GET, PUT], MaxAge: "60"}]
      NotificationConfiguration:
        QueueConfigurations: [{Event: "s3:ObjectRemoved:*", Queue: !GetAtt Dead.Arn}]
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: orders.handler
      CodeUri: src/
      Runtime: python3.13
      Environment: {Variables: {QUEUE: !Ref Orders, ARN: !GetAtt Audit.Arn, BUCKET: !Ref Photos}}
      DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt Dead.Arn}
      EventInvokeConfig:
        MaximumRetryAttempts: 1
        DestinationConfig:
          OnSuccess: {Type: SQS, Destination: !GetAtt Orders.Arn}
          OnFailure: {Type: S3, Destination: !GetAtt Photos.Arn}
      Events:
        Work:
          Type: SQS
          Properties:
            Queue: !GetAtt Orders.Arn
            BatchSize: 5
            FunctionResponseTypes: [ReportBatchItemFailures]
            FilterCriteria: {Filters: [{Pattern: '{"body": {"a": [1]}}'}]}
            ScalingConfig: {MaximumConcurrency: 10}
        New:
          Type: S3
          Properties:
            Bucket: !Ref Photos
            Events: s3:ObjectCreated:*
            Filter: {S3Key: {Rules: [{Name: prefix, Value: !Ref Prefix}, {Name: suffix, Value: .png}]}}
        Nightly:
          Type: Schedule
          Properties: {Schedule: "cron(0 3 * * ? *)", Name: night, Input: '{"kind": "full"}', Enabled: false}
        Hourly:
          Type: ScheduleV2
          Properties:
            ScheduleExpression: rate(1 hour)
            ScheduleExpressionTimezone: Europe/Berlin
            State: DISABLED
        Elsewhere: {Type: SQS, Properties: {Queue: !ImportValue other-queue}}
        Stream: {Type: MSK, Properties: {Stream: x}}
"""


def test_queues_buckets_and_what_they_trigger_are_read(template):
    """Names that a deployment would make up are made of the logical ids."""
    config = load_config(template(SOURCES))
    [mapping] = [binding.settings for binding in config.bindings["sqs"]]
    [event] = [binding.settings for binding in config.bindings["s3"]]
    nightly, hourly = [binding.settings for binding in config.bindings["schedule"]]
    resources = config.resources
    [told] = resources.buckets["photos"].notifications
    [rule] = resources.buckets["photos"].cors
    cors = CorsRule.of(rule.model_dump())

    assert {"Orders", "lost", "Audit.fifo"} == resources.queues.keys()
    assert (120, "lost", 3) == (
        resources.queues["Orders"].visibility_timeout_s,
        resources.queues["Orders"].redrive.dead_letter_queue,
        resources.queues["Orders"].redrive.max_receive_count,
    )
    assert resources.queues["Audit.fifo"].content_based_deduplication
    assert (True, "lost", ("s3:ObjectRemoved:*",)) == (
        resources.buckets["photos"].versioning,
        told.queue,
        told.events,
    )
    assert ("one", ("https://a.test",), ("GET", "PUT"), 60) == (
        cors.id,
        cors.origins,
        cors.methods,
        cors.max_age_s,
    )
    assert ("Orders", 5, 10, True, 1) == (
        mapping.queue_name,
        mapping.batch_size,
        mapping.maximum_concurrency,
        mapping.report_batch_item_failures,
        len(mapping.filters),
    )
    assert ("photos", "in/", ".png") == (event.bucket, event.prefix, event.suffix)
    assert ("night", '{"kind": "full"}', False, "rule") == (
        nightly.name,
        nightly.input,
        nightly.enabled,
        nightly.service,
    )
    assert ("Europe/Berlin", False, "scheduler") == (hourly.time_zone, hourly.enabled, hourly.service)


def test_asynchronous_invocation_of_a_template_is_read(template):
    """EventInvokeConfig and the dead-letter queue; variables have names and ARNs."""
    [function] = load_config(template(SOURCES)).functions

    arn = "arn:aws:sqs:us-east-1:000000000000:"
    assert (1, f"{arn}Orders", "arn:aws:s3:::photos", f"{arn}lost") == (
        function.maximum_retry_attempts,
        function.on_success,
        function.on_failure,
        function.dead_letter_queue,
    )
    assert {"QUEUE": "Orders", "ARN": f"{arn}Audit.fifo", "BUCKET": "photos"} == function.environment


def test_events_from_elsewhere_are_left_out_and_named(template):
    """What another stack has, and what the engine has not."""
    at = "Resources.F.Properties.Events"
    assert {
        f"{at}.Elsewhere: left out: it is from something that is known only once deployed",
        f"{at}.Stream: events of type MSK are not supported, left out",
        "Resources.Orders.Properties.KmsMasterKeyId: not supported here, ignored",
    } == set(load_config(template(SOURCES)).warnings)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (
            ("VisibilityTimeout: 120", "VisibilityTimeout: 50000"),
            "Resources.Orders.Properties.VisibilityTimeout: 50000 is above 43200 (maximum)",
        ),
        (
            ("BatchSize: 5", "BatchSize: 0"),
            "Resources.F.Properties.Events.Work.Properties.BatchSize: 0 is below 1 (minimum)",
        ),
        (
            ("QueueName: lost", "QueueName: a b"),
            f"Resources.Dead.Properties: the name {QUEUE_NAME_RULE}",
        ),
        (
            ("MaximumRetryAttempts: 1", "MaximumRetryAttempts: 3"),
            "Resources.F.Properties.EventInvokeConfig.MaximumRetryAttempts: 3 is above 2 (maximum)",
        ),
    ],
)
def test_what_is_wrong_with_a_source_is_named_by_its_property(template, wrong, line):
    """In the words of the template."""
    with pytest.raises(ConfigError) as caught:
        load_config(template(SOURCES.replace(*wrong)))

    assert line in caught.value.problems
