"""An execution that is played, and is in the end what its journal makes of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.core.durable.player import Player, state_of


@pytest.fixture
def player() -> Iterator[Player]:
    """An execution whose first invocation runs; in the end its journal is the execution again."""
    player = Player()
    player.begin()
    yield player
    assert state_of(player.execution) == state_of(player.replayed())
