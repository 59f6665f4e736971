"""What is to run, from engine.toml, a SAM template, the command line or Python, as one frozen `Config`."""

from engine.config.configuration import Config
from engine.config.debug_mode import debugged
from engine.config.files import load_config
from engine.config.listeners import Listener
from engine.config.python_api import from_functions, from_targets, served_functions
from engine.config.settings import EngineSettings, FunctionSettings

__all__ = [
    "Config",
    "EngineSettings",
    "FunctionSettings",
    "Listener",
    "debugged",
    "from_functions",
    "from_targets",
    "load_config",
    "served_functions",
]
