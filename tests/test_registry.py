"""Names become classes, or one clear sentence."""

import pytest

from engine import registry
from engine.errors import UnknownName

KNOWN = ", ".join(sorted(registry.EXECUTORS))
SOURCES = ", ".join(sorted(registry.SOURCES))


class Custom:
    """Something a user might register."""


@pytest.fixture
def module_of_users(tmp_path, monkeypatch):
    """A module `users_own` on sys.path, and a broken one beside it."""
    (tmp_path / "users_own.py").write_text("class Feed:\n    pass\nfeed = 1\n")
    (tmp_path / "users_broken.py").write_text("raise SystemExit('no\\nway')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("kind", "table"), [("source", registry.SOURCES), ("executor", registry.EXECUTORS)])
def test_every_registered_name_resolves_to_the_class_it_names(kind, table):
    """The tables name classes that exist."""
    resolved = {name: registry.resolve(kind, name) for name in table}

    expected = {name: target.replace(":", ".") for name, target in table.items()}
    assert expected == {name: f"{found.__module__}.{found.__qualname__}" for name, found in resolved.items()}


def test_a_class_is_found_by_module_and_name(module_of_users):
    """`module:Class` needs no registration."""
    assert "Feed" == registry.resolve("source", "users_own:Feed").__name__


def test_an_installed_package_registers_by_entry_point(module_of_users):
    """Entry points of the group are names like any other."""
    info = module_of_users / "users_own-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: users-own\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[invocation_engine.sources]\nfeed = users_own:Feed\nhttp = users_own:Feed\n"
    )

    assert "Feed" == registry.resolve("source", "feed").__name__
    assert "feed" in registry.names("source")
    assert "feed" not in registry.names("executor")
    assert "HttpSource" == registry.resolve("source", "http").__name__  # the engine's own names win


@pytest.mark.parametrize(
    ("kind", "name", "sentence"),
    [
        (
            "executor",
            "tread",
            f"executor 'tread': not registered, did you mean 'thread'? (known: {KNOWN}, or module:Class)",
        ),
        (
            "executor",
            "LOOP",
            f"executor 'LOOP': not registered, did you mean 'loop'? (known: {KNOWN}, or module:Class)",
        ),
        ("source", "", f"source '': not registered (known: {SOURCES}, or module:Class)"),
        ("source", "users_own:", "source 'users_own:': 'users_own:' is not of the form module:Class"),
        ("source", ":Feed", "source ':Feed': ':Feed' is not of the form module:Class"),
        ("source", ".rel:Feed", "source '.rel:Feed': '.rel:Feed' is not of the form module:Class"),
        (
            "source",
            "users_own:Fed",
            "source 'users_own:Fed': module 'users_own' has no 'Fed', did you mean 'Feed'?",
        ),
        ("source", "users_own:feed", "source 'users_own:feed': 'users_own:feed' is not a class"),
        (
            "source",
            "no_such_module_at_all:X",
            (
                "source 'no_such_module_at_all:X': module 'no_such_module_at_all' cannot be imported: "
                "ModuleNotFoundError: No module named 'no_such_module_at_all'"
            ),
        ),
        (
            "source",
            "users_broken:X",
            "source 'users_broken:X': module 'users_broken' cannot be imported: SystemExit: no way",
        ),
    ],
)
def test_what_cannot_be_resolved_is_said_in_one_sentence(module_of_users, kind, name, sentence):
    """Each way to fail has its own reason, with the nearest valid name where there is one."""
    with pytest.raises(UnknownName) as caught:
        registry.resolve(kind, name)

    assert sentence == str(caught.value)
