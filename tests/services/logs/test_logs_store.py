"""The store against a plain list of what was put in: whatever is done to it in whatever order."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.core.function import Account
from engine.protocols.aws.errors import ServiceError
from engine.services.logs.operations.groups import Groups
from engine.services.logs.operations.streams import Streams
from engine.services.logs.operations.tags import Tags
from engine.services.logs.resources import LogResources
from engine.services.logs.store import LogStore
from engine.testing import VirtualClock

ROOM = 20
"""Events of the machine's messages that there is room for."""
EVENT_BYTES = 304


class StoreMachine(RuleBasedStateMachine):
    """One group, two streams, and events with times that come in any order."""

    def __init__(self):
        super().__init__()
        self.store = LogStore(ROOM * EVENT_BYTES)
        self.group = self.store.create_group("g", 0)
        self.kept = []  # stream, time, message; by arrival
        self.count = 0
        for name in "st":
            self.store.create_stream(self.group, name, 0)

    @rule(name=st.sampled_from("st"), times=st.lists(st.integers(0, 5), min_size=1, max_size=15))
    def put(self, name, times):
        for time in times:
            self.count += 1
            message = chr(0x4E00 + self.count % 20_000)
            self.store.append(self.group, self.group.streams[name], time * 86_400_000, message, 0)
            self.kept.append((name, time, message))
        del self.kept[: max(0, len(self.kept) - ROOM)]

    @rule(name=st.sampled_from("st"))
    def make_anew(self, name):
        self.store.delete_stream(self.group, self.group.streams[name])
        self.store.create_stream(self.group, name, 0)
        self.kept = [one for one in self.kept if one[0] != name]

    @rule(day=st.integers(0, 6))
    def expire(self, day):
        self.group.retention_days = 1
        self.store.expire(self.group, (day + 1) * 86_400_000)
        self.kept = [one for one in self.kept if one[1] >= day]

    @precondition(lambda self: self.kept)
    @rule()
    def delete_group(self):
        self.store.delete_group(self.group)
        self.group = self.store.create_group("g", 0)
        self.kept = []
        for name in "st":
            self.store.create_stream(self.group, name, 0)

    @invariant()
    def each_stream_has_what_is_kept_of_it_in_the_order_of_time_and_arrival(self):
        for name, stream in self.group.streams.items():
            expected = sorted((one for one in self.kept if one[0] == name), key=lambda one: one[1])
            assert [message for _, _, message in expected] == [event.message for event in stream.events]
            assert 27 * len(expected) == stream.stored_bytes
            assert sorted(event.id for event in stream.events) == [event.id for event in stream.events]


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=30, stateful_step_count=20)


def test_wide_characters_count_for_what_they_take():
    """Each message takes four bytes a character, as Python keeps it: two of them are over the bound."""
    store = LogStore(1_500_000)
    group = store.create_group("g", 0)
    stream = store.create_stream(group, "s", 0)
    for number in range(2):
        store.append(group, stream, number, "\U0001f600" * 200_000, 0)

    assert 1 == store.evicted


def test_groups_and_streams_have_a_bound_and_each_that_goes_makes_room():
    store = LogStore(400, max_names=3)
    group = store.create_group("g", 0)
    of_client = store.create_stream(group, "client", 0)
    of_function = store.create_stream(group, "function", 0, is_functions=True)
    full = [store.is_full]
    store.append(group, of_function, 0, "x" * 90, 0)
    store.append(group, of_client, 0, "x" * 90, 0)
    full.append(store.is_full)
    store.create_stream(group, "more", 0)
    full.append(store.is_full)
    store.delete_group(group)
    store.create_group("g", 0)
    store.create_group("h", 0)
    full.append(store.is_full)

    assert [True, False, True, False] == full


def test_tags_count_as_groups_do():
    store = LogStore(400, max_names=3)
    group = store.create_group("g", 0)
    store.tag(group, {"a": "1", "b": "2"})
    store.tag(group, {"a": "3"})
    full = [store.is_full]
    store.untag(group, ["a", "not there"])
    full.append(store.is_full)
    store.delete_group(group)
    for name in "gh":
        store.create_group(name, 0)
    full.append(store.is_full)

    assert [True, False, False] == full


class NothingLogged:
    """No function has logged anything."""

    def take(self, _count):
        return iter(())


def test_a_client_makes_no_more_groups_and_streams_than_there_is_room_for():
    resources = LogResources(LogStore(400, max_names=1), Account(), VirtualClock(), NothingLogged())
    Groups(resources).create({"logGroupName": "g"})
    for make in (
        lambda: Groups(resources).create({"logGroupName": "more"}),
        lambda: Streams(resources).create({"logGroupName": "g", "logStreamName": "more"}),
        lambda: Tags(resources).tag_by_name({"logGroupName": "g", "tags": {"more": ""}}),
    ):
        with pytest.raises(ServiceError) as failed:
            make()
        assert "LimitExceededException" == failed.value.code
