"""Trace contexts of both kinds: what is one, what is none, and that nothing is lost between the two."""

from __future__ import annotations

import pytest

from engine.core.trace_context import (
    TraceContext,
    adopted_header,
    from_traceparent,
    from_xray,
    new_root,
    xray_header,
)

TRACE = 0x5759E988BD862E3FE1BE46A994272793
SPAN = 0x53995C3F42CD8AD8
PARENT = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"
ROOT = "Root=1-5759e988-bd862e3fe1be46a994272793"


@pytest.mark.parametrize(
    ("text", "sampled"),
    [
        (PARENT, True),
        (f" {PARENT}\t", True),
        (PARENT[:-1] + "0", False),
        (PARENT[:-2] + "ff", True),
        ("01" + PARENT[2:], True),
        ("cc" + PARENT[2:] + "-what-comes-later", True),
    ],
)
def test_a_traceparent_is_a_place_in_a_trace_and_a_decision(text, sampled):
    """Later versions may have more behind it."""
    assert TraceContext(TRACE, SPAN, sampled) == from_traceparent(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "nonsense",
        PARENT.upper(),
        PARENT[:-1],
        PARENT + "-",
        PARENT + "-00",
        "cc" + PARENT[2:] + "-",
        "ff" + PARENT[2:],
        PARENT.replace("-", "_"),
        PARENT.replace("5759e988", "5759e98g"),
        PARENT.replace("5759e988", "+759e988"),
        f"00-{'0' * 32}-53995c3f42cd8ad8-01",
        f"00-5759e988bd862e3fe1be46a994272793-{'0' * 16}-01",
        f"{PARENT},{PARENT}",
        "٠٠" + PARENT[2:],
    ],
)
def test_a_malformed_traceparent_is_no_context(text):
    assert None is from_traceparent(text)
    assert None is adopted_header(text.encode("utf-8"))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"{ROOT};Parent=53995c3f42cd8ad8;Sampled=1", TraceContext(TRACE, SPAN, sampled=True)),
        (f"Sampled=0; Parent=53995c3f42cd8ad8; {ROOT}", TraceContext(TRACE, SPAN, sampled=False)),
        (f"Self=1-x;{ROOT};Lineage=1:2:3", TraceContext(TRACE)),
        (f"{ROOT};Sampled=1", TraceContext(TRACE, 0, sampled=True)),
        (f"{ROOT};Parent=0000000000000000;Sampled=?", TraceContext(TRACE)),
        (f"{ROOT};Parent=53995c3f42cd8ad80", TraceContext(TRACE)),
    ],
)
def test_an_xray_header_needs_no_more_than_a_root(header, expected):
    """In any order; what else is in it, or malformed, is left out."""
    assert expected == from_xray(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        ";;=;",
        "nonsense",
        "Root=",
        "Parent=53995c3f42cd8ad8",
        f"{ROOT}0;Parent=53995c3f42cd8ad8",
        ROOT.replace("Root=1", "Root=2"),
        "Root=1-00000000-000000000000000000000000;Parent=53995c3f42cd8ad8",
    ],
)
def test_a_header_without_a_root_is_no_context(header):
    assert None is from_xray(header)


@pytest.mark.parametrize("sampled", [True, False, None])
@pytest.mark.parametrize("span_id", [SPAN, 0])
def test_a_context_comes_back_from_its_xray_header(span_id, sampled):
    context = TraceContext(TRACE, span_id, sampled)

    assert context == from_xray(xray_header(context))


def test_further_fields_of_a_header_stay_with_it():
    """`Lineage` is AWS's own, for recursion; a user's own are passed on too."""
    sent = f"{ROOT};Parent=1111111111111111;Sampled=0;Lineage=1:a:0;app=shop"
    expected = f"{ROOT};Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a:0;app=shop"

    assert expected == xray_header(TraceContext(TRACE, SPAN, sampled=True), sent)


def test_a_new_root_begins_with_the_time():
    root = new_root(0x15759E988, 0xBD862E3FE1BE46A994272793)

    assert (ROOT, TraceContext(TRACE)) == (root, from_xray(root))
