"""Settings that are kept and shown: what is put is got, also after a restart, until it is deleted."""

import datetime
import json

import anyio.to_thread
import pytest
from botocore.exceptions import ClientError

from engine.protocols.aws.service_model import service_model
from engine.runtime.platform import offload_to_thread
from engine.services.s3.file_blob_store import FileBlobStore
from engine.services.s3.operations.settings import BUCKET_SETTINGS

MIDNIGHT = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
TAG = {"Key": "team", "Value": "shop"}
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*"}
    ],
}
ALL_BLOCKED = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)
SETTINGS = {
    "public_access_block": (
        "PublicAccessBlockConfiguration",
        {**dict.fromkeys(ALL_BLOCKED, False), "BlockPublicAcls": True},
        "NoSuchPublicAccessBlockConfiguration",
    ),
    "bucket_encryption": (
        "ServerSideEncryptionConfiguration",
        {
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"},
                    "BucketKeyEnabled": True,
                    "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
                }
            ]
        },
        {
            "Rules": [
                {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
            ]
        },
    ),
    "bucket_ownership_controls": (
        "OwnershipControls",
        {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]},
        "OwnershipControlsNotFoundError",
    ),
    "bucket_lifecycle_configuration": (
        "LifecycleConfiguration",
        {
            "Rules": [
                {
                    "ID": "old",
                    "Filter": {"And": {"Prefix": "logs/", "Tags": [TAG], "ObjectSizeLessThan": 10}},
                    "Status": "Enabled",
                    "Expiration": {"Date": MIDNIGHT},
                    "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}],
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 2},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                },
                {"ID": "all", "Filter": {}, "Status": "Disabled", "Expiration": {"Days": 1}},
            ]
        },
        "NoSuchLifecycleConfiguration",
    ),
    "bucket_website": (
        "WebsiteConfiguration",
        {
            "IndexDocument": {"Suffix": "index.html"},
            "ErrorDocument": {"Key": "error.html"},
            "RoutingRules": [
                {"Condition": {"KeyPrefixEquals": "a/"}, "Redirect": {"ReplaceKeyPrefixWith": "b/"}},
            ],
        },
        "NoSuchWebsiteConfiguration",
    ),
    "bucket_replication": (
        "ReplicationConfiguration",
        {
            "Role": "arn:aws:iam::123456789012:role/r",
            "Rules": [
                {
                    "ID": "one",
                    "Priority": 1,
                    "Filter": {"Prefix": ""},
                    "Status": "Enabled",
                    "Destination": {"Bucket": "arn:aws:s3:::photos"},
                    "DeleteMarkerReplication": {"Status": "Disabled"},
                }
            ],
        },
        "ReplicationConfigurationNotFoundError",
    ),
    "bucket_policy": ("Policy", json.dumps(POLICY), "NoSuchBucketPolicy"),
    "bucket_cors": (
        "CORSConfiguration",
        {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://*.example"]}]},
        "NoSuchCORSConfiguration",
    ),
    "bucket_tagging": ("Tagging", {"TagSet": [TAG]}, "NoSuchTagSet"),
    "bucket_logging": (
        "BucketLoggingStatus",
        {"LoggingEnabled": {"TargetBucket": "photos", "TargetPrefix": "logs/"}},
        None,
    ),
    "bucket_accelerate_configuration": ("AccelerateConfiguration", {"Status": "Enabled"}, None),
    "bucket_request_payment": ("RequestPaymentConfiguration", {"Payer": "Requester"}, None),
    "bucket_abac": ("AbacStatus", {"Status": "Enabled"}, None),
    "object_lock_configuration": (
        "ObjectLockConfiguration",
        {
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}},
        },
        None,
    ),
    "bucket_acl": (
        "AccessControlPolicy",
        {
            "Owner": {"ID": "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a"},
            "Grants": [
                {
                    "Grantee": {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AllUsers"},
                    "Permission": "READ",
                }
            ],
        },
        None,
    ),
}
"""By the name of their operations: what is put, and what there is after a deletion: an error or a value."""
DELETES = {"bucket_lifecycle_configuration": "delete_bucket_lifecycle"}
FILTER = {"And": {"Prefix": "a/", "Tags": [TAG]}}
LISTED = {
    "analytics": {
        "Id": "one",
        "Filter": FILTER,
        "StorageClassAnalysis": {
            "DataExport": {
                "OutputSchemaVersion": "V_1",
                "Destination": {"S3BucketDestination": {"Format": "CSV", "Bucket": "arn:aws:s3:::photos"}},
            }
        },
    },
    "intelligent_tiering": {
        "Id": "one",
        "Status": "Enabled",
        "Tierings": [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}],
    },
    "inventory": {
        "Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::photos", "Format": "CSV"}},
        "IsEnabled": True,
        "Id": "one",
        "IncludedObjectVersions": "All",
        "OptionalFields": ["Size", "ETag"],
        "Schedule": {"Frequency": "Daily"},
    },
    "metrics": {"Id": "one", "Filter": FILTER},
}


