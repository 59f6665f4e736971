"""S3 as a part of the engine: a handler of the AWS endpoint, and a store for use in the process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

from engine.core.destinations import DeliveryError, DestinationRecord, DestinationSender
from engine.errors import NotAccepting
from engine.ports import Host, Offload
from engine.services.s3.api import S3Api, Spawn
from engine.services.s3.blob_store import Blob, Content, read_content
from engine.services.s3.checksums import md5_hex
from engine.services.s3.cors import CorsRule
from engine.services.s3.events import ObjectEvent
from engine.services.s3.file_blob_store import FileBlobStore
from engine.services.s3.model import Bucket, ObjectMetadata, Versioning
from engine.services.s3.notification_records import NotificationRecords
from engine.services.s3.notification_rules import NotificationConfiguration, NotificationRule
from engine.services.s3.notifier import NotificationTargets, Notifier
from engine.services.s3.operation_context import HOST_ID, MB, S3Limits
from engine.services.s3.settings import BucketSettings, S3Settings
from engine.services.s3.store import Store

_log = logging.getLogger("engine.s3")

SERVICE: Final = "s3"
"""Name of the store in `Host.services`: a `S3Service`."""

_NO_SENDERS: Final[Mapping[str, DestinationSender]] = MappingProxyType({})
_NO_BUCKETS: Final[Mapping[str, BucketSettings]] = MappingProxyType({})


class S3Service:
    """The object store of an engine, its API, and its notifications.

    There is one set of buckets, whatever region and account a caller signed for. Functions are notified of
    nothing before the source `s3` serves: build one (`S3Source.build([], host)`) even if no function of the
    configuration has an S3 event, because clients may configure notifications. Call `close` when the listener
    and the tasks of `spawn` have ended.

    Attributes:
        api: Answers clients: `api.handle` is what `engine.protocols.aws.router.AwsRouter` calls for `s3`.
        store: Buckets and objects.
        notifier: Notifies targets of events.
        targets: Delivers those notifications.
        records: Builds the notifications.
    """

    def __init__(
        self,
        host: Host,
        *,
        spawn: Spawn,
        offload: Offload,
        buckets: Mapping[str, BucketSettings] = _NO_BUCKETS,
        settings: S3Settings | None = None,
        folder: Path | None = None,
        senders: Mapping[str, DestinationSender] = _NO_SENDERS,
        exists: Callable[[str], bool] = lambda _arn: True,
    ) -> None:
        """Open the store, which blocks if it lies in a folder.

        Args:
            host: Ids, time, account, and what counts rejected notifications.
            spawn: Starts what goes on after a request was taken: a coroutine function and its arguments.
            offload: Runs what blocks.
            buckets: The tables `[buckets.NAME]`.
            settings: The table `[s3]`.
            folder: Where the store lies; None keeps it in memory.
            senders: Reach queues (`sqs`), topics (`sns`) and the default event bus (`events`) with
                notifications. The body is JSON text.
            exists: Whether there is what an ARN names: asked for each target of a bucket's notifications.

        Raises:
            OSError: The folder cannot be used, or another engine uses it.
        """
        settings = settings or S3Settings()
        self._host, self._spawn, self._offload = host, spawn, offload
        self.targets = NotificationTargets(host.account, senders, exists)
        self.records = NotificationRecords(host.account, host.clock, host.new_request_id)
        fixed = {name: bucket.rules(name, host.account) for name, bucket in buckets.items()}
        self.notifier = Notifier(self.records, self.targets, fixed)
        self.store = _open_store(folder, host, offload)
        self._prepare_buckets(buckets)
        self.api = S3Api(
            self.store,
            self.notifier,
            host,
            spawn=spawn,
            offload=offload,
            limits=S3Limits(put_bytes=settings.max_put_mb * MB),
            hosts=host.hosts,
        )

    # --- for the source

    def prepare(self, fixed: Mapping[str, tuple[NotificationRule, ...]]) -> None:
        """Add rules by bucket that no API call changes; buckets that do not exist are created."""
        self.notifier.add(fixed)
        missing = {name: BucketSettings() for name in fixed if name not in self.store.buckets}
        self._prepare_buckets(missing)

    def _prepare_buckets(self, buckets: Mapping[str, BucketSettings]) -> None:
        """Create the buckets of the configuration; existing ones keep their objects."""
        store = self.store
        for name, settings in buckets.items():
            bucket = store.buckets.get(name) or store.create(name, self._host.account.region)
            if settings.versioning and bucket.versioning is not Versioning.ENABLED:
                store.set_versioning(bucket, Versioning.ENABLED)
            if settings.eventbridge and not bucket.notifications.eventbridge:
                rules = bucket.notifications.rules
                store.set_notifications(bucket, NotificationConfiguration(rules=rules, eventbridge=True))
            cors = tuple(CorsRule.of(rule.model_dump()) for rule in settings.cors)
            if cors and cors != bucket.cors:
                store.set_cors(bucket, cors)
            if settings.tags and settings.tags != bucket.tags:
                store.set_bucket_tags(bucket, dict(settings.tags))

    # --- for the process

    async def read(self, bucket: str, key: str, version_id: str | None = None) -> bytes:
        """The bytes of an object.

        Raises:
            S3Error: NoSuchBucket, NoSuchKey, NoSuchVersion.
            OSError: Its file cannot be read.
        """
        version = self.store.get(self.store.bucket(bucket), key, version_id)
        return await read_content(self.store.blob_store, self._offload, version.content)

    def put_record(self, arn: str, record: DestinationRecord) -> None:
        """Put `record` into the bucket that an ARN names: what asynchronous invocations have as `s3`.

        Raises:
            DeliveryError: There is no such bucket.
        """
        bucket = self.store.buckets.get(arn.rpartition(":")[2])
        if bucket is None:
            raise DeliveryError(arn, "there is no such bucket")
        if self.store.blob_store.blocks:
            self._spawn(self._put_later, bucket, record)
        else:
            self._put(bucket, record, record.body)

    async def _put_later(self, bucket: Bucket, record: DestinationRecord) -> None:
        blob_store = self.store.blob_store
        try:
            blob = await self._offload(partial(blob_store.keep, record.body))
            if self.store.buckets.get(bucket.name) is bucket:  # it may have been deleted meanwhile
                self._put(bucket, record, blob)
            await blob_store.flushed()
        except OSError as error:
            _log.error("an object could not be written to the bucket %s: %s", bucket.name, error)

    def _put(self, bucket: Bucket, record: DestinationRecord, blob: Blob) -> None:
        etag, key = md5_hex((record.body,)), record.key or self._host.new_request_id()
        object_metadata = ObjectMetadata(headers={"content-type": "application/json"})
        version = self.store.put(bucket, key, Content.of(blob), etag, object_metadata)
        version_id = version.version_id if bucket.versioning is not Versioning.NEVER else None
        event = ObjectEvent(
            "ObjectCreated:Put",
            bucket.name,
            bucket.region,
            key,
            version_id,
            version.size,
            etag,
            "lambda.amazonaws.com",
            self._host.new_request_id(),
            HOST_ID,
        )
        try:
            self.notifier.notify_targets(bucket, event, record.trace)
        except NotAccepting as error:
            _log.warning("a notification of S3 was dropped: %s", error)

    def close(self) -> None:
        """Write all changes, and close the store. Blocks if the store is in a folder."""
        self.store.blob_store.close()


def _open_store(folder: Path | None, host: Host, offload: Offload) -> Store:
    def new_id() -> str:
        return host.new_request_id().replace("-", "")

    if folder is None:
        return Store(None, new_id, host.clock.wall)
    blob_store = FileBlobStore(folder, offload)
    store = Store(blob_store, new_id, host.clock.wall)
    store.restore(*blob_store.load())
    return store
