"""What the two models show of a server that stalls: Locust itself, over real sockets."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("locust") is None:  # to import it here would patch this whole process for gevent
    pytest.skip("locust is not installed", allow_module_level=True)

from engine.load.planning.plan import LoadStage, Plan, Stream
from engine.load.running.locust_process import run_locust

pytestmark = [pytest.mark.real_time, pytest.mark.slow]

SERVER = Path(__file__).with_name("frozen_server.py")
TRIES = 6
"""A machine that is busy with something else can stall the closed users too: then it is looked at again."""


def p95_ms(folder):
    """The p95 of an open and of a closed stream of the same rate, against a server that stalls once."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            url = f"http://127.0.0.1:{int(server.stdout.readline())}"
            plan = Plan(
                run_id="frozen",
                scenario="frozen",
                urls={"http": url, "aws": url},
                streams={
                    "open": Stream(send="http", function="none"),
                    "closed": Stream(send="http", function="none", pace_per_s=12.5),
                },
                stages=(LoadStage(name="frozen", seconds=4, per_s={"open": 50}, users={"closed": 4}),),
                spacing="constant",
                result=str(folder / "client.json"),
            )

            def begun(_):
                """The load has begun: from now on, the server stalls."""
                if not server.stdin.closed:
                    server.stdin.close()

            streams = run_locust(plan, folder, begun)["streams"]
        finally:
            server.kill()
    return {name: one["latency_ms"]["success"]["p95"] for name, one in streams.items()}


def test_a_stall_shows_in_the_open_model_and_hides_in_the_closed_one(tmp_path):
    """Half a second in four: p95 above 100 ms where requests count from when due, else a quarter at most."""
    for _ in range(TRIES):
        seen = p95_ms(tmp_path / "run")
        if 4 * seen["closed"] < seen["open"]:
            break

    assert seen["open"] > 100
    assert 4 * seen["closed"] < seen["open"]