def code(work, *arguments, **members):
    with pytest.raises(ClientError) as caught:
        work(*arguments, **members)
    return caught.value.response["Error"]["Code"]


def shown(client, name):
    """What a get answers, without what every answer has."""
    answer = getattr(client, f"get_{name}")(Bucket="photos")
    answer.pop("ResponseMetadata")
    return answer


def prepared(client):
    client.create_bucket(Bucket="photos")
    versioning = {"Status": "Enabled"}
    client.put_bucket_versioning(Bucket="photos", VersioningConfiguration=versioning)


def put_all(client):
    """Put every setting; gives what is shown of each."""
    prepared(client)
    statuses = {}
    for name, (member, value, _) in SETTINGS.items():
        answer = getattr(client, f"put_{name}")(Bucket="photos", **{member: value})
        statuses[name] = answer["ResponseMetadata"]["HTTPStatusCode"]
    return statuses


def expected(name):
    member, value, _ = SETTINGS[name]
    if name == "bucket_lifecycle_configuration":
        return {**value, "TransitionDefaultMinimumObjectSize": "all_storage_classes_128K"}
    wrapped = name in (
        "public_access_block",
        "bucket_encryption",
        "bucket_ownership_controls",
        "bucket_replication",
        "bucket_policy",
        "bucket_abac",
        "object_lock_configuration",
    )
    return {member: value} if wrapped else value


@pytest.mark.real_time
async def test_what_is_put_is_got_also_after_a_restart_until_it_is_deleted(serve, new_client, tmp_path):
    """Every setting of a bucket, as boto3 writes and reads it."""

    def make():
        return FileBlobStore(tmp_path, offload_to_thread)

    def read(client):
        return {name: shown(client, name) for name in SETTINGS}

    def delete(client):
        left = {}
        for name, (_, _, after) in SETTINGS.items():
            if after is None:
                continue
            operation = DELETES.get(name, f"delete_{name}")
            answer = getattr(client, operation)(Bucket="photos")
            assert 204 == answer["ResponseMetadata"]["HTTPStatusCode"]
            again = getattr(client, operation)(Bucket="photos")
            assert 204 == again["ResponseMetadata"]["HTTPStatusCode"]
            if isinstance(after, str):
                left[name] = code(getattr(client, f"get_{name}"), Bucket="photos")
            else:
                [left[name]] = shown(client, name).values()
        return left

    async with serve(make) as (_, url):
        statuses = await anyio.to_thread.run_sync(put_all, new_client(url))
        first = await anyio.to_thread.run_sync(read, new_client(url))
    async with serve(make) as (_, url):
        second = await anyio.to_thread.run_sync(read, new_client(url))
        left = await anyio.to_thread.run_sync(delete, new_client(url))

    assert {name: expected(name) for name in SETTINGS} == first == second
    assert {204, 200} == set(statuses.values())
    assert {"bucket_policy", "bucket_tagging"} == {name for name in statuses if statuses[name] == 204}
    assert {name: after for name, (_, _, after) in SETTINGS.items() if after is not None} == left


@pytest.mark.real_time
async def test_a_new_bucket_has_the_settings_that_aws_gives_it(serve, new_client):
    def work(client):
        client.create_bucket(Bucket="photos")
        return {
            name: shown(client, name)
            for name in (
                "public_access_block",
                "bucket_encryption",
                "bucket_ownership_controls",
                "bucket_logging",
                "bucket_accelerate_configuration",
                "bucket_request_payment",
                "bucket_abac",
            )
        }

    async with serve() as (_, url):
        found = await anyio.to_thread.run_sync(work, new_client(url))

    assert {
        "public_access_block": {"PublicAccessBlockConfiguration": ALL_BLOCKED},
        "bucket_encryption": {"ServerSideEncryptionConfiguration": SETTINGS["bucket_encryption"][2]},
        "bucket_ownership_controls": {
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        },
        "bucket_logging": {},
        "bucket_accelerate_configuration": {},
        "bucket_request_payment": {"Payer": "BucketOwner"},
        "bucket_abac": {"AbacStatus": {"Status": "Disabled"}},
    } == found


