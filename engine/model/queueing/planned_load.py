"""What is asked of the formulas: a function, what comes to it, and what follows from that alone."""

from __future__ import annotations

import math
from typing import Final

from engine.core.function import Account, Function
from engine.core.late_dataclass import dataclass
from engine.core.retry import AsyncInvokeConfig
from engine.model.distributions import Capped, Distribution
from engine.model.queueing.prediction import RULES
from engine.model.simulation.workload import ColdStartRule, Trigger
from engine.model.traffic.shapes import Shape

_IDLE: Final = (
    "the environment used last is taken first, an idle one lives {:g} s: AWS documents neither (unverified)"
)


@dataclass(frozen=True, slots=True)
class PlannedLoad:
    """What is asked: a function in an account, and what comes to it.

    Attributes:
        function, account: Limits; the function has the account to itself.
        shape: The traffic, in events.
        horizon_s: How long is looked at.
        service: In the handler, seconds.
        init: Of an environment, seconds.
        error_share: Of the attempts, how many fail by an error of the handler.
        trigger: Who sends the events.
    """

    function: Function
    account: Account
    shape: Shape
    horizon_s: float
    service: Distribution
    init: Distribution
    error_share: float = 0.0
    trigger: Trigger = Trigger.SYNCHRONOUS

    @property
    def capped(self) -> Capped:
        """How long an attempt runs: to its deadline."""
        return Capped(self.service, self.function.timeout_s)

    @property
    def failed_share(self) -> float:
        """Of the attempts, how many do not succeed, time-outs included."""
        late = self.capped.late_share
        return late + (1 - late) * self.error_share

    @property
    def attempts(self) -> float:
        """Attempts for each event: 1 + e + e^2 of asynchronous ones, which are tried again."""
        if self.trigger is Trigger.SYNCHRONOUS:
            return 1.0
        return math.fsum(self.failed_share**number for number in range(self._retries + 1))

    @property
    def lost_share(self) -> float:
        """Of the events, how many never succeed."""
        if self.trigger is Trigger.SYNCHRONOUS:
            return self.failed_share
        return float(self.failed_share ** (self._retries + 1))

    @property
    def limit(self) -> int:
        """Concurrency it may reach."""
        return self.account.limit_of(self.function)

    @property
    def requests_per_s(self) -> float:
        """Requests that may be let in, a second; infinite if nothing limits them but places."""
        if self.trigger is Trigger.ASYNCHRONOUS or not self.account.requests_per_concurrency:
            return math.inf
        return float(self.account.requests_per_s(self.function))

    @property
    def mean_requests_per_s(self) -> float:
        """The same on average over the horizon: a bucket of one second is full when it begins."""
        return self.requests_per_s * (1 + 1 / self.horizon_s)

    @property
    def _retries(self) -> int:
        return AsyncInvokeConfig.of(self.function).maximum_retry_attempts

    def assumptions(self) -> tuple[str, ...]:
        """What is taken for granted whatever the method, a sentence each."""
        function = self.function
        said = [_IDLE.format(function.keep_alive_s), RULES[ColdStartRule.OWN]]
        said.append(
            "this engine gives it the first that is free: fewer requests are cold, as many environments start"
        )
        if self.requests_per_s < math.inf:
            rate = self.account.requests_per_concurrency
            said.append(f"{rate} requests/s for each unit of concurrency; AWS does not say how it measures")
        if self.capped.late_share:
            said.append("an environment whose invocation timed out is gone (AWS does not say)")
        if self.trigger is Trigger.ASYNCHRONOUS:
            said.append(
                "a failed event is tried again after 1 and 2 minutes; a refused one until it is let in"
            )
        else:
            said.append("a refused request is not tried again")
        if function.provisioned_concurrency:
            said.append("provisioned environments take requests first, whatever their rate (unverified)")
        return tuple(said)
