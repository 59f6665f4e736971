"""AWS's service models in the package are what the tool makes of botocore's; a changed bound is noticed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import botocore
import pytest

from engine.protocols.aws.service_model import service_model
from tools import aws_models

INSTALLED = Path(botocore.__file__).parents[1]


@pytest.mark.slow
def test_the_files_are_made_from_the_version_they_name(tmp_path):
    older = aws_models.downloaded(tmp_path, aws_models.QUERY_BOTOCORE)
    made = aws_models.files(aws_models.downloaded(tmp_path), older)

    for name, text in made.items():
        assert text == (aws_models.FOLDER / name).read_text(), f"{name}: run python tools/aws_models.py"
    readme = (aws_models.FOLDER / "README.md").read_text()
    assert aws_models.BOTOCORE in readme
    assert aws_models.QUERY_BOTOCORE in readme


@pytest.mark.parametrize("service", aws_models.SERVICES)
def test_a_bound_that_changes_changes_the_file(service):
    model = aws_models.read(aws_models.data_of(INSTALLED), aws_models.SERVICES[service])
    before = aws_models.text_of(aws_models.compiled(model))
    bounded = [shape for shape in model["shapes"].values() if "max" in shape or "enum" in shape]

    for shape in bounded[:3]:
        if "max" in shape:
            shape["max"] += 1
        else:
            shape["enum"].append("new")
        after = aws_models.text_of(aws_models.compiled(model))
        assert before != after
        before = after


@pytest.mark.parametrize("service", aws_models.SERVICES)
def test_nothing_but_explanations_is_left_out(service):
    model = aws_models.read(aws_models.data_of(INSTALLED), aws_models.SERVICES[service])
    made = aws_models.compiled(model)

    assert made["operations"].keys() == model["operations"].keys()
    for name, shape in made["shapes"].items():
        for key in ("type", "min", "max", "pattern", "enum", "required"):
            assert model["shapes"][name].get(key) == shape.get(key)
        assert model["shapes"][name].get("members", {}).keys() == shape.get("members", {}).keys()
        for member, reference in shape.get("members", {}).items():
            assert "documentation" not in reference or member == "documentation"


@pytest.mark.parametrize("service", aws_models.SERVICES)
def test_what_the_installed_clients_can_call_is_in_the_model(service):
    installed = aws_models.read(aws_models.data_of(INSTALLED), aws_models.SERVICES[service])
    wanted = installed["operations"].keys() & aws_models.PARTS.get(service, installed["operations"].keys())

    assert wanted <= service_model(service).operations.keys()


def test_operations_and_shapes_are_found_by_name():
    model = service_model("lambda")

    assert (91, 23, 116) == tuple(len(service_model(name).operations) for name in ("lambda", "sqs", "s3"))
    assert ["FunctionName", "Role", "Code"] == [
        name
        for name in ("FunctionName", "Role", "Code")
        if name in model.input_of("CreateFunction")["required"]
    ]
    member = model.input_of("CreateFunction")["members"]["Timeout"]
    assert "integer" == model.shape_of(member)["type"]
    assert {} == service_model("sqs").output_of("DeleteQueue")["members"]


def test_reading_a_model_needs_no_botocore():
    script = (
        "import sys; from engine.protocols.aws.service_model import service_model; service_model('s3');"
        "print([name for name in sys.modules if name.startswith('boto')])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "[]" == shown.stdout.strip()
