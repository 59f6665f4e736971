"""Runs what `engine load` was asked for: scenario, target, run, files, exit code."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from engine.app.executor_choice import choose
from engine.cli.load.targets import LoadTarget, scenario_and_targets, target_of
from engine.cli.load.voice import Voice
from engine.cli.options import complain
from engine.config import load_config
from engine.load.data_files import CONFIG
from engine.load.errors import LoadTestError
from engine.load.planning.events import events_of
from engine.load.planning.function_scenario import (
    Via,
    own_scenario,
    with_functions,
    with_objectives,
    without_engine,
)
from engine.load.planning.objectives import CallerObjectives, parse_objectives
from engine.load.planning.plan import Mix
from engine.load.planning.profile import profile_of
from engine.load.planning.scenario import Scenario, load_scenario, scenario_names
from engine.load.results.checks import FAILED, GENERATOR_LIMITED, PASSED
from engine.load.results.comparison import comparison, refusal
from engine.load.results.report import page
from engine.load.results.summary import without_curves
from engine.load.results.text import as_text
from engine.load.running.engine_process import running_engine
from engine.load.running.session import RunSettings, Session
from engine.load.stubs.running import lines_of, running_stubs
from engine.load.stubs.specification import Stub, parse_stubs
from engine.runtime.clock import SystemClock
from engine.runtime.platform import Platform

_EXIT: Final = {PASSED: 0, FAILED: 1, GENERATOR_LIMITED: 3}
_INTERRUPTED: Final = 130
_NAME_WIDTH: Final = 24
_RATE_PER_S: Final = 50.0
_DURATION_S: Final = 15.0
_WARMUP_S: Final = 2.0
_OF_OWN_LOADS: Final = ("rate", "profile", "warmup")
_OF_SCENARIOS: Final = ("scale", "capacity", "users", "publish")


def run_load(options: Mapping[str, Any]) -> None:
    """Do it, and exit with the status of the verdict."""
    if options["lists"]:
        for known in scenario_names():
            click.echo(f"{known:{_NAME_WIDTH}}{load_scenario(known).question}")
        return
    try:
        stubs = _stubs(options)
        name, scenario, target = _chosen(options)
    except (ValueError, LoadTestError) as error:
        complain(str(error).splitlines())
    before = _earlier(options["compare"], target)
    settings = RunSettings(
        duration_s=None if name is None else options["duration"],
        scale=options["scale"] or 1.0,
        capacity_per_s=options["capacity"],
        users=options["users"],
        workers=options["processes"],
        seed=options["seed"],
        stop_on_breach=options["stop_on_breach"],
        prometheus=options["prometheus"],
        executors=target.executors,
    )
    title = name or ", ".join(one.name for one in target.driven)
    voice = Voice(sys.stderr, SystemClock())
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with running_stubs(stubs, settings.seed) as stand_ins:
            session = Session(title, scenario, settings, voice, stand_ins.around(target.open_engine))
            folder = Path(options["out"] or Path("reports") / session.run_id)
            folder.mkdir(parents=True)
            for line in lines_of(stubs, target.executors):
                voice.say(line)
            document = session.run(folder)
            document["stubs"] = stand_ins.figures()
    except KeyboardInterrupt:
        raise click.exceptions.Exit(_INTERRUPTED) from None
    except OSError as error:
        complain([f"{error.filename}: {error.strerror}" if error.filename else str(error)])
    except LoadTestError as error:
        complain(str(error).splitlines())
    finally:
        voice.close()
    if before is not None:
        document["comparison"] = comparison(before, document)
    (folder / "run.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    (folder / "report.html").write_text(page(document), encoding="utf-8")
    click.echo(json.dumps(document) if options["as_json"] else as_text(document, folder))
    if options["publish"] is not None:
        click.echo(publish(document, Path(options["publish"])), err=True)
    raise click.exceptions.Exit(_EXIT[document["verdict"]])


def _interrupt(*_: object) -> None:
    """A stop signal ends the run as Ctrl-C does: with the processes that it started."""
    raise KeyboardInterrupt


def _earlier(file: str | None, target: LoadTarget) -> dict[str, Any] | None:
    """The run to compare with; exits with one line if it cannot be read, or cannot be compared."""
    if file is None:
        return None
    try:
        before = json.loads(Path(file).read_bytes())
        why_not = refusal(before, target.executors, os.cpu_count()) if isinstance(before, dict) else "no run"
    except OSError as error:
        why_not = error.strerror
    except ValueError:
        why_not = "is not JSON"
    if why_not is not None:
        complain([f"--compare {file}: {why_not}"])
    found: dict[str, Any] = before
    return found


def publish(document: Mapping[str, Any], folder: Path) -> str:
    """Keep the numbers of a run with the commit, unless they say nothing; tells which."""
    if document["verdict"] != PASSED:
        return f"not published: the run is {document['verdict']}"
    missed = [one["saw"] for one in document["generator"] if not one["held"]]
    if missed:
        return f"not published: the generator did not keep up: {', '.join(missed)}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{document['scenario']}.json"
    path.write_text(json.dumps(without_curves(document), indent=1) + "\n", encoding="utf-8")
    return f"published: {path}"


# -------------------------------------------------------------------- choices


def _chosen(options: Mapping[str, Any]) -> tuple[str | None, Scenario, LoadTarget]:
    """The name of a scenario, what is to be run, and against what. Raises ValueError or LoadTestError."""
    if options["duration"] == 0:
        complain(["--duration must be above 0"])
    name, words = scenario_and_targets(options["words"])
    objectives = _objectives(options)
    if name is None:
        _refuse_given(options, _OF_SCENARIOS, "needs a SCENARIO")
        if not words and options["path"] is None and options["url"] is None:
            complain(["name MODULE.FUNCTION, a scenario (see --list), --config FILE or --url URL"])
        target = target_of(words, options, None, by_http=options["via"] == "http")
        return None, with_objectives(_own(target, options), objectives), target
    _refuse_given(options, _OF_OWN_LOADS, f"{name} has stages of its own")
    scenario = with_objectives(load_scenario(name), objectives)
    if not words and options["path"] is None and options["url"] is None:
        return name, scenario, _scenarios_own(scenario, options)
    sends = {one.send for one in scenario.streams.values() if not one.keeps_function}
    by_http = "http" in sends if options["via"] is None else options["via"] == "http"
    keep_alive_s = scenario.keep_alive_s if options["url"] is None else None
    target = target_of(words, options, keep_alive_s, by_http=by_http)
    via, events = _via(target, options, None), _events(options)
    scenario, left_out = with_functions(scenario, target.driven, via, events)
    if options["url"] is not None:
        scenario, unseen = without_engine(scenario, is_engine=target.is_engine)
        left_out = (*left_out, *unseen)
    for text in left_out:
        click.echo(f"left out: {text}", err=True)
    return name, scenario, target


def _own(target: LoadTarget, options: Mapping[str, Any]) -> Scenario:
    if options["rate"] is not None and options["profile"] is not None:
        complain(["--rate and --profile exclude each other"])
    words = options["profile"] or f"poisson:{options['rate'] or _RATE_PER_S:g}"
    names = [one.name for one in target.driven]
    warmup_s = _WARMUP_S if options["warmup"] is None else options["warmup"]
    profile = profile_of(
        words, names, duration_s=options["duration"], default_s=_DURATION_S, warmup_s=warmup_s
    )
    via = _via(target, options, "invoke")
    assert via is not None
    events = _events(options) or (Mix(),)
    told = words if options["profile"] else f"{profile.peak_per_s:g} requests/s"
    return own_scenario(target.driven, via, events, profile, told)


def _scenarios_own(scenario: Scenario, options: Mapping[str, Any]) -> LoadTarget:
    """The functions that the scenario is made for."""
    options_of = {"events": "event", "via": "via", "headers": "header", "target": "path", "method": "method"}
    given = [word for key, word in options_of.items() if options[key]]
    if given:
        complain([f"--{word} needs a function in the place of the scenario's own" for word in given])
    functions = {one.function for one in scenario.streams.values()}
    config = load_config(str(CONFIG))
    executors = {
        one.name: choose(one, Platform()).executor for one in config.functions if one.name in functions
    }
    return LoadTarget((), partial(running_engine, ("--config", str(CONFIG))), executors)


def _via(target: LoadTarget, options: Mapping[str, Any], default: Via | None) -> Via | None:
    via: Via | None = options["via"]
    if not target.is_engine:
        return via or "http"
    return via or default


def _events(options: Mapping[str, Any]) -> tuple[Mix, ...] | None:
    if not options["events"]:
        return None
    try:
        return events_of(options["events"], whole_files=options["via"] == "bucket")
    except ValueError as error:
        raise ValueError(f"--event {error}") from None


def _stubs(options: Mapping[str, Any]) -> tuple[Stub, ...]:
    """Raises ValueError."""
    if options["stubs"] and options["url"] is not None:
        complain(["--stub: with --url the handlers run already, and cannot be pointed at a stub"])
    try:
        return parse_stubs(options["stubs"])
    except ValueError as error:
        raise ValueError(f"--stub {error}") from None


def _objectives(options: Mapping[str, Any]) -> CallerObjectives | None:
    if options["slo"] is None:
        if options["stop_on_breach"]:
            complain(["--stop-on-breach needs --slo"])
        return None
    try:
        return parse_objectives(options["slo"])
    except ValueError as error:
        raise ValueError(f"--slo {error}") from None


def _refuse_given(options: Mapping[str, Any], keys: tuple[str, ...], why: str) -> None:
    given = [key for key in keys if options[key] is not None]
    if given:
        complain([f"--{key}: {why}" for key in given])
