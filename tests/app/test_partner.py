"""AWS services that the engine has not are answered by a partner, reached through the engine alone."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from botocore.exceptions import ClientError

from engine.services.partner.moto_process import MotoProcess, PartnerFailed

pytestmark = pytest.mark.real_time

APPLICATION = """
import boto3, os

def handler(event, context):
    secret = boto3.client("secretsmanager").get_secret_value(SecretId="token")["SecretString"]
    table = boto3.client("ssm").get_parameter(Name="/table")["Parameter"]["Value"]
    boto3.resource("dynamodb").Table(table).put_item(Item={"id": event["id"], "secret": secret})
    boto3.client("s3").put_object(Bucket="seen", Key=event["id"], Body=b"x")
    return boto3.client("sts").get_caller_identity()["Account"]

def echo(event, context):
    return event
"""
TABLE = {
    "TableName": "orders",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    folder = tmp_path_factory.mktemp("application")
    (folder / "app.py").write_text(APPLICATION)
    (folder / "engine.toml").write_text(
        '[engine]\naccount_id = "111122223333"\n[buckets.seen]\n'
        '[functions.app]\nhandler = "app.handler"\ntimeout_s = 60\n'
        '[functions.echo]\nhandler = "app.echo"\n'
    )
    return folder


@pytest.fixture(scope="module")
def served(serve, application):
    with serve("--config", str(application / "engine.toml")) as served:
        yield served


def processes(pid):
    """The pids of moto's servers whose parent is `pid`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            line = path.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if parent == pid and b"moto_server" in line:
            found.append(int(path.parent.name))
    return found


def raw(served, method, path, headers=None, body=b""):
    connection = HTTPConnection(served.addresses["aws"].partition("://")[2], timeout=60)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


def signed(service):
    scope = f"key/20260101/us-east-1/{service}/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}


def test_one_endpoint_serves_a_whole_application(served):
    served.client("dynamodb").create_table(**TABLE)
    served.client("ssm").put_parameter(Name="/table", Value="orders", Type="String")
    served.client("secretsmanager").create_secret(Name="token", SecretString="s3cret")

    account, _ = served.invoke("app", {"id": "1"})
    items = served.client("dynamodb").scan(TableName="orders")["Items"]
    keys = [item["Key"] for item in served.client("s3").list_objects_v2(Bucket="seen")["Contents"]]

    assert "111122223333" == account
    assert [{"id": {"S": "1"}, "secret": {"S": "s3cret"}}] == items
    assert ["1"] == keys


def test_a_state_machine_calls_the_engines_functions(served):
    states = served.client("stepfunctions")
    definition = {
        "StartAt": "Call",
        "States": {
            "Call": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": "echo", "Payload.$": "$"},
                "OutputPath": "$.Payload",
                "End": True,
            }
        },
    }
    machine = states.create_state_machine(
        name="machine", definition=json.dumps(definition), roleArn="arn:aws:iam::111122223333:role/any"
    )
    execution = states.start_execution(stateMachineArn=machine["stateMachineArn"], input='{"n": 1}')
    until = time.monotonic() + 30
    found = {"status": "RUNNING"}
    while "RUNNING" == found["status"] and time.monotonic() < until:
        time.sleep(0.05)
        found = states.describe_execution(executionArn=execution["executionArn"])

    assert ("SUCCEEDED", {"n": 1}) == (found["status"], json.loads(found.get("output", "null")))


def test_no_path_or_scope_reaches_what_the_partner_must_not_answer(served):
    """Its administration, and its own Lambda, SQS and S3."""
    served.client("ssm").put_parameter(Name="/kept", Value="1", Type="String")
    tries = [
        raw(served, "POST", path, signed(service))
        for path in ("/moto-api/reset", "//moto-api/reset", "/%6doto-api/reset", "/latest/meta-data/")
        for service in ("dynamodb", "ssm", "moto_api", "SQS", "S3", "Lambda", "sts")
    ]
    double = {**signed("ssm"), "authorization": signed("s3")["Authorization"]}
    tries.append(raw(served, "GET", "/?list-type=2", double))
    listed = [raw(served, "GET", "/", signed(service))[1] for service in ("S3", "SQS", "LAMBDA")]

    kept = served.client("ssm").get_parameter(Name="/kept")["Parameter"]["Value"]
    assert "1" == kept
    assert not [body for _, body in tries if b'"status"' in body or b"ListAllMyBuckets" in body]
    assert not [body for body in listed if b"ListAllMyBucketsResult" in body or b"Functions" in body]


def test_the_partner_opens_no_port_and_its_socket_is_its_users_alone(served):
    served.client("ssm").describe_parameters()
    (pid,) = processes(served.process.pid)
    sockets = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()}
    open_ports = [
        line.split()[1]
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        if f"socket:[{line.split()[9]}]" in sockets
    ]
    folder = Path(os.readlink(f"/proc/{pid}/cwd"))

    assert [] == open_ports
    assert 0o700 == folder.stat().st_mode & 0o777
    assert (folder / "socket").is_socket()


