"""What a handler finds in a process of its own: memory, /tmp, variables, output, snapshots."""

import asyncio
import json
import os
import sys

import pytest

from engine import ConfigError, Status
from engine.core.event import Event
from engine.executors.process.spec import EnvironmentSpec, FunctionSpec

pytestmark = pytest.mark.real_time

MEMORY = """
import time
def handler(event, context):
    block = bytearray(event["mb"] * 1024 * 1024)
    if event.get("stay"):
        time.sleep(event["stay"])
    return len(block)
"""


async def test_the_peak_of_memory_is_measured_for_each_invocation(make):
    """In megabytes, and that of this invocation, not of one before it."""
    async with make(MEMORY, memory_mb=512) as engine:
        small, large, small_again = [
            (await engine.invoke("f", {"mb": mb})).max_memory_mb for mb in (1, 200, 1)
        ]

    assert 200 < large < 300
    assert 5 < small < 100
    assert small_again < 100


@pytest.mark.parametrize("stay", [0, 15], ids=["for a moment", "and stays"])
async def test_an_invocation_over_its_memory_is_out_of_memory(make, stay):
    """Its environment is gone, and AWS's words say so."""
    async with make(MEMORY) as engine:
        fine = await engine.invoke("f", {"mb": 1})
        over = await engine.invoke("f", {"mb": 250, "stay": stay})
        then = await engine.invoke("f", {"mb": 1})

    assert (Status.SUCCESS, Status.OOM, Status.SUCCESS) == (fine.status, over.status, then.status)
    assert {
        "errorType": "Runtime.OutOfMemory",
        "errorMessage": f"RequestId: {over.request_id} Error: Runtime exited with error: signal: killed",
    } == over.error
    assert (128, True) == (over.max_memory_mb, then.cold_start)


async def test_an_init_over_its_memory_is_an_init_error(make):
    """Nothing ran."""
    source = "import time\nblock = bytearray(250 << 20)\ntime.sleep(15)\ndef handler(event, context): pass\n"
    async with make(source) as engine:
        failed = await engine.invoke("f")

    assert (Status.INIT_ERROR, "Runtime.OutOfMemory") == (failed.status, failed.error["errorType"])


async def test_the_report_tells_the_peak(make):
    """As on AWS."""
    lines = []
    async with make(MEMORY, settings={"write_log": lines.append}) as engine:
        outcome = await engine.invoke("f", {"mb": 1})

    assert f"Memory Size: 128 MB\tMax Memory Used: {outcome.max_memory_mb} MB\t" in "".join(lines)


TMP = """
import os, tempfile
FOLDER = tempfile.gettempdir()
def handler(event, context):
    path = os.path.join(FOLDER, "file")
    if event.get("write"):
        with open(path, "wb") as file:
            for _ in range(event["write"]):
                file.write(bytes(1 << 20))
    if "wait" in event:
        import time; time.sleep(event["wait"])
    return os.path.getsize(path) >> 20 if os.path.exists(path) else None
"""


async def test_tmp_is_each_environments_own_and_kept_between_its_invocations(make):
    """And it is gone with the environment."""
    async with make(TMP) as engine:
        written = engine.invoke("f", {"write": 3, "wait": 0.3})
        other = engine.invoke("f", {"wait": 0.3})
        first, second = await asyncio.gather(written, other)
        warm = [
            outcome.payload
            for outcome in await asyncio.gather(*(engine.invoke("f", {"wait": 0.2}) for _ in range(2)))
        ]
        engine.sink.renew()
        fresh = await engine.invoke("f", {})

    assert (3, None) == (first.payload, second.payload)
    assert [3, None] == sorted(warm, key=lambda size: size is None)
    assert fresh.payload is None


async def test_tmp_has_a_size(make):
    """What is over it is no space left on the device."""
    async with make(TMP, memory_mb=2048) as engine:
        fits = await engine.invoke("f", {"write": 400})
        full = await engine.invoke("f", {"write": 600})

    assert 400 == fits.payload
    assert (Status.ERROR, "OSError") == (full.status, full.error["errorType"])
    assert "No space left on device" in full.error["errorMessage"]


async def test_the_variables_are_lambdas_and_the_functions_own(make, monkeypatch):
    """Those of the machine are not inherited."""
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    source = (
        "import os\n"
        "def handler(event, context): return [dict(os.environ), os.getcwd(), context.log_stream_name]\n"
    )
    async with make(source, environment={"TABLE": "orders"}, memory_mb=256) as engine:
        event = Event("f", b"{}", "id-1", 0.0, trace_id="Root=1-2-3")
        variables, folder, stream = (await engine.sink.invoke(event)).payload
        untraced = (await engine.invoke("f", {})).payload[0]

    assert not {"SECRET_OF_THE_HOST", "HOME", "VIRTUAL_ENV", "PYTHONPATH"} & variables.keys()
    assert {
        "TABLE": "orders",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python3.{sys.version_info.minor}",
        "TZ": ":UTC",
        "_X_AMZN_TRACE_ID": "Root=1-2-3",
    }.items() <= variables.items()
    assert folder == variables["LAMBDA_TASK_ROOT"]
    assert "_X_AMZN_TRACE_ID" not in untraced


