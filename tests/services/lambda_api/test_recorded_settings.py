"""What AWS was recorded to answer about layers, policies, tags, concurrency and kept settings, by boto3."""

import asyncio
import base64
import json
import re
from functools import partial

import pytest

from engine.packages.store import PackageStore
from engine.services.lambda_api import code_packages
from engine.services.lambda_api.runtimes import RUNTIMES
from tests.services.lambda_api.conftest import FUNCTIONS, Bench

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:"
LAYER = "arn:aws:lambda:eu-west-1:123456789012:layer:"
CONFIG = "arn:aws:lambda:eu-west-1:123456789012:code-signing-config:csc-"
PROVIDER = "arn:aws:lambda:eu-west-1:123456789012:capacity-provider:"
NOT_FOUND = (404, "ResourceNotFoundException")
INVALID = (400, "InvalidParameterValueException")
GRANT = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
SHARE = {"StatementId": "s", "Action": "lambda:GetLayerVersion", "Principal": "*"}
PUBLISHERS = {"SigningProfileVersionArns": ["arn:aws:signer:eu-west-1:123456789012:/signing-profiles/p/v"]}
NETWORK = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
OPERATOR = {"CapacityProviderOperatorRoleArn": "arn:aws:iam::123456789012:role/any"}


def layer(aws, name="l"):
    content = {"ZipFile": base64.b64decode(aws.bench.zipped({"python/lib.py": ""}))}
    return aws.publish_layer_version(LayerName=name, Content=content)["LayerVersionArn"]


# ---------------------------------------------------------------- runtimes and sizes


def test_an_unknown_runtime_is_told_with_awss_set(made):
    expected = (
        *INVALID,
        (
            "Value cobol1 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
            f"[{', '.join(RUNTIMES)}] or be a valid ARN"
        ),
        "User",
    )

    assert "nodejs20.x, python3.14, provided.al2023" == ", ".join(RUNTIMES[:3])
    assert expected == made.error("update_function_configuration", FunctionName="f", Runtime="cobol1")


@pytest.mark.parametrize(("runtime", "instead"), [("nodejs14.x", "nodejs20.x"), ("go1.x", "provided.al2023")])
def test_a_retired_runtime_is_told_with_what_to_use_instead(made, runtime, instead):
    text = (
        f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda "
        f"functions. We recommend you use the new runtime ({instead}) while creating or updating functions."
    )

    assert (*INVALID, text, "User") == made.error(
        "update_function_configuration", FunctionName="f", Runtime=runtime
    )


def test_a_layer_tells_wrong_runtimes_first_and_without_what_each_must_satisfy(aws):
    runtimes = (
        "Value '[cobol1]' at 'compatibleRuntimes' failed to satisfy constraint: "
        f"Member must satisfy enum value set: [{', '.join(RUNTIMES)}]"
    )
    architectures = (
        "Value '[z80]' at 'compatibleArchitectures' failed to satisfy constraint: "
        "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64]]"
    )
    _, code, text, _ = aws.error(
        "publish_layer_version",
        LayerName="l",
        Content={"ZipFile": b""},
        CompatibleRuntimes=["cobol1"],
        CompatibleArchitectures=["z80"],
    )

    assert ("ValidationException", f"2 validation errors detected: {runtimes}; {architectures}") == (
        code,
        text,
    )


@pytest.mark.parametrize("runtime", ["nodejs22.x", "java21", "dotnet6", "provided.al2023"])
def test_a_function_of_any_runtime_is_declared_without_a_way_to_run_it(aws, runtime):
    """Created, changed, published and deleted; it fails when it is invoked."""
    created = aws.make("f", Runtime=runtime, Handler="index.handler")
    aws.update_function_configuration(FunctionName="f", Timeout=9)
    published = aws.publish_version(FunctionName="f")
    [started] = {function.bootstrap for function in aws.bench.deployment.functions.values()}
    aws.delete_function(FunctionName="f")

    assert (runtime, "Active") == (created["Runtime"], published["State"])
    assert started[0].endswith("/task/bootstrap")


