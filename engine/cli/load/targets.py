"""What is driven: handlers, functions of a configuration, a running engine, or a URL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from engine.app.executor_choice import choose
from engine.cli.options import complain, configured, warn
from engine.cli.template_options import PARAMETERS
from engine.config import Config
from engine.core.function import Function
from engine.core.spelling import did_you_mean
from engine.load.errors import LoadTestError
from engine.load.planning.function_scenario import DrivenFunction, Via
from engine.load.planning.scenario import scenario_names
from engine.load.running.engine_process import (
    OpenEngine,
    running_already,
    running_engine,
    status_at,
)
from engine.runtime.platform import Platform
from engine.sources.http.routes import Entry, RouteTable
from engine.sources.http.settings import ANY, DEFAULT_PATH, METHODS, HttpEvent

_SERVE_KEYS: Final = ("executor", "python", "memory_mb", "timeout_s", "keep_alive_s", "concurrency_limit")
_NO_FILE_NAME: Final = re.compile(r"[^.:=/]+")


class LoadTarget(NamedTuple):
    """What is driven.

    Attributes:
        driven: Functions, or the one URL; empty: those of the scenario.
        open_engine: Gives the engine or server, for the time of a `with`.
        executors: What runs each function, by name, as far as that is known.
        is_engine: Whether it is an engine, which has queues and buckets and tells of itself.
    """

    driven: Sequence[DrivenFunction]
    open_engine: OpenEngine
    executors: Mapping[str, str]
    is_engine: bool = True


def scenario_and_targets(words: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """The scenario that the first word names, or None, and the other words."""
    known = scenario_names()
    if words and words[0] in known:
        return words[0], words[1:]
    return None, words


def target_of(
    words: Sequence[str], options: Mapping[str, Any], keep_alive_s: float | None, *, by_http: bool
) -> LoadTarget:
    """What the words and options name; exits with one line for each problem.

    `keep_alive_s`: of functions that are served for it; None is their own. `by_http`: they are called so.
    """
    path, url = options["path"], options["url"]
    if path is not None and url is not None:
        complain(["--config FILE and --url URL exclude each other"])
    if options["target"] is not None and not options["target"].startswith("/"):
        complain([f"--path {options['target']}: must begin with /"])
    if options["method"] is not None and options["method"].upper() not in METHODS:
        complain([f"--method {options['method']}: no method of HTTP"])
    of_http = {"path": options["target"], "method": options["method"], "header": options["headers"]}
    if not by_http and options["url"] is None:
        given = [word for word, value in of_http.items() if value]
        if given:
            complain([f"--{word} needs --via http" for word in given])
    if url is not None:
        return _at_url([*words, *options["functions"]], options)
    overrides = {key: options.get(key) for key in _SERVE_KEYS}
    overrides["keep_alive_s"] = keep_alive_s
    options = {**options, "by_http": by_http}
    if path is not None:
        return _of_config(path, [*words, *options["functions"]], options, overrides)
    return _of_handlers(words, options, overrides)


def _of_handlers(
    words: Sequence[str], options: Mapping[str, Any], overrides: Mapping[str, Any]
) -> LoadTarget:
    if options["functions"]:
        complain(["--function NAME needs --config FILE or --url URL"])
    for word in words:
        if _NO_FILE_NAME.fullmatch(word):
            hint = did_you_mean(word, scenario_names()) or f" (scenarios: {', '.join(scenario_names())})"
            complain([f"{word!r} is neither MODULE.FUNCTION nor a scenario{hint}"])
    config = configured(None, words, overrides, options["parameters"])
    warn(config)
    return _served(config, config.functions, [*words], overrides, options)


def _of_config(
    path: str, names: Sequence[str], options: Mapping[str, Any], overrides: Mapping[str, Any]
) -> LoadTarget:
    config = configured(path, (), overrides, options["parameters"])
    warn(config)
    known = {function.name: function for function in config.functions}
    by_handler = {function.handler: function for function in config.functions}
    chosen = []
    for name in names:
        function = known.get(name) or by_handler.get(name)
        if function is None:
            said = did_you_mean(name, known) or f"; it has {', '.join(known) or 'none'}"
            complain([f"{path}: no function {name!r}{said}"])
        chosen.append(function)
    arguments = ["--config", path]
    for parameter in options["parameters"]:
        arguments += [PARAMETERS, parameter]
    return _served(config, chosen or config.functions, arguments, overrides, options)


def _served(
    config: Config,
    functions: Sequence[Function],
    arguments: Sequence[str],
    overrides: Mapping[str, Any],
    options: Mapping[str, Any],
) -> LoadTarget:
    """Functions that an engine of its own serves."""
    if not functions:
        complain(["there is no function to drive"])
    for key, value in overrides.items():
        if value is not None:
            arguments = [*arguments, f"--{key.replace('_', '-')}", str(value)]
    return LoadTarget(
        driven=[_driven(config, one, options) for one in {one.name: one for one in functions}.values()],
        open_engine=partial(running_engine, arguments),
        executors={one.name: choose(one, Platform()).executor for one in functions},
    )


def _driven(config: Config, function: Function, options: Mapping[str, Any]) -> DrivenFunction:
    if not options["by_http"]:
        return DrivenFunction(function.name)
    method, target = options["method"], options["target"]
    events = [
        one.settings
        for one in config.bindings.get("http", ())
        if one.function.name == function.name and isinstance(one.settings, HttpEvent)
    ]
    if target is None:
        if not events:
            complain([f"{function.name} has no HTTP event: --via invoke needs none"])
        event = next((one for one in events if "{" not in one.path), events[0])
        if "{" in event.path:
            complain([f"{function.name} has the route {event.path}: --path says what is asked for"])
        target = "/" if event.path == DEFAULT_PATH else event.path
        method = method or (None if event.method == ANY else event.method)
    method = (method or _method_at(events, target)).upper()
    return DrivenFunction(function.name, method, target, dict(options["headers"]))


def _method_at(events: Sequence[HttpEvent], target: str) -> str:
    """A method that the function's route at this path and query takes: POST if it may be."""
    routes = [one for one in events if one.path != DEFAULT_PATH]
    table = RouteTable([Entry(one.method, one.path, "", one) for one in routes])
    path = target.partition("?")[0]
    methods = ("POST", *(one.method for one in routes))
    return next((method for method in methods if table.find(method, path) is not None), "POST")


