"""Fails in the way it is asked to: `{"how": "raise"}` or `GET /faulty/raise`. See HOW for the ways.

What ends the process (`os_exit`, `segfault`) or eats memory (`memory`) would take the whole engine along
where handlers share its process, so these ask for `ALLOW_CRASH=1` in the function's environment: set it
only with the process executor, or on AWS.
"""

import logging
import os
import signal
import sys
import time

logger = logging.getLogger(__name__)


class OrderRejected(Exception):
    """An error class of the user's own: its bare name becomes `errorType`."""


class Stop(BaseException):
    """Not an `Exception`, so nothing catches it: the environment dies of it."""


def handler(event, context):
    """Fail as asked; an unknown way is a KeyError."""
    parameters = (event.get("pathParameters") or {}) if "requestContext" in event else event
    how = parameters.get("how", "raise")
    logger.warning("about to fail: %s", how)
    return HOW[how](parameters)


def raise_(parameters):
    """An exception of the user's own."""
    raise OrderRejected(parameters.get("message", "no stock left"))


def chained(parameters):
    """An exception with a cause: AWS reports only the last."""
    try:
        {}["missing"]
    except KeyError as error:
        raise OrderRejected("could not look it up") from error


def exit_(parameters):
    """`sys.exit`: Runtime.ExitError, and a new environment next time."""
    sys.exit(int(parameters.get("status", 1)))


def base_exception(parameters):
    """A BaseException: like an exit with status 1."""
    raise Stop("nothing catches this")


def os_exit(parameters):
    """Ends the process at once, without a message."""
    guard()
    os._exit(int(parameters.get("status", 1)))


def segfault(parameters):
    """The process is killed by a signal."""
    guard()
    os.kill(os.getpid(), signal.SIGSEGV)


def memory(parameters):
    """Takes memory until the limit is reached."""
    guard()
    hoard = []
    while True:
        hoard.append(bytearray(16 * 1024 * 1024))


def marshal(parameters):
    """A result that is no JSON."""
    return {"tags": {"a", "set"}}


def bad_json(parameters):
    """A result that becomes `{"ratio": NaN}`: no JSON, and Lambda passes it on all the same."""
    return {"ratio": float("nan")}


def malformed(parameters):
    """A result that is no HTTP answer."""
    return {"statusCode": "teapot", "body": 3}


def too_large(parameters):
    """A result over the 6 MB limit."""
    return "x" * (6 * 1024 * 1024 + 200)


def recursion(parameters):
    """Runs out of stack: an ordinary error."""
    return recursion(parameters)


def memory_error(parameters):
    """Python's own MemoryError: an ordinary error."""
    raise MemoryError("cannot allocate")


def timeout(parameters):
    """Sleeps past its deadline, without end if `seconds` is not given."""
    time.sleep(float(parameters.get("seconds", 3600)))
    return "this answer comes too late"


def guard():
    """Refuse to take the process along unless that was asked for."""
    if os.environ.get("ALLOW_CRASH") != "1":
        raise PermissionError("set ALLOW_CRASH=1 for this function, and give it a process of its own")


HOW = {
    "raise": raise_,
    "chained": chained,
    "exit": exit_,
    "base_exception": base_exception,
    "os_exit": os_exit,
    "segfault": segfault,
    "memory": memory,
    "marshal": marshal,
    "bad_json": bad_json,
    "malformed": malformed,
    "too_large": too_large,
    "recursion": recursion,
    "memory_error": memory_error,
    "timeout": timeout,
    "sleep": timeout,
}