@pytest.mark.real_time
async def test_configurations_by_id_are_kept_got_listed_and_deleted(serve, new_client):
    def work(client):
        client.create_bucket(Bucket="photos")
        for name, value in LISTED.items():
            member = f"{name.title().replace('_', '')}Configuration"

            def call(verb, name=name, **more):
                return getattr(client, f"{verb}_bucket_{name}_configuration")(Bucket="photos", **more)

            assert "NoSuchConfiguration" == code(call, "get", Id="one")
            for id_ in ("two", "one"):
                call("put", Id=id_, **{member: {**value, "Id": id_}})
            listed = getattr(client, f"list_bucket_{name}_configurations")(Bucket="photos")
            assert value == call("get", Id="one")[member]
            assert [value, {**value, "Id": "two"}] == listed[f"{member}List"]
            assert listed["IsTruncated"] is False
            mismatch = "IdMismatch" if name == "inventory" else "MalformedXML"
            assert mismatch == code(call, "put", Id="other", **{member: value})
            call("delete", Id="one")
            assert "NoSuchConfiguration" == code(call, "delete", Id="one")
            assert "NoSuchConfiguration" == code(call, "get", Id="one")

    async with serve() as (_, url):
        await anyio.to_thread.run_sync(work, new_client(url))


def test_long_lists_of_configurations_come_in_pages(shop):
    for number in range(101):
        body = f"<MetricsConfiguration><Id>m{number:03d}</Id></MetricsConfiguration>".encode()
        shop.ask("PUT", f"/b-1?metrics&id=m{number:03d}", body)
    first = shop.ask("GET", "/b-1?metrics")
    [token] = first.text("NextContinuationToken")
    second = shop.ask("GET", f"/b-1?metrics&continuation-token={token}")

    assert (["true"], 100) == (first.text("IsTruncated"), len(first.text("Id")))
    assert (["false"], ["m100"], [token]) == (
        second.text("IsTruncated"),
        second.text("Id"),
        second.text("ContinuationToken"),
    )


# --- what S3 refuses


def test_a_bucket_has_a_bound_of_configurations(shop):
    """One that is there can still be changed."""
    kept = {f"m{number}": {"Id": f"m{number}"} for number in range(999)}
    shop.store.set_setting(shop.store.buckets["b-1"], "BucketMetrics", kept)

    def put(name):
        body = f"<MetricsConfiguration><Id>{name}</Id></MetricsConfiguration>".encode()
        return shop.ask("PUT", f"/b-1?metrics&id={name}", body)

    assert [200, 400, 200] == [put(name).status for name in ("last", "more", "m0")]
    assert ["TooManyConfigurations"] == put("more").text("Code")


RULE = "<Status>Enabled</Status>"
EXPIRES = "<Expiration><Days>1</Days></Expiration>"
ALL = "<Filter></Filter>"


def lifecycle(*rules):
    content = "".join(f"<Rule>{rule}</Rule>" for rule in rules)
    return f"<LifecycleConfiguration>{content}</LifecycleConfiguration>"


@pytest.mark.parametrize("setting", BUCKET_SETTINGS, ids=lambda setting: setting.name)
@pytest.mark.parametrize("content", ["", "<Unknown/>", "<", "not XML"])
def test_what_is_not_of_the_form_is_malformed(shop, setting, content):
    """An element that the model has not, an empty body, no XML; nothing is changed."""
    model = service_model("s3")
    target = model.operations[f"Put{setting.name}"]["http"]["requestUri"].replace("{Bucket}", "b-1")
    shape = model.input_of(f"Put{setting.name}")
    root = shape["members"][shape["payload"]]["locationName"]
    before = shop.ask("GET", target)
    body = f"<{root}>{content}</{root}>" if content.startswith("<U") else content
    answer = shop.ask("PUT", target, body.encode())
    after = shop.ask("GET", target)

    code = "MalformedXML" if body else "MissingRequestBodyError"
    assert (400, code) == (answer.status, answer.code)
    assert (before.status, before.code) == (after.status, after.code)


