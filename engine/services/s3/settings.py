"""The settings of S3: `[buckets.NAME]`, `[s3]`, and `[[functions.NAME.events]]` with `type = "s3"`."""

from __future__ import annotations

from typing import Annotated, Literal

from engine.core.function import Account
from engine.core.spelling import did_you_mean
from engine.core.table import SettingsTable, fresh
from engine.core.table_rules import Array, Bounds, Check, Length, Pattern
from engine.services.s3.bucket_names import bucket_problem
from engine.services.s3.notification_rules import (
    EVENT_TYPES,
    Form,
    NotificationRule,
    NotificationTarget,
    TargetKind,
)


def _bucket(name: str) -> str:
    problem = bucket_problem(name)
    if problem:
        raise ValueError(f"bucket name {name!r} {problem} (AWS)")
    return name


def _event(name: str) -> str:
    if name not in EVENT_TYPES:
        hint = (
            did_you_mean(name, EVENT_TYPES)
            or "; write for example s3:ObjectCreated:* or s3:ObjectRemoved:Delete"
        )
        raise ValueError(f"{name!r} is no event type of S3{hint}")
    return name


def _some(events: tuple[str, ...]) -> tuple[str, ...]:
    if not events:
        raise ValueError("names no event type")
    return events


def _filter(value: str) -> str:
    if "*" in value:
        raise ValueError(f"{value!r} holds '*': a filter is the plain beginning or end of a key")
    return value


EventType = Annotated[str, Check(_event)]
Events = Annotated[Array[EventType], Check(_some)]
HeaderText = Annotated[str, Length(1, 1024), Pattern(r"^[!-~]+$")]
KeyFilter = Annotated[str, Length(most=1024), Check(_filter)]


class _Wanted(SettingsTable):
    """Which events: their types, and how the key begins and ends."""

    events: Events = ("s3:ObjectCreated:*",)
    prefix: KeyFilter | None = None
    suffix: KeyFilter | None = None

    def rule(self, target: NotificationTarget, rule_id: str, form: Form = "s3") -> NotificationRule:
        """The settings as a rule with that target."""
        return NotificationRule(
            id=rule_id,
            target=target,
            events=self.events,
            prefix=self.prefix,
            suffix=self.suffix,
            form=form,
        )


class S3Event(_Wanted):
    """One notification that invokes a function.

    Attributes:
        bucket: Its name: of `[buckets]`, or of another store whose notifications come by webhook.
        events: Event types: `s3:ObjectCreated:*`, `s3:ObjectRemoved:Delete`, ...
        prefix, suffix: Of the key; a special character may be written as it is, or encoded as in a URL.
        id: What records name as `configurationId`; absent means the function's name and a number.
        form: `s3`: the record of S3 itself; `eventbridge`: the event that a rule of EventBridge would give.
    """

    type: Literal["s3"] = "s3"
    bucket: Annotated[str, Check(_bucket)]
    id: Annotated[str, Length(1, 255)] | None = None
    form: Form = "s3"


class BucketNotification(_Wanted):
    """One entry of `[[buckets.NAME.notifications]]`: what goes to a queue or a topic, by its name."""

    queue: Annotated[str, Pattern(r"^[A-Za-z0-9_-]{1,80}$")] | None = None
    topic: Annotated[str, Pattern(r"^[A-Za-z0-9_-]{1,256}$")] | None = None

    def check_keys_together(self) -> None:
        """It goes to one."""
        if (self.queue is None) is (self.topic is None):
            raise ValueError("needs one of queue and topic")

    def target(self, account: Account) -> NotificationTarget:
        """Where it goes."""
        kind: TargetKind = "queue" if self.topic is None else "topic"
        service = "sqs" if self.topic is None else "sns"
        name = self.queue if self.topic is None else self.topic
        return NotificationTarget(kind, f"arn:aws:{service}:{account.region}:{account.account_id}:{name}")


class BucketCors(SettingsTable):
    """One rule of `[[buckets.NAME.cors]]`, as PutBucketCors takes it.

    Attributes:
        origins: As browsers send them; one `*` stands for any text.
        methods: What pages of these may send.
        headers: With which headers.
        expose_headers: Which headers of the answer they may read.
        max_age_s: How long a browser may remember that.
        id: What GetBucketCors calls it.
    """

    origins: Annotated[Array[HeaderText], Length(1)]
    methods: Annotated[Array[Literal["GET", "PUT", "POST", "DELETE", "HEAD"]], Length(1)]
    headers: Array[HeaderText] = ()
    expose_headers: Array[HeaderText] = ()
    max_age_s: Annotated[int, Bounds(ge=0)] | None = None
    id: Annotated[str, Length(most=255)] = ""


class BucketSettings(SettingsTable):
    """`[buckets.NAME]`.

    Attributes:
        versioning: Whether the bucket has versions.
        eventbridge: Whether EventBridge is notified of all events.
        tags: Free labels.
        notifications: Those to queues and topics. Functions have event tables of their own.
        cors: Which pages of other origins may use the bucket; absent leaves what was put over the API.
    """

    versioning: bool = False
    eventbridge: bool = False
    tags: dict[str, str] = fresh(dict)
    notifications: Array[BucketNotification] = ()
    cors: Annotated[Array[BucketCors], Length(most=100)] = ()

    def rules(self, name: str, account: Account) -> tuple[NotificationRule, ...]:
        """`notifications` as rules."""
        return tuple(
            one.rule(one.target(account), f"{name}-{one.queue or one.topic}-{number}")
            for number, one in enumerate(self.notifications, 1)
        )


class S3Settings(SettingsTable):
    """`[s3]`.

    Attributes:
        max_put_mb: Largest body of one PutObject or UploadPart, in MiB. AWS takes 5 GiB; here bodies are held
            in memory, and multipart uploads lift the limit.
        intake_token: What senders of notifications must show; if it is absent, senders are not authenticated.
        intake_confirm_hosts: Hosts, besides those of Amazon SNS, at which subscriptions are confirmed.
    """

    max_put_mb: Annotated[int, Bounds(ge=5, le=5120)] = 256
    intake_token: Annotated[str, Length(1)] | None = None
    intake_confirm_hosts: Array[str] = ()

    def check_keys_together(self) -> None:
        """Hosts are names of hosts."""
        for host in self.intake_confirm_hosts:
            if not host or "/" in host or ":" in host or host != host.strip():
                raise ValueError(f"{host!r} is not the name of a host")
