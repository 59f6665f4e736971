"""What AWS's model forbids is refused by every operation that takes such a member, in AWS's words."""

import pytest

from engine.protocols.aws.operation import operations_of
from engine.services.lambda_api.control_plane import PARTS
from engine.services.lambda_api.model import lambda_model
from engine.services.lambda_api.routes import INVOKING

MODEL = lambda_model()
FAILED = "failed to satisfy constraint"
ARN = "arn:aws:lambda:eu-west-1:123456789012:"
REGION = r"(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}"
START = rf"(arn:(aws[a-zA-Z-]*)?:lambda:)?({REGION}:)?(\d{{12}}:)?(function:)?"
NAMES = {
    "NamespacedFunctionName": (256, rf"{START}([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"),
    "FunctionName": (140, rf"{START}([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?"),
    "FunctionUrlFunctionName": (140, rf"{START}([a-zA-Z0-9-_]{{1,64}})(:((?!\d+$)[0-9a-zA-Z-_]+))?"),
    "UnqualifiedFunctionName": (140, rf"{START}([a-zA-Z0-9-_]+)"),
}
LAYER = (
    rf"(arn:(aws[a-zA-Z-]*)?:lambda:{REGION}:\d{{12}}:layer:[a-zA-Z0-9-_]+:[0-9]+)"
    "|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)"
)
TAGGABLE = (
    rf"arn:(aws[a-zA-Z-]*):lambda:{REGION}:\d{{12}}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|"
    r"layer:([a-zA-Z0-9-_]+)|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-"
    "[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|capacity-provider:[a-zA-Z0-9-_]+)"
)
SERVED = sorted({*operations_of(PARTS), *INVOKING} - {"InvokeWithResponseStream"})


def lengths(maximum, minimum):
    return (
        f"Member must have length less than or equal to {maximum}, "
        f"Member must have length greater than or equal to {minimum}"
    )


def method_of(name):
    """botocore's name of an operation's method."""
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).removeprefix("_")


def named_by(shape):
    """Served operations whose `FunctionName` has that shape."""
    for name in SERVED:
        reference = MODEL.input_of(name)["members"].get("FunctionName")
        if reference is not None and reference["shape"] == shape:
            yield name


def arguments(name, **given):
    """What an operation needs besides, wrong or not: it is never looked at."""
    shape = MODEL.input_of(name)
    fitting = {"integer": 1, "structure": {}, "blob": b"{}", "map": {}, "list": ["a"]}
    kinds = {member: MODEL.shape_of(shape["members"][member])["type"] for member in shape.get("required", ())}
    return {member: fitting.get(kind, "1" * 36) for member, kind in kinds.items()} | given


def told(error):
    """The violations of a ValidationException, which has no `Type`."""
    status, code, message, kind = error
    assert (400, "ValidationException", None) == (status, code, kind)
    return message.partition(" detected: ")[2].split("; ")


@pytest.mark.parametrize(
    ("shape", "name"), [(shape, name) for shape in NAMES for name in named_by(shape)], ids=lambda value: value
)
def test_a_name_is_judged_by_the_shape_of_its_operation(aws, shape, name):
    """There are four: with dots or without, with a qualifier or without, up to 140 or 256 characters."""
    longest, pattern = NAMES[shape]
    at = f"at 'functionName' {FAILED}: Member must"
    bad, long = "bad!", "a" * (longest + 1)

    wrong = told(aws.error(method_of(name), **arguments(name, FunctionName=bad)))
    assert f"Value '{bad}' {at} satisfy regular expression pattern: {pattern}" in wrong
    too_long = told(aws.error(method_of(name), **arguments(name, FunctionName=long)))
    assert f"Value '{long}' {at} have length less than or equal to {longest}" in too_long
    dotted = told(
        aws.error(method_of(name), **arguments(name, FunctionName="a.b!" if longest > 140 else "a.b"))
    )
    assert any("'functionName'" in one for one in dotted)


def test_every_operation_that_takes_a_name_has_one_of_the_four_shapes():
    assert {name for name in SERVED if "FunctionName" in MODEL.input_of(name)["members"]} == {
        name for shape in NAMES for name in named_by(shape)
    }