def test_only_an_archive_in_the_request_is_limited_in_its_zipped_size(aws, make_bench, monkeypatch):
    """To 52,428,800 bytes; here to fewer, for speed."""
    monkeypatch.setattr(code_packages, "ZIPPED_LIMIT_BYTES", 1000)
    aws.bench = make_bench(FUNCTIONS, fetches=True)
    large = base64.b64decode(aws.bench.zipped({"app.py": f"x = {'1' * 2000}"}))
    aws.bench.fetched = large
    fetched = aws.make("f", Code={"S3Bucket": "code", "S3Key": "k"})
    code, message = aws.error("update_function_code", FunctionName="f", ZipFile=large)[1:3]

    assert len(large) == fetched["CodeSize"]
    assert ("RequestEntityTooLargeException", "Zipped size must be smaller than 1000 bytes") == (
        code,
        message,
    )


# ---------------------------------------------------------------- layers


def test_versions_of_one_layer_are_not_used_together(made):
    """The first two that clash are named, though they be equal."""
    first, second, other = layer(made), layer(made), layer(made, "m")
    text = (
        "Two different versions of the same layer are not allowed to be referenced in the same function. "
        "{} and {} are versions of the same layer."
    )
    update = partial(made.error, "update_function_configuration", FunctionName="f")

    assert text.format(first, second) == update(Layers=[first, other, second])[2]
    assert text.format(first, first) == update(Layers=[other, first, first])[2]


def test_a_layer_of_another_region_is_told_so(made):
    elsewhere = "arn:aws:lambda:us-east-1:123456789012:layer:l:1"
    text = "Layers are not in the same region as the function. Layers are expected to be in region eu-west-1."

    assert (*INVALID, text, "User") == made.error(
        "update_function_configuration", FunctionName="f", Layers=[elsewhere]
    )


def test_a_layer_has_a_policy(aws):
    arn = layer(aws)
    at = {"LayerName": "l", "VersionNumber": 1}
    none = aws.error("get_layer_version_policy", **at)
    added = aws.add_layer_version_permission(**at, **SHARE)
    shown = aws.get_layer_version_policy(**at)
    statement = {
        "Sid": "s",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "lambda:GetLayerVersion",
        "Resource": arn,
    }

    assert (*NOT_FOUND, "No policy is associated with the given resource.", "User") == none
    assert (statement, list(statement)) == (
        json.loads(added["Statement"]),
        list(json.loads(added["Statement"])),
    )
    assert [statement] == json.loads(shown["Policy"])["Statement"]
    assert added["RevisionId"] == shown["RevisionId"]
    again = aws.error("add_layer_version_permission", **at, **SHARE)
    assert (409, "ResourceConflictException") == again[:2]
    assert again[2].startswith("The statement id (s) provided already exists.")
    assert (*NOT_FOUND, "Statement t is not found in resource policy.", "User") == aws.error(
        "remove_layer_version_permission", **at, StatementId="t"
    )
    for operation, more in (
        ("add_layer_version_permission", SHARE | {"StatementId": "t"}),
        ("remove_layer_version_permission", {"StatementId": "s"}),
    ):
        status, code, text, _ = aws.error(operation, **at, **more, RevisionId="wrong")
        assert (412, "PreconditionFailedException") == (status, code)
        assert text.endswith("Call the GetLayerPolicy API to retrieve the latest Revision Id")
    aws.remove_layer_version_permission(**at, StatementId="s", RevisionId=shown["RevisionId"])
    assert 204 == aws.status
    assert none == aws.error("get_layer_version_policy", **at)


def test_a_missing_layer_version_is_told_by_its_arn(aws):
    layer(aws)
    for name, number in (("none", 1), ("l", 9), (f"{LAYER}none", 1)):
        text = f"Layer version {name if name.startswith('arn') else LAYER + name}:{number} does not exist."
        at = {"LayerName": name, "VersionNumber": number}
        assert (*NOT_FOUND, text, "User") == aws.error("get_layer_version_policy", **at)
        assert (*NOT_FOUND, text, "User") == aws.error("add_layer_version_permission", **at, **SHARE)
        assert (*NOT_FOUND, text, "User") == aws.error(
            "remove_layer_version_permission", **at, StatementId="s"
        )


