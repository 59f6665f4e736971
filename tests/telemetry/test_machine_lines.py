"""What the log says of Lambda's CPU law: how it is enforced, and when this machine has too little for it."""

import json
from dataclasses import replace

import pytest

from engine.core.engine_events import CpuLimited, CpuMeasured
from engine.telemetry.machine_lines import machine_line, machine_record

LIMITED = CpuLimited(function="f", mechanism="cpu.cfs_quota_us", cores=2, memory_mb=128, fit=27)
SHORT = CpuMeasured(
    function="f", got_s=0.55, promised_s=1.0, environments=50, memory_mb=128, fit=27, worse=True
)


def test_the_mechanism_and_how_many_fit_are_said():
    expected = (
        "[engine] f: CPU as on Lambda, by cpu.cfs_quota_us: 27 environments of 128 MB can be at work at "
        "once on 2 cores\n"
    )

    assert expected == machine_line(LIMITED)


def test_a_share_that_is_too_small_is_said_with_its_reason():
    expected = (
        "[engine] f: this machine gives 55% of the CPU that Lambda would give: 50 environments of 128 MB "
        "are at work, and 27 can be; durations are that much longer\n"
    )

    assert expected == machine_line(SHORT)
    assert "" == machine_line(replace(SHORT, worse=False))
    assert "give: other programs use it; durations" in machine_line(replace(SHORT, environments=2))


@pytest.mark.parametrize(
    ("notice", "members"),
    [
        (LIMITED, {"mechanism": "cpu.cfs_quota_us", "cores": 2, "fit": 27}),
        (SHORT, {"share": 0.55, "fit": 27}),
    ],
)
def test_a_log_of_json_has_the_numbers(notice, members):
    record = json.loads(json.dumps(machine_record(notice)))

    assert members == {name: record[name] for name in members}
    assert {} == machine_record(replace(SHORT, worse=False))
