"""What the control plane says to every request about functions that come as packages: AWS's words."""

import base64
import hashlib
import json
import re

import pytest

from engine.core.function import Function
from engine.errors import ConfigError
from engine.packages.deployment import Readiness
from engine.ports import ConfiguredUrl
from engine.services.lambda_api.runtimes import RUNTIMES

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:"
LAYER_ARN = "arn:aws:lambda:eu-west-1:123456789012:layer:"
FUNCTIONS = "/2015-03-31/functions"
NOT_A_ZIP = "Could not unzip uploaded file. Please check your file, then try to upload again."
ONLY_FUNCTIONS = (
    "This operation is permitted on Lambda functions only. Aliases and versions do not support this "
    "operation. Please specify either a function name or an unqualified function ARN."
)
SOURCE = {"app.py": "def handler(event, context): return event"}


def zipped(bench, text="x = 1"):
    """The ZipFile of an archive whose content depends on `text`."""
    return bench.zipped({"app.py": text})


def error_of(answer):
    """Status, code and text."""
    status, code, document = answer.error
    return status, code, document.get("message", document.get("Message"))


def get(bench, path):
    answer = bench.ask("GET", path)
    assert 200 == answer.status, answer.body
    return answer.document


@pytest.fixture
def made(bench):
    """A bench with the function `made`."""
    assert 201 == bench.create().status
    return bench


@pytest.fixture
def published(made):
    """A bench with versions 1 and 2 of `made`, and the alias `live` for 1."""
    for number in (1, 2):
        made.call("PUT", f"{FUNCTIONS}/made/code", ZipFile=zipped(made, f"x = {number}"))
        assert str(number) == made.call("POST", f"{FUNCTIONS}/made/versions").document["Version"]
    assert 201 == made.call("POST", f"{FUNCTIONS}/made/aliases", Name="live", FunctionVersion="1").status
    return made


# ---------------------------------------------------------------- create


def test_a_new_function_is_pending_and_then_active(bench):
    """The whole document, as AWS gives it."""
    code = base64.b64decode(bench.zipped(SOURCE))
    answer = bench.create(Code={"ZipFile": bench.zipped(SOURCE)}, Environment={"Variables": {"AB": "c"}})
    document = dict(answer.document)

    assert 201 == answer.status
    assert re.fullmatch(r"[0-9a-f-]{36}", document.pop("RevisionId"))
    assert {
        "FunctionName": "made",
        "FunctionArn": f"{ARN}made",
        "Runtime": "python3.12",
        "Role": "arn:aws:iam::123456789012:role/any",
        "Handler": "app.handler",
        "CodeSize": len(code),
        "CodeSha256": base64.b64encode(hashlib.sha256(code).digest()).decode(),
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "LastModified": "2020-03-12T19:03:58.390+0000",
        "Version": "$LATEST",
        "TracingConfig": {"Mode": "PassThrough"},
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/made"},
        "Environment": {"Variables": {"AB": "c"}},
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
        "RuntimeVersionConfig": document["RuntimeVersionConfig"],
    } == document
    after = get(bench, f"{FUNCTIONS}/made")["Configuration"]
    assert ("Active", "Successful") == (after["State"], after["LastUpdateStatus"])
    assert "StateReason" not in after
    assert answer.document["RevisionId"] != after["RevisionId"]


def test_what_runs_is_what_was_asked_for(bench):
    """The settings of the API as the engine knows functions."""
    bench.create(MemorySize=512, Timeout=900, Architectures=["arm64"], Environment={"Variables": {"AB": "c"}})
    function = bench.deployment.functions["made", "$LATEST"]

    assert ("app.handler", 512, 900.0, "arm64", {"AB": "c"}) == (
        function.handler,
        function.memory_mb,
        function.timeout_s,
        function.architecture,
        function.environment,
    )
    assert function.code.endswith("/task")


def test_a_function_that_cannot_be_run_is_failed_and_says_why(bench):
    bench.deployment.refuses = ConfigError(("no such executor",))
    bench.create()
    document = get(bench, f"{FUNCTIONS}/made/configuration")
    invoked = bench.invoke(name="made")

    assert ("Failed", "no such executor", "InternalError") == (
        document["State"],
        document["StateReason"],
        document["StateReasonCode"],
    )
    assert (
        409,
        "ResourceConflictException",
        (
            "The operation cannot be performed at this time. The function is currently in the following "
            "state: Failed"
        ),
    ) == error_of(invoked)
    assert 204 == bench.ask("DELETE", f"{FUNCTIONS}/made").status


