"""Evaluates what can be known of a CloudFormation template without deploying it.

Parameters have the values they were given, else their defaults; pseudo parameters their local values. What
only a deployment would know stands as a readable stand-in and is noted, place by place.
Sources: CloudFormation User Guide, "Intrinsic function reference", "Pseudo parameters reference",
"AWS::LanguageExtensions transform", "Dynamic references".
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from engine.config.problems import Place
from engine.config.templates.names import KINDS, STREAM_CONSUMER, TOPIC, layer_arn, name_of, valid_name
from engine.config.templates.parameters import Parameters, Unvalued
from engine.core.destinations import expanded
from engine.core.function import Account

NO_VALUE: Final = object()
"""`AWS::NoValue`: the key is as if it were not there."""

STACK_NAME: Final = "local"
"""What `AWS::StackName` is here."""

_MAX_NODES: Final = 100_000  # YAML aliases can make a small file an enormous document
_MAX_DEPTH: Final = 100
_VARIABLE = re.compile(r"\$\{(!?)([^}]*)\}")
_DYNAMIC = re.compile(r"\{\{resolve:[^}]*\}\}")
_LOOP: Final = "Fn::ForEach::"
_NAME_KEYS: Final = ("TableName", "TopicName", "Name")
_ATTRIBUTES: Final = ("Arn", "QueueName", "StreamArn", "TopicArn", "TopicName")
_REF_IS_ID: Final = ("AWS::ApiGateway", "AWS::Serverless::Api", "AWS::Serverless::HttpApi", "AWS::Lambda::Ev")
"""Beginnings of types whose `Ref` is an id that AWS draws, whatever their name."""


class TooLarge(Exception):
    """The template is, aliases followed, larger or deeper than any template can be."""


class _Unknown(Exception):
    """The value exists only after a deployment; the argument is a stand-in."""


class Resolver:
    """Evaluates values of one template.

    Attributes:
        doubts: What could not be known: place and sentence. Wrong where the value decides what runs.
        notes: What is worth a line and no more.
        resources: By logical id, as the template has them.
        outputs: Reads an output of a nested stack, by logical id and name; raises LookupError.
        include: Reads the local file of an `AWS::Include`; None if it cannot be had.
    """

    def __init__(
        self,
        template: Mapping[str, Any],
        account: Account,
        parameters: Parameters,
        prefix: Place,
        *,
        outputs: Callable[[str, str], Any],
        include: Callable[[str], Any],
    ) -> None:
        self._parameters = parameters
        self._mappings = _table(template, "Mappings")
        self._conditions = _table(template, "Conditions")
        self.resources = dict(_table(template, "Resources"))
        self._prefix = prefix
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
        self._names: dict[str, str] = {}
        self._functions: dict[str, Callable[[Any, Place, int], Any]] = {
            "Ref": self._ref,
            "Fn::Base64": self._base64,
            "Fn::Cidr": self._cidr,
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAZs": self._zones,
            "Fn::GetAtt": self._get_att,
            "Fn::If": self._if,
            "Fn::Join": self._join,
            "Fn::Length": self._length,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::Sub": self._sub,
            "Fn::ToJsonString": self._to_json,
            "Fn::Transform": self._transform,
        }
        self.doubts: list[tuple[Place, str]] = []
        self.notes: list[tuple[Place, str]] = []
        self._outputs = outputs
        self._include = include

    # ---------------------------------------------------------------- values

    def value(self, raw: Any, place: Place, depth: int = 0) -> Any:
        """`raw` with every intrinsic evaluated, `NO_VALUE` entries left out."""
        self._count(depth)
        if isinstance(raw, Mapping):
            call = _call_of(raw)
            if call is not None:
                return self._call(*call, place, depth)
            rolled = self.unrolled(raw, place)
            pairs = [(str(k), self.value(v, (*place, str(k)), depth + 1)) for k, v in rolled.items()]
            return {key: value for key, value in pairs if value is not NO_VALUE}
        if isinstance(raw, list):
            values = [self.value(item, (*place, i), depth + 1) for i, item in enumerate(raw)]
            return [value for value in values if value is not NO_VALUE]
        if isinstance(raw, str) and "{{resolve:" in raw and _DYNAMIC.search(raw):
            self.notes.append((place, "a dynamic reference is not looked up here; it stands as it is"))
        return raw

    def head(self, raw: Any, place: Place) -> Any:
        """`raw` if it is a table or list, its parts not evaluated; else its value."""
        chosen = self.chosen(raw, place)
        is_call = isinstance(chosen, Mapping) and _call_of(chosen) is not None
        if isinstance(chosen, Mapping | list) and not is_call:
            self._count(len(place))
            return chosen
        return self.value(chosen, place)

    def chosen(self, raw: Any, place: Place) -> Any:
        """`raw`, or of an `Fn::If` the branch that its condition chooses."""
        for _ in range(_MAX_DEPTH):
            call = _call_of(raw) if isinstance(raw, Mapping) else None
            if call is None or call[0] != "Fn::If" or not isinstance(call[1], list) or len(call[1]) != 3:
                return raw
            raw = call[1][1 if self.condition(call[1][0], place) else 2]
        raise TooLarge

    def identity(self, raw: Any, place: Place) -> str:
        """What `raw` refers to, by logical ids where AWS would have ids of its own."""
        before = len(self.doubts)
        value = self.value(raw, place)
        del self.doubts[before:]
        return any_text(value)

    def is_absent(self, raw: Any, place: Place) -> bool:
        """Whether `raw` is `AWS::NoValue`, if need be by a condition."""
        return bool(self.chosen(raw, place) == {"Ref": "AWS::NoValue"})

    def condition(self, name: Any, place: Place) -> bool:
        """Whether the condition called `name` holds; in doubt it does."""
        if not isinstance(name, str) or name not in self._conditions or name in self._evaluating:
            self._doubt(place, f"condition {name!r} is not defined; taken as true")
            return True
        self._evaluating.add(name)
        try:
            return self._holds(self._conditions[name], (*self._prefix, "Conditions", name), 0)
        finally:
            self._evaluating.discard(name)

    def physical_name(self, logical: str) -> str:
        """What the resource is called here: its own name, made valid if not all of it is known."""
        if logical not in self._names:
            self._names[logical] = self._made_name(logical)
        return self._names[logical]

    def rename(self, logical: str, name: str) -> str:
        """Call it `name`."""
        self._names[logical] = name
        return name

    # ---------------------------------------------------------------- Fn::ForEach

    def unrolled(self, raw: Mapping[Any, Any], place: Place) -> Mapping[Any, Any]:
        """`raw` with every `Fn::ForEach::NAME` in place of which stand the keys it makes."""
        if not any(str(key).startswith(_LOOP) for key in raw):
            return raw
        keys: dict[Any, Any] = {}
        for key, value in raw.items():
            if str(key).startswith(_LOOP):
                keys |= self._loop(value, (*place, str(key)))
            else:
                keys[key] = value
        return self.unrolled(keys, place)  # loops stand in loops

    def _loop(self, value: Any, place: Place) -> dict[Any, Any]:
        identifier, collection, body = value if isinstance(value, list) and len(value) == 3 else (None,) * 3
        items = self.value(collection, place)
        if not isinstance(identifier, str) or not isinstance(items, list) or not isinstance(body, Mapping):
            self._doubt(place, "Fn::ForEach is malformed; it makes nothing")
            return {}
        made: dict[Any, Any] = {}
        for item in _flat(items):
            made |= self._replaced(body, identifier, any_text(item), 0)
        return made

    def _replaced(self, raw: Any, identifier: str, item: str, depth: int) -> Any:
        """`raw` with `item` for the loop's `${Identifier}`, `&{Identifier}` and `!Ref Identifier`."""
        self._count(depth)
        if raw == {"Ref": identifier}:
            return item
        if isinstance(raw, Mapping):
            return {
                self._replaced(key, identifier, item, depth + 1): self._replaced(
                    value, identifier, item, depth + 1
                )
                for key, value in raw.items()
            }
        if isinstance(raw, list):
            return [self._replaced(part, identifier, item, depth + 1) for part in raw]
        if isinstance(raw, str):
            bare = re.sub(r"[^A-Za-z0-9]", "", item)
            return raw.replace(f"${{{identifier}}}", item).replace(f"&{{{identifier}}}", bare)
        return raw

    # ---------------------------------------------------------------- functions

    def _call(self, name: str, argument: Any, place: Place, depth: int) -> Any:
        function = self._functions.get(name)
        try:
            if function is None:
                raise _Unknown(f"<{name}>")
            return function(argument, place, depth + 1)
        except _Unknown as unknown:
            stand_in = str(unknown)
            self._doubt(place, f"{name} is known only once deployed; {stand_in!r} stands for it")
            return stand_in
        except Unvalued as unvalued:
            wanted = f"give it one with --parameter-overrides {unvalued}=..., or a Default"
            self._doubt(place, f"parameter '{unvalued}' has no value: {wanted}")
            return f"<{unvalued}>"
        except (TypeError, ValueError, LookupError, AttributeError):
            self._doubt(place, f"{name} is malformed; '<{name}>' stands for it")
            return f"<{name}>"

    def _ref(self, name: Any, place: Place, depth: int) -> Any:
        if not isinstance(name, str):
            raise TypeError
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._parameters:
            return self._parameters.value(name)
        if name in self.resources:
            return self._reference(name, depth)
        logical, dot, attribute = name.rpartition(".")
        if dot and logical in self.resources and attribute in ("Alias", "Version"):
            return self._referable(logical, attribute)
        self._doubt(place, f"{name!r} is neither a parameter nor a resource")
        return name

    def _reference(self, logical: str, depth: int) -> str:
        """What `Ref` gives of a resource."""
        kind, properties = self._resource(logical)
        if kind == STREAM_CONSUMER:
            return self._of_consumer(logical, "ConsumerARN", depth)
        if kind in ("AWS::Lambda::Alias", "AWS::Lambda::Version"):
            place = (*self._prefix, "Resources", logical, "Properties")
            function = text(self.value(properties.get("FunctionName"), (*place, "FunctionName")))
            name = function.rpartition(":function:")[2].partition(":")[0]
            qualifier = text(self.value(properties.get("Name"), (*place, "Name"))) or "1"
            return self._account.function_arn(name, qualifier)
        if kind in ("AWS::Lambda::LayerVersion", "AWS::Serverless::LayerVersion"):
            return layer_arn(self._account, self.physical_name(logical))
        name = self.physical_name(logical)
        return expanded(f"sns:{name}", self._account) if kind == TOPIC else name

    def _of_consumer(self, logical: str, attribute: str, depth: int) -> str:
        """An attribute of a stream's consumer; its ARN without the time at its end, which AWS draws."""
        if attribute == "ConsumerARN":
            stream, name = (self._of_consumer(logical, key, depth) for key in ("StreamARN", "ConsumerName"))
            return f"{stream}/consumer/{name}"
        if attribute not in ("StreamARN", "ConsumerName"):
            raise _Unknown(f"{logical}.{attribute}")
        _, properties = self._resource(logical)
        place = (*self._prefix, "Resources", logical, "Properties", attribute)
        return text(self.value(properties.get(attribute), place, depth))

    def _referable(self, logical: str, attribute: str) -> str:
        """`!Ref Function.Alias` and `.Version`: what SAM makes of AutoPublishAlias."""
        _, properties = self._resource(logical)
        place = (*self._prefix, "Resources", logical, "Properties", "AutoPublishAlias")
        alias = text(self.value(properties.get("AutoPublishAlias"), place))
        if not alias:
            raise _Unknown(f"{logical}.{attribute}")
        name = self.physical_name(logical)
        return self._account.function_arn(name, alias if attribute == "Alias" else "1")

    def _made_name(self, logical: str) -> str:
        kind, properties = self._resource(logical)
        if kind.startswith(_REF_IS_ID):
            raise _Unknown(logical)
        own = KINDS[kind].name_key if kind in KINDS else None
        for key in _NAME_KEYS if own is None else (own,):
            if key in properties and not self.is_absent(properties[key], self._prefix):
                place = (*self._prefix, "Resources", logical, "Properties", key)
                before = len(self.doubts)
                name = any_text(self.value(properties[key], place))
                if own is not None and len(self.doubts) > before:  # a stand-in is no name yet
                    self.notes += self.doubts[before:]
                    del self.doubts[before:]
                    name = valid_name(name)
                return name
        if own is None:
            raise _Unknown(logical)
        return name_of(kind, logical, properties)

    def _resource(self, logical: str) -> tuple[str, Mapping[str, Any]]:
        resource = self.resources[logical]
        properties = _table(resource, "Properties") if isinstance(resource, Mapping) else {}
        return _kind(resource), properties

    def _get_att(self, argument: Any, place: Place, depth: int) -> Any:
        logical, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        attribute = text(self.value(attribute, place, depth))
        if attribute.startswith("Outputs."):
            try:
                return self._outputs(logical, attribute.partition(".")[2])
            except LookupError:
                raise _Unknown(f"{logical}.{attribute}") from None
        kind = _kind(self.resources.get(logical))
        if kind in ("AWS::Lambda::Alias", "AWS::Lambda::Version") and attribute.endswith("Arn"):
            return self._reference(logical, depth)
        if kind == STREAM_CONSUMER:
            return self._of_consumer(logical, attribute, depth)
        known = KINDS.get(kind)
        if known is None or known.service is None or attribute not in _ATTRIBUTES:
            raise _Unknown(f"{logical}.{attribute}")
        name = self.physical_name(logical)
        arn = expanded(f"{known.service}:{known.resource}{name}", self._account)
        if attribute == "StreamArn":
            if known.service != "dynamodb":
                raise _Unknown(f"{logical}.{attribute}")
            return f"{arn}/stream/{STACK_NAME}"  # the time at its end is known once there is the table
        return arn if attribute in ("Arn", "TopicArn") else name

    def _sub(self, argument: Any, place: Place, depth: int) -> str:
        template, raw = (argument, {}) if isinstance(argument, str) else argument
        given = {key: self.value(value, (*place, key), depth) for key, value in raw.items()}

        def replace(match: re.Match[str]) -> str:
            literal, name = match[1], match[2].strip()
            if literal:
                return f"${{{match[2]}}}"
            if name in given:
                return text(given[name])
            is_attribute = "." in name and not name.endswith((".Alias", ".Version"))
            form = {"Fn::GetAtt": name} if is_attribute else {"Ref": name}
            return text(self.value(form, place, depth))

        return text(self.value(_VARIABLE.sub(replace, template), place, depth))

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
        try:
            for part in argument[:3]:
                found = _entry(found, text(self.value(part, place, depth)))
        except LookupError:
            if len(argument) == 4 and "DefaultValue" in argument[3]:
                return self.value(argument[3]["DefaultValue"], place, depth)
            raise
        return found

    def _if(self, argument: Any, place: Place, depth: int) -> Any:
        name, yes, no = argument
        return self.value(yes if self.condition(name, place) else no, place, depth)

    def _length(self, argument: Any, place: Place, depth: int) -> int:
        items = self.value(argument, place, depth)
        if not isinstance(items, list):
            raise TypeError
        return len(items)

    def _to_json(self, argument: Any, place: Place, depth: int) -> str:
        return json.dumps(self.value(argument, place, depth), separators=(",", ":"))

    def _base64(self, argument: Any, place: Place, depth: int) -> str:
        return base64.b64encode(text(self.value(argument, place, depth)).encode()).decode()

    def _zones(self, argument: Any, place: Place, depth: int) -> list[str]:
        region = text(self.value(argument, place, depth)) or self._account.region
        return [f"{region}{letter}" for letter in "abc"]

    def _cidr(self, argument: Any, place: Place, depth: int) -> list[str]:
        block, count, *bits = (self.value(part, place, depth) for part in argument)
        network = ipaddress.ip_network(text(block))
        width = network.max_prefixlen - int(bits[0] if bits else 8)
        parts = network.subnets(new_prefix=width)
        return [str(part) for part, _ in zip(parts, range(min(int(count), 256)), strict=False)]

    def _transform(self, argument: Any, place: Place, depth: int) -> Any:
        if argument.get("Name") == "AWS::Include":
            location = self.value(argument["Parameters"]["Location"], place, depth)
            document = self._include(location) if isinstance(location, str) else None
            if document is not None:
                return self.value(document, place, depth)
        raise _Unknown("<Fn::Transform>")

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
                combine: dict[Any, Callable[[list[bool]], bool]] = {"Fn::And": all, "Fn::Or": any}
                return combine[name](results) if name in combine else not results[0]
        self._doubt(place, "is no condition function; taken as true")
        return True

    def _doubt(self, place: Place, sentence: str) -> None:
        self.doubts.append((place, sentence))

    def _count(self, depth: int) -> None:
        self._nodes += 1
        if self._nodes > _MAX_NODES or depth > _MAX_DEPTH:
            raise TooLarge


def _call_of(raw: Mapping[Any, Any]) -> tuple[str, Any] | None:
    """Name and argument of an intrinsic function; None if `raw` is a plain table."""
    if len(raw) != 1:
        return None
    [(name, argument)] = raw.items()
    if name == "Ref" or (str(name).startswith("Fn::") and not str(name).startswith(_LOOP)):
        return str(name), argument
    return None


def _flat(items: list[Any]) -> Iterator[Any]:
    for item in items:
        if isinstance(item, list):
            yield from item
        else:
            yield item


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


def any_text(value: Any) -> str:
    """The same of any value: what is no scalar is left to be found wrong by whoever has the text."""
    return json.dumps(value, default=str) if isinstance(value, Mapping | list) else text(value)


def _stack_arn_head(account: Account) -> str:
    return f"arn:aws:cloudformation:{account.region}:{account.account_id}"


def _table(template: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = template.get(key)
    return table if isinstance(table, Mapping) else {}


def _kind(resource: Any) -> str:
    return str(resource.get("Type")) if isinstance(resource, Mapping) else ""