# ---------------------------------------------------------------- code signing


def test_a_code_signing_config_is_kept_and_shown(made):
    created = made.create_code_signing_config(AllowedPublishers=PUBLISHERS, Description="d")[
        "CodeSigningConfig"
    ]
    arn = created["CodeSigningConfigArn"]
    same = made.update_code_signing_config(CodeSigningConfigArn=arn)["CodeSigningConfig"]
    policies = {"UntrustedArtifactOnDeployment": "Enforce"}
    updated = made.update_code_signing_config(CodeSigningConfigArn=arn, CodeSigningPolicies=policies)

    assert re.fullmatch(r"csc-[a-z0-9]{17}", created["CodeSigningConfigId"])
    assert f"{CONFIG}{created['CodeSigningConfigId'][4:]}" == arn
    assert (PUBLISHERS, "d", {"UntrustedArtifactOnDeployment": "Warn"}) == (
        created["AllowedPublishers"],
        created["Description"],
        created["CodeSigningPolicies"],
    )
    assert created == same
    assert created | {"CodeSigningPolicies": policies} == updated["CodeSigningConfig"]
    assert updated == made.get_code_signing_config(CodeSigningConfigArn=arn)
    assert [updated["CodeSigningConfig"]] == made.list_code_signing_configs()["CodeSigningConfigs"]

    assert {} == made.get_function_code_signing_config(FunctionName="f")
    assert [] == made.list_functions_by_code_signing_config(CodeSigningConfigArn=arn)["FunctionArns"]
    put = made.put_function_code_signing_config(CodeSigningConfigArn=arn, FunctionName="f")
    assert {"CodeSigningConfigArn": arn, "FunctionName": "f"} == put
    assert put == made.get_function_code_signing_config(FunctionName="f")
    assert [f"{ARN}f"] == made.list_functions_by_code_signing_config(CodeSigningConfigArn=arn)["FunctionArns"]
    assert 409 == made.error("delete_code_signing_config", CodeSigningConfigArn=arn)[0]
    made.delete_function_code_signing_config(FunctionName="f")
    made.make("g", CodeSigningConfigArn=arn)
    assert [f"{ARN}g"] == made.list_functions_by_code_signing_config(CodeSigningConfigArn=arn)["FunctionArns"]
    made.delete_function(FunctionName="g")
    made.delete_code_signing_config(CodeSigningConfigArn=arn)
    assert [] == made.list_code_signing_configs()["CodeSigningConfigs"]


def test_a_missing_code_signing_config_is_told_by_its_arn(made):
    """Of a function it is told before the function."""
    arn = f"{CONFIG}00000000000000000"
    text = f"The Lambda code signing configuration {arn} can not be found."
    for operation in (
        "get_code_signing_config",
        "update_code_signing_config",
        "delete_code_signing_config",
        "list_functions_by_code_signing_config",
    ):
        assert (*NOT_FOUND, text, None) == made.error(operation, CodeSigningConfigArn=arn)
    expected = (
        404,
        "CodeSigningConfigNotFoundException",
        (
            "The code signing configuration cannot be found. "
            f"Check that the provided configuration is not deleted: {arn}."
        ),
        "User",
    )
    for name in ("f", "none"):
        assert expected == made.error(
            "put_function_code_signing_config", CodeSigningConfigArn=arn, FunctionName=name
        )


# ---------------------------------------------------------------- permissions


def test_the_latest_version_has_no_policy(made):
    text = "We currently do not support adding policies for $LATEST."

    assert (*INVALID, text, "User") == made.error(
        "add_permission", FunctionName="f", Qualifier="$LATEST", **GRANT
    )