BAD_CREATES = {
    "duplicate": ({"name": "hello"}, 409, "ResourceConflictException", "Function already exist: hello"),
    "runtime": (
        {"Runtime": "cobol1"},
        400,
        "InvalidParameterValueException",
        (
            "Value cobol1 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
            f"[{', '.join(RUNTIMES)}] or be a valid ARN"
        ),
    ),
    "role": (
        {"Role": "me"},
        400,
        "ValidationException",
        (
            "1 validation error detected: Value 'me' at 'role' failed to satisfy constraint: Member "
            "must satisfy "
            r"regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"
        ),
    ),
    "no role": (
        {"Role": None},
        400,
        "ValidationException",
        (
            "1 validation error detected: Value null at 'role' failed to satisfy constraint: Member must not "
            "be null"
        ),
    ),
    "several": (
        {"MemorySize": 64, "Timeout": 901},
        400,
        "ValidationException",
        (
            "2 validation errors detected: Value '901' at 'timeout' failed to satisfy constraint: "
            "Member must "
            "have "
            "value less than or equal to 900; Value '64' at 'memorySize' failed to satisfy "
            "constraint: Member "
            "must "
            "have value greater than or equal to 128"
        ),
    ),
    "long name": (
        {"name": "n" * 65},
        400,
        "InvalidParameterValueException",
        (
            f"1 validation error detected: Value '{'n' * 65}' at 'functionName' failed to satisfy "
            f"constraint: "
            "Member must have length less than or equal to 64"
        ),
    ),
    "not a zip": ({"Code": {"ZipFile": "eHl6"}}, 400, "InvalidParameterValueException", NOT_A_ZIP),
    "not base64": (
        {"Code": {"ZipFile": "?"}},
        400,
        "SerializationException",
        "Could not decode ZipFile: it is not Base64-encoded.",
    ),
    "no code": (
        {"Code": {}},
        400,
        "InvalidParameterValueException",
        "Please provide a source for function code.",
    ),
    "no S3 yet": (
        {"Code": {"S3Bucket": "code", "S3Key": "a.zip"}},
        400,
        "InvalidParameterValueException",
        (
            "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: This engine has "
            "no S3: "
            "send the archive itself, as ZipFile."
        ),
    ),
    "six layers": (
        {"Layers": [f"{LAYER_ARN}l:{number}" for number in range(6)]},
        400,
        "InvalidParameterValueException",
        "Cannot reference more than 5 layers.",
    ),
    "no such layer": (
        {"Layers": [f"{LAYER_ARN}l:1"]},
        400,
        "InvalidParameterValueException",
        f"Layer version {LAYER_ARN}l:1 does not exist.",
    ),
    "reserved variable": (
        {"Environment": {"Variables": {"AWS_REGION": "x"}}},
        400,
        "InvalidParameterValueException",
        (
            "Lambda was unable to configure your environment variables because the environment variables you "
            "have "
            "provided contains reserved keys that are currently not supported for modification. "
            "Reserved keys "
            "used "
            "in this request: AWS_REGION"
        ),
    ),
    "too many variables": (
        {"Environment": {"Variables": {"AB": "c" * 4096}}},
        400,
        "InvalidParameterValueException",
        (
            "Lambda was unable to configure your environment variables because the environment variables you "
            "have "
            f'provided exceeded the 4KB limit. String measured: {{"AB":"{"c" * 4096}"}}'
        ),
    ),
    "wrong type": (
        {"MemorySize": "128"},
        400,
        "SerializationException",
        "STRING_VALUE can not be converted to an Integer",
    ),
}


@pytest.mark.parametrize("case", BAD_CREATES)
def test_a_bad_create_is_refused_in_awss_words(bench, case):
    """And nothing of it stays: no function, no folder."""
    members, *expected = BAD_CREATES[case]

    assert tuple(expected) == error_of(bench.create(**members))
    assert {"hello", "orders-v2_x", "warm"} == set(bench.registry.names())
    assert {} == bench.deployment.functions
    bench.package_store.sweep(set())


def test_a_request_above_the_limit_is_refused(bench):
    assert (
        413,
        "RequestEntityTooLargeException",
        "Request must be smaller than 70167211 bytes for the CreateFunction operation",
    ) == error_of(bench.ask("POST", FUNCTIONS, too_large=70_167_212))


def test_the_name_may_be_an_arn(bench):
    assert f"{ARN}made" == bench.create(name=f"{ARN}made").document["FunctionArn"]


# ---------------------------------------------------------------- update


