"""Machine and versions of a run: figures compare only where these are the same."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine.version import VERSION, build


def commit() -> str:
    """The commit of the working directory, with a plus if files differ from it; `unknown` outside of one."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    command = [git, "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own command
    return told.stdout.strip() or "unknown"


def machine(metrics: str) -> dict[str, Any]:
    """Processor, Python, versions, and what was configured. `metrics` is the engine's page."""
    info = next((line for line in metrics.splitlines() if line.startswith("engine_build_info{")), "")
    return {
        "commit": commit(),
        "engine": f"{VERSION}, {build()}",
        "event loop": info.partition('event_loop="')[2].partition('"')[0],
        "python": platform.python_version(),
        "locust": version("locust"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load average": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    """As Linux names it; elsewhere the architecture."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
