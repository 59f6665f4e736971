"""Event source mappings over the Lambda API: documents, states and refusals, as AWS gives them."""

import json
import re

import pytest

from engine.core.function import Function
from engine.packages.records import StoredState
from engine.ports import Binding
from engine.sources.sqs.settings import SqsEvent

MAPPINGS = "/2015-03-31/event-source-mappings"
QUEUE = "arn:aws:sqs:eu-west-1:123456789012:q"
ARN = "arn:aws:lambda:eu-west-1:123456789012:"
NOBODY = "00000000-0000-0000-0000-000000000000"
NO_SUCH = {"Type": "User", "Message": "The resource you requested does not exist."}


@pytest.fixture
def bench(bench):
    """With the queues `q` and `q.fifo`."""
    bench.queues.create("q", {}, {}, 0.0)
    bench.queues.create("q.fifo", {"FifoQueue": "true"}, {}, 0.0)
    return bench


def create(bench, **members):
    wanted = {"FunctionName": "hello", "EventSourceArn": QUEUE, **members}
    return bench.call("POST", MAPPINGS, **{key: one for key, one in wanted.items() if one is not None})


def refusal(answer):
    """Status, code and text."""
    status, code, document = answer.error
    return status, code, document.get("message", document.get("Message"))


def get(bench, uuid):
    return bench.ask("GET", f"{MAPPINGS}/{uuid}").document


# ---------------------------------------------------------------- documents


def test_a_new_mapping_is_creating_and_then_enabled(bench):
    """The whole document, as recorded."""
    answer = create(bench)
    document = dict(answer.document)
    uuid = document["UUID"]

    assert 202 == answer.status
    assert re.fullmatch(r"[0-9a-f-]{36}", uuid)
    assert {
        "UUID": uuid,
        "EventSourceMappingArn": f"{ARN}event-source-mapping:{uuid}",
        "EventSourceArn": QUEUE,
        "FunctionArn": f"{ARN}function:hello",
        "BatchSize": 10,
        "MaximumBatchingWindowInSeconds": 0,
        "FunctionResponseTypes": [],
        "State": "Creating",
        "StateTransitionReason": "USER_INITIATED",
        "LastModified": 1584039838.39,
    } == document
    assert {**document, "State": "Enabled"} == get(bench, uuid)


def test_every_member_is_kept_and_shown(bench):
    """And becomes what the poller goes by."""
    members = {
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 5,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": {"Filters": [{"Pattern": '{"body": {"kind": ["order"]}}'}]},
        "ScalingConfig": {"MaximumConcurrency": 50},
        "KMSKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/k",
        "MetricsConfig": {"Metrics": ["EventCount"]},
        "LoggingConfig": {"SystemLogLevel": "DEBUG"},
    }
    document = create(bench, Enabled=False, **members).document

    assert members == {name: document[name] for name in members}
    assert "Disabled" == document["State"]
    assert (
        SqsEvent(
            queue=QUEUE,
            batch_size=100,
            maximum_batching_window_s=5,
            maximum_concurrency=50,
            report_batch_item_failures=True,
            filters=('{"body": {"kind": ["order"]}}',),
            enabled=False,
        )
        == bench.mappings.find(document["UUID"]).settings
    )


@pytest.mark.parametrize(
    "name", ["hello", f"{ARN}function:hello", "123456789012:function:hello", f"{ARN}function:hello:$LATEST"]
)
def test_a_function_is_named_as_everywhere(bench, name):
    """By name, ARN or part of one, with a qualifier or not."""
    assert f"{ARN}function:hello" in create(bench, FunctionName=name).document["FunctionArn"]


def test_an_alias_is_mapped_as_such(bench):
    """Its version's timeout is what is gone by, now and after an update."""
    bench.create("made", Timeout=7)
    bench.call("POST", "/2015-03-31/functions/made/versions")
    bench.call("POST", "/2015-03-31/functions/made/aliases", Name="live", FunctionVersion="1")
    document = create(bench, FunctionName="made:live").document
    latest = create(bench, FunctionName="made").document

    assert f"{ARN}function:made:live" == document["FunctionArn"]
    bench.call("PUT", "/2015-03-31/functions/made/configuration", Timeout=9)
    entries = [bench.mappings.find(one["UUID"]) for one in (document, latest)]
    assert [("made", "live", 7.0), ("made", None, 9.0)] == [
        (one.function, one.qualifier, one.busy_s()) for one in entries
    ]


