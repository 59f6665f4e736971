"""The client of the stream that a mapping reads, by the mapping's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from engine.core.destinations import DestinationSender, target_of
from engine.core.function import Account
from engine.core.late_dataclass import dataclass
from engine.ports import Host
from engine.services.partner.service import Partner
from engine.sources.streams import dynamodb, kinesis
from engine.sources.streams.checkpoint_saver import CheckpointFolder
from engine.sources.streams.endpoint import (
    PartnerTransport,
    StreamEndpoint,
    Transport,
    UrlTransport,
    aws_url,
)
from engine.sources.streams.port import StreamClient
from engine.sources.streams.settings import AT_AWS, DynamodbEvent, KinesisEvent, StreamEvent

_SCOPES: Final[Mapping[str, tuple[str, str]]] = {
    "kinesis": ("kinesis", "kinesis"),
    "dynamodb": ("streams.dynamodb", "dynamodb"),
}
"""By type: the first labels of the host at AWS, and the service of the credential scope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAccess:
    """What stream mappings need of an engine besides a `Host`.

    Attributes:
        partner: Who has the streams of mappings that name no endpoint.
        senders: By service, what delivers records of what was given up.
        role_of: Returns the ARN of the execution role of the function of that name.
        client: Makes the client of a mapping's stream in place of the engine's own; for tests.
        checkpoints: Where checkpoints are kept; None = they end with the engine.
    """

    partner: Partner
    senders: Mapping[str, DestinationSender]
    role_of: Callable[[str], str]
    client: Callable[[StreamEvent], StreamClient] | None = None
    checkpoints: CheckpointFolder | None = None


def given_arn(settings: StreamEvent, account: Account) -> str:
    """The ARN that the settings name; of a table that they name without one, that of the table."""
    if isinstance(settings, KinesisEvent):
        given, resource = settings.stream, f"kinesis:{{}}:{{}}:stream/{settings.stream}"
    elif isinstance(settings, DynamodbEvent):
        given, resource = settings.table, f"dynamodb:{{}}:{{}}:table/{settings.table}"
    else:
        raise TypeError(f"{type(settings).__name__} names no stream")
    if given.startswith("arn:"):
        return given
    return "arn:aws:" + resource.format(settings.region or account.region, account.account_id)


def client_of(settings: StreamEvent, function: str, host: Host, access: StreamAccess) -> StreamClient:
    """A client; nothing is asked yet."""
    if access.client is not None:
        return access.client(settings)
    arn = given_arn(settings, host.account)
    transport = _transport(settings, arn, host, access)
    if isinstance(settings, KinesisEvent):
        return kinesis.KinesisClient(
            StreamEndpoint(transport, kinesis.TARGET, kinesis.CONTENT_TYPE),
            settings.stream_name,
            arn,
            partial(access.role_of, function),
            named=not settings.stream.startswith("arn:"),
        )
    assert isinstance(settings, DynamodbEvent)
    return dynamodb.DynamodbClient(
        StreamEndpoint(transport, dynamodb.TARGET, dynamodb.CONTENT_TYPE),
        settings.stream_name,
        arn,
        named=not settings.table.startswith("arn:"),
        drop_unchanged=settings.drop_unchanged,
    )


def _transport(settings: StreamEvent, arn: str, host: Host, access: StreamAccess) -> Transport:
    first_labels, service = _SCOPES[settings.type]
    target = target_of(arn)
    region = settings.region or (target.region if target is not None else host.account.region)
    if settings.endpoint_url is None:
        return PartnerTransport(access.partner, host.clock, service, region)
    at_aws = settings.endpoint_url == AT_AWS
    url = aws_url(first_labels, region) if at_aws else settings.endpoint_url
    return UrlTransport(url, host.clock, service, region, settings.profile, at_aws=at_aws)
