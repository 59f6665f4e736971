"""Pages of many functions are made in steps: each function right in itself, every reader answered once."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families as parse_text

from engine.protocols.http.message import Request
from engine.telemetry.collector import StatsCollector
from engine.telemetry.exposition import GROUP, Exposition, Format
from engine.telemetry.function_stats import Levels
from engine.telemetry.page_formats import takes_gzip
from engine.telemetry.status import status_pieces
from engine.telemetry.stepwise_pages import StepwisePage, gzipped

COUNT = 10 * GROUP


class Client:
    """A connection that keeps the answers."""

    peer = "127.0.0.1"

    def __init__(self):
        self.answers = []
        self.heads = []

    def ask(self, page, headers=()):
        page.answer(Request.parsed(self, "GET", b"/page", [*headers], b"", 0.0, "1.1", 0))

    def answer(self, _request, status, head, body):
        self.answers.append((status, body))
        self.heads.append(head)

    def awaits(self, _request):
        return True


@pytest.fixture
def pages(new_bench):
    """A bench with many functions, and the ways to begin each page of it."""
    bench = new_bench(COUNT // 2)
    for number in range(COUNT):
        bench.register(f"f{number}", Levels(idle=1))
        bench.run(f"f{number}", duration_s=0.5)
    registry = CollectorRegistry()
    collector = StatsCollector(bench.stats)
    registry.register(collector)
    exposition = Exposition(bench.stats, registry, collector)
    return bench, {
        "metrics": lambda: exposition.pieces(Format.TEXT),
        "status": lambda: status_pieces(bench.stats, uptime_s=1.0),
    }


def end(pieces, between=lambda: None, inside=lambda: None):
    """The page, and how many steps it took; `inside` is called before each, `between` after."""
    steps = 0
    while True:
        steps += 1
        inside()
        try:
            next(pieces)
        except StopIteration as ended:
            return ended.value, steps
        between()


@pytest.mark.parametrize("page", ["metrics", "status"])
def test_no_step_looks_at_more_than_a_group_of_functions(pages, page, monkeypatch):
    """Whether they are shown by name or added up; whether it is the first page or a later one."""
    bench, begin = pages
    looked = [0]

    def levels():
        looked[0] += 1
        return Levels()

    for one in bench.stats.functions.values():
        one.levels = levels
    for _ in range(2):
        by_step = []

        def note(by_step=by_step):
            by_step.append(looked[0])
            looked[0] = 0

        end(begin[page](), between=note)
        note()
        looked[0] = 0
        assert COUNT == sum(by_step)
        assert max(by_step) <= 100


def test_the_lines_of_a_function_are_of_one_moment(pages):
    """While invocations end between any two steps."""
    bench, begin = pages

    def go_on():
        for number in range(COUNT):
            bench.run(f"f{number}", duration_s=0.5)

    page, steps = end(begin["metrics"](), between=go_on)
    counts = {}
    for family in parse_text(page.decode()):
        for sample in family.samples:
            name = sample.labels.get("function")
            if sample.name == "engine_invocations_total" and sample.labels["outcome"] == "success":
                counts.setdefault(name, [0, 0])[0] += sample.value
            elif sample.name == "engine_invocation_duration_seconds_count":
                counts.setdefault(name, [0, 0])[1] += sample.value

    assert steps > COUNT // GROUP // 2
    assert COUNT // 2 + 1 == len(counts)
    assert [] == [name for name, (ended, durations) in counts.items() if ended != durations]
    assert len({ended for ended, _ in counts.values()}) > 2


def test_a_function_that_comes_or_goes_between_steps_harms_no_page(pages):
    bench, begin = pages
    names = iter(range(COUNT))

    def change():
        bench.stats.unregister(f"f{next(names)}")
        bench.register(f"new-{next(names)}")

    for page in begin:
        end(begin[page](), between=change)
    later, _ = end(begin["metrics"]())
    shown = {
        sample.labels["function"]
        for family in parse_text(later.decode())
        for sample in family.samples
        if sample.name == "engine_cold_starts_total"
    }

    assert {*list(bench.stats.functions)[: COUNT // 2], "__other__"} == shown
    assert set(bench.stats.functions) == set(json.loads(end(begin["status"]())[0])["functions"])


async def test_who_asks_while_a_page_is_made_gets_one_that_began_after_that():
    """And all who wait share it."""
    began = []

    def begin():
        began.append(True)
        number = len(began)
        for _ in range(3):
            yield
        return b"%d" % number

    page, first, second, third = StepwisePage(begin, b""), Client(), Client(), Client()
    first.ask(page)
    await asyncio.sleep(0)
    second.ask(page)
    third.ask(page)
    await asyncio.sleep(1)
    first.ask(page)
    await asyncio.sleep(1)

    assert [(200, b"1"), (200, b"3")] == first.answers
    assert [(200, b"2")] == second.answers == third.answers


async def test_a_page_that_fails_is_answered_with_500_and_the_next_is_made(caplog):
    faults = [True]

    def begin():
        yield
        if faults:
            faults.pop()
            raise ValueError("a bug")
        return b"page"

    page, client = StepwisePage(begin, b""), Client()
    for _ in range(2):
        client.ask(page)
        await asyncio.sleep(1)

    assert [500, 200] == [status for status, _ in client.answers]
    assert ["a bug"] == [str(record.exc_info[1]) for record in caplog.records]


async def test_who_takes_gzip_gets_the_same_page_compressed_and_others_get_it_as_it_was():
    """One page is made for both."""
    began = []

    def begin():
        began.append(True)
        yield
        return b"page" * 100_000

    page, plain, zipped = StepwisePage(begin, b"a: b\r\n", zips=True), Client(), Client()
    first = Client()
    first.ask(page)
    plain.ask(page)
    zipped.ask(page, [(b"Accept-Encoding", b"br, gzip")])
    await asyncio.sleep(1)

    assert 2 == len(began)
    assert ([(200, b"page" * 100_000)], [b"a: b\r\n"]) == (plain.answers, plain.heads)
    assert b"page" * 100_000 == gzip.decompress(zipped.answers[0][1])
    assert b"content-encoding: gzip\r\n" in zipped.heads[0]
    assert len(zipped.answers[0][1]) < 10_000


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 3_000_000])
def test_a_page_is_compressed_in_steps(size):
    page = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    packed, steps = end(gzipped(page))

    assert page == gzip.decompress(packed)
    assert steps == 1 + -(-size // (256 * 1024))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        (b"", False),
        (b"gzip", True),
        (b"identity, x-gzip", True),
        (b"br;q=1.0, GZIP;q=0.5", True),
        (b"gzip;q=0", False),
        (b"gzip;q=0, *", False),
        (b"*", True),
        (b"br", False),
    ],
)
def test_gzip_is_used_only_where_it_is_taken(header, expected):
    assert expected is takes_gzip(header)
