"""What tests of a served engine share: the process, and clients of it."""

import io
import json
import os
import subprocess
import sys
import zipfile
from contextlib import contextmanager

import boto3
import pytest
from botocore.config import Config

ROLE = "arn:aws:iam::000000000000:role/any"


class Served:
    """An engine in a process of its own."""

    def __init__(self, addresses, process):
        self.addresses, self.process = addresses, process
        self.lambda_ = self.client("lambda")

    def client(self, service):
        """A client of boto3 that tries once."""
        return boto3.client(
            service,
            endpoint_url=self.addresses["aws"],
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            config=Config(retries={"max_attempts": 0}, max_pool_connections=32),
        )

    def create(self, name, source, **more):
        """A function of one module, `app`, waited for."""
        answer = self.lambda_.create_function(
            **{
                "FunctionName": name,
                "Role": ROLE,
                "Runtime": "python3.12",
                "Handler": "app.handler",
                "Code": {"ZipFile": zipped({"app.py": source})},
                **more,
            }
        )
        self.wait("function_active_v2", name)
        return answer

    def wait(self, waiter, name):
        """One of boto3's waiters, quicker."""
        config = {"Delay": 0.05, "MaxAttempts": 200}
        self.lambda_.get_waiter(waiter).wait(FunctionName=name, WaiterConfig=config)

    def invoke(self, name, payload=None, **more):
        """What the handler returned, and the version that ran. An error is returned like a result."""
        answer = self.lambda_.invoke(FunctionName=name, Payload=json.dumps(payload), **more)
        return json.loads(answer["Payload"].read()), answer["ExecutedVersion"]


def zipped(files):
    """An archive of text files; `bootstrap` is executable."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o100755 if name.endswith("bootstrap") else 0o100644) << 16
            archive.writestr(info, text)
    return buffer.getvalue()


@contextmanager
def serving(*arguments):
    """`engine serve` with free ports, until the block ends."""
    command = [sys.executable, "-m", "engine", "serve", "--log-format", "off", *arguments]
    for listener in ("http", "aws", "admin"):
        command += [f"--{listener}", "127.0.0.1:0"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ)
    try:
        line = process.stdout.readline()
        if not line:
            raise AssertionError(process.stderr.read().decode())
        yield Served(json.loads(line), process)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=100)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


@pytest.fixture(scope="session")
def serve():
    """Starts engines: `with serve("--state-dir", folder) as served`."""
    return serving


@pytest.fixture(scope="session")
def package():
    """Makes archives."""
    return zipped


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """One engine for the tests of a module; each uses functions of its own."""
    with serving("--state-dir", str(tmp_path_factory.mktemp("state"))) as served:
        yield served
