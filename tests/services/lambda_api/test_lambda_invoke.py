"""Invoke: what becomes an event, and what its caller is told."""

import asyncio
import base64
import json

import pytest

from engine.core.function import Account, Function
from engine.core.outcome import Status
from engine.errors import FunctionNotFound, NotAccepting
from tests.reachable import reachable

FIRST_ID = "0f0e0d0c-0b0a-4908-8706-000000000001"
TRACE = "Root=1-5e6a879e-0000000000010f0e0d0c0b0a;Parent=0b0a000000000001;Sampled=0"
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# ---------------------------------------------------------------- what is submitted


LARGE = json.dumps([{"n": number} for number in range(60_000)]).encode()


@pytest.mark.parametrize("kind", ["RequestResponse", "Event"])
async def test_a_large_payload_is_read_a_piece_in_each_turn_of_the_loop(bench, kind):
    """It is submitted when it has been read; the event is the same as a small one's."""
    target = "/2015-03-31/functions/hello/invocations"
    answers = bench.ask_later("POST", target, {"X-Amz-Invocation-Type": kind}, LARGE)
    turns = 0
    while not answers:
        turns += 1
        await asyncio.sleep(0)
    event = bench.event

    assert [200 if kind == "RequestResponse" else 202] == [answer.status for answer in answers]
    assert turns > len(LARGE) // 131_072
    assert (LARGE, FIRST_ID) == (event.payload, event.request_id)


@pytest.mark.parametrize(
    ("ending", "description"),
    [
        (b' {"a": 1 "b"}]', "was expecting comma to separate Object entries"),
        (b" [], 1 2]", "was expecting comma to separate Array entries"),
        (b" nope]", "Unrecognized token 'nope'"),
        (b" 1", "expected close marker"),
    ],
)
async def test_a_large_payload_with_a_mistake_is_refused_as_a_small_one(bench, ending, description):
    """The column counts from the beginning."""
    beginning = LARGE[:-1] + b","
    answers = bench.ask_later("POST", "/2015-03-31/functions/hello/invocations", {}, beginning + ending)
    while not answers:
        await asyncio.sleep(0)
    status, code, document = answers[0].error
    message, column = document["message"].rsplit(": ", 1)
    small_message, small_column = bench.invoke(b"[0," + ending).document["message"].rsplit(": ", 1)

    assert (400, "InvalidRequestContentException") == (status, code)
    assert description in message
    assert small_message == message
    assert len(beginning) - len(b"[0,") == int(column.rstrip("]")) - int(small_column.rstrip("]"))
    assert [] == bench.sink.events


async def test_a_function_that_goes_while_its_payload_is_read_is_not_found(bench):
    bench.sink.act = lambda event: FunctionNotFound(event.function)
    answers = bench.ask_later("POST", "/2015-03-31/functions/hello/invocations", {}, LARGE)
    while not answers:
        await asyncio.sleep(0)

    assert 404 == answers[0].status


def test_a_plain_request_becomes_an_event(bench):
    answer = bench.invoke(b'{"a": [1, 2]}')
    event = bench.event

    assert (200, b'{"a": [1, 2]}') == (answer.status, answer.body)
    assert ("hello", b'{"a": [1, 2]}', FIRST_ID, 7.0, "invoke") == (
        event.function,
        event.payload,
        event.request_id,
        event.received_s,
        event.trigger,
    )
    assert (TRACE, None, None, False) == (
        event.trace_id,
        event.client_context,
        event.qualifier,
        event.wants_log,
    )


def test_the_answer_has_the_headers_of_lambda(bench):
    assert [
        ("Content-Type", "application/json"),
        ("X-Amz-Executed-Version", "$LATEST"),
        ("x-amzn-RequestId", FIRST_ID),
        ("X-Amzn-Trace-Id", TRACE),
    ] == bench.invoke().pairs


def test_no_body_is_an_empty_object(bench):
    assert b"{}" == bench.invoke(b"").body
    assert b"{}" == bench.event.payload


@pytest.mark.parametrize(
    "body", [b"null", b"1", b'"text"', b"[]", b"18446744073709551617", b'\xef\xbb\xbf{"a": 1}']
)
def test_any_json_value_is_a_payload(bench, body):
    assert json.loads(body.decode("utf-8-sig")) == bench.invoke(body).document
    assert body == bench.event.payload


