"""`engine cluster up`: which cores its nodes get, and what it refuses. Its cluster is in tests of Ray's."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from engine.cli import main
from engine.cli.cluster import shares


@pytest.mark.parametrize(
    ("cores", "nodes", "cpus", "expected"),
    [
        ([0, 1, 2, 3], 2, None, [{0, 1}, {2, 3}]),
        ([4, 6], 2, 1, [{4}, {6}]),
        ([0, 1, 2], 2, 1, [{0}, {1}]),
        ([5], 3, None, [{5}, {5}, {5}]),
    ],
)
def test_nodes_share_the_cores_out(cores, nodes, cpus, expected):
    """Only where there are fewer cores than nodes do two of them have the same one, unless told how many."""
    assert expected == shares(cores, nodes, cpus)


def test_more_cores_than_there_are_is_refused_before_anything_starts():
    done = CliRunner().invoke(main, ["cluster", "up", "--nodes", "16", "--cpus", "4096"])

    assert 2 == done.exit_code
    assert "16 nodes of 4096 cores need 65536, and there are" in done.output
