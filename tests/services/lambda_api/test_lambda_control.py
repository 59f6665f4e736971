"""What the Lambda API tells of functions and of the account."""

import base64
import hashlib
import os
import re
import sys

import pytest

from engine.core.function import Function

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:"
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
NO_CODE = base64.b64encode(hashlib.sha256(b"").digest()).decode()


def expected_configuration(name, **more):
    return {
        "FunctionName": name,
        "FunctionArn": ARN + name,
        "Runtime": RUNTIME,
        "Role": f"arn:aws:iam::123456789012:role/{name}",
        "Handler": f"{name}.handler",
        "CodeSize": 0,
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "LastModified": "2020-03-12T19:03:58.390+0000",
        "CodeSha256": NO_CODE,
        "Version": "$LATEST",
        "TracingConfig": {"Mode": "PassThrough"},
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
        **more,
    }


def without_revision(document):
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", document.pop("RevisionId"))
    return document


def get(bench, path):
    answer = bench.ask("GET", path)
    assert (200, "application/json") == (answer.status, answer.headers["content-type"])
    assert "x-amzn-requestid" in answer.headers
    return answer.document


def test_a_configuration_says_all_the_engine_knows(bench):
    document = get(bench, "/2015-03-31/functions/hello/configuration")

    runtime = document.pop("RuntimeVersionConfig")
    assert (
        expected_configuration("hello", State="Active", LastUpdateStatus="Successful")
    ) == without_revision(document)
    assert re.fullmatch(r"arn:aws:lambda:eu-west-1::runtime:[0-9a-f]{64}", runtime["RuntimeVersionArn"])


def test_limits_and_variables_show(bench):
    """A timeout in whole seconds, rounded up."""
    document = get(bench, f"/2015-03-31/functions/{ARN}orders-v2_x/configuration")

    assert ("src/orders.handler", 512, 1, {"Variables": {"TABLE": "orders"}}) == (
        document["Handler"],
        document["MemorySize"],
        document["Timeout"],  # of half a second, in whole ones
        document["Environment"],
    )


def test_a_qualified_question_gets_a_qualified_arn(bench):
    document = get(bench, "/2015-03-31/functions/hello/configuration?Qualifier=%24LATEST")

    assert f"{ARN}hello:$LATEST" == document["FunctionArn"]
    assert document["RevisionId"] == get(bench, "/2015-03-31/functions/hello/configuration")["RevisionId"]


def test_a_function_comes_with_code_tags_and_reservation(bench):
    document = get(bench, "/2015-03-31/functions/orders-v2_x")

    assert {"Configuration", "Code", "Tags", "Concurrency"} == set(document)
    assert {"team": "shop"} == document["Tags"]
    assert {"ReservedConcurrentExecutions": 100} == document["Concurrency"]
    assert document["Code"]["Location"].startswith("file:///")
    assert {"Configuration", "Code"} == set(get(bench, "/2015-03-31/functions/hello"))


@pytest.mark.parametrize("handler", ["pkg/mod.handler", "pkg.mod.handler", "pkg/mod.py:handler"])
def test_code_is_the_file_of_the_handler(make_bench, tmp_path, handler):
    """Its size, digest and time, as of now."""
    (tmp_path / "pkg").mkdir()
    file = tmp_path / "pkg" / "mod.py"
    file.write_bytes(b"def handler(event, context): ...\n")
    os.utime(file, (1_700_000_000, 1_700_000_000.5))
    bench = make_bench([Function("f", handler=handler, code=str(tmp_path))])
    document = get(bench, "/2015-03-31/functions/f/configuration")
    digest = base64.b64encode(hashlib.sha256(file.read_bytes()).digest()).decode()

    assert (33, digest, "2023-11-14T22:13:20.500+0000") == (
        document["CodeSize"],
        document["CodeSha256"],
        document["LastModified"],
    )

    file.write_bytes(b"x = 1\n")
    edited = get(bench, "/2015-03-31/functions/f/configuration")

    assert 6 == edited["CodeSize"]
    assert document["RevisionId"] != edited["RevisionId"]


@pytest.mark.parametrize("handler", ["handler", "no\0file.handler", "x" * 5000 + ".handler", ":", ".", ""])
def test_code_that_is_not_found_is_none(make_bench, tmp_path, handler):
    """Zero bytes, and the digest of nothing."""
    bench = make_bench([Function("f", handler=handler, code=str(tmp_path))])
    document = get(bench, "/2015-03-31/functions/f/configuration")

    assert (0, NO_CODE) == (document["CodeSize"], document["CodeSha256"])


