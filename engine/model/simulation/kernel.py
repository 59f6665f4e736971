"""One function on simulated time as one loop over arrays: the rules of `core.fleet`, spelled out for speed.

The same source is run by CPython and compiled by numba (`compiled_kernel`), so it uses nothing but numbers,
tuples, lists and heapq. It gives each request the same outcome as `simulator` does on the same arrays; a test
holds it.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any, Final, NamedTuple

Floats = Any
"""Floats by index: a list or an array of the standard library; for numba, one of numpy."""

_WARM: Final = 0  # the values of `workload.SimulatedOutcome`
_COLD: Final = 1
_THROTTLED: Final = 2

_ENDED: Final = 0
_ENDED_PROVISIONED: Final = 1
_KILLED: Final = 2
_READY: Final = 3
"""Kinds of entries on the agenda; an environment that becomes ready adds its number, from 0."""

_MIN_TIMER_S: Final = 0.001
_MIN_TICK_S: Final = 0.1
_NEVER_S: Final = 1e300


class Rules(NamedTuple):
    """What one function may do.

    Attributes:
        limit: Requests in flight at most, whether a reservation or the account says so.
        provisioned: Environments kept ready; the limit covers them.
        keep_alive_s: How long an idle environment lives.
        burst, refill_s: Environments that may be started at once, and seconds until one more may; 0 = any.
        requests, request_s: The same for requests; 0 = any.
        own: Whether a request that found no environment free waits for one of its own.
    """

    limit: int = 1000
    provisioned: int = 0
    keep_alive_s: float = 300.0
    burst: int = 1000
    refill_s: float = 0.01
    requests: int = 0
    request_s: float = 0.0
    own: bool = False


class Totals(NamedTuple):
    """What came of it all, beside what stands in the arrays.

    Attributes:
        created: Environments started.
        peak: Requests in flight at most.
        environment_s: Seconds that environments lived up to the horizon, in sum.
        busy_s: Seconds of service of all that ran, in sum.
        peak_environments: Environments at once, at most.
    """

    created: int
    peak: int
    environment_s: float
    busy_s: float
    peak_environments: int


def run(  # one loop: a call would cost numba nothing, and CPython half its speed
    at_s: Floats,
    hold_s: Floats,
    kills: Any,
    inits_s: Floats,
    horizon_s: float,
    rules: Rules,
    outcomes: Any,
    started_s: Floats,
    billed_init_s: Floats,
    inside: Any,
) -> tuple[int, int, float, float, int]:
    """Bring every request to its end; fills the last four arrays, one entry a request.

    Args:
        at_s: When each comes, ascending.
        hold_s: How long each holds its environment, deadline applied.
        kills: 1 where the environment is gone after it (a crash, or the deadline); empty = nowhere.
        inits_s: Initialisation of the n-th environment, over again when there are more.
        horizon_s: Environments count their seconds until then.
        rules: Limits.
        outcomes: Set to 0 (warm), 1 (cold) or 2 (throttled).
        started_s: When it began to run, or was refused.
        billed_init_s: Initialisation billed with it, else 0.
        inside: Set to 1 where it ran in a provisioned environment; empty = nobody asks.

    Returns:
        The fields of `Totals`.
    """
    limit, provisioned, keep_alive_s, burst, refill_s, max_requests, request_s, own = rules
    max_timer_s = max(keep_alive_s, _MIN_TICK_S)
    killing = len(kills) > 0
    telling_inside = len(inside) > 0
    init_count = len(inits_s)

    # numba infers what a list holds from a first item: each of these lists is made with one, and emptied
    agenda = [(0.0, 0, 0)]  # (when, order of being put there, kind)
    agenda.pop()
    idle = [(0.0, 0.0)]  # (since, init not billed yet), longest idle first; `head` is the first that lives
    idle.pop()
    ready_provisioned = [0.0]  # idle provisioned environments: init not billed yet
    ready_provisioned.pop()
    waiting = [0]  # requests; the first `served` of them have been given an environment
    waiting.pop()
    head = served = order = starting = in_flight = peak = created = alive = 0
    environment_s = busy_s = 0.0
    timer_s, timer_order = _NEVER_S, 0
    start_tokens, next_start_token_s = burst, _NEVER_S
    request_tokens, next_request_token_s = max_requests, _NEVER_S

    for _ in range(provisioned):
        heappush(agenda, (inits_s[created % init_count], order, _READY + created))
        order += 1
        created += 1
    alive = starting = peak_alive = provisioned

    size = len(at_s)
    item = 0
    now_s = at_s[0] if size else _NEVER_S
    while True:
        # ------------------------------------------------ the next moment, if it is not after the arrival
        if agenda:
            due_s, due_order, kind = agenda[0]
            if timer_s < due_s or (timer_s == due_s and timer_order < due_order):
                due_s, kind = timer_s, -1
        else:
            due_s, kind = timer_s, -1
        if due_s <= now_s and due_s < _NEVER_S:
            if kind < 0:
                if item == size and due_s > horizon_s:
                    if not agenda:
                        break
                    timer_s = _NEVER_S
                    continue
                while head < len(idle) and idle[head][0] + keep_alive_s <= due_s:
                    head += 1
                    alive -= 1
                    environment_s += min(due_s, horizon_s)
                timer_s = _NEVER_S
                if head == len(idle):
                    idle.clear()
                    head = 0
                else:
                    timer_s = min(
                        max(idle[head][0] + keep_alive_s, due_s + _MIN_TIMER_S), due_s + max_timer_s
                    )
                    timer_order = order
                    order += 1
                continue
            heappop(agenda)
            unbilled_init_s = 0.0
            outcome = _WARM
            if kind >= _READY:
                starting -= 1
                unbilled_init_s = inits_s[(kind - _READY) % init_count]
                outcome = _COLD
                kind = _ENDED_PROVISIONED if kind - _READY < provisioned else _ENDED
            else:
                in_flight -= 1
                if kind == _KILLED:
                    alive -= 1
                    environment_s += min(due_s, horizon_s)
                    continue
            if served < len(waiting):
                waiting_item = waiting[served]
                served += 1
                if served == len(waiting):
                    waiting.clear()
                    served = 0
                outcomes[waiting_item] = outcome
                started_s[waiting_item] = due_s
                billed_init_s[waiting_item] = unbilled_init_s
                busy_s += hold_s[waiting_item]
                if telling_inside and kind == _ENDED_PROVISIONED:
                    inside[waiting_item] = 1
                if killing and kills[waiting_item]:
                    kind = _KILLED
                heappush(agenda, (due_s + hold_s[waiting_item], order, kind))
                order += 1
            elif kind == _ENDED_PROVISIONED:
                ready_provisioned.append(unbilled_init_s)
            else:
                idle.append((due_s, unbilled_init_s))
                if timer_s == _NEVER_S:
                    timer_s = min(
                        max(idle[head][0] + keep_alive_s, due_s + _MIN_TIMER_S), due_s + max_timer_s
                    )
                    timer_order = order
                    order += 1
            continue
        if item == size:
            break
        # ------------------------------------------------ the arrival
        arriving, arrived_s = item, now_s
        item += 1
        now_s = at_s[item] if item < size else _NEVER_S
        if max_requests:
            if next_request_token_s <= arrived_s:
                refilled = 1 + int((arrived_s - next_request_token_s) / request_s)
                request_tokens += refilled
                next_request_token_s += refilled * request_s
                if request_tokens >= max_requests:
                    request_tokens, next_request_token_s = max_requests, _NEVER_S
            if not request_tokens:
                outcomes[arriving] = _THROTTLED
                started_s[arriving] = arrived_s
                continue
            if request_tokens == max_requests:
                next_request_token_s = arrived_s + request_s
            request_tokens -= 1
        if in_flight >= limit:
            outcomes[arriving] = _THROTTLED
            started_s[arriving] = arrived_s
            continue
        if ready_provisioned:
            unbilled_init_s = ready_provisioned.pop()
            kind = _ENDED_PROVISIONED
        elif head < len(idle):
            unbilled_init_s = idle.pop()[1]
            kind = _ENDED
        else:
            if len(waiting) - served >= starting:
                if burst:
                    if next_start_token_s <= arrived_s:
                        refilled = 1 + int((arrived_s - next_start_token_s) / refill_s)
                        start_tokens += refilled
                        next_start_token_s += refilled * refill_s
                        if start_tokens >= burst:
                            start_tokens, next_start_token_s = burst, _NEVER_S
                    if not start_tokens:
                        outcomes[arriving] = _THROTTLED
                        started_s[arriving] = arrived_s
                        continue
                    if start_tokens == burst:
                        next_start_token_s = arrived_s + refill_s
                    start_tokens -= 1
                environment_s -= min(arrived_s, horizon_s)
                created += 1
                alive += 1
                peak_alive = max(peak_alive, alive)
                if own:  # it runs from now on, in the first of those that wait, and initialises first
                    waiting.append(arriving)
                    waiting_item = waiting[served]
                    served += 1
                    if served == len(waiting):
                        waiting.clear()
                        served = 0
                    unbilled_init_s = inits_s[(created - 1) % init_count]
                    outcomes[waiting_item] = _COLD
                    started_s[waiting_item] = arrived_s + unbilled_init_s
                    billed_init_s[waiting_item] = unbilled_init_s
                    busy_s += hold_s[waiting_item]
                    kind = _KILLED if killing and kills[waiting_item] else _ENDED
                    heappush(agenda, (arrived_s + unbilled_init_s + hold_s[waiting_item], order, kind))
                    order += 1
                    in_flight += 1
                    peak = max(peak, in_flight)
                    continue
                heappush(
                    agenda, (arrived_s + inits_s[(created - 1) % init_count], order, _READY + created - 1)
                )
                order += 1
                starting += 1
            waiting.append(arriving)
            in_flight += 1
            peak = max(peak, in_flight)
            continue
        in_flight += 1
        if in_flight > peak:
            peak = in_flight
        started_s[arriving] = arrived_s
        billed_init_s[arriving] = unbilled_init_s
        busy_s += hold_s[arriving]
        if telling_inside and kind == _ENDED_PROVISIONED:
            inside[arriving] = 1
        if killing and kills[arriving]:
            kind = _KILLED
        heappush(agenda, (arrived_s + hold_s[arriving], order, kind))
        order += 1
    return created, peak, environment_s + alive * horizon_s, busy_s, peak_alive
