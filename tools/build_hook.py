"""What hatchling runs beside hatch-mypyc when a compiled wheel is built: HATCH_BUILD_HOOKS_ENABLE=1."""

from __future__ import annotations

import sysconfig
import tempfile
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension

EXTENSION: Final = "engine/core/_fast_json"


class BuildHook(BuildHookInterface):
    """Builds the module that is written in C, and takes all binaries out of the sources when they are packed.

    hatch-mypyc builds beside the sources. A binary that stayed there would be imported in place of a source
    that was edited since.
    """

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before the wheel is written. An editable one uses the sources as they are."""
        if version == "editable":
            return
        binary = EXTENSION + sysconfig.get_config_var("EXT_SUFFIX")
        build_extension()
        build_data["force_include"][str(Path(self.root, binary))] = binary
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called when the wheel is written. An editable one, if it was compiled on demand, needs them."""
        if version == "editable":
            return
        root = Path(self.root)
        for binary in (*root.glob("*__mypyc.*.so"), *(root / "engine").rglob("*.so")):
            binary.unlink()


def build_extension() -> None:
    """Compile the module beside its source. The working directory is the project's, as of all build hooks."""
    extension = Extension(EXTENSION.replace("/", "."), [f"{EXTENSION}.c"])
    command = Distribution({"ext_modules": [extension]}).get_command_obj("build_ext")
    with tempfile.TemporaryDirectory() as folder:
        command.build_temp = command.build_lib = folder
        command.inplace = True
        command.ensure_finalized()
        command.run()
