"""Handlers are found and loaded as AWS does it, from the right folder, with globals of their own if asked."""

import importlib.util
import json
import pickle
import sys
import threading
import typing

import pytest
from awslambdaric import bootstrap
from awslambdaric.lambda_runtime_exception import FaultException

from engine.executors.handler_loader import InitError, Loader
from engine.executors.handler_source import looks_async

HANDLER = "def handler(event, context):\n    return {value!r}\n"


@pytest.fixture(autouse=True)
def unchanged_process():
    """Whatever a test loads is gone after it, for the sake of the next."""
    modules, path, finders = dict(sys.modules), list(sys.path), list(sys.meta_path)
    yield
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]
    sys.path[:], sys.meta_path[:] = path, finders


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "code")


class Folder:
    """A code folder that tests write files into."""

    def __init__(self, path):
        self.path = path
        path.mkdir(parents=True)

    def write(self, name, text):
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return self

    def loader(self):
        return Loader(self.path)


def failure(loader, handler, *, fresh=False):
    with pytest.raises(InitError) as caught:
        loader.load(handler, fresh=fresh)
    return caught.value


def call(loaded, event=None):
    return loaded.callable(event, None)


@pytest.mark.parametrize(
    ("file", "handler"),
    [
        ("app.py", "app.handler"),
        ("src/app.py", "src/app.handler"),
        ("src/app.py", "src.app.handler"),
        ("a/b/c/app.py", "a/b/c/app.handler"),
        ("a/b/app.py", "a.b/app.handler"),
        ("package/__init__.py", "package.handler"),
        ("app.py", "app.py:handler"),
        ("path/to/file.py", "path/to/file.py:handler"),
        ("my-app.py", "my-app.handler"),
        ("my-app.py", "my-app.py:handler"),
        ("v1.2/app.py", "v1.2/app.py:handler"),
    ],
)
@pytest.mark.parametrize("fresh", [True, False])
def test_every_notation_finds_its_file(folder, file, handler, fresh):
    """Dots, slashes, namespace folders, packages, and files by path."""
    loaded = folder.write(file, HANDLER.format(value=1)).loader().load(handler, fresh=fresh)

    assert 1 == call(loaded)
    assert str(folder.path / file) == loaded.module.__file__


def test_an_absolute_file_is_found_wherever_it_is(folder, tmp_path):
    """The code folder does not matter then."""
    other = Folder(tmp_path / "other").write("app.py", HANDLER.format(value=2))

    assert 2 == call(folder.loader().load(f"{other.path}/app.py:handler", fresh=False))


def test_a_handler_that_is_not_under_the_folder_is_sought_on_the_path(folder):
    """As for `json.dumps`, which is no handler, but there."""
    assert "[1]" == folder.loader().load("json.dumps", fresh=False).callable([1])


BROKEN = {
    "plain.py": HANDLER.format(value=1),
    "imports_missing.py": "import does_not_exist_anywhere\n",
    "imports_missing_name.py": "from json import does_not_exist\n",
    "raises_import_error.py": "raise ImportError('by hand')\n",
    "syntax.py": "def handler(event, context)\n    return 1\n",
    "indent.py": "def handler(event, context):\nreturn 1\n",
    "evals.py": "eval('1 +')\n",
    "raises.py": "def fail():\n    raise KeyError('TABLE')\n\n\nfail()\n",
    "raises_empty.py": "raise Exception\n",
    "attribute.py": "import json\n\njson.missing\n",
    "relative.py": "from . import other\n",
    "package/__init__.py": "raise ValueError('in the package')\n",
    "package/app.py": HANDLER.format(value=1),
    "good/__init__.py": "",
    "good/relative.py": "from .missing import x\n",
}

