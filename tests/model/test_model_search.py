"""The number that a search finds is the first that keeps what is asked: every number below it fails."""

from __future__ import annotations

from functools import partial

import pytest

from engine.core.function import Account, Function
from engine.model.distributions import Exponential
from engine.model.queueing.analytic import predict
from engine.model.queueing.search import fewest_provisioned, smallest_reservation
from engine.model.traffic.shapes import parse_shape

ACCOUNT = Account(concurrency_limit=200)


def predicted(shape):
    return partial(
        predict,
        account=ACCOUNT,
        shape=parse_shape(shape),
        horizon_s=3600.0,
        service=Exponential(0.2),
        init=Exponential(0.3),
    )


@pytest.mark.parametrize("shape", ["poisson:300", "sine:30:30:20", "onoff:60:1:9"])
def test_a_reservation_is_the_smallest_that_refuses_no_more(shape):
    answer = predicted(shape)
    found = smallest_reservation(answer, Function("f", handler="a.b"), ACCOUNT, 0.01)

    number = found.function.reserved_concurrency
    assert found == answer(found.function)
    assert found.throttled_share <= 0.01
    assert answer(Function("f", handler="a.b", reserved_concurrency=number - 1)).throttled_share > 0.01


def test_no_reservation_is_enough_for_more_than_the_account_has():
    assert None is smallest_reservation(
        predicted("constant:2000"), Function("f", handler="a.b"), ACCOUNT, 0.01
    )


def test_the_fewest_provisioned_environments_may_be_none():
    answer = predicted("constant:50")

    assert (
        0
        == fewest_provisioned(answer, Function("f", handler="a.b"), 200, 1.0).function.provisioned_concurrency
    )
    assert fewest_provisioned(answer, Function("f", handler="a.b"), 3, 0.0000001) is None
