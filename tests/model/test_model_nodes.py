"""Loads on machines of one's own: how many it takes, what they cost beside Lambda, what waits for room."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.cli import main
from engine.core.cpu_law import share
from engine.core.function import Account, Function
from engine.core.placement import EnvironmentNeed, NodeRoom, choose
from engine.machine.memory import reserve_kb
from engine.model.cost.bill import bill
from engine.model.cost.node_types import EC2_USD_PER_HOUR, NodeType, known_nodes, parse_node
from engine.model.cost.price_book import price_book
from engine.model.distributions import Constant, Exponential
from engine.model.queueing.analytic import predict
from engine.model.queueing.formulas import poisson_quantile
from engine.model.queueing.nodes_needed import NodeSizing, cheaper_from, nodes_needed
from engine.model.simulation.simulated_nodes import NodeGroup, NodesLoad
from engine.model.simulation.simulator import Overload, Simulation
from engine.model.simulation.workload import Workload, poisson_workload
from engine.model.traffic.shapes import parse_shape

HUGE = parse_node("huge:1e6:1e6")
ENDLESS = Account(concurrency_limit=10**6, scaling_rate=0, requests_per_concurrency=0)


def run(words, code=0):
    done = CliRunner().invoke(main, words.split())

    assert code == done.exit_code, done.output
    return done


def document(words):
    return json.loads(run(f"{words} --json").stdout)


def refused(words):
    """The only line that says why nothing was computed."""
    lines = [line for line in run(words, code=2).stderr.splitlines() if "rror: " in line]

    assert 1 == len(lines), lines
    return lines[0]


# -------------------------------------------------------------------- what a node is


@pytest.mark.parametrize(
    ("name", "vcpus", "gb", "architecture"),
    [
        ("c6i.8xlarge", 32, 64, "x86_64"),
        ("c7g.4xlarge", 16, 32, "arm64"),
        ("c7i.large", 2, 4, "x86_64"),
        ("c8g.2xlarge", 8, 16, "arm64"),
        ("m5.large", 2, 8, "x86_64"),
        ("m6a.xlarge", 4, 16, "x86_64"),
        ("m7i-flex.2xlarge", 8, 32, "x86_64"),
        ("m9g.medium", 1, 4, "arm64"),
        ("r7g.xlarge", 4, 32, "arm64"),
        ("t4g.large", 0.6, 8, "arm64"),
        ("t4g.micro", 0.2, 1, "arm64"),
    ],
)
def test_the_size_of_an_instance_follows_from_its_name(name, vcpus, gb, architecture):
    """As AWS lists them; of burstable ones what they have all the time."""
    found = parse_node(f"ec2:{name}")

    assert (vcpus, gb * 1024, architecture) == (found.vcpus, found.memory_mb, found.architecture)


def test_every_instance_that_has_a_price_has_a_size_and_every_task_a_price():
    """What `auto` chooses from."""
    both = [*known_nodes("x86_64"), *known_nodes("arm64")]

    assert {f"ec2:{name}" for name in EC2_USD_PER_HOUR} <= {one.name for one in both}
    assert 2 * 74 == sum(one.name.startswith("fargate") for one in both)
    assert all(one.usd_per_hour for one in both)


@pytest.mark.parametrize("memory_mb", [512, 1024, 4096, 65_536, 10**6])
def test_a_node_keeps_as_much_memory_free_as_the_engine_does(memory_mb):
    """Beside what system and agent take."""
    node = NodeType(name="n", vcpus=1, memory_mb=memory_mb)

    assert memory_mb - 256 - 100 - reserve_kb(memory_mb * 1024) // 1024 == node.room_mb


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["ec2:m5.large", "ec2:c6i.8xlarge", "fargate:0.25:0.5", "own:3:7"]),
    st.integers(128, 10_240),
    st.sampled_from([None, 0.0, 3.0, 10.0, 150.0]),
)
def test_a_node_holds_what_can_be_placed_on_it(name, memory_mb, cpu_percent):
    """Plan and simulation say the same of it."""
    node = parse_node(name)
    vcpus = share(memory_mb) if cpu_percent is None else cpu_percent / 100
    need = EnvironmentNeed(memory_mb, vcpus)
    room, placed = NodeRoom("n", node.room_mb, node.vcpus, node.room_mb, node.vcpus), 0
    while choose([room], need) is not None:
        placed += 1
        room = room._replace(
            free_memory_mb=room.free_memory_mb - memory_mb, free_vcpus=room.free_vcpus - vcpus
        )

    assert placed == node.holds(need).environments


# -------------------------------------------------------------------- how many it takes


def predicted(rate=10.0, memory_mb=1769, ms=100, account=None):
    function = Function("f", handler="a.b", memory_mb=memory_mb)
    shape = parse_shape(f"poisson:{rate}")
    times = {"service": Constant(ms / 1000), "init": Constant(0.0)}
    return predict(function, account or ENDLESS, shape, horizon_s=86_400, **times)


def needed(name, found, sizing=None, need=None):
    month = bill(found.usage(30 * 86_400), price_book("us-east-1")).usd
    need = need or EnvironmentNeed(found.function.memory_mb, share(found.function.memory_mb))
    return nodes_needed(parse_node(name), need, found, sizing or NodeSizing(), hours=720, lambda_usd=month)


@pytest.mark.parametrize(
    ("name", "memory_mb", "ms", "per_s", "busy"),
    [
        ("fargate:1:2", 1769, 100, 4.45, 0.445),
        ("fargate:0.5:2", 884, 100, 4.94, 0.494),
        ("fargate:0.25:0.5", 128, 100, 8.38, 0.838),
        ("fargate:1:2", 512, 20, 37.4, 0.748),
        ("ec2:m5.large", 1769, 100, 8.65, 0.865),
    ],
)
def test_where_a_node_costs_what_lambda_does(name, memory_mb, ms, per_s, busy):
    """Price of an hour / 3600 / (GB x seconds x price + price of a request)."""
    found = needed(name, predicted(memory_mb=memory_mb, ms=ms))

    assert (per_s, busy) == pytest.approx((found.even_per_s, found.even_busy), rel=0.003)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 100_000),
    st.integers(1, 500),
    st.sampled_from([0.0, 0.1, 10.0, 33.3, 250.0]),
    st.integers(0, 3),
)
def test_nodes_are_enough_and_one_less_is_not(environments, each, headroom, spare):
    """With headroom, and after the loss of those that may be lost."""
    sizing = NodeSizing(headroom_percent=headroom, spare=spare)
    working = sizing.nodes(environments, each) - spare

    assert environments <= sizing.carried(working, each)
    assert environments > sizing.carried(working - 1, each)


def test_what_nodes_cost_never_falls_with_what_is_asked():
    """More traffic, a rarer peak, more headroom, more spare nodes: none is cheaper."""
    rising = [
        [needed("ec2:m5.large", predicted(rate)) for rate in (0.1, 5, 50, 500)],
        [needed("ec2:m5.large", predicted(50), NodeSizing(percent=p)) for p in (1, 50, 90, 99, 99.9, 100)],
        [needed("ec2:m5.large", predicted(50), NodeSizing(headroom_percent=p)) for p in (0, 1, 50, 400)],
        [needed("ec2:m5.large", predicted(50), NodeSizing(spare=n)) for n in (0, 1, 2)],
    ]

    for found in rising:
        assert sorted(one.usd for one in found) == [one.usd for one in found]
        assert all(one.nodes * one.each >= one.environments for one in found)


@settings(max_examples=15, deadline=None)
@given(
    each=st.integers(1, 60),
    busy=st.floats(0.05, 0.95),
    headroom=st.sampled_from([0.0, 25.0]),
    spare=st.integers(0, 2),
)
def test_from_the_crossing_on_nodes_are_cheaper_and_not_from_before(each, busy, headroom, spare):
    """`busy`: of a node's places, how many pay for it. Evaluated about the crossing, and far above."""
    sizing = NodeSizing(headroom_percent=headroom, spare=spare)
    per_node = busy * each / (1 + headroom / 100)  # Erlangs for which Lambda asks the price of a node
    found = cheaper_from(((1.0, 1.0),), each, sizing, per_node)

    def nodes(load, off=0):
        return sizing.nodes(max(1, poisson_quantile(load, 0.99) + off), each)

    off = 1 if found > 400 else 0  # by how much the normal law may be off
    above = [found * more for more in (1.0001, 1.01, 1.1, 1.5, 3, 30)]

    assert all(nodes(load, -off) * per_node <= load for load in above)
    if not headroom:  # else the number is exact only where few numbers of nodes are in doubt
        assert nodes(found * (1 - 1e-7), off) * per_node > found * (1 - 1e-7)