BAD_HANDLERS = [
    "handler",
    "",
    "missing.handler",
    "missing.deep.handler",
    "deep/missing.handler",
    "good.missing.handler",
    "good/missing.handler",
    "plain.sub.handler",
    "plain.missing",
    "plain.",
    "sys.exit",
    "sys/x.exit",
    "time.sleep.x",
    ".handler",
    "..handler",
    "imports_missing.handler",
    "imports_missing_name.handler",
    "raises_import_error.handler",
    "syntax.handler",
    "indent.handler",
    "evals.handler",
    "raises.handler",
    "raises_empty.handler",
    "attribute.handler",
    "relative.handler",
    "package.app.handler",
    "good.relative.handler",
]


def aws_init_error(handler):
    """What AWS's client reports for `handler`."""
    try:
        bootstrap._get_handler(handler)
    except FaultException as fault:
        return bootstrap.make_error(fault.msg, fault.exception_type, fault.trace)
    except Exception:
        return bootstrap.build_fault_result(sys.exc_info(), None)
    raise AssertionError("AWS loads it")


def without_loading(report):
    """Frames between the runtime and the module differ by who imports: keep those of user files."""
    stack = [frame for frame in report["stackTrace"] if "importlib" not in frame and "bootstrap" not in frame]
    return [*report.items()][:-1], [frame for frame in stack if "awslambdaric" not in frame]


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("handler", BAD_HANDLERS)
def test_a_handler_that_cannot_be_loaded_is_reported_as_aws_does(folder, monkeypatch, handler, fresh):
    """Type, message, order of keys, frames of the user's files; also the second time."""
    for name, text in BROKEN.items():
        folder.write(name, text)
    loader = folder.loader()
    ours = [json.loads(failure(loader, handler, fresh=fresh).body("r1")) for _ in range(2)]
    loader.close()
    for name in [name for name in sys.modules if name.partition(".")[0] in {"plain", "good", "package"}]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(folder.path))
    theirs = without_loading(aws_init_error(handler))

    assert [theirs, theirs] == [without_loading(report) for report in ours]


@pytest.mark.parametrize(
    ("handler", "error_type", "message"),
    [
        (
            "handler",
            "Runtime.MalformedHandlerName",
            "Bad handler 'handler': not enough values to unpack (expected 2, got 1)",
        ),
        ("sys.exit", "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module"),
        (
            "src/app.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'src/app': No module named 'src'",
        ),
        (
            "syntax.handler",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'syntax': expected ':' (syntax.py, line 1)",
        ),
        ("plain.missing", "Runtime.HandlerNotFound", "Handler 'missing' missing on module 'plain'"),
        ("raises.handler", "KeyError", "'TABLE'"),
    ],
)
def test_each_init_error_has_awss_type_and_words(folder, handler, error_type, message):
    """The table of the reference, without the oracle."""
    for name, text in BROKEN.items():
        folder.write(name, text)
    error = failure(folder.loader(), handler)

    assert (error_type, message) == (error.error_type, error.message)
    assert ["errorMessage", "errorType", "requestId", "stackTrace"] == list(json.loads(error.body("r1")))
    assert "" == json.loads(error.body("r1"))["requestId"]


def test_a_syntax_error_shows_file_line_and_text(folder):
    """In the stack, in AWS's form."""
    folder.write("syntax.py", BROKEN["syntax.py"])
    expected = (f'  File "{folder.path}/syntax.py" Line 1\n    def handler(event, context)\n',)

    assert expected == failure(folder.loader(), "syntax.handler").stack


def test_the_stack_of_a_failed_import_keeps_importlib(folder):
    """It begins in importlib and ends where the module raised; the engine is not in it."""
    folder.write("raises.py", BROKEN["raises.py"])
    stack = failure(folder.loader(), "raises.handler", fresh=True).stack

    assert "in import_module" in stack[0]
    assert f'  File "{folder.path}/raises.py", line 2, in fail\n' in stack[-1]
    assert not [frame for frame in stack if "/engine/" in frame]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import sys; sys.exit()", "without providing a reason"),
        ("raise SystemExit(3)", "with error: exit status 3"),
        ("class Own(BaseException): pass\nraise Own", "with error: exit status 1"),
        ("raise KeyboardInterrupt", "with error: signal: interrupt"),
    ],
)
def test_an_exit_at_import_is_an_exit_error(folder, text, reason):
    """It is no Exception, and does not end the engine."""
    error = failure(folder.write("app.py", text).loader(), "app.handler")
    expected = {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: r1 Error: Runtime exited {reason}",
    }

    assert list(expected.items()) == list(json.loads(error.body("r1")).items())


