"""Parses a CloudFormation template, YAML or JSON, into plain dicts and lists: never into Python objects.

The short forms of intrinsic functions become their long forms: `!Sub x` is `{"Fn::Sub": "x"}`.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any, ClassVar, Final

import yaml

from engine.errors import ConfigError

_BARE: Final = ("Ref", "Condition")  # the long form has no `Fn::`


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = str(value).split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in _BARE else f"Fn::{suffix}": value}


class _Loader(yaml.SafeLoader):
    """Plain values, `!Tag` as one-key dicts, no dates (CloudFormation has none), no key twice."""

    yaml_multi_constructors: ClassVar = {**yaml.SafeLoader.yaml_multi_constructors, "!": _intrinsic}
    # Class attributes all, and only read; the stubs of PyYAML declare this one on the instance.
    yaml_implicit_resolvers: ClassVar = {  # type: ignore[misc]
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    # The signature is PyYAML's.
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is not None and key != "<<" and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def parse(path: str, text: str) -> Any:
    """The document in `text`; `path` is for messages.

    Raises:
        ConfigError: Not YAML (`FILE:LINE:COLUMN: ...`), not JSON if it starts with `{`, nested too deeply.
    """
    try:
        if text.lstrip()[:1] == "{":
            return json.loads(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506  _Loader is a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path
        raise ConfigError((f"{where}: {error.problem or error.context or 'not YAML'}",)) from error
    except json.JSONDecodeError as error:
        message = f"{error.msg[:1].lower()}{error.msg[1:]}"
        raise ConfigError((f"{path}:{error.lineno}:{error.colno}: {message}",)) from error
    except RecursionError as error:
        raise ConfigError((f"{path}: nested too deeply",)) from error
    # What PyYAML's constructors let out for values such as `!!int ""`, besides its own errors.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise ConfigError((f"{path}: not YAML: {' '.join(str(error).split())}",)) from error