def test_updates_leave_members_as_they_were_and_empty_objects_remove(bench):
    """`FilterCriteria` and `ScalingConfig` go by an empty object."""
    uuid = create(
        bench,
        ScalingConfig={"MaximumConcurrency": 7},
        FilterCriteria={"Filters": [{"Pattern": '{"body": ["x"]}'}]},
    ).document["UUID"]

    answer = bench.call("PUT", f"{MAPPINGS}/{uuid}", BatchSize=3)
    assert (202, "Updating") == (answer.status, answer.document["State"])
    assert {"MaximumConcurrency": 7} == get(bench, uuid)["ScalingConfig"]

    bench.call("PUT", f"{MAPPINGS}/{uuid}", ScalingConfig={}, FilterCriteria={})
    document = get(bench, uuid)
    assert (3, False, False) == (
        document["BatchSize"],
        "ScalingConfig" in document,
        "FilterCriteria" in document,
    )


def test_switching_a_mapping_off_and_on_says_so(bench):
    """Disabling, Disabled, Enabling, Enabled."""
    uuid = create(bench).document["UUID"]
    states = []
    for enabled in (False, True):
        states.append(bench.call("PUT", f"{MAPPINGS}/{uuid}", Enabled=enabled).document["State"])
        states.append(get(bench, uuid)["State"])

    assert ["Disabling", "Disabled", "Enabling", "Enabled"] == states


def test_a_mapping_may_be_given_another_function(bench):
    """Unless that one has the queue already."""
    first = create(bench).document["UUID"]
    second = create(bench, FunctionName="warm").document["UUID"]
    taken = bench.call("PUT", f"{MAPPINGS}/{first}", FunctionName="warm")

    assert 409 == taken.status
    bench.ask("DELETE", f"{MAPPINGS}/{second}")
    moved = bench.call("PUT", f"{MAPPINGS}/{first}", FunctionName="warm").document
    assert f"{ARN}function:warm" == moved["FunctionArn"]
    assert "warm" == bench.mappings.find(first).function


def test_a_deleted_mapping_is_deleting_and_then_gone(bench):
    """Nothing polls for it."""
    uuid = create(bench).document["UUID"]
    answer = bench.ask("DELETE", f"{MAPPINGS}/{uuid}")

    assert (202, "Deleting") == (answer.status, answer.document["State"])
    assert [] == list(bench.mappings)
    assert (404, "ResourceNotFoundException", NO_SUCH) == bench.ask("GET", f"{MAPPINGS}/{uuid}").error


def test_lists_are_by_function_by_queue_and_in_pages(bench):
    """All of them without a filter."""
    every = [
        create(bench).document["UUID"],
        create(bench, FunctionName="warm").document["UUID"],
        create(bench, EventSourceArn=f"{QUEUE}.fifo").document["UUID"],
    ]

    def listed(query):
        document = bench.ask("GET", f"{MAPPINGS}?{query}").document
        return [one["UUID"] for one in document["EventSourceMappings"]], document["NextMarker"]

    assert (every, None) == listed("")
    assert ([every[0], every[2]], None) == listed("FunctionName=hello")
    assert (every[:2], None) == listed(f"EventSourceArn={QUEUE}")
    assert ([], None) == listed("FunctionName=orders-v2_x")
    page, marker = listed("MaxItems=2")
    assert (every[:2], ([every[2]], None)) == (page, listed(f"MaxItems=2&Marker={marker}"))


def test_mappings_of_the_configuration_are_shown_and_may_be_changed(make_bench):
    """With keys that AWS does not know kept as they are."""
    function = Function("hello", handler="hello.handler", timeout_s=2, overflow="queue")
    bench = make_bench([function])
    bench.queues.create("q.fifo", {"FifoQueue": "true"}, {}, 0.0)
    event = SqsEvent(
        queue="q.fifo",
        keep_group_order=True,
        filters=({"body": ["x"]},),
        report_batch_item_failures=True,
        provisioned_pollers={"minimum": 3, "maximum": 4},
    )
    entry = bench.mappings.bind(Binding(function=function, settings=event))

    document = get(bench, entry.uuid)
    assert {
        "EventSourceArn": f"{QUEUE}.fifo",
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": {"Filters": [{"Pattern": '{"body":["x"]}'}]},
        "ProvisionedPollerConfig": {"MinimumPollers": 3, "MaximumPollers": 4},
        "State": "Enabled",
    }.items() <= document.items()
    bench.call("PUT", f"{MAPPINGS}/{entry.uuid}", BatchSize=5)
    assert (5, True, 4.0) == (entry.settings.batch_size, entry.settings.keep_group_order, entry.busy_s())
    assert {} == bench.registry.state.mappings


