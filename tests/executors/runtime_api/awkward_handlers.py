"""Handlers that do what one would rather not: one for each way to annoy a runtime.

`CASES` run one after the other in one environment; `ENDINGS` end theirs; `DIRECT` are handlers themselves.
"""

import asyncio
import atexit
import contextlib
import contextvars
import ctypes
import dataclasses
import datetime
import decimal
import fractions
import functools
import gc
import io
import json
import locale
import logging
import multiprocessing
import operator
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
import types
import warnings
import weakref
from collections import ChainMap, Counter, OrderedDict, UserDict, UserString, defaultdict, deque

FRESH = contextvars.ContextVar("FRESH", default="unset")
LOCAL = threading.local()
LOG = logging.getLogger("awkward")
ROOT = logging.getLogger()
CASES = {}
ENDINGS = {}


def case(function):
    CASES[function.__name__] = function
    return function


@case
def log_with_its_stack(event, context):
    LOG.warning("here", stack_info=True)


@case
def classes_have_names(event, context):
    handler = ROOT.handlers[0]
    return [str(type(one)) for one in (context, context.identity, handler, handler.formatter)]


def ending(function):
    ENDINGS[function.__name__] = function
    return function


def handler(event, context):
    name = event["case"]
    return (CASES.get(name) or ENDINGS[name])(event, context)


# ---------------------------------------------------------------- output


@case
def partial_line(event, context):
    print("no end", end="")


@case
def line_in_pieces(event, context):
    for piece in ("one ", "two ", "three\n"):
        sys.stdout.write(piece)


@case
def both_streams(event, context):
    print("out")
    print("err", file=sys.stderr)
    sys.__stdout__.write("dunder out\n")
    sys.__stderr__.write("dunder err\n")
    sys.stdout.flush()


@case
def descriptors(event, context):
    os.write(1, b"fd 1\n")
    os.write(2, b"fd 2\n")


@case
def the_streams_buffer(event, context):
    sys.stdout.buffer.write(b"bytes\n")
    sys.stdout.buffer.flush()


@case
def carriage_returns(event, context):
    print("10%\r20%\r100%\r\nnext")


@case
def control_characters(event, context):
    print("nul \0 bell \a escape \x1b[31mred\x1b[0m")


@case
def characters_of_all_planes(event, context):
    print("é ü \u2028 \U0001f600 \ufeff")


@case
def bytes_that_are_no_text(event, context):
    os.write(1, b"\xff\xfe broken\n")


@case
def a_lone_surrogate(event, context):
    print("\ud800")


@case
def a_surrogate_escape(event, context):
    print("caf\udce9")


@case
def surrogates_on_stderr(event, context):
    print("\ud800\udce9", file=sys.stderr)


@case
def a_flood(event, context):
    for number in range(3000):
        print(number, "x" * 100)


@case
def a_long_line(event, context):
    print("y" * 200_000)


@case
def empty_lines(event, context):
    print()
    print("\n\n")


@case
def stdout_replaced(event, context):
    kept, sys.stdout = sys.stdout, io.StringIO()
    print("into the void")
    text = sys.stdout.getvalue()
    sys.stdout = kept
    return text


@case
def stdout_redirected(event, context):
    with contextlib.redirect_stdout(io.StringIO()) as taken:
        print("taken")
        ROOT.error("taken too")
    return "taken too" in taken.getvalue()


@case
def stderr_redirected(event, context):
    with contextlib.redirect_stderr(io.StringIO()) as taken:
        print("taken", file=sys.stderr)
    return taken.getvalue()


@case
def stdout_to_a_file(event, context):
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        print("nowhere")


@case
def descriptor_one_moved(event, context):
    kept = os.dup(1)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
    print("nowhere")
    os.dup2(kept, 1)
    os.close(kept)
    print("here again")


@case
def stdout_is_asked(event, context):
    return [sys.stdout.encoding, sys.stdout.fileno(), sys.stdout.isatty(), sys.stdout.writable()]


