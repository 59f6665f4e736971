"""What AWS was recorded to answer about functions, versions and aliases, through a real boto3 client."""

import asyncio
import base64
import json
import re

import pytest

from tests.services.lambda_api.conftest import FUNCTIONS

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:"
STATE = {"State", "StateReason", "StateReasonCode", "LastUpdateStatus", "LastUpdateStatusReason"}


def code(bench, text="x = 1"):
    return base64.b64decode(bench.zipped({"app.py": text}))


def single_answers(aws):
    """Every operation that answers one configuration."""
    yield aws.get_function(FunctionName="f")["Configuration"]
    yield aws.get_function_configuration(FunctionName="f")
    yield aws.get_function_configuration(FunctionName="f", Qualifier="live")
    yield aws.update_function_code(FunctionName="f", ZipFile=code(aws.bench))
    yield aws.update_function_configuration(FunctionName="f", Timeout=9)
    yield aws.publish_version(FunctionName="f")


def listed(aws):
    yield from aws.list_functions()["Functions"]
    yield from aws.list_functions(FunctionVersion="ALL")["Functions"]
    for name in ("f", "hello"):
        yield from aws.list_versions_by_function(FunctionName=name)["Versions"]


# ---------------------------------------------------------------- members


def test_a_single_configuration_has_the_version_of_its_runtime(made):
    """One ARN for one runtime's name; lists do not have it."""
    first = made.make("other")["RuntimeVersionConfig"]
    changed = made.update_function_configuration(FunctionName="other", Runtime="python3.13")

    assert re.fullmatch(r"arn:aws:lambda:eu-west-1::runtime:[0-9a-f]{64}", first["RuntimeVersionArn"])
    assert [first] * 6 == [answer["RuntimeVersionConfig"] for answer in single_answers(made)]
    assert first != changed["RuntimeVersionConfig"]
    assert "RuntimeVersionConfig" in made.get_function_configuration(FunctionName="hello")
    assert not any("RuntimeVersionConfig" in element for element in listed(made))


def test_elements_of_lists_have_no_state(made):
    assert not any(STATE & element.keys() for element in listed(made))


def test_an_environment_is_shown_once_it_was_given(aws):
    """Though it is empty; lists have it by the same rule."""
    empty = {"Variables": {}}

    assert "Environment" not in aws.make("without")
    assert empty == aws.make("given", Environment=empty)["Environment"]
    assert empty == aws.make("bare", Environment={})["Environment"]
    assert (
        empty == aws.update_function_configuration(FunctionName="without", Environment=empty)["Environment"]
    )
    shown = {
        element["FunctionName"]: element.get("Environment") for element in aws.list_functions()["Functions"]
    }
    assert [empty, empty, empty] == [shown[name] for name in ("without", "given", "bare")]


def test_lists_of_a_layer_are_shown_as_given(aws):
    content = {"ZipFile": code(aws.bench)}
    without = aws.publish_layer_version(LayerName="l", Content=content)
    empty = aws.publish_layer_version(
        LayerName="l", Content=content, CompatibleRuntimes=[], CompatibleArchitectures=[]
    )

    assert not {"CompatibleRuntimes", "CompatibleArchitectures"} & without.keys()
    assert ([], []) == (empty["CompatibleRuntimes"], empty["CompatibleArchitectures"])
    assert [] == aws.get_layer_version(LayerName="l", VersionNumber=2)["CompatibleRuntimes"]


def test_a_function_shows_the_size_of_a_layer_that_is_deleted(aws):
    content = code(aws.bench, "x = 1")
    layer = aws.publish_layer_version(LayerName="l", Content={"ZipFile": content})["LayerVersionArn"]
    aws.make("f", Layers=[layer])
    aws.delete_layer_version(LayerName="l", VersionNumber=1)

    assert [{"Arn": layer, "CodeSize": len(content)}] == (
        aws.get_function_configuration(FunctionName="f")["Layers"]
    )


