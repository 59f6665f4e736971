"""What is archived is read from a restored copy, and targets are told when that is asked for and done."""

import pytest

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
TWO_DAYS = b"<RestoreRequest><Days>2</Days></RestoreRequest>"
EXPIRY = "2020-03-16T00:00:00"  # the clock of the tests says 13 March, 07:06


@pytest.fixture(params=["GLACIER", "DEEP_ARCHIVE"])
def archive(request, shop):
    """The archived object `k` and the plain one `s`; events of restores are delivered."""
    shop.ask("PUT", "/b-1/k", b"hello", {"x-amz-storage-class": request.param})
    shop.ask("PUT", "/b-1/s", b"hello")
    shop.ask(
        "PUT",
        "/b-1?notification",
        b"<NotificationConfiguration><CloudFunctionConfiguration><Id>mine</Id><CloudFunction>%b</CloudFunction>"
        b"<Event>s3:ObjectRestore:*</Event></CloudFunctionConfiguration><EventBridgeConfiguration/>"
        b"</NotificationConfiguration>" % FUNCTION.encode(),
    )
    return request.param


def test_an_archived_object_is_read_only_once_it_is_restored(shop, archive):
    """And until the copy expires; HEAD tells, and is answered in any case. A copy of it needs one too."""
    copied = {"x-amz-copy-source": "b-1/k"}
    before = shop.ask("GET", "/b-1/k")
    copy = shop.ask("PUT", "/b-1/c", headers=copied)
    restored = shop.ask("POST", "/b-1/k?restore", TWO_DAYS)
    again = shop.ask("POST", "/b-1/k?restore", TWO_DAYS)
    read, head = shop.ask("GET", "/b-1/k"), shop.ask("HEAD", "/b-1/k")
    copy_now = shop.ask("PUT", "/b-1/c", headers=copied)
    shop.clock.wall_s += 3 * 86_400
    expired, head_expired = shop.ask("GET", "/b-1/k"), shop.ask("HEAD", "/b-1/k")

    message = "The operation is not valid for the object's storage class"
    assert (403, "InvalidObjectState", message) == before.error == expired.error
    assert [archive] == before.text("StorageClass")
    assert (403, "ObjectNotInActiveTierError") == copy.error[:2]
    assert (202, 200, 200) == (restored.status, again.status, copy_now.status)
    assert b"hello" == read.body
    assert (
        'ongoing-request="false", expiry-date="Mon, 16 Mar 2020 00:00:00 GMT"'
        == (head.headers["x-amz-restore"])
    )
    assert (200, None) == (head_expired.status, head_expired.headers.get("x-amz-restore"))


def test_what_is_not_archived_cannot_be_restored(shop, archive):
    plain = shop.ask("POST", "/b-1/s?restore", TWO_DAYS)
    answers = [
        shop.ask("POST", f"/b-1/{key}?restore", body)
        for key, body in (
            ("k", b"<RestoreRequest/>"),
            ("k", b"<RestoreRequest><Days>999999999</Days></RestoreRequest>"),
            ("k", b""),
            ("none", TWO_DAYS),
            ("k", b"<RestoreRequest><Type>SELECT</Type></RestoreRequest>"),
        )
    ]

    assert (403, "InvalidObjectState") == plain.error[:2]
    assert [
        *[(400, "MalformedXML")] * 2,
        (400, "MissingRequestBodyError"),
        (404, "NoSuchKey"),
        (501, "NotImplemented"),
    ] == [answer.error[:2] for answer in answers]
    assert [] == shop.deliveries.delivered


def test_a_restore_notifies_that_it_was_asked_for_and_that_it_is_done(shop, archive):
    shop.ask("POST", "/b-1/k?restore", TWO_DAYS)
    asked, done = shop.deliveries.records
    _, begun, _, ended = [document for _, document in shop.deliveries.delivered]

    assert ("ObjectRestore:Post", "ObjectRestore:Completed") == (asked["eventName"], done["eventName"])
    for record in (asked, done):
        assert "2.1" == record["eventVersion"]
        assert {"key", "size", "eTag", "sequencer"} == record["s3"]["object"].keys()
    assert "glacierEventData" not in asked
    assert {
        "restoreEventData": {
            "lifecycleRestorationExpiryTime": f"{EXPIRY}.000Z",
            "lifecycleRestoreStorageClass": archive,
        }
    } == done["glacierEventData"]
    assert done["userIdentity"]["principalId"].startswith("AmazonCustomer:")
    assert ("Object Restore Initiated", "Object Restore Completed") == (
        begun["detail-type"],
        ended["detail-type"],
    )
    assert [True, False] == ["source-ip-address" in event["detail"] for event in (begun, ended)]
    assert (archive, f"{EXPIRY}Z") == (
        begun["detail"]["source-storage-class"],
        ended["detail"]["restore-expiry-time"],
    )
