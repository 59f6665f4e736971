"""The names that a module's source binds, and what else it may do."""

import pytest

from engine.executors.source_names import BoundName, names_in_file, source_names


def test_a_file_is_read_again_when_it_has_changed_or_more_is_asked_for(tmp_path):
    """`thorough` serves those who ask for less; not the other way round."""
    file = tmp_path / "app.py"
    file.write_text("def handler(event, context): pass\n")
    at_first = names_in_file(str(file))
    thorough = names_in_file(str(file), thorough=True)
    again = names_in_file(str(file))
    file.write_text("async def handler(event, context): pass\n")
    changed = names_in_file(str(file))

    assert {"handler": BoundName(is_async=False)} == at_first.names
    assert (None, True) == (at_first.is_complete, thorough.is_complete)
    assert thorough is again
    assert {"handler": BoundName(is_async=True)} == changed.names


@pytest.mark.parametrize(
    "source",
    [
        b"globals()['handler'] = print",
        b"global handler",
        b"import sys\nsys.modules[__name__].handler = print",
        "ｅｘｅｃ('handler = print')".encode(),  # Python reads these letters as `exec`
        b"# coding: utf-7\n+AGUAeABlAGM-('handler = print')",
    ],
)
def test_source_that_may_bind_names_unseen_is_not_complete(source):
    """However it is spelled."""
    assert source_names(source, thorough=True).is_complete is False


def test_source_that_can_be_parsed_and_not_compiled_says_why():
    """A `return` outside of a function is found by the compiler alone."""
    names = source_names(b"def handler(event, context): pass\nreturn 1\n", thorough=True)

    assert (False, "'return' outside function (<handler>, line 2)") == (names.is_complete, names.syntax_error)
    assert {"handler": BoundName(is_async=False)} == names.names