def test_an_update_is_in_progress_and_then_successful(made):
    """Another folder, another revision; the old folder goes with the last that ran there."""
    before = get(made, f"{FUNCTIONS}/made/configuration")
    folder = made.deployment.functions["made", "$LATEST"].code
    answer = made.call("PUT", f"{FUNCTIONS}/made/code", ZipFile=zipped(made, "x = 2")).document
    after = get(made, f"{FUNCTIONS}/made/configuration")

    assert ("InProgress", "Creating", "The function is being created.") == (
        answer["LastUpdateStatus"],
        answer["LastUpdateStatusReasonCode"],
        answer["LastUpdateStatusReason"],
    )
    assert ("Active", "Successful") == (after["State"], after["LastUpdateStatus"])
    assert 3 == len({one["RevisionId"] for one in (before, answer, after)})
    assert before["CodeSha256"] != after["CodeSha256"]
    assert folder != made.deployment.functions["made", "$LATEST"].code
    assert 1 == len(list(made.package_store.archive_path(".").parent.iterdir()))


def test_a_configuration_changes_member_by_member(made):
    made.call("PUT", f"{FUNCTIONS}/made/configuration", Timeout=7, Environment={"Variables": {"AB": "c"}})
    made.call("PUT", f"{FUNCTIONS}/made/configuration", MemorySize=256)
    function = made.deployment.functions["made", "$LATEST"]

    assert (7.0, 256, {"AB": "c"}) == (function.timeout_s, function.memory_mb, function.environment)


def test_what_was_reserved_while_a_version_came_up_is_told_again(made):
    """Neither a reservation nor provisioned environments are lost in between."""
    made.call("PUT", "/2017-10-31/functions/made/concurrency", ReservedConcurrentExecutions=3)
    made.deployment.reserved.clear()
    made.call("POST", f"{FUNCTIONS}/made/versions")

    assert {"made": 3} == made.deployment.reserved


def test_an_outdated_revision_is_refused(made):
    """For code, configuration and versions alike; the latest one is taken."""
    revision = get(made, f"{FUNCTIONS}/made/configuration")["RevisionId"]
    expected = (
        412,
        "PreconditionFailedException",
        (
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias "
            "API to "
            "retrieve the latest Revision Id"
        ),
    )
    old = {"RevisionId": "old"}

    assert expected == error_of(made.call("PUT", f"{FUNCTIONS}/made/code", ZipFile=zipped(made), **old))
    assert expected == error_of(made.call("PUT", f"{FUNCTIONS}/made/configuration", Timeout=1, **old))
    assert expected == error_of(made.call("POST", f"{FUNCTIONS}/made/versions", **old))
    assert 200 == made.call("PUT", f"{FUNCTIONS}/made/configuration", Timeout=1, RevisionId=revision).status


def test_an_update_that_fails_leaves_the_old_code_at_work(made):
    """The function stays active, and says why the update failed."""
    made.deployment.refuses = ConfigError(("no such executor",))
    before = made.deployment.functions["made", "$LATEST"]
    made.call("PUT", f"{FUNCTIONS}/made/code", ZipFile=zipped(made, "x = 2"))
    document = get(made, f"{FUNCTIONS}/made/configuration")

    assert ("Active", "Failed", "no such executor") == (
        document["State"],
        document["LastUpdateStatus"],
        document["LastUpdateStatusReason"],
    )
    assert before == made.deployment.functions["made", "$LATEST"]


def test_one_update_at_a_time(made):
    """Code, configuration and versions alike."""
    made.registry.record("made").latest.updating = True
    expected = (
        409,
        "ResourceConflictException",
        f"The operation cannot be performed at this time. An update is in progress for resource: {ARN}made",
    )

    assert expected == error_of(made.call("PUT", f"{FUNCTIONS}/made/code", ZipFile=zipped(made)))
    assert expected == error_of(made.call("PUT", f"{FUNCTIONS}/made/configuration", Timeout=1))
    assert expected == error_of(made.call("POST", f"{FUNCTIONS}/made/versions"))


def test_a_pending_function_is_not_invoked(made):
    made.registry.record("made").latest.state = "Pending"

    assert (
        409,
        "ResourceConflictException",
        (
            "The operation cannot be performed at this time. The function is currently in the following "
            "state: Pending"
        ),
    ) == error_of(made.invoke(name="made"))