def test_the_document_goes_along_decoded(bench, end):
    bench.sink.act = end()
    bench.invoke(b'{"n": 18446744073709551617}')

    assert {"n": 18446744073709551617} == bench.event.document


def test_a_trace_header_is_kept_and_completed(bench):
    whole = "Root=1-5e6a88ee-aaaabbbbccccddddeeeeffff;Parent=0123456789abcdef;Sampled=1"
    part = "Root=1-5e6a88ee-aaaabbbbccccddddeeeeffff"
    lineage = ";Lineage=1:3610a686:1"

    assert whole + lineage == bench.invoke(x_amzn_trace_id=whole).headers["x-amzn-trace-id"]
    assert (
        f"{part};Parent=0b0a000000000002;Sampled=0{lineage}"
        == bench.invoke(x_amzn_trace_id=part).headers["x-amzn-trace-id"]
    )
    assert (
        f"Root=1-5e6a879e-0000000000030f0e0d0c0b0a;Self=x;Parent=0b0a000000000003;Sampled=0{lineage}"
        == bench.invoke(x_amzn_trace_id="Self=x").headers["x-amzn-trace-id"]
    )
    assert whole + lineage == bench.sink.events[0].trace_id


def test_a_trace_header_that_could_forge_an_answer_is_replaced(bench):
    target = b"/2015-03-31/functions/hello/invocations"
    answer = bench.ask("POST", target, [(b"X-Amzn-Trace-Id", b"Root=1\r\nX-Evil: 1")], b"{}")

    assert TRACE == answer.headers["x-amzn-trace-id"]


def test_client_context_is_decoded(bench):
    text = '{"custom": {"é": 1}}'
    bench.invoke(x_amz_client_context=encoded(text))

    assert text == bench.event.client_context


@pytest.mark.parametrize(
    "sent", ["string", "!!!", encoded("[]"), encoded("no json"), encoded("{}") + "\t", "e30=e30=", "gA=="]
)
def test_client_context_that_is_no_json_object_is_refused(bench, sent):
    expected = 400, "InvalidRequestContentException"
    status, code, document = bench.invoke(x_amz_client_context=sent).error

    assert expected == (status, code)
    assert {"Type": None, "message": "Client context must be a valid Base64-encoded JSON object."} == document
    assert [] == bench.sink.events


def test_client_context_has_a_limit_of_3583_bytes(bench):
    fits = encoded(json.dumps({"custom": {"x": "y" * 2660}}))
    over = encoded(json.dumps({"custom": {"x": "y" * 2670}}))

    assert len(fits) <= 3583 < len(over)
    assert 200 == bench.invoke(x_amz_client_context=fits).status
    assert 400 == bench.invoke(x_amz_client_context=over).status


@pytest.mark.parametrize(
    "name",
    [b"X-Amz-Invocation-Type", b"x-amz-invocation-type", b"X-AMZ-INVOCATION-TYPE", b"x-Amz-invocation-tyPE"],
)
def test_header_names_may_be_spelled_in_any_case(bench, name):
    assert 202 == bench.ask("POST", "/2015-03-31/functions/hello/invocations", [(name, b"Event")]).status


# ---------------------------------------------------------------- names and qualifiers


@pytest.mark.parametrize(
    ("name", "query", "qualifier"),
    [
        ("hello", "", None),
        ("hello", "?Qualifier=", None),
        ("hello", "?Qualifier=$LATEST", "$LATEST"),
        ("hello", "?Qualifier=%24LATEST", "$LATEST"),
        ("hello:$LATEST", "", "$LATEST"),
        ("hello%3A%24LATEST", "?Qualifier=$LATEST", "$LATEST"),
        ("function:hello", "", None),
        ("123456789012:function:hello", "", None),
        ("123456789012:hello", "", None),
        ("eu-west-1:123456789012:function:hello", "", None),
        (f"{ARN}hello", "", None),
        (f"{ARN}hello:$LATEST", "", "$LATEST"),
        ("arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Ahello", "", None),
    ],
)
def test_a_function_may_be_named_in_many_ways(bench, name, query, qualifier):
    for _ in range(2):  # parsed, then remembered
        answer = bench.ask("POST", f"/2015-03-31/functions/{name}/invocations{query}")

        assert 200 == answer.status
        assert ("hello", qualifier) == (bench.sink.events[-1].function, bench.sink.events[-1].qualifier)


