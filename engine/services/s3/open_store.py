"""Opening the store: in memory or in a folder, with the buckets of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from engine.core.function import Account
from engine.ports import Clock, Offload
from engine.services.s3.file_blob_store import FileBlobStore
from engine.services.s3.model import Versioning
from engine.services.s3.notification_rules import NotificationConfiguration
from engine.services.s3.settings import BucketSettings
from engine.services.s3.store import Store


def open_store(folder: Path | None, *, new_id: Callable[[], str], clock: Clock, offload: Offload) -> Store:
    """Open the store in `folder`, or one in memory. Blocks; close it by `store.blob_store.close()`.

    Raises:
        OSError: The folder cannot be used, or another engine uses it.
    """
    if folder is None:
        return Store(None, lambda: new_id().replace("-", ""), clock.wall)
    blob_store = FileBlobStore(folder, offload)
    store = Store(blob_store, lambda: new_id().replace("-", ""), clock.wall)
    store.restore(*blob_store.load())
    return store


def prepare_buckets(store: Store, buckets: Mapping[str, BucketSettings], account: Account) -> None:
    """Make the buckets of the configuration; what a folder held before stays in them."""
    for name, settings in buckets.items():
        bucket = store.buckets.get(name) or store.create(name, account.region)
        if settings.versioning and bucket.versioning is not Versioning.ENABLED:
            store.version(bucket, Versioning.ENABLED)
        if settings.eventbridge and not bucket.notifications.eventbridge:
            store.notify(
                bucket, NotificationConfiguration(rules=bucket.notifications.rules, eventbridge=True)
            )
        if settings.cors and settings.cors_rules() != bucket.cors:
            store.share(bucket, settings.cors_rules())
        if settings.tags and settings.tags != bucket.tags:
            store.tag_bucket(bucket, dict(settings.tags))
