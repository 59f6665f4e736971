"""Compiles the hot modules with mypyc, into a copy of the package: `build/compiled/engine`.

They are ordinary typed Python, and run as such everywhere; where there is a C compiler, this makes what is
left of the engine's own work about half as long. Run: `python tools/compile.py`; then put `build/compiled`
first on PYTHONPATH. The copy is made anew when a source is newer. Exit code 1 if nothing could be compiled.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
TARGET: Final = ROOT / "build" / "compiled"
STAMP: Final = TARGET / "made"
MODULES: Final = (
    "core/billing.py",
    "core/durable_event.py",
    "core/environment.py",
    "core/event.py",
    "core/fleet.py",
    "core/invocation.py",
    "core/json_document.py",
    "core/ledger.py",
    "core/throttling.py",
    "executors/handler_runner.py",
    "executors/marshal.py",
    "timer.py",
    "runtime/await_outcome.py",
    "runtime/deadlines.py",
    "runtime/dispatcher.py",
    "runtime/driver.py",
    "runtime/scaling_meter.py",
    "sources/http/responses.py",
    "sources/http/event_handler.py",
    "sources/http/function_urls.py",
    "sources/http/gate.py",
    "sources/http/headers.py",
    "sources/http/payload_v2.py",
    "sources/http/timestamps.py",
    "services/lambda_api/invoke.py",
    "services/lambda_api/service.py",
    "services/lambda_api/trace_header.py",
    "telemetry/function_log.py",
    "telemetry/function_stats.py",
    "telemetry/histogram.py",
    "telemetry/stats.py",
    "protocols/aws/router.py",
    "protocols/aws/gate.py",
    "protocols/http/header_cache.py",
    "protocols/http/connection.py",
    "protocols/http/fast_path.py",
    "protocols/http/request_parser.py",
    "protocols/http/message.py",
    "protocols/http/server_state.py",
    "protocols/http/request_gate.py",
)
"""What an invocation passes through; not the coroutine that calls handlers, and no module a test replaces."""

SETUP: Final = """
from mypyc.build import mypycify
from setuptools import setup
setup(name="compiled", packages=[], ext_modules=mypycify({arguments!r}, opt_level="3"))
"""


def main() -> int:
    """Compile if something changed, and say where the result is."""
    sources = [Path(__file__), *sorted((ROOT / "engine").rglob("*.py"))]
    if STAMP.exists() and STAMP.stat().st_mtime > max(source.stat().st_mtime for source in sources):
        return 0
    if shutil.which("cc") is None:
        print("no C compiler (cc): nothing compiled", file=sys.stderr)
        return 1
    shutil.rmtree(TARGET, ignore_errors=True)
    shutil.copytree(ROOT / "engine", TARGET / "engine", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    arguments = ["--explicit-package-bases", *(f"engine/{module}" for module in MODULES)]
    (TARGET / "setup.py").write_text(SETUP.format(arguments=arguments))
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=TARGET, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, "compiling failed", sep="\n", file=sys.stderr)
        return 1
    shutil.rmtree(TARGET / "build")
    STAMP.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