def test_a_dry_run_changes_nothing(made):
    before = get(made, f"{FUNCTIONS}/made/configuration")
    answer = made.call("PUT", f"{FUNCTIONS}/made/code", ZipFile=zipped(made, "other"), DryRun=True)

    assert before["CodeSha256"] == answer.document["CodeSha256"]
    assert before == get(made, f"{FUNCTIONS}/made/configuration")


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/code"), ("PUT", "/configuration"), ("POST", "/versions"), ("DELETE", "")],
)
def test_code_and_configuration_of_a_configured_function_stay(bench, method, path):
    status, code, text = error_of(bench.call(method, f"{FUNCTIONS}/hello{path}"))

    assert (400, "InvalidParameterValueException") == (status, code)
    assert "Function hello is defined in the engine's configuration" in text


# ---------------------------------------------------------------- delete, versions, aliases


def test_deleting_takes_everything_along(published):
    """Versions, and the packages on disk."""
    assert 204 == published.ask("DELETE", f"{FUNCTIONS}/made").status
    assert {} == published.deployment.functions
    assert 404 == published.ask("GET", f"{FUNCTIONS}/made").status
    assert [] == list(published.package_store.archive_path(".").parent.iterdir())


def test_versions_are_numbered_and_only_changes_are_published(published):
    """A number is never used again."""
    again = published.call("POST", f"{FUNCTIONS}/made/versions").document
    published.call("PUT", f"{FUNCTIONS}/made/aliases/live", FunctionVersion="2")
    published.ask("DELETE", f"{FUNCTIONS}/made?Qualifier=1")
    published.call("PUT", f"{FUNCTIONS}/made/configuration", Timeout=9)
    third = published.call("POST", f"{FUNCTIONS}/made/versions", Description="third").document
    listed = get(published, f"{FUNCTIONS}/made/versions")["Versions"]

    assert "2" == again["Version"]
    assert ("3", "third", f"{ARN}made:3", 9) == (
        third["Version"],
        third["Description"],
        third["FunctionArn"],
        third["Timeout"],
    )
    assert ["$LATEST", "2", "3"] == [version["Version"] for version in listed]
    assert [f"{ARN}made:$LATEST", f"{ARN}made:2", f"{ARN}made:3"] == [one["FunctionArn"] for one in listed]


def test_versions_refuse_what_does_not_fit(published):
    wrong = published.call("POST", f"{FUNCTIONS}/made/versions", CodeSha256="x")
    latest = published.ask("DELETE", f"{FUNCTIONS}/made?Qualifier=%24LATEST")
    used = published.ask("DELETE", f"{FUNCTIONS}/made?Qualifier=1")

    assert error_of(wrong)[2].startswith("CodeSHA256 (x) is different from current CodeSHA256 in $LATEST (")
    assert (
        400,
        "InvalidParameterValueException",
        "$LATEST version cannot be deleted without deleting the function.",
    ) == error_of(latest)
    assert (409, "ResourceConflictException") == error_of(used)[:2]


def test_an_alias_routes_and_says_what_it_is(published):
    weights = {"AdditionalVersionWeights": {"2": 0.25}}
    answer = published.call("PUT", f"{FUNCTIONS}/made/aliases/live", RoutingConfig=weights).document
    published.invoke(name="made:live")

    assert {
        "AliasArn": f"{ARN}made:live",
        "Name": "live",
        "FunctionVersion": "1",
        "Description": "",
        "RevisionId": answer["RevisionId"],
        "RoutingConfig": weights,
    } == answer
    assert {"live": [("1", 0.75), ("2", 0.25)]} == published.deployment.routes["made"]
    assert ("made", "live") == (published.event.function, published.event.qualifier)


BAD_ALIASES = {
    "duplicate": (
        {"Name": "live", "FunctionVersion": "1"},
        (409, "ResourceConflictException", f"Alias already exists: {ARN}made:live"),
    ),
    "no such version": (
        {"Name": "a1", "FunctionVersion": "9"},
        (404, "ResourceNotFoundException", f"Function not found: {ARN}made:9"),
    ),
    "number": (
        {"Name": "12", "FunctionVersion": "1"},
        (
            400,
            "ValidationException",
            (
                "1 validation error detected: Value '12' at 'name' failed to satisfy constraint: Member must "
                "satisfy "
                "regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"
            ),
        ),
    ),
    "weights with $LATEST": (
        {
            "Name": "a1",
            "FunctionVersion": "$LATEST",
            "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.1}},
        },
        (
            400,
            "InvalidParameterValueException",
            "$LATEST is not supported for an alias pointing to more than 1 version",
        ),
    ),
    "too many weights": (
        {
            "Name": "a1",
            "FunctionVersion": "1",
            "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.1, "2": 0.1}},
        },
        (
            400,
            "InvalidParameterValueException",
            "Number of items in AdditionalVersionWeights cannot be greater than 1",
        ),
    ),
    "itself": (
        {"Name": "a1", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.1}}},
        (
            400,
            "InvalidParameterValueException",
            "Invalid function version 1. Function version 1 is already included in routing configuration.",
        ),
    ),
    "too much weight": (
        {"Name": "a1", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 1.5}}},
        (
            400,
            "ValidationException",
            (
                "1 validation error detected: Value '{2=1.5}' at 'routingConfig.additionalVersionWeights' "
                "failed to satisfy constraint: Map value must satisfy constraint: [Member must have value "
                "less than or equal to 1.0, Member must have value greater than or equal to 0.0, "
                "Member must not be null]"
            ),
        ),
    ),
}


