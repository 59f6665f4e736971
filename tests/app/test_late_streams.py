"""Stream mappings are made with the first of them, and served from then on."""

from __future__ import annotations

import anyio

from engine.app.late_streams import KINDS, LateStreamMappings


class Made:
    """Stands for the mappings that are made."""

    def __init__(self) -> None:
        self.served: list[str] = []
        self.opened: list[str] = []

    async def serve(self, kind, _sink, stopping, *, task_status):
        self.served.append(kind)
        task_status.started(None)
        await stopping.wait()

    async def open(self, function, _qualifier, _settings, *, uuid, modified_s):
        self.opened.append(f"{function} {self.served}")
        return (uuid, modified_s)

    def __iter__(self):
        return iter(("one",))

    def find(self, uuid):
        return uuid


async def test_nothing_is_made_before_it_is_needed():
    """Whoever looks for a mapping finds none."""
    made = []
    late = LateStreamMappings(lambda: made.append(Made()) or made[-1])
    stopping = anyio.Event()
    async with anyio.create_task_group() as group:
        await late.serve(group.start, None, stopping, frozenset())
        looked = (list(late), late.find("uuid"), list(made))
        opened = [await late.open("f", None, None, uuid="u", modified_s=1.0) for _ in range(2)]
        stopping.set()

    assert ([], None, []) == looked
    assert [("u", 1.0)] * 2 == opened
    assert [[*KINDS]] == [one.served for one in made]
    assert (["one"], "uuid") == (list(late), late.find("uuid"))


async def test_what_was_made_before_is_served_with_all_others():
    """But for kinds that have a source of the configuration."""
    made = Made()
    late = LateStreamMappings(lambda: made)
    await late.open("restored", None, None)
    stopping = anyio.Event()
    async with anyio.create_task_group() as group:
        await late.serve(group.start, None, stopping, frozenset({"kinesis", "http"}))
        await late.open("f", None, None)
        stopping.set()

    assert ["restored []", "f ['dynamodb']"] == made.opened
