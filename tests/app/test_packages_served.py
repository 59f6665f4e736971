"""Functions as packages, by boto3 and the AWS CLI, against a served engine."""

import base64
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.real_time

SOURCE = """
import os
def handler(event, context):
    return [{number}, context.function_version, context.invoked_function_arn, os.environ.get("TABLE")]
"""
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"


def source(number):
    return SOURCE.format(number=number)


def failure(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response


def test_the_whole_life_of_a_function(served, package):
    """Create, invoke, update, publish, alias, weights, delete: each step shows in the next answer."""
    client = served.lambda_
    created = served.create("life", source(1), Environment={"Variables": {"TABLE": "t"}}, Tags={"a": "b"})
    first = served.invoke("life")
    published = client.publish_version(FunctionName="life")
    client.get_waiter("published_version_active").wait(
        FunctionName="life", Qualifier="1", WaiterConfig={"Delay": 0.05}
    )
    updated = client.update_function_code(FunctionName="life", ZipFile=package({"app.py": source(2)}))
    served.wait("function_updated_v2", "life")
    after = served.invoke("life")
    old = served.invoke("life", Qualifier="1")
    client.publish_version(FunctionName="life")
    alias = client.create_alias(FunctionName="life", Name="live", FunctionVersion="1")
    by_alias = served.invoke("life:live")
    client.update_alias(FunctionName="life", Name="live", FunctionVersion="2")
    client.get_waiter("published_version_active").wait(
        FunctionName="life", Qualifier="2", WaiterConfig={"Delay": 0.05}
    )
    moved = served.invoke("life", Qualifier="live")
    versions = client.list_versions_by_function(FunctionName="life")["Versions"]
    whole = client.get_function(FunctionName="life")

    assert ("Pending", "Creating", "$LATEST") == (
        created["State"],
        created["StateReasonCode"],
        created["Version"],
    )
    assert ([1, "$LATEST", f"{ARN}life", "t"], "$LATEST") == first
    assert "1" == published["Version"]
    assert "InProgress" == updated["LastUpdateStatus"]
    assert ([2, "$LATEST", f"{ARN}life", "t"], "$LATEST") == after
    assert ([1, "1", f"{ARN}life:1", "t"], "1") == old
    assert f"{ARN}life:live" == alias["AliasArn"]
    assert ([1, "1", f"{ARN}life:live", "t"], "1") == by_alias
    assert ([2, "2", f"{ARN}life:live", "t"], "2") == moved
    assert ["$LATEST", "1", "2"] == [version["Version"] for version in versions]
    assert ("Active", "Successful", {"a": "b"}) == (
        whole["Configuration"]["State"],
        whole["Configuration"]["LastUpdateStatus"],
        whole["Tags"],
    )

    client.delete_function(FunctionName="life")

    assert 404 == failure(client.invoke, FunctionName="life")["ResponseMetadata"]["HTTPStatusCode"]
    assert 404 == failure(client.get_function, FunctionName="life")["ResponseMetadata"]["HTTPStatusCode"]


def test_a_weighted_alias_sends_a_share_elsewhere(served, package):
    client = served.lambda_
    served.create("weighted", source(1), Publish=True)
    served.wait("function_updated_v2", "weighted")
    client.update_function_code(FunctionName="weighted", ZipFile=package({"app.py": source(2)}), Publish=True)
    served.wait("function_updated_v2", "weighted")
    client.create_alias(
        FunctionName="weighted",
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
    )
    answers = [served.invoke("weighted", Qualifier="live") for _ in range(60)]

    assert {"1", "2"} == {executed for _, executed in answers}
    assert all([int(executed), executed] == result[:2] for result, executed in answers)


def test_updating_under_load_fails_no_invocation(served, package):
    """Whoever calls after the update was told successful gets the new code; nobody gets an error."""
    served.create("busy", source(0))
    stop, told = threading.Event(), [0]

    def call():
        seen = []
        while not stop.is_set():
            least = told[0]
            seen.append((least, served.invoke("busy")[0][0]))
        return seen

    with ThreadPoolExecutor(6) as pool:
        callers = [pool.submit(call) for _ in range(6)]
        for number in range(1, 5):
            served.lambda_.update_function_code(
                FunctionName="busy", ZipFile=package({"app.py": source(number)})
            )
            served.wait("function_updated_v2", "busy")
            told[0] = number
        stop.set()
        seen = [pair for caller in callers for pair in caller.result()]

    assert all(number >= least for least, number in seen)
    assert {0, 1, 2, 3, 4} >= {number for _, number in seen} > {0}


def test_reserved_concurrency_holds_at_once_for_all_versions(served):
    client = served.lambda_
    served.create("held", source(1), Publish=True)
    client.put_function_concurrency(FunctionName="held", ReservedConcurrentExecutions=0)
    refused = [failure(client.invoke, FunctionName=name) for name in ("held", "held:1")]
    client.delete_function_concurrency(FunctionName="held")

    for answer in refused:
        assert (429, "ReservedFunctionConcurrentInvocationLimitExceeded") == (
            answer["ResponseMetadata"]["HTTPStatusCode"],
            answer["Reason"],
        )
    assert "$LATEST" == served.invoke("held")[1]


def test_provisioned_environments_become_ready_and_take_all_of_a_reservation(served):
    """As on AWS: what is provisioned in full leaves nothing for `$LATEST`."""
    client = served.lambda_
    served.create("warm", source(1), Publish=True)
    client.put_function_concurrency(FunctionName="warm", ReservedConcurrentExecutions=2)
    asked = client.put_provisioned_concurrency_config(
        FunctionName="warm", Qualifier="1", ProvisionedConcurrentExecutions=2
    )
    for _ in range(2000):  # each is a round trip: enough for the environments to come up
        now = client.get_provisioned_concurrency_config(FunctionName="warm", Qualifier="1")
        if now["Status"] != "IN_PROGRESS":
            break
    starved = failure(client.invoke, FunctionName="warm")
    served_by = served.invoke("warm", Qualifier="1")[1]
    client.delete_provisioned_concurrency_config(FunctionName="warm", Qualifier="1")

    assert "IN_PROGRESS" == asked["Status"]
    assert ("READY", 2) == (now["Status"], now["AvailableProvisionedConcurrentExecutions"])
    assert "ReservedFunctionConcurrentInvocationLimitExceeded" == starved["Reason"]
    assert "1" == served_by
    assert "$LATEST" == served.invoke("warm")[1]


def test_two_packages_may_hold_the_same_names(served, package):
    """Each function imports its own `app` and its own library."""
    text = "import lib\ndef handler(event, context): return lib.NAME"
    for name in ("left", "right"):
        code = {"ZipFile": package({"app.py": text, "lib.py": f"NAME = {name!r}"})}
        served.create(name, "", Code=code)

    assert ["left", "right"] == [served.invoke(name)[0] for name in ("left", "right")]


def test_layers_are_imported_and_can_be_exchanged(served, package):
    client = served.lambda_
    arns = [
        client.publish_layer_version(
            LayerName="lib", Content={"ZipFile": package({"python/lib.py": f"NUMBER = {number}"})}
        )["LayerVersionArn"]
        for number in (1, 2)
    ]
    text = "import lib\ndef handler(event, context): return lib.NUMBER"
    served.create("layered", text, Layers=arns[:1])
    before = served.invoke("layered")[0]
    client.update_function_configuration(FunctionName="layered", Layers=arns[1:])
    served.wait("function_updated_v2", "layered")
    client.delete_layer_version(LayerName="lib", VersionNumber=2)

    assert (1, 2) == (before, served.invoke("layered")[0])
    assert arns[1:] == [
        layer["Arn"] for layer in client.get_function_configuration(FunctionName="layered")["Layers"]
    ]


WRAPPER = '#!/bin/sh\nexport WRAPPED="$LAMBDA_TASK_ROOT"\nexec "$@"\n'


@pytest.mark.parametrize("where", ["/opt/bin/bootstrap", "/var/task/bin/bootstrap"])
def test_a_wrapper_starts_the_runtime(served, package, where):
    """From a layer or from the code; it may change the runtime's variables."""
    layer = served.lambda_.publish_layer_version(
        LayerName="wrapper", Content={"ZipFile": package({"bin/bootstrap": WRAPPER})}
    )
    text = (
        "import os\ndef handler(event, context):\n"
        "    return os.environ['WRAPPED'] == os.environ['LAMBDA_TASK_ROOT']\n"
    )
    name = f"wrapped-{where[1:4]}"
    served.create(
        name,
        "",
        Code={"ZipFile": package({"app.py": text, "bin/bootstrap": WRAPPER})},
        Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": where}},
        Layers=[layer["LayerVersionArn"]],
    )

    assert served.invoke(name)[0] is True


def test_layers_are_in_opt_where_environments_have_mounts_of_their_own(served, package):
    """Whole, each file at its place; what else the machine has there is not."""
    files = {"bin/bootstrap": WRAPPER, "fonts/a.ttf": "font", "python/lib.py": "", "top.txt": "top"}
    layer = served.lambda_.publish_layer_version(LayerName="files", Content={"ZipFile": package(files)})
    text = """
import os, tempfile
def handler(event, context):
    if "TMPDIR" in os.environ:
        return None
    found = [os.path.join(at, name) for at, _, names in os.walk("/opt") for name in names]
    return [sorted(found), open("/opt/fonts/a.ttf").read(), os.access("/opt/bin/bootstrap", os.X_OK)]
"""
    served.create("optional", text, Layers=[layer["LayerVersionArn"]])
    answer = served.invoke("optional")[0]

    assert answer in (None, [sorted(f"/opt/{name}" for name in files), "font", True])


def test_the_declared_runtime_says_which_modules_of_a_layer_are_found(serve, package, tmp_path):
    """Whatever Python runs; and the log's format and level of the function are what it is told."""
    with serve("--log-format", "text", "--state-dir", str(tmp_path)) as served:
        layer = served.lambda_.publish_layer_version(
            LayerName="old", Content={"ZipFile": package({"python/lib/python3.9/site-packages/lib.py": ""})}
        )
        text = "import lib, logging\ndef handler(event, context): return logging.getLogger().level"
        levels = []
        for number, logging in enumerate(
            ({}, {"LogFormat": "JSON"}, {"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG"})
        ):
            served.create(
                f"f{number}",
                text,
                Runtime="python3.9",
                Layers=[layer["LayerVersionArn"]],
                LoggingConfig=logging,
            )
            levels.append(served.invoke(f"f{number}")[0])
        served.lambda_.update_function_configuration(FunctionName="f0", Runtime="python3.10")
        served.wait("function_updated_v2", "f0")
        served.lambda_.update_function_configuration(FunctionName="f1", Timeout=9, Runtime="python3.9")
        served.wait("function_updated_v2", "f1")
        lost, still = served.invoke("f0")[0], served.invoke("f1")[0]
        served.process.terminate()
        log = served.process.communicate(timeout=100)[1].decode()

    assert [30, 20, 10] == levels
    assert ("Runtime.ImportModuleError", 20) == (lost["errorType"], still)
    assert 1 == log.count("its modules in python/lib are for python3.9: the runtime is python3.10, which")


def test_a_layer_for_another_python_is_one_line(serve, package):
    """By where its modules lie, or by its CompatibleRuntimes."""
    with serve("--log-format", "text") as served:
        contents = {"old": {"python/lib/python3.6/site-packages/a.py": ""}, "said": {"python/b.py": ""}}
        arns = [
            served.lambda_.publish_layer_version(
                LayerName=name, Content={"ZipFile": package(files)}, CompatibleRuntimes=["python3.8"]
            )["LayerVersionArn"]
            for name, files in contents.items()
        ]
        served.create("f", "def handler(event, context): return 1", Layers=arns)
        served.process.terminate()
        log = served.process.communicate(timeout=100)[1].decode()

    assert 1 == log.count(f"f: layer {arns[0]}: its modules in python/lib are for python3.6: ")
    assert 1 == log.count(f"f: layer {arns[1]}: it is compatible with python3.8: ")


def test_errors_name_the_files_of_a_package_as_on_lambda(served):
    """Where they lie here is nobody's business."""
    served.create("traced", "def handler(event, context):\n    1 / 0")
    answer = served.lambda_.invoke(FunctionName="traced", LogType="Tail")
    frame = '  File "/var/task/app.py", line 2, in handler\n    1 / 0\n'
    log = base64.b64decode(answer["LogResult"]).decode()

    assert [frame] == [
        entry.partition("    ~")[0] for entry in json.loads(answer["Payload"].read())["stackTrace"]
    ]
    assert '\xa0\xa0File "/var/task/app.py", line 2' in log


def test_a_function_url_serves_what_it_says(served):
    """Payload 2.0, the path below the URL; gone with its config. By its host name on both listeners."""
    client = served.lambda_
    served.create("site", "def handler(event, context): return event")
    url = client.create_function_url_config(FunctionName="site", AuthType="NONE")["FunctionUrl"]
    with urllib.request.urlopen(f"{url}a/b?c=d") as answer:
        event = json.loads(answer.read())
    host = f"{url.split('/')[-2]}.lambda-url.us-east-1.localhost"
    by_host = []
    for listener in ("http", "aws"):
        for _ in range(2):
            asked = urllib.request.Request(served.addresses[listener] + "/a/b", headers={"Host": host})
            with urllib.request.urlopen(asked) as answer:
                seen = json.loads(answer.read())
            by_host.append((seen["rawPath"], seen["requestContext"]["domainName"]))
    client.delete_function_url_config(FunctionName="site")
    with pytest.raises(urllib.error.HTTPError) as gone:
        urllib.request.urlopen(url)
    gone.value.close()

    assert ("2.0", "/a/b", "c=d", "$default") == (
        event["version"],
        event["rawPath"],
        event["rawQueryString"],
        event["routeKey"],
    )
    assert url.split("/")[-2] == event["requestContext"]["domainPrefix"]
    assert [("/a/b", host)] * 4 == by_host
    assert 403 == gone.value.code


BOOTSTRAP = f"""#!{sys.executable}
import json, os, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(base + "next") as answer:
        event, request_id = answer.read(), answer.headers["Lambda-Runtime-Aws-Request-Id"]
    body = json.dumps({{"own runtime": json.loads(event)}}).encode()
    urllib.request.urlopen(base + request_id + "/response", data=body).close()
"""


def test_a_package_may_bring_its_own_runtime(served, package):
    served.create(
        "own",
        "",
        Runtime="provided.al2023",
        Handler="any",
        Code={"ZipFile": package({"bootstrap": BOOTSTRAP})},
    )

    assert {"own runtime": 5} == served.invoke("own", 5)[0]


def test_a_large_archive_and_a_large_payload_are_told_apart(served):
    """The listener takes archives; a payload above Lambda's limit is refused in its words."""
    answer = failure(served.lambda_.invoke, FunctionName="nobody", Payload=b" " * 6_291_457)
    served.create("payloads", "def handler(event, context): return len(event)")
    too_large = failure(served.lambda_.invoke, FunctionName="payloads", Payload=b" " * 6_291_457)
    not_a_zip = failure(
        served.lambda_.update_function_code, FunctionName="payloads", ZipFile=os.urandom(40_000_000)
    )

    assert 404 == answer["ResponseMetadata"]["HTTPStatusCode"]
    assert (
        413,
        "6291457 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)",
    ) == (too_large["ResponseMetadata"]["HTTPStatusCode"], too_large["Error"]["Message"])
    assert (
        "Could not unzip uploaded file. Please check your file, then try to upload again."
        == not_a_zip["Error"]["Message"]
    )


def test_a_handler_that_cannot_be_imported_is_told_when_it_is_invoked(served):
    """Lambda does not look into a package either."""
    served.create("broken", "import missing_module")
    answer, _ = served.invoke("broken")

    assert "Runtime.ImportModuleError" == answer["errorType"]


def test_functions_of_the_configuration_are_there_too_and_keep_their_code(serve, tmp_path, package):
    """Shown and invoked like any other; reservation and tags may change, code may not."""
    (tmp_path / "mine.py").write_text("async def handler(event, context): return 'mine'")
    (tmp_path / "engine.toml").write_text('[functions.mine]\nhandler = "mine.handler"\n')
    with serve("--config", str(tmp_path / "engine.toml")) as served:
        client = served.lambda_
        served.create("other", source(1))
        names = [one["FunctionName"] for one in client.list_functions()["Functions"]]
        refused = failure(
            client.update_function_code, FunctionName="mine", ZipFile=package({"app.py": source(1)})
        )
        client.tag_resource(Resource=f"{ARN}mine", Tags={"team": "shop"})
        client.put_function_concurrency(FunctionName="mine", ReservedConcurrentExecutions=0)
        throttled = failure(client.invoke, FunctionName="mine")
        client.delete_function_concurrency(FunctionName="mine")

        assert ["mine", "other"] == names
        assert "defined in the engine's configuration" in refused["Error"]["Message"]
        assert {"team": "shop"} == client.list_tags(Resource=f"{ARN}mine")["Tags"]
        assert "ReservedFunctionConcurrentInvocationLimitExceeded" == throttled["Reason"]
        assert "mine" == served.invoke("mine")[0]


def test_all_of_it_is_there_after_a_restart(serve, tmp_path, package):
    """Functions, versions, aliases, reservations, URLs, layers; numbers go on where they were."""
    state = str(tmp_path / "state")
    with serve("--state-dir", state) as served:
        client = served.lambda_
        layer = client.publish_layer_version(LayerName="l", Content={"ZipFile": package({"python/m.py": ""})})
        served.create("kept", source(1), Publish=True, Layers=[layer["LayerVersionArn"]])
        client.create_alias(FunctionName="kept", Name="live", FunctionVersion="1")
        client.update_function_code(FunctionName="kept", ZipFile=package({"app.py": source(2)}))
        served.wait("function_updated_v2", "kept")
        client.put_function_concurrency(FunctionName="kept", ReservedConcurrentExecutions=5)
        client.put_function_event_invoke_config(FunctionName="kept", MaximumRetryAttempts=1)
        client.create_function_url_config(FunctionName="kept", AuthType="NONE", Qualifier="live")
        served.create("gone", source(3))
        client.delete_function(FunctionName="gone")
        before = client.get_function(FunctionName="kept")
    with serve("--state-dir", state) as served:
        client = served.lambda_
        again = client.get_function(FunctionName="kept")
        url = client.get_function_url_config(FunctionName="kept", Qualifier="live")["FunctionUrl"]
        with urllib.request.urlopen(url) as answer:
            by_url = json.loads(answer.read())

        assert ["kept"] == [one["FunctionName"] for one in client.list_functions()["Functions"]]
        for member in ("CodeSha256", "LastModified", "Layers", "State"):
            assert before["Configuration"][member] == again["Configuration"][member]
        assert {"ReservedConcurrentExecutions": 5} == again["Concurrency"]
        assert [2, "$LATEST"] == served.invoke("kept")[0][:2]
        assert [1, "1"] == served.invoke("kept", Qualifier="live")[0][:2] == by_url[:2]
        assert 1 == client.get_function_event_invoke_config(FunctionName="kept")["MaximumRetryAttempts"]
        assert "2" == client.publish_version(FunctionName="kept")["Version"]
        assert 2 == len([path for path in Path(state, "packages").iterdir() if (path / "task").is_dir()])


def test_the_aws_cli_creates_invokes_and_deletes(served, package, tmp_path):
    (tmp_path / "code.zip").write_bytes(package({"app.py": source(7)}))
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": served.addresses["aws"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_PAGER": "",
    }
    aws = Path(sys.executable).with_name("aws")

    def run(*arguments):
        done = subprocess.run([aws, "lambda", *arguments], env=environ, capture_output=True, check=False)
        assert 0 == done.returncode, done.stderr.decode()
        return done.stdout

    create = [
        "--runtime",
        "python3.13",
        "--role",
        "arn:aws:iam::000000000000:role/any",
        "--handler",
        "app.handler",
    ]
    run("create-function", "--function-name", "cli", *create, "--zip-file", f"fileb://{tmp_path}/code.zip")
    run("wait", "function-active-v2", "--function-name", "cli")
    run("invoke", "--function-name", "cli", str(tmp_path / "out.json"))
    run("delete-function", "--function-name", "cli")

    assert 7 == json.loads((tmp_path / "out.json").read_text())[0]


def test_snapstart_runs_and_a_runtime_that_is_not_here_fails_when_invoked(served):
    """Published versions start from a snapshot; what nothing here can run is declared all the same."""
    kind = "import os\ndef handler(event, context): return os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']"
    served.create("snap", kind, SnapStart={"ApplyOn": "PublishedVersions"})
    version = served.lambda_.publish_version(FunctionName="snap")
    served.create("node", kind, Runtime="nodejs22.x", Handler="index.handler")
    failed = served.invoke("node")[0]

    assert ("Active", "On") == (version["State"], version["SnapStart"]["OptimizationStatus"])
    assert ("on-demand", "snap-start") == (served.invoke("snap")[0], served.invoke("snap:1")[0])
    assert "Runtime.InvalidEntrypoint" == failed["errorType"]
    assert "Couldn't find valid bootstrap(s)" in failed["errorMessage"]
