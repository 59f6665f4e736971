"""One function on simulated time as one loop over arrays: the rules of `core.fleet`, spelled out for speed.

The same source is run by CPython and compiled by numba (`fast`), so it uses nothing but numbers, tuples,
lists and heapq. It gives each request the same fate as `simulator` does on the same arrays; a test holds it.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any, Final, NamedTuple

Floats = Any
"""Floats by index: a list or an array of the standard library; for numba, one of numpy."""

_WARM: Final = 0  # the values of `workload.Fate`
_COLD: Final = 1
_THROTTLED: Final = 2

_ENDED: Final = 0
_ENDED_PROVISIONED: Final = 1
_KILLED: Final = 2
_READY: Final = 3
"""What a moment on the agenda is; an environment that is ready adds its number, from 0."""

_SHORTEST_ALARM_S: Final = 0.001
_SHORTEST_TICK_S: Final = 0.1
_NEVER_S: Final = 1e300


class Rules(NamedTuple):
    """What one function may do.

    Attributes:
        limit: Requests in flight at most, whether a reservation or the account says so.
        provisioned: Environments kept ready; the limit covers them.
        keep_alive_s: How long an idle environment lives.
        burst, refill_s: Environments that may be started at once, and seconds until one more may; 0 = any.
        requests, request_s: The same for requests; 0 = any.
    """

    limit: int = 1000
    provisioned: int = 0
    keep_alive_s: float = 300.0
    burst: int = 1000
    refill_s: float = 0.01
    requests: int = 0
    request_s: float = 0.0


class Totals(NamedTuple):
    """What came of it all, beside what stands in the arrays.

    Attributes:
        created: Environments started.
        peak: Requests in flight at most.
        environment_s: Seconds that environments lived up to the horizon, in sum.
        busy_s: Seconds of service of all that ran, in sum.
    """

    created: int
    peak: int
    environment_s: float
    busy_s: float


def play(  # one loop: a call would cost numba nothing, and CPython half its speed
    at_s: Floats,
    hold_s: Floats,
    kills: Any,
    inits_s: Floats,
    horizon_s: float,
    rules: Rules,
    fates: Any,
    started_s: Floats,
    billed_init_s: Floats,
) -> tuple[int, int, float, float]:
    """Bring every request to its end; fills the last three arrays, one entry a request.

    Args:
        at_s: When each comes, ascending.
        hold_s: How long each holds its environment, deadline applied.
        kills: 1 where the environment is gone after it (a crash, or the deadline); empty = nowhere.
        inits_s: Initialisation of the n-th environment, over again when there are more.
        horizon_s: Environments count their seconds until then.
        rules: Limits.
        fates: Set to 0 (warm), 1 (cold) or 2 (throttled).
        started_s: When it began to run, or was refused.
        billed_init_s: Initialisation billed with it, else 0.

    Returns:
        The fields of `Totals`.
    """
    limit, provisioned, keep_s, burst, refill_s, most_requests, request_s = rules
    longest_s = max(keep_s, _SHORTEST_TICK_S)
    killing = len(kills) > 0
    init_count = len(inits_s)

    agenda = [(0.0, 0, 0)]  # (when, order of being put there, what)
    agenda.pop()
    idle = [(0.0, 0.0)]  # (since, init not billed yet), longest idle first; `head` is the first that lives
    idle.pop()
    ready = [0.0]  # idle provisioned ones: init not billed yet
    ready.pop()
    waiting = [0]  # requests, `served` of which are gone already
    waiting.pop()
    head = served = order = starting = in_flight = peak = created = alive = 0
    lived_s = busy_s = 0.0
    alarm_s, alarm_order = _NEVER_S, 0
    tokens, token_s = burst, _NEVER_S
    permits, permit_s = most_requests, _NEVER_S

    for _ in range(provisioned):
        heappush(agenda, (inits_s[created % init_count], order, _READY + created))
        order += 1
        created += 1
    alive = starting = provisioned

    size = len(at_s)
    item = 0
    now_s = at_s[0] if size else _NEVER_S
    while True:
        # ------------------------------------------------ the next moment, if it is not after the arrival
        if agenda:
            due_s, number, what = agenda[0]
            if alarm_s < due_s or (alarm_s == due_s and alarm_order < number):
                due_s, what = alarm_s, -1
        else:
            due_s, what = alarm_s, -1
        if due_s <= now_s and due_s < _NEVER_S:
            if what < 0:
                if item == size and due_s > horizon_s:
                    if not agenda:
                        break
                    alarm_s = _NEVER_S
                    continue
                while head < len(idle) and idle[head][0] + keep_s <= due_s:
                    head += 1
                    alive -= 1
                    lived_s += min(due_s, horizon_s)
                alarm_s = _NEVER_S
                if head == len(idle):
                    idle.clear()
                    head = 0
                else:
                    alarm_s = min(max(idle[head][0] + keep_s, due_s + _SHORTEST_ALARM_S), due_s + longest_s)
                    alarm_order = order
                    order += 1
                continue
            heappop(agenda)
            fresh_s = 0.0
            fate = _WARM
            if what >= _READY:
                starting -= 1
                fresh_s = inits_s[(what - _READY) % init_count]
                fate = _COLD
                what = _ENDED_PROVISIONED if what - _READY < provisioned else _ENDED
            else:
                in_flight -= 1
                if what == _KILLED:
                    alive -= 1
                    lived_s += min(due_s, horizon_s)
                    continue
            if served < len(waiting):
                one = waiting[served]
                served += 1
                if served == len(waiting):
                    waiting.clear()
                    served = 0
                fates[one] = fate
                started_s[one] = due_s
                billed_init_s[one] = fresh_s
                busy_s += hold_s[one]
                if killing and kills[one]:
                    what = _KILLED
                heappush(agenda, (due_s + hold_s[one], order, what))
                order += 1
            elif what == _ENDED_PROVISIONED:
                ready.append(fresh_s)
            else:
                idle.append((due_s, fresh_s))
                if alarm_s == _NEVER_S:
                    alarm_s = min(max(idle[head][0] + keep_s, due_s + _SHORTEST_ALARM_S), due_s + longest_s)
                    alarm_order = order
                    order += 1
            continue
        if item == size:
            break
        # ------------------------------------------------ the arrival
        this, arrived_s = item, now_s
        item += 1
        now_s = at_s[item] if item < size else _NEVER_S
        if most_requests:
            if permit_s <= arrived_s:
                came = 1 + int((arrived_s - permit_s) / request_s)
                permits += came
                permit_s += came * request_s
                if permits >= most_requests:
                    permits, permit_s = most_requests, _NEVER_S
            if not permits:
                fates[this] = _THROTTLED
                started_s[this] = arrived_s
                continue
            if permits == most_requests:
                permit_s = arrived_s + request_s
            permits -= 1
        if in_flight >= limit:
            fates[this] = _THROTTLED
            started_s[this] = arrived_s
            continue
        if ready:
            fresh_s = ready.pop()
            what = _ENDED_PROVISIONED
        elif head < len(idle):
            fresh_s = idle.pop()[1]
            what = _ENDED
        else:
            if len(waiting) - served >= starting:
                if burst:
                    if token_s <= arrived_s:
                        came = 1 + int((arrived_s - token_s) / refill_s)
                        tokens += came
                        token_s += came * refill_s
                        if tokens >= burst:
                            tokens, token_s = burst, _NEVER_S
                    if not tokens:
                        fates[this] = _THROTTLED
                        started_s[this] = arrived_s
                        continue
                    if tokens == burst:
                        token_s = arrived_s + refill_s
                    tokens -= 1
                lived_s -= min(arrived_s, horizon_s)
                heappush(agenda, (arrived_s + inits_s[created % init_count], order, _READY + created))
                order += 1
                created += 1
                alive += 1
                starting += 1
            waiting.append(this)
            in_flight += 1
            peak = max(peak, in_flight)
            continue
        in_flight += 1
        if in_flight > peak:
            peak = in_flight
        started_s[this] = arrived_s
        billed_init_s[this] = fresh_s
        busy_s += hold_s[this]
        if killing and kills[this]:
            what = _KILLED
        heappush(agenda, (arrived_s + hold_s[this], order, what))
        order += 1
    return created, peak, lived_s + alive * horizon_s, busy_s