async def test_output_is_the_invocations_however_it_is_written(make):
    """By print, logging, file descriptor, or a program it starts."""
    source = """
import logging, os, subprocess, sys
def handler(event, context):
    print("printed")
    logging.getLogger().warning("logged")
    os.write(2, b"written\\n")
    subprocess.run(["echo", "echoed"], check=True)
    sys.stdout.write("no end")
"""
    async with make(source) as engine:
        outcome = await engine.sink.invoke(Event("f", b"{}", "id-1", 0.0, wants_log=True))

    lines = outcome.log_tail.decode().splitlines()[1:-2]
    assert ["printed", "written", "echoed", "no end"] == [lines[0], *lines[2:]]
    assert lines[1].startswith("[WARNING]\t")
    assert lines[1].endswith("Z\tid-1\tlogged")


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_in_a_shared_environment_what_is_printed_belongs_to_who_printed_it(make, kind):
    """Tasks and threads alike."""
    wait = "await asyncio.sleep(0.05)" if kind == "async def" else "time.sleep(0.05)"
    source = f"""
import asyncio, os, time
{kind} handler(event, context):
    print("begin", event)
    {wait}
    print("end", event)
    return os.getpid()
"""
    async with make(source, environment_concurrency=10) as engine:
        outcomes = await asyncio.gather(
            *(engine.sink.invoke(Event("f", b"%d" % n, f"id-{n}", 0.0, wants_log=True)) for n in range(10))
        )

    assert 1 == len({outcome.payload for outcome in outcomes})
    assert [[f"begin {n}", f"end {n}"] for n in range(10)] == [
        outcome.log_tail.decode().splitlines()[1:3] for outcome in outcomes
    ]


SNAPSHOT = """
import os, time
from snapshot_restore_py import register_after_restore, register_before_snapshot
ORDER = [["init", os.getpid()]]
register_before_snapshot(lambda: ORDER.append(["before 1", os.getpid()]))
register_before_snapshot(lambda: ORDER.append(["before 2", os.getpid()]))
register_after_restore(lambda what: ORDER.append([what, os.getpid()]), "after 1")
@register_after_restore
def again(): ORDER.append(["after 2", os.getpid()])
open(os.path.join(os.environ.get("TMPDIR", "/tmp"), "snapped"), "w").close()
def handler(event, context):
    if event.get("do") == "exit": os._exit(1)
    files = os.listdir(os.environ.get("TMPDIR", "/tmp"))
    return [ORDER, os.getpid(), os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], files]
"""


async def test_environments_of_a_snapshot_share_its_init_and_run_the_hooks_in_order(make):
    """Before the snapshot in reverse, after the restore as registered; each has its own process."""
    async with make(SNAPSHOT, snapstart=True) as engine:
        order, pid, kind, files = (await engine.invoke("f", {})).payload
        crashed = await engine.invoke("f", {"do": "exit"})
        again, other, _, _ = (await engine.invoke("f", {})).payload

    assert ["init", "before 2", "before 1", "after 1", "after 2"] == [name for name, _ in order]
    assert [True] * 3 + [False] * 2 == [where != pid for _, where in order]
    assert order[:3] == again[:3]
    assert pid != other
    assert "snap-start" == kind
    assert Status.CRASH == crashed.status
    assert "snapped" in files


HOOKS = {
    "before the snapshot": "register_before_snapshot",
    "after the restore": "register_after_restore",
}


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
async def test_a_hook_that_fails_fails_the_init(make, hook):
    """Every time anew."""
    source = f"""
from snapshot_restore_py import {hook}
@{hook}
def fail(): raise OSError("no table")
def handler(event, context): pass
"""
    async with make(source, snapstart=True) as engine:
        failed = [await engine.invoke("f", {}) for _ in range(2)]

    assert [Status.INIT_ERROR] * 2 == [outcome.status for outcome in failed]
    assert {("OSError", "no table")} == {(o.error["errorType"], o.error["errorMessage"]) for o in failed}


async def test_a_snapshot_of_broken_code_is_the_codes_own_error_and_is_taken_again_when_it_changes(
    make, tmp_path
):
    """As without a snapshot; busy environments of the old one are not touched."""
    async with make("import os; os._exit(5)", snapstart=True) as engine:
        broken = await engine.invoke("f", {})
        (tmp_path / "code" / "app.py").write_text("def handler(event, context): return 'mended'\n")
        engine.sink.renew()
        mended = await engine.invoke("f", {})

    assert broken.error["errorMessage"].endswith("Runtime exited with error: exit status 5")
    assert "mended" == mended.payload


async def test_what_is_preloaded_is_there_before_the_handlers_module(make):
    """One zygote has imported it for all."""
    source = "import sys\nTHERE = 'wave' in sys.modules\ndef handler(event, context): return THERE\n"
    async with make(source, preload=("wave",)) as engine:
        preloaded = await engine.invoke("f")
    async with make(source) as engine:
        plain = await engine.invoke("f")

    assert (True, False) == (preloaded.payload, plain.payload)


