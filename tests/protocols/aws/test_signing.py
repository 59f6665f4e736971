"""Signing of the engine's own requests, against botocore's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from engine.protocols.aws.signing import Credentials, signed

HEADERS = [("Content-Type", "application/x-amz-json-1.1"), ("X-Amz-Target", "Kinesis_20131202.ListShards")]


class FixedSigV4(SigV4Auth):
    """botocore's signer at a time that is given."""

    def __init__(self, credentials: BotocoreCredentials, moment: str) -> None:
        super().__init__(credentials, "kinesis", "eu-west-1")
        self.moment = moment

    def add_auth(self, request: AWSRequest) -> None:
        request.context["timestamp"] = self.moment
        request.headers["X-Amz-Date"] = self.moment
        if self.credentials.token:
            request.headers["X-Amz-Security-Token"] = self.credentials.token
        text = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(text, request))


@pytest.mark.parametrize("token", [None, "a-token/with+signs=="])
@pytest.mark.parametrize("body", [b"{}", '{"StreamName":"\u00fc"}'.encode()])
def test_a_request_is_signed_as_botocore_signs_it(token, body):
    """Headers, body and token are all in it."""
    wall_s = 1_764_088_062.9
    moment = datetime.fromtimestamp(wall_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    theirs = AWSRequest(
        method="POST",
        url="https://kinesis.eu-west-1.amazonaws.com/",
        headers={"Host": "kinesis.eu-west-1.amazonaws.com", **dict(HEADERS)},
        data=body,
    )
    FixedSigV4(BotocoreCredentials("AKIA", "secret", token), moment).add_auth(theirs)

    ours = signed(
        HEADERS,
        body,
        host="kinesis.eu-west-1.amazonaws.com",
        service="kinesis",
        region="eu-west-1",
        credentials=Credentials("AKIA", "secret", token),
        wall_s=wall_s,
    )

    assert theirs.headers["Authorization"] == dict(ours)["Authorization"]
    assert token == dict(ours).get("X-Amz-Security-Token")