@pytest.mark.parametrize(
    ("name", "query", "arn"),
    [
        ("nobody", "", f"{ARN}nobody:$LATEST"),
        ("Hello", "", f"{ARN}Hello:$LATEST"),
        ("hello:7", "", f"{ARN}hello:7"),
        ("hello", "?Qualifier=live", f"{ARN}hello:live"),
        ("hello:$LATEST.PUBLISHED", "", f"{ARN}hello:$LATEST.PUBLISHED"),
    ],
)
def test_what_is_not_there_is_404(bench, name, query, arn):
    assert (
        404,
        "ResourceNotFoundException",
        {"Type": "User", "Message": f"Function not found: {arn}"},
    ) == bench.ask("POST", f"/2015-03-31/functions/{name}/invocations{query}").error


NAME_PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?"
    r"(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)
QUALIFIER_PATTERN = r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"


def violated(value, member, constraint):
    return f"Value '{value}' at '{member}' failed to satisfy constraint: Member must {constraint}"


@pytest.mark.parametrize(
    ("name", "query", "violations"),
    [
        (
            "he%20llo",
            "",
            [violated("he llo", "functionName", f"satisfy regular expression pattern: {NAME_PATTERN}")],
        ),
        (
            "hello",
            "?Qualifier=a!b",
            [violated("a!b", "qualifier", f"satisfy regular expression pattern: {QUALIFIER_PATTERN}")],
        ),
        (
            "h" * 257,
            "?Qualifier=" + "q" * 129,
            [
                violated("h" * 257, "functionName", "have length less than or equal to 256"),
                violated("q" * 129, "qualifier", "have length less than or equal to 128"),
            ],
        ),
    ],
)
def test_a_malformed_name_is_a_validation_error(bench, name, query, violations):
    plural = "s" if len(violations) > 1 else ""
    message = f"{len(violations)} validation error{plural} detected: {'; '.join(violations)}"

    assert (400, "ValidationException", {"message": message}) == bench.ask(
        "POST", f"/2015-03-31/functions/{name}/invocations{query}"
    ).error


def test_two_qualifiers_must_agree(bench):
    """The one in the name and the one in the query."""
    message = "The derived qualifier from the function name does not match the specified qualifier."

    assert (400, "InvalidParameterValueException", {"Type": "User", "message": message}) == bench.ask(
        "POST", "/2015-03-31/functions/hello:1/invocations?Qualifier=2"
    ).error


def test_another_region_is_not_reachable(bench):
    arn = "arn:aws:lambda:us-east-1:123456789012:function:hello"
    message = "Functions from 'us-east-1' are not reachable in this region ('eu-west-1')"

    assert (404, "ResourceNotFoundException", {"Type": "User", "Message": message}) == bench.invoke(
        name=arn
    ).error


def test_another_account_is_denied(bench):
    status, code, document = bench.invoke(name="arn:aws:lambda:eu-west-1:999999999999:function:hello").error

    assert (403, "AccessDeniedException") == (status, code)
    assert "arn:aws:lambda:eu-west-1:999999999999:function:hello" in document["Message"]


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("header", "member", "allowed"),
    [
        ({"X-Amz-Invocation-Type": "event"}, "invocationType", "[Event, RequestResponse, DryRun]"),
        ({"X-Amz-Log-Type": "tail"}, "logType", "[None, Tail]"),
    ],
)
def test_a_value_outside_its_enumeration_is_a_validation_error(bench, header, member, allowed):
    [value] = header.values()
    message = (
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: "
        f"Member must satisfy enum value set: {allowed}"
    )

    assert (400, "ValidationException", {"message": message}) == bench.ask(
        "POST", "/2015-03-31/functions/hello/invocations", header
    ).error


@pytest.mark.parametrize("header", ["x_amz_tenant_id", "x_amz_durable_execution_name"])
def test_what_no_function_here_is_made_for_is_refused(bench, header):
    status, code, document = bench.invoke(**{header: "x"}).error

    assert (400, "InvalidParameterValueException", "User") == (status, code, document["Type"])


def test_a_body_that_is_no_json_is_refused(bench):
    status, code, document = bench.invoke(b"'hi'").error

    assert (400, "InvalidRequestContentException", "User") == (status, code, document["Type"])
    assert document["message"].startswith(
        "Could not parse request body into json: Could not parse payload into json: Unexpected character "
        "(''' (code 39)): expected a valid value ("
    )
    assert document["message"].endswith("line: 1, column: 1]")
    assert [] == bench.sink.events