@pytest.mark.parametrize("path", ["2015-03-31/functions/{}", "2015-03-31/functions/{}/configuration"])
@pytest.mark.parametrize(("name", "arn"), [("nobody", "nobody"), ("hello:7", "hello:7")])
def test_what_is_not_there_is_404(bench, path, name, arn):
    assert (
        404,
        "ResourceNotFoundException",
        {"Type": "User", "Message": f"Function not found: {ARN}{arn}"},
    ) == bench.ask("GET", "/" + path.format(name)).error


# ---------------------------------------------------------------- ListFunctions


@pytest.mark.parametrize("slash", ["", "/"])
def test_functions_are_listed_by_name_without_state(bench, slash):
    document = get(bench, f"/2015-03-31/functions{slash}")

    assert document["NextMarker"] is None
    assert ["hello", "orders-v2_x", "warm"] == [one["FunctionName"] for one in document["Functions"]]
    assert expected_configuration("hello") == without_revision(document["Functions"][0])


def test_all_versions_are_the_latest_one(bench):
    """Functions of the configuration have no other."""
    document = get(bench, "/2015-03-31/functions?FunctionVersion=ALL&MasterRegion=us-east-1")

    assert f"{ARN}hello:$LATEST" == document["Functions"][0]["FunctionArn"]


@pytest.mark.parametrize(
    ("query", "pages"), [("", [50, 50, 20]), ("&MaxItems=45", [45, 45, 30]), ("&MaxItems=60", [50, 50, 20])]
)
def test_pages_follow_each_other(make_bench, query, pages):
    names = sorted(f"f{number}" for number in range(120))
    bench = make_bench([Function(name, handler="a.b") for name in names])
    seen, sizes, marker = [], [], ""
    while marker is not None:
        document = get(bench, f"/2015-03-31/functions?Marker={marker}{query}")
        seen += [one["FunctionName"] for one in document["Functions"]]
        sizes.append(len(document["Functions"]))
        marker = document["NextMarker"]

    assert (names, pages) == (seen, sizes)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("MaxItems=0", "ValidationException"),
        ("MaxItems=-1", "ValidationException"),
        ("MaxItems=10001", "ValidationException"),
        ("MaxItems=ten", "SerializationException"),
        ("MaxItems=%C2%B2", "SerializationException"),
        ("MaxItems=" + "9" * 30, "SerializationException"),
        ("Marker=%21", "InvalidParameterValueException"),
        ("Marker=gA==", "InvalidParameterValueException"),
        ("FunctionVersion=7", "ValidationException"),
    ],
)
def test_a_bad_page_is_refused(bench, query, code):
    status, documented, _ = bench.ask("GET", f"/2015-03-31/functions?{query}").error

    assert (400, code) == (status, documented)


# ---------------------------------------------------------------- account and concurrency


def test_the_account_shows_limits_and_usage(bench):
    assert {
        "AccountLimit": {
            "TotalCodeSize": 322122547200,
            "CodeSizeUnzipped": 262144000,
            "CodeSizeZipped": 52428800,
            "ConcurrentExecutions": 1000,
            "UnreservedConcurrentExecutions": 893,  # 100 are reserved, 7 provisioned
        },
        "AccountUsage": {"TotalCodeSize": 0, "FunctionCount": 3},
    } == get(bench, "/2016-08-19/account-settings/")


def test_concurrency_is_the_reservation_or_nothing(bench):
    assert {"ReservedConcurrentExecutions": 100} == get(
        bench, "/2019-09-30/functions/orders-v2_x/concurrency"
    )
    assert {} == get(bench, "/2019-09-30/functions/hello/concurrency")


def test_concurrency_is_a_functions_not_a_versions(bench):
    status, code, document = bench.ask("GET", "/2019-09-30/functions/hello:1/concurrency").error

    assert (400, "InvalidParameterValueException") == (status, code)
    assert document["message"].startswith("This operation is permitted on Lambda functions only.")


# ---------------------------------------------------------------- what is not there


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/2015-03-31/functions/hello"),
        ("GET", "/2031-04-22/newer-than-the-model/"),
    ],
)
def test_what_looks_like_an_operation_of_lambda_is_501(bench, method, path):
    assert (
        501,
        "NotImplementedException",
        {"Type": "User", "message": f"{method} {path} is not implemented by this engine"},
    ) == bench.ask(method, path).error


@pytest.mark.parametrize("path", ["/", "/functions/hello", "/bucket/key"])
def test_what_no_operation_of_lambda_looks_like_is_404(bench, path):
    scope = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=k/20261121/eu-west-1/lambda/aws4_request, Signature=0"
    }
    status, code, _ = bench.ask("GET", path, scope).error

    assert (404, "UnknownOperationException") == (status, code)