@case
def stdout_reconfigured(event, context):
    sys.stdout.reconfigure(errors="replace")
    print("\ud800")
    sys.stdout.reconfigure(errors="surrogateescape")


@case
def print_of_what_has_no_text(event, context):
    class Mute:
        def __str__(self):
            raise ValueError("mute")

    print(Mute())


@case
def print_replaced(event, context):
    import builtins

    kept, builtins.print = builtins.print, lambda *_: None
    print("nothing")
    builtins.print = kept


@case
def writelines(event, context):
    sys.stdout.writelines(["a\n", "b\n"])


@case
def write_of_bytes(event, context):
    sys.stdout.write(b"bytes")


@case
def the_contexts_log(event, context):
    context.log("by the context\n")
    context.log(5)


@case
def stdin(event, context):
    return [sys.stdin.read(), os.read(0, 10).decode()]


@case
def asks_for_input(event, context):
    input("name? ")


@case
def a_childs_output(event, context):
    subprocess.run(["sh", "-c", "echo out; echo err >&2"], check=True)


@case
def a_threads_output(event, context):
    thread = threading.Thread(target=print, args=("from a thread",))
    thread.start()
    thread.join()


@case
def a_warning(event, context):
    warnings.warn("take care", stacklevel=1)


@case
def an_unraisable(event, context):
    class Bad:
        def __del__(self):
            raise ValueError("in del")

    hook, seen = sys.unraisablehook, []
    sys.unraisablehook = lambda what: seen.append(str(what.exc_value))
    Bad()
    gc.collect()
    sys.unraisablehook = hook
    return seen


# ---------------------------------------------------------------- logging


@case
def log_levels(event, context):
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL, 35, 5):
        LOG.log(level, "at %d", level)


@case
def log_level_set(event, context):
    logging.getLogger().setLevel(logging.DEBUG)
    LOG.debug("seen")
    logging.getLogger().setLevel(logging.WARNING)
    LOG.debug("not seen")


@case
def log_of_an_exception(event, context):
    try:
        {}["missing"]
    except KeyError:
        LOG.exception("caught")


@case
def log_of_many_lines(event, context):
    LOG.error("one\ntwo\n")


@case
def log_after_half_a_line(event, context):
    print("half", end="")
    LOG.error("whole")


@case
def log_with_too_few_arguments(event, context):
    LOG.error("%s and %s", 1)


@case
def log_with_a_wrong_argument(event, context):
    ROOT.error("%d", "x")


@case
def log_of_what_has_no_text(event, context):
    class Mute:
        def __str__(self):
            raise ValueError("mute")

    ROOT.error("%s", Mute())


@case
def log_of_what_is_not_logged(event, context):
    ROOT.debug("%d", "x")
    return "fine"


@case
def log_with_a_broken_formatter(event, context):
    one = logging.getLogger().handlers[0]
    kept = one.formatter
    one.setFormatter(logging.Formatter("%(no_such_field)s"))
    try:
        ROOT.error("x")
    finally:
        one.setFormatter(kept)


@case
def log_with_a_formatter_of_its_own(event, context):
    one = logging.getLogger().handlers[0]
    kept = one.formatter
    one.setFormatter(logging.Formatter("%(levelname)s|%(aws_request_id)s|%(message)s\n"))
    ROOT.error("x")
    one.setFormatter(kept)


@case
def log_with_a_handler_of_its_own(event, context):
    own = logging.StreamHandler(sys.stdout)
    LOG.addHandler(own)
    LOG.error("twice")
    LOG.removeHandler(own)


@case
def log_with_a_filter(event, context):
    one = logging.getLogger().handlers[0]

    def refuse(record):
        return "no" not in record.getMessage()

    one.addFilter(refuse)
    ROOT.error("no")
    ROOT.error("yes")
    one.removeFilter(refuse)


@case
def log_configured_again(event, context):
    logging.basicConfig(level=logging.DEBUG, format="ignored %(message)s")
    ROOT.debug("still not seen")
    return logging.getLogger().level


@case
def log_disabled(event, context):
    logging.disable(logging.CRITICAL)
    ROOT.error("not seen")
    logging.disable(logging.NOTSET)


