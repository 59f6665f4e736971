"""What stream mappings are given of an engine: its partner, its destinations, the roles of its functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.core.destinations import DestinationSender
from engine.core.function import Account
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.partner.service import Partner
from engine.sources.streams.clients import StreamAccess


def stream_access(
    partner: Partner,
    senders: Mapping[str, DestinationSender],
    account: Account,
    functions: Callable[[], FunctionRegistry],
) -> StreamAccess:
    """All in one; `functions` is asked when records are read."""

    def role_of(name: str) -> str:
        """The role that a function was made with; of one of the configuration, the one that it shows."""
        record = functions().record(name)
        role = record.latest.settings.get("Role") if record is not None and record.latest else None
        return role if isinstance(role, str) else f"arn:aws:iam::{account.account_id}:role/{name}"

    return StreamAccess(partner=partner, senders=senders, role_of=role_of)
