"""Keys given beside a document, as on the command line: they replace what it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.config.settings import EngineSettings, FunctionSettings
from engine.core.spelling import did_you_mean
from engine.errors import ConfigError

_DEFAULTS: Final = frozenset({"python"})
"""Keys of both tables that are given for `[engine]`: what a function says goes before."""


def applied(document: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`document` with each override put into `[engine]`, or into every function, as its key belongs.

    None means "not given"; `cluster` is `listen` of that table, `ray` and `insecure_ray` are `address` and
    `insecure` of `[ray]`. What is wrong with the document itself is left for `configuration` to find.

    Raises:
        ConfigError: A key that neither table knows.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    elsewhere = {
        "cluster": {"listen": given.pop("cluster", None)},
        "ray": {"address": given.pop("ray", None), "insecure": given.pop("insecure_ray", None) or None},
    }
    known = {*EngineSettings.model_fields, *FunctionSettings.model_fields}
    unknown = [key for key in given if key not in known]
    if unknown:
        raise ConfigError(tuple(f"{key}: unknown key{did_you_mean(key, sorted(known))}" for key in unknown))
    engine = {key: value for key, value in given.items() if key in EngineSettings.model_fields}
    function = {
        key: value for key, value in given.items() if key in FunctionSettings.model_fields.keys() - _DEFAULTS
    }
    result = dict(document)
    for name, keys in elsewhere.items():
        table = {key: value for key, value in keys.items() if value is not None}
        if table and isinstance(document.get(name, {}), Mapping):
            result[name] = {**document.get(name, {}), **table}
    if engine and isinstance(document.get("engine", {}), Mapping):
        result["engine"] = {**document.get("engine", {}), **engine}
    if function and isinstance(document.get("functions"), Mapping):
        result["functions"] = {
            name: {**table, **function} if isinstance(table, Mapping) else table
            for name, table in document["functions"].items()
        }
    return result
