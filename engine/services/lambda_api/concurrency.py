"""Reserved and provisioned concurrency, and the account's limits.

Source: Lambda API reference, PutFunctionConcurrency, PutProvisionedConcurrencyConfig and their like,
GetAccountSettings; Lambda Developer Guide, "Understanding Lambda function scaling"; recorded answers.
"""

from __future__ import annotations

from typing import Final

from engine.packages.archive import UNZIPPED_LIMIT_BYTES, ZIPPED_LIMIT_BYTES
from engine.packages.deployment import Deployment
from engine.packages.records import LATEST, FunctionRecord, ProvisionedConfig
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.operation import Answer, Document, operation
from engine.services.lambda_api.apply_record import apply_concurrency
from engine.services.lambda_api.configured_functions import code_of, iso
from engine.services.lambda_api.errors import conflict, invalid_parameter
from engine.services.lambda_api.function_names import Addressed
from engine.services.lambda_api.function_registry import FoundFunction, FunctionRegistry
from engine.services.lambda_api.paging import list_document
from engine.services.lambda_api.routes import Call

UNRESERVED_MINIMUM: Final = 100
"""What AWS keeps for functions without a reservation."""

_CODE_LIMIT_BYTES: Final = 322_122_547_200
_UNPUBLISHED: Final = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
_NEITHER: Final = "The function resource provided must be an alias or a published version."