def test_where_a_full_node_costs_more_than_lambda_no_rate_makes_it_cheaper():
    """One environment of 1,769 MB on four vCPUs."""
    found = needed("ec2:c7i.large", predicted(memory_mb=1800), need=EnvironmentNeed(1800, 1.9))

    assert ("found", "never") == (
        needed("ec2:c7i.large", predicted(memory_mb=1800)).crossing,
        needed("ec2:c7i.large", predicted(memory_mb=128), need=EnvironmentNeed(3000, 1.0)).crossing,
    )
    assert found.even_busy < 1


def test_a_load_that_is_refused_has_no_crossing():
    """What is refused is in no bill: there is nothing to hold nodes against."""
    crowded = predicted(1000, ms=1000, account=Account(concurrency_limit=100))

    assert "not looked for" == needed("ec2:m5.large", crowded).crossing


# -------------------------------------------------------------------- simulated


def function(name="f", memory_mb=1000, **keys):
    return Function(
        name, handler="a.b", memory_mb=memory_mb, **{"timeout_s": 30.0, "keep_alive_s": 5.0, **keys}
    )


def arrivals(one, seed=1, rate=20.0, length_s=20.0, init_s=0.4, **shares):
    return poisson_workload(
        one,
        rate_per_s=rate,
        horizon_s=length_s,
        service=Exponential(0.3),
        init=Constant(init_s),
        rng=Random(seed),
        **shares,
    )