def test_a_bare_name_has_at_most_64_characters_and_no_qualifier(aws):
    name = "a" * 65
    text = f"Value '{name}' at 'functionName' {FAILED}: Member must have length less than or equal to 64"

    assert (400, "InvalidParameterValueException", f"1 validation error detected: {text}", "User") == (
        make_error(aws, FunctionName=name)
    )
    assert (400, "InvalidParameterValueException") == make_error(aws, FunctionName="a:1")[:2]


def make_error(aws, **given):
    members = {
        "FunctionName": "a",
        "Role": "arn:aws:iam::123456789012:role/r",
        "Handler": "h.h",
        "Runtime": "python3.12",
        "Code": {"ZipFile": b"x"},
    }
    return aws.error("create_function", **members | given)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"Architectures": ["X86_64"]},
            (
                f"'[X86_64]' at 'architectures' {FAILED}: Member must satisfy constraint: [Member "
                "must satisfy enum value set: [x86_64, arm64], Member must not be null]"
            ),
        ),
        (
            {"Layers": ["x"]},
            (
                f"'[x]' at 'layers' {FAILED}: Member must satisfy constraint: "
                f"[{lengths(2048, 1)}, Member must satisfy regular expression pattern: {LAYER}, "
                "Member must not be null]"
            ),
        ),
        (
            {"VpcConfig": {"SubnetIds": ["subnet-1", "x"]}},
            (
                f"'[subnet-1, x]' at 'vpcConfig.subnetIds' {FAILED}: Member must satisfy "
                f"constraint: [{lengths(1024, 0)}, Member must satisfy regular expression pattern: "
                "subnet-[0-9a-z]*]"
            ),
        ),
        (
            {"Architectures": ["x86_64", "arm64"]},
            (
                f"'[x86_64, arm64]' at 'architectures' {FAILED}: "
                "Member must have length less than or equal to 1"
            ),
        ),
        (
            {"Timeout": 901},
            f"'901' at 'timeout' {FAILED}: Member must have value less than or equal to 900",
        ),
        (
            {"DeadLetterConfig": {"TargetArn": "x"}},
            (
                f"'x' at 'deadLetterConfig.targetArn' {FAILED}: Member must satisfy regular "
                "expression pattern: (arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()"
            ),
        ),
    ],
)
def test_a_function_is_refused_in_the_words_of_aws(aws, given, text):
    assert [f"Value {text}"] == told(make_error(aws, **given))


def test_members_are_judged_before_the_source_of_a_mapping(aws):
    kinesis = "arn:aws:kinesis:eu-west-1:123456789012:stream/s"
    table = "arn:aws:dynamodb:eu-west-1:123456789012:table/t/stream/s"

    def error(**given):
        return aws.error("create_event_source_mapping", FunctionName="hello", **given)

    assert [
        (
            f"Value 'x' at 'startingPosition' {FAILED}: Member must satisfy enum value set: "
            "[LATEST, AT_TIMESTAMP, TRIM_HORIZON]"
        )
    ] == told(error(EventSourceArn=kinesis, StartingPosition="x"))
    assert (
        400,
        "InvalidParameterValueException",
        (f"1 validation error detected: Value null at 'startingPosition' {FAILED}: Member must not be null."),
        "User",
    ) == error(EventSourceArn=kinesis)
    assert (
        f"Unsupported starting position for arn type: {table}"
        == (error(EventSourceArn=table, StartingPosition="AT_TIMESTAMP")[2])
    )


@pytest.mark.parametrize("runtime", ["python3.7", "nodejs12.x", "provided"])
def test_a_layer_may_name_retired_runtimes(aws, runtime):
    content = {"ZipFile": aws.bench.zipped({"python/x.py": ""})}
    answer = aws.bench.call(
        "POST", "/2018-10-31/layers/l/versions", Content=content, CompatibleRuntimes=[runtime]
    )

    assert (201, [runtime]) == (answer.status, answer.document["CompatibleRuntimes"])


@pytest.mark.parametrize("operation", ["list_layers", "list_layer_versions"])
def test_filters_and_pages_of_layers_have_bounds(aws, operation):
    name = {"LayerName": "l"} if operation == "list_layer_versions" else {}

    assert "at 'compatibleRuntime'" in told(aws.error(operation, CompatibleRuntime="nope", **name))[0]
    assert "at 'compatibleArchitecture'" in told(aws.error(operation, CompatibleArchitecture="x", **name))[0]
    assert [f"Value '51' at 'maxItems' {FAILED}: Member must have value less than or equal to 50"] == (
        told(aws.error(operation, MaxItems=51, **name))
    )


