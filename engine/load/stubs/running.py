"""Starts the stubs of a run, points an engine's handlers at them, and asks what they answered."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, cast

from engine.load.errors import LoadTestError
from engine.load.running.child_processes import first_line, kill_group, last_lines, start
from engine.load.running.engine_process import OpenEngine, RunningEngine
from engine.load.stubs import redirect
from engine.load.stubs.server import HOST, StubPlan
from engine.load.stubs.specification import Stub, known_services

MAX_LATE_MS: Final = 5.0
MAX_CPU: Final = 0.9
"""Lateness (p99) and share of a core above which the stubs themselves were the limit."""

_SEEN_BY_HANDLERS: Final = "/var/tmp" if os.access("/var/tmp", os.W_OK) else None  # noqa: S108  made 0700
"""Where the file of authorities lies: each environment on process has a `/tmp` of its own, without it."""

_BUNDLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
"""Variables by which clients find the file of authorities that they trust."""

_READY_S: Final = 20.0
_ANSWER_S: Final = 10.0


class RunningStubs:
    """Stubs that answer; or none, which change nothing."""

    def __init__(
        self, control: BinaryIO | None, serve_options: Sequence[str], variables: Mapping[str, str]
    ) -> None:
        """`serve_options` of `engine serve` and `variables` of its process: so handlers find the stubs."""
        self._control = control
        self._serve_options = serve_options
        self._variables = variables

    def around(self, open_engine: OpenEngine) -> OpenEngine:
        """The same engine, but that its handlers call the stubs, which count from its start."""
        if self._control is None:
            return open_engine

        @contextmanager
        def opened(*, variables: Mapping[str, str]) -> Iterator[RunningEngine]:
            self._ask("reset")
            both = {**variables, **self._variables}
            with open_engine(variables=both, further=self._serve_options) as engine:
                yield engine

        return opened

    def figures(self) -> dict[str, Any] | None:
        """What each stub answered since the engine was started, and whether the stubs were the limit."""
        if self._control is None:
            return None
        found = self._ask("figures")
        late_ms = max((one["late_p99_ms"] for one in found["stubs"]), default=0.0)
        found["checks"] = [
            {
                "check": f"stubs answer at most {MAX_LATE_MS:g} ms late (p99)",
                "held": late_ms <= MAX_LATE_MS,
                "saw": f"{late_ms:.1f} ms",
            },
            {
                "check": f"stubs use at most {MAX_CPU:.0%} of a core",
                "held": found["cpu"] <= MAX_CPU,
                "saw": f"{found['cpu']:.0%}",
            },
        ]
        return found

    def _ask(self, what: str) -> dict[str, Any]:
        assert self._control is not None
        self._control.write(f"{what}\n".encode())
        self._control.flush()
        answer: dict[str, Any] = json.loads(self._control.readline() or b"{}")
        if not answer:
            raise LoadTestError("the stubs ended by themselves")
        return answer


def lines_of(stubs: Sequence[Stub], executors: Mapping[str, str]) -> Iterator[str]:
    """What is stubbed, and which clients of handlers go past it, a line each."""
    for stub in stubs:
        yield f"stub: {stub.name}, {stub.words}"
    if any(stub.host for stub in stubs):
        yield "stubs of URLs do not reach clients that connect in C: pycurl, aiodns, awscrt, gRPC"
        others = [name for name, executor in executors.items() if executor == "runtime"]
        if others:
            yield f"stubs of URLs reach Python alone: {', '.join(others)} may go past them"


@contextmanager
def running_stubs(stubs: Sequence[Stub], seed: int) -> Iterator[RunningStubs]:
    """The stubs in a process of their own, on free ports of this machine, for the time of a `with`.

    Raises:
        LoadTestError: They did not start.
    """
    if not stubs:
        yield RunningStubs(None, (), {})
        return
    with tempfile.TemporaryDirectory(prefix="engine-stubs-", dir=_SEEN_BY_HANDLERS) as name:
        folder = Path(name)
        secure = [one for one in stubs if one.scheme == "https"]
        bundle, files = _certificates([one.host for one in secure], folder) if secure else (None, {})
        certificates = {one.name: str(files[one.host]) for one in secure}
        plan = folder / "plan.json"
        plan.write_text(
            StubPlan(stubs=tuple(stubs), certificates=certificates, seed=seed).model_dump_json(),
            encoding="utf-8",
        )
        command = [sys.executable, "-P", "-m", "engine.load.stubs.server", str(plan)]
        with (
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as said,
            start(command, cwd=folder, variables={}, stdout=out, stderr=said) as process,
        ):
            try:
                ready = _ready(process, out, said)
                with (
                    socket.create_connection((HOST, ready["control"]), _ANSWER_S) as control,
                    control.makefile("rwb") as lines,
                ):
                    yield RunningStubs(cast("BinaryIO", lines), *_ways(stubs, ready["ports"], bundle, folder))
            finally:
                kill_group(process)


def _certificates(hosts: Sequence[str], folder: Path) -> tuple[Path, dict[str, Path]]:
    """See `make_certificates`, whose package is of an extra and needed for https alone."""
    if find_spec("cryptography") is None:
        raise LoadTestError(
            "--stub https://... needs cryptography: pip install 'invocation-engine[loadtest]'"
        )
    usual = [os.environ[name] for name in _BUNDLES if name in os.environ]
    made: tuple[Path, dict[str, Path]] = import_module("engine.load.stubs.certificates").make_certificates(
        hosts, folder, usual
    )
    return made


def _ways(
    stubs: Sequence[Stub], ports: Sequence[int], bundle: Path | None, folder: Path
) -> tuple[list[str], dict[str, str]]:
    """How handlers find the stubs: options of `engine serve`, and variables of its process."""
    handlers: dict[str, str] = {}
    places: dict[str, tuple[str, int]] = {}
    hosts = list(dict.fromkeys(one.host for one in stubs if one.host))
    known = known_services()
    for stub, port in zip(stubs, ports, strict=True):
        if stub.service:
            handlers[f"AWS_ENDPOINT_URL_{known[stub.service][0]}"] = f"http://{HOST}:{port}"
        else:
            places[f"{stub.host}:{stub.port}"] = (
                f"127.88.{hosts.index(stub.host)}.1",
                port,
            )  # nothing listens there
    variables = {}
    if places:
        hook = folder / "path"
        hook.mkdir()
        shutil.copyfile(redirect.__file__, hook / "sitecustomize.py")
        (hook / "redirect.json").write_text(json.dumps(places), encoding="utf-8")
        before = os.environ.get("PYTHONPATH")
        variables["PYTHONPATH"] = f"{hook}{os.pathsep}{before}" if before else str(hook)
    if bundle is not None:
        handlers |= dict.fromkeys(_BUNDLES, str(bundle))
        variables["SSL_CERT_FILE"] = str(bundle)  # OpenSSL reads that of the process
    return [word for name, value in handlers.items() for word in ("--env", f"{name}={value}")], variables


def _ready(process: subprocess.Popen[bytes], out: IO[bytes], said: IO[bytes]) -> dict[str, Any]:
    """The line that the process prints first."""
    line = first_line(process, out, _READY_S)
    if line is None:
        raise LoadTestError(f"the stubs did not start; their last lines:\n{last_lines(said)}")
    ready: dict[str, Any] = json.loads(line)
    return ready
