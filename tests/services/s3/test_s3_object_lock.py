"""Object lock: locked versions cannot be deleted, and what the lock is can only become stricter."""

import base64
import hashlib

import pytest

DENIED = (403, "AccessDenied", "Access Denied because object protected by object lock.")
DAY_S = 86_400
BYPASS = {"x-amz-bypass-governance-retention": "true"}
UNTIL = {"x-amz-object-lock-retain-until-date": "2020-03-20T00:00:00Z"}  # the clock says 13 March
HOLD = b"<LegalHold><Status>%b</Status></LegalHold>"


def retention(mode, until="2020-03-20T00:00:00Z"):
    return f"<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>".encode()


PAST = retention("GOVERNANCE", "2010-01-01T00:00:00Z")
MALFORMED = (400, "MalformedXML")
LATE = {"x-amz-object-lock-retain-until-date": "99999-01-01T00:00:00Z"}
NO_END = b"<Retention><Mode>GOVERNANCE</Mode></Retention>"


def default(days):
    retained = f"<DefaultRetention><Mode>GOVERNANCE</Mode><Days>{days}</Days></DefaultRetention>"
    enabled = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>"
    rule = f"<Rule>{retained}</Rule>"
    return f"<ObjectLockConfiguration>{enabled}{rule}</ObjectLockConfiguration>".encode()


@pytest.fixture
def vault(shop):
    """`b-2` with object lock."""
    shop.ask("PUT", "/b-2", headers={"x-amz-bucket-object-lock-enabled": "true"})
    return shop


def put(shop, headers=(), key="k"):
    return shop.ask("PUT", f"/b-2/{key}", b"x", headers).headers["x-amz-version-id"]


def delete(shop, version_id, headers=()):
    """What DeleteObject and DeleteObjects say of it."""
    body = f"<Delete><Object><Key>k</Key><VersionId>{version_id}</VersionId></Object></Delete>".encode()
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    many = shop.ask("POST", "/b-2?delete", body, {"content-md5": digest, **dict(headers)})
    if many.code is not None:
        assert [DENIED[1:]] == [(many.text("Code")[0], many.text("Message")[0])]
        assert DENIED == shop.ask("DELETE", f"/b-2/k?versionId={version_id}", headers=headers).error
    return many.code


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_a_retained_version_cannot_be_deleted_until_the_retention_is_over(vault, mode):
    """Who bypasses governance can; hiding it by a marker always works."""
    version_id = put(vault, {**UNTIL, "x-amz-object-lock-mode": mode})
    hidden = vault.ask("DELETE", "/b-2/k")
    kept = delete(vault, version_id)
    bypassed = delete(vault, version_id, BYPASS)
    if mode == "COMPLIANCE":
        vault.clock.wall_s += 8 * DAY_S
        assert delete(vault, version_id) is None

    assert (204, "AccessDenied") == (hidden.status, kept)
    assert bypassed == (None if mode == "GOVERNANCE" else "AccessDenied")
    assert 404 == vault.ask("GET", f"/b-2/k?versionId={version_id}").status


def test_a_held_version_cannot_be_deleted_until_the_hold_is_off(vault):
    version_id = put(vault, {"x-amz-object-lock-legal-hold": "ON"})
    kept = delete(vault, version_id, BYPASS)
    head = vault.ask("HEAD", "/b-2/k").headers
    vault.ask("PUT", "/b-2/k?legal-hold", HOLD % b"OFF")
    shown = vault.ask("GET", "/b-2/k?legal-hold").text("Status")

    assert ("AccessDenied", "ON", ["OFF"]) == (kept, head["x-amz-object-lock-legal-hold"], shown)
    assert delete(vault, version_id) is None


def test_what_is_made_is_retained_as_its_bucket_says(vault):
    """An object, a copy, an upload in parts; a retention of its own comes first. All show it."""
    vault.ask("PUT", "/b-2?object-lock", default(2))
    put(vault)
    put(vault, {**UNTIL, "x-amz-object-lock-mode": "COMPLIANCE"}, "own")
    vault.ask("PUT", "/b-2/copy", headers={"x-amz-copy-source": "b-2/own"})
    upload = f"/b-2/parts?uploadId={vault.ask('POST', '/b-2/parts?uploads').text('UploadId')[0]}"
    etag = vault.ask("PUT", f"{upload}&partNumber=1", b"x").headers["etag"]
    part = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    vault.ask("POST", upload, f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode())
    heads = {key: vault.ask("HEAD", f"/b-2/{key}").headers for key in ("k", "own", "copy", "parts")}
    shown = {
        key: (head["x-amz-object-lock-mode"], head["x-amz-object-lock-retain-until-date"])
        for key, head in heads.items()
    }

    by_bucket = ("GOVERNANCE", "2020-03-15T07:06:40.500Z")
    own = ("COMPLIANCE", "2020-03-20T00:00:00.000Z")
    assert {"k": by_bucket, "own": own, "copy": by_bucket, "parts": by_bucket} == shown
    assert ["COMPLIANCE"] == vault.ask("GET", "/b-2/own?retention").text("Mode")