def test_the_revision_of_a_permission_is_the_resources_until_there_is_a_policy(made):
    """Then it is the policy's."""
    alias = made.get_alias(FunctionName="f", Name="live")["RevisionId"]
    status, code, text, _ = made.error(
        "add_permission", FunctionName="f", Qualifier="live", RevisionId="wrong", **GRANT
    )
    made.add_permission(FunctionName="f", Qualifier="live", RevisionId=alias, **GRANT)
    policy = made.get_policy(FunctionName="f", Qualifier="live")["RevisionId"]
    late = made.error(
        "add_permission", FunctionName="f", Qualifier="live", RevisionId=alias, **GRANT | {"StatementId": "t"}
    )
    made.add_permission(FunctionName="f", Qualifier="live", RevisionId=policy, **GRANT | {"StatementId": "t"})

    assert (412, "PreconditionFailedException") == (status, code) == late[:2]
    assert text.endswith("Call the GetPolicy API to retrieve the latest Revision Id")


def test_policies_of_function_version_and_alias_are_apart(made):
    """One id may be in each; the resource has the qualifier."""
    resources = []
    for more in ({}, {"Qualifier": "1"}, {"Qualifier": "live"}):
        made.add_permission(FunctionName="f", **more, **GRANT)
        policy = json.loads(made.get_policy(FunctionName="f", **more)["Policy"])
        resources += [statement["Resource"] for statement in policy["Statement"]]

    assert [f"{ARN}f", f"{ARN}f:1", f"{ARN}f:live"] == resources


def test_a_whole_policy_is_put_shown_and_deleted(made):
    """It is the one that permissions are added to."""
    statement = {"Sid": "a", "Effect": "Allow", "Principal": "*", "Action": "lambda:*", "Resource": f"{ARN}f"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
    put = made.put_resource_policy(ResourceArn=f"{ARN}f", Policy=text)

    assert text == put["Policy"]
    assert put == made.get_resource_policy(ResourceArn=f"{ARN}f")
    made.add_permission(FunctionName="f", **GRANT)
    assert ["a", "s"] == [
        one["Sid"] for one in json.loads(made.get_policy(FunctionName="f")["Policy"])["Statement"]
    ]
    wrong = {"ResourceArn": f"{ARN}f", "RevisionId": "0f0e0d0c-0b0a-4908-8706-ffffffffffff"}
    assert 412 == made.error("delete_resource_policy", **wrong)[0]
    made.delete_resource_policy(ResourceArn=f"{ARN}f")
    assert (204, 404) == (made.status, made.error("get_resource_policy", ResourceArn=f"{ARN}f")[0])
    twice = json.dumps({"Statement": [statement, statement]})
    for wrong_text in ("[]", "{", '{"Statement": []}', twice):
        assert INVALID == made.error("put_resource_policy", ResourceArn=f"{ARN}f", Policy=wrong_text)[:2]


def test_a_policy_has_a_longest_text(made):
    long = {"Principal": "*", "Action": "lambda:InvokeFunction", "SourceArn": "arn:aws:s3:::" + "b" * 9_000}
    made.add_permission(FunctionName="f", StatementId="a", **long)
    made.add_permission(FunctionName="f", StatementId="b", **long)
    status, code, text, _ = made.error("add_permission", FunctionName="f", StatementId="c", **long)

    assert (400, "PolicyLengthExceededException") == (status, code)
    assert re.fullmatch(r"The final policy size \(\d+\) is bigger than the limit \(20480\)\.", text)


# ---------------------------------------------------------------- tags

TAGGING = {
    "tag_resource": {"Tags": {"a": "b"}},
    "untag_resource": {"TagKeys": ["a"]},
    "list_tags": {},
}


@pytest.mark.parametrize("operation", TAGGING)
def test_tags_belong_to_whole_resources_and_tell_what_is_missing_by_its_kind(made, operation):
    arguments = TAGGING[operation]
    parts = "Tags on function aliases and versions are not supported. Please specify a function ARN."
    for qualifier in ("1", "live", "$LATEST"):
        assert (*INVALID, parts, "User") == made.error(operation, Resource=f"{ARN}f:{qualifier}", **arguments)
    for arn, kind in ((f"{ARN}none", "Function"), (f"{PROVIDER}none", "Capacity provider")):
        assert (*NOT_FOUND, f"{kind} not found: {arn}", "User") == made.error(
            operation, Resource=arn, **arguments
        )


def test_what_is_elsewhere_is_not_found_here(aws):
    """A name is another resource in another region."""
    aws.create_capacity_provider(CapacityProviderName="p", VpcConfig=NETWORK, PermissionsConfig=OPERATOR)
    elsewhere = f"{PROVIDER}p".replace("eu-west-1", "us-east-1")
    expected = (*NOT_FOUND, f"Capacity provider not found: {elsewhere}", "User")

    assert expected == aws.error("list_tags", Resource=elsewhere)
    assert expected == aws.error("get_capacity_provider", CapacityProviderName=elsewhere)


def test_no_tags_at_all_are_an_error(made):
    text = "An error occurred and the request cannot be processed."

    assert (*INVALID, text, "User") == made.error("tag_resource", Resource=f"{ARN}f", Tags={})


def test_all_that_can_have_tags_has_them(made):
    config = made.create_code_signing_config(AllowedPublishers=PUBLISHERS, Tags={"a": "1"})
    provider = made.create_capacity_provider(
        CapacityProviderName="p", VpcConfig=NETWORK, PermissionsConfig=OPERATOR, Tags={"a": "1"}
    )
    for arn in (
        config["CodeSigningConfig"]["CodeSigningConfigArn"],
        provider["CapacityProvider"]["CapacityProviderArn"],
    ):
        made.tag_resource(Resource=arn, Tags={"b": "2"})
        made.untag_resource(Resource=arn, TagKeys=["a", "absent"])
        assert {"b": "2"} == made.list_tags(Resource=arn)["Tags"]


# ---------------------------------------------------------------- concurrency


def test_whether_an_error_has_a_type_belongs_to_the_single_error(made):
    """Those about the account's concurrency have none, and one about `$LATEST`."""
    latest = {"FunctionVersion": "$LATEST", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}}
    reserve = partial(made.error, "put_function_concurrency", FunctionName="f")
    provision = partial(made.error, "put_provisioned_concurrency_config", FunctionName="f", Qualifier="1")
    told = [
        reserve(ReservedConcurrentExecutions=800),
        provision(ProvisionedConcurrentExecutions=900),
        provision(ProvisionedConcurrentExecutions=800),
        made.error("create_alias", FunctionName="f", Name="a", **latest),
    ]
    made.put_provisioned_concurrency_config(
        FunctionName="f", Qualifier="1", ProvisionedConcurrentExecutions=2
    )
    told.append(reserve(ReservedConcurrentExecutions=1))
    made.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=2)
    typed = provision(ProvisionedConcurrentExecutions=3)

    assert [(*INVALID, None)] * 5 == [(*error[:2], error[3]) for error in told]
    assert told[1][2].endswith("is greater than account's unreserved concurrency [893].")
    assert (
        " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned "
        "concurrency [2]."
    ) == told[4][2]
    assert "User" == typed[3]