def test_levels_of_logging_belong_to_the_format_json(aws):
    """INFO where a request that names the format gives none; going back to Text takes them away."""

    def update(**logging):
        return aws.update_function_configuration(FunctionName="f", LoggingConfig=logging)["LoggingConfig"]

    group = "/aws/lambda/f"
    created = aws.make("f", LoggingConfig={"LogFormat": "JSON"})["LoggingConfig"]
    info = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", "LogGroup": group}

    assert info == created
    assert info == aws.get_function_configuration(FunctionName="f")["LoggingConfig"]
    assert info | {"SystemLogLevel": "WARN"} == update(LogFormat="JSON", SystemLogLevel="WARN")
    assert info | {"ApplicationLogLevel": "DEBUG"} == update(LogFormat="JSON", ApplicationLogLevel="DEBUG")
    assert {"LogFormat": "Text", "LogGroup": "mine"} == update(LogFormat="Text", LogGroup="mine")
    assert info | {"LogGroup": "mine"} == update(LogFormat="JSON")
    assert {"LogFormat": "Text", "LogGroup": "/aws/lambda/g"} == aws.make("g")["LoggingConfig"]


def test_changes_of_a_url_answer_its_mode_once_it_was_named(aws):
    made = aws.create_function_url_config
    created = [
        made(FunctionName="hello", AuthType="NONE"),
        made(FunctionName="warm", AuthType="NONE", InvokeMode="BUFFERED"),
    ]
    updated = aws.update_function_url_config(FunctionName="hello", AuthType="AWS_IAM")

    assert [False, True] == ["InvokeMode" in answer for answer in created]
    assert [False, False] == ["LastModifiedTime" in answer for answer in created]
    assert "InvokeMode" not in updated
    assert "BUFFERED" == aws.update_function_url_config(FunctionName="warm", AuthType="NONE")["InvokeMode"]
    assert {"CreationTime", "LastModifiedTime"} <= updated.keys()
    assert "BUFFERED" == aws.get_function_url_config(FunctionName="hello")["InvokeMode"]
    assert (
        "BUFFERED"
        == aws.list_function_url_configs(FunctionName="hello")["FunctionUrlConfigs"][0]["InvokeMode"]
    )


def test_a_function_that_is_created_and_published_has_its_own_arn(aws):
    """The number shows as version alone; lists of all versions have qualified ARNs."""
    created = aws.make("f", Publish=True)
    everything = aws.list_functions(FunctionVersion="ALL")["Functions"]

    assert ("1", f"{ARN}f", "Pending", "The function is being created.", "Creating") == (
        created["Version"],
        created["FunctionArn"],
        created["State"],
        created["StateReason"],
        created["StateReasonCode"],
    )
    assert [f"{ARN}f:$LATEST", f"{ARN}f:1"] == [
        element["FunctionArn"] for element in everything if element["FunctionName"] == "f"
    ]


def test_the_size_of_all_code_counts_every_version_and_every_layer(aws):
    def size():
        return aws.get_account_settings()["AccountUsage"]["TotalCodeSize"]

    archive = {"ZipFile": code(aws.bench)}
    one = len(archive["ZipFile"])
    aws.make("f", Code=archive)
    sizes = [size()]
    for step in (
        lambda: aws.publish_version(FunctionName="f"),
        lambda: aws.publish_layer_version(LayerName="l", Content=archive),
        lambda: aws.publish_layer_version(LayerName="l", Content=archive),
        lambda: aws.delete_layer_version(LayerName="l", VersionNumber=1),
    ):
        step()
        sizes.append(size())

    assert [one, 2 * one, 3 * one, 4 * one, 3 * one] == sizes


# ---------------------------------------------------------------- deletes


def test_a_deleted_function_is_204(made):
    assert 204 == made.delete_function(FunctionName="f")["StatusCode"]


def test_deletes_of_what_hangs_on_a_function_are_idempotent(made):
    made.delete_function(FunctionName="f", Qualifier="77")
    made.untag_resource(Resource=f"{ARN}f", TagKeys=["absent"])
    made.delete_alias(FunctionName="f", Name="absent")
    made.delete_function_concurrency(FunctionName="f")
    made.delete_function_code_signing_config(FunctionName="f")

    assert 204 == made.status


# ---------------------------------------------------------------- versions and revisions


def test_a_published_version_is_finished_in_the_answer(made):
    made.update_function_configuration(FunctionName="f", Timeout=9)
    answer = made.publish_version(FunctionName="f")

    assert {"State": "Active", "LastUpdateStatus": "Successful"} == {
        key: answer[key] for key in STATE & answer.keys()
    }


