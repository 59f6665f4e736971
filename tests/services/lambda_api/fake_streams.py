"""Stream mappings that nobody reads for, and the streams that there are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.core.event_patterns.filter_criteria import FilterError, compile_filter
from engine.core.function import Account
from engine.sources.streams.settings import DynamodbEvent, KinesisEvent

KINDS = {"kinesis": KinesisEvent, "dynamodb": DynamodbEvent}


@dataclass
class FakeMapping:
    """One mapping."""

    uuid: str
    function: str
    qualifier: str | None
    settings: KinesisEvent | DynamodbEvent
    modified_s: float
    last_result: str = "No records processed"


class FakeStreams:
    """`streams` has the ARNs of those that exist."""

    max_filters = 10

    def __init__(self, account: Account) -> None:
        self.streams: set[str] = set()
        self.mappings: dict[str, FakeMapping] = {}
        self.begun_uuids: list[str] = []
        self._account = account

    def __iter__(self) -> Iterator[FakeMapping]:
        return iter(self.mappings.values())

    def find(self, uuid: str) -> FakeMapping | None:
        return self.mappings.get(uuid)

    def is_filter(self, _service: str, pattern: str) -> bool:
        try:
            compile_filter(pattern, None)
        except FilterError:
            return False
        return True

    def settings_from(
        self, service: str, values: Mapping[str, object], base: object = None
    ) -> KinesisEvent | DynamodbEvent:
        kept = {} if base is None else {"endpoint_url": base.endpoint_url}
        return KINDS[service].model_validate({**values, **kept})

    def arn(self, settings: KinesisEvent | DynamodbEvent) -> str:
        text = settings.stream if isinstance(settings, KinesisEvent) else settings.table
        if text.startswith("arn:"):
            return text
        account, kind = self._account, "stream" if isinstance(settings, KinesisEvent) else "table"
        return f"arn:aws:{settings.type}:{account.region}:{account.account_id}:{kind}/{text}"

    async def exists(self, settings: KinesisEvent | DynamodbEvent) -> bool:
        return self.arn(settings).partition("/consumer/")[0] in self.streams

    async def open(
        self,
        function: str,
        qualifier: str | None,
        settings: KinesisEvent | DynamodbEvent,
        *,
        uuid: str | None = None,
        modified_s: float | None = None,
    ) -> FakeMapping:
        assert uuid is not None
        assert modified_s is not None
        mapping = FakeMapping(uuid, function, qualifier, settings, modified_s)
        self.mappings[uuid] = mapping
        return mapping

    def change(
        self,
        mapping: FakeMapping,
        function: str,
        qualifier: str | None,
        settings: KinesisEvent | DynamodbEvent,
    ) -> None:
        mapping.function, mapping.qualifier, mapping.settings = function, qualifier, settings

    async def begun(self, mapping: FakeMapping) -> None:
        self.begun_uuids.append(mapping.uuid)

    def close(self, mapping: FakeMapping) -> None:
        del self.mappings[mapping.uuid]