@pytest.mark.parametrize(
    ("target", "body", "expected"),
    [
        ("lifecycle", lifecycle(RULE + ALL), (400, "InvalidRequest")),
        ("lifecycle", lifecycle(RULE + EXPIRES), (400, "MalformedXML")),
        ("lifecycle", lifecycle(RULE + ALL + "<Prefix>a</Prefix>" + EXPIRES), (400, "MalformedXML")),
        ("lifecycle", lifecycle(ALL + EXPIRES), (400, "MalformedXML")),
        ("lifecycle", lifecycle(ALL + EXPIRES + "<Status>On</Status>"), (400, "MalformedXML")),
        ("lifecycle", lifecycle(RULE + ALL + "<Expiration/>"), (400, "MalformedXML")),
        ("lifecycle", lifecycle(RULE + ALL + EXPIRES.replace("1", "0")), (400, "InvalidArgument")),
        ("lifecycle", lifecycle(RULE + ALL + EXPIRES.replace("1", "x")), (400, "MalformedXML")),
        (
            "lifecycle",
            lifecycle(RULE + ALL + "<Expiration><Date>2030-01-01T01:00:00Z</Date></Expiration>"),
            (400, "InvalidArgument"),
        ),
        ("lifecycle", lifecycle(*["<ID>a</ID>" + RULE + ALL + EXPIRES] * 2), (400, "InvalidArgument")),
        ("website", "<WebsiteConfiguration/>", (400, "InvalidArgument")),
        (
            "website",
            "<WebsiteConfiguration><IndexDocument><Suffix>a/b</Suffix></IndexDocument></WebsiteConfiguration>",
            (400, "InvalidArgument"),
        ),
        (
            "website",
            (
                "<WebsiteConfiguration><RedirectAllRequestsTo><HostName>h</HostName></RedirectAllRequestsTo>"
                "<ErrorDocument><Key>e</Key></ErrorDocument></WebsiteConfiguration>"
            ),
            (400, "InvalidArgument"),
        ),
        (
            "logging",
            (
                "<BucketLoggingStatus><LoggingEnabled><TargetBucket>nowhere</TargetBucket><TargetPrefix/>"
                "</LoggingEnabled></BucketLoggingStatus>"
            ),
            (400, "InvalidTargetBucketForLogging"),
        ),
        ("accelerate", "<AccelerateConfiguration/>", (400, "MalformedXML")),
        (
            "replication",
            (
                "<ReplicationConfiguration><Role>r</Role><Rule><Status>Enabled</Status><Destination><Bucket>b"
                "</Bucket></Destination></Rule></ReplicationConfiguration>"
            ),
            (400, "InvalidRequest"),
        ),
        (
            "object-lock",
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>",
            (409, "InvalidBucketState"),
        ),
        (
            "encryption",
            (
                "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256"
                "</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule>"
                "</ServerSideEncryptionConfiguration>"
            ),
            (400, "InvalidArgument"),
        ),
        ("policy", "[]", (400, "MalformedPolicy")),
        ("policy", "{", (400, "MalformedPolicy")),
        ("policy", "{}", (400, "MalformedPolicy")),
        ("policy", '{"Statement": [{"Effect": "Allow"}]}', (400, "MalformedPolicy")),
        ("policy", "", (400, "MalformedPolicy")),
        ("acl", "", (400, "MissingSecurityHeader")),
        ("acl", "<AccessControlPolicy/>", (400, "MalformedACLError")),
        (
            "acl",
            "<AccessControlPolicy><Owner><ID>me</ID></Owner><AccessControlList/></AccessControlPolicy>",
            (400, "InvalidArgument"),
        ),
        ("acl", "<a", (400, "MalformedACLError")),
    ],
)
def test_what_s3_checks_beyond_the_form_is_refused(shop, target, body, expected):
    answer = shop.ask("PUT", f"/b-1?{target}", body.encode())

    assert expected == (answer.status, answer.code)


