"""A mapping that is changed while it reads: nothing comes twice or is missed."""

from __future__ import annotations

import anyio
import pytest

from engine.testing import Act


def settings_of(site, **values):
    """Of the site's mapping, changed."""
    values = {"stream": "s", "starting_position": "TRIM_HORIZON", **values}
    return site.mappings.settings_from("kinesis", values, site.entry.settings)


@pytest.mark.parametrize("factor", [1, 4])
async def test_a_batch_that_runs_while_a_mapping_is_changed_comes_once(make_stream_site, factor):
    """Also if keys belong to other parts of the shard from then on."""
    async with make_stream_site(
        lambda _: Act(takes_s=1), batch_size=5, parallelization_factor=factor
    ) as site:
        site.put(*map(str, range(20)))
        await anyio.sleep(1.2)
        changed = settings_of(site, batch_size=5, parallelization_factor=3)
        site.mappings.change(site.entry, "work", None, changed)
        await anyio.sleep(20)

        assert sorted(map(str, range(20))) == sorted(site.data)


async def test_a_batch_is_tried_no_oftener_because_its_mapping_is_changed(make_stream_site, failure):
    """Its destination is told of all attempts, also if the mapping was disabled between them."""
    values = {"maximum_retry_attempts": 2, "on_failure": "lost"}
    async with make_stream_site(lambda _: failure, **values) as site:
        site.put("bad")
        for turn in range(20):
            await anyio.sleep(0.4)
            changed = settings_of(site, enabled=turn % 4 != 3, **values)
            site.mappings.change(site.entry, "work", None, changed)
        [(_, record)] = site.delivered

        assert [["bad"]] * 3 == site.batches
        assert b'"approximateInvokeCount":3' in record.body