def test_the_revision_of_a_version_never_changes(made):
    """Publishing gives `$LATEST` another one; aliases have their own."""

    def revision(qualifier):
        return made.get_function_configuration(FunctionName="f", Qualifier=qualifier)["RevisionId"]

    made.update_function_configuration(FunctionName="f", Timeout=9)
    before = revision("$LATEST")
    published = made.publish_version(FunctionName="f")["RevisionId"]
    after = revision("$LATEST")
    alias = made.create_alias(FunctionName="f", Name="next", FunctionVersion="2")["RevisionId"]
    updated = made.update_alias(FunctionName="f", Name="next", Description="d")["RevisionId"]

    assert (published, published, after) == (revision("2"), revision("next"), revision("$LATEST"))
    assert 5 == len({before, published, after, alias, updated})
    assert updated == made.get_alias(FunctionName="f", Name="next")["RevisionId"]


def test_whether_a_version_is_made_depends_on_the_latest_alone(made):
    """Its description included; that of the call does not count."""

    def publish(**more):
        answer = made.publish_version(FunctionName="f", **more)
        return answer["Version"], answer["Description"], made.status

    made.update_function_configuration(FunctionName="f", Description="first")
    answers = [publish(), publish(Description="other"), publish()]
    made.update_function_configuration(FunctionName="f", Timeout=9)
    answers += [publish(Description="own"), publish(), publish(Description="again")]

    assert [("2", "first", 201)] * 3 + [("3", "own", 201)] * 3 == answers


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("tag_resource", {"Resource": f"{ARN}f", "Tags": {"a": "b"}}),
        ("untag_resource", {"Resource": f"{ARN}f", "TagKeys": ["a"]}),
        ("remove_permission", {"FunctionName": "f", "StatementId": "s"}),
    ],
)
def test_what_hangs_on_a_function_changes_its_revision(made, change, what):
    made.add_permission(FunctionName="f", **GRANT)
    before = made.get_function_configuration(FunctionName="f")["RevisionId"]
    of_policy = made.get_policy(FunctionName="f")["RevisionId"]
    getattr(made, change)(**what)

    assert before == of_policy
    assert before != made.get_function_configuration(FunctionName="f")["RevisionId"]


def test_a_version_published_with_new_code_is_being_created(made):
    """Not updated, as `$LATEST` is."""
    answer = made.update_function_code(FunctionName="f", ZipFile=code(made.bench, "x = 2"), Publish=True)

    assert ("2", "Pending", "Creating") == (answer["Version"], answer["State"], answer["StateReasonCode"])
    assert "LastUpdateStatus" not in answer


def test_code_of_an_archive_does_not_become_an_image(made):
    text = "Please don't provide ImageUri when updating a function with packageType Zip."

    assert (400, "InvalidParameterValueException", text, "User") == made.error(
        "update_function_code", FunctionName="f", ImageUri="123456789012.dkr.ecr.eu-west-1.amazonaws.com/r:1"
    )


def test_the_same_code_again_is_no_change(made):
    before = made.publish_version(FunctionName="f")["Version"]
    archive = code(made.bench, "y = 1")
    answer = made.update_function_code(FunctionName="f", ZipFile=archive, Publish=True)
    again = made.update_function_code(FunctionName="f", ZipFile=archive, Publish=True)

    assert ("1", "2", "2") == (before, answer["Version"], again["Version"])
    assert "2" == made.publish_version(FunctionName="f")["Version"]


# ---------------------------------------------------------------- downloads


def test_locations_are_downloads_at_the_address_that_the_client_used(made):
    """Of a function's code, of a version's, and of a layer: the archives as they came."""
    bench, host = made.bench, {"host": "lambda"}
    first, second, layer = (code(bench, f"x = {number}") for number in range(3))
    published = made.publish_layer_version(LayerName="l", Content={"ZipFile": layer})
    made.update_function_code(FunctionName="f", ZipFile=first, Publish=True)
    made.update_function_code(FunctionName="f", ZipFile=second)
    places = [
        made.get_function(FunctionName="f", Qualifier="2")["Code"]["Location"],
        made.get_function(FunctionName="f")["Code"]["Location"],
        published["Content"]["Location"],
        made.get_layer_version(LayerName="l", VersionNumber=1)["Content"]["Location"],
    ]
    answers = [bench.ask("GET", place.removeprefix("http://lambda"), host) for place in places]

    assert [first, second, layer, layer] == [answer.body for answer in answers]
    assert {"application/zip"} == {answer.headers["content-type"] for answer in answers}


def test_an_archive_that_cannot_be_read_is_an_error_of_ours(made, package_store):
    place = made.get_function(FunctionName="f")["Code"]["Location"].removeprefix("http://lambda")
    package_store.archive_path(place.rpartition("/")[2]).unlink()
    status, code, _ = made.bench.ask("GET", place).error

    assert (500, "ServiceException") == (status, code)