def on_nodes(workloads, *groups, account=ENDLESS, horizon_s=20.0, needs=None, **keys):
    needs = needs or {
        one.function.name: EnvironmentNeed(one.function.memory_mb, 0.5, one.function.name)
        for one in workloads
    }
    load = NodesLoad(groups=groups, needs=needs, **keys)
    simulation = Simulation(workloads, account, horizon_s=horizon_s, sample_every_s=0.5, nodes=load)
    return simulation, simulation.run()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32),
    keys=st.sampled_from(
        [
            {},
            {"provisioned_concurrency": 3},
            {"environment_concurrency": 3},
            {"overflow": "queue", "reserved_concurrency": 2},
            {"timeout_s": 0.5, "keep_alive_s": 0.2},
        ]
    ),
)
def test_one_node_of_any_size_changes_nothing(seed, keys):
    """Every command of every fleet is the same, at the same moment."""
    workloads = [
        arrivals(function("f", **keys), seed, crash_share=0.02),
        arrivals(function("g", memory_mb=3000), seed + 1, rate=5),
    ]
    needs = {name: EnvironmentNeed(1000, 0.5, name) for name in "fg"}
    account = Account(concurrency_limit=25, scaling_rate=10)
    logs = [], []
    alone = Simulation(workloads, account, horizon_s=20.0, log=logs[0]).run()
    load = NodesLoad(groups=[NodeGroup(HUGE, 1, 1)], needs=needs)
    beside = Simulation(workloads, account, horizon_s=20.0, nodes=load, log=logs[1]).run()

    assert logs[0] == logs[1]
    assert alone.functions == beside.functions
    assert beside.nodes.placed == sum(one.created for one in beside.functions)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.4, 2.0]))
def test_more_nodes_never_make_anybody_wait_longer(seed, init_s):
    """Request by request, where no environment is given back."""
    workload = arrivals(function(keep_alive_s=1000.0), seed, length_s=12.0, init_s=init_s)
    small = parse_node("small:1:3")
    starts = [
        list(on_nodes([workload], NodeGroup(small, n, n))[0].functions[0].started_s) for n in (1, 2, 3, 9)
    ]

    for fewer, more in pairwise(starts):
        assert all(late >= early - 1e-9 for late, early in zip(fewer, more, strict=True))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 2), st.integers(2, 6))