def test_a_failed_import_is_tried_again(folder):
    """As a new environment would, once the cause is gone."""
    folder.write(
        "app.py",
        "import os\nif not os.path.exists(__file__ + '.ok'): raise OSError('not yet')\n"
        + HANDLER.format(value=1),
    )
    loader = folder.loader()
    failure(loader, "app.handler")
    folder.write("app.py.ok", "")

    assert 1 == call(loader.load("app.handler", fresh=False))


def test_a_handler_that_cannot_be_called_loads(folder):
    """AWS looks at that when it is called."""
    loaded = folder.write("app.py", "handler = 3\n").loader().load("app.handler", fresh=False)

    assert 3 == loaded.callable


COUNTER = """
import sys
count = 0

def handler(event, context):
    global count
    count += 1
    return count

def me(event, context):
    return sys.modules[__name__].count
"""


def test_a_fresh_load_has_globals_of_its_own(folder):
    """What one environment keeps no other sees, also by way of `sys.modules`."""
    loader = folder.write("app.py", COUNTER).loader()
    first, second = (loader.load("app.handler", fresh=True) for _ in range(2))
    counts = [call(first), call(first), call(second)]

    assert [1, 2, 1] == counts
    assert [2, 1] == [loaded.module.me(None, None) for loaded in (first, second)]


def test_a_shared_load_is_the_same_module_each_time(folder):
    """One module for all environments on the loop."""
    loader = folder.write("app.py", COUNTER).loader()
    first, second = (loader.load("app.handler", fresh=False) for _ in range(2))

    assert first.module is second.module
    assert "app" == first.module.__name__


def test_names_of_instances_are_used_again(folder):
    """A process that starts and stops environments for a week does not fill up."""
    loader = folder.write("app.py", COUNTER).loader()
    before = set(sys.modules)
    names = []
    for _ in range(3):
        pair = [loader.load("app.handler", fresh=True) for _ in range(2)]
        names.append({loaded.module.__name__ for loaded in pair})
        for loaded in pair:
            loader.unload(loaded)

    assert [{"app", "app#2"}] * 3 == names
    assert before == set(sys.modules)


def test_several_threads_may_unload_the_same_instance(folder):
    """An environment is stopped while its import ends: both let go of it, and its name is given back once."""
    loader = folder.write("app.py", HANDLER.format(value=1)).loader()
    loaded = [loader.load("app.handler", fresh=True) for _ in range(300)]
    barrier = threading.Barrier(3)
    errors = []

    def unload():
        barrier.wait()
        for one in loaded:
            try:
                loader.unload(one)
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=unload) for _ in range(3)]
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval_s)
    names = [loader.load("app.handler", fresh=True).module.__name__ for _ in range(300)]

    assert [] == errors
    assert 300 == len(set(names))


def test_unloading_leaves_a_shared_module(folder):
    """Others run in it."""
    loader = folder.write("app.py", COUNTER).loader()
    loader.unload(loader.load("app.handler", fresh=False))

    assert "app" in sys.modules


def test_close_takes_everything_back(folder):
    """Modules, path and import hook."""
    modules, path, finders = set(sys.modules), list(sys.path), list(sys.meta_path)
    loader = folder.write("app.py", COUNTER).loader()
    for _ in range(2):
        loader.load("app.handler", fresh=True)
    loader.load("app.handler", fresh=False)
    loader.close()

    assert (modules, path, finders) == (set(sys.modules), sys.path, sys.meta_path)


def test_a_plain_folder_wins_over_an_installed_package(folder):
    """Of `xml`, here: what is under the code folder comes first."""
    folder.write("xml/app.py", HANDLER.format(value=1))

    assert 1 == call(folder.loader().load("xml.app.handler", fresh=False))


