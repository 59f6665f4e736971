"""Names of modules: the lists are right, and clashes on loop and thread are refused with both files named."""

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import pytest
from packaging.requirements import Requirement

from engine import ConfigError, Engine, Function
from engine.executors.module_names import OF_AWS_CLIENT, OF_ENGINE

pytestmark = pytest.mark.real_time

HANDLER = {
    "def": "def handler(event, context): return 1\n",
    "async def": "async def handler(event, context): ...\n",
}


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(name, found):
    """Names of the distributions that `name` needs, itself included."""
    name = normal(name)
    if name not in found:
        try:
            wanted = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:
            return found
        found.add(name)
        for one in wanted:
            if one.marker is None or one.marker.evaluate({"extra": ""}):
                needed(one.name, found)
    return found


def test_every_package_that_the_engine_brings_is_listed():
    """Its own, and those of its dependencies, theirs included."""
    ours = needed("invocation-engine", set())
    brought = {
        name
        for name, owners in packages_distributions().items()
        if any(normal(owner) in ours for owner in owners) and name.isidentifier() and name != "__pycache__"
    }

    assert set() == brought - OF_ENGINE


def test_what_awss_client_imports_is_listed():
    """An interpreter that has just imported it knows."""
    code = "import sys, awslambdaric.bootstrap; print(*{name.partition('.')[0] for name in sys.modules})"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    public = {name for name in names.split() if name in sys.stdlib_module_names and name[0] != "_"}

    assert set() == public - OF_AWS_CLIENT - set(sys.builtin_module_names)


@pytest.mark.parametrize(
    ("executor", "kind"), [("loop", "async def"), ("thread", "def"), ("auto", "async def")]
)
@pytest.mark.parametrize("name", ["engine.py", "click/__init__.py", "orjson.py", "rich.py", "queue.py"])
async def test_a_clash_in_the_engines_own_process_is_refused_at_start(tmp_path, executor, kind, name):
    """What it has imported already, and what it will import when it needs it."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    (tmp_path / "app.py").write_text(HANDLER[kind])
    engine = Engine([Function("f", handler="app.handler", code=str(tmp_path), executor=executor)])

    with pytest.raises(ConfigError) as refused:
        async with engine:
            pass

    (line,) = refused.value.problems
    module = name.partition("/")[0].removesuffix(".py")
    assert line.startswith(f"functions.f.code: {tmp_path / name} cannot be imported, ")
    assert re.search(rf"/{module}(/__init__)?\.py has its name|\.so has its name", line)


@pytest.mark.parametrize("name", ["json.py", "mine.py", "handlers/app.py", "errno.py"])
@pytest.mark.parametrize("executor", ["loop", "thread"])
async def test_what_does_not_clash_is_not_refused(tmp_path, name, executor):
    """Files that AWS's client hides as well, and folders without `__init__.py`."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    (tmp_path / "app.py").write_text(HANDLER["def"])
    async with Engine(
        [Function("f", handler="app.handler", code=str(tmp_path), executor=executor)]
    ) as engine:
        outcome = await engine.invoke("f")
        assert 1 == outcome.payload, outcome.error