def test_no_node_is_shared_out_twice_and_node_seconds_add_up(seed, least, most):
    """Two functions, nodes of two types that come and go."""
    workloads = [arrivals(function("f"), seed), arrivals(function("g", memory_mb=2500), seed + 1, rate=4)]
    groups = NodeGroup(parse_node("a:2:4"), least, most), NodeGroup(parse_node("b:1:3"), 1, 1)
    _, seen = on_nodes(workloads, *groups, boot_s=2.0, idle_s=3.0)
    samples = seen.nodes.samples

    assert all(-1e-9 <= one <= 1 + 1e-9 for name in ("memory_share", "cpu_share") for one in samples[name])
    assert all(1 + least <= one <= most + 1 for one in samples["nodes"])
    came_and_went, always = seen.nodes.groups
    assert (20.0, 1) == (always.node_s, always.peak)
    assert least * 20.0 - 1e-9 <= came_and_went.node_s <= most * 20.0
    assert came_and_went.mean == pytest.approx(came_and_went.node_s / 20.0)


def test_what_comes_while_there_is_no_node_waits_until_one_has_booted():
    """Boot, init, and the run; the node is paid from when it was asked for until it was empty long enough."""
    one = Workload(function=function(), at_s=[2.0], service_s=[0.5], inits_s=[0.3])
    simulation, seen = on_nodes(
        [one], NodeGroup(parse_node("a:2:4"), 0, 3), boot_s=10.0, idle_s=7.0, horizon_s=60.0
    )
    (group,) = seen.nodes.groups

    assert [2.0 + 10.0 + 0.3] == pytest.approx(list(simulation.functions[0].started_s))
    assert [0, 1] == [seen.samples["functions"]["f"]["environments"][2 * at_s + 1] for at_s in (11, 12)]
    assert (1, 1) == (seen.nodes.added, seen.nodes.removed)
    assert 10.0 + 0.3 + 0.5 + 5.0 + 7.0 == pytest.approx(group.node_s)


def test_an_idle_environment_of_another_function_makes_room():
    """It does not wait for the end of its keep-alive."""
    first = Workload(function=function("f", keep_alive_s=500.0), at_s=[0.0], service_s=[1.0], inits_s=[0.5])
    second = Workload(function=function("g"), at_s=[5.0], service_s=[1.0], inits_s=[0.5])
    simulation, _ = on_nodes([first, second], NodeGroup(parse_node("a:0.5:4"), 1, 1), horizon_s=60.0)

    assert [5.5] == list(simulation.functions[1].started_s)


def test_a_function_that_has_all_nodes_shares_them_after_a_while():
    """One of its busy environments goes after its work; the other function had none."""
    many = Workload(function=function("f"), at_s=[0.0] * 60, service_s=[1.5] * 60, inits_s=[0.0])
    late = Workload(function=function("g"), at_s=[1.6], service_s=[1.0], inits_s=[0.0])
    simulation, _ = on_nodes([many, late], NodeGroup(parse_node("a:2:8"), 1, 1), horizon_s=60.0)
    (started_s,) = simulation.functions[1].started_s

    assert 1.6 + 1.0 <= started_s <= 6.0 < max(simulation.functions[0].started_s)


def test_provisioned_environments_that_have_no_room_are_told():
    """Nodes hold three of five; the other two are not counted as if they were there."""
    workload = arrivals(function(provisioned_concurrency=5), rate=1.0)
    _, seen = on_nodes([workload], NodeGroup(parse_node("a:1.5:8"), 1, 1))

    assert (3, 2) == (seen.nodes.placed, seen.nodes.lacking)
    assert 3 == seen.functions[0].peak_environments


def test_nodes_that_are_alike_are_as_good_as_one_another():
    """Only the first of those never used is looked at: the choice is that among all."""
    workload = arrivals(function(), rate=40.0)
    _, few = on_nodes([workload], NodeGroup(parse_node("a:1:3"), 40, 40))
    _, many = on_nodes([workload], NodeGroup(parse_node("a:1:3"), 1200, 1200))

    assert few.functions == many.functions
    assert few.nodes.placed == many.nodes.placed