def test_a_page_that_is_allowed_reads_the_partners_answer_and_no_other_page_could(served):
    """moto says of every answer that all pages may read it; two such headers are refused by browsers."""
    connection = HTTPConnection(served.addresses["aws"].partition("://")[2], timeout=60)
    origin = {"Origin": "http://localhost:8000", "User-Agent": "Mozilla/5.0"}
    target = {"X-Amz-Target": "AmazonSSM.DescribeParameters", "Content-Type": "application/x-amz-json-1.1"}
    allowed = []
    for more in (origin, {}):
        connection.request("POST", "/", b"{}", {**signed("ssm"), **target, **more})
        answer = connection.getresponse()
        answer.read()
        allowed.append(answer.headers.get_all("Access-Control-Allow-Origin"))
    connection.close()

    assert [["http://localhost:8000"], None] == allowed


def test_a_service_that_nobody_serves_is_refused_by_name(served):
    status, body = raw(served, "POST", "/", signed("no-such-service"), b"{}")

    assert 501 == status
    assert "'no-such-service'" in json.loads(body)["message"]


def test_requests_without_a_signature_are_told_by_target_and_version(served):
    target = {"X-Amz-Target": "AmazonSSM.DescribeParameters", "Content-Type": "application/x-amz-json-1.1"}
    by_target = raw(served, "POST", "/", target, b"{}")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    by_version = raw(served, "POST", "/", form, b"Action=GetCallerIdentity&Version=2011-06-15")

    assert 200 == by_target[0]
    assert "Parameters" in json.loads(by_target[1])
    assert 200 == by_version[0]
    assert b"<Account>111122223333</Account>" in by_version[1]


def test_a_death_costs_one_clear_error_and_the_partner_comes_back(serve, application):
    with serve("--config", str(application / "engine.toml")) as served:
        ssm = served.client("ssm")
        ssm.put_parameter(Name="/x", Value="1", Type="String")
        (pid,) = processes(served.process.pid)
        os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 30
        while processes(served.process.pid) and time.monotonic() < until:
            time.sleep(0.02)
        with pytest.raises(ClientError) as failed:
            ssm.describe_parameters()
        after = ssm.describe_parameters()["Parameters"]
        (again,) = processes(served.process.pid)

    assert "PartnerFailed" == failed.value.response["Error"]["Code"]
    assert "moto has ended" in failed.value.response["Error"]["Message"]
    assert "is lost" in failed.value.response["Error"]["Message"]
    assert [] == after
    assert pid != again
    assert not Path(f"/proc/{again}").exists()


def test_the_partner_does_not_outlive_an_engine_that_is_killed(serve, application):
    with serve("--config", str(application / "engine.toml")) as served:
        served.client("ssm").describe_parameters()
        (pid,) = processes(served.process.pid)
        folder = Path(os.readlink(f"/proc/{pid}/cwd"))
        served.process.kill()
        until = time.monotonic() + 30
        while (Path(f"/proc/{pid}").exists() or folder.exists()) and time.monotonic() < until:
            time.sleep(0.05)

    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_nothing_is_started_before_a_request_needs_it(serve, application):
    with serve("--config", str(application / "engine.toml")) as served:
        served.client("s3").list_buckets()
        assert [] == processes(served.process.pid)


class Emulator(BaseHTTPRequestHandler):
    """Any other emulator: answers what it was sent."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        shown = {"path": self.path, "auth": self.headers["Authorization"], "body": body.decode()}
        answer = json.dumps({"Parameter": {"Value": json.dumps(shown)}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Say nothing."""


def test_another_emulator_is_named_by_its_url(serve, tmp_path):
    (tmp_path / "app.py").write_text(APPLICATION)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Emulator)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    (tmp_path / "engine.toml").write_text(
        f'[engine]\npartner = "{url}"\n[functions.f]\nhandler = "app.handler"\n'
    )
    try:
        with serve("--config", str(tmp_path / "engine.toml")) as served:
            ssm = served.client("ssm")
            answer = json.loads(ssm.get_parameter(Name="/a")["Parameter"]["Value"])
            server.shutdown()
            server.server_close()
            with pytest.raises(ClientError) as failed:
                ssm.get_parameter(Name="/a")
    finally:
        server.server_close()

    assert ("/", '{"Name": "/a"}') == (answer["path"], answer["body"])
    assert "/us-east-1/ssm/aws4_request" in answer["auth"]
    assert "PartnerFailed" == failed.value.response["Error"]["Code"]


@pytest.mark.parametrize("value", ["localstack", "https://example.com", "http://", "ftp://a", ""])
def test_a_setting_that_names_no_partner_is_told(value, tmp_path):
    (tmp_path / "engine.toml").write_text(f'[engine]\npartner = "{value}"\n')
    command = [sys.executable, "-m", "engine", "check", "--config", str(tmp_path / "engine.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert 2 == done.returncode
    assert "engine.partner" in done.stdout + done.stderr


async def test_all_that_wait_for_a_partner_are_told_that_it_was_ended():
    """None of them is cancelled: each has a client that waits for an answer."""
    moto = MotoProcess("111122223333", None, print)
    waiting = [asyncio.create_task(moto.wait_ready()) for _ in range(2)]
    await asyncio.sleep(0)
    moto.close()
    told = await asyncio.gather(*waiting, return_exceptions=True)

    assert [PartnerFailed, PartnerFailed] == [type(one) for one in told]
    assert not moto.is_alive


async def test_a_partner_that_cannot_be_started_leaves_nothing_behind(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = os.listdir("/proc/self/fd")
    with pytest.raises(PartnerFailed, match="could not be started"):
        MotoProcess("111122223333", None, print)

    assert [] == list(tmp_path.iterdir())
    assert len(before) == len(os.listdir("/proc/self/fd"))