@pytest.mark.parametrize("case", BAD_ALIASES)
def test_a_bad_alias_is_refused_in_awss_words(published, case):
    members, expected = BAD_ALIASES[case]

    assert expected == error_of(published.call("POST", f"{FUNCTIONS}/made/aliases", **members))


def test_a_missing_alias_is_told_by_its_arn(published):
    expected = (404, "ResourceNotFoundException", f"Cannot find alias arn: {ARN}made:none")

    assert expected == error_of(published.ask("GET", f"{FUNCTIONS}/made/aliases/none"))
    assert 204 == published.ask("DELETE", f"{FUNCTIONS}/made/aliases/none").status
    assert 204 == published.ask("DELETE", f"{FUNCTIONS}/made/aliases/live").status
    assert {"NextMarker": None, "Aliases": []} == get(published, f"{FUNCTIONS}/made/aliases")


# ---------------------------------------------------------------- concurrency

CONCURRENCY = "/2017-10-31/functions/made/concurrency"
PROVISIONED = "/2019-09-30/functions/made/provisioned-concurrency"


def test_reserving_is_told_to_the_engine(made):
    put = made.call("PUT", CONCURRENCY, ReservedConcurrentExecutions=10)

    assert {"ReservedConcurrentExecutions": 10} == put.document
    assert 10 == made.deployment.reserved["made"]
    assert {"ReservedConcurrentExecutions": 10} == get(made, "/2019-09-30/functions/made/concurrency")
    assert {"ReservedConcurrentExecutions": 10} == get(made, f"{FUNCTIONS}/made")["Concurrency"]
    assert 883 == get(made, "/2016-08-19/account-settings")["AccountLimit"]["UnreservedConcurrentExecutions"]
    assert 204 == made.ask("DELETE", CONCURRENCY).status
    assert made.deployment.reserved["made"] is None
    assert {} == get(made, "/2019-09-30/functions/made/concurrency")


def provision(bench, count, qualifier="1"):
    return bench.call("PUT", f"{PROVISIONED}?Qualifier={qualifier}", ProvisionedConcurrentExecutions=count)


def test_provisioning_is_in_progress_until_it_is_ready(published):
    asked = provision(published, 3, "live")
    first = get(published, f"{PROVISIONED}?Qualifier=live")["Status"]
    published.deployment.ready = Readiness(1, failing=True)
    failed = get(published, f"{PROVISIONED}?Qualifier=live")
    published.deployment.ready = Readiness(3, failing=False)
    ready = get(published, f"{PROVISIONED}?Qualifier=live")

    assert 202 == asked.status
    assert {
        "RequestedProvisionedConcurrentExecutions": 3,
        "AvailableProvisionedConcurrentExecutions": 0,
        "AllocatedProvisionedConcurrentExecutions": 0,
        "Status": "IN_PROGRESS",
        "LastModified": "2020-03-12T19:03:58.390+0000",
    } == asked.document
    assert "IN_PROGRESS" == first
    assert ("FAILED", "FUNCTION_ERROR_INIT_FAILURE") == (failed["Status"], failed["StatusReason"])
    assert ("READY", 3) == (ready["Status"], ready["AvailableProvisionedConcurrentExecutions"])
    assert 3 == published.deployment.provisioned["made", "1"]
    listed = get(published, f"{PROVISIONED}?List=ALL")["ProvisionedConcurrencyConfigs"]
    assert [f"{ARN}made:live"] == [one["FunctionArn"] for one in listed]


def test_provisioned_environments_follow_their_alias(published):
    provision(published, 3, "live")
    published.call("PUT", f"{FUNCTIONS}/made/aliases/live", FunctionVersion="2")

    assert (0, 3) == tuple(published.deployment.provisioned["made", number] for number in "12")
    assert 204 == published.ask("DELETE", f"{PROVISIONED}?Qualifier=live").status
    assert 0 == published.deployment.provisioned["made", "2"]


