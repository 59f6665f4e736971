"""A mapping that is changed while it reads: nothing comes twice or is missed."""

from __future__ import annotations

import anyio
import pytest

from engine.core.streams.records import ReadFailure
from engine.testing import Act

UUID = "11111111-2222-3333-4444-555555555555"


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


async def test_a_mapping_that_is_enabled_begins_before_that_is_answered(make_stream_site):
    """What is put after it, `LATEST` gets; not what was put before."""
    latest = {"starting_position": "LATEST"}
    async with make_stream_site(enabled=False, **latest) as site:
        site.put("before")
        site.mappings.change(site.entry, "work", None, settings_of(site, **latest))
        await site.mappings.begun(site.entry)
        site.put("after")
        await anyio.sleep(3)

        assert ["after"] == site.data


async def test_latest_is_from_when_a_mapping_was_made_also_if_the_stream_did_not_answer(make_stream_site):
    """It is asked again until it does, and read from then on."""
    latest = {"starting_position": "LATEST"}
    async with make_stream_site(enabled=False, **latest) as site:
        site.put("before")
        await anyio.sleep(5)
        site.stream.fail(ReadFailure.ERROR, times=3)
        await site.mappings.open("work", None, settings_of(site, enabled=True, **latest))
        site.put("after")
        await anyio.sleep(30)

        assert ["after"] == site.data


async def test_a_mapping_that_was_made_is_kept_before_that_is_answered(make_stream_site, tmp_path):
    """An engine that is killed then goes on from there."""
    async with make_stream_site(checkpoints=tmp_path / "now", file_s=0.1, enabled=False) as site:
        settings = settings_of(site, enabled=True, starting_position="LATEST")
        await site.mappings.open("work", None, settings, uuid=UUID)

        assert [f"{UUID}.json"] == [path.name for path in (tmp_path / "now").iterdir()]