def test_nodes_that_never_have_room_are_told():
    """Rather than figures of requests that never ran."""
    long = Workload(
        function=function(timeout_s=900.0), at_s=[0.0] * 200, service_s=[600.0] * 200, inits_s=[0.0]
    )

    with pytest.raises(Overload, match="requests still wait for room on a node 8 hours after the last"):
        on_nodes([long], NodeGroup(parse_node("a:1:3"), 1, 1))


# -------------------------------------------------------------------- plan and simulate


def test_a_plan_has_nodes_beside_lambda_cheapest_first():
    """As text, as JSON, and as a picture."""
    words = "plan --traffic 100 --memory-mb 1769 --nodes auto"
    found = document(words)
    table = run(words).stdout.partition("Nodes instead of Lambda\n")[2].partition("\n\n")[0].splitlines()
    usd = [Decimal(one["usd"]) for one in found["nodes"]["choices"]]

    assert sorted(usd) == usd
    assert Decimal(found["cost"]["usd"]) == Decimal(found["nodes"]["lambda_usd"])
    assert ("ec2:m6a.large", 2, 9) == tuple(
        found["nodes"]["choices"][0][name] for name in ("node", "environments_each", "nodes")
    )
    assert "559.8720" == found["nodes"]["choices"][0]["usd"]
    assert table[1].startswith("ec2:m6a.large")
    assert 1 == sum(line.startswith("AWS Lambda") for line in table)
    assert 1 == sum(line.startswith("fargate:") for line in table)


def test_a_region_without_prices_of_nodes_says_so():
    """Prices are those of us-east-1, and marked."""
    found = document("plan --traffic 1 --nodes ec2:m5.large --region eu-west-1")

    assert "nodes: no prices of eu-west-1 are known: those of us-east-1 are assumed" in found["assumptions"]


def test_a_price_of_ones_own_is_taken_everywhere():
    """For types without a price, for machines of one's own, and instead of the shipped price."""
    words = "plan --traffic 1 --nodes ec2:c7i.2xlarge --nodes rack:64:256 --nodes ec2:m5.large"
    prices = {"ec2:c7i.2xlarge": "0.357", "rack:64:256": "1.25", "ec2:m5.large": "0.01"}
    found = document(words + "".join(f" --node-price {name}={usd}" for name, usd in prices.items()))

    assert prices == {one["node"]: one["usd_per_hour"] for one in found["nodes"]["choices"]}
    assert {"as given"} == {one["source"] for one in found["nodes"]["choices"]}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("plan --traffic 1 --nodes fargate:3:7", "Fargate has tasks of 0.25, 0.5, 1, 2, 4, 8, 16 vCPU"),
        ("plan --traffic 1 --nodes fargate:16:33", "with 16 vCPU Fargate has 32, 40"),
        ("plan --traffic 1 --nodes c7i.large", "(ec2:c7i.large)"),
        ("plan --traffic 1 --nodes ec2:c7i.larg", "its size is not known, did you mean 'c7i.large'?"),
        ("plan --traffic 1 --nodes ec2:c5n.large", "its size is not known"),
        ("plan --traffic 1 --nodes ec2:m5.4xlarge", "no price is known: say it by --node-price"),
        ("plan --traffic 1 --nodes ec2:t4g.large", "is arm64"),
        ("plan --traffic 1 --nodes x:1e30:1", "must be ec2:TYPE"),
        ("plan --traffic 1 --nodes auto --node-price ec2:m5.lare=1", "did you mean 'ec2:m5.large'?"),
        ("plan --traffic 1 --nodes auto --node-price ec2:m5.large=0", "must be TYPE=DOLLARS"),
        ("plan --traffic 1 --memory-mb 10240 --nodes ec2:m5.large", "one takes 10,240 MB"),
        ("plan --traffic 1 --nodes ec2:m5.large --environment-cpu 300", "one environment takes 3"),
        ("plan --traffic 1 --nodes auto --environment-cpu 1e6", "no node that is known holds"),
        ("plan --traffic 1 --headroom 10", "needs --nodes"),
        ("plan --backlog 10 --nodes auto", "would change nothing"),
        ("simulate --traffic 1 --nodes ec2:m5.large", "must be NxTYPE or MIN:MAXxTYPE"),
        ("simulate --traffic 1 --nodes 3:1xec2:m5.large", "the least number first"),
        ("simulate --traffic 1 --nodes 0xec2:m5.large", "1 to 10,000 nodes"),
        ("simulate --traffic 1 --nodes 2xec2:m5.large --node-boot-s 3", "needs --nodes MIN:MAXxTYPE"),
        ("simulate --traffic 1 --nodes 2xec2:m5.large --method fast", "of which it knows nothing"),
        ("simulate --traffic 1 --nodes 2xec2:m5.large --compare", "have no --nodes"),
        ("simulate --traffic 1 --memory-mb 9000 --nodes 2xec2:m5.large", "one takes 9,000 MB"),
        ("cost --requests 1 --container fargate:3:7", "Fargate has tasks of"),
    ],
)
def test_what_cannot_be_said_of_nodes_is_one_line(words, why):
    """Before anything is computed."""
    assert why in refused(words)


