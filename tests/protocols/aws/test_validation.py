"""Parameters are checked against AWS's models, and refused in AWS's words."""

from __future__ import annotations

import pickle

import pytest

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.operation import operation, operations_of
from engine.protocols.aws.service_model import ServiceModel, service_model
from engine.protocols.aws.validation import check, compiled, spelled, violations

ROLE = "arn:aws:iam::123456789012:role/r"
GOOD = {"FunctionName": "a", "Role": ROLE, "Code": {}}
TAG = r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)"


LENGTHS = (
    "Member must have length less than or equal to %d, Member must have length greater than or equal to %d"
)
OF_TAGS = LENGTHS + f", Member must satisfy regular expression pattern: {TAG}, Member must not be null"
CASES = {
    "a list by its name": (
        {"Architectures": ["X86_64"]},
        "'[X86_64]' at 'architectures'",
        (
            "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], "
            "Member must not be null]"
        ),
    ),
    "a list's length": (
        {"Architectures": ["x86_64", "arm64"]},
        "'[x86_64, arm64]' at 'architectures'",
        "Member must have length less than or equal to 1",
    ),
    "a list once, with all constraints": (
        {"AllowedPublishers": ["a", "", "b"]},
        "'[a, , b]' at 'allowedPublishers'",
        (
            f"Member must satisfy constraint: [{LENGTHS % (3, 1)}, Member must satisfy regular "
            "expression pattern: [^b], Member must satisfy enum value set: [a], Member must not be null]"
        ),
    ),
    "a map's keys": (
        {"Tags": {"a": "b", "": "c"}},
        "'{a=b, =c}' at 'tags'",
        f"Map keys must satisfy constraint: [{OF_TAGS % (128, 1)}]",
    ),
    "a map's values": (
        {"Tags": {"a": "b!"}},
        "'{a=b!}' at 'tags'",
        f"Map value must satisfy constraint: [{OF_TAGS % (256, 0)}]",
    ),
    "a structure in a list by its place": (
        {"FileSystemConfigs": [{"LocalMountPath": "/mnt/a"}]},
        "null at 'fileSystemConfigs.1.member.arn'",
        "Member must not be null",
    ),
    "a number": ({"Timeout": 0}, "'0' at 'timeout'", "Member must have value greater than or equal to 1"),
    "a pattern": (
        {"KMSKeyArn": "k"},
        "'k' at 'kMSKeyArn'",
        "Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()",
    ),
}


def told(**members):
    """What is wrong with a CreateFunction, which has a list with every kind of constraint besides."""
    of = {"type": "string", "min": 1, "max": 3, "pattern": "[^b]", "enum": ["a"]}
    model = service_model("lambda").revised(
        {
            "CreateFunctionRequest": {"members": {"AllowedPublishers": {"shape": "TagKeyList"}}},
            "TagKeyList": {"member": {"shape": "Made"}},
        }
    )
    made = ServiceModel(
        {"metadata": {}, "operations": model.operations, "shapes": {**model.shapes, "Made": of}}
    )
    return violations(made, made.input_of("CreateFunction"), members)


@pytest.mark.parametrize(("members", "place", "constraint"), CASES.values(), ids=CASES.keys())
def test_what_breaks_the_model_is_told_as_aws_does(members, place, constraint):
    assert [f"Value {place} failed to satisfy constraint: {constraint}"] == told(**GOOD, **members)


def test_a_secret_is_not_shown():
    (text,) = told(**GOOD, Environment={"Variables": {"1": "secret"}})

    assert text.startswith("Value at 'environment.variables' failed to satisfy constraint: Map keys must ")


def test_everything_wrong_is_told_at_once_a_pattern_before_a_length():
    with pytest.raises(ServiceError) as caught:
        check(
            service_model("lambda"), "CreateFunction", {"FunctionName": "!" * 141, "Role": ROLE, "Timeout": 0}
        )

    count, *parts = caught.value.message.replace(" detected: ", "; ").split("; ")
    assert (400, "ValidationException", "4 validation errors") == (
        caught.value.status,
        caught.value.code,
        count,
    )
    assert ["functionName", "functionName", "code", "timeout"] == [part.split("'")[-2] for part in parts]
    assert "pattern" in parts[0]
    assert "length" in parts[1]


@pytest.mark.parametrize("service", ["lambda", "s3", "sqs"])
def test_every_pattern_of_the_models_can_be_matched(service):
    for shape in service_model(service).shapes.values():
        if "pattern" in shape:
            compiled(shape["pattern"])


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (".*", "a b", True),
        (".*", "a\u2028b", False),
        (".*", "a\r", False),
        (r"[.]\.", "..", True),
        (r"\d", "\u0664", False),
        (TAG, "caf\xe9 \u2003\u0664_.:/=+-@", True),
        (TAG, "a\nb", False),
        (TAG, "a*", False),
        ("(?!^[0-9]+$)([a-zA-Z0-9-_]+)", "12", False),
        ("((?!^\\d+$)^[0-9a-zA-Z-_]+$)", "a-1_", True),
        ("((?!^\\d+$)^[0-9a-zA-Z-_]+$)", "a\n", False),
    ],
)
def test_patterns_mean_what_they_mean_to_java(pattern, text, matches):
    assert matches == bool(compiled(pattern).fullmatch(text))


def test_members_are_spelled_with_a_small_first_letter():
    assert ["kMSKeyArn", "s3Bucket", "uUID", "name"] == list(
        map(spelled, ("KMSKeyArn", "S3Bucket", "UUID", "name"))
    )


def test_a_revised_model_has_other_bounds_and_all_else():
    model = service_model("lambda")
    revised = model.revised({"Timeout": {"max": 7}})

    assert 7 == revised.shapes["Timeout"]["max"]
    assert model.shapes["Timeout"]["min"] == revised.shapes["Timeout"]["min"]
    assert model.shapes["Timeout"]["max"] > 7
    assert model.operations == revised.operations


def test_an_error_survives_pickling():
    error = ServiceError(429, "TooManyRequestsException", "Rate.", {"Reason": "x"}, False)
    copy = pickle.loads(pickle.dumps(error))

    assert vars(error) == vars(copy)
    assert "User" == copy.fault


def test_operations_are_found_by_their_names():
    class Part:
        @operation("GetThing")
        def get(self):
            return {"Thing": self.thing}

        @operation("PutThing", writes=True, kept=True)
        def put(self):
            return {}

    part = Part()
    part.thing = 1
    found = operations_of([part])

    assert {"GetThing": (False, False), "PutThing": (True, True)} == {
        name: (served.writes, served.kept) for name, served in found.items()
    }
    assert {"Thing": 1} == found["GetThing"].function()
    with pytest.raises(ValueError, match="GetThing"):
        operations_of([part, part])