@case
def log_without_propagation(event, context):
    LOG.propagate = False
    LOG.error("to the last resort")
    LOG.propagate = True


@case
def log_with_extra(event, context):
    LOG.error("x", extra={"order": 5})
    LOG.error("x", stack_info=False)


@case
def log_with_a_reserved_extra(event, context):
    LOG.error("x", extra={"message": 5})


@case
def log_of_a_dict(event, context):
    LOG.error({"a": 1})
    LOG.error("%(a)s", {"a": 1})


@case
def log_from_a_thread(event, context):
    thread = threading.Thread(target=LOG.error, args=("from a thread",))
    thread.start()
    thread.join()


@case
def log_handlers(event, context):
    return [len(logging.getLogger().handlers), logging.getLogger().level]


@case
def log_of_a_warning(event, context):
    logging.captureWarnings(True)
    warnings.warn_explicit("careful", UserWarning, "file.py", 3)
    logging.captureWarnings(False)


@case
def log_in_utc(event, context):
    formatter = logging.Formatter("%(asctime)s", "%H")
    return formatter.format(logging.makeLogRecord({"created": 0})).split()[0]


# ---------------------------------------------------------------- results


class Iterable:
    def __iter__(self):
        return iter((1, 2))


class LikeADict:
    def keys(self):
        return ["a"]

    def __getitem__(self, key):
        return 1


class OddText(str):
    def __str__(self):
        return "odd"

    __repr__ = __str__


class OddInt(int):
    def __repr__(self):
        return "odd"

    __str__ = __repr__


class OddDict(dict):
    def items(self):
        return [("lies", 1)]


class OddList(list):
    def __iter__(self):
        return iter(("lies",))


class ForJson:
    def for_json(self):
        return {"a": 1}


class BrokenDict(dict):
    def items(self):
        raise ValueError("no items")


@dataclasses.dataclass
class Point:
    x: int = 1