def test_an_extension_module_is_loaded_once(folder):
    """It has one set of globals for a process, by its making."""
    loader = folder.loader()
    first, second = (loader.load("simplejson._speedups.make_scanner", fresh=True) for _ in range(2))

    assert first.module is second.module


def test_a_module_that_only_an_import_hook_knows_is_found(folder):
    """Editable installs are such."""

    class Hook:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name != "only_by_hook":
                return None
            folder.write("hidden/x.py", HANDLER.format(value=5))
            return importlib.util.spec_from_file_location(name, folder.path / "hidden/x.py")

    sys.meta_path.append(Hook)

    assert 5 == call(folder.loader().load("only_by_hook.handler", fresh=True))


def test_a_package_takes_its_own_modules_along(folder):
    """When a numbered instance of it goes."""
    folder.write("package/__init__.py", "from . import part\n" + HANDLER.format(value=1)).write(
        "package/part.py", ""
    )
    loader = folder.loader()
    loaded = [loader.load("package.handler", fresh=True) for _ in range(2)]
    during = {"package.part", "package#2.part"} & set(sys.modules)
    for one in loaded:
        loader.unload(one)

    assert {"package.part", "package#2.part"} == during
    assert [] == [name for name in sys.modules if name.startswith("package")]


@pytest.mark.parametrize("file", ["app.py", "src/app.py"])
@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("package", [True, False])
def test_folders_with_equal_names_get_their_own_module(tmp_path, file, fresh, package):
    """Two functions that both have `app.py` never get each other's, nor each other's relatives."""
    results = []
    for value in "ab":
        folder = Folder(tmp_path / value).write(file, HANDLER.format(value=value))
        if "/" in file:
            folder.write("src/own.py", f"value = {value!r}\n")
            folder.write(file, "from . import own\ndef handler(event, context):\n    return own.value\n")
            if package:
                folder.write("src/__init__.py", "")
        loader = folder.loader()
        results.append([call(loader.load(f"{file[:-3]}.handler", fresh=fresh)) for _ in range(2)])

    assert [["a", "a"], ["b", "b"]] == results


def test_a_module_missing_here_is_not_taken_from_another_function(tmp_path):
    """Its folder is on `sys.path`, but only for the helpers it imports itself."""
    Folder(tmp_path / "a").write("app.py", HANDLER.format(value=1)).loader().load("app.handler", fresh=False)
    error = failure(Folder(tmp_path / "b").loader(), "app.handler")

    assert "Unable to import module 'app': No module named 'app'" == error.message


def test_two_functions_of_one_folder_do_not_share_globals(folder):
    """Nor do two loaders of one function."""
    folder.write("app.py", COUNTER)
    first, second = (folder.loader().load("app.handler", fresh=False) for _ in range(2))

    assert [1, 1] == [call(first), call(second)]


PACKAGE = {
    "shop/__init__.py": "",
    "shop/models.py": "class Order:\n    pass\n",
    "shop/service.py": "from shop.models import Order\ndef make():\n    return Order()\n",
    "shop/app.py": (
        "from .models import Order\nfrom .service import make\nfrom shop import service\n"
        "def handler(event, context):\n    return isinstance(make(), Order)\n"
    ),
}


@pytest.mark.parametrize("fresh", [True, False])
def test_relative_and_absolute_imports_agree(folder, fresh):
    """A class imported either way is the same class, in every instance."""
    for name, text in PACKAGE.items():
        folder.write(name, text)
    loader = folder.loader()

    assert [True, True] == [call(loader.load("shop.app.handler", fresh=fresh)) for _ in range(2)]


TYPED = """
from __future__ import annotations
import dataclasses
import enum
import pickle
import typing

@dataclasses.dataclass
class Order:
    id: str
    lines: list[Line]
    total: typing.ClassVar[int] = 0

@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    sku: str

class Colour(enum.Enum):
    RED = 1

class Pair(typing.NamedTuple):
    left: Colour
    right: Line

def handler(event, context):
    order = Order("a", [Line("b")])
    pair = Pair(Colour.RED, Line("x"))
    again = pickle.loads(pickle.dumps((order, pair)))
    return again == (order, pair) and type(again[0]) is Order

def hints(event, context):
    return typing.get_type_hints(Order)["lines"] == list[Line]
"""