def test_a_simulation_has_its_nodes_over_time_and_their_price(tmp_path):
    """The same seed, the same answer; the page has the pictures."""
    file = tmp_path / "nodes.html"
    words = "simulate --traffic step:5:40:20 --seconds 60 --memory-mb 1769 --nodes 1:6xec2:m5.large"
    found = document(f"{words} --node-boot-s 9 --html {file}")
    (group,) = found["nodes"]["groups"]

    assert found == document(f"{words} --node-boot-s 9")
    assert 1 <= group["mean"] <= group["peak"] <= 6
    assert Decimal(group["usd_of_run"]) == pytest.approx(Decimal("0.096") * Decimal(group["node_hours"]))
    assert Decimal(found["nodes"]["lambda_usd_of_month"]) == Decimal(found["cost"]["usd"])
    assert all(f'aria-label="{name} over time"' in file.read_text() for name in ("Nodes", "Use of nodes"))
    assert "ec2:m5.large (2 vCPU, 8 GB)" in run(words).stdout
    assert math.isclose(len(found["nodes"]["over_time"]["at_s"]), 301, abs_tol=1)


def test_with_as_many_nodes_as_planned_hardly_anything_waits_and_with_fewer_it_does():
    """Plan and simulation of the same load: 10 in flight on the mean, 18 for 99 % of the time."""
    load = "--traffic 20 --duration-ms exp:500 --timeout-s 60 --init-ms 100 --memory-mb 1769"
    (planned,) = document(f"plan {load} --nodes ec2:m5.large")["nodes"]["choices"]

    def short(nodes):
        words = f"simulate {load} --seconds 300 --nodes {nodes}xec2:m5.large"
        waiting = document(words)["nodes"]["over_time"]["waiting"]
        return sum(one > 0 for one in waiting) / len(waiting)

    assert 9 == planned["nodes"]
    assert short(9) < 0.02 < 0.1 < short(7)


def test_a_trace_says_how_much_of_a_cpu_environments_take(tmp_path):
    """A quarter of one where it does; of a function without, what Lambda gives it."""
    file = tmp_path / "calls.csv"
    rows = ["0,busy,1000,250", "0,busy,1000,250", "0,busy,1000,", "0,plain,1000,"]
    file.write_text("\n".join(["timestamp,function,duration_ms,cpu_ms", *rows]) + "\n")
    words = f"simulate --trace {file} --memory-mb 442 --init-ms 0 --nodes 1xa:1:8"
    found = document(words)

    assert 4 == found["nodes"]["environments_placed"]
    assert 3 * 0.25 + 442 / 1769 == pytest.approx(found["nodes"]["cpu_share"], abs=0.001)
    assert "CPU of environments is that of the trace, on average, for 1 of 2" in str(found["assumptions"])
    file.write_text("\n".join(["timestamp,function,duration_ms,cpu_ms", *rows[:3]]) + "\n")
    assert "the trace says it of each call" in refused(f"{words} --environment-cpu 5")


def test_a_machine_without_a_price_is_simulated_all_the_same():
    """Its hours are told, no dollars."""
    found = document("simulate --traffic 5 --seconds 10 --nodes 1xrack:8:16 --environment-cpu 0")

    assert found["nodes"]["usd_of_run"] is None
    assert "nodes: CPU of a node is not counted" in " ".join(found["assumptions"])
