"""The same template read by us, and by us after AWS's own transform: one configuration.

aws-sam-translator makes the plain CloudFormation that AWS would deploy. What we read of SAM's short forms and
what we read of the resources that they stand for share no code below the resources' names.
"""

import json
import os
import shutil
from pathlib import Path

import pytest

from engine.config import load_config
from engine.config.templates.yaml_reader import parse

pytest.importorskip("samtranslator", reason="aws-sam-translator, of the dev group, is not installed")
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

TEMPLATES = Path(__file__).parent / "templates"
SAM = [path for path in sorted(TEMPLATES.glob("*.yaml")) if "AWS::Serverless" in path.read_text()]
CODE = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}
AT_S3 = "s3://local/"


@pytest.fixture
def stack(project, monkeypatch):
    """A folder with the code that the templates name; `stack(path)` puts a template there."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    (project / "src" / "web").mkdir(parents=True)
    (project / "src" / "orders.py").write_text("")
    (project / "src" / "web" / "app.py").write_text("")
    (project / "layer" / "python").mkdir(parents=True)
    return lambda path: shutil.copy(path, project / path.name)


def translated(path):
    """What AWS's transform makes of the template; local code, which it does not take, goes round it."""
    document = json.loads(json.dumps(parse(str(path), path.read_text()), default=str))
    defaults = document.get("Globals", {}).get("Function", {})
    if "CodeUri" in defaults:
        defaults["CodeUri"] = AT_S3 + defaults["CodeUri"]
    for resource in document["Resources"].values():
        key, properties = CODE.get(resource["Type"]), resource.get("Properties", {})
        if key in properties:
            properties[key] = AT_S3 + properties[key]
    given = {name: one["Default"] for name, one in document.get("Parameters", {}).items()}
    made = Translator({}, Parser()).translate(document, parameter_values=given)
    for resource in made["Resources"].values():
        for key in ("Code", "Content"):
            if key in resource.get("Properties", {}):
                resource["Properties"][key] = resource["Properties"][key]["S3Key"]
    return made


def shown(config):
    """Functions and what triggers them, so far as it does not hang on the names of made-up resources."""
    functions = {
        one.name: {
            **{key: getattr(one, key) for key in ("handler", "code", "memory_mb", "timeout_s", "aliases")},
            **{key: getattr(one, key) for key in ("reserved_concurrency", "provisioned_concurrency")},
            **{key: getattr(one, key) for key in ("on_failure", "on_success", "dead_letter_queue", "layers")},
            **{key: getattr(one, key) for key in ("maximum_retry_attempts", "maximum_event_age_s")},
            **{key: getattr(one, key) for key in ("ephemeral_storage_mb", "environment")},
        }
        for one in config.functions
    }
    events = {
        json.dumps(
            [kind, one.function.name, one.qualifier, one.settings.model_dump(mode="json")], sort_keys=True
        )
        for kind, bindings in config.bindings.items()
        for one in bindings
    }
    queues = {name: table.model_dump() for name, table in config.resources.queues.items()}
    return {"functions": functions, "events": sorted(events), "queues": queues}


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in SAM])
def test_a_sam_template_is_what_aws_makes_of_it(stack, path):
    """Functions, routes, stages, CORS, events, aliases, queues: read from both forms they are the same."""
    ours = load_config(stack(path))
    Path("deployed.json").write_text(json.dumps(translated(path)))

    assert shown(load_config("deployed.json")) == shown(ours)
    assert os.path.exists(ours.functions[0].code)
