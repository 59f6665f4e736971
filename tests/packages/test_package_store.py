"""The state folder: what was saved is there again, whole, or one clear error says why not."""

import io
import json
import zipfile

import pytest

from engine.packages.archive import ArchiveError
from engine.packages.records import Alias, FunctionRecord, LayerRecord, LayerVersion, StoredState, Version
from engine.packages.store import PackageStore, StateError

ONE, TWO, STRAY, KEPT, LAYER = (f"00000000-0000-4000-8000-00000000000{number}" for number in range(5))


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.py", text)
    return buffer.getvalue()


def version(folder, number="$LATEST"):
    return Version(
        version=number,
        settings={"Handler": "app.handler"},
        folder=folder,
        size=1,
        sha256="x",
        modified_s=1.5,
        revision="r",
    )


def some_state(**keys):
    record = FunctionRecord(
        name="f",
        latest=version(ONE),
        versions={"1": version(ONE, "1")},
        next_version=2,
        aliases={"live": Alias(name="live", version="1", weights={"2": 0.25}, revision="r")},
        reserved=7,
    )
    layer = LayerVersion(version=1, folder=TWO, size=1, sha256="x", created_s=1.0)
    layers = {"l": LayerRecord(name="l", versions={"1": layer})}
    return StoredState(functions={"f": record}, layers=layers, **keys)


def test_what_was_saved_is_there_again(tmp_path):
    with PackageStore(tmp_path / "state") as shelf:
        state = some_state(state_folder=shelf.load().state_folder)
        shelf.add_code(ONE, zipped(app="x = 1"), [])
        shelf.add_layer(TWO, zipped(lib="y = 2"))
        shelf.save(state.model_dump_json().encode())
    with PackageStore(tmp_path / "state") as shelf:
        again = shelf.load()

        assert state == again
        assert "x = 1" == (shelf.task(ONE) / "app.py").read_text()


def test_a_new_folder_holds_nothing(tmp_path):
    with PackageStore(tmp_path / "deep" / "state") as shelf:
        state = shelf.load()

        assert StoredState(state_folder=state.state_folder) == state


def test_what_no_record_speaks_of_is_swept(tmp_path):
    """Packages of an engine that died before it could save, finished or not; at the next start."""
    with PackageStore(tmp_path) as shelf:
        shelf.begin(shelf.load())
        shelf.add_code(STRAY, zipped(app=""), [])
        (tmp_path / "packages" / f".new-{ONE}").mkdir()
    with PackageStore(tmp_path) as shelf:
        state = shelf.load()
        assert 2 == len(list((tmp_path / "packages").iterdir()))
        shelf.begin(state)

    assert [] == list((tmp_path / "packages").iterdir())


def test_without_a_root_all_is_gone_at_the_end():
    """The folder is a temporary one."""
    with PackageStore(None) as shelf:
        shelf.add_code(ONE, zipped(app=""), [])
        task = shelf.task(ONE)
        shelf.save(b"{}")

        assert task.is_dir()
    assert not task.parents[2].exists()


def test_a_refused_archive_leaves_nothing(tmp_path):
    with PackageStore(tmp_path) as shelf:
        with pytest.raises(ArchiveError):
            shelf.add_code(ONE, b"no zip", [])

        assert [] == list((tmp_path / "packages").iterdir())


def test_a_layer_lies_under_the_code_and_is_kept_by_it(tmp_path):
    """Also when the layer itself is deleted."""
    with PackageStore(tmp_path) as shelf:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("python/lib.py", "z = 3")
        shelf.add_layer(LAYER, buffer.getvalue())
        shelf.add_code(ONE, zipped(app=""), [LAYER])
        shelf.remove(LAYER)

        assert "z = 3" == (shelf.task(ONE) / "lib.py").read_text()


def test_two_engines_cannot_share_a_state_folder(tmp_path):
    with PackageStore(tmp_path), pytest.raises(StateError, match="another engine uses this state folder"):
        PackageStore(tmp_path).__enter__()


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StateError, match="cannot be used as state folder"):
        PackageStore(tmp_path / "file" / "state").__enter__()


GOOD = json.loads(StoredState().model_dump_json())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "is missing, but there are packages"),
        (b"", "is damaged"),
        (b"{", "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[]", "has format None"),
        (json.dumps({**GOOD, "state_folder": "x"}).encode(), "belongs to another state folder"),
        (json.dumps(GOOD).encode(), "belongs to another state folder"),
        (json.dumps({**GOOD, "format": 2}).encode(), "has format 2; this engine reads format 1"),
        (json.dumps({**GOOD, "functions": 1}).encode(), "is damaged: functions"),
        (json.dumps({**GOOD, "functions": {"f": {"name": 1}}}).encode(), "is damaged: functions.f.name"),
        (json.dumps({**GOOD, "more": 1}).encode(), "is damaged: more"),
        (
            some_state().model_dump_json().replace(ONE, "../one").encode(),
            "is damaged: functions.f.latest.folder",
        ),
        (
            some_state().model_dump_json().replace(ONE, "src").encode(),
            "is damaged: functions.f.latest.folder",
        ),
        (some_state().model_dump_json().encode(), "the package of function 'f', version .LATEST is missing"),
    ],
)
def test_a_damaged_state_file_is_one_clear_error(tmp_path, text, why):
    """And nothing is changed because of it."""
    with PackageStore(tmp_path) as shelf:
        state = shelf.load()
        shelf.begin(state)
        shelf.add_code(KEPT, zipped(app=""), [])
    if text is None:
        (tmp_path / "state.json").unlink()
    else:
        own = text.replace(
            b'\n  "state_folder": ""', b'\n  "state_folder": "%s"' % state.state_folder.encode()
        )
        (tmp_path / "state.json").write_bytes(own)
    before = everything(tmp_path)
    with PackageStore(tmp_path) as shelf, pytest.raises(StateError, match=why):
        shelf.load()

    assert before == everything(tmp_path)


def everything(folder):
    """Names, modes and contents of all that is in a folder."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in folder.rglob("*")
    }
