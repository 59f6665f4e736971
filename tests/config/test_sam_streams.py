"""Templates whose functions stream: URLs by InvokeMode, REST APIs by their response transfer mode."""

import pytest

from engine.config import load_config
from engine.errors import ConfigError

FUNCTION = """
Transform: AWS::Serverless-2016-10-31
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: orders.handler
      Runtime: python3.13
"""
URI = (
    "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2021-11-15/functions/${F.Arn}"
    "/response-streaming-invocations"
)

URL = f"{FUNCTION}      FunctionUrlConfig: {{AuthType: NONE, InvokeMode: MODE}}\n"

OPENAPI = f"""{FUNCTION}
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: v1
      DefinitionBody:
        openapi: 3.0.1
        paths:
          /chat:
            post:
              x-amazon-apigateway-integration:
                type: aws_proxy
                httpMethod: POST
                responseTransferMode: MODE
                uri: !Sub "{URI}"
"""

CLOUDFORMATION = f"""{FUNCTION}
  Api:
    Type: AWS::ApiGateway::RestApi
    Properties: {{Name: a}}
  Chat:
    Type: AWS::ApiGateway::Resource
    Properties: {{RestApiId: !Ref Api, ParentId: !GetAtt Api.RootResourceId, PathPart: chat}}
  Post:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Api
      ResourceId: !Ref Chat
      HttpMethod: POST
      AuthorizationType: NONE
      Integration:
        Type: AWS_PROXY
        IntegrationHttpMethod: POST
        ResponseTransferMode: MODE
        Uri: !Sub "{URI}"
"""


@pytest.fixture
def read(tmp_path):
    """The HTTP events of a template, and what is said of it."""
    (tmp_path / "orders.py").write_text("def handler(event, context): ...\n")

    def read_template(text, mode):
        path = tmp_path / "template.yaml"
        path.write_text(text.replace("MODE", mode))
        config = load_config(path)
        return [binding.settings for binding in config.bindings["http"]], config.warnings

    return read_template


@pytest.mark.parametrize("streams", [True, False])
def test_a_function_url_streams_if_its_invoke_mode_says_so(read, streams):
    [event], warnings = read(URL, "RESPONSE_STREAM" if streams else "BUFFERED")

    assert ("$default", "function-url", streams) == (event.path, event.front_door, event.response_stream)
    assert () == tuple(warnings)


@pytest.mark.parametrize("template", [OPENAPI, CLOUDFORMATION], ids=["openapi", "cloudformation"])
@pytest.mark.parametrize("streams", [True, False])
def test_a_rest_api_streams_if_its_integration_says_so(read, template, streams):
    """It waits for its function as long as that takes, then."""
    [event], warnings = read(template, "STREAM" if streams else "BUFFERED")

    assert ("/chat", "rest-api", streams) == (event.path, event.front_door, event.response_stream)
    assert (None if streams else 29.0) == event.answer_within_s
    assert () == tuple(warnings)


def test_several_urls_share_the_listener_and_each_has_its_own_mode(read):
    both = URL + URL.partition("Resources:\n")[2].replace("  F:", "  G:").replace("MODE", "BUFFERED")
    events, _ = read(both, "RESPONSE_STREAM")

    assert [("/F", True), ("/F/{proxy+}", True), ("/G", False), ("/G/{proxy+}", False)] == [
        (event.path, event.response_stream) for event in events
    ]


@pytest.mark.parametrize(
    ("template", "key", "known"),
    [
        (URL, "Resources.F.Properties.FunctionUrlConfig.InvokeMode", "BUFFERED or RESPONSE_STREAM"),
        (CLOUDFORMATION, "Resources.Post.Properties.Integration.ResponseTransferMode", "BUFFERED or STREAM"),
    ],
    ids=["url", "rest"],
)
def test_another_mode_is_refused(read, template, key, known):
    with pytest.raises(ConfigError) as refused:
        read(template, "FAST")

    assert f"{key}: 'FAST' is not {known}" in str(refused.value)