def _nest(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


RESULTS = {
    "huge int": lambda: 10**4000,
    "int over the limit of digits": lambda: 10**5000,
    "negative zero": lambda: [-0.0, 0.0, 1e16, 1e-7, 1.0, 123456789.123],
    "nan as key": lambda: {float("nan"): 1, float("inf"): 2},
    "memoryview": lambda: memoryview(b"x"),
    "bytearray inside": lambda: {"a": bytearray(b"x")},
    "frozenset": lambda: frozenset((1,)),
    "dict keys": lambda: {"a": 1}.keys(),
    "deque": lambda: deque((1, 2)),
    "ordered and default dicts": lambda: [OrderedDict(a=1), defaultdict(int, a=1), Counter("aab")],
    "user dict": lambda: UserDict(a=1),
    "user string": lambda: UserString("a"),
    "chain map": lambda: ChainMap({"a": 1}),
    "mapping proxy": lambda: types.MappingProxyType({"a": 1}),
    "simple namespace": lambda: types.SimpleNamespace(a=1),
    "iterable": Iterable,
    "iterator": lambda: iter((1, 2)),
    "map": lambda: map(str, (1, 2)),
    "like a dict": LikeADict,
    "odd text": lambda: [OddText("true"), {OddText("key"): 1}],
    "odd int": lambda: [OddInt(3), {OddInt(3): 1}],
    "odd dict": lambda: OddDict(a=1),
    "odd list": lambda: OddList((1, 2)),
    "broken dict": lambda: BrokenDict(a=1),
    "for json": ForJson,
    "dataclass inside": lambda: [Point()],
    "time delta": lambda: datetime.timedelta(1),
    "date": lambda: [datetime.date(2026, 1, 1)],
    "path": lambda: pathlib.PurePosixPath("/a"),
    "fraction": lambda: fractions.Fraction(1, 3),
    "decimals": lambda: [decimal.Decimal("0.1"), decimal.Decimal("sNaN"), decimal.Decimal("-0")],
    "infinite decimal": lambda: decimal.Decimal("Infinity"),
    "decimal as key": lambda: {decimal.Decimal("1.0"): 1},
    "ellipsis": lambda: ...,
    "not implemented": lambda: NotImplemented,
    "type": lambda: int,
    "module": lambda: json,
    "function": lambda: len,
    "file": lambda: sys.stdin,
    "lock": threading.Lock,
    "coroutine function": lambda: asyncio.sleep,
    "keys that meet": lambda: {1: "a", "1": "b"},
    "separators in text": lambda: "\u2028\u2029</script>\x7f",
    "nested a hundred deep": lambda: _nest(100),
    "nested nine hundred deep": lambda: _nest(900),
    "nested five thousand deep": lambda: _nest(5000),
    "bytes of seven megabytes": lambda: b"z" * 7_000_000,
    "many small things": lambda: [{"n": n, "t": str(n)} for n in range(20_000)],
}
for _name, _make in RESULTS.items():
    CASES[f"returns {_name}"] = lambda event, context, make=_make: make()


@case
def returns_the_event(event, context):
    event["self"] = None
    return event


@case
def returns_itself(event, context):
    event["self"] = event
    return event


@case
def returns_the_context(event, context):
    return context


@case
def returns_a_generator(event, context):
    yield 1


@case
def returns_an_awaitable_thing(event, context):
    class Awaitable:
        def __await__(self):
            yield

    return Awaitable()


# ---------------------------------------------------------------- errors


class OddStr(Exception):
    def __str__(self):
        return 5


class OddName(Exception):
    pass


OddName.__name__ = "not a name"


class Unpicklable(Exception):
    def __init__(self, lock):
        super().__init__("holds a lock")
        self.lock = lock


class WithRepr(Exception):
    def __repr__(self):
        raise ValueError

    def __str__(self):
        return "text"


class BrokenNew(Exception):
    def __init__(self, a, b):
        pass


def _raise(error):
    def raises(event, context):
        raise error() if callable(error) else error

    return raises


ERRORS = {
    "a long message": lambda: ValueError("w" * 300_000),
    "many lines": lambda: ValueError("one\n  two\n\nthree\r\nfour"),
    "text of spaces": lambda: ValueError("   "),
    "an odd name": OddName,
    "what cannot be pickled": lambda: Unpicklable(threading.Lock()),
    "what has no repr": WithRepr,
    "with notes": lambda: _noted(),
    "os error": lambda: FileNotFoundError(2, "No such file or directory", "/x"),
    "unicode error": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    "stop iteration": lambda: StopIteration(1),
    "stop async iteration": StopAsyncIteration,
    "syntax error": lambda: SyntaxError("odd", ("file", 1, 2, "text")),
    "import error": lambda: ImportError("by hand"),
    "a group of groups": lambda: ExceptionGroup("a", [ExceptionGroup("b", [ValueError("c")])]),
    "assertion": AssertionError,
    "key error": lambda: KeyError("a\nb"),
    "timeout": lambda: TimeoutError("slow"),
    "no class": lambda: 5,
    "a class made at run time": lambda: type("Ünïcode", (Exception,), {})("é"),
    "arguments": lambda: ValueError(1, "two", None),
    "broken constructor": lambda: BrokenNew(1),
}


def _noted():
    error = ValueError("noted")
    error.add_note("a note")
    return error


for _name, _make in ERRORS.items():
    CASES[f"raises {_name}"] = _raise(_make)


@case
def raises_without_traceback(event, context):
    error = ValueError("bare")
    error.__traceback__ = None
    raise error.with_traceback(None)


@case
def raises_from_a_cause(event, context):
    try:
        int("x")
    except ValueError as error:
        raise RuntimeError("outer") from error


@case
def raises_while_handling(event, context):
    try:
        int("x")
    except ValueError:
        raise RuntimeError("outer")  # noqa: B904


@case
def raises_from_none(event, context):
    try:
        int("x")
    except ValueError:
        raise RuntimeError("outer") from None


@case
def raises_from_c(event, context):
    json.loads("{")


@case
def raises_in_compiled_text(event, context):
    exec("def f():\n    raise ValueError('made')\nf()")


@case
def raises_in_eval(event, context):
    eval("1/0")


@case
def raises_far_down(event, context):
    def down(n):
        return down(n - 1) if n else 1 / 0

    down(50)


@case
def raises_in_a_callback(event, context):
    sorted([2, 1], key=lambda n: 1 / 0)


@case
def raises_in_a_generator(event, context):
    def numbers():
        yield 1
        raise ValueError("in it")

    list(numbers())


@case
def raises_in_finally(event, context):
    try:
        return 1
    finally:
        raise ValueError("finally")


@case
def raises_the_same_again(event, context):
    raise SAME


SAME = ValueError("same")


@case
def raises_with_no_traceback_shown(event, context):
    sys.tracebacklimit = 0
    try:
        raise ValueError("short")
    finally:
        del sys.tracebacklimit


@case
def raises_a_warning(event, context):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.warn("now an error", stacklevel=1)


@case
def raises_in_a_thread(event, context):
    hook, seen = threading.excepthook, []
    threading.excepthook = lambda what: seen.append(str(what.exc_value))
    thread = threading.Thread(target=_raise(ValueError("elsewhere")), args=(event, context))
    thread.start()
    thread.join()
    threading.excepthook = hook
    return seen


@case
def raises_with_a_hook(event, context):
    sys.excepthook = lambda *_: print("hooked")
    try:
        raise ValueError("x")
    finally:
        sys.excepthook = sys.__excepthook__


@case
def exits_in_a_thread(event, context):
    thread = threading.Thread(target=sys.exit, args=(3,))
    thread.start()
    thread.join()
    return "alive"


@case
def prints_a_traceback(event, context):
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        traceback.print_exc()
        print(traceback.format_exc(), end="")


@case
def reads_its_caller(event, context):
    return sys._getframe().f_code.co_name


# ---------------------------------------------------------------- processes, threads, signals


@case
def forks(event, context):
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@case
def forks_and_prints(event, context):
    pid = os.fork()
    if pid == 0:
        print("from the copy")
        os._exit(0)
    os.waitpid(pid, 0)


@case
def pools(event, context):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, [-1, -2])


