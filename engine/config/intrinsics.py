"""Evaluates what can be known of a CloudFormation template without deploying it.

Parameters have their defaults, pseudo parameters their local values. What only a deployment would know
stands as a readable stand-in and is noted, place by place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.config.problems import Place
from engine.core.destinations import expanded
from engine.core.function import Account

NO_VALUE: Final = object()
"""`AWS::NoValue`: the key is as if it were not there."""

STACK_NAME: Final = "local"
"""What `AWS::StackName` is here."""

_MAX_NODES: Final = 100_000  # YAML aliases can make a small file an enormous document
_MAX_DEPTH: Final = 100
_VARIABLE = re.compile(r"\$\{(!?)([^}]*)\}")
_NAME_KEYS: Final = ("FunctionName", "TableName", "QueueName", "BucketName", "TopicName", "Name")


class TooLarge(Exception):
    """The template is, aliases followed, larger or deeper than any template can be."""


class _Unknown(Exception):
    """The value exists only after a deployment; the argument is a stand-in, or what is wrong."""


class Resolver:
    """Evaluates values of one template. `doubts` collects what it could not know: place and sentence."""

    def __init__(self, template: Mapping[str, Any], account: Account) -> None:
        self._parameters = _table(template, "Parameters")
        self._mappings = _table(template, "Mappings")
        self._conditions = _table(template, "Conditions")
        self._resources = _table(template, "Resources")
        self._pseudo = {
            "AWS::AccountId": account.account_id,
            "AWS::NoValue": NO_VALUE,
            "AWS::NotificationARNs": [],
            "AWS::Partition": "aws",
            "AWS::Region": account.region,
            "AWS::StackId": f"{_stack_arn_head(account)}:stack/{STACK_NAME}/0",
            "AWS::StackName": STACK_NAME,
            "AWS::URLSuffix": "amazonaws.com",
        }
        self._account = account
        self._nodes = 0
        self._evaluating: set[str] = set()
        self._functions: dict[str, Callable[[Any, Place, int], Any]] = {
            "Ref": self._ref,
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAtt": self._get_att,
            "Fn::If": self._if,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::Sub": self._sub,
        }
        self.doubts: list[tuple[Place, str]] = []

    def value(self, raw: Any, place: Place, depth: int = 0) -> Any:
        """`raw` with every intrinsic evaluated, `NO_VALUE` entries left out."""
        self._nodes += 1
        if self._nodes > _MAX_NODES or depth > _MAX_DEPTH:
            raise TooLarge
        if isinstance(raw, Mapping):
            if len(raw) == 1:
                [(name, argument)] = raw.items()
                if name in self._functions or str(name).startswith("Fn::"):
                    return self._call(str(name), argument, place, depth)
            pairs = [(str(k), self.value(v, (*place, str(k)), depth + 1)) for k, v in raw.items()]
            return {key: value for key, value in pairs if value is not NO_VALUE}
        if isinstance(raw, list):
            values = [self.value(item, (*place, i), depth + 1) for i, item in enumerate(raw)]
            return [value for value in values if value is not NO_VALUE]
        return raw

    def condition(self, name: Any, place: Place) -> bool:
        """Whether the condition called `name` holds; in doubt it does."""
        if not isinstance(name, str) or name not in self._conditions or name in self._evaluating:
            self.doubts.append((place, f"condition {name!r} is not defined; taken as true"))
            return True
        self._evaluating.add(name)
        try:
            return self._holds(self._conditions[name], ("Conditions", name), 0)
        finally:
            self._evaluating.discard(name)

    def _call(self, name: str, argument: Any, place: Place, depth: int) -> Any:
        function = self._functions.get(name)
        try:
            if function is None:
                raise _Unknown(f"<{name}>")
            return function(argument, place, depth + 1)
        except _Unknown as unknown:
            stand_in = str(unknown)
            self.doubts.append((place, f"{name} is known only once deployed; {stand_in!r} stands for it"))
            return stand_in
        except (TypeError, ValueError, LookupError, AttributeError):
            self.doubts.append((place, f"{name} is malformed; '<{name}>' stands for it"))
            return f"<{name}>"

    def _ref(self, name: Any, place: Place, depth: int) -> Any:
        if not isinstance(name, str):
            raise TypeError
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._parameters:
            return self._parameter(name)
        if name in self._resources:
            return self._physical_name(name, depth)
        self.doubts.append((place, f"{name!r} is neither a parameter nor a resource"))
        return name

    def _parameter(self, name: str) -> Any:
        parameter = self._parameters[name]
        if not isinstance(parameter, Mapping) or "Default" not in parameter:
            raise _Unknown(f"<{name}>")
        kind, default = str(parameter.get("Type", "String")), parameter["Default"]
        if kind.startswith("AWS::SSM::"):
            raise _Unknown(f"<{name}>")
        if kind == "CommaDelimitedList" or kind.startswith("List<"):
            return [item.strip() for item in text(default).split(",")]
        return text(default)

    def _physical_name(self, logical: str, depth: int) -> str:
        resource = self._resources[logical]
        properties = _table(resource, "Properties") if isinstance(resource, Mapping) else {}
        for key in _NAME_KEYS:
            if key in properties:
                return text(self.value(properties[key], ("Resources", logical, "Properties", key), depth))
        name = _NAMES.get(_kind(resource))
        if name is None:
            raise _Unknown(logical)
        return name(logical, properties)

    def _get_att(self, argument: Any, place: Place, depth: int) -> Any:
        logical, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        resource = self._resources.get(logical)
        service = _SERVICES.get(_kind(resource))
        if service is None or attribute not in ("Arn", "QueueName"):
            raise _Unknown(f"{logical}.{attribute}")
        name = self._physical_name(logical, depth)
        return expanded(f"{service}:{name}", self._account) if attribute == "Arn" else name

    def _sub(self, argument: Any, place: Place, depth: int) -> str:
        template, raw = (argument, {}) if isinstance(argument, str) else argument
        given = {key: self.value(value, (*place, key), depth) for key, value in raw.items()}

        def replace(match: re.Match[str]) -> str:
            literal, name = match[1], match[2].strip()
            if literal:
                return f"${{{match[2]}}}"
            if name in given:
                return text(given[name])
            form = {"Fn::GetAtt": name} if "." in name else {"Ref": name}
            return text(self.value(form, place, depth))

        return _VARIABLE.sub(replace, template)

    def _join(self, argument: Any, place: Place, depth: int) -> str:
        delimiter, raw = argument
        items = self.value(raw, place, depth)
        return str(delimiter).join(map(text, [items] if isinstance(items, str) else items))

    def _split(self, argument: Any, place: Place, depth: int) -> list[str]:
        delimiter, raw = argument
        return text(self.value(raw, place, depth)).split(delimiter)

    def _select(self, argument: Any, place: Place, depth: int) -> Any:
        index, items = (self.value(part, place, depth) for part in argument)
        if not isinstance(items, list) or int(index) < 0:
            raise TypeError
        return items[int(index)]

    def _find_in_map(self, argument: Any, place: Place, depth: int) -> Any:
        found: Any = self._mappings
        for part in argument[:3]:
            found = _entry(found, text(self.value(part, place, depth)))
        return found

    def _if(self, argument: Any, place: Place, depth: int) -> Any:
        name, yes, no = argument
        return self.value(yes if self.condition(name, place) else no, place, depth)

    def _holds(self, raw: Any, place: Place, depth: int) -> bool:
        if depth > _MAX_DEPTH:
            raise TooLarge
        if isinstance(raw, Mapping) and len(raw) == 1:
            [(name, argument)] = raw.items()
            if name == "Condition":
                return self.condition(argument, place)
            if name == "Fn::Equals" and isinstance(argument, list) and len(argument) == 2:
                left, right = (self.value(side, place, depth) for side in argument)
                return bool(_comparable(left) == _comparable(right))
            if name in ("Fn::And", "Fn::Or", "Fn::Not") and isinstance(argument, list) and argument:
                results = [self._holds(item, place, depth + 1) for item in argument]
                return (
                    all(results)
                    if name == "Fn::And"
                    else any(results)
                    if name == "Fn::Or"
                    else not results[0]
                )
        self.doubts.append((place, "is no condition function; taken as true"))
        return True


def _entry(table: Mapping[Any, Any], key: str) -> Any:
    """By key; an account id, say, is a number to YAML."""
    for name, value in table.items():
        if text(name) == key:
            return value
    raise LookupError(key)


def _comparable(value: Any) -> Any:
    return value if isinstance(value, Mapping | list) else text(value)


def text(value: Any) -> str:
    """A scalar as CloudFormation writes it into a string."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping | list):
        raise TypeError
    return "" if value is None or value is NO_VALUE else str(value)


def _stack_arn_head(account: Account) -> str:
    return f"arn:aws:cloudformation:{account.region}:{account.account_id}"


def _table(template: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = template.get(key)
    return table if isinstance(table, Mapping) else {}


def _kind(resource: Any) -> str:
    return str(resource.get("Type")) if isinstance(resource, Mapping) else ""


def _queue_name(logical: str, properties: Mapping[str, Any]) -> str:
    return f"{logical}.fifo" if text(properties.get("FifoQueue")) == "true" else logical


_NAMES: Final[Mapping[str, Callable[[str, Mapping[str, Any]], str]]] = {
    "AWS::Serverless::Function": lambda logical, _: logical,
    "AWS::Lambda::Function": lambda logical, _: logical,
    "AWS::SQS::Queue": _queue_name,
    "AWS::S3::Bucket": lambda logical, _: logical.lower(),
}
"""What stands for the name that a deployment would make up, by type."""

_SERVICES: Final[Mapping[str, str]] = {
    "AWS::Serverless::Function": "lambda",
    "AWS::Lambda::Function": "lambda",
    "AWS::SQS::Queue": "sqs",
    "AWS::S3::Bucket": "s3",
}
