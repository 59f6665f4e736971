"""Payload format 1.0 of an HTTP API: what tells it from a REST API's, in event and answer."""

import pytest
from pydantic import ValidationError

from engine.config import load_config
from engine.sources.http.settings import HttpEvent

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Runtime: python3.11
      CodeUri: .
      Events:
        Old:
          Type: HttpApi
          Properties: {Path: /old, Method: GET, PayloadFormatVersion: "1.0"}
        New:
          Type: HttpApi
          Properties: {Path: /new, Method: GET}
        Rest:
          Type: Api
          Properties: {Path: /rest, Method: GET}
"""


def test_a_template_says_which_api_a_route_of_format_1_0_is_of(tmp_path):
    (tmp_path / "app.py").write_text("handler = print\n")
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    config = load_config(str(tmp_path / "template.yaml"))
    events = {binding.settings.path: binding.settings for binding in config.bindings["http"]}

    assert {
        "/old": ("1.0", "http", "$default"),
        "/new": ("2.0", None, "$default"),
        "/rest": ("1.0", None, "Prod"),
    } == {path: (event.payload_format, event.api, event.stage_name) for path, event in events.items()}


@pytest.mark.parametrize(
    "keys",
    [
        {"payload_format": "2.0", "api": "http"},
        {"payload_format": "alb", "api": "rest"},
        {"payload_format": "1.0", "api": "http", "binary_media_types": ["*/*"]},
    ],
    ids=str,
)
def test_keys_that_do_not_fit_are_refused(keys):
    with pytest.raises(ValidationError):
        HttpEvent(**keys)


@pytest.mark.parametrize(
    ("stage", "path"), [(None, "/hello/a+b"), ("test", "/test/hello/a+b")], ids=["$default", "test"]
)
def test_the_event_is_an_http_apis(exchange, request_of, stage, path):
    api = exchange(payload_format="1.0", api="http", path="/hello/{name}", stage=stage)
    event = api.event(
        request_of("GET", b"/hello/a%2Bb?x=1", [(b"Host", b"example.test")], b""), {"name": "a%2Bb"}
    )
    context = event["requestContext"]

    assert ("1.0", "version") == (event["version"], next(iter(event)))
    assert ("/hello/{name}", "/hello/a+b", {"name": "a+b"}) == (
        event["resource"],
        event["path"],
        event["pathParameters"],
    )
    assert (stage or "$default", path, None) == (context["stage"], context["path"], context["resourceId"])
    assert {"claims": None, "scopes": None} == context["authorizer"]
    assert "deploymentId" not in context


def test_its_bodies_are_text_by_their_content_type(exchange, request_of):
    api = exchange(payload_format="1.0", api="http")
    bodies = [
        api.event(request_of("POST", b"/", [(b"Content-Type", kind)], b"abc"), {})
        for kind in (b"application/json", b"image/png")
    ]

    assert [("abc", False), ("YWJj", True)] == [(one["body"], one["isBase64Encoded"]) for one in bodies]


@pytest.mark.parametrize(
    ("result", "answered"),
    [
        (b'{"statusCode":201,"body":"YWJj","isBase64Encoded":true}', (201, b"abc")),
        (b'{"body":"x"}', (500, b'{"message":"Internal Server Error"}')),
        (b'"x"', (500, b'{"message":"Internal Server Error"}')),
    ],
    ids=["base64", "no status", "a string"],
)
def test_its_answers_need_a_status_and_failures_are_an_http_apis(exchange, result, answered):
    status, _, body = exchange(payload_format="1.0", api="http").answer(result)

    assert (status, body) == answered