@case
def spawns(event, context):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(operator.neg, [1])


@case
def a_process_that_dies(event, context):
    process = multiprocessing.get_context("fork").Process(target=os._exit, args=(9,))
    process.start()
    process.join()
    return process.exitcode


@case
def a_process_that_is_terminated(event, context):
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate()
    process.join()
    return process.exitcode


@case
def a_pipe_between_processes(event, context):
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=theirs.send, args=("hi",))
    process.start()
    text = ours.recv()
    process.join()
    return text


@case
def a_command_that_fails(event, context):
    subprocess.run(["sh", "-c", "exit 4"], check=True)


@case
def a_command_that_is_not_there(event, context):
    subprocess.run(["/no/such/command"], check=False)


@case
def a_child_left_behind(event, context):
    subprocess.Popen(["sleep", "30"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return "left"


@case
def a_python_of_its_own(event, context):
    code = "import os; print(os.getcwd() == os.environ['LAMBDA_TASK_ROOT'])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@case
def an_alarm(event, context):
    def ring(*_):
        raise TimeoutError("rang")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(5)


@case
def a_signal_of_its_own(event, context):
    seen = []
    kept = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, kept)
    return seen


@case
def a_signal_ignored(event, context):
    kept = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.kill(os.getpid(), signal.SIGTERM)
    signal.signal(signal.SIGTERM, kept)
    return "alive"


@case
def signals_as_they_are(event, context):
    names = ("SIGINT", "SIGTERM", "SIGCHLD", "SIGPIPE", "SIGUSR1", "SIGALRM", "SIGHUP")
    return [
        str(signal.getsignal(getattr(signal, name))).split(" at ")[0] for name in names if name != "SIGALRM"
    ]


@case
def children_reaped_by_signal(event, context):
    seen = []
    kept = signal.signal(signal.SIGCHLD, lambda *_: seen.append(1))
    subprocess.run(["true"], check=True)
    signal.signal(signal.SIGCHLD, kept)
    return bool(seen)


@case
def a_broken_pipe(event, context):
    reader, writer = os.pipe()
    os.close(reader)
    os.write(writer, b"x")


@case
def threads_left_running(event, context):
    threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
    return threading.active_count() >= 2


@case
def the_main_thread(event, context):
    return threading.current_thread() is threading.main_thread()


@case
def a_loop_in_a_def(event, context):
    async def twice():
        await asyncio.sleep(0)
        return 2

    return [asyncio.run(twice()), asyncio.run(twice())]


@case
def a_loop_that_is_kept(event, context):
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    value = loop.run_until_complete(asyncio.sleep(0, "slept"))
    loop.close()
    asyncio.set_event_loop(None)
    return value


@case
def exit_functions(event, context):
    atexit.register(print, "at exit")
    return "registered"


# ---------------------------------------------------------------- the interpreter


@case
def another_folder(event, context):
    os.chdir("/")
    return os.getcwd()


@case
def still_in_another_folder(event, context):
    there = os.getcwd()
    os.chdir(os.environ["LAMBDA_TASK_ROOT"])
    return there


@case
def another_mask(event, context):
    kept = os.umask(0o077)
    os.umask(kept)
    return kept


@case
def variables_removed(event, context):
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(kept)
    return len(kept) > 10


@case
def a_variable_that_stays(event, context):
    before = os.environ.get("STAYS")
    os.environ["STAYS"] = "yes"
    return before


@case
def the_same_variable_again(event, context):
    return os.environ.pop("STAYS", None)


@case
def a_path_that_stays(event, context):
    sys.path.insert(0, "/nowhere")
    return sys.path[:2] == ["/nowhere", os.environ["LAMBDA_TASK_ROOT"]]


@case
def the_path(event, context):
    sys.path.remove("/nowhere")
    return sys.path[0] == os.environ["LAMBDA_TASK_ROOT"]


@case
def json_broken(event, context):
    kept = json.dumps, json.loads
    json.dumps = json.loads = None
    CASES["json_mended"] = lambda *_: (setattr(json, "dumps", kept[0]), setattr(json, "loads", kept[1]))[0]
    return {"still": "answered"}


@case
def json_mended(event, context):
    """Replaced by the one before."""


@case
def a_module_removed(event, context):
    kept = sys.modules.pop("json")
    import json as again

    sys.modules["json"] = kept
    return again is not kept


@case
def time_replaced(event, context):
    kept = time.time
    time.time = lambda: 0
    value = time.time()
    time.time = kept
    return value


@case
def recursion_limit(event, context):
    kept = sys.getrecursionlimit()
    sys.setrecursionlimit(5000)

    def down(n):
        return n and down(n - 1)

    value = down(3000)
    sys.setrecursionlimit(kept)
    return [value, kept]


@case
def endless_recursion_caught(event, context):
    def down():
        return down()

    try:
        down()
    except RecursionError:
        return "caught"


@case
def traced(event, context):
    seen = []
    sys.settrace(lambda *_: seen.append(1))
    len([])
    sys.settrace(None)
    return "traced"


@case
def collector_off(event, context):
    gc.disable()
    gc.enable()
    return gc.isenabled()


@case
def random_seeded(event, context):
    random.seed(1)
    return random.random()


@case
def decimal_context(event, context):
    decimal.getcontext().prec = 3
    value = decimal.Decimal(1) / 3
    decimal.getcontext().prec = 28
    return value


@case
def context_variable_set(event, context):
    before = FRESH.get()
    FRESH.set("set")
    return before


@case
def context_variable_kept(event, context):
    return FRESH.get()


@case
def thread_local_set(event, context):
    LOCAL.value = 1


@case
def thread_local_kept(event, context):
    return LOCAL.value


@case
def the_locale(event, context):
    return locale.setlocale(locale.LC_CTYPE)


@case
def the_zone(event, context):
    return [time.tzname[0], time.localtime(0).tm_hour]


@case
def weak_references(event, context):
    class Thing:
        pass

    reference = weakref.ref(Thing())
    return reference() is None


@case
def its_name(event, context):
    return [__name__, os.path.basename(__file__), sys.modules[__name__].handler is handler]


@case
def the_arguments(event, context):
    return len(sys.argv) >= 1


@case
def many_descriptors(event, context):
    files = [open(os.devnull) for _ in range(200)]  # noqa: SIM115
    for file in files:
        file.close()
    return len(files)


@case
def its_handler_replaced(event, context):
    module = sys.modules[__name__]
    kept = module.handler
    module.handler = None
    module.handler = kept
    return "old"


@case
def shared_memory_with_ctypes(event, context):
    return ctypes.string_at(ctypes.create_string_buffer(b"abc")).decode()


@case
def the_event_is_its_own(event, context):
    event.clear()
    return event


@case
def members_of_the_context(event, context):
    context.mine = 5
    return [context.mine, context.function_name, context.memory_limit_in_mb]


# ---------------------------------------------------------------- ends of the environment


def _exits(*arguments):
    return lambda event, context: sys.exit(*arguments)


for _argument in (None, 300, "words", (1, 2)):
    ENDINGS[f"sys.exit({_argument!r})"] = _exits(_argument)


@ending
def exit_builtin(event, context):
    exit(2)


@ending
def exit_functions_run(event, context):
    atexit.register(print, "at exit")
    sys.exit(1)


@ending
def generator_exit(event, context):
    raise GeneratorExit("out")


@ending
def cancelled(event, context):
    raise asyncio.CancelledError


@ending
def a_base_exception(event, context):
    class Stop(BaseException):
        pass

    raise Stop("why\nnot")


@ending
def interrupt_main(event, context):
    import _thread

    _thread.interrupt_main()
    time.sleep(5)


@ending
def sigint(event, context):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)