@pytest.mark.parametrize("folder", ["", "..", "../state.json", "%2e%2e/state.json", "none"])
def test_nothing_but_archives_is_downloaded(made, folder):
    status, code, _ = made.bench.ask("GET", f"/2015-03-31/archives/{folder}").error

    assert (404, "ResourceNotFoundException") == (status, code)


# ---------------------------------------------------------------- which error a missing thing gets

NOTHING = "The resource you requested does not exist."
ABSENT = "Function does not exist"
NONE = f"Function not found: {ARN}none"
QUALIFIED = {"FunctionName": "none", "Qualifier": "1"}
GRANT = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
NO_EVENT_CONFIG = "The function {} doesn't have an EventInvokeConfig"
MISSING = {
    "get_function_url_config": ({}, NOTHING),
    "delete_function_url_config": ({}, NOTHING),
    "create_function_url_config": ({"AuthType": "NONE"}, ABSENT),
    "update_function_url_config": ({"AuthType": "NONE"}, ABSENT),
    "get_function_event_invoke_config": ({}, NO_EVENT_CONFIG.format(f"{ARN}none:$LATEST")),
    "delete_function_event_invoke_config": ({}, NO_EVENT_CONFIG.format(f"{ARN}none:$LATEST")),
    "create_alias": ({"Name": "a", "FunctionVersion": "1"}, f"{NONE}:1"),
    "put_function_concurrency": (
        {"ReservedConcurrentExecutions": 10**6},
        f"Function not found: {ARN}none:$LATEST",
    ),
    "get_policy": ({}, NOTHING),
    "remove_permission": ({"StatementId": "s"}, f"No policy found for: {ARN}none"),
    "add_permission": (GRANT, NONE),
    "update_alias": ({"Name": "a"}, NONE),
    "get_function_code_signing_config": ({}, NONE),
    "delete_function_code_signing_config": ({}, NONE),
    "get_function": ({}, NONE),
    "publish_version": ({}, NONE),
    "get_function_recursion_config": ({}, NONE),
}


@pytest.mark.parametrize("operation", MISSING)
def test_each_operation_tells_a_missing_function_in_its_own_words(aws, operation):
    arguments, text = MISSING[operation]

    assert (404, "ResourceNotFoundException", text, "User") == aws.error(
        operation, FunctionName="none", **arguments
    )


MISSING_PARTS = {
    "alias of a URL": ("create_function_url_config", {"Qualifier": "no", "AuthType": "NONE"}, ABSENT),
    "URL": ("update_function_url_config", {"AuthType": "NONE"}, NOTHING),
    "URL of an alias": ("get_function_url_config", {"Qualifier": "live"}, NOTHING),
    "event-invoke config": (
        "get_function_event_invoke_config",
        {"Qualifier": "1"},
        NO_EVENT_CONFIG.format(f"{ARN}f:1"),
    ),
    "event-invoke config of nothing": (
        "get_function_event_invoke_config",
        {"Qualifier": "9"},
        NO_EVENT_CONFIG.format(f"{ARN}f:9"),
    ),
    "policy of a version": ("get_policy", {"Qualifier": "7"}, NOTHING),
    "policy": (
        "remove_permission",
        {"StatementId": "s"},
        "No policy is associated with the given resource.",
    ),
    "alias with a policy": (
        "remove_permission",
        {"StatementId": "s", "Qualifier": "no"},
        f"Cannot find alias arn: {ARN}f:no",
    ),
    "alias to permit": ("add_permission", {"Qualifier": "no", **GRANT}, f"Cannot find alias arn: {ARN}f:no"),
    "version to permit": ("add_permission", {"Qualifier": "7", **GRANT}, f"Function not found: {ARN}f:7"),
    "alias to update": ("update_alias", {"Name": "no"}, f"Alias not found: {ARN}f:no"),
    "alias": ("get_alias", {"Name": "no"}, f"Cannot find alias arn: {ARN}f:no"),
}


@pytest.mark.parametrize("case", MISSING_PARTS)
def test_each_operation_tells_what_a_function_lacks_in_its_own_words(made, case):
    operation, arguments, text = MISSING_PARTS[case]

    assert (404, "ResourceNotFoundException", text, "User") == made.error(
        operation, FunctionName="f", **arguments
    )


# ---------------------------------------------------------------- which of two mistakes is told


