"""Trouble below TCP on the local testbed: in a network namespace of its own, whose filter is not the machine's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import MissingPower
from harness.testbeds import namespaces
from harness.testbeds.inside import packets

ROOT = Path(__file__).resolve().parent.parent
allowed_here = pytest.mark.skipif(bool(namespaces.refused()), reason=f"no namespace: {namespaces.refused()}")


def in_namespace(*argv: str, timeout_s: float = 240.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        namespaces.command(sys.executable, *argv), cwd=ROOT, capture_output=True, text=True, timeout=timeout_s
    )


def test_a_drop_takes_both_halves_of_a_path_and_a_one_way_drop_one_direction() -> None:
    both = packets.rules([("127.1.2.3", "127.1.101.3", "upstream", "lose", 1.0)]).splitlines()
    assert both[3:-1] == [
        "-A RIFT-INPUT -d 127.1.2.3/32 -j DROP",
        "-A RIFT-OUTPUT -p tcp -m conntrack --ctorigdst 127.1.101.3 --ctdir ORIGINAL -j DROP",
    ]
    back = packets.rules([("127.1.2.3", "127.1.101.3", "downstream", "lose", 1.0)]).splitlines()
    assert back[3:-1] == [
        "-A RIFT-OUTPUT -s 127.1.2.3/32 -j DROP",
        "-A RIFT-INPUT -p tcp -m conntrack --ctorigdst 127.1.101.3 --ctdir REPLY -j DROP",
    ]


def test_corruption_changes_one_bit_and_leaves_the_checksum_wrong() -> None:
    packet = bytes(range(60))
    changed = packets.corrupted(packet)
    assert len(changed) == 60
    assert sum((a ^ b).bit_count() for a, b in zip(packet, changed, strict=True)) == 1


@allowed_here
@pytest.mark.slow
@pytest.mark.parametrize("fault", ["drop-region", "packet-corruption"])
def test_faults_on_packets_bite_and_heal_in_a_namespace_of_ones_own(fault: str) -> None:
    done = in_namespace("-m", "pytest", "-q", "tests/test_faults.py", "-k", f"{fault} and (bites or nothing_is_found)")
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@allowed_here
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_fault_passes_every_test_in_a_namespace_of_ones_own() -> None:
    done = in_namespace("-m", "pytest", "-q", "-rs", "tests/test_faults.py", timeout_s=900)
    assert done.returncode == 0, done.stdout
    assert "no power packets" not in done.stdout


@allowed_here
def test_the_machines_own_filter_is_not_touched() -> None:
    """What is done inside is not seen outside, and this process does not think itself inside."""
    before = Path("/proc/net/ip_tables_names").read_text() if Path("/proc/net/ip_tables_names").exists() else ""
    program = "from harness.testbeds import namespaces; from harness.testbeds.inside import packets;"
    program += "packets.set_rules([('127.0.0.1', '', 'upstream', 'lose', 1.0)]); print(namespaces.inside())"
    done = in_namespace("-c", program)
    assert done.stdout.strip() == "True", done.stderr
    after = Path("/proc/net/ip_tables_names").read_text() if Path("/proc/net/ip_tables_names").exists() else ""
    assert (before, namespaces.inside()) == (after, False)


def test_a_fault_on_packets_without_a_namespace_says_what_to_do() -> None:
    from harness.planning import parts, plans

    plan = plans.plan(target="refstore", faults="drop-region", seed=1)
    with pytest.raises(MissingPower, match=r"drop-region needs packets, which testbed local does not offer here"):
        parts.complete(plan)
    assert "packet-loss" not in plans.plan(target="refstore", faults="all", seed=1).faults
    assert "packet-loss" in plans.plan(target="refstore", faults="all", seed=1, testbed="compose").faults
