"""The program of the partner's process: moto on a Unix socket, without its own Lambda, SQS and S3.

`python -m engine.services.partner.moto_server SOCKET` writes one line when it serves. It ends, and removes
the socket's folder, when its standard input ends: so it never outlives the engine. Needs the extra `aws`.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from moto.core.config import default_user_config
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

_NEVER: Final = frozenset({"awslambda", "instance_metadata", "lambda", "moto_api", "s3", "sqs"})
"""Backends that are never reached. `moto_api` can wipe everything; the engine has the others itself."""
UNSERVED: Final = "x-engine-unserved"
"""Header of the answer to a request that moto has no service for."""

_Answer = Callable[..., Iterable[bytes]]


class ScopedApplication(DomainDispatcherApplication):
    """moto's dispatcher; the service is that of the credential scope, whatever host and path say."""

    def get_application(self, environ: dict[str, Any]) -> Any:
        """What answers the request."""
        with self.lock:
            try:
                host = self.infer_service_region_host(environ, environ.get("PATH_INFO", ""))
                backend = self.get_backend_for_host(host)
                if backend is None or backend in _NEVER:
                    return _unserved
                if backend not in self.app_instances:
                    self.app_instances[backend] = self.create_app(backend)
            except (ImportError, LookupError):  # a service that needs more packages; a header that is missing
                return _unserved
            return self.app_instances[backend]


def _unserved(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("501 Not Implemented", [(UNSERVED, "1"), ("content-length", "0")])
    return ()


def main() -> None:
    """Serve until standard input ends."""
    socket = Path(sys.argv[1])
    default_user_config["stepfunctions"]["execute_state_machine"] = True  # else it makes up results
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server(
        f"unix://{socket}",
        0,
        ScopedApplication(create_backend_app),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
    threading.Thread(target=_end_with_parent, args=(socket.parent,), daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve_forever()


def _end_with_parent(folder: Path) -> None:
    sys.stdin.buffer.read()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
