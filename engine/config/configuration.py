"""A parsed document becomes a `Config`, or one error that names everything wrong with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

from engine.config.function_warnings import function_warnings
from engine.config.handler_file import HandlerCode, code_problem, handler_problem
from engine.config.limits import limit_warnings, provisioned_problems, total_problems
from engine.config.listeners import EXPOSES, FULL_CONSOLE_EXPOSES, Listener
from engine.config.problems import Place, Problem, dotted, refuse, show, validated
from engine.config.programs import program_problems
from engine.config.resources import RESOURCE_TABLES, EventSettings, Resources, destinations, resources
from engine.config.settings import (
    FUNCTION_NAME,
    FUNCTION_NAME_RULE,
    ClusterSettings,
    EngineSettings,
    FunctionSettings,
    RaySettings,
)
from engine.core.cluster_config import ClusterConfig, RayConfig
from engine.core.cpu_law import CpuLaw
from engine.core.function import Account, Function
from engine.core.lambda_prices import price_sheet
from engine.core.late_dataclass import dataclass
from engine.core.python_interpreter import ChosenPython
from engine.core.spelling import did_you_mean
from engine.errors import UnknownName
from engine.ports import Binding, SettingsModel
from engine.registry import Kind, names, resolve
from engine.runtime.clock import SystemClock

LISTENERS: Final = ("http", "aws", "admin")
CATCH_ALL: Final[Mapping[str, Any]] = MappingProxyType(
    {"type": "http", "method": "ANY", "path": "$default", "payload_format": "2.0"}
)
"""What the only function of a configuration gets if it names no event: every route, like a Function URL."""

_TABLES: Final = ("engine", "functions", "cluster", "ray", *RESOURCE_TABLES)
_Table = TypeVar("_Table", ClusterSettings, RaySettings)
_Resolver = Callable[[Kind, str], type[Any]]
"""`registry.resolve`, which is asked once for each name."""
_SUMMED: Final = {"reserved_concurrency", "provisioned_concurrency", "functions"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything the engine is built from. Checked: whoever holds one need not check again.

    Attributes:
        account: Region, account and shared limits.
        functions: In the order of the file; `code` is an absolute path.
        bindings: Source type, as first written, to all events of that type.
        listeners: Listener name (`http`, `aws`, `admin`) to address.
        log_format: text, json or off.
        logs_mb: Megabytes of memory for CloudWatch Logs; 0: there are none.
        durable_mb: Megabytes of memory for durable executions that have ended.
        grace_s: Seconds that accepted invocations get to end when the engine stops.
        monthly_budget_usd: US dollars a month, or None.
        python: Absolute path of what handlers run in whose functions do not say, or None.
        pythons: What the handler of each function runs in, by name, as commands find it; None: the engine's
            own interpreter where none is named, since whoever embeds an engine has chosen one.
        state_dir: Absolute path of the folder that keeps functions created over the Lambda API, or None.
        partner: What answers for AWS services that the engine has not; see `[engine] partner`.
        warnings: One line each: legal, yet worth a look.
        observers: Names of what else sees every invocation.
        push_metrics: The protocol by which metrics are pushed, or None.
        resources: Queues and buckets.
        debug: Handlers are to be stopped at breakpoints; see `debugged`.
        reload_patterns: Globs of data files that `serve --reload` watches besides code.
        console: Whether the admin listener gives logs and takes actions: auto, full or numbers.
        init_concurrency: Inits that may compute at a time, or None: as many as there are cores.
        cpu: Whose CPU the environments of functions have that do not say.
        stream_bandwidth: `lambda`: of a streamed response, 2 MB/s beyond 6 MB.
        hosts: Further names that clients call the listeners by.
        allowed_origins: Origins of web pages that may use all listeners.
        cluster: Where agents connect to, and whether functions run on nodes that do not say otherwise.
    """

    account: Account
    functions: tuple[Function, ...]
    bindings: Mapping[str, tuple[Binding, ...]]
    listeners: Mapping[str, Listener]
    log_format: Literal["text", "json", "off"]
    grace_s: float
    monthly_budget_usd: float | None
    warnings: tuple[str, ...]
    python: str | None = None
    pythons: Mapping[str, ChosenPython] | None = None
    state_dir: str | None = None
    partner: str | None = None
    observers: tuple[str, ...] = ()
    push_metrics: Literal["otlp"] | None = None
    resources: Resources = field(default_factory=Resources)
    debug: bool = False
    init_concurrency: int | None = None
    cpu: CpuLaw = "host"
    stream_bandwidth: Literal["unlimited", "lambda"] = "unlimited"
    hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    reload_patterns: tuple[str, ...] = ()
    console: Literal["auto", "full", "numbers"] = "auto"
    logs_mb: int = 0
    durable_mb: int = 256
    cluster: ClusterConfig = field(default_factory=ClusterConfig)

    @property
    def console_is_full(self) -> bool:
        """Whether the admin listener gives logs and takes actions."""
        admin = self.listeners.get("admin")
        return self.console == "full" or (self.console == "auto" and admin is not None and admin.loopback)

    def changed(self, change: Callable[[Function], Function]) -> Config:
        """The same with every function changed, also where events are bound to it."""
        functions = {function.name: change(function) for function in self.functions}
        return replace(
            self,
            functions=tuple(functions.values()),
            bindings={
                kind: tuple(
                    replace(binding, function=functions[binding.function.name]) for binding in bindings
                )
                for kind, bindings in self.bindings.items()
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentOrigin:
    """What the reader of a document adds to it.

    Attributes:
        folder: What relative code folders are relative to.
        spell: How the user knows a place of the document.
        problems: Found before; reported together with what is found here.
        warnings: Found before.
        listen: Names of the listeners that are opened.
    """

    folder: str
    spell: Callable[[Place], str] = dotted
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    listen: tuple[str, ...] = LISTENERS


@dataclass(frozen=True, slots=True)
class _Events:
    """The events of one function: source class, type, settings, qualifier and number, each."""

    function: str
    found: list[tuple[type[Any], str, SettingsModel, str | None, int]]

    def settings(self) -> Iterator[EventSettings]:
        """Those of each."""
        for _, _, settings, _, number in self.found:
            yield EventSettings(("functions", self.function, "events", number), settings)


def build(document: Mapping[str, Any], origin: DocumentOrigin) -> Config:
    """Check `document` (the tables of engine.toml, parsed) as a whole.

    Raises:
        ConfigError: With every problem, a line each, in the order of the document.
    """
    problems = list(origin.problems)
    engine_table, function_tables = _tables(document, problems)
    if "http" in origin.listen:
        function_tables = _with_catch_all(function_tables)
    engine = validated(EngineSettings, engine_table, ("engine",), problems)
    resolver: _Resolver = cache(resolve)
    events = [
        _Events(name, _events(name, table, resolver, problems)) for name, table in function_tables.items()
    ]
    files = _Files(origin.folder)
    has_python = engine is not None and engine.python is not None
    functions = tuple(
        _function(name, table, files, resolver, problems, has_python=has_python)
        for name, table in function_tables.items()
    )
    problems += provisioned_problems(functions)
    findings = examined({function.name: function for function in functions}, events)
    problems += [problem for problem, refused in findings if refused]
    notes = tuple(f"{origin.spell(place)}: {text}" for (place, text), refused in findings if not refused)
    of_events = [one for of_function in events for one in of_function.settings()]
    if engine is None or engine.state_dir is None:  # else clients may have made them
        problems += _unknown_functions(of_events, function_tables)
    account = engine.account() if engine is not None else Account()
    known = resources(document, functions, of_events, account, problems)
    cluster = _cluster(document, origin, problems)
    if engine is not None:
        problems += _listener_problems(engine, origin.listen)
        for number, name in enumerate(engine.observers):
            _resolve("observer", name, ("engine", "observers", number), problems, resolver)
    wrong = {problem.place[-1] for problem in problems}
    if engine is not None and not wrong & _SUMMED:  # a sum over wrong numbers would only mislead
        problems += total_problems(engine.concurrency_limit, functions)
    refuse(problems, document, origin.spell)
    assert engine is not None  # else it had problems
    return Config(
        account=engine.account(),
        functions=functions,
        bindings=_bindings({function.name: function for function in functions}, events),
        listeners=MappingProxyType({name: engine.listeners[name] for name in origin.listen}),
        log_format=engine.log_format,
        grace_s=engine.grace_s,
        logs_mb=engine.logs_mb,
        durable_mb=engine.durable_mb,
        monthly_budget_usd=engine.monthly_budget_usd,
        init_concurrency=engine.init_concurrency,
        cpu=engine.cpu,
        stream_bandwidth=engine.stream_bandwidth,
        reload_patterns=engine.reload_patterns,
        console=engine.console,
        warnings=(*origin.warnings, *_warnings(engine, functions, of_events, origin), *notes),
        observers=engine.observers,
        push_metrics=engine.push_metrics,
        hosts=engine.hosts,
        allowed_origins=engine.allowed_origins,
        resources=known,
        python=engine.python and os.path.abspath(os.path.join(origin.folder, engine.python)),
        state_dir=engine.state_dir and os.path.abspath(os.path.join(origin.folder, engine.state_dir)),
        partner=engine.partner,
        cluster=cluster,
    )


def _cluster(document: Mapping[str, Any], origin: DocumentOrigin, problems: list[Problem]) -> ClusterConfig:
    """The tables `[cluster]` and `[ray]`; without, only functions that name the executor run on nodes."""
    cluster = _table_of(ClusterSettings, document, "cluster", problems)
    ray = _table_of(RaySettings, document, "ray", problems)
    config = ClusterConfig()
    if cluster is not None:
        file = cluster.secret_file
        config = ClusterConfig(
            host=cluster.listen.host,
            port=cluster.listen.port,
            secret_file=file and os.path.abspath(os.path.join(origin.folder, file)),
            executor="cluster",
        )
    if ray is None:
        return config
    if config.secret_file is not None:
        problems.append(
            Problem(("cluster", "secret_file"), "agents that Ray starts are given another secret")
        )
    if cluster is None or "listen" not in document["cluster"]:
        config = config._replace(host="", port=0)
    given = RayConfig(ray.address, ray.namespace or "", ray.insecure, ray.autoscaler)
    return config._replace(executor="ray", ray=given)


def _table_of(
    kind: type[_Table], document: Mapping[str, Any], name: str, problems: list[Problem]
) -> _Table | None:
    """The table of that name; None if there is none, or it cannot be read."""
    table = document.get(name)
    if table is None:
        return None
    if not isinstance(table, Mapping):
        problems.append(Problem((name,), f"{show(table)} is not a table"))
        return None
    return validated(kind, table, (name,), problems)


def _tables(
    document: Mapping[str, Any], problems: list[Problem]
) -> tuple[Mapping[str, Any], dict[str, Mapping[str, Any]]]:
    for key in document:
        if key not in _TABLES:
            hint = did_you_mean(key, _TABLES) or f" (known: {', '.join(_TABLES)})"
            problems.append(Problem((key,), f"unknown key{hint}"))
    engine, functions = document.get("engine", {}), document.get("functions", {})
    if not isinstance(engine, Mapping):
        problems.append(Problem(("engine",), f"{show(engine)} is not a table"))
        engine = {}
    if not isinstance(functions, Mapping):
        problems.append(Problem(("functions",), f"{show(functions)} is not a table"))
        return engine, {}
    tables: dict[str, Mapping[str, Any]] = {}
    for name, table in functions.items():
        if not FUNCTION_NAME.fullmatch(name):
            problems.append(Problem(("functions", name), f"the name {FUNCTION_NAME_RULE}"))
        if isinstance(table, Mapping):
            tables[name] = dict(table)
        else:
            problems.append(Problem(("functions", name), f"{show(table)} is not a table"))
    return engine, tables


def _with_catch_all(tables: dict[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """One function without events: every route goes to it, and is streamed if the function streams."""
    if len(tables) != 1:
        return tables
    [(name, table)] = tables.items()
    if table.get("events", []) not in ([], ()):
        return tables
    streams = {} if table.get("streaming") is None else {"response_stream": True}
    return {name: {**table, "events": [{**CATCH_ALL, **streams}]}}


class _Files:
    """What lies below the folder of the document; looked up once for all functions that have it."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.absolute = cache(self._absolute)
        self.code_problem = cache(code_problem)
        self.handler_problem = cache(handler_problem)
        self.has_bootstrap = cache(_has_bootstrap)

    def _absolute(self, path: str) -> str:
        return os.path.abspath(os.path.join(self._folder, path))


def _has_bootstrap(code: str) -> bool:
    return os.path.exists(os.path.join(code, "bootstrap"))


def _function(
    name: str,
    table: Mapping[str, Any],
    files: _Files,
    resolver: _Resolver,
    problems: list[Problem],
    *,
    has_python: bool,
) -> Function:
    """The function of `table`; keys that are wrong are reported and have their defaults instead.

    `has_python`: one is named for all functions.
    """
    place = ("functions", name)
    found: list[Problem] = []
    settings = validated(FunctionSettings, table, place, found)
    wrong = {problem.place[2] for problem in found}
    if settings is None:  # go on with the keys that are right: all problems at once
        right = {key: value for key, value in table.items() if key not in wrong}
        settings = FunctionSettings.model_validate({"handler": "none.none", **right})
    problems += found
    code = files.absolute(settings.code)
    layers = tuple(map(files.absolute, settings.layers))
    checked = [("code", code), *((("layers", number), layer) for number, layer in enumerate(layers))]
    bad = [(key, problem) for key, path in checked if (problem := files.code_problem(path, key == "code"))]
    for key, problem in bad:
        problems.append(Problem((*place, *([key] if isinstance(key, str) else key)), problem))
    is_here = settings.python is None and not has_python  # its module may lie in that environment
    looks = is_here and _is_pythons(settings, code, files)
    if looks and not bad and not wrong & {"handler", "code", "layers"}:
        problem = files.handler_problem(settings.handler, HandlerCode(code, settings.inline, layers))
        if problem:
            problems.append(Problem((*place, "handler"), problem))
    problems += program_problems(settings, code, place, wrong)
    if settings.executor != "auto":
        _resolve("executor", settings.executor, (*place, "executor"), problems, resolver)
    python = settings.python and files.absolute(settings.python)
    return settings.function(name, code, layers, python)


def _is_pythons(settings: FunctionSettings, code: str, files: _Files) -> bool:
    """Whether the handler is looked for as Python does; a bootstrap looks for it in its own way."""
    own = settings.executor == "runtime" and files.has_bootstrap(code)
    return not settings.bootstrap and not own


def _events(
    name: str, function: Mapping[str, Any], resolver: _Resolver, problems: list[Problem]
) -> list[tuple[type[Any], str, SettingsModel, str | None, int]]:
    """Check each table by the `Settings` of its source; what is no table at all is reported elsewhere."""
    found = []
    tables, aliases = function.get("events"), function.get("aliases", ())
    for number, table in enumerate(tables if isinstance(tables, list | tuple) else ()):
        place = ("functions", name, "events", number)
        if not isinstance(table, Mapping):
            continue
        if not isinstance(table.get("type"), str):
            wrong = f"{show(table['type'])} is not a string" if "type" in table else "is required"
            problems.append(Problem((*place, "type"), wrong))
            continue
        source = _resolve("source", table["type"], (*place, "type"), problems, resolver)
        model = getattr(source, "Settings", None)
        if source is not None and not _is_model(model):
            wrong = f"{show(table['type'])} is not an event source: it has no Settings model"
            problems.append(Problem((*place, "type"), wrong))
        elif source is not None and model is not None:
            qualifier = table.get("qualifier")
            if qualifier is not None and (not isinstance(aliases, list | tuple) or qualifier not in aliases):
                wrong = f"{show(qualifier)} is none of the function's aliases"
                problems.append(Problem((*place, "qualifier"), wrong))
            keys = {key: value for key, value in table.items() if key not in ("type", "qualifier")}
            settings = validated(model, keys, place, problems)
            if settings is not None:
                found.append((source, str(table["type"]), settings, qualifier, number))
    return found


def examined(functions: Mapping[str, Function], events: list[_Events]) -> list[tuple[Problem, bool]]:
    """What sources say of all their events together, and whether it keeps them from being run."""
    places: dict[type[Any], list[Place]] = {}
    bindings: dict[type[Any], list[Binding]] = {}
    for of_function in events:
        name = of_function.function
        for source, _, settings, qualifier, number in of_function.found:
            places.setdefault(source, []).append(("functions", name, "events", number))
            binding = Binding(function=functions[name], settings=settings, qualifier=qualifier)
            bindings.setdefault(source, []).append(binding)
    wall_s = SystemClock().wall()
    found = []
    for source, of_source in bindings.items():
        examine = getattr(source, "examine", None)  # optional
        for finding in () if examine is None else examine(of_source, wall_s):
            place = places[source][finding.binding]
            place = place if finding.key is None else (*place, finding.key)
            found.append((Problem(place, finding.sentence), finding.refused))
    return found


def _unknown_functions(events: Iterable[EventSettings], known: Mapping[str, Any]) -> Iterator[Problem]:
    """Functions whose logs are asked for and that are not there."""
    for place, settings in events:
        name = getattr(settings, "function", None) if getattr(settings, "type", None) == "logs" else None
        if name is not None and name not in known:
            yield Problem((*place, "function"), f"{show(name)} is no function{did_you_mean(name, known)}")


def _is_model(found: Any) -> bool:
    """Whether it is a `SettingsModel`; the base class of all models is none."""
    is_derived = isinstance(found, type) and found.__bases__ != (object,)
    return is_derived and callable(getattr(found, "model_validate", None))


def _resolve(
    kind: Kind, name: str, place: Place, problems: list[Problem], resolver: _Resolver
) -> type[Any] | None:
    try:
        return resolver(kind, name)
    except UnknownName as error:
        sentence = f"{show(name)}: {error.reason}"
    known = ("auto", *names(kind)) if kind == "executor" else names(kind)
    if ":" not in name and name not in known:
        hint = did_you_mean(name, known)
        sentence = f"{show(name)} is no {kind}{hint} (known: {', '.join(known)}, or module:Class)"
    problems.append(Problem(place, sentence))
    return None


def _listener_problems(engine: EngineSettings, listen: Sequence[str]) -> list[Problem]:
    problems, users = [], dict[Listener, str]()
    for name in listen:
        listener = engine.listeners[name]
        if listener.port and listener in users:
            problems.append(Problem(("engine", name), f"{listener} is taken by {users[listener]!r}"))
        users.setdefault(listener, name)
    return problems


def _bindings(functions: Mapping[str, Function], events: list[_Events]) -> Mapping[str, tuple[Binding, ...]]:
    """Grouped by source class, so that one instance serves all, whatever name it was written by."""
    types: dict[type[Any], str] = {}
    grouped: dict[str, list[Binding]] = {}
    for of_function in events:
        for source, written, settings, qualifier, _ in of_function.found:
            key = types.setdefault(source, written)
            binding = Binding(
                function=functions[of_function.function], settings=settings, qualifier=qualifier
            )
            grouped.setdefault(key, []).append(binding)
    return MappingProxyType({key: tuple(bindings) for key, bindings in grouped.items()})


def _warnings(
    engine: EngineSettings,
    functions: tuple[Function, ...],
    events: Sequence[EventSettings],
    origin: DocumentOrigin,
) -> list[str]:
    exposed = {**EXPOSES, "admin": FULL_CONSOLE_EXPOSES} if engine.console == "full" else EXPOSES
    warnings = [
        f"{origin.spell(('engine', name))}: {engine.listeners[name]} exposes {exposed[name]} "
        "to whoever can reach this machine"
        for name in origin.listen
        if not engine.listeners[name].loopback
    ]
    place, sheet = origin.spell(("engine", "region")), price_sheet(engine.region)
    if sheet is None:
        warnings.append(f"{place}: no prices are known for {engine.region!r}; those of us-east-1 are used")
    else:
        warnings.extend(f"{place}: {assumption}" for assumption in sheet.assumptions)
    spelled = origin.spell(("engine", "concurrency_limit"))
    warnings += [f"{spelled}: {line}" for line in limit_warnings(engine.concurrency_limit, functions)]
    warnings += function_warnings(functions, origin.spell)
    return warnings + _destination_warnings(engine, functions, events, origin)


def _destination_warnings(
    engine: EngineSettings,
    functions: tuple[Function, ...],
    events: Sequence[EventSettings],
    origin: DocumentOrigin,
) -> list[str]:
    """What nothing can be handed to, as far as it can be told before the engine runs."""
    names = [function.name for function in functions]
    warnings = []
    for place, target in destinations(functions, events, engine.account()):
        name = target.resource.removeprefix("function:").partition(":")[0]
        if target.service == "lambda" and name not in names:
            hint = did_you_mean(name, names)
            warnings.append(f"{origin.spell(place)}: there is no function {name!r}{hint}")
    return warnings
