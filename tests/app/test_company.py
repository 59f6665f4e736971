"""The engine among other packages: what they bring changes no answer."""

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

pytestmark = pytest.mark.real_time

SOURCE = "def handler(event, context):\n    return 1\n"


@pytest.fixture(scope="module")
def company(serve, tmp_path_factory):
    """An engine with everything that goes on after a request was taken: packages, files, mappings, URLs."""
    pytest.importorskip("sniffio")
    folder = tmp_path_factory.mktemp("company")
    (folder / "engine.toml").write_text('[s3]\nintake_confirm_hosts = ["127.0.0.1"]\n')
    arguments = ("--config", str(folder / "engine.toml"), "--state-dir", str(folder / "state"))
    with serve(*arguments) as served:
        served.create("f", SOURCE, Publish=True)
        served.sqs = served.client("sqs")
        served.queue = served.sqs.create_queue(QueueName="q")["QueueUrl"]
        served.s3 = served.client("s3")
        served.s3.create_bucket(Bucket="b-1")
        yield served


def mapping(served):
    arn = "arn:aws:sqs:us-east-1:000000000000:q"
    return served.lambda_.create_event_source_mapping(FunctionName="f", EventSourceArn=arn)["UUID"]


def put_large(served):
    served.s3.put_object(Bucket="b-1", Key="large", Body=b"x" * 3_000_000)
    return served.s3.get_object(Bucket="b-1", Key="large")["Body"].read()


def upload_in_parts(served):
    upload = served.s3.create_multipart_upload(Bucket="b-1", Key="parts")["UploadId"]
    where = {"Bucket": "b-1", "Key": "parts", "UploadId": upload}
    part = served.s3.upload_part(**where, PartNumber=1, Body=b"x" * 3_000_000)
    parts = [{"ETag": part["ETag"], "PartNumber": 1}]
    served.s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    served.s3.copy_object(Bucket="b-1", Key="copy", CopySource={"Bucket": "b-1", "Key": "parts"})
    return len(served.s3.get_object(Bucket="b-1", Key="copy", Range="bytes=5-2000000")["Body"].read())


OPERATIONS = {
    "CreateFunction": lambda s, z: s.create("other", SOURCE),
    "UpdateFunctionCode": lambda s, z: s.lambda_.update_function_code(FunctionName="f", ZipFile=z),
    "UpdateFunctionConfiguration": lambda s, z: s.lambda_.update_function_configuration(
        FunctionName="f", Timeout=5
    ),
    "PublishVersion": lambda s, z: s.lambda_.publish_version(FunctionName="f"),
    "CreateAlias": lambda s, z: s.lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="1"),
    "UpdateAlias": lambda s, z: s.lambda_.update_alias(FunctionName="f", Name="live", Description="d"),
    "PublishLayerVersion": lambda s, z: s.lambda_.publish_layer_version(
        LayerName="l", Content={"ZipFile": z}
    ),
    "DeleteLayerVersion": lambda s, z: s.lambda_.delete_layer_version(LayerName="l", VersionNumber=1),
    "PutFunctionConcurrency": lambda s, z: s.lambda_.put_function_concurrency(
        FunctionName="f", ReservedConcurrentExecutions=5
    ),
    "PutProvisionedConcurrencyConfig": lambda s, z: s.lambda_.put_provisioned_concurrency_config(
        FunctionName="f", Qualifier="live", ProvisionedConcurrentExecutions=1
    ),
    "PutFunctionEventInvokeConfig": lambda s, z: s.lambda_.put_function_event_invoke_config(
        FunctionName="f", MaximumRetryAttempts=0
    ),
    "CreateFunctionUrlConfig": lambda s, z: s.lambda_.create_function_url_config(
        FunctionName="f", AuthType="NONE"
    ),
    "UpdateFunctionUrlConfig": lambda s, z: s.lambda_.update_function_url_config(
        FunctionName="f", AuthType="NONE"
    ),
    "DeleteFunctionUrlConfig": lambda s, z: s.lambda_.delete_function_url_config(FunctionName="f"),
    "CreateEventSourceMapping": lambda s, z: mapping(s),
    "UpdateEventSourceMapping": lambda s, z: s.lambda_.update_event_source_mapping(
        UUID=s.lambda_.list_event_source_mappings()["EventSourceMappings"][0]["UUID"], BatchSize=2
    ),
    "DeleteEventSourceMapping": lambda s, z: s.lambda_.delete_event_source_mapping(
        UUID=s.lambda_.list_event_source_mappings()["EventSourceMappings"][0]["UUID"]
    ),
    "AddPermission": lambda s, z: s.lambda_.add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
    ),
    "TagResource": lambda s, z: s.lambda_.tag_resource(
        Resource="arn:aws:lambda:us-east-1:000000000000:function:f", Tags={"a": "b"}
    ),
    "Invoke": lambda s, z: s.invoke("f"),
    "InvokeAsync": lambda s, z: s.lambda_.invoke(FunctionName="f", InvocationType="Event"),
    "PutObject, GetObject": lambda s, z: put_large(s),
    "UploadPart, CopyObject, a range": lambda s, z: upload_in_parts(s),
    "DeleteObject": lambda s, z: s.s3.delete_object(Bucket="b-1", Key="large"),
    "CreateBucket": lambda s, z: s.s3.create_bucket(Bucket="b-2"),
    "SendMessage": lambda s, z: s.sqs.send_message(QueueUrl=s.queue, MessageBody="m"),
    "ReceiveMessage": lambda s, z: s.sqs.receive_message(QueueUrl=s.queue, WaitTimeSeconds=1),
    "DeleteFunction": lambda s, z: s.lambda_.delete_function(FunctionName="other"),
}


def test_every_operation_works_where_sniffio_is_installed(company, package):
    """Many packages bring it. anyio then no longer guesses what a protocol's callback runs on."""
    archive, failed = package({"app.py": SOURCE + "# new"}), {}
    for name, perform in OPERATIONS.items():
        company.wait("function_updated_v2", "f")
        try:
            perform(company, archive)
        except Exception as error:
            failed[name] = str(error)

    assert {} == failed


def test_a_subscription_is_confirmed_where_sniffio_is_installed(company):
    """Which goes on after the request; here nobody is at the URL that it gives."""
    body = {"Type": "SubscriptionConfirmation", "SubscribeURL": "http://127.0.0.1:1/"}
    asked = Request(f"{company.addresses['aws']}/_intake/s3", json.dumps(body).encode(), method="POST")
    with pytest.raises(HTTPError) as answer:
        urlopen(asked, timeout=60)

    assert 502 == answer.value.code
    assert b"could not be confirmed" in answer.value.read()
