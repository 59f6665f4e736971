"""Handlers of the whole contract between Lambda and Python: one case after the other, by name."""

import collections
import dataclasses
import datetime
import decimal
import enum
import math
import os
import signal
import sys
import uuid

Point = collections.namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    X = "x"


class Record:
    def _asdict(self):
        return {"a": 1}


@dataclasses.dataclass
class Data:
    a: int = 1


class Refused(Exception):
    pass


class Stop(BaseException):
    pass


class BadText(Exception):
    def __str__(self):
        raise ValueError("no text")


def circular():
    knot = []
    knot.append(knot)
    return knot


def deep():
    nest = []
    for _ in range(100_000):
        nest = [nest]
    return nest


def generator():
    yield 1


RETURNS = {
    "none": None,
    "true": True,
    "int": 3,
    "float": 1.0,
    "big int": 2**70,
    "dict": {"a": 1, "b": [1, 2]},
    "empty dict": {},
    "list": [1, "a", None],
    "tuple": (1, 2),
    "text": "hé",
    "text with escapes": '"\\/\b\f\n\r\t\x00\x1f\x7f\u2028\u2029😀',
    "namedtuple": Point(1, 2),
    "asdict": Record(),
    "int enum": Number.ONE,
    "text enum": Word.X,
    "enum": Colour.RED,
    "decimal": decimal.Decimal("1.10"),
    "decimal with exponent": [decimal.Decimal("1E+3")],
    "decimal nan": {"a": decimal.Decimal("NaN")},
    "nan": math.nan,
    "infinities": {"a": math.inf, "b": [-math.inf]},
    "bytes": b"text",
    "bytes that are no text": b"\xff\x00",
    "no bytes": b"",
    "bytes inside": {"a": b"x"},
    "bytes as key": {b"x": 1},
    "bytes inside that are no text": {"a": b"\xff"},
    "keys": {None: 1, True: 2, 2: 3, 1.5: 4},
    "tuple as key": {(1, 2): 1},
    "date as key": {datetime.date(2026, 1, 1): 1},
    "lone surrogate": {"a": "\ud800"},
    "set": {1},
    "datetime": {"at": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)},
    "uuid": uuid.UUID(int=1),
    "bytearray": bytearray(b"x"),
    "dataclass": Data(),
    "exception": ValueError("x"),
    "range": range(3),
    "complex": 1j,
    "class": Data,
    "generator": generator(),
    "circular": circular(),
    "too deep": deep(),
    "http answer": {"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": "hi"},
    "six megabytes": "x" * (6_291_556 - 2),
    "over six megabytes": "x" * (6_291_556 - 1),
}


def _raise():
    raise Refused("no stock")


def _inside():
    _raise()


def _without_message():
    raise Refused


def _chained():
    try:
        _key()
    except KeyError as error:
        raise Refused("cause") from error


def _text():
    raise Refused('hé \u2028 "quoted"\nsecond line')


def _key():
    return {}["missing"]


def _group():
    raise ExceptionGroup("several", [ValueError(1), TypeError(2)])


def _recursion():
    return _recursion()


def _memory():
    raise MemoryError("all of it")


def _bad_text():
    raise BadText


def _exit():
    sys.exit(0)


def _exit_3():
    sys.exit(3)


def _exit_text():
    sys.exit("message")


def _base():
    raise Stop("enough")


def _interrupt():
    raise KeyboardInterrupt


DOES = {
    "raises": _raise,
    "raises inside": _inside,
    "raises without message": _without_message,
    "raises from another": _chained,
    "raises text": _text,
    "raises KeyError": _key,
    "raises a group": _group,
    "raises MemoryError": _memory,
    "raises what has no text": _bad_text,
    "recurses": _recursion,
    "exits": _exit,
    "exits with 3": _exit_3,
    "exits with text": _exit_text,
    "raises a BaseException": _base,
    "interrupts": _interrupt,
}

KILLS = {
    "os._exit(0)": lambda: os._exit(0),
    "os._exit(4)": lambda: os._exit(4),
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGSEGV": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
}
"""What ends the process: nothing for the engine's own."""


def handler(event, context):
    """Do as `event["case"]` says; without one, return what came."""
    case = event.get("case") if isinstance(event, dict) else None
    if case is None:
        return event
    if case in RETURNS:
        return RETURNS[case]
    return (DOES.get(case) or KILLS[case])()


def tell(event, context):
    """The context, member by member."""
    client = context.client_context
    return {
        "request_id": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "name": context.function_name,
        "version": context.function_version,
        "memory": context.memory_limit_in_mb,
        "group": context.log_group_name,
        "stream": len(context.log_stream_name),
        "remaining": 0 < context.get_remaining_time_in_millis() <= 20_000,
        "deadline": type(context._epoch_deadline_time_in_ms).__name__,
        "identity": [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id],
        "tenant": context.tenant_id,
        "client": None if client is None else [client.custom, client.env, str(client.client)],
        "w3c": context.w3c(),
    }


def one_argument(event):
    """Called with two."""


async def coroutine(event, context):
    """What AWS does not await."""
    return 1


not_callable = 5