def test_what_can_never_be_deleted_is_told_before_existence(aws):
    invalid = (400, "InvalidParameterValueException")
    latest = aws.error("delete_function", FunctionName=f"{ARN}none", Qualifier="$LATEST")

    assert (*invalid, "$LATEST version cannot be deleted without deleting the function.", "User") == latest
    assert (404, "ResourceNotFoundException", NONE, "User") == aws.error("delete_function", **QUALIFIED)
    assert (*invalid, "Deletion of aliases is not currently supported.", "User") == aws.error(
        "delete_function", FunctionName="none", Qualifier="alias"
    )


def test_a_wrong_layer_is_told_before_a_name_in_use(aws):
    layer = "arn:aws:lambda:eu-west-1:123456789012:layer:none:1"
    with pytest.raises(Exception, match=f"Layer version {layer} does not exist."):
        aws.make("hello", Layers=[layer])
    with pytest.raises(Exception, match="Function already exist: hello"):
        aws.make("hello")


def test_two_qualifiers_that_differ_are_told_before_existence(aws):
    assert (
        "The derived qualifier from the function name does not match the specified qualifier."
        == (aws.error("get_function", FunctionName="none:1", Qualifier="2")[2])
    )


async def test_a_function_that_is_still_created_is_deleted_once_that_is_over(make_bench, monkeypatch):
    """Who deletes it waits for the answer, and gets no conflict."""
    tasks, comes_up = [], asyncio.Event()
    bench = make_bench(
        FUNCTIONS, spawner=lambda work, *args: tasks.append(asyncio.ensure_future(work(*args)))
    )
    put = bench.deployment.put

    async def put_later(function):
        await comes_up.wait()
        await put(function)

    monkeypatch.setattr(bench.deployment, "put", put_later)
    members = {
        "FunctionName": "f",
        "Role": "arn:aws:iam::123456789012:role/any",
        "Runtime": "python3.12",
        "Handler": "app.handler",
        "Code": {"ZipFile": bench.zipped({"app.py": ""})},
    }
    created = bench.ask_later("POST", "/2015-03-31/functions", body=json.dumps(members).encode())
    async with asyncio.timeout(10):
        while not created:
            await asyncio.sleep(0)
        deleted = bench.ask_later("DELETE", "/2015-03-31/functions/f")
        await asyncio.sleep(0)
        before = list(deleted)
        comes_up.set()
        await asyncio.gather(*tasks)

    assert ([201], [], [204]) == ([one.status for one in created], before, [one.status for one in deleted])
    assert 404 == bench.ask("GET", "/2015-03-31/functions/f").status


def test_a_version_in_use_is_told_with_its_aliases(made):
    made.create_alias(FunctionName="f", Name="next", FunctionVersion="1")
    text = "Unable to delete version because the following aliases reference it: [live, next]"

    assert (409, "ResourceConflictException", text, "User") == made.error(
        "delete_function", FunctionName="f", Qualifier="1"
    )


# ---------------------------------------------------------------- durable functions


def test_a_durable_function_shows_its_config_and_may_change_its_numbers(aws):
    made = aws.make("durable", DurableConfig={"ExecutionTimeout": 60})
    changed = aws.update_function_configuration(
        FunctionName="durable", DurableConfig={"RetentionPeriodInDays": 3}
    )

    assert {"ExecutionTimeout": 60, "RetentionPeriodInDays": 14} == made["DurableConfig"]
    assert {"ExecutionTimeout": 60, "RetentionPeriodInDays": 3} == changed["DurableConfig"]
    assert changed["DurableConfig"] == aws.get_function_configuration(FunctionName="durable")["DurableConfig"]


def test_durability_is_chosen_at_creation(aws):
    aws.make("plain")
    enabled = aws.error(
        "update_function_configuration", FunctionName="plain", DurableConfig={"ExecutionTimeout": 60}
    )

    assert (400, "InvalidParameterValueException") == enabled[:2]
    assert "DurableConfig" not in aws.get_function_configuration(FunctionName="plain")


def test_a_durable_function_needs_an_execution_timeout(aws):
    members = {"Role": "arn:aws:iam::123456789012:role/any", "Handler": "a.b", "Runtime": "python3.12"}
    missing = aws.error(
        "create_function",
        FunctionName="durable",
        Code={"ZipFile": code(aws.bench)},
        DurableConfig={"RetentionPeriodInDays": 3},
        **members,
    )

    assert (400, "InvalidParameterValueException") == missing[:2]
