"""Layers lie under a function's code: /opt merged, its Python importable from the code's folder."""

import sys

import pytest

from engine.packages.archive import ArchiveError
from engine.packages.layers import install_layers

SITE = f"python/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


@pytest.fixture
def made(tmp_path):
    """Makes a folder of files."""

    def made(name, files):
        for path, text in files.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (tmp_path / name).mkdir(exist_ok=True)
        return tmp_path / name

    return made


def tree(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_layers_modules_become_importable(made, tmp_path):
    task = made("task", {"app.py": "app"})
    layer = made("layer", {"python/lib_a.py": "a", f"{SITE}/lib_b/__init__.py": "b", "bin/tool": "t"})
    install_layers(task, tmp_path / "opt", [layer])

    assert {"app.py": "app", "lib_a.py": "a", "lib_b/__init__.py": "b"} == tree(task)
    assert "t" == (tmp_path / "opt/bin/tool").read_text()


def test_the_code_wins_over_site_packages_and_these_over_the_rest(made, tmp_path):
    """Order of the search path; a module's name counts, not its file's."""
    task = made("task", {"one.py": "task"})
    layer = made(
        "layer",
        {
            "python/one/__init__.py": "layer",
            "python/two.py": "plain",
            f"{SITE}/two/__init__.py": "site",
        },
    )
    install_layers(task, tmp_path / "opt", [layer])

    assert {"one.py": "task", "two/__init__.py": "site"} == tree(task)


def test_later_layers_win_over_earlier_ones(made, tmp_path):
    task = made("task", {})
    layers = [made("a", {"python/m.py": "a", "python/n.py": "a"}), made("b", {"python/m.py": "b"})]
    install_layers(task, tmp_path / "opt", layers)

    assert {"m.py": "b", "n.py": "a"} == tree(task)


def test_a_later_layers_file_may_replace_a_folder_and_the_other_way_round(made, tmp_path):
    task = made("task", {})
    layers = [made("a", {"x/y": "a", "z": "a"}), made("b", {"x": "b", "z/y": "b"})]
    install_layers(task, tmp_path / "opt", layers)

    assert {"x": "b", "z/y": "b"} == tree(tmp_path / "opt")


def test_namespace_packages_of_both_are_merged(made, tmp_path):
    task = made("task", {"acme/shop.py": "task"})
    layer = made("layer", {"python/acme/tools.py": "layer", "python/acme/shop.py": "layer"})
    install_layers(task, tmp_path / "opt", [layer])

    assert {"acme/shop.py": "task", "acme/tools.py": "layer"} == tree(task)


def test_code_and_layers_together_have_a_limit(made, tmp_path):
    task, layer = made("task", {"app.py": "x"}), made("layer", {})
    with open(layer / "large", "wb") as file:
        file.truncate(262_144_000)  # a hole: no disk is filled

    with pytest.raises(ArchiveError, match="combined with layers exceeds"):
        install_layers(task, tmp_path / "opt", [layer])


def test_links_save_the_copies(made, tmp_path):
    """A layer's file is one file, however many functions use it."""
    task, layer = made("task", {}), made("layer", {"python/m.py": "x"})
    install_layers(task, tmp_path / "opt", [layer])

    assert 3 == (layer / "python/m.py").stat().st_nlink
