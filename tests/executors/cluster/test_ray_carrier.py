"""What an engine is told where Ray cannot be used at all."""

from __future__ import annotations

import sys

import pytest

from engine.core.cluster_config import RayConfig
from engine.executors.cluster.ray_carrier import RayCarrier, RayRefused

pytestmark = pytest.mark.real_time

LISTENER = ("127.0.0.1", 1)


async def refusal(config: RayConfig) -> str:
    carrier = RayCarrier(config, lambda _line: None)
    try:
        with pytest.raises(RayRefused) as refused:
            await carrier.open(LISTENER, b"secret")
    finally:
        await carrier.close()
    return str(refused.value)


async def test_without_ray_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed

    assert (
        "Ray is not installed: pip install 'invocation-engine[ray]', "
        "or start agents yourself with `engine agent`"
    ) == await refusal(RayConfig("127.0.0.1:1"))


async def test_without_a_token_no_cluster_is_asked(monkeypatch):
    """Which would be told what it is not to know."""
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)

    assert (await refusal(RayConfig("127.0.0.1:1"))).startswith(
        "Ray runs the code of whoever reaches it unless it asks for a token: set RAY_AUTH_MODE=token"
    )


async def test_where_nobody_listens_it_says_so_at_once(monkeypatch):
    """Ray itself would try for 40 seconds."""
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")

    assert (await refusal(RayConfig("127.0.0.1:1"))).startswith("no Ray cluster answers at 127.0.0.1:1: ")
