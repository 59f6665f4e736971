"""What stands around and inside resources: parameters, loops, nested templates, code in all its forms."""

import os
import zipfile

import pytest

from engine.config import load_config
from engine.core.function import DurableConfig
from engine.errors import ConfigError

FUNCTION = "{Runtime: python3.11, Handler: orders.handler, CodeUri: src}"
HEAD = "Transform: AWS::LanguageExtensions\n"


@pytest.fixture
def template(write, project):
    """Write a template beside a folder `src` with its code, and return its path."""
    (project / "src").mkdir()
    (project / "src" / "orders.py").write_text("")
    return lambda text, name="template.yaml": write(name, text)


def problems(path, **more):
    """The lines of the error that loading `path` raises."""
    with pytest.raises(ConfigError) as caught:
        load_config(path, **more)
    return list(caught.value.problems)


# ---------------------------------------------------------------- parameters

PARAMETERS = """
Parameters:
  Stage: {Type: String, Default: dev, AllowedValues: [dev, prod]}
  PhotoBucket: {Type: String}
  B: {Type: String}
  Size: {Type: Number, MinValue: 256}
  Secret: {Type: "AWS::SSM::Parameter::Value<String>", Default: /a/b}
  Zones: {Type: "List<AWS::EC2::AvailabilityZone::Name>", Default: "a, b"}
Resources:
  One: {Type: AWS::S3::Bucket, Properties: {BucketName: !Ref PhotoBucket}}
  Two: {Type: AWS::S3::Bucket, Properties: {BucketName: !Ref B}}
  Three: {Type: AWS::S3::Bucket, Properties: {BucketName: !Sub "${Vpc}-${Stage}"}}
  Vpc: {Type: AWS::EC2::VPC}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: orders.handler
      CodeUri: src
      MemorySize: !Ref Size
      Environment:
        Variables: {STAGE: !Ref Stage, SECRET: !Ref Secret, ZONE: !Select [1, !Ref Zones]}
"""


def test_what_nobody_gave_a_value_has_a_valid_one_and_a_warning(template):
    """A bucket needs a valid name to be there at all."""
    config = load_config(template(PARAMETERS))

    assert {"photo-bucket", "b-local", "vpc-dev"} == config.resources.buckets.keys()
    assert 256 == config.functions[0].memory_mb
    assert {"STAGE": "dev", "SECRET": "secret", "ZONE": "b"} == config.functions[0].environment
    why = "it has no Default and was given no value"
    assert {
        ("Resources.Three.Properties.BucketName: Ref is known only once deployed; 'Vpc' stands for it"),
        f"Parameters.PhotoBucket: {why}; 'photo-bucket' stands for it",
        f"Parameters.B: {why}; 'b-local' stands for it",
        f"Parameters.Size: {why}; '256' stands for it",
        "Parameters.Secret: its value is in SSM; 'secret' stands for it",
    } == set(config.warnings)


def test_parameters_that_are_given_stand_above_samconfig_and_defaults(template, write):
    """samconfig.toml may be of several templates: what it says of others is a warning."""
    write(
        "samconfig.toml",
        '[default.global.parameters]\nparameter_overrides = "Stage=dev Size=300"\n'
        '[default.deploy.parameters]\nparameter_overrides = ["Size=400", "PhotoBucket=kept", "Other=1"]\n',
    )
    path = template(PARAMETERS)
    given = {"Stage": "prod", "Secret": "known", "B": "bbb"}

    config = load_config(path, parameters=given)

    assert ("prod", "known") == tuple(config.functions[0].environment[key] for key in ("STAGE", "SECRET"))
    assert 400 == config.functions[0].memory_mb
    assert {"kept", "bbb", "vpc-prod"} == config.resources.buckets.keys()
    folder = os.path.dirname(path)
    assert f"{folder}/samconfig.toml: parameter_overrides: the template has no Other" in config.warnings
    named = load_config(os.path.join(folder, "samconfig.toml"), parameters=given)
    assert config.functions == named.functions


def test_values_that_cannot_be_are_problems(template):
    """As CloudFormation refuses them."""
    given = {"Stage": "test", "Size": "big", "Stag": "prod"}

    assert {
        "Parameters.Stage: 'test' is not one of its AllowedValues",
        "Parameters.Size: 'big' is not a number",
        "Parameters.Stag: a value is given, but there is no such parameter, did you mean 'Stage'?",
    } < set(problems(template(PARAMETERS), parameters=given))


def test_a_newer_build_is_told_and_never_taken_unasked(template, project):
    """What is named is what runs."""
    path = template(f"Resources: {{F: {{Type: AWS::Serverless::Function, Properties: {FUNCTION}}}}}")
    built = project / ".aws-sam" / "build"
    (built / "src").mkdir(parents=True)
    (built / "src" / "orders.py").write_text("")
    (built / "template.yaml").write_text((project / "template.yaml").read_text())

    source, made = load_config(path), load_config(str(built / "template.yaml"))

    assert [
        f"{path}: not what `sam build` made of it: that is {built}/template.yaml, if you name it"
    ] == list(source.warnings)
    assert (str(project / "src"), str(built / "src")) == (source.functions[0].code, made.functions[0].code)


