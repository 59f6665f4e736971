"""Executions outlive their engine: killed at any moment, it loses nothing that it has acknowledged."""

import os

import pytest

from tests.durable.kills import KilledEngine, kill_at_random

pytestmark = pytest.mark.real_time


def test_a_killed_engine_has_lost_no_acknowledged_checkpoint_and_runs_no_kept_step_again(tmp_path):
    engine = kill_at_random(tmp_path, kills=3, seed=int.from_bytes(os.urandom(4)))
    try:
        assert [] == engine.problems()
        assert len(engine.accepted) > 3
    finally:
        engine.stop()


def test_an_engine_that_is_stopped_goes_on_with_its_executions_when_it_comes_back(tmp_path):
    engine = KilledEngine(tmp_path)
    engine.start()
    engine.load(0.3, 0.05)
    engine.stop()
    engine.start()
    try:
        engine.wait_for_all()
        assert [] == engine.problems()
        assert "go on" in (tmp_path / "log").read_text()
    finally:
        engine.stop()