async def test_mappings_come_back_with_the_state_folder(bench, make_bench):
    """Under the same UUID; a queue that is not there yet is waited for."""
    uuid = create(bench, BatchSize=3, Tags={"team": "shop"}).document["UUID"]
    document = get(bench, uuid)
    text = bench.registry.state.model_dump_json()
    again = make_bench(list(bench.registry.configured.values()))
    await again.control_plane.restore(StoredState.model_validate(json.loads(text)))

    assert document == get(again, uuid)
    assert 3 == again.mappings.find(uuid).settings.batch_size


def test_a_mapping_has_tags(bench):
    """Like a function."""
    arn = create(bench, Tags={"a": "1"}).document["EventSourceMappingArn"]
    bench.call("POST", f"/2017-03-31/tags/{arn}", Tags={"b": "2"})
    bench.ask("DELETE", f"/2017-03-31/tags/{arn}?tagKeys=a")

    assert {"Tags": {"b": "2"}} == bench.ask("GET", f"/2017-03-31/tags/{arn}").document
    unknown = f"{arn[:-36]}{NOBODY}"
    assert {"Type": "User", "Message": f"Event source mapping not found: {unknown}"} == bench.ask(
        "GET", f"/2017-03-31/tags/{unknown}"
    ).document


# ---------------------------------------------------------------- refusals

NO_WINDOW = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
NO_QUEUE = (
    "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
    "SQS Error Message: The specified queue does not exist."
)
BAD_FILTER = "Invalid filter pattern definition."


def pattern(text):
    return {"FilterCriteria": {"Filters": [{"Pattern": text}]}}


def pollers(**members):
    return {"ProvisionedPollerConfig": members}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"EventSourceArn": None}, "Unrecognized event source."),
        ({"EventSourceArn": "arn:aws:kafka:eu-west-1:123456789012:cluster/s"}, "Unrecognized event source."),
        ({"EventSourceArn": f"{QUEUE}x"}, NO_QUEUE),
        ({"EventSourceArn": "arn:aws:sqs:us-east-1:123456789012:q"}, NO_QUEUE),
        ({"FunctionName": "nobody"}, "Function does not exist"),
        ({"FunctionName": "hello:alias"}, "Function does not exist"),  # recorded in aws-cdk#2084
        ({"FunctionName": "hello:7"}, "Function does not exist"),
        ({"BatchSize": 11}, NO_WINDOW),
        (
            {"EventSourceArn": f"{QUEUE}.fifo", "BatchSize": 11},
            NO_WINDOW,
        ),
        (
            {"EventSourceArn": f"{QUEUE}.fifo", "MaximumBatchingWindowInSeconds": 1},
            "Batching window is not supported for FIFO queues",
        ),
        (
            {"EventSourceArn": f"{QUEUE}.fifo", "BatchSize": 100, "MaximumBatchingWindowInSeconds": 5},
            "Batching window is not supported for FIFO queues",
        ),
        ({"EventSourceArn": "arn:aws:sqs:eu-west-1:123456789012:no name"}, NO_QUEUE),
        ({"EventSourceArn": "arn:aws:sqs:::q"}, NO_QUEUE),
        ({"EventSourceArn": "arn:aws:sns:eu-west-1:123456789012:a:sqs:b"}, "Unrecognized event source."),
        (pattern("null"), BAD_FILTER),
        (pattern("text"), BAD_FILTER),
        (pattern('{"eventSource":"aws:sqs"}'), BAD_FILTER),
        (pattern('{"eventSource":[]}'), BAD_FILTER),
        ({"FilterCriteria": {"Filters": [{}]}}, BAD_FILTER),
        (
            {"StartingPosition": "LATEST"},
            "StartingPosition is not valid for SQS event sources.",
        ),
        (
            {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": -1_700_000_000},
            "StartingPosition is not valid for SQS event sources.",
        ),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": QUEUE}}},
            "Unsupported DestinationConfig parameter for given event source mapping type.",
        ),
    ],
)
def test_what_cannot_be_mapped_is_an_invalid_parameter(bench, members, message):
    """In AWS's words, where they are known."""
    assert (400, "InvalidParameterValueException", message) == refusal(create(bench, **members))
    assert [] == list(bench.mappings)


