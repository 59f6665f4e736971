"""Keys of engine.toml, with their defaults. Those of queues and buckets are in what `engine check` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from engine import registry
from engine.config import EngineSettings, FunctionSettings


def configuration_keys() -> list[str]:
    """`[TABLE] key = default`, and the keys of tables in tables."""
    tables: dict[str, type[BaseModel]] = {"[engine]": EngineSettings, "[functions.NAME]": FunctionSettings}
    for name in registry.names("source"):
        tables[f"[[functions.NAME.events]] {name}"] = registry.resolve("source", name).Settings
    lines = {line for name, model in tables.items() for line in keys(name, model)}
    return sorted(lines)


def keys(table: str, model: type[BaseModel]) -> Iterator[str]:
    """The keys of `model`, by the names that files have for them."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        if field.is_required():
            yield f"{table} {key} required"
        else:
            value = field.get_default(call_default_factory=True)
            yield f"{table} {key} = {value if not isinstance(value, str) else repr(value)}"
    schema = model.model_json_schema()
    yield from (f"{table} {path}" for path in paths(schema, schema.get("$defs", {})) if "." in path)


def paths(schema: Mapping[str, Any], definitions: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """All keys that a JSON schema has, those of tables in tables with dots."""
    if "$ref" in schema:
        yield from paths(definitions[schema["$ref"].rpartition("/")[2]], definitions, above)
    for choice in schema.get("anyOf", ()):
        yield from paths(choice, definitions, above)
    if isinstance(schema.get("items"), Mapping):
        yield from paths(schema["items"], definitions, above)
    for key, inner in schema.get("properties", {}).items():
        yield f"{above}{key}"
        yield from paths(inner, definitions, f"{above}{key}.")
