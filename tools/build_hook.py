"""What hatchling runs beside hatch-mypyc when a compiled wheel is built: HATCH_BUILD_HOOKS_ENABLE=1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BuildHook(BuildHookInterface):
    """Takes the binaries out of the sources once they are in the wheel.

    hatch-mypyc builds beside the sources. A binary that stayed there would be imported in place of a source
    that was edited since.
    """

    PLUGIN_NAME = "custom"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called when the wheel is written. An editable one, if it was compiled on demand, needs them."""
        if version == "editable":
            return
        root = Path(self.root)
        for binary in (*root.glob("*__mypyc.*.so"), *(root / "engine").rglob("*.so")):
            binary.unlink()