@pytest.mark.parametrize(
    ("before", "after", "headers", "status"),
    [
        ("GOVERNANCE", retention("GOVERNANCE", "2020-03-25T00:00:00Z"), {}, 200),
        ("GOVERNANCE", retention("GOVERNANCE", "2020-03-15T00:00:00Z"), {}, 403),
        ("GOVERNANCE", retention("GOVERNANCE", "2020-03-15T00:00:00Z"), BYPASS, 200),
        ("GOVERNANCE", retention("COMPLIANCE"), {}, 403),
        ("GOVERNANCE", retention("COMPLIANCE"), BYPASS, 200),
        ("GOVERNANCE", b"<Retention/>", {}, 403),
        ("GOVERNANCE", b"<Retention/>", BYPASS, 200),
        ("COMPLIANCE", retention("COMPLIANCE", "2020-03-25T00:00:00Z"), {}, 200),
        ("COMPLIANCE", retention("COMPLIANCE", "2020-03-15T00:00:00Z"), BYPASS, 403),
        ("COMPLIANCE", retention("GOVERNANCE"), BYPASS, 403),
        ("COMPLIANCE", b"<Retention/>", BYPASS, 403),
    ],
)
def test_a_retention_can_only_become_stricter(vault, before, after, headers, status):
    """But for governance, which can be bypassed."""
    put(vault)
    first = vault.ask("PUT", "/b-2/k?retention", retention(before))
    answer = vault.ask("PUT", "/b-2/k?retention", after, headers)

    assert (200, status) == (first.status, answer.status)
    if status == 403:
        assert DENIED == answer.error


@pytest.mark.parametrize(
    ("method", "target", "body", "headers", "expected"),
    [
        ("GET", "/b-2/k?retention", b"", {}, (404, "NoSuchObjectLockConfiguration")),
        ("GET", "/b-2/k?legal-hold", b"", {}, (404, "NoSuchObjectLockConfiguration")),
        ("GET", "/b-1/k?retention", b"", {}, (400, "InvalidRequest")),
        ("PUT", "/b-1/k?legal-hold", HOLD % b"ON", {}, (400, "InvalidRequest")),
        ("PUT", "/b-2/k?legal-hold", HOLD % b"MAYBE", {}, (400, "MalformedXML")),
        ("PUT", "/b-2/k?legal-hold", b"<LegalHold/>", {}, (400, "MalformedXML")),
        ("PUT", "/b-2/k?retention", retention("NEVER"), {}, (400, "MalformedXML")),
        (
            "PUT",
            "/b-2/k?retention",
            retention("GOVERNANCE", "2010-01-01T00:00:00Z"),
            {},
            (400, "InvalidArgument"),
        ),
        (
            "PUT",
            "/b-2/k?retention",
            b"<Retention><Mode>GOVERNANCE</Mode></Retention>",
            {},
            (400, "MalformedXML"),
        ),
        ("PUT", "/b-2/k?retention", retention("GOVERNANCE", "0001-01-01T00:00:00+23:00"), {}, MALFORMED),
        ("PUT", "/b-2?object-lock", default(0), {}, (400, "InvalidRetentionPeriod")),
        (
            "PUT",
            "/b-2?object-lock",
            default(0).replace(b"Days", b"Years"),
            {},
            (400, "InvalidRetentionPeriod"),
        ),
        ("PUT", "/b-2?object-lock", default(10**17), {}, (400, "InvalidRetentionPeriod")),
        ("PUT", "/b-2/k", b"x", {**LATE, "x-amz-object-lock-mode": "COMPLIANCE"}, (400, "InvalidArgument")),
        ("PUT", "/b-2/k", b"x", {"x-amz-object-lock-mode": "COMPLIANCE"}, (400, "InvalidArgument")),
        ("PUT", "/b-2/k", b"x", {**UNTIL, "x-amz-object-lock-mode": "NEVER"}, (400, "InvalidArgument")),
        ("PUT", "/b-2/k", b"x", {"x-amz-object-lock-legal-hold": "MAYBE"}, (400, "InvalidArgument")),
        ("PUT", "/b-1/k", b"x", {"x-amz-object-lock-legal-hold": "ON"}, (400, "InvalidRequest")),
    ],
)
def test_a_lock_that_cannot_be_is_refused(vault, method, target, body, headers, expected):
    put(vault)
    vault.ask("PUT", "/b-1/k", b"x")
    answer = vault.ask(method, target, body, headers)

    assert expected == (answer.status, answer.code)