@ending
def alarm_clock(event, context):
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(5)


@ending
def aborts(event, context):
    os.abort()


@ending
def usr1(event, context):
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(5)


@ending
def a_bad_address(event, context):
    ctypes.string_at(0)


@ending
def last_words(event, context):
    print("last words", end="")
    os._exit(3)


@ending
def stdout_closed(event, context):
    sys.stdout.close()
    print("closed")


@ending
def descriptors_closed(event, context):
    os.closerange(0, 3)
    print("closed")


@ending
def error_after_stdout_closed(event, context):
    sys.stdout.close()
    raise ValueError("unheard")


@ending
def stdout_none(event, context):
    sys.stdout = None
    raise ValueError("unheard")


# ---------------------------------------------------------------- handlers themselves


def _three(event, context, more):
    return [event, more]


class Instance:
    def __call__(self, event, context):
        return "instance"

    def method(self, event, context):
        return "method"

    @staticmethod
    def static(event, context):
        return "static"

    def __repr__(self):
        raise ValueError


class Klass:
    def __init__(self, event, context):
        self.event = event


def generator(event, context):
    yield 1


async def async_generator(event, context):
    yield 1


async def coroutine(event, context):
    return 1


def keyword_only(*, event, context):
    return 1


def one(event):
    return 1


def anything(*args, **kwargs):
    return [len(args), len(kwargs)]


def defaults(event=1, context=2, more=3):
    return more


def closed(event, context):
    sys.stdout.close()
    return "closed"


def closed_error(event, context):
    sys.stderr.close()
    return "closed"


partial = functools.partial(_three, more="partial")
instance = Instance()
method = instance.method
static = Instance.static
klass = Klass
short = lambda event, context: "lambda"  # noqa: E731
builtin = operator.is_
cached = functools.cache(lambda event, context: "never: a dict cannot be hashed")
wrapped = functools.wraps(_three)(lambda event, context: "wrapped")
nothing = None
text = "text"
number = 5

DIRECT = (
    *("partial", "instance", "method", "static", "klass", "short", "builtin", "cached", "wrapped", "nothing"),
    *("text", "number", "generator", "async_generator", "coroutine", "keyword_only", "one", "anything"),
    *("defaults", "closed", "closed_error", "missing"),
)