# ---------------------------------------------------------------- intrinsics

LOOPS = (
    HEAD
    + """
Parameters: {Names: {Type: CommaDelimitedList, Default: "a-b,c"}}
Mappings: {Sizes: {m: {Mb: 512}}}
Resources:
  Fn::ForEach::Functions:
    - Name
    - !Ref Names
    - Do&{Name}:
        Type: AWS::Serverless::Function
        Properties:
          FunctionName: !Sub "do-${Name}"
          Runtime: python3.11
          Handler: orders.handler
          CodeUri: src
          MemorySize: !FindInMap [Sizes, l, Mb, {DefaultValue: 333}]
          Environment:
            Variables:
              NAME: !Ref Name
              COUNT: !Length [x, y]
              JSON: !ToJsonString {a: [1, !Ref Name]}
              B64: !Base64 hi
              CIDR: !Select [1, !Cidr ["10.0.0.0/24", 2, 5]]
              DYN: "{{resolve:ssm:/x}}"
          Events:
            Fn::ForEach::Routes:
              - Path
              - [one, two]
              - On${Path}: {Type: HttpApi, Properties: {Path: !Sub "/${Name}/${Path}", Method: get}}
"""
)


def test_loops_and_the_newer_functions_are_evaluated(template):
    """Fn::ForEach among resources and inside one; keys are made as CloudFormation makes them."""
    config = load_config(template(LOOPS))
    first, second = config.functions

    assert (("do-a-b", 333), ("do-c", 333)) == tuple((one.name, one.memory_mb) for one in config.functions)
    assert {
        "NAME": "a-b",
        "COUNT": "2",
        "JSON": '{"a":[1,"a-b"]}',
        "B64": "aGk=",
        "CIDR": "10.0.0.32/27",
        "DYN": "{{resolve:ssm:/x}}",
    } == first.environment
    assert "c" == second.environment["NAME"]
    assert ["/a-b/one", "/a-b/two", "/c/one", "/c/two"] == [
        one.settings.path for one in config.bindings["http"]
    ]
    place = "Environment.Variables.DYN: a dynamic reference is not looked up here; it stands as it is"
    assert [f"Resources.Doab.Properties.{place}", f"Resources.Doc.Properties.{place}"] == list(
        config.warnings
    )


def test_loops_are_unrolled_as_cfn_lint_unrolls_them(template):
    """Its transform of AWS::LanguageExtensions gives the same resources."""
    decode = pytest.importorskip("cfnlint.decode", reason="cfn-lint, of the dev group, is not installed")
    from cfnlint.template import Template
    from cfnlint.template.transforms._language_extensions import language_extension

    path = template(LOOPS)
    theirs = Template(path, decode.decode(path)[0], ["us-east-1"])
    matches, made = language_extension(theirs)
    config = load_config(path)

    assert [] == matches
    resources = (made or theirs.template)["Resources"]
    assert ["Doab", "Doc"] == sorted(resources)
    assert [2, 2] == sorted(len(one["Properties"]["Events"]) for one in resources.values())
    assert len(resources) == len(config.functions)


# ---------------------------------------------------------------- nested templates

CHILD = """
Parameters: {Target: {Type: String}, Mode: {Type: String}}
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: child.handler
      CodeUri: code
      Environment: {Variables: {MODE: !Ref Mode}}
      Events: {Work: {Type: SQS, Properties: {Queue: !Ref Target}}}
      VpcConfig: {SubnetIds: [a]}
  Inner: {Type: AWS::SQS::Queue, Properties: {QueueName: inner}}
Outputs: {Name: {Value: !GetAtt Inner.Arn}}
"""
PARENT = f"""
Resources:
  Jobs: {{Type: AWS::SQS::Queue}}
  F: {{Type: AWS::Serverless::Function, Properties: {FUNCTION}}}
  Part:
    Type: AWS::Serverless::Application
    Properties: {{Location: parts/child.yaml, Parameters: {{Target: !GetAtt Jobs.Arn, Mode: fast}}}}
  Stack:
    Type: AWS::CloudFormation::Stack
    Properties: {{TemplateURL: https://bucket.s3.amazonaws.com/x.yaml}}
  G:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: orders.handler
      CodeUri: src
      DeadLetterQueue: {{Type: SQS, TargetArn: !GetAtt Part.Outputs.Name}}
"""


