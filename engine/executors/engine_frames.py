"""How the names of the engine's own files begin in tracebacks: what handlers' errors show is cut by them.

A compiled module has no frames while it runs. Tracebacks show it, by the path of its source from the root of
the sources on.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parents[1]

OF_ENGINE: Final = (f"{_PACKAGE}{os.sep}", "engine/")
OF_EXECUTORS: Final = (f"{_PACKAGE / 'executors'}{os.sep}", "engine/executors/")
