"""S3 Control: tags of buckets, as Terraform's newest providers read and write them. No socket."""

import pytest
from botocore.exceptions import ClientError

ARN = "arn:aws:s3:::b-1"


@pytest.fixture
def control(shop, boto3_of):
    """A client that puts the account before the host, as all of S3 Control do."""
    return boto3_of(shop, "s3control")


def tags_of(control, arn=ARN):
    listed = control.list_tags_for_resource(AccountId="123456789012", ResourceArn=arn)["Tags"]
    return [(tag["Key"], tag["Value"]) for tag in listed]


def tag(control, *pairs, arn=ARN):
    tags = [{"Key": key, "Value": value} for key, value in pairs]
    return control.tag_resource(AccountId="123456789012", ResourceArn=arn, Tags=tags)


def untag(control, *keys):
    return control.untag_resource(AccountId="123456789012", ResourceArn=ARN, TagKeys=list(keys))


def status(answer):
    return answer["ResponseMetadata"]["HTTPStatusCode"]


def refused(call, *arguments, **parameters):
    with pytest.raises(ClientError) as error:
        call(*arguments, **parameters)
    return status(error.value.response), error.value.response["Error"]["Code"]


def test_tags_are_those_of_the_bucket_added_and_removed_one_by_one(control, s3):
    s3.put_bucket_tagging(Bucket="b-1", Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
    answers = [tag(control, ("b c", "2"), ("a", "3")), untag(control, "never", "b c")]
    tag(control, ("é", ""))

    assert [204, 204] == [status(answer) for answer in answers]
    assert [("a", "3"), ("é", "")] == tags_of(control)
    assert 2 == len(s3.get_bucket_tagging(Bucket="b-1")["TagSet"])


def test_a_bucket_without_tags_has_none(control):
    assert [] == tags_of(control)


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ([("aws:x", "")], "InvalidTag"),
        ([("a", ""), ("a", "")], "InvalidTag"),
        ([("a,b", "")], "InvalidTag"),
        ([("a", "x" * 257)], "InvalidTag"),
        ([(f"k{number}", "") for number in range(51)], "BadRequest"),
    ],
)
def test_tags_that_cannot_be_are_refused(control, pairs, code):
    assert (400, code) == refused(tag, control, *pairs)
    assert [] == tags_of(control)


def test_what_is_no_bucket_of_ours_is_refused(control):
    assert (404, "NoSuchResource") == refused(tags_of, control, "arn:aws:s3:::none")
    assert (501, "NotImplemented") == refused(
        tags_of, control, "arn:aws:s3:us-east-1:123456789012:accesspoint/a"
    )


def test_other_operations_of_s3_control_are_taken_for_none_of_s3(control, shop):
    assert (501, "NotImplemented") == refused(control.get_public_access_block, AccountId="123456789012")
    assert (501, "NotImplemented") == refused(control.list_jobs, AccountId="123456789012")
    assert ["b-1"] == list(shop.store.buckets)


def test_a_body_that_is_no_document_is_malformed(shop):
    target = "/v20180820/tags/arn%3Aaws%3As3%3A%3A%3Ab-1"
    for body in (b"", b"<Tags/>", b"<TagResourceRequest><Tags><Tag/></Tags></TagResourceRequest>"):
        answer = shop.ask("POST", target, body, {"x-amz-account-id": "123456789012"})
        assert (400, "MalformedXML") == (answer.status, answer.code)