TWO_WAYS = {"ScalingConfig": {"MaximumConcurrency": 2}, "ProvisionedPollerConfig": {"MinimumPollers": 2}}


@pytest.mark.parametrize(
    ("members", "names"),
    [
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"body":["x"]}'}] * 11}}, ["FilterCriteria", "10"]),
        (TWO_WAYS, ["ScalingConfig", "ProvisionedPollerConfig"]),
        (pollers(MinimumPollers=1), ["MinimumPollers", "2", "SQS"]),
        (pollers(MaximumPollers=1), ["MaximumPollers", "2", "SQS"]),
        (pollers(MinimumPollers=9, MaximumPollers=8), ["MinimumPollers", "MaximumPollers"]),
        (pollers(PollerGroupName="group"), ["PollerGroupName"]),
    ],
)
@pytest.mark.parametrize("operation", ["create", "update"])
def test_members_that_do_not_go_together_are_told_by_the_names_of_the_api(bench, operation, members, names):
    """That AWS refuses them is documented; its texts are (unverified). Never in the words of our settings."""
    if operation == "create":
        answer = create(bench, **members)
    else:
        answer = bench.call("PUT", f"{MAPPINGS}/{create(bench).document['UUID']}", **members)

    status, code, message = refusal(answer)
    assert (400, "InvalidParameterValueException") == (status, code)
    assert all(name in message for name in names)
    assert not re.search("[a-z]_[a-z]|Input|Tuple", message)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"DestinationConfig": {}},
            "Unsupported DestinationConfig parameter for given event source mapping type.",
        ),
        ({"BatchSize": 11}, NO_WINDOW),
        (pattern("null"), BAD_FILTER),
        ({"FunctionName": "nobody"}, "Function does not exist"),
        ({"EventSourceArn": f"{QUEUE}x"}, NO_QUEUE),
    ],
)
def test_the_first_mistake_is_told_members_then_the_function_then_the_queue(bench, wrong, message):
    """Whatever else is wrong after it. AWS's order is (unverified)."""
    every = {
        "EventSourceArn": f"{QUEUE}x",
        "FunctionName": "nobody",
        **pattern("null"),
        "BatchSize": 11,
        "DestinationConfig": {},
    }
    names = list(every)
    last = names.index(next(iter(wrong)))

    assert message == refusal(create(bench, **{name: every[name] for name in names[: last + 1]}))[2]


def test_filters_are_shown_only_if_there_are_some(bench):
    """An empty list is taken, and is not echoed (recorded)."""
    document = create(bench, FilterCriteria={"Filters": []}).document
    assert "FilterCriteria" not in document

    uuid = document["UUID"]
    bench.call("PUT", f"{MAPPINGS}/{uuid}", **pattern('{"body":["x"]}'))
    assert "FilterCriteria" in get(bench, uuid)
    bench.call("PUT", f"{MAPPINGS}/{uuid}", FilterCriteria={"Filters": []})
    assert "FilterCriteria" not in get(bench, uuid)
    assert () == bench.mappings.find(uuid).settings.filters