def test_limits_of_concurrency_speak_awss_words(published):
    """Each message of PutFunctionConcurrency and PutProvisionedConcurrencyConfig."""

    def reserve(count):
        return error_of(published.call("PUT", CONCURRENCY, ReservedConcurrentExecutions=count))[2]

    def provisioned(count, qualifier="1"):
        return error_of(provision(published, count, qualifier))[2]

    missing = published.ask("GET", f"{PROVISIONED}?Qualifier=1")

    assert (
        "Specified ReservedConcurrentExecutions for function decreases account's "
        "UnreservedConcurrentExecution below its minimum value of [100]."
    ) == reserve(794)
    assert (
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    ) == provisioned(1, "$LATEST")
    assert (
        "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [893]."
    ) == provisioned(894)
    assert (
        404,
        "ProvisionedConcurrencyConfigNotFoundException",
        "No Provisioned Concurrency Config found for this function",
    ) == error_of(missing)
    assert (
        ONLY_FUNCTIONS
        == error_of(
            published.call("PUT", "/2017-10-31/functions/made:1/concurrency", ReservedConcurrentExecutions=1)
        )[2]
    )
    provision(published, 5)
    assert (
        " ReservedConcurrentExecutions  4 should not be lower than function's total provisioned "
        "concurrency [5]."
    ) == reserve(4)
    assert 200 == published.call("PUT", CONCURRENCY, ReservedConcurrentExecutions=6).status
    assert (
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for "
        "function"
    ) == provisioned(7)
    assert (
        409,
        "ResourceConflictException",
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
    ) == error_of(provision(published, 1, "live"))
    published.ask("DELETE", f"{PROVISIONED}?Qualifier=1")
    provision(published, 1, "live")
    assert (
        409,
        "ResourceConflictException",
        "Version is pointed by a Provisioned Concurrency alias",
    ) == error_of(provision(published, 1))


# ---------------------------------------------------------------- event-invoke configs

INVOKING = "/2019-09-25/functions/made/event-invoke-config"


def test_an_event_invoke_config_is_put_merged_and_deleted(made):
    queue = "arn:aws:sqs:eu-west-1:123456789012:failed"
    put = made.call("PUT", INVOKING, MaximumRetryAttempts=1)
    merged = made.call("POST", INVOKING, DestinationConfig={"OnFailure": {"Destination": queue}}).document
    replaced = made.call("PUT", INVOKING, MaximumEventAgeInSeconds=60).document
    listed = get(made, f"{INVOKING}/list")["FunctionEventInvokeConfigs"]

    assert {
        "LastModified": 1584039838.39,
        "FunctionArn": f"{ARN}made:$LATEST",
        "MaximumRetryAttempts": 1,
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": {}},
    } == put.document
    assert (1, queue) == (
        merged["MaximumRetryAttempts"],
        merged["DestinationConfig"]["OnFailure"]["Destination"],
    )
    assert "MaximumRetryAttempts" not in replaced
    assert [replaced] == listed
    assert 204 == made.ask("DELETE", INVOKING).status


def test_event_invoke_configs_speak_awss_words(made):
    missing = (
        404,
        "ResourceNotFoundException",
        f"The function {ARN}made:$LATEST doesn't have an EventInvokeConfig",
    )
    itself = {"OnFailure": {"Destination": f"{ARN}made"}}

    assert missing == error_of(made.ask("GET", INVOKING))
    assert missing == error_of(made.call("POST", INVOKING, MaximumRetryAttempts=1))
    assert missing == error_of(made.ask("DELETE", INVOKING))
    assert (
        "You must specify at least one of error handling or destination setting."
        == error_of(made.call("PUT", INVOKING))[2]
    )
    assert (
        "You can't specify the function as a destination for itself."
        == error_of(made.call("PUT", INVOKING, DestinationConfig=itself))[2]
    )
    assert error_of(made.call("PUT", INVOKING, MaximumEventAgeInSeconds=59))[2].endswith(
        "Value '59' at 'maximumEventAgeInSeconds' failed to satisfy constraint: Member must have value "
        "greater "
        "than or equal to 60"
    )


# ---------------------------------------------------------------- URLs, tags, policy, empties

URL = "/2021-10-31/functions/made/url"


