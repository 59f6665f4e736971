"""What a load test drives: an engine in a process of its own, one that runs already, or any HTTP server."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from typing import IO, Any, Final, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from engine.load.data_files import CONFIG
from engine.load.errors import LoadTestError
from engine.load.running.child_processes import first_line, kill_group, last_lines, start

_READY_S: Final = 60.0
_ANSWER_S: Final = 10.0
_STOP_S: Final = 60.0
"""An engine waits for what still runs, as its `grace_s` says, before it ends."""


class RunningEngine(NamedTuple):
    """An engine that serves, or a server that is none.

    Attributes:
        urls: By listener: `http`, `aws`, `admin`; a server that is no engine has no `admin`.
        pid: Of its process; None if it was not started here, and others may use it too.
    """

    urls: dict[str, str]
    pid: int | None

    @property
    def admin(self) -> str | None:
        """Where it tells of itself; None if nothing does."""
        return self.urls.get("admin")


OpenEngine = Callable[..., AbstractContextManager[RunningEngine]]
"""How what is driven comes to be, for the time of a `with`; takes further environment `variables`."""


@contextmanager
def running_engine(
    options: Sequence[str] = ("--config", str(CONFIG)),
    *,
    variables: Mapping[str, str] | None = None,
    further: Sequence[str] = (),
) -> Iterator[RunningEngine]:
    """`engine serve` with `options` on free ports and further environment variables; it drains at the end.

    `further`: options after them.

    Without options it serves the functions of the scenarios. It works in the current directory.

    Raises:
        LoadTestError: It did not start, or did not end by itself and well.
    """
    command = [sys.executable, "-P", "-m", "engine", "serve", *options, *further, "--log-format", "off"]
    for listener in ("http", "aws", "admin"):
        command += [f"--{listener}", "127.0.0.1:0"]
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as said,
        start(command, cwd=Path.cwd(), variables=variables or {}, stdout=out, stderr=said) as process,
    ):
        try:
            yield RunningEngine(_addresses(process, out), process.pid)
            if process.poll() is not None:
                raise LoadTestError(f"the engine ended by itself, with status {process.returncode}")
            process.terminate()
            if process.wait(_STOP_S):
                raise LoadTestError(f"the engine ended with status {process.returncode}")
        except subprocess.TimeoutExpired:
            raise LoadTestError(f"the engine did not stop within {_STOP_S:g} s of SIGTERM") from None
        except LoadTestError as error:
            process.kill()
            raise LoadTestError(f"{error}; the engine's last lines:\n{last_lines(said)}") from None
        finally:
            kill_group(process)


def _addresses(process: subprocess.Popen[bytes], out: IO[bytes]) -> dict[str, str]:
    """What the engine prints first, when it is ready. Handlers print there too, so it is a file, no pipe."""
    line = first_line(process, out, _READY_S)
    if line is None:
        if process.poll() is None:
            raise LoadTestError(f"the engine was not ready within {_READY_S:g} s")
        raise LoadTestError("the engine ended before it was ready")
    document = json.loads(line)
    return {name: document[name] for name in ("http", "aws", "admin") if document.get(name)}


@contextmanager
def running_already(url: str, *, variables: Mapping[str, str] | None = None) -> Iterator[RunningEngine]:
    """An engine whose admin listener, or a server whose root, is `url`; it is left as it is.

    `variables` would be of no use.
    """
    status = status_at(url)
    if status is None:
        yield RunningEngine({"http": url, "aws": url}, None)
        return
    found = {name: value for name, value in status.get("listeners", {}).items() if value}
    yield RunningEngine({**found, "admin": url.rstrip("/")}, None)


def status_at(url: str) -> dict[str, Any] | None:
    """The status of the engine whose admin listener that is; None if it is something else."""
    try:
        with urlopen(f"{url.rstrip('/')}/status.json", timeout=_ANSWER_S) as answer:  # noqa: S310  http alone
            document = json.load(answer)
    except (HTTPError, IncompleteRead):
        return None
    except (URLError, OSError) as error:
        raise LoadTestError(f"{url}: {error.reason if isinstance(error, URLError) else error}") from None
    except HTTPException as error:
        raise LoadTestError(f"{url}: no HTTP: {type(error).__name__}") from None
    except ValueError:
        return None
    is_status = isinstance(document, dict) and "account_concurrency_limit" in document
    return document if is_status else None