def test_nested_templates_are_read_by_their_paths(template, project):
    """Parameters go down, outputs come up, code is relative to the file that names it, places say where."""
    (project / "parts" / "code").mkdir(parents=True)
    (project / "parts" / "code" / "child.py").write_text("")
    (project / "parts" / "child.yaml").write_text(CHILD)

    config = load_config(template(PARENT))
    functions = {one.name: one for one in config.functions}

    assert {"F", "Part-F", "G"} == functions.keys()
    assert (str(project / "parts" / "code"), {"MODE": "fast"}) == (
        functions["Part-F"].code,
        functions["Part-F"].environment,
    )
    assert functions["G"].dead_letter_queue.endswith(":inner")
    [mapping] = config.bindings["sqs"]
    assert mapping.settings.queue.endswith(":Jobs")
    assert [
        "Resources.Part.Resources.F.Properties.VpcConfig: not supported here, ignored",
        "Resources.Part.Resources.F: called 'Part-F' here: its name is taken",
        "Resources.Stack: left out: its template is not on this machine",
    ] == sorted(config.warnings)


def test_a_template_that_nests_itself_ends(template):
    """With a line that says why."""
    path = template(
        f"""
Resources:
  F: {{Type: AWS::Serverless::Function, Properties: {FUNCTION}}}
  Again: {{Type: AWS::Serverless::Application, Properties: {{Location: template.yaml}}}}
"""
    )

    warnings = load_config(path).warnings

    assert any(line.endswith("left out: templates are nested more than 5 deep") for line in warnings)


# ---------------------------------------------------------------- code

CODE = """
Resources:
  Zip:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.11, Handler: app.handler, CodeUri: app.zip}
  One:
    Type: AWS::Lambda::Function
    Properties: {Runtime: python3.11, Handler: orders.handler, Code: src/orders.py}
  Text:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.11, Handler: index.run, InlineCode: "run = print"}
  Raw:
    Type: AWS::Lambda::Function
    Properties: {Runtime: python3.11, Handler: index.run, Code: {ZipFile: "run = repr"}}
  Cdk:
    Type: AWS::Lambda::Function
    Metadata: {aws:asset:path: src, aws:asset:property: Code}
    Properties: {Runtime: python3.11, Handler: orders.handler, Code: {S3Bucket: b, S3Key: k}}
"""


def test_code_in_every_form_is_found_and_its_handler_looked_for(template, project):
    """An archive, a file, text, and what CDK has noted."""
    with zipfile.ZipFile(project / "app.zip", "w") as archive:
        archive.writestr("app.py", "")

    config = load_config(template(CODE))

    assert () == config.warnings
    assert {
        "Zip": (str(project / "app.zip"), None),
        "One": (str(project / "src" / "orders.py"), None),
        "Text": (str(project), "run = print"),
        "Raw": (str(project), "run = repr"),
        "Cdk": (str(project / "src"), None),
    } == {one.name: (one.code, one.inline) for one in config.functions}
    wrong = CODE.replace("app.handler", "ap.handler").replace("src/orders.py", "apps.zip")
    assert [
        f"Resources.Zip.Properties.Handler: no module 'ap' in '{project}/app.zip' or on sys.path",
        f"Resources.One.Properties.Code: no folder '{project}/apps.zip', did you mean 'app.zip'?",
    ] == problems(template(wrong))


def test_the_format_of_logs_is_told_by_variables(template):
    """With JSON the level is INFO unless one is given; the function's own variables win."""
    text = """
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: orders.handler
      CodeUri: src
      Environment: {Variables: {TABLE: t}}
      LoggingConfig: {LogFormat: FORMAT}
"""
    found = [
        load_config(template(text.replace("FORMAT", given))).functions[0].environment
        for given in ("JSON", "JSON, ApplicationLogLevel: DEBUG", "Text")
    ]

    assert [
        {"TABLE": "t", "AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"},
        {"TABLE": "t", "AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "DEBUG"},
        {"TABLE": "t"},
    ] == found


@pytest.mark.parametrize(
    ("group", "read"), [("/shop/all", "/shop/all"), ("!Ref Elsewhere", None), ("'a name'", None)]
)
def test_a_log_group_is_read_if_its_name_is_known(template, group, read):
    text = f"""
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: orders.handler
      CodeUri: src
      LoggingConfig: {{LogGroup: {group}}}
  Elsewhere:
    Type: AWS::Logs::LogGroup
"""
    assert read == load_config(template(text)).functions[0].log_group


# ---------------------------------------------------------------- durable functions

DURABLE = """
Globals: {Function: {Runtime: python3.11, Handler: orders.handler, CodeUri: src}}
Resources:
  F: {Type: AWS::Serverless::Function, Properties: {DurableConfig: CONFIG}}
"""


def test_a_durable_function_has_the_limits_of_its_DurableConfig(template):
    given = DURABLE.replace("CONFIG", '{ExecutionTimeout: "3600", RetentionPeriodInDays: 7}')
    config = load_config(template(given))

    assert (DurableConfig(3600, 7), ()) == (config.functions[0].durable, config.warnings)


def test_what_is_wrong_with_a_DurableConfig_is_told_by_its_place(template):
    place = "Resources.F.Properties.DurableConfig"

    assert [f"{place}.ExecutionTimeout: is required"] == problems(template(DURABLE.replace("CONFIG", "{}")))
    [too_long] = problems(template(DURABLE.replace("CONFIG", "{ExecutionTimeout: 31622401}")))
    assert too_long.startswith(f"{place}.ExecutionTimeout: ")