@pytest.mark.parametrize(
    ("statement", "is_public"),
    [
        ({}, "true"),
        ({"Effect": "Deny"}, "false"),
        ({"Principal": {"AWS": "*"}}, "true"),
        ({"Principal": {"AWS": ["arn:aws:iam::123456789012:root"]}}, "false"),
        ({"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}, "false"),
        ({"Condition": {"StringEquals": {"aws:Referer": "x"}}}, "true"),
    ],
)
def test_the_status_of_a_policy_says_whether_it_is_public(shop, statement, is_public):
    policy = {**POLICY, "Statement": {**POLICY["Statement"][0], **statement}}
    shop.ask("PUT", "/b-1?policy", json.dumps(policy).encode())

    assert [is_public] == shop.ask("GET", "/b-1?policyStatus").text("IsPublic")
    assert "application/json" == shop.ask("GET", "/b-1?policy").headers["content-type"]


# --- access control lists


@pytest.mark.parametrize("target", ["/b-1?acl", "/b-1/k?acl"])
@pytest.mark.parametrize(
    ("headers", "permissions"),
    [
        ({"x-amz-acl": "private"}, ["FULL_CONTROL"]),
        ({"x-amz-acl": "public-read-write"}, ["FULL_CONTROL", "READ", "WRITE"]),
        ({"x-amz-acl": "log-delivery-write"}, ["FULL_CONTROL", "READ_ACP", "WRITE"]),
        ({"x-amz-grant-read": 'id="ab12", emailAddress="a@b.example"'}, ["READ", "READ"]),
        ({"x-amz-grant-write-acp": 'uri="http://acs.amazonaws.com/groups/s3/LogDelivery"'}, ["WRITE_ACP"]),
    ],
)
def test_an_acl_is_put_by_its_name_or_by_grants(shop, target, headers, permissions):
    shop.ask("PUT", "/b-1/k", b"x")
    status = shop.ask("PUT", target, headers=headers).status
    got = shop.ask("GET", target)
    again = shop.ask("PUT", target, got.body)

    assert (200, 200) == (status, again.status)
    assert permissions == got.text("Permission")
    assert got.body == shop.ask("GET", target).body


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"x-amz-acl": "open"}, b"", (400, "InvalidArgument")),
        ({"x-amz-acl": "private", "x-amz-grant-read": "id=ab"}, b"", (400, "InvalidRequest")),
        ({"x-amz-acl": "private"}, b"<AccessControlPolicy/>", (400, "UnexpectedContent")),
        ({"x-amz-grant-read": "name=me"}, b"", (400, "InvalidArgument")),
        ({"x-amz-grant-read": "id=me"}, b"", (400, "InvalidArgument")),
        ({"x-amz-grant-read": "uri=http://x"}, b"", (400, "InvalidArgument")),
    ],
)
def test_an_acl_that_cannot_be_is_refused(shop, headers, body, expected):
    """On a bucket, on an object, and with a new object."""
    shop.ask("PUT", "/b-1/k", b"x")
    answers = [shop.ask("PUT", target, body, headers) for target in ("/b-1?acl", "/b-1/k?acl")]
    if not body:
        answers += [shop.ask("PUT", "/b-1/new", b"x", headers), shop.ask("PUT", "/b-9", b"", headers)]

    assert {expected} == {(answer.status, answer.code) for answer in answers}
    assert "b-9" not in shop.store.buckets


def test_what_is_made_may_be_given_an_acl(shop):
    """A bucket, an object, a copy, an upload in parts, an upload by a form; a copy does not inherit it."""
    acl = {"x-amz-acl": "public-read"}
    shop.ask("PUT", "/b-2", headers=acl)
    shop.ask("PUT", "/b-2/put", b"x", acl)
    shop.ask("PUT", "/b-2/copy", headers={**acl, "x-amz-copy-source": "b-2/put"})
    shop.ask("PUT", "/b-2/plain-copy", headers={"x-amz-copy-source": "b-2/put"})
    shown = {
        key: shop.ask("GET", f"/b-2{key}?acl").text("Permission")
        for key in ("", "/put", "/copy", "/plain-copy")
    }

    public = ["FULL_CONTROL", "READ"]
    assert {"": public, "/put": public, "/copy": public, "/plain-copy": ["FULL_CONTROL"]} == shown


