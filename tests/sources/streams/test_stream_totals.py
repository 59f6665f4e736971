"""What a mapping is shown to have done: it stays while it is disabled, and with the function that it ran."""

import anyio

from engine.app.streams import stream_readings


def totals(site):
    """Records that were read, that ran and whose attempt failed, by the label of the mapping."""
    return {
        shown.source: (shown.function, *(shown.records[name] for name in ("polled", "delivered", "failed")))
        for shown in stream_readings(site.mappings)
    }


async def change(site, function, **values):
    settings = site.mappings.settings_from(
        "kinesis", {"stream": "s", "starting_position": "TRIM_HORIZON", **values}, site.entry.settings
    )
    site.mappings.change(site.entry, function, None, settings)
    await anyio.sleep(2)


async def test_what_was_done_for_a_function_stays_its_own(make_stream_site):
    """Also if it is the mapping's again later. There is no `other`: what waited for it is the first one's."""
    async with make_stream_site() as site:
        site.put("a", "b", key="k")
        await anyio.sleep(2)
        await change(site, "other")
        site.put("c")
        await anyio.sleep(2)
        shared = totals(site)
        await change(site, "work")
        site.put("d")
        await anyio.sleep(2)

        assert ("work", 2, 2, 0) == shared["s:work"]
        assert ("other", 0, 0) == (shared["s:other"][0], *shared["s:other"][2:])
        assert ("work", 4, 4, 0) == totals(site)["s:work"]
        assert shared["s:other"] == totals(site)["s:other"]


async def test_counters_of_a_disabled_mapping_stay(make_stream_site):
    """Nothing is at work for it then."""
    async with make_stream_site() as site:
        site.put("a")
        await anyio.sleep(2)
        await change(site, "work", enabled=False)
        [shown] = stream_readings(site.mappings)

        assert {"s:work": ("work", 1, 1, 0)} == totals(site)
        assert (0, 0, 0.0) == (shown.running, shown.pollers, shown.stream.iterator_age_s)


async def test_records_are_delivered_and_fail_with_each_attempt(make_stream_site, failure):
    """As messages of queues are; what became of them in the end is counted by fate."""
    async with make_stream_site(lambda _: failure, maximum_retry_attempts=3) as site:
        site.put("a", "b", key="k")
        await anyio.sleep(10)

        assert {"s:work": ("work", 2, 8, 8)} == totals(site)