def _at_url(names: Sequence[str], options: Mapping[str, Any]) -> LoadTarget:
    """A running engine, whose admin listener is asked for its functions, or any HTTP server."""
    url = options["url"]
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        complain([f"--url {url}: not an http:// or https:// URL"])
    keys = [key for key in _SERVE_KEYS if options.get(key) is not None]
    if keys:
        complain([f"--{key.replace('_', '-')}: with --url the engine runs already" for key in keys])
    base = f"{parts.scheme}://{parts.netloc}"
    try:
        status = status_at(base) if parts.path in ("", "/") else None
    except LoadTestError as error:
        complain([str(error)])
    opened = partial(running_already, base)
    if status is None:
        return LoadTarget(_at_server(parts.path, parts.query, names, options), opened, {}, is_engine=False)
    known = status["functions"]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or f"; it has {', '.join(known) or 'none'}"
            complain([f"{url}: no function {name!r}{hint}"])
    if not names and not known:
        complain([f"{url}: the engine has no function"])
    method, target = (options["method"] or "POST").upper(), options["target"] or "/"
    driven = [
        DrivenFunction(name, method, target, dict(options["headers"]))
        for name in dict.fromkeys(names or known)
    ]
    return LoadTarget(driven, opened, dict.fromkeys((one.name for one in driven), "unknown"))


def _at_server(
    path: str, query: str, names: Sequence[str], options: Mapping[str, Any]
) -> list[DrivenFunction]:
    """The one URL; or functions of something that has the Invoke API there."""
    via: Via | None = options["via"]
    if via in ("queue", "bucket"):
        complain([f"--via {via} needs an engine: its admin address as --url, or none"])
    if via == "invoke":
        if not names:
            complain(["--via invoke needs the name of a function"])
        return [DrivenFunction(name) for name in names]
    if names:
        complain([f"{names[0]}: with the URL of a server that is no engine there is nothing to name"])
    target = options["target"] or (path or "/") + (f"?{query}" if query else "")
    method = (options["method"] or ("POST" if options["events"] else "GET")).upper()
    return [DrivenFunction(f"{method} {target}", method, target, dict(options["headers"]))]