@pytest.mark.parametrize(("kind", "limit"), [("RequestResponse", 6_291_456), ("Event", 1_048_576)])
def test_a_body_over_the_limit_is_refused(bench, kind, limit):
    body = b'"' + b"x" * (limit - 2) + b'"'
    over = body[:-1] + b'x"'
    expected = (
        413,
        "RequestEntityTooLargeException",
        f"{limit + 1} byte payload is too large for the {kind} invocation type (limit {limit} bytes)",
    )

    assert bench.invoke(body, x_amz_invocation_type=kind).status in (200, 202)
    for sent in ({"body": over}, {"body": b"", "too_large": limit + 1}):
        status, code, document = bench.invoke(**sent, x_amz_invocation_type=kind).error

        assert expected == (status, code, document["message"])
    assert 1 == len(bench.sink.events)


@pytest.mark.parametrize("kind", ["RequestResponse", "Event"])
def test_an_engine_that_takes_nothing_is_503(bench, kind):
    bench.sink.act = lambda _: NotAccepting("draining")
    status, code, document = bench.invoke(x_amz_invocation_type=kind).error

    assert (503, "ServiceException", "Server") == (status, code, document["Type"])
    assert "draining" in document["Message"]


def test_a_function_that_went_away_is_404(bench):
    bench.sink.act = lambda event: FunctionNotFound(event.function)

    assert 404 == bench.invoke().status


# ---------------------------------------------------------------- how it ended


@pytest.mark.parametrize(
    "status", [Status.ERROR, Status.TIMEOUT, Status.CRASH, Status.OOM, Status.INIT_ERROR]
)
def test_a_failed_function_is_200_and_unhandled(bench, end, status):
    body = b'{"errorMessage": "no", "errorType": "KeyError", "requestId": "x", "stackTrace": []}'
    bench.sink.act = end(status, body)
    answer = bench.invoke()

    assert (200, body) == (answer.status, answer.body)
    assert "Unhandled" == answer.headers["x-amz-function-error"]
    assert "$LATEST" == answer.headers["x-amz-executed-version"]


def test_a_success_names_no_error(bench):
    assert "x-amz-function-error" not in bench.invoke().headers


@pytest.mark.parametrize(
    ("reason", "retry_after"),
    [
        ("ConcurrentInvocationLimitExceeded", "1"),
        ("ReservedFunctionConcurrentInvocationLimitExceeded", None),
    ],
)
def test_a_throttle_is_429_with_its_reason(bench, throttle, reason, retry_after):
    """Nobody is told when a reservation that is full has room again (recorded)."""
    bench.sink.act = throttle(reason)
    answer = bench.invoke()

    assert (
        429,
        "TooManyRequestsException",
        {"Type": "User", "message": "Rate Exceeded.", "Reason": reason},
    ) == answer.error
    assert FIRST_ID == answer.headers["x-amzn-requestid"]
    assert retry_after == answer.headers.get("retry-after")


def test_a_function_that_calls_itself_is_stopped_after_sixteen_calls(bench, end):
    """The header goes from each invocation to the next, as AWS's clients send it; others begin anew."""
    bench.sink.act = end(body=b"1")
    trace, answers = "Root=1-5e6a88ee-aaaabbbbccccddddeeeeffff", []
    for _ in range(17):
        answers.append(bench.invoke(x_amzn_trace_id=trace))
        trace = bench.sink.events[-1].trace_id

    assert [200] * 15 + [400] * 2 == [answer.status for answer in answers]
    assert "RecursiveInvocationException" == answers[-1].error[1]
    assert answers[-1].document["Message"].startswith("Lambda has detected your function being invoked")
    assert 15 == len(bench.sink.events)
    assert 200 == bench.invoke().status


async def test_a_function_that_may_call_itself_is_not_stopped(bench, end):
    bench.sink.act = end(body=b"1")
    bench.host.recursion.read_from(lambda name: name == "hello")
    trace = "Root=1-5e6a88ee-aaaabbbbccccddddeeeeffff;Lineage=1:3610a686:900"

    assert 200 == bench.invoke(x_amzn_trace_id=trace).status