def test_a_new_bucket_may_be_given_tags_an_owner_and_object_lock(shop):
    body = (
        b"<CreateBucketConfiguration><Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags>"
        b"</CreateBucketConfiguration>"
    )
    wrong = shop.ask("PUT", "/b-2", headers={"x-amz-object-ownership": "Nobody"})
    asked = {"x-amz-object-ownership": "ObjectWriter", "x-amz-bucket-object-lock-enabled": "true"}
    shop.ask("PUT", "/b-2", body, asked)

    assert (400, "InvalidArgument") == wrong.error[:2]
    assert ["b"] == shop.ask("GET", "/b-2?tagging").text("Value")
    assert ["ObjectWriter"] == shop.ask("GET", "/b-2?ownershipControls").text("ObjectOwnership")
    assert ["Enabled"] == shop.ask("GET", "/b-2?object-lock").text("ObjectLockEnabled")
    assert ["Enabled"] == shop.ask("GET", "/b-2?versioning").text("Status")
    suspended = b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"
    assert (409, "InvalidBucketState") == shop.ask("PUT", "/b-2?versioning", suspended).error[:2]


# --- what infrastructure tools do


READ_BY_TERRAFORM = {
    "get_bucket_tagging": "NoSuchTagSet",
    "get_bucket_policy": "NoSuchBucketPolicy",
    "get_bucket_acl": None,
    "get_bucket_cors": "NoSuchCORSConfiguration",
    "get_bucket_website": "NoSuchWebsiteConfiguration",
    "get_bucket_versioning": None,
    "get_bucket_accelerate_configuration": None,
    "get_bucket_request_payment": None,
    "get_bucket_logging": None,
    "get_bucket_lifecycle_configuration": "NoSuchLifecycleConfiguration",
    "get_bucket_replication": "ReplicationConfigurationNotFoundError",
    "get_bucket_encryption": None,
    "get_object_lock_configuration": "ObjectLockConfigurationNotFoundError",
}
"""What `aws_s3_bucket` reads of each bucket, and the error that tells it of no such setting."""


@pytest.mark.real_time
async def test_the_calls_of_terraforms_bucket_resources_pass(serve, new_client):
    """Create, read, set with waiting until it is shown, change, and destroy in the order of a plan."""

    def work(client):
        bucket = {"Bucket": "site"}
        client.create_bucket(**bucket)
        client.head_bucket(**bucket)
        for read, error in READ_BY_TERRAFORM.items():
            if error is None:
                getattr(client, read)(**bucket)
            else:
                assert error == code(getattr(client, read), **bucket)
        client.put_bucket_ownership_controls(
            **bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
        )
        client.put_public_access_block(
            **bucket, PublicAccessBlockConfiguration=dict.fromkeys(ALL_BLOCKED, False)
        )
        client.put_bucket_acl(**bucket, ACL="public-read")
        policy = json.dumps(POLICY).replace("photos", "site")
        client.put_bucket_policy(**bucket, Policy=policy)
        client.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Enabled"})
        website = {"IndexDocument": {"Suffix": "index.html"}}
        client.put_bucket_website(**bucket, WebsiteConfiguration=website)
        rules = [
            {"Filter": {"Prefix": ""}, "Status": "Enabled", "Expiration": {"Days": days}} for days in (1, 2)
        ]
        lifecycles = []
        for rule in rules:
            client.put_bucket_lifecycle_configuration(**bucket, LifecycleConfiguration={"Rules": [rule]})
            [shown] = client.get_bucket_lifecycle_configuration(**bucket)["Rules"]
            lifecycles.append({name: value for name, value in shown.items() if name != "ID"})
        grants = client.get_bucket_acl(**bucket)["Grants"]
        found = {
            "policy": client.get_bucket_policy(**bucket)["Policy"] == policy,
            "public": client.get_bucket_policy_status(**bucket)["PolicyStatus"]["IsPublic"],
            "lifecycles": lifecycles == rules,
            "permissions": [grant["Permission"] for grant in grants],
        }
        for destroy in ("lifecycle", "website", "policy", "ownership_controls", "encryption"):
            getattr(client, f"delete_bucket_{destroy}")(**bucket)
        client.delete_public_access_block(**bucket)
        client.delete_bucket(**bucket)
        assert "404" == code(client.head_bucket, **bucket)
        return found

    async with serve() as (_, url):
        found = await anyio.to_thread.run_sync(work, new_client(url))

    assert {
        "policy": True,
        "public": True,
        "lifecycles": True,
        "permissions": ["FULL_CONTROL", "READ"],
    } == found