class Concurrency:
    """Operations on reserved and provisioned concurrency."""

    def __init__(self, registry: FunctionRegistry, deployment: Deployment) -> None:
        self._registry = registry
        self._deployment = deployment

    # ---------------------------------------------------------------- reserved

    @operation("PutFunctionConcurrency", writes=True)
    async def put(self, call: Call) -> Answer:
        """PutFunctionConcurrency: reserve concurrency, which is a guarantee and a limit."""
        name = self._registry.unqualified(call.name)
        record = self._registry.find(Addressed(name, LATEST)).record  # AWS names it, if it is missing
        requested: int = call.members["ReservedConcurrentExecutions"]
        if requested:
            self._check_rest(record, requested, "ReservedConcurrentExecutions")
        provisioned = self._provisioned(record)
        if requested < provisioned:
            raise invalid_parameter(
                f" ReservedConcurrentExecutions  {requested} should not be lower than function's total "
                f"provisioned concurrency [{provisioned}].",
                has_type=False,
            )
        record.reserved = requested
        self._deployment.reserve(record.name, requested)
        return Answer({"ReservedConcurrentExecutions": requested})

    @operation("DeleteFunctionConcurrency", writes=True)
    async def delete(self, call: Call) -> Answer:
        """DeleteFunctionConcurrency: remove the reservation."""
        record = self._registry.function(call.name)
        record.reserved = None
        self._deployment.reserve(record.name, None)
        return Answer({})

    @operation("GetFunctionConcurrency")
    def get(self, call: Call) -> Document:
        """GetFunctionConcurrency: the reservation; empty if there is none."""
        record = self._registry.function(call.name)
        return {} if record.reserved is None else {"ReservedConcurrentExecutions": record.reserved}

    # ---------------------------------------------------------------- provisioned

    @operation("PutProvisionedConcurrencyConfig", writes=True)
    async def put_provisioned(self, call: Call) -> Answer:
        """PutProvisionedConcurrencyConfig: keep environments of a version, or of an alias' version, ready."""
        requested: int = call.members["ProvisionedConcurrentExecutions"]
        found = self._published(call, _UNPUBLISHED)
        record, qualifier = found.record, found.qualifier
        self._check_no_overlap(record, qualifier)
        before = record.provisioned.get(qualifier)
        others = self._provisioned(record) - (0 if before is None else before.requested)
        if record.reserved is not None:
            if others + requested > record.reserved:
                raise invalid_parameter(
                    "Requested Provisioned Concurrency should not be greater than the "
                    "reservedConcurrentExecution for function"
                )
        else:
            self._check_rest(record, others + requested, "ConcurrentExecutions")
        record.provisioned[qualifier] = ProvisionedConfig(
            requested=requested, modified_s=self._registry.now_s()
        )
        document = self._progress(record, qualifier)
        apply_concurrency(self._deployment, record)
        return Answer({**document, "Status": "IN_PROGRESS", **_NOTHING_YET})

    @operation("DeleteProvisionedConcurrencyConfig", writes=True)
    async def delete_provisioned(self, call: Call) -> Answer:
        """DeleteProvisionedConcurrencyConfig."""
        found = self._published(call, _NEITHER)
        if found.record.provisioned.pop(found.qualifier, None) is not None:
            apply_concurrency(self._deployment, found.record)
        return Answer({})

    @operation("ListProvisionedConcurrencyConfigs")
    def list_provisioned(self, call: Call) -> Document:
        """ListProvisionedConcurrencyConfigs."""
        record = self._registry.function(call.name)
        return list_document(
            "ProvisionedConcurrencyConfigs",
            record.provisioned,
            call.parameters,
            lambda qualifier: {
                "FunctionArn": self._registry.arn(record, qualifier),
                **self._progress(record, qualifier),
            },
        )

    @operation("GetProvisionedConcurrencyConfig")
    def get_provisioned(self, call: Call) -> Document:
        """GetProvisionedConcurrencyConfig."""
        found = self._published(call, _NEITHER)
        if found.qualifier not in found.record.provisioned:
            message = "No Provisioned Concurrency Config found for this function"
            raise ServiceError(404, "ProvisionedConcurrencyConfigNotFoundException", message)
        return self._progress(found.record, found.qualifier)

    def _published(self, call: Call, refusal: str) -> FoundFunction:
        """A version or alias; `refusal` says that `$LATEST` cannot have provisioned environments."""
        if self._registry.address(call).qualifier in (None, LATEST):
            raise invalid_parameter(refusal)
        found = self._registry.lookup_for_alias(call)
        alias = found.record.aliases.get(found.qualifier)
        if alias is not None and alias.version == LATEST:
            raise invalid_parameter(_UNPUBLISHED)
        return found

    def _check_no_overlap(self, record: FunctionRecord, qualifier: str) -> None:
        alias = record.aliases.get(qualifier)
        if alias is not None and {alias.version, *alias.weights} & record.provisioned.keys():
            raise conflict(
                "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned "
                "version"
            )
        for named in record.aliases.values():
            if (
                alias is None
                and named.name in record.provisioned
                and qualifier in (named.version, *named.weights)
            ):
                raise conflict("Version is pointed by a Provisioned Concurrency alias")

    def _check_rest(self, record: FunctionRecord, requested: int, what: str) -> None:
        """Raise ServiceError if the account does not have that much, or too little stays unreserved.

        `what` is requested. Of a reservation AWS tells the latter alone.
        """
        others = sum(self._claimed(other) for other in self._registry.records() if other is not record)
        unreserved = self._registry.account.concurrency_limit - others
        if what == "ConcurrentExecutions" and requested > unreserved:
            raise invalid_parameter(
                "Specified ConcurrentExecutions for function is greater than account's unreserved "
                f"concurrency [{unreserved}].",
                has_type=False,
            )
        if unreserved - requested < UNRESERVED_MINIMUM:
            raise invalid_parameter(
                f"Specified {what} for function decreases account's "
                f"UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_MINIMUM}].",
                has_type=False,
            )

    def _progress(self, record: FunctionRecord, qualifier: str) -> Document:
        config = record.provisioned[qualifier]
        version = self._registry.version(record, qualifier)
        assert version is not None
        ready, failing = 0, False
        if version.state == "Active":
            ready, failing = self._deployment.readiness(record.name, version.version)
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
        return own + sum(config.requested for config in record.provisioned.values())

    def _claimed(self, record: FunctionRecord) -> int:
        """Concurrency that a function takes out of the account's pool, used or not."""
        return self._provisioned(record) if record.reserved is None else record.reserved

    # ---------------------------------------------------------------- account

    @operation("GetAccountSettings")
    def account_settings(self, _call: Call) -> Document:
        """GetAccountSettings: limits and usage."""
        records = self._registry.records()
        limit = self._registry.account.concurrency_limit
        packages = sum(version.size for record in records for version in record.all_versions())
        published = (layer.versions.values() for layer in self._registry.state.layers.values())
        layers = sum(version.size for versions in published for version in versions)
        files = sum(code_of(function).size for function in self._registry.configured.values())
        return {
            "AccountLimit": {
                "TotalCodeSize": _CODE_LIMIT_BYTES,
                "CodeSizeUnzipped": UNZIPPED_LIMIT_BYTES,
                "CodeSizeZipped": ZIPPED_LIMIT_BYTES,
                "ConcurrentExecutions": limit,
                "UnreservedConcurrentExecutions": limit - sum(map(self._claimed, records)),
            },
            "AccountUsage": {"TotalCodeSize": packages + layers + files, "FunctionCount": len(records)},
        }


_NOTHING_YET: Final = {
    "AvailableProvisionedConcurrentExecutions": 0,
    "AllocatedProvisionedConcurrentExecutions": 0,
}
