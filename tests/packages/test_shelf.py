"""The state folder: what was saved is there again, whole, or one clear error says why not."""

import io
import json
import zipfile

import pytest

from engine.packages.archive import ArchiveError
from engine.packages.records import Alias, FunctionRecord, LayerRecord, LayerVersion, State, Version
from engine.packages.shelf import Shelf, StateError


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


def some_state():
    record = FunctionRecord(
        name="f",
        latest=version("one"),
        versions={"1": version("one", "1")},
        next_version=2,
        aliases={"live": Alias(name="live", version="1", weights={"2": 0.25}, revision="r")},
        reserved=7,
    )
    layer = LayerVersion(version=1, folder="two", size=1, sha256="x", created_s=1.0)
    return State(functions={"f": record}, layers={"l": LayerRecord(name="l", versions={"1": layer})})


def test_what_was_saved_is_there_again(tmp_path):
    state = some_state()
    with Shelf(tmp_path / "state") as shelf:
        shelf.add_code("one", zipped(app="x = 1"), [])
        shelf.add_layer("two", zipped(lib="y = 2"))
        shelf.save(state.model_dump_json().encode())
    with Shelf(tmp_path / "state") as shelf:
        again = shelf.load()

        assert state == again
        assert "x = 1" == (shelf.task("one") / "app.py").read_text()


def test_a_new_folder_holds_nothing(tmp_path):
    with Shelf(tmp_path / "deep" / "state") as shelf:
        assert State() == shelf.load()


def test_what_no_record_speaks_of_is_swept(tmp_path):
    """Packages of an engine that died before it could save, finished or not."""
    with Shelf(tmp_path) as shelf:
        shelf.add_code("stray", zipped(app=""), [])
        (tmp_path / "packages" / ".new-half").mkdir()
        shelf.load()

    assert [] == list((tmp_path / "packages").iterdir())


def test_without_a_root_all_is_gone_at_the_end():
    with Shelf(None) as shelf:
        shelf.add_code("one", zipped(app=""), [])
        task = shelf.task("one")
        shelf.save(b"{}")

        assert task.is_dir()
    assert not task.parents[2].exists()


def test_a_refused_archive_leaves_nothing(tmp_path):
    with Shelf(tmp_path) as shelf:
        with pytest.raises(ArchiveError):
            shelf.add_code("one", b"no zip", [])

        assert [] == list((tmp_path / "packages").iterdir())


def test_a_layer_lies_under_the_code_and_is_kept_by_it(tmp_path):
    with Shelf(tmp_path) as shelf:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("python/lib.py", "z = 3")
        shelf.add_layer("layer", buffer.getvalue())
        shelf.add_code("one", zipped(app=""), ["layer"])
        shelf.remove("layer")

        assert "z = 3" == (shelf.task("one") / "lib.py").read_text()


def test_two_engines_cannot_share_a_state_folder(tmp_path):
    with Shelf(tmp_path), pytest.raises(StateError, match="another engine uses this state folder"):
        Shelf(tmp_path).__enter__()


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StateError, match="cannot be used as state folder"):
        Shelf(tmp_path / "file" / "state").__enter__()


GOOD = json.loads(State().model_dump_json())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "is damaged"),
        (b"{", "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[]", "has format None"),
        (json.dumps({**GOOD, "format": 2}).encode(), "has format 2; this engine reads format 1"),
        (json.dumps({**GOOD, "functions": 1}).encode(), "is damaged: functions"),
        (json.dumps({**GOOD, "functions": {"f": {"name": 1}}}).encode(), "is damaged: functions.f.name"),
        (json.dumps({**GOOD, "more": 1}).encode(), "is damaged: more"),
        (
            some_state().model_dump_json().replace('"one"', '"../one"').encode(),
            "is damaged: functions.f.latest.folder",
        ),
        (some_state().model_dump_json().encode(), "the package of function 'f', version .LATEST is missing"),
    ],
)
def test_a_damaged_state_file_is_one_clear_error(tmp_path, text, why):
    """And nothing is swept because of it."""
    (tmp_path / "state.json").write_bytes(text)
    with Shelf(tmp_path) as shelf:
        shelf.add_code("kept", zipped(app=""), [])
        with pytest.raises(StateError, match=why):
            shelf.load()

        assert shelf.task("kept").is_dir()
