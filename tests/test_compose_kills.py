"""Whole runs killed with -9 at random moments: after ten seconds nothing of them is on the engine or this machine."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.testbeds.containers import labels
from tests.docker_lab import ROOT, engine_for_tests

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]

KILLS = 10
LATEST_S = 30.0
"""From the first contact with the engine to well into the faults."""
GONE_LIMIT_S = 10.0
RUN = ["run", "--testbed", "compose", "--target", "refstore", "--time-limit", "60", "--fault-every", "4"]
FAULTS = ["--fault-for", "2", "--faults", "partition-region,drop-region,kill-node,disconnect-region"]


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    with engine_for_tests() as found:
        yield found


def traces(engine: Any, leases: Path) -> list[str]:
    """Everything there is of the runs whose leases lie in that folder: on the engine by label, on this machine by the
    devices and the filter rules of their networks."""
    mine = {"label": f"{labels.LEASES}={leases}"}
    client = engine.client
    containers = engine.call(client.containers.list, all=True, filters=mine, sparse=True)
    networks = engine.call(client.networks.list, filters=mine)
    volumes = engine.call(client.volumes.list, filters=mine)
    return [f"{type(one).__name__} {one.id[:20]}" for one in (*containers, *networks, *volumes)]


def on_this_machine(bridges: set[str]) -> list[str]:
    """Which of the networks' bridges are still devices here, or in a rule of the machine's own filter."""
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout
    return [name for name in bridges if Path("/sys/class/net", name).exists() or name in rules]


def bridges_of(engine: Any, leases: Path) -> set[str]:
    networks = engine.call(engine.client.networks.list, filters={"label": f"{labels.LEASES}={leases}"})
    return {f"br-{network.id[:12]}" for network in networks}


def test_ten_runs_killed_at_random_moments_leave_nothing(engine: Any, tmp_path: Path) -> None:
    """The seed changes with the day; a failure names it. ``pytest -s`` shows each kill."""
    seed = int(os.environ.get("RIFT_KILL_SEED") or time.time() // 86400)
    dice, leases = random.Random(seed), tmp_path / "leases"
    environment = os.environ | {"RIFT_RUNTIME_DIR": str(leases)}
    for kill in range(KILLS):
        output = (tmp_path / f"output-{kill}").open("w+")
        words = [sys.executable, "-m", "harness", *RUN, *FAULTS, "--store", str(tmp_path / "store")]
        process = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=output, stderr=output)
        until_it_says(process, output, "Docker Engine")
        moment = time.monotonic() + dice.uniform(0.0, LATEST_S)
        bridges: set[str] = set()
        while time.monotonic() < moment and process.poll() is None:
            bridges |= bridges_of(engine, leases)
            time.sleep(0.2)
        assert process.poll() is None, said(output)
        process.kill()
        process.wait()
        took_s = gone_after_s(engine, leases)
        last = said(output).strip().splitlines()[-1].strip()
        print(f"kill {kill + 1} of seed {seed}: gone after {took_s:.1f} s, {len(bridges)} networks; last: {last[:80]}")
        assert took_s < GONE_LIMIT_S, (seed, kill, traces(engine, leases))
        assert on_this_machine(bridges) == []


def until_it_says(process: subprocess.Popen[bytes], output: Any, words: str) -> None:
    while words not in said(output):
        assert process.poll() is None, said(output)
        time.sleep(0.02)


def said(output: Any) -> str:
    return Path(output.name).read_text()


def gone_after_s(engine: Any, leases: Path, quiet_s: float = 3.0) -> float:
    """How long it takes until nothing is left and nothing comes after it; infinite beyond twice the limit."""
    began = last_seen = time.monotonic()
    while time.monotonic() - last_seen < quiet_s:
        if traces(engine, leases):
            last_seen = time.monotonic()
        if last_seen - began > 2 * GONE_LIMIT_S:
            return float("inf")
        time.sleep(0.1)
    return last_seen - began
