"""A template served: code in every form runs with its layers, by its aliases, and uploads arrive whole."""

import base64
import http.client
import json
import time
import zipfile

import pytest

pytestmark = pytest.mark.real_time

HANDLER = """
import json
import shared

def handler(event, context):
    kind = {"isBase64Encoded": event.get("isBase64Encoded"), "body": event.get("body")}
    told = {"who": context.function_name, "arn": context.invoked_function_arn, "layer": shared.NAME, **kind}
    told["stage"] = event.get("requestContext", {}).get("stage")
    told["variables"] = event.get("stageVariables")
    return {"statusCode": 200, "body": json.dumps(told)}
"""
TEMPLATE = """
Globals:
  Function: {Runtime: python3.11, Handler: app.handler, Layers: [!Ref Folder, !Ref Archive]}
Resources:
  Folder: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layer}}
  Archive: {Type: AWS::Lambda::LayerVersion, Properties: {Content: layer.zip}}
  Rest:
    Type: AWS::Serverless::Api
    Properties: {StageName: v1, BinaryMediaTypes: [image~1png], Variables: {COLOUR: red}}
  InFolder:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src
      AutoPublishAlias: live
      Events:
        Put: {Type: Api, Properties: {Path: /upload, Method: put, RestApiId: !Ref Rest}}
  InZip: {Type: AWS::Serverless::Function, Properties: {CodeUri: app.zip}}
  InFile: {Type: AWS::Serverless::Function, Properties: {CodeUri: src/app.py}}
  Inline:
    Type: AWS::Serverless::Function
    Properties:
      Handler: index.run
      InlineCode: |
        import extra, shared
        def run(event, context):
            return [shared.NAME, extra.NAME, event]
"""


@pytest.fixture
def stack(tmp_path, serve):
    """The template above, served with its code."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "app.py").write_text(HANDLER)
    (tmp_path / "layer" / "python").mkdir(parents=True)
    (tmp_path / "layer" / "python" / "shared.py").write_text("NAME = 'first'\n")
    for name, entry, text in (
        ("app.zip", "app.py", HANDLER),
        ("layer.zip", "python/extra.py", "NAME = 'second'\n"),
    ):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(entry, text)
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    with serve("--config", str(tmp_path / "template.yaml"), "--reload") as engine:
        engine.folder = tmp_path
        yield engine


def put(engine, body, kind):
    """The event's parts that the handler tells of a PUT of `body`."""
    connection = http.client.HTTPConnection(engine.addresses["http"].removeprefix("http://"), timeout=60)
    connection.request("PUT", "/upload", body, {"Content-Type": kind})
    with connection.getresponse() as answer:
        told = json.loads(answer.read())
    connection.close()
    return told


def test_a_template_runs_with_its_layers_aliases_and_uploads(stack):
    """One server for all of it: it takes a second to start."""
    arn = "arn:aws:lambda:us-east-1:000000000000:function:InFolder"
    picture = bytes(range(256))

    upload = put(stack, picture, "image/png")
    text = put(stack, b"plain", "text/plain")
    named, _ = stack.invoke("InFolder", {}, Qualifier="live")
    aliases = stack.lambda_.list_aliases(FunctionName="InFolder")["Aliases"]

    assert (True, picture) == (upload["isBase64Encoded"], base64.b64decode(upload["body"]))
    assert (False, "plain") == (text["isBase64Encoded"], text["body"])
    assert (f"{arn}:live", "v1", {"COLOUR": "red"}) == (upload["arn"], upload["stage"], upload["variables"])
    assert f"{arn}:live" == json.loads(named["body"])["arn"]
    assert ["live"] == [alias["Name"] for alias in aliases]
    for name in ("InFolder", "InZip", "InFile"):
        told = json.loads(stack.invoke(name, {})[0]["body"])
        assert (name, "first") == (told["who"], told["layer"])
    assert ["first", "second", {"a": 1}] == stack.invoke("Inline", {"a": 1})[0]

    (stack.folder / "layer" / "python" / "shared.py").write_text("NAME = 'changed'\n")
    until = time.monotonic() + 20
    while stack.invoke("Inline")[0][0] != "changed" and time.monotonic() < until:
        time.sleep(0.1)
    assert "changed" == stack.invoke("Inline")[0][0]
