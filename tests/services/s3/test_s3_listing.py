"""Listings against the plain definition: sort, filter, fold, cut."""

from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sortedcontainers import SortedDict

from engine.services.s3.blob_store import EMPTY
from engine.services.s3.listing import after, page
from engine.services.s3.model import ObjectMetadata, ObjectVersion

texts = st.text(st.sampled_from("ab/-é\U0010ffff\ud7ff\ue000"), max_size=5)
keys = st.sets(texts.filter(bool), max_size=25)


def versions(names):
    return SortedDict({name: [ObjectVersion(name, EMPTY, "", ObjectMetadata())] for name in names})


def shown(_versions):
    return True


def folded(names, prefix, delimiter, start_after):
    """Keys and common prefixes behind `start_after`, in order, by the book."""
    entries = set()
    for name in names:
        if not name.startswith(prefix) or name <= start_after:
            continue
        cut = name.find(delimiter, len(prefix)) if delimiter else -1
        common = name[: cut + len(delimiter)] if cut >= 0 else ""
        if common and start_after.startswith(common):
            continue
        entries.add((common or name, bool(common)))
    return sorted(entries)


def entries(found):
    return sorted([(name, False) for name, _ in found.found] + [(name, True) for name in found.prefixes])


@given(keys, texts, st.sampled_from(["", "/", "-", "a/"]), texts, st.integers(1, 6))
def test_a_page_is_what_the_definition_says(names, prefix, delimiter, start_after, most):
    expected = folded(names, prefix, delimiter, start_after)
    found = page(
        versions(names),
        prefix=prefix,
        delimiter=delimiter,
        start_after=start_after,
        max_keys=most,
        shown=shown,
    )

    assert expected[:most] == entries(found)
    assert (len(expected) > most) == found.is_truncated


@given(keys, texts, st.sampled_from(["", "/", "-"]), st.integers(1, 4))
def test_pages_put_together_are_the_whole(names, prefix, delimiter, most):
    store, last, seen = versions(names), "", []
    while True:
        found = page(store, prefix=prefix, delimiter=delimiter, start_after=last, max_keys=most, shown=shown)
        seen += entries(found)
        if not found.is_truncated:
            break
        last = found.last

    assert folded(names, prefix, delimiter, "") == seen


@given(texts, texts)
def test_after_lies_behind_all_that_begin_so(prefix, rest):
    """The bound by which a listing goes on behind a folded prefix."""
    bound = after(prefix)

    assert bound is None or prefix + rest < bound


@given(keys)
def test_the_order_is_that_of_utf8(names):
    assert sorted(names, key=lambda name: name.encode()) == list(versions(names))


def test_start_after_inside_a_folder_still_shows_the_folder(shop):
    """As on AWS: `start-after` is about keys, a continuation token about entries."""
    for key in ("a/1", "a/2", "b"):
        shop.ask("PUT", f"/b-1/{key}", b"")
    answer = shop.ask("GET", "/b-1?list-type=2&delimiter=/&start-after=a/1")
    marked = shop.ask("GET", "/b-1?delimiter=/&marker=a/1")

    assert (["b"], ["a/"]) == (answer.text("Key"), answer.text("Prefix")[1:] or answer.text("Prefix"))
    assert (["b"], False) == (marked.text("Key"), b"CommonPrefixes" in marked.body)


@pytest.mark.parametrize("key", ["a b", "ä", "a&<>b", "\x01", "%41", "+", "a//b", "..", "/lead", "trail/"])
def test_every_key_is_found_again(shop, key):
    """Whatever characters it has: by a read and in a listing."""
    raw = "".join(f"%{byte:02X}" for byte in key.encode())
    shop.ask("PUT", f"/b-1/{raw}", b"hello")
    got = shop.ask("GET", f"/b-1/{raw}")
    listed = shop.ask("GET", "/b-1?list-type=2&encoding-type=url").text("Key")

    assert b"hello" == got.body
    assert [key] == list(shop.store.buckets["b-1"].keys)
    assert key == unquote_plus(listed[0])
