"""Constants that are delivered: values become JSON text, and JSON text stays as it was written."""

import pytest

from engine.core.json_constant import JsonText, constant_text, json_constant


def test_text_of_a_template_stays_as_it_is():
    """Blanks and zeros too; a `str` of engine.toml is a value."""
    text = JsonText('{"a" :  1.50}')

    assert '{"a" :  1.50}' == constant_text(json_constant(text))
    assert '"{"' == constant_text(json_constant("{"))
    assert '{"a":null}' == constant_text(json_constant({"a": None}))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (JsonText("nojson"), "JSON syntax error in input"),
        (JsonText('{"a": 1'), "JSON syntax error in input"),
        ({1, 2}, "is no JSON value"),
    ],
)
def test_what_is_no_json_is_refused(value, message):
    """With the end of a sentence."""
    with pytest.raises(ValueError, match=message):
        json_constant(value)