# ---------------------------------------------------------------- what is kept


def test_runtime_management_is_kept_for_each_version(made):
    arn = "arn:aws:lambda:eu-west-1::runtime:" + "0" * 64
    put = made.put_runtime_management_config(
        FunctionName="f", Qualifier="1", UpdateRuntimeOn="Manual", RuntimeVersionArn=arn
    )

    assert {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": arn, "FunctionArn": f"{ARN}f:1"} == put
    assert put == made.get_runtime_management_config(FunctionName="f", Qualifier="1")
    assert "Auto" == made.get_runtime_management_config(FunctionName="f")["UpdateRuntimeOn"]
    assert (
        INVALID == made.error("put_runtime_management_config", FunctionName="f", UpdateRuntimeOn="Manual")[:2]
    )


def test_scaling_of_a_version_is_kept(made):
    at, config = {"FunctionName": "f", "Qualifier": "1"}, {"MinExecutionEnvironments": 1}

    assert {"FunctionArn": f"{ARN}f:1"} == made.get_function_scaling_config(**at)
    assert {"FunctionState": "Active"} == made.put_function_scaling_config(**at, FunctionScalingConfig=config)
    assert {
        "FunctionArn": f"{ARN}f:1",
        "AppliedFunctionScalingConfig": config,
        "RequestedFunctionScalingConfig": config,
    } == made.get_function_scaling_config(**at)
    assert (*NOT_FOUND, f"Function not found: {ARN}f:9", "User") == made.error(
        "get_function_scaling_config", FunctionName="f", Qualifier="9"
    )


def test_a_capacity_provider_is_kept(aws):
    create = {"CapacityProviderName": "p", "VpcConfig": NETWORK, "PermissionsConfig": OPERATOR}
    created = aws.create_capacity_provider(**create)["CapacityProvider"]
    shown = aws.get_capacity_provider(CapacityProviderName=f"{PROVIDER}p")["CapacityProvider"]
    scaling = {"MaxVCpuCount": 8}
    updated = aws.update_capacity_provider(CapacityProviderName="p", CapacityProviderScalingConfig=scaling)

    assert (f"{PROVIDER}p", "Pending", NETWORK, OPERATOR) == (
        created["CapacityProviderArn"],
        created["State"],
        created["VpcConfig"],
        created["PermissionsConfig"],
    )
    assert created | {"State": "Active"} == shown
    assert shown | {"CapacityProviderScalingConfig": scaling} == updated["CapacityProvider"]
    assert [updated["CapacityProvider"]] == aws.list_capacity_providers()["CapacityProviders"]
    assert [] == aws.list_capacity_providers(State="Failed")["CapacityProviders"]
    assert {"CapacityProviderArn": f"{PROVIDER}p", "FunctionVersions": []} == (
        aws.list_function_versions_by_capacity_provider(CapacityProviderName="p")
    )
    assert (409, "ResourceConflictException") == aws.error("create_capacity_provider", **create)[:2]
    deleted = aws.delete_capacity_provider(CapacityProviderName="p")["CapacityProvider"]
    assert "Deleting" == deleted["State"]
    assert (*NOT_FOUND, f"Capacity provider not found: {PROVIDER}p", "User") == aws.error(
        "get_capacity_provider", CapacityProviderName="p"
    )


def test_a_functions_capacity_provider_is_kept_and_shown(made):
    """One that is there; its published versions are listed by it."""
    config = {
        "LambdaManagedInstancesCapacityProviderConfig": {
            "CapacityProviderArn": f"{PROVIDER}p",
            "PerExecutionEnvironmentMaxConcurrency": 10,
        }
    }
    missing = made.error("update_function_configuration", FunctionName="f", CapacityProviderConfig=config)
    made.create_capacity_provider(CapacityProviderName="p", VpcConfig=NETWORK, PermissionsConfig=OPERATOR)
    made.update_function_configuration(FunctionName="f", CapacityProviderConfig=config)
    made.publish_version(FunctionName="f")

    assert (*NOT_FOUND, f"Capacity provider not found: {PROVIDER}p", "User") == missing
    assert config == made.get_function_configuration(FunctionName="f")["CapacityProviderConfig"]
    assert [{"FunctionArn": f"{ARN}f:2", "State": "Active"}] == (
        made.list_function_versions_by_capacity_provider(CapacityProviderName="p")["FunctionVersions"]
    )


def start(aws, store, runner):
    """As the engine starts: with what the state folder has."""
    aws.bench = Bench(FUNCTIONS, store, spawner=lambda function, *args: runner.run(function(*args)))
    state = store.load()
    store.begin(state)
    runner.run(aws.bench.control_plane.restore(state))


def kept(aws, config):
    """What is shown of everything that is kept."""
    at = {"FunctionName": "f", "Qualifier": "1"}
    yield aws.get_function_configuration(**at)
    yield aws.get_layer_version(LayerName="l", VersionNumber=1)
    yield aws.get_layer_version_policy(LayerName="l", VersionNumber=1)
    yield aws.get_code_signing_config(CodeSigningConfigArn=config)
    yield aws.list_tags(Resource=config)
    yield aws.get_function_code_signing_config(FunctionName="f")
    yield aws.get_runtime_management_config(**at)
    yield aws.get_function_scaling_config(**at)
    yield aws.get_capacity_provider(CapacityProviderName="p")
    yield aws.get_resource_policy(ResourceArn=f"{ARN}f")
    yield aws.publish_version(FunctionName="f")


def test_what_is_kept_is_shown_after_a_restart(lambda_client, tmp_path):
    """From the state folder, revisions of versions too."""
    aws = lambda_client
    with asyncio.Runner() as runner, PackageStore(tmp_path / "state") as store:
        start(aws, store, runner)
        aws.make("f", Environment={"Variables": {}})
        aws.update_function_configuration(FunctionName="f", Description="first")
        aws.publish_version(FunctionName="f", Description="d")
        layer(aws)
        aws.add_layer_version_permission(LayerName="l", VersionNumber=1, **SHARE)
        created = aws.create_code_signing_config(AllowedPublishers=PUBLISHERS, Tags={"a": "1"})
        config = created["CodeSigningConfig"]["CodeSigningConfigArn"]
        aws.put_function_code_signing_config(CodeSigningConfigArn=config, FunctionName="f")
        at = {"FunctionName": "f", "Qualifier": "1"}
        aws.put_runtime_management_config(**at, UpdateRuntimeOn="FunctionUpdate")
        aws.put_function_scaling_config(**at, FunctionScalingConfig={"MaxExecutionEnvironments": 3})
        aws.create_capacity_provider(CapacityProviderName="p", VpcConfig=NETWORK, PermissionsConfig=OPERATOR)
        statement = {"Effect": "Allow", "Principal": "*", "Action": "lambda:*", "Resource": f"{ARN}f"}
        aws.put_resource_policy(ResourceArn=f"{ARN}f", Policy=json.dumps({"Statement": statement}))
        before = list(kept(aws, config))
    with asyncio.Runner() as runner, PackageStore(tmp_path / "state") as store:
        start(aws, store, runner)

        assert before == list(kept(aws, config))


# ---------------------------------------------------------------- SnapStart, storage, networks


def test_snapstart_applies_to_published_versions(aws):
    """And to runtimes that AWS has it for."""
    on = {"ApplyOn": "PublishedVersions"}
    latest = aws.make("f", SnapStart=on)["SnapStart"]
    version = aws.publish_version(FunctionName="f")["SnapStart"]
    applied = {number: function.snapstart for (_, number), function in aws.bench.deployment.functions.items()}
    text = "python3.11 is not supported for SnapStart enabled functions."

    assert (on | {"OptimizationStatus": "Off"}, on | {"OptimizationStatus": "On"}) == (latest, version)
    assert {"$LATEST": False, "1": True} == applied
    assert (*INVALID, text, "User") == aws.error(
        "update_function_configuration", FunctionName="f", Runtime="python3.11", SnapStart=on
    )


def test_what_is_declared_of_storage_and_networks_is_taken_or_shown(aws):
    shown = aws.make("f", EphemeralStorage={"Size": 1024}, VpcConfig=NETWORK, KMSKeyArn="")

    assert 1024 == aws.bench.deployment.functions["f", "$LATEST"].ephemeral_storage_mb
    assert {**NETWORK, "VpcId": "", "Ipv6AllowedForDualStack": False} == shown["VpcConfig"]
    assert "KMSKeyArn" not in shown


def test_a_layers_version_is_a_positive_number(aws):
    for operation in ("get_layer_version", "delete_layer_version"):
        assert (*INVALID, "Layer Version Cannot be less than 1", "User") == aws.error(
            operation, LayerName="l", VersionNumber=0
        )


def test_nothing_is_created_with_too_many_tags(aws):
    """Fifty, as nothing is tagged with more."""
    tags = {f"key{number}": "" for number in range(51)}
    text = "Number of tags exceeds resource tag limit."
    create = {"FunctionName": "f", "Role": OPERATOR["CapacityProviderOperatorRoleArn"], "Handler": "a.b"}
    code = {"Runtime": "python3.12", "Code": {"ZipFile": b""}}
    provider = {"CapacityProviderName": "p", "VpcConfig": NETWORK, "PermissionsConfig": OPERATOR}

    for operation, members in (
        ("create_function", create | code),
        ("create_code_signing_config", {"AllowedPublishers": PUBLISHERS}),
        ("create_capacity_provider", provider),
        ("tag_resource", {"Resource": f"{ARN}hello"}),
    ):
        assert (*INVALID, text, "User") == aws.error(operation, **members, Tags=tags)
