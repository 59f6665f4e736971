"""What must work in any environment that the engine is installed into; run by its interpreter, without more.

    python -m venv V && V/bin/pip install . OTHERS && V/bin/python tests/environments/smoke.py

Functions over the Lambda API, mappings, URLs, large objects and queues by plain HTTP, an engine as a Python
object, the commands that need data of the package, the demo among them, and a run of pytest, if there is one.
Exit code 1 and a traceback if anything fails.
"""

import asyncio
import base64
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path
from urllib.request import Request, urlopen

HANDLER = "def handler(event, context):\n    return {'got': event}\n"
LAMBDA, CREDENTIAL = "2015-03-31/functions", "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1"


def call(url, body=None, *, method="POST", service="lambda", **headers):
    """The body of the answer; a status that is an error raises."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    signed = {"Authorization": f"{CREDENTIAL}/{service}/aws4_request, SignedHeaders=host, Signature=0"}
    request = Request(url, data, {**signed, **headers}, method=method)
    with urlopen(request, timeout=20) as answer:
        return answer.read()


def served(aws):
    """All that goes on after its request was taken."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", HANDLER)
    function = {
        "FunctionName": "f",
        "Role": "arn:aws:iam::000000000000:role/any",
        "Runtime": "python3.12",
        "Handler": "app.handler",
        "Code": {"ZipFile": base64.b64encode(buffer.getvalue()).decode()},
    }
    call(f"{aws}/{LAMBDA}", function)
    while json.loads(call(f"{aws}/{LAMBDA}/f/configuration", method="GET"))["State"] == "Pending":
        pass
    assert {"got": 1} == json.loads(call(f"{aws}/{LAMBDA}/f/invocations", 1))
    call(f"{aws}/2017-10-31/functions/f/concurrency", {"ReservedConcurrentExecutions": 5}, method="PUT")
    url = json.loads(call(f"{aws}/2021-10-31/functions/f/url", {"AuthType": "NONE"}))["FunctionUrl"]
    assert "rawPath" in json.loads(call(f"{url}hello", method="GET"))["got"]
    sqs = {"service": "sqs", "Content-Type": "application/x-amz-json-1.0"}
    queue = json.loads(call(aws, {"QueueName": "q"}, **sqs, **{"X-Amz-Target": "AmazonSQS.CreateQueue"}))
    assert queue["QueueUrl"].endswith("/q")
    mapping = {"FunctionName": "f", "EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:q"}
    call(f"{aws}/2015-03-31/event-source-mappings", mapping)
    call(f"{aws}/b-1", b"", method="PUT", service="s3")
    call(f"{aws}/b-1/k", b"x" * 3_000_000, method="PUT", service="s3")
    assert 3_000_000 == len(call(f"{aws}/b-1/k", method="GET", service="s3"))


async def embedded(folder):
    """The engine as a Python object."""
    from engine import Engine, Function

    async with Engine([Function("f", handler="app.handler", code=folder)]) as engine:
        assert {"got": 2} == (await engine.invoke("f", 2)).payload


def tested(folder):
    """A run of pytest that has nothing to do with the engine."""
    Path(folder, "test_other.py").write_text("def test_other():\n    pass\n")
    subprocess.run([sys.executable, "-m", "pytest", "-q", folder], check=True, cwd=folder)


def commanded(folder):
    """What the commands find is in the package: dashboards, rules, prices, the demo's handlers."""

    def engine(*arguments):
        command = [sys.executable, "-m", "engine", *arguments]
        return subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True).stdout

    engine("dashboards", "--out", "watch")
    assert Path(folder, "watch", "dashboards", "engine-scaling.json").is_file()
    assert "engine-alerts" in engine("rules")
    assert "usd" in engine("cost", "--requests", "3M", "--duration-ms", "120", "--json")
    assert json.loads(engine("demo", "--json"))["ok"]
    assert Path(folder, "report.html").is_file()


def main():
    """Try all of it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "app.py").write_text(HANDLER)
        listeners = [f"--{name}=127.0.0.1:0" for name in ("http", "aws", "admin")]
        command = [sys.executable, "-m", "engine", "serve", *listeners, "--state-dir", f"{folder}/state"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            addresses = json.loads(process.stdout.readline())
            served(addresses["aws"])
            assert b"engine_invocations_total" in call(f"{addresses['admin']}/metrics", method="GET")
        finally:
            process.terminate()
            process.wait(20)
        assert 0 == process.returncode
        asyncio.run(embedded(folder))
        commanded(folder)
        if find_spec("pytest"):
            tested(folder)
    print("all of it works here")


if __name__ == "__main__":
    main()
