"""RestoreObject: what is archived can be read for some days, from the call on.

Source: Amazon S3 API Reference, RestoreObject; User Guide, "Restoring an archived object"; answers recorded
on AWS.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from engine.protocols.aws.operation import operation
from engine.services.s3.errors import S3Error
from engine.services.s3.events import RestoredCopy
from engine.services.s3.object_metadata import ARCHIVES, RESTORED_UNTIL, is_restored, storage_class
from engine.services.s3.operation_context import OperationContext, event_of, version_header
from engine.services.s3.request import S3Request, S3Response
from engine.services.s3.xml_input import payload_of

_DAY_S: Final = 86_400
_MAX_DAYS: Final = 1_000_000
"""More than any copy is kept for, and few enough for a date."""


@operation("RestoreObject", writes=True)
def restore_object(context: OperationContext, call: S3Request) -> S3Response:
    """202; 200 if it only moves the end of a copy that is there. It is done at once."""
    bucket, version = context.version(call)
    asked = payload_of("RestoreObject", call.document)
    if asked.get("Type") == "SELECT" or "SelectParameters" in asked or "OutputLocation" in asked:
        raise S3Error("NotImplemented", "This object store does not implement queries of archived objects.")
    archive = storage_class(version)
    if archive not in ARCHIVES:
        message = "Restore is not allowed for the object's current storage class"
        raise S3Error("InvalidObjectState", message, {"StorageClass": archive})
    days = asked.get("Days", 0)
    if not 1 <= days <= _MAX_DAYS:
        raise S3Error("MalformedXML")
    now_s = context.clock.wall()
    status = 200 if is_restored(version, now_s) else 202
    until_s = (now_s // _DAY_S + days + 1) * _DAY_S  # the midnight after so many days
    kept = version.object_metadata
    changed = replace(kept, settings={**kept.settings, RESTORED_UNTIL: until_s})
    context.store.set_metadata(bucket, version, changed)
    restored = RestoredCopy(archive, until_s)
    events = [
        event_of(call, bucket, version, event)._replace(restored=restored)
        for event in ("ObjectRestore:Post", "ObjectRestore:Completed")
    ]
    return S3Response(status, version_header(bucket, version), b"", events)