@pytest.mark.parametrize("fresh", [True, False])
def test_dataclasses_pickle_and_typing_work_in_every_instance(folder, fresh):
    """They look their module up by name."""
    loader = folder.write("app.py", TYPED).loader()
    loaded = [loader.load("app.handler", fresh=fresh) for _ in range(3)]

    assert [True] * 3 == [call(one) for one in loaded]
    assert [True] * 3 == [one.module.hints(None, None) for one in loaded]
    assert typing.get_type_hints(loaded[2].module.Pair)["right"] is loaded[2].module.Line
    assert loaded[2].module.Line is pickle.loads(pickle.dumps(loaded[2].module.Line))


@pytest.mark.real_time
@pytest.mark.parametrize("fresh", [True, False])
def test_many_threads_may_load_at_once(folder, fresh):
    """Each gets a module instance of its own, or all the same one, run once."""
    folder.write("slow_helper.py", "value = 7\n")
    folder.write("app.py", "import slow_helper\nran = []\nran.append(1)\n" + HANDLER.format(value=1))
    loader, loaded, gate = folder.loader(), [], threading.Barrier(16)

    def load():
        gate.wait()
        loaded.append(loader.load("app.handler", fresh=fresh))

    threads = [threading.Thread(target=load) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 16 == len(loaded)
    assert (16 if fresh else 1) == len({id(one.module) for one in loaded})
    assert all([1] == one.module.ran for one in loaded)


ASYNC = """
import functools
async def plain(event, context): return 1
def sync(event, context): return 1
class Callable:
    async def __call__(self, event, context): return 1
class SyncCallable:
    def __call__(self, event, context): return 1
callable_object = Callable()
sync_object = SyncCallable()
partial = functools.partial(plain)
def deco(f):
    @functools.wraps(f)
    def inner(*a): return f(*a)
    return inner
@deco
async def decorated(event, context): return 1
if True:
    async def conditional(event, context): return 1
from os import path as imported
async def twice(event, context): return 1
def twice(event, context): return 1
async def rebound(event, context): return 1
rebound = sync
"""


@pytest.mark.parametrize(
    ("name", "is_async", "looks"),
    [
        ("plain", True, True),
        ("sync", False, False),
        ("callable_object", True, None),
        ("sync_object", False, None),
        ("partial", True, None),
        ("decorated", False, None),
        ("conditional", True, None),
        ("Callable", False, None),
        ("imported", False, None),
        ("twice", False, None),
        ("rebound", False, None),
    ],
)
def test_what_is_async_is_known_after_loading_and_often_before(folder, name, is_async, looks):
    """From the source only a bare top-level def can be told, without running anything."""
    loader = folder.write("app.py", ASYNC).loader()
    before = set(sys.modules)

    assert looks is looks_async(str(folder.path), f"app.{name}")
    assert before == set(sys.modules)
    assert is_async is loader.load(f"app.{name}", fresh=False).is_async


@pytest.mark.parametrize(
    "handler",
    [
        "app.missing",
        "missing.handler",
        "handler",
        "broken.handler",
        "math.sqrt",
        "sys.exit",
        "star.f",
    ],
)
def test_what_cannot_be_read_is_not_guessed(folder, handler):
    """No such file, no such name, bad syntax, no Python source, a star import."""
    folder.write("app.py", ASYNC).write("broken.py", "def (")
    folder.write("star.py", "def f(): pass\nfrom os.path import *\n")

    assert looks_async(str(folder.path), handler) is None


def test_looking_finds_nested_handlers(folder):
    """Packages and namespace folders, without importing them."""
    folder.write("a/b/app.py", ASYNC).write("p/__init__.py", "raise SystemExit\n").write("p/app.py", ASYNC)

    assert [True, True, True] == [
        looks_async(str(folder.path), handler)
        for handler in ("a/b/app.plain", "p.app.plain", "a/b/app.py:plain")
    ]