@pytest.mark.parametrize(
    ("operation", "more"),
    [("tag_resource", {"Tags": {"a": "b"}}), ("untag_resource", {"TagKeys": ["a"]}), ("list_tags", {})],
)
def test_the_resource_of_tags_is_judged_first(aws, operation, more):
    for resource in ("hello", f"{ARN}function:a b", f"{ARN}nothing:x"):
        assert [
            (
                f"Value '{resource}' at 'resource' {FAILED}: "
                f"Member must satisfy regular expression pattern: {TAGGABLE}"
            )
        ] == told(aws.error(operation, Resource=resource, **more))


@pytest.mark.parametrize("tags", [{"": "x"}, {"a*": "x"}, {"a": "x" * 257}, {"a": "*"}, {"k" * 129: "x"}])
def test_tags_are_judged_wherever_they_are_given(aws, tags):
    for error in (
        make_error(aws, Tags=tags),
        aws.error("tag_resource", Resource=f"{ARN}function:hello", Tags=tags),
        aws.error("create_event_source_mapping", FunctionName="hello", Tags=tags),
    ):
        assert f" at 'tags' {FAILED}: Map " in told(error)[0]


def test_tags_of_aws_are_reserved(aws):
    error = aws.error("tag_resource", Resource=f"{ARN}function:hello", Tags={"aws:x": "y"})

    assert (400, "InvalidParameterValueException") == error[:2]


@pytest.mark.parametrize(
    ("member", "value", "constraint"),
    [
        ("Action", "lambda:" + "a" * 10_000, "have length less than or equal to 10000"),
        ("Principal", "p" * 2049, "have length less than or equal to 2048"),
        ("SourceArn", "x", f"satisfy regular expression pattern: {MODEL.shapes['Arn']['pattern']}"),
        ("EventSourceToken", "a b", r"satisfy regular expression pattern: [a-zA-Z0-9._\-]+"),
        ("PrincipalOrgID", "org-123456789", "satisfy regular expression pattern: o-[a-z0-9]{10,32}"),
    ],
)
def test_the_members_of_a_permission_have_bounds(aws, member, value, constraint):
    given = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "*", member: value}
    (violation,) = told(aws.error("add_permission", FunctionName="hello", **given))

    assert violation.endswith(f" {FAILED}: Member must {constraint}")


@pytest.mark.parametrize(
    ("operation", "given", "member"),
    [
        ("list_functions", {"MasterRegion": "nowhere"}, "masterRegion"),
        ("list_functions", {"MaxItems": 10_001}, "maxItems"),
        ("list_aliases", {"FunctionName": "hello", "MaxItems": 0}, "maxItems"),
        ("list_function_url_configs", {"FunctionName": "hello", "MaxItems": 51}, "maxItems"),
        ("list_function_event_invoke_configs", {"FunctionName": "hello", "MaxItems": 51}, "maxItems"),
        ("list_provisioned_concurrency_configs", {"FunctionName": "hello", "MaxItems": 51}, "maxItems"),
        ("get_event_source_mapping", {"UUID": "short"}, "uUID"),
        ("remove_permission", {"FunctionName": "hello", "StatementId": "a b"}, "statementId"),
        ("publish_layer_version", {"LayerName": "l" * 2049, "Content": {"ZipFile": b"x"}}, "layerName"),
    ],
)
def test_parameters_of_paths_and_queries_have_bounds(aws, operation, given, member):
    assert f" at '{member}' {FAILED}: " in told(aws.error(operation, **given))[0]


@pytest.mark.parametrize("member", ["TenancyConfig", "ImageConfig", "PublishTo"])
def test_what_the_engines_functions_cannot_be_is_refused_by_name(aws, member):
    given = {
        "TenancyConfig": {"TenantIsolationMode": "PER_TENANT"},
        "ImageConfig": {"Command": ["x"]},
        "PublishTo": "LATEST_PUBLISHED",
    }[member]

    assert (400, "InvalidParameterValueException", f"This engine does not implement {member}.", "User") == (
        make_error(aws, **{member: given})
    )
