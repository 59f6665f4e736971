"""ListBuckets.

Source: Amazon S3 API Reference, ListBuckets; answers of S3 (localstack's snapshots).
"""

from __future__ import annotations

from typing import Any, Final

from engine.protocols.aws.operation import operation
from engine.services.s3.errors import invalid_argument
from engine.services.s3.model import Bucket
from engine.services.s3.operation_context import SHOWN_OWNER, OperationContext
from engine.services.s3.operations.lists import from_token, token_of
from engine.services.s3.parameters import whole_number
from engine.services.s3.request import S3Request, S3Response
from engine.services.s3.xml_output import answer

_MAX_BUCKETS: Final = 10_000
_PAGES: Final = frozenset({"max-buckets", "continuation-token", "prefix", "bucket-region"})
"""Parameters of calls that page or filter: their answers say more of each bucket."""

_REGIONS: Final = """
    af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2
    ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7
    ca-central-1 ca-west-1 cn-north-1 cn-northwest-1 eu-central-1 eu-central-2 eu-isoe-west-1 eu-north-1
    eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 eusc-de-east-1 il-central-1 me-central-1 me-south-1
    mx-central-1 sa-east-1 us-east-1 us-east-2 us-gov-east-1 us-gov-west-1 us-iso-east-1 us-iso-west-1
    us-isob-east-1 us-isob-west-1 us-isof-east-1 us-isof-south-1 us-west-1 us-west-2
"""
REGIONS: Final = frozenset(_REGIONS.split())
"""AWS's, as botocore has them."""


@operation("ListBuckets")
def list_buckets(context: OperationContext, call: S3Request) -> S3Response:
    query = call.query
    max_buckets = whole_number(call, "max-buckets", _MAX_BUCKETS)
    if not 1 <= max_buckets <= _MAX_BUCKETS:
        message = f"Argument max-buckets must be an integer between 1 and {_MAX_BUCKETS}"
        raise invalid_argument(message, "max-buckets", str(max_buckets))
    prefix, region = query.get("prefix"), query.get("bucket-region")
    if region is not None:
        _check_region(context, region)
    token = query.get("continuation-token", "")
    after = from_token(token, "continuation-token") if token else ""
    found = [
        bucket
        for name, bucket in sorted(context.store.buckets.items())
        if name > after and name.startswith(prefix or "") and region in (None, bucket.region)
    ]
    more = not _PAGES.isdisjoint(query)
    cut = found[max_buckets - 1].name if len(found) > max_buckets else None
    output = {
        "Owner": SHOWN_OWNER,
        "Buckets": [_shown(bucket, more=more) for bucket in found[:max_buckets]],
        "ContinuationToken": None if cut is None else token_of(cut),
        "Prefix": prefix or None,
    }
    return answer("ListBuckets", output)


def _shown(bucket: Bucket, *, more: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"Name": bucket.name, "CreationDate": bucket.created_s}
    if more:
        shown |= {"BucketRegion": bucket.region, "BucketArn": f"arn:aws:s3:::{bucket.name}"}
    return shown


def _check_region(context: OperationContext, region: str) -> None:
    """Raise S3Error InvalidArgument for a region that neither AWS nor a bucket here has."""
    own = {context.account.region, *(bucket.region for bucket in context.store.buckets.values())}
    if region not in REGIONS | own:
        raise invalid_argument(f"Argument value {region} is not a valid AWS Region", "bucket-region")
