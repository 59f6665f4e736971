"""Text in XML documents."""

from xml.etree.ElementTree import fromstring
from xml.sax.saxutils import escape as standard

import pytest

from engine.protocols.aws.xml_text import escape, quoted


@pytest.mark.parametrize("text", ["", "plain", "a & b", "<&>", "&amp;", "\"both\" 'kinds'", "a\n\tb\rc", "é"])
def test_a_text_is_read_as_it_was_written(text):
    """As content as the standard library writes it, as an attribute whatever quotes it has."""
    read = fromstring(f"<a b={quoted(text)}/>")

    assert standard(text) == escape(text)
    assert text == read.attrib["b"]
