"""Reserved and provisioned concurrency, and what the account has.

Source: Lambda API reference, PutFunctionConcurrency, PutProvisionedConcurrencyConfig and their like,
GetAccountSettings; Lambda Developer Guide, "Understanding Lambda function scaling"; recorded answers.
"""

from __future__ import annotations

from typing import Final

from engine.packages.archive import UNZIPPED_LIMIT_BYTES, ZIPPED_LIMIT_BYTES
from engine.packages.records import LATEST, FunctionRecord, Provisioned
from engine.services.lambda_api import request_shapes
from engine.services.lambda_api.configured_functions import code_of, iso
from engine.services.lambda_api.control_plane import ControlPlane
from engine.services.lambda_api.errors import ApiError, conflict, invalid_parameter
from engine.services.lambda_api.function_registry import Found
from engine.services.lambda_api.operation import Answer, Document, ReadOperations, WriteOperations
from engine.services.lambda_api.paging import page_of
from engine.services.lambda_api.routes import Call
from engine.services.lambda_api.validation import read

UNRESERVED_MINIMUM: Final = 100
"""What AWS keeps for functions without a reservation."""

_CODE_LIMIT_BYTES: Final = 322_122_547_200


class Concurrency:
    """Operations on reserved and provisioned concurrency."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane
        self._registry = control_plane.registry

    @property
    def read_operations(self) -> ReadOperations:
        """Operations that change nothing, by name."""
        return {
            "GetFunctionConcurrency": self.get,
            "GetProvisionedConcurrencyConfig": self.get_provisioned,
            "GetAccountSettings": self.account_settings,
        }

    @property
    def write_operations(self) -> WriteOperations:
        """Operations that change something, by name."""
        return {
            "PutFunctionConcurrency": self.put,
            "DeleteFunctionConcurrency": self.delete,
            "PutProvisionedConcurrencyConfig": self.put_provisioned,
            "DeleteProvisionedConcurrencyConfig": self.delete_provisioned,
        }

    # ---------------------------------------------------------------- reserved

    async def put(self, call: Call, body: bytes) -> Answer:
        """PutFunctionConcurrency: reserve concurrency, which is a guarantee and a limit."""
        record = self._registry.whole(self._registry.address(call.name, call.query))
        wanted: int = read(request_shapes.CONCURRENCY, body)["ReservedConcurrentExecutions"]
        others = sum(self._own(other) for other in self._registry.records() if other is not record)
        left = self._registry.account.concurrency_limit - others - wanted
        provisioned = self._provisioned(record)
        if wanted < provisioned:
            raise invalid_parameter(
                f" ReservedConcurrentExecutions  {wanted} should not be lower than function's total "
                f"provisioned concurrency [{provisioned}]."
            )
        if wanted and left < UNRESERVED_MINIMUM:
            raise invalid_parameter(
                "Specified ReservedConcurrentExecutions for function decreases account's "
                f"UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_MINIMUM}]."
            )
        record.reserved = wanted
        self._control_plane.deployment.reserve(record.name, wanted)
        return Answer({"ReservedConcurrentExecutions": wanted})

    async def delete(self, call: Call, _body: bytes) -> Answer:
        """DeleteFunctionConcurrency: remove the reservation."""
        record = self._registry.whole(self._registry.address(call.name, call.query))
        record.reserved = None
        self._control_plane.deployment.reserve(record.name, None)
        return Answer({})

    def get(self, call: Call) -> Document:
        """GetFunctionConcurrency: the reservation; empty if there is none."""
        record = self._registry.whole(self._registry.address(call.name, call.query))
        return {} if record.reserved is None else {"ReservedConcurrentExecutions": record.reserved}

    # ---------------------------------------------------------------- provisioned

    async def put_provisioned(self, call: Call, body: bytes) -> Answer:
        """Environments of a version, or of the version an alias stands for, that are kept ready."""
        wanted: int = read(request_shapes.PROVISIONED, body)["ProvisionedConcurrentExecutions"]
        found = self._published(call)
        record, qualifier = found.record, found.qualifier
        self._without_clash(record, qualifier)
        before = record.provisioned.get(qualifier)
        others = self._provisioned(record) - (0 if before is None else before.requested)
        if record.reserved is not None:
            if others + wanted > record.reserved:
                raise invalid_parameter(
                    "Requested Provisioned Concurrency should not be greater than the "
                    "reservedConcurrentExecution for function"
                )
        else:
            self._fits(record, others + wanted)
        record.provisioned[qualifier] = Provisioned(requested=wanted, modified_s=self._registry.now_s())
        document = self._progress(record, qualifier)
        self._control_plane.share(record)
        return Answer({**document, "Status": "IN_PROGRESS", **_NOTHING_YET})

    async def delete_provisioned(self, call: Call, _body: bytes) -> Answer:
        """DeleteProvisionedConcurrencyConfig."""
        found = self._published(call)
        if found.record.provisioned.pop(found.qualifier, None) is not None:
            self._control_plane.share(found.record)
        return Answer({})

    def get_provisioned(self, call: Call) -> Document:
        """How far it is; with `List=ALL` all of the function's."""
        if call.query.get("List") == "ALL":
            record = self._registry.whole(self._registry.address(call.name, {}))
            page = page_of(sorted(record.provisioned), call.query)
            configs = [
                {"FunctionArn": self._registry.arn(record, one), **self._progress(record, one)}
                for one in page.keys
            ]
            return {"NextMarker": page.next_marker, "ProvisionedConcurrencyConfigs": configs}
        found = self._published(call)
        if found.qualifier not in found.record.provisioned:
            message = "No Provisioned Concurrency Config found for this function"
            raise ApiError(404, "ProvisionedConcurrencyConfigNotFoundException", message)
        return self._progress(found.record, found.qualifier)

    def _published(self, call: Call) -> Found:
        """A version or alias; `$LATEST` cannot have provisioned environments."""
        found = self._registry.find(self._registry.address(call.name, call.query))
        alias = found.record.aliases.get(found.qualifier)
        if LATEST in (found.qualifier, alias and alias.version):
            raise invalid_parameter(
                "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
            )
        return found

    def _without_clash(self, record: FunctionRecord, qualifier: str) -> None:
        alias = record.aliases.get(qualifier)
        if alias is not None and {alias.version, *alias.weights} & record.provisioned.keys():
            raise conflict(
                "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned "
                "version"
            )
        for other in record.aliases.values():
            if (
                alias is None
                and other.name in record.provisioned
                and qualifier in (other.version, *other.weights)
            ):
                raise conflict("Version is pointed by a Provisioned Concurrency alias")

    def _fits(self, record: FunctionRecord, wanted: int) -> None:
        others = sum(self._own(other) for other in self._registry.records() if other is not record)
        unreserved = self._registry.account.concurrency_limit - others
        if wanted > unreserved:
            raise invalid_parameter(
                "Specified ConcurrentExecutions for function is greater than account's unreserved "
                f"concurrency [{unreserved}]."
            )
        if unreserved - wanted < UNRESERVED_MINIMUM:
            raise invalid_parameter(
                "Specified ConcurrentExecutions for function decreases account's "
                f"UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_MINIMUM}]."
            )

    def _progress(self, record: FunctionRecord, qualifier: str) -> Document:
        config = record.provisioned[qualifier]
        version = self._registry.version(record, qualifier)
        assert version is not None
        ready, failing = 0, False
        if version.state == "Active":
            ready, failing = self._control_plane.deployment.readiness(record.name, version.version)
        ready = min(ready, config.requested)
        document: Document = {
            "RequestedProvisionedConcurrentExecutions": config.requested,
            "AvailableProvisionedConcurrentExecutions": ready,
            "AllocatedProvisionedConcurrentExecutions": ready,
            "Status": "READY" if ready == config.requested else "IN_PROGRESS",
            "LastModified": iso(config.modified_s),
        }
        if ready < config.requested and failing:
            document["Status"] = "FAILED"
            document["StatusReason"] = "FUNCTION_ERROR_INIT_FAILURE"
        return document

    def _provisioned(self, record: FunctionRecord) -> int:
        fixed = self._registry.configured.get(record.name)
        own = 0 if fixed is None else fixed.provisioned_concurrency
        return own + sum(one.requested for one in record.provisioned.values())

    def _own(self, record: FunctionRecord) -> int:
        """What a function takes out of the account's pool, used or not."""
        return self._provisioned(record) if record.reserved is None else record.reserved

    # ---------------------------------------------------------------- account

    def account_settings(self, _call: Call) -> Document:
        """GetAccountSettings: limits and usage."""
        records = self._registry.records()
        limit = self._registry.account.concurrency_limit
        packages = sum(version.size for record in records for version in record.all_versions())
        files = sum(code_of(function).size for function in self._registry.configured.values())
        return {
            "AccountLimit": {
                "TotalCodeSize": _CODE_LIMIT_BYTES,
                "CodeSizeUnzipped": UNZIPPED_LIMIT_BYTES,
                "CodeSizeZipped": ZIPPED_LIMIT_BYTES,
                "ConcurrentExecutions": limit,
                "UnreservedConcurrentExecutions": limit - sum(map(self._own, records)),
            },
            "AccountUsage": {"TotalCodeSize": packages + files, "FunctionCount": len(records)},
        }


_NOTHING_YET: Final = {
    "AvailableProvisionedConcurrentExecutions": 0,
    "AllocatedProvisionedConcurrentExecutions": 0,
}