def test_ten_thousand_pollers_may_be_asked_for(bench):
    """The model's bound."""
    uuid = create(bench, **pollers(MaximumPollers=10_000)).document["UUID"]

    assert 10_000 == bench.mappings.find(uuid).settings.provisioned_pollers.maximum


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"BatchSize": 0}, "Value '0' at 'batchSize'"),
        (pollers(MinimumPollers=0), "Value '0' at 'provisionedPollerConfig.minimumPollers'"),
        (pollers(MinimumPollers=201), "Value '201' at 'provisionedPollerConfig.minimumPollers'"),
        (pollers(MaximumPollers=10_001), "Value '10001' at 'provisionedPollerConfig.maximumPollers'"),
        (
            {"ScalingConfig": {"MaximumConcurrency": 1001}},
            "Value '1001' at 'scalingConfig.maximumConcurrency'",
        ),
        (
            {"EventSourceArn": "q", "BatchSize": 0},
            "2 validation errors detected: Value 'q' at 'eventSourceArn'",
        ),
        ({"BatchSize": 10_001}, "Value '10001' at 'batchSize'"),
        ({"MaximumBatchingWindowInSeconds": 301}, "at 'maximumBatchingWindowInSeconds'"),
        ({"ScalingConfig": {"MaximumConcurrency": 1}}, "at 'scalingConfig.maximumConcurrency'"),
        ({"FunctionResponseTypes": ["Other"]}, "enum value set: [ReportBatchItemFailures]"),
        (pattern("x" * 4097), "length less than or equal to 4096"),
        ({"FunctionName": None}, "Value null at 'functionName'"),
        ({"FunctionName": "a b"}, "Value 'a b' at 'functionName'"),
    ],
)
def test_members_out_of_bounds_are_validation_errors(bench, members, text):
    """Of the API's model."""
    status, code, message = refusal(create(bench, **members))

    assert (400, "ValidationException") == (status, code)
    assert text in message


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"BatchSize":"1"}', b'{"FilterCriteria":[]}'])
def test_bodies_that_are_none_are_serialization_errors(bench, body):
    """Never a 500."""
    answer = bench.ask("POST", MAPPINGS, body=body)

    assert (400, "SerializationException") == refusal(answer)[:2]


def test_a_queue_that_hides_messages_for_less_than_the_timeout_is_refused(bench):
    """As AWS does; for a mapping of the configuration there is a warning instead."""
    bench.create("slow", Timeout=60)

    assert (
        400,
        "InvalidParameterValueException",
        "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds",
    ) == refusal(create(bench, FunctionName="slow"))


def test_the_same_queue_and_function_cannot_be_mapped_twice(bench):
    """The one there is is named."""
    uuid = create(bench).document["UUID"]

    message = (
        f'An event source mapping with SQS arn (" {QUEUE} ") and function (" hello ") already exists. '
        f"Please update or delete the existing mapping with UUID {uuid}"
    )
    assert (409, "ResourceConflictException", message) == refusal(create(bench))


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_uuid_is_not_found(bench, method):
    """Whatever is asked of it."""
    assert (404, "ResourceNotFoundException", NO_SUCH) == bench.ask(
        method, f"{MAPPINGS}/{NOBODY}", body=b"{}"
    ).error


def test_a_mapping_that_cannot_be_changed_stays_as_it_was(bench):
    """The refused members are nowhere."""
    uuid = create(bench).document["UUID"]
    before = get(bench, uuid)

    assert NO_WINDOW == refusal(bench.call("PUT", f"{MAPPINGS}/{uuid}", BatchSize=11))[2]
    assert before == get(bench, uuid)
    assert {"EventSourceArn": QUEUE} == json.loads(bench.registry.state.model_dump_json())["mappings"][uuid][
        "config"
    ]


def test_provisioned_pollers_take_the_place_of_a_maximum(bench):
    """Of the two bounds one may be left out."""
    uuid = create(bench, ProvisionedPollerConfig={"MaximumPollers": 50}).document["UUID"]
    pollers = bench.mappings.find(uuid).settings.provisioned_pollers
    assert (2, 50) == (pollers.minimum, pollers.maximum)

    changes = {"ProvisionedPollerConfig": {}, "ScalingConfig": {"MaximumConcurrency": 9}}
    bench.call("PUT", f"{MAPPINGS}/{uuid}", **changes)
    settings = bench.mappings.find(uuid).settings
    assert (None, 9) == (settings.provisioned_pollers, settings.maximum_concurrency)


def test_a_mapping_of_the_configuration_shows_its_maximum(make_bench):
    """In AWS's member."""
    function = Function("hello", handler="hello.handler")
    bench = make_bench([function])
    event = SqsEvent(queue="q", maximum_concurrency=7)
    entry = bench.mappings.bind(Binding(function=function, settings=event))

    assert {"MaximumConcurrency": 7} == get(bench, entry.uuid)["ScalingConfig"]


def test_an_engine_without_queues_has_no_mappings(make_bench):
    """It says so."""
    bench = make_bench([], queues=False)

    assert "Unrecognized event source. This engine has no queues." == refusal(create(bench))[2]
    assert [] == bench.ask("GET", MAPPINGS).document["EventSourceMappings"]
    assert 404 == bench.ask("GET", f"{MAPPINGS}/{NOBODY}").status
