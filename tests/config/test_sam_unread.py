"""No part of a template vanishes in silence: an unknown key anywhere is one warning with its path."""

import copy
import json
from pathlib import Path

import pytest

from engine.config import load_config
from engine.config.problems import dotted
from engine.config.templates.yaml_reader import parse

TEMPLATES = sorted((Path(__file__).parent / "templates").glob("*.yaml"))
FREE = ("Variables", "StageVariables", "Tags", "Environment.Variables", "RedrivePolicy", "paths", "info")
"""Tables whose keys are the user's own, or are passed on as they are."""
HTTP = Path(__file__).parent / "templates" / "http.yaml"
PLANTED = "Zzz"


def tables(value, place=()):
    """The place of every table below `value` whose keys are AWS's."""
    if isinstance(value, dict):
        is_call = len(value) == 1 and str(next(iter(value))).startswith(("Fn::", "Ref"))
        if is_call:
            return
        yield place
        for key, item in value.items():
            if key not in FREE:
                yield from tables(item, (*place, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from tables(item, (*place, number))


def read_tables(document):
    """Those that belong to functions, routes or events."""
    for section in {"Globals", "Resources"} & document.keys():
        for place in tables(document[section], (section,)):
            is_named_by_the_user = place == ("Resources",) or (place[4:] == () and place[-1] == "Events")
            if not is_named_by_the_user and "DefinitionBody" not in place:
                yield place


def planted(document, place):
    """The document with an unknown key in the table at `place`."""
    changed = copy.deepcopy(document)
    table = changed
    for part in place:
        table = table[part]
    table[PLANTED] = 1
    return changed


@pytest.fixture
def warnings(project):
    """The warnings of a template, beside the code that those of the tests name."""
    (project / "src" / "web").mkdir(parents=True)
    (project / "src" / "orders.py").write_text("")
    (project / "src" / "web" / "app.py").write_text("")
    (project / "layer" / "python").mkdir(parents=True)

    def load(document):
        Path("template.json").write_text(json.dumps(document, default=str))
        return list(load_config("template.json").warnings)

    return load


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in TEMPLATES])
def test_an_unknown_key_anywhere_is_one_warning_with_its_path(warnings, path):
    """The templates themselves are read whole."""
    document = json.loads(json.dumps(parse(str(path), path.read_text()), default=str))
    told = {}

    assert [] == warnings(document)
    for place in read_tables(document):
        wanted = f"{dotted((*place, PLANTED))}: not supported here, ignored"
        found = warnings(planted(document, place))
        if found != [wanted]:
            told[wanted] = found

    assert {} == told


@pytest.mark.parametrize(
    "kind",
    [
        "AWS::Lambda::CodeSigningConfig",
        "AWS::Lambda::Permission",
        "AWS::ApiGateway::Authorizer",
        "AWS::ApiGateway::UsagePlan",
        "AWS::ApiGatewayV2::DomainName",
        "AWS::Events::Archive",
        "AWS::Pipes::Pipe",
        "AWS::Serverless::StateMachine",
        "AWS::S3::BucketPolicy",
        "AWS::Lambda::Unheard",
    ],
)
def test_a_resource_of_a_kind_that_is_not_read_is_one_warning(warnings, kind):
    """Those that have to do with functions, routes or events, whatever they say."""
    document = parse("http.yaml", HTTP.read_text())
    document["Resources"]["Other"] = {"Type": kind, "Properties": {"A": 1, "B": {"C": 2}}}

    [line] = warnings(document)

    assert line.startswith(f"Resources.Other: {kind} is not ")


@pytest.mark.parametrize(
    "reference",
    [
        {"Ref": "Orders"},
        {"Fn::GetAtt": ["Orders", "Arn"]},
        {"Fn::Sub": "arn:${Orders.Arn}"},
        {"Fn::Join": ["", [{"Fn::GetAtt": "Orders.Arn"}]]},
    ],
)
def test_whatever_names_a_function_is_told_and_whatever_does_not_is_none_of_ours(warnings, reference):
    """A parameter, say, is what handlers use; an alarm on a function is something that will not be there."""
    document = parse("http.yaml", HTTP.read_text())
    document["Resources"]["Alarm"] = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"A": [reference]}}
    document["Resources"]["Kept"] = {"Type": "AWS::SSM::Parameter", "Properties": {"A": 1}}

    assert ["Resources.Alarm: AWS::CloudWatch::Alarm is not supported here, left out"] == warnings(document)


def test_sections_and_transforms_that_are_not_done_are_told(warnings):
    """A macro may make anything of a template."""
    document = parse("http.yaml", HTTP.read_text())
    document["Transform"] = ["AWS::Serverless-2016-10-31", "My::Macro"]
    document["Hooks"] = {}

    assert [
        "Transform: My::Macro is not done here",
        "Hooks: not supported here, ignored",
    ] == warnings(document)
