"""SNS as a part of the engine: a handler of the AWS endpoint, and topics for use in the process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from engine.core.destinations import DeliveryError, DestinationRecord
from engine.ports import Host
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.operation import operations_of
from engine.protocols.aws.query import Query, read_form
from engine.protocols.aws.router import CredentialScope
from engine.protocols.aws.sent_trace import sent_trace
from engine.protocols.aws.service_model import service_model
from engine.protocols.aws.validation import check
from engine.protocols.http.message import Request
from engine.services.deliveries.delivery import Delivery
from engine.services.sns.envelopes import Envelopes
from engine.services.sns.errors import sns_error, unserved
from engine.services.sns.message import MessageAttribute, PublishedMessage
from engine.services.sns.operations.permissions import Permissions
from engine.services.sns.operations.publishing import Publishing
from engine.services.sns.operations.subscriptions import Subscriptions
from engine.services.sns.operations.topic_operations import TopicOperations
from engine.services.sns.operations.topic_tags import TopicTags
from engine.services.sns.publisher import Publisher
from engine.services.sns.settings import SubscriptionSettings, TopicSettings
from engine.services.sns.topics import Topics

VALIDATION_ERROR: Final = "ValidationError"
PARTS: Final = (TopicOperations, Subscriptions, Publishing, TopicTags, Permissions)


class SnsService:
    """`handle` is what `engine.protocols.aws.router.AwsRouter` calls for the service `sns`.

    There is one set of topics, whatever region and account a caller signed for.

    Attributes:
        topics: All topics and subscriptions.
    """

    def __init__(
        self, host: Host, deliver: Callable[[Iterator[Delivery]], None], endpoint_url: str | None
    ) -> None:
        """`deliver` delivers what an iterator makes; links in messages lead to `endpoint_url`."""
        self._new_id = host.new_request_id
        self.topics = Topics(host.account, host.new_request_id)
        envelopes = Envelopes(host.account, endpoint_url)
        self._publisher = Publisher(envelopes, deliver, host.clock, host.new_request_id)
        self._trace = sent_trace(traced=host.tracer is not None)
        self._model = service_model("sns")
        self._protocol = Query(self._model, declaration="", detail="")
        self._operations = operations_of(
            [
                TopicOperations(self.topics),
                Subscriptions(self.topics, self._publisher),
                Publishing(self.topics, self._publisher, host.new_request_id),
                TopicTags(self.topics),
                Permissions(self.topics),
            ]
        )

    # --- for the process

    def declare(self, tables: Mapping[str, TopicSettings]) -> None:
        """Create the topics of `[topics.NAME]` tables, with their subscriptions."""
        for name, settings in tables.items():
            topic = self.topics.create(name, settings.attributes(name), settings.tags)
            for one in settings.subscriptions:
                self.subscribe(topic.arn, *one.target(self.topics.account), one)

    def subscribe(self, topic_arn: str, protocol: str, endpoint: str, settings: SubscriptionSettings) -> None:
        """Subscribe an endpoint to a topic that is there. Raises ServiceError."""
        attributes = settings.attributes(self.topics.account)
        topic = self.topics.topic(topic_arn)
        subscription, is_new = self.topics.subscribe(topic, protocol, endpoint, attributes)
        if is_new:
            self._publisher.ask_to_confirm(subscription)

    def has(self, arn: str) -> bool:
        """Whether there is the topic of that ARN."""
        return arn in self.topics.by_arn

    def send(self, arn: str, record: DestinationRecord) -> None:
        """Publish a record: a sender of destinations.

        Raises:
            DeliveryError: There is no such topic, or it would not take it from a client.
        """
        topic = self.topics.by_arn.get(arn)
        if topic is None:
            raise DeliveryError(arn, "the topic does not exist")
        size = len(record.body)
        if size > topic.max_message_bytes:
            raise DeliveryError(arn, "the message is too long", "INVALID_PARAMETER")
        dedup_id = record.dedup_id
        if topic.fifo and dedup_id is None and topic.has_content_ids:
            dedup_id = hashlib.sha256(record.body).hexdigest()
        if topic.fifo and (record.group is None or dedup_id is None):
            raise DeliveryError(arn, "a FIFO topic cannot be a destination (AWS)", "INVALID_PARAMETER")
        message = PublishedMessage(
            self._new_id(),
            record.body.decode("utf-8", "replace"),
            subject=record.subject,
            attributes={name: MessageAttribute(*pair) for name, pair in record.attributes.items()},
            group=record.group,
            dedup_id=dedup_id,
            trace=record.trace,
        )
        self._publisher.publish(topic, message)

    # --- for clients

    def handle(self, request: Request, _scope: CredentialScope) -> None:
        """Answer once, now. Never raises for a bad request."""
        request_id = self._new_id()
        try:
            if request.too_large:
                raise ServiceError(413, "RequestEntityTooLarge", "The request is too large.")
            form = read_form(request)
            name = form.get("Action", "")
            result = self._result(name, form, self._trace(request))
        except ServiceError as error:
            self._protocol.fail(request, request_id, error)
        else:
            self._protocol.succeed(request, request_id, name, result)

    def _result(self, name: str, form: Mapping[str, str], trace: str | None) -> dict[str, Any]:
        if name not in self._operations:
            if name in self._model.operations:
                raise unserved(name)
            raise sns_error("InvalidAction", f"The action {name[:256]} is not valid for this endpoint.")
        return self.perform(name, self._protocol.parameters(name, form), trace)

    def perform(self, name: str, params: Mapping[str, Any], trace: str | None = None) -> dict[str, Any]:
        """The answer of an operation that is served. Raises ServiceError."""
        check(self._model, name, params, VALIDATION_ERROR)
        result: dict[str, Any] = self._operations[name].function(params, trace)
        return result