def test_a_url_is_made_changed_and_taken_away(published):
    created = published.call("POST", f"{URL}?Qualifier=live", AuthType="NONE")
    url_id = created.document["FunctionUrl"].split("/")[-2]
    again = published.call("POST", f"{URL}?Qualifier=live", AuthType="NONE")
    updated = published.call("PUT", f"{URL}?Qualifier=live", Cors={"AllowOrigins": ["*"]}).document
    missing = published.ask("GET", URL)
    version = published.call("POST", f"{URL}?Qualifier=1", AuthType="NONE")
    listed = get(published, "/2021-10-31/functions/made/urls")["FunctionUrlConfigs"]

    assert 201 == created.status
    assert {url_id: ("made", "live")} == published.function_urls.urls
    assert (409, "ResourceConflictException") == error_of(again)[:2]
    assert ("NONE", {"AllowOrigins": ["*"]}) == (updated["AuthType"], updated["Cors"])
    assert (
        404,
        "ResourceNotFoundException",
        "The resource you requested does not exist.",
    ) == error_of(missing)
    assert (400, "ValidationException") == error_of(version)[:2]
    assert [updated | {"InvokeMode": "BUFFERED"}] == listed
    assert 204 == published.ask("DELETE", f"{URL}?Qualifier=live").status
    assert {} == published.function_urls.urls


def test_a_url_of_the_configuration_is_shown_and_stays(make_bench):
    """It cannot be changed over the API; one that is made there for the same function comes before it."""
    cors = {"AllowOrigins": ["*"]}
    config = {"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM", "Cors": cors}
    bench = make_bench(
        [Function("site", handler="a.b"), Function("other", handler="a.b")],
        urls=[ConfiguredUrl("abc", "site", None, config)],
    )
    url = "/2021-10-31/functions/site/url"
    shown = get(bench, url)
    listed = get(bench, f"{url}s")["FunctionUrlConfigs"]
    refused = [error_of(bench.call("PUT", url, Cors={})), error_of(bench.ask("DELETE", url))]
    others = get(bench, "/2021-10-31/functions/other/urls")["FunctionUrlConfigs"]
    bench.call("POST", url, AuthType="AWS_IAM")

    assert ("http://127.0.0.1:3000/_url/abc/", "RESPONSE_STREAM", cors) == (
        shown["FunctionUrl"],
        shown["InvokeMode"],
        shown["Cors"],
    )
    assert ([shown], []) == (listed, others)
    assert 2 * [(400, "InvalidParameterValueException")] == [error[:2] for error in refused]
    assert "The URL of site is defined in the engine's configuration: change it there." == refused[0][2]
    assert "AWS_IAM" == get(bench, url)["AuthType"]


def test_tags_come_and_go(made):
    """Fifty at most."""
    arn = f"{ARN}made".replace(":", "%3A")
    tagged = made.call("POST", f"/2017-03-31/tags/{arn}", Tags={"a": "1", "b": "2", "c": "3"})
    untagged = made.ask("DELETE", f"/2017-03-31/tags/{arn}?tagKeys=a&tagKeys=c")
    many = made.call("POST", f"/2017-03-31/tags/{arn}", Tags={str(number): "" for number in range(51)})

    assert (204, 204) == (tagged.status, untagged.status)
    assert {"Tags": {"b": "2"}} == get(made, f"/2017-03-31/tags/{arn}")
    assert "Number of tags exceeds resource tag limit." == error_of(many)[2]
    assert 400 == made.ask("GET", "/2017-03-31/tags/made").status


def test_a_policy_grows_and_shrinks(made):
    policy = f"{FUNCTIONS}/made/policy"
    allow = {"StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    missing = made.ask("GET", policy)
    added = made.call("POST", policy, **allow, SourceArn="arn:aws:s3:::b", SourceAccount="123456789012")
    again = made.call("POST", policy, **allow)
    shown = json.loads(get(made, policy)["Policy"])

    assert (404, "The resource you requested does not exist.") == error_of(missing)[::2]
    assert {
        "Sid": "s3",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": f"{ARN}made",
        "Condition": {
            "StringEquals": {"AWS:SourceAccount": "123456789012"},
            "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"},
        },
    } == json.loads(added.document["Statement"])
    assert [json.loads(added.document["Statement"])] == shown["Statement"]
    assert (409, "ResourceConflictException") == error_of(again)[:2]
    assert 404 == made.ask("DELETE", f"{policy}/other").status
    assert 204 == made.ask("DELETE", f"{policy}/s3").status
    assert 404 == made.ask("GET", policy).status


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/2020-06-30/functions/{}/code-signing-config", {}),
        ("/2024-08-31/functions/{}/recursion-config", {"RecursiveLoop": "Terminate"}),
        (
            "/2021-07-20/functions/{}/runtime-management-config",
            {"UpdateRuntimeOn": "Auto", "FunctionArn": f"{ARN}{{}}"},
        ),
        ("/2021-10-31/functions/{}/urls", {"NextMarker": None, "FunctionUrlConfigs": []}),
        (
            "/2019-09-25/functions/{}/event-invoke-config/list",
            {"NextMarker": None, "FunctionEventInvokeConfigs": []},
        ),
        ("/2015-03-31/functions/{}/aliases", {"NextMarker": None, "Aliases": []}),
    ],
)
@pytest.mark.parametrize("name", ["made", "hello"])
def test_what_a_refresh_asks_for_is_sanely_empty(made, path, expected, name):
    filled = {
        key: value.replace("{}", name) if isinstance(value, str) else value for key, value in expected.items()
    }

    assert filled == get(made, path.replace("{}", name))


