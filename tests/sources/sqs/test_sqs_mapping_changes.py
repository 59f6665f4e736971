"""A mapping keeps nothing back: whatever its settings become meanwhile, and though timers fire early."""

import asyncio

import anyio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.sources.sqs.settings import SqsEvent
from engine.testing import Act, VirtualTimeLoop

EARLY_S = 0.000_9
VISIBILITY_S = 40_000
"""Nothing of a course lasts as long: what would wait for it, fails the test."""
LONG_S = 200.0
"""In which all of a course has run, on one environment."""
TAKES_S = 0.4


class EarlyTimersLoop(VirtualTimeLoop):
    """Fires its timers up to a millisecond before their time, as uvloop does."""

    def call_at(self, when, callback, *args, context=None):
        left_s = when - self.time()
        return super().call_at(when - min(EARLY_S, left_s / 2), callback, *args, context=context)


def run(course):
    with asyncio.Runner(loop_factory=EarlyTimersLoop) as runner:
        runner.run(course())


class Course:
    """Steps of one mapping. `started` are the messages that its functions ran for, with when they end."""

    def __init__(self, make_site):
        self.started = []
        self.sent = []
        self.site = make_site(
            {"maximum_batching_window_s": 1},
            act=self.act,
            queues={"q": {"visibility_timeout_s": VISIBILITY_S}},
            function={"reserved_concurrency": 1},
        )

    def act(self, run):
        self.started += [(body, run.at_s + TAKES_S) for body in run.bodies]
        return Act(takes_s=TAKES_S)

    def with_functions(self):
        now_s = self.site.clock.now() - self.site.began_s
        return sum(until_s > now_s for _, until_s in self.started)

    async def send(self, count):
        bodies = [str(len(self.sent) + one) for one in range(count)]
        self.sent += bodies
        self.site.send(*bodies)

    async def pause(self, seconds):
        await anyio.sleep(seconds)

    async def change(self, function, table):
        self.site.source.change(self.site.entry, function, None, SqsEvent(queue="q", **table), lambda: 3.0)
        await self.check_if_off()

    async def replace(self, function, table):
        self.site.source.close(self.site.entry)
        self.site.source.open(function, None, SqsEvent(queue="q", **table), lambda: 3.0)
        await self.check_if_off()

    async def check_if_off(self):
        """What no function has is visible again at once."""
        if self.site.entry.running is None:
            await anyio.sleep(0.01)
            assert self.with_functions() == self.site.left()[1]

    async def settle(self):
        """All of it is run, or visible if the mapping is off."""
        await anyio.sleep(LONG_S)
        visible, in_flight = self.site.left()
        assert 0 == in_flight
        assert self.site.entry.running is None or visible == 0
        assert len(self.sent) == len(self.started) + visible

    async def end(self):
        self.site.stopping.set()
        await anyio.sleep(0.01)
        assert self.with_functions() == self.site.left()[1]
        await anyio.sleep(LONG_S)
        bodies = [body for body, _ in self.started]
        assert len(bodies) == len(set(bodies)) == len(self.sent) - sum(self.site.left())


tables = st.fixed_dictionaries(
    {
        "batch_size": st.sampled_from([1, 3, 10]),
        "maximum_batching_window_s": st.sampled_from([0, 1, 2]),
        "enabled": st.sampled_from([True, True, True, False]),
        "maximum_concurrency": st.sampled_from([None, 2]),
    }
)
mappings = st.tuples(st.sampled_from(["work", "other"]), tables)
steps = st.lists(
    st.one_of(
        st.tuples(st.just(Course.send), st.tuples(st.integers(1, 12))),
        st.tuples(st.just(Course.pause), st.tuples(st.sampled_from([0.0, 0.1, 0.7, 1.0, 3.0]))),
        st.tuples(st.just(Course.change), mappings),
        st.tuples(st.just(Course.replace), mappings),
        st.tuples(st.just(Course.settle), st.just(())),
    ),
    max_size=12,
)


@given(steps=steps)
@example(steps=[(Course.send, (1,)), (Course.settle, ())])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])  # a class
def test_what_was_received_is_run_or_visible_again_whatever_the_settings_become(make_site, steps):
    """Each message runs once, and none of them waits for its visibility timeout."""

    async def play():
        course = Course(make_site)
        async with course.site:
            for step, arguments in steps:
                await step(course, *arguments)
            await course.end()

    run(play)


def test_a_window_that_is_looked_at_early_is_looked_at_again(make_site):
    """Also the one after a batch that was full before its time, whose timer is the earlier one."""

    async def play():
        async with make_site({"batch_size": 2, "maximum_batching_window_s": 5}) as site:
            site.send("a", "b")
            await anyio.sleep(1)
            site.send("c")
            await anyio.sleep(1)
            site.send("d", "e")
            await anyio.sleep(20)

            assert [["a", "b"], ["c", "d"], ["e"]] == site.batches
            assert [0.0, 2.0, 7.0] == [round(time_s, 2) for time_s in site.times]

    run(play)
