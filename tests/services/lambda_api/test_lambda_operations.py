"""Operations are found by AWS's names for them, each in one place."""

import ast
import asyncio
import re
from collections import Counter
from pathlib import Path

from engine.packages.records import LayerRecord, LayerVersion
from engine.packages.store import PackageStore
from engine.protocols.aws.operation import operations_of
from engine.services import lambda_api
from engine.services.lambda_api.code_packages import CodePackages
from engine.services.lambda_api.control_plane import PARTS
from engine.services.lambda_api.model import lambda_model
from engine.services.lambda_api.routes import INVOKING, find
from engine.services.lambda_api.state_persistence import StatePersistence

FOLDER = Path(lambda_api.__file__).parent


def marked():
    """Name and keywords of every `@operation`."""
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and mark.func.id == "operation":
                        yield mark.args[0].value, any(keyword.arg == "writes" for keyword in mark.keywords)


def test_every_operation_is_one_method_of_its_name():
    """So that whoever looks for PublishVersion finds it by that name, once; and AWS has it."""
    served = operations_of(PARTS)

    assert dict.fromkeys(served, 1) == Counter(name for name, _ in marked())
    assert set() == served.keys() - lambda_model().operations.keys()


def test_operations_that_are_not_read_by_GET_write(bench):
    """They are answered once the state is saved."""
    operations = lambda_model().operations

    for name, writes in marked():
        assert writes == (operations[name]["http"]["method"] != "GET"), name
        assert writes == bench.control_plane.is_write(name)


def test_every_operation_of_AWS_is_found_and_what_is_not_served_is_refused_by_its_name(bench):
    """None is ever taken for another one."""
    served = operations_of(PARTS).keys() | INVOKING
    for name, operation in lambda_model().operations.items():
        path, _, query = operation["http"]["requestUri"].partition("?")
        method, target = (
            operation["http"]["method"],
            re.sub(r"\{\w+\}", "7", path) + "?" * bool(query) + query,
        )

        assert name == find(method, target.encode()).operation
        if name not in served:
            message = f"{name} is not implemented by this engine"
            assert (501, "NotImplementedException", {"Type": "User", "message": message}) == bench.ask(
                method, target
            ).error


class WatchedStore(PackageStore):
    """Notes, of each package that is removed, whether the state file names it still."""

    def __init__(self, root):
        super().__init__(root)
        self.named, self._file = [], root / "state.json"

    def remove(self, folder):
        self.named.append(folder in self._file.read_text())
        super().remove(folder)


async def inline(work):
    """An offload that blocks."""
    return work()


async def test_a_package_is_removed_after_the_state_file_stopped_naming_it(tmp_path, bench):
    """Whenever the engine is killed, all packages that its state file names are there."""
    layers, removals = bench.registry.state.layers, []
    with WatchedStore(tmp_path / "state") as store:
        store.begin(store.load())
        persistence = StatePersistence(bench.registry, store, inline)
        packages = CodePackages(
            bench.registry,
            store,
            persistence,
            offload=inline,
            spawn=lambda work, *args: removals.append(asyncio.ensure_future(work(*args))),
            fetch_code=None,
        )
        folder, size, sha256 = await packages.pack_layer({"ZipFile": bench.zipped({"python/lib.py": ""})})
        version = LayerVersion(version=1, folder=folder, size=size, sha256=sha256, created_s=0.0)
        layers["lib"] = LayerRecord(name="lib", versions={"1": version})
        await persistence.save()
        layers.clear()
        packages.remove_unused(folder)
        await asyncio.gather(*removals)

        assert [False] == store.named