def test_callers_have_a_rate_of_synchronous_requests(make_bench, end):
    """Whatever functions they are for; events, dry runs and a limit of 0 are not counted."""
    functions = [Function(name, handler="m.f") for name in ("hello", "other")]
    bench = make_bench(functions, account=Account(caller_requests_per_s=2))
    bench.sink.act = end(body=b"1")
    free = [bench.invoke(x_amz_invocation_type=kind).status for kind in ("Event", "DryRun", "Event")]
    taken = [bench.invoke(name=name).status for name in ("hello", "other")]
    refused = bench.invoke()

    assert ([202, 204, 202], [200, 200]) == (free, taken)
    assert (
        429,
        "TooManyRequestsException",
        {"Type": "User", "message": "Rate Exceeded.", "Reason": "CallerRateLimitExceeded"},
    ) == refused.error
    assert "1" == refused.headers["retry-after"]


def test_an_invocation_the_engine_gave_up_is_a_service_error(bench, end):
    """Cancelled, as at the end of the grace period: clients try again."""
    bench.sink.act = end(Status.CANCELLED, b"{}")
    status, code, document = bench.invoke().error

    assert (500, "ServiceException", "Server") == (status, code, document["Type"])


def test_bytes_a_handler_returned_are_sent_as_they_are(bench, end):
    bench.sink.act = end(body=b"\x00\xff", raw=True)
    answer = bench.invoke()

    assert (200, b"\x00\xff") == (answer.status, answer.body)
    assert "application/octet-stream" == answer.headers["content-type"]


@pytest.mark.parametrize("status", [Status.SUCCESS, Status.ERROR])
def test_the_log_tail_comes_as_base64_when_asked_for(bench, end, status):
    bench.sink.act = end(status, b"1", log_tail="START …\n".encode())
    answer = bench.invoke(x_amz_log_type="Tail")

    assert bench.event.wants_log
    assert encoded("START …\n") == answer.headers["x-amz-log-result"]


def test_without_asking_there_is_no_log(bench):
    assert "x-amz-log-result" not in bench.invoke(x_amz_log_type="None").headers
    assert not bench.event.wants_log


# ---------------------------------------------------------------- Event, DryRun, the legacy operation


def test_an_event_is_accepted_whatever_becomes_of_it(bench, throttle):
    """Also if it is throttled at first; neither log nor client context goes along."""
    bench.sink.act = throttle("ConcurrentInvocationLimitExceeded")
    answer = bench.invoke(
        b"[1]",
        x_amz_invocation_type="Event",
        x_amz_log_type="Tail",
        x_amz_client_context=encoded("{}"),
    )
    event = bench.event

    assert (202, b"") == (answer.status, answer.body)
    assert {"content-type", "x-amzn-requestid", "x-amzn-trace-id"} == set(answer.headers)
    assert ("event", b"[1]", FIRST_ID) == (event.trigger, event.payload, event.request_id)
    assert (False, None) == (event.wants_log, event.client_context)


def test_an_event_must_be_json_too(bench):
    assert 400 == bench.invoke(b"{", x_amz_invocation_type="Event").status
    assert [] == bench.sink.events


def test_a_dry_run_runs_nothing(bench):
    answer = bench.invoke(b"no json", x_amz_invocation_type="DryRun")

    assert (204, b"", []) == (answer.status, answer.body, bench.sink.events)
    assert 404 == bench.invoke(name="nobody", x_amz_invocation_type="DryRun").status


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_legacy_operation_is_an_event(bench, slash):
    answer = bench.ask("POST", f"/2014-11-13/functions/hello/invoke-async{slash}", body=b"[]")

    assert (202, b"") == (answer.status, answer.body)
    assert ("event", b"[]") == (bench.event.trigger, bench.event.payload)


# ---------------------------------------------------------------- what is remembered


def test_targets_remembered_are_bounded(bench):
    """A client that invents queries all day costs no memory."""
    sizes = []
    for numbers in (range(4_000), range(4_000, 6_000)):
        for number in numbers:
            bench.ask("POST", f"/2015-03-31/functions/hello/invocations?x={number}")
        bench.sink.events.clear()
        sizes.append(reachable(bench.api))

    assert sizes[1] <= sizes[0]
    assert 200 == bench.invoke().status


def test_a_remembered_target_is_for_post_alone(bench):
    """Another method on the same path is another operation."""
    assert 200 == bench.invoke().status
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        status, code, _ = bench.ask(method, "/2015-03-31/functions/hello/invocations").error

        assert (501, "NotImplementedException") == (status, code)


def test_each_request_has_an_id_of_its_own(bench):
    assert 3 == len({bench.invoke().headers["x-amzn-requestid"] for _ in range(3)})
