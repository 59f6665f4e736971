"""CloudWatch Logs for AWS clients: finds the operation, has its parameters checked, and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Final

from engine.core.function import Account
from engine.core.json_pieces import LARGE_BYTES, Steps
from engine.core.logged_line import UnreadLines
from engine.ports import Clock
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.json_rpc import JsonRpc, read_large_object, read_object
from engine.protocols.aws.operation import operations_of
from engine.protocols.aws.router import UNSERVED, CredentialScope
from engine.protocols.aws.service_model import service_model
from engine.protocols.aws.validation import check
from engine.protocols.http.message import Request
from engine.protocols.http.stepwise_answers import answer_in_turns
from engine.services.logs.errors import INVALID, invalid
from engine.services.logs.operations.events import Events
from engine.services.logs.operations.groups import Groups
from engine.services.logs.operations.streams import Streams
from engine.services.logs.operations.subscriptions import SubscriptionFilters
from engine.services.logs.operations.tags import Tags
from engine.services.logs.resources import Document, LogResources
from engine.services.logs.store import LogStore
from engine.services.logs.subscribers import Subscribers
from engine.services.logs.subscriptions import LogSubscriptions

_MAX_NAME: Final = 512
_LONG_NAME: Final = "Invalid LogGroup or LogStream, both must have length less than or equal to 512."


class LogsService:
    """The logs of one engine.

    Attributes:
        operations: Those that are served, by name.
        store: Groups, streams and events.
    """

    def __init__(
        self,
        account: Account,
        clock: Clock,
        new_request_id: Callable[[], str],
        function_log: UnreadLines,
        max_bytes: int,
        subscribers: Subscribers,
        loop: asyncio.AbstractEventLoop,
        on_read: Callable[[], object] = lambda: None,
    ) -> None:
        """Create it, without groups.

        Args:
            account: Whose logs they are.
            clock: The engine clock.
            new_request_id: Makes ids of requests.
            function_log: Has what functions log.
            max_bytes: Bounds what events take in memory.
            subscribers: The functions that subscription filters deliver to.
            loop: For timers.
            on_read: Called before what functions have logged is read.
        """
        self.store = LogStore(max_bytes)
        self._model = service_model("logs")
        self._protocol = JsonRpc(self._model)
        self._new_request_id = new_request_id
        self._resources = LogResources(self.store, account, clock, function_log)
        self._on_read = on_read
        self._subscriptions = LogSubscriptions(
            self.store, account.account_id, clock, loop, function_log, subscribers, self._take_in
        )
        self._resources.on_event = self._subscriptions.take
        self._resources.on_filters_gone = self._subscriptions.look_again
        parts = (Groups, Streams, Events, Tags)
        filters = SubscriptionFilters(self._resources, self._subscriptions)
        self.operations = operations_of([*(part(self._resources) for part in parts), filters])

    def subscribe(self, group: str, filter_name: str, destination_arn: str, pattern: str) -> None:
        """Put a subscription filter, as PutSubscriptionFilter does; the group is made if it is not there.

        Raises:
            ServiceError: It cannot be put.
        """
        if group not in self.store.groups:
            self.store.create_group(group, self._resources.now_ms())
        self.operations["PutSubscriptionFilter"].function(
            {
                "logGroupName": group,
                "filterName": filter_name,
                "destinationArn": destination_arn,
                "filterPattern": pattern,
            }
        )

    def close(self) -> None:
        """Deliver nothing more to subscribers."""
        self._subscriptions.close()

    def _take_in(self) -> Steps[None]:
        self._on_read()
        yield from self._resources.take_in()

    def handle(self, request: Request, _scope: CredentialScope) -> None:
        """Answer once, now or in one of the next turns of the loop."""
        answer_in_turns(request, self._answer(request))

    def _answer(self, request: Request) -> Steps[None]:
        request_id = self._new_request_id()
        try:
            name = self._protocol.asked(request.header(b"x-amz-target") or b"")
            answer = yield from self._result(name, request)
        except ServiceError as error:
            self._protocol.fail(request, request_id, error)
        else:
            self._protocol.succeed(request, request_id, name, answer)

    def _result(self, name: str, request: Request) -> Steps[Document]:
        found = self.operations.get(name)
        if found is None:
            raise ServiceError(501, UNSERVED, f"{name[:64]} is not implemented by this engine")
        if request.too_large:
            raise ServiceError(413, "RequestEntityTooLargeException", "The request is too large.")
        if len(request.body) > LARGE_BYTES:
            document = yield from read_large_object(request)
        else:
            document = read_object(request)
        params = self._protocol.parameters(name, document)
        self._check(name, params)
        yield from self._take_in()
        answer: Document | Steps[Document] = found.function(params)
        if isinstance(answer, Generator):
            answer = yield from answer
        return answer

    def _check(self, name: str, params: Document) -> None:
        """Raise AWS's error if parameters break the model."""
        for member in ("logGroupName", "logStreamName"):
            if len(params.get(member) or "") > _MAX_NAME:
                raise invalid(_LONG_NAME)
        check(self._model, name, params, code=INVALID)