# ---------------------------------------------------------------- layers


def test_layers_are_published_listed_and_deleted(bench):
    for number in (1, 2):
        answer = bench.call(
            "POST",
            "/2018-10-31/layers/lib/versions",
            Content={"ZipFile": bench.zipped({"python/lib.py": str(number)})},
            CompatibleRuntimes=["python3.12"],
            Description="d",
        )
        assert (201, number, f"{LAYER_ARN}lib:{number}") == (
            answer.status,
            answer.document["Version"],
            answer.document["LayerVersionArn"],
        )
    by_arn = get(bench, f"/2018-10-31/layers?find=LayerVersion&Arn={LAYER_ARN}lib:1")
    versions = get(bench, "/2018-10-31/layers/lib/versions?CompatibleRuntime=python3.12")["LayerVersions"]

    assert by_arn == get(bench, "/2018-10-31/layers/lib/versions/1")
    assert [2, 1] == [version["Version"] for version in versions]
    assert 2 == get(bench, "/2018-10-31/layers")["Layers"][0]["LatestMatchingVersion"]["Version"]
    assert [] == get(bench, "/2018-10-31/layers?CompatibleRuntime=ruby3.4")["Layers"]
    assert 204 == bench.ask("DELETE", "/2018-10-31/layers/lib/versions/1").status
    assert 204 == bench.ask("DELETE", "/2018-10-31/layers/lib/versions/1").status
    assert (
        404,
        "ResourceNotFoundException",
        "The resource you requested does not exist.",
    ) == error_of(bench.ask("GET", "/2018-10-31/layers/lib/versions/1"))
    assert 200 == bench.ask("GET", "/2018-10-31/layers/lib/versions/2").status


CHANGES = {
    "a change": ("PUT", "/2017-10-31/functions/made/concurrency", {"ReservedConcurrentExecutions": 1}),
    "code": ("PUT", "/2015-03-31/functions/made/code", {"ZipFile": "UEs="}),
    "a layer": (
        "POST",
        "/2018-10-31/layers/libs/versions",
        {"Content": {"ZipFile": "UEs="}},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_bug_in_a_change_is_answered_with_500_and_logged(bench, change, monkeypatch, caplog):
    """Wherever it is; and everything else goes on."""
    bench.create()

    def fail(*_args, **_more):
        raise ValueError("a bug")

    for owner, name in (
        (bench.deployment, "reserve"),
        (bench.package_store, "add_code"),
        (bench.package_store, "add_layer"),
    ):
        monkeypatch.setattr(owner, name, fail)
    method, target, members = CHANGES[change]
    answer = bench.call(method, target, **members)

    assert (500, "ServiceException", "Server") == (*answer.error[:2], answer.document["Type"])
    assert ["a bug"] == [str(record.exc_info[1]) for record in caplog.records]
    assert 200 == bench.invoke().status


def test_a_version_that_a_bug_keeps_from_running_has_failed(bench, monkeypatch, caplog):
    """It does not stay Pending for ever, and can be deleted."""

    async def fail(_function):
        raise ValueError("a bug")

    monkeypatch.setattr(bench.deployment, "put", fail)
    created = bench.create().document
    known = bench.ask("GET", "/2015-03-31/functions/made").document["Configuration"]

    assert "Pending" == created["State"]
    assert ("Failed", "The engine has failed: ValueError('a bug')") == (known["State"], known["StateReason"])
    assert 204 == bench.ask("DELETE", "/2015-03-31/functions/made").status
    assert ["a bug"] == [str(record.exc_info[1]) for record in caplog.records]