async def test_what_is_not_there_to_be_preloaded_is_an_error_of_the_configuration(make):
    """It names the module."""
    with pytest.raises(ConfigError, match=r"functions\.f\.preload.*no_such_module"):
        make("def handler(event, context): pass", preload=("no_such_module",))


async def test_what_cannot_be_preloaded_is_an_init_error(make, tmp_path, monkeypatch):
    """It is there, and raises: the error names the module."""
    (tmp_path / "raises_at_import.py").write_text("raise ImportError('raises_at_import: no licence')\n")
    monkeypatch.syspath_prepend(tmp_path)
    async with make("def handler(event, context): pass", preload=("raises_at_import",)) as engine:
        failed = await engine.invoke("f")

    assert (Status.INIT_ERROR, "Runtime.ImportModuleError") == (failed.status, failed.error["errorType"])
    assert "raises_at_import" in failed.error["errorMessage"]


async def test_a_copy_of_a_library_of_ours_is_the_functions_own(make, tmp_path):
    """What the engine imported for itself does not stand in its way."""
    (tmp_path / "code" / "orjson.py").write_text("VERSION = 'mine'\n")
    source = "import orjson\ndef handler(event, context): return orjson.VERSION\n"
    async with make(source) as engine:
        outcome = await engine.invoke("f", {"a": 1})

    assert "mine" == outcome.payload


async def test_an_async_handler_is_awaited_on_a_loop_of_the_processs_own(make):
    """The same loop for all its invocations."""
    source = """
import asyncio
async def handler(event, context):
    await asyncio.sleep(0.001)
    return id(asyncio.get_running_loop())
"""
    async with make(source) as engine:
        loops = {(await engine.invoke("f")).payload for _ in range(3)}

    assert 1 == len(loops)


async def test_the_zygote_has_neither_threads_nor_the_engines_server_side(make):
    """It stays small, and can be forked."""
    source = """
import sys, threading
def handler(event, context):
    large = ("uvloop", "pydantic", "anyio", "engine.app", "asyncio")
    return [threading.active_count(), [name for name in large if name in sys.modules]]
"""
    async with make(source) as engine:
        outcome = await engine.invoke("f")

    assert [1, []] == outcome.payload


async def test_who_waits_for_a_zygote_is_not_lost_when_many_come_at_once(make):
    """Two hundred starts in one go."""
    source = "import time\ndef handler(event, context):\n    time.sleep(0.5)\n    return [event]\n"
    async with make(source) as engine:
        outcomes = await asyncio.gather(*(engine.invoke("f", n) for n in range(200)))

    assert list(range(200)) == [outcome.payload[0] for outcome in outcomes]


def test_the_documents_of_a_spec_survive_the_way(tmp_path):
    """What a zygote reads is what the engine wrote."""
    function = FunctionSpec("f", handler="app.handler", code=str(tmp_path), snapstart=True, preload=("json",))
    spec = EnvironmentSpec(
        function=function,
        arn="arn:aws:lambda:us-east-1:000000000000:function:f",
        variables={"A": "é"},
        generation=3,
        cgroups={"/sys/fs/cgroup/x": {"cpu.max": "1447 20000"}},
    )
    decoded = EnvironmentSpec.decode(spec.encode())

    assert ("f", True, {"A": "é"}) == (decoded.function.name, decoded.function.snapstart, decoded.variables)
    assert json.loads(spec.encode()) == json.loads(decoded.encode())
    assert os.path.isdir(decoded.function.code)


LEVELS = {
    "text": ({}, {}, ["warning"]),
    "text, and a level": ({}, {"AWS_LAMBDA_LOG_LEVEL": "ERROR"}, []),
    "json": ({"log_format": "json"}, {}, ["info", "warning"]),
    "json, and a level": (
        {"log_format": "json"},
        {"AWS_LAMBDA_LOG_LEVEL": "TRACE"},
        ["debug", "info", "warning"],
    ),
    "json of the function's own": (
        {},
        {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "info"},
        ["info", "warning"],
    ),
    "a level that is none": ({}, {"AWS_LAMBDA_LOG_LEVEL": "LOUD"}, ["warning"]),
}


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("name", LEVELS)
async def test_the_level_of_logs_is_what_awss_client_makes_of_the_variables(make, name, concurrency):
    """INFO with JSON, WARNING with text, or what the function says."""
    settings, variables, expected = LEVELS[name]
    source = """
import logging
def handler(event, context):
    for level in ("debug", "info", "warning"):
        getattr(logging.getLogger("x"), level)("told " + level)
"""
    lines = []
    settings = {"write_log": lines.append, **settings}
    limits = {"environment": variables, "environment_concurrency": concurrency}
    async with make(source, settings=settings, **limits) as engine:
        await engine.invoke("f")

    told = [level for level in ("debug", "info", "warning") if f"told {level}" in "".join(lines)]
    assert expected == told
    assert ("JSON" in str(variables) or "log_format" in settings) == ('"message": "told' in "".join(lines))
