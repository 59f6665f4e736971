"""What a handler finds is the same on every executor, as on Lambda."""

import asyncio
import json

import pytest

from engine import Engine, Function

pytestmark = pytest.mark.real_time

SOURCE = """
import asyncio, logging, os, time

KIND = "AWS_LAMBDA_INITIALIZATION_TYPE"
LOG = logging.getLogger("x")

def told(event):
    if "log" in event:
        for level in ("debug", "info"):
            getattr(LOG, level)("told " + level)
    if "bad" in event:
        LOG.error("%d", "x")
    return [os.environ[KIND], os.environ["AWS_LAMBDA_LOG_FORMAT"], os.environ["AWS_LAMBDA_LOG_LEVEL"]]

def alone(event, context):
    if "meet" not in event:
        return False
    open(os.path.join(event["meet"], context.aws_request_id), "w").close()
    return len(os.listdir(event["meet"])) < 2

def plain(event, context):
    while alone(event, context):
        time.sleep(0.01)
    return told(event)

async def awaited(event, context):
    while alone(event, context):
        await asyncio.sleep(0.01)
    return told(event)
"""
EXECUTORS = {"loop": "awaited", "thread": "plain", "process": "plain", "runtime": "plain"}


async def test_each_executor_says_how_it_began_and_logs_as_awss_client_does(tmp_path):
    """Provisioned or on demand; JSON means INFO; a logging call that does not fit fails the invocation."""
    (tmp_path / "app.py").write_text(SOURCE)
    functions = [
        Function(
            executor,
            handler=f"app.{handler}",
            code=str(tmp_path),
            executor=executor,
            provisioned_concurrency=1,
            timeout_s=30,
        )
        for executor, handler in EXECUTORS.items()
    ]
    lines = []
    async with Engine(functions, log_format="json", write_log=lines.append, scaling_rate=0) as engine:

        async def ask(name, **event):
            outcome = await engine.invoke(name, event)
            return outcome.status.value, json.loads(outcome.body)

        for name in EXECUTORS:
            lines.clear()
            first = await ask(name, log=True)
            (tmp_path / name).mkdir()
            kinds = await asyncio.gather(*[ask(name, meet=str(tmp_path / name)) for _ in range(2)])
            status, failure = await ask(name, bad=True)

            assert ("success", ["provisioned-concurrency", "JSON", "INFO"]) == first, name
            assert ["on-demand", "provisioned-concurrency"] == sorted(kind[1][0] for kind in kinds), name
            assert ("error", "TypeError") == (status, failure["errorType"]), name
            log = "".join(lines)
            assert (False, True) == ("told debug" in log, '"message": "told info"' in log), name
