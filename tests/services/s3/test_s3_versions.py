"""Buckets with versions: markers, ids, suspension, listings."""

import base64
import hashlib

import pytest

ENABLE = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
SUSPEND = b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"


@pytest.fixture
def versioned(shop):
    shop.ask("PUT", "/b-1?versioning", ENABLE)
    return shop


def put(shop, body, key="k"):
    return shop.ask("PUT", f"/b-1/{key}", body).headers.get("x-amz-version-id")


def test_versions_stay_until_they_are_named(versioned):
    first, second = put(versioned, b"1"), put(versioned, b"2")

    assert b"2" == versioned.ask("GET", "/b-1/k").body
    assert b"1" == versioned.ask("GET", f"/b-1/k?versionId={first}").body
    assert 204 == versioned.ask("DELETE", f"/b-1/k?versionId={second}").status
    assert b"1" == versioned.ask("GET", "/b-1/k").body


def test_a_delete_hides_behind_a_marker(versioned):
    put(versioned, b"1")
    deleted = versioned.ask("DELETE", "/b-1/k")
    marker = deleted.headers["x-amz-version-id"]
    missing = versioned.ask("GET", "/b-1/k")
    asked = versioned.ask("GET", f"/b-1/k?versionId={marker}")

    assert (204, "true") == (deleted.status, deleted.headers["x-amz-delete-marker"])
    assert (404, "NoSuchKey", "true") == (
        missing.status,
        missing.code,
        missing.headers["x-amz-delete-marker"],
    )
    assert (405, "MethodNotAllowed", "DELETE") == (asked.status, asked.code, asked.headers["allow"])
    assert [] == versioned.ask("GET", "/b-1?list-type=2").text("Key")
    versioned.ask("DELETE", f"/b-1/k?versionId={marker}")
    assert b"1" == versioned.ask("GET", "/b-1/k").body


def test_suspended_keeps_one_version_without_an_id(versioned):
    """The versions of before stay beside it. The answer to a write has no id (recorded)."""
    first = put(versioned, b"1")
    versioned.ask("PUT", "/b-1?versioning", SUSPEND)
    ids = [put(versioned, b"2"), put(versioned, b"3")]
    listed = versioned.ask("GET", "/b-1?versions")

    assert [None, None] == ids
    assert ["null", first] == listed.text("VersionId")
    assert ["Suspended"] == versioned.ask("GET", "/b-1?versioning").text("Status")


def test_versions_are_listed_newest_first_in_pages(versioned):
    ids = [put(versioned, b"%d" % n, key) for key in ("a", "b") for n in range(3)]
    expected = [*reversed(ids[:3]), *reversed(ids[3:])]
    seen, marker = [], ""
    while True:
        answer = versioned.ask("GET", f"/b-1?versions&max-keys=2{marker}")
        seen += answer.text("VersionId")
        if answer.text("IsTruncated") == ["false"]:
            break
        [key], [last] = answer.text("NextKeyMarker"), answer.text("NextVersionIdMarker")
        marker = f"&key-marker={key}&version-id-marker={last}"

    assert expected == seen
    assert 2 == versioned.ask("GET", "/b-1?versions").body.count(b"<IsLatest>true")


def test_many_deletes_tell_of_markers(versioned):
    """One for each key, also for a key that was not there."""
    put(versioned, b"1")
    body = b"<Delete><Object><Key>k</Key></Object><Object><Key>new</Key></Object></Delete>"
    answer = versioned.ask("POST", "/b-1?delete", body, {"content-md5": _md5(body)})

    assert (["k", "new"], ["true", "true"]) == (answer.text("Key"), answer.text("DeleteMarker"))
    assert 2 == len(set(answer.text("DeleteMarkerVersionId")))


def test_a_quiet_delete_tells_of_nothing(versioned):
    body = b"<Delete><Quiet>true</Quiet><Object><Key>k</Key></Object></Delete>"
    answer = versioned.ask("POST", "/b-1?delete", body, {"content-md5": _md5(body)})

    assert (200, []) == (answer.status, answer.text("Key"))


def test_an_older_version_can_be_copied_over_the_newest(versioned):
    first = put(versioned, b"1")
    put(versioned, b"2")
    answer = versioned.ask("PUT", "/b-1/k", headers={"x-amz-copy-source": f"b-1/k?versionId={first}"})

    assert (200, first) == (answer.status, answer.headers["x-amz-copy-source-version-id"])
    assert b"1" == versioned.ask("GET", "/b-1/k").body


def test_a_copy_onto_itself_must_change_something(shop):
    shop.ask("PUT", "/b-1/k", b"1", {"x-amz-meta-a": "1"})
    same = shop.ask("PUT", "/b-1/k", headers={"x-amz-copy-source": "b-1/k"})
    replaced = shop.ask(
        "PUT",
        "/b-1/k",
        headers={
            "x-amz-copy-source": "b-1/k",
            "x-amz-metadata-directive": "REPLACE",
            "x-amz-meta-b": "2",
        },
    )
    head = shop.ask("HEAD", "/b-1/k").headers

    assert (400, "InvalidRequest") == same.error[:2]
    assert (200, "2", None) == (replaced.status, head["x-amz-meta-b"], head.get("x-amz-meta-a"))


def _md5(body):
    return base64.b64encode(hashlib.md5(body).digest()).decode()
