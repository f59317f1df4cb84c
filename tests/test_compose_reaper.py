"""A harness that dies on an engine: its reaper removes what it left, that and nothing else."""

from __future__ import annotations

import asyncio
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docker_lab import ROOT, engine_for_tests, left_of
from tests.toy import TOOLS

pytestmark = pytest.mark.docker

GONE_LIMIT_S = 10.0
"""What the project promises: so long after the end of the lease nothing is left."""
QUIET_S = 3.0
"""What an engine was asked for before the end may appear this much later."""
SCRIPT = """
import asyncio, sys
from pathlib import Path
from tests.docker_lab import composed
from tests.lab import SQUARE, Echo

async def main(run_id, folder):
    lab = composed(SQUARE, Echo(), Path(folder), run_id=run_id, say=lambda line: print(line, flush=True))
    async with lab:
        await lab.links.blackhole(lab.links.all)
        print("cut", flush=True)
        await asyncio.sleep(1000)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    with engine_for_tests() as found:
        yield found


@pytest.fixture(autouse=True)
def _leases_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIFT_RUNTIME_DIR", str(tmp_path / "leases"))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start another process that brings up a lab and cuts its links."""
    started: list[subprocess.Popen[str]] = []

    def begin(run_id: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-u", "-c", SCRIPT, run_id, str(tmp_path)]
        started.append(subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def until_it_says(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(f"it never said {words!r}")


def gone_after_s(engine: Any, run_id: str, limit_s: float) -> float:
    """How long it takes until nothing of the run is left, and nothing comes after it; infinite beyond the limit."""
    began = last_seen = time.monotonic()
    while time.monotonic() - last_seen < QUIET_S:
        if left_of(engine, run_id):
            last_seen = time.monotonic()
        if last_seen - began > limit_s:
            return float("inf")
        time.sleep(0.1)
    return last_seen - began


def test_everything_of_a_killed_harness_is_gone_in_ten_seconds_and_nothing_else(engine: Any, start: Any) -> None:
    foreign = engine.client.containers.run(TOOLS, ["sleep", "1000"], detach=True, labels={"rift.run": "another"})
    network = engine.client.networks.create("rift-not-really", labels={"somebody": "else"})
    try:
        run_id = f"test-{secrets.token_hex(4)}"
        process = start(run_id)
        until_it_says(process, "cut")
        process.kill()
        assert gone_after_s(engine, run_id, GONE_LIMIT_S) < GONE_LIMIT_S, left_of(engine, run_id)
        foreign.reload()
        assert foreign.status == "running"
        network.reload()
    finally:
        foreign.remove(force=True)
        network.remove()


def test_a_harness_that_stands_still_loses_its_lease(engine: Any, start: Any) -> None:
    """As a laptop does that is closed: the connection stays open, and nothing is said any more."""
    from harness.testbeds.containers.lease import LEASE_S

    run_id = f"test-{secrets.token_hex(4)}"
    process = start(run_id)
    until_it_says(process, "cut")
    process.send_signal(signal.SIGSTOP)
    assert gone_after_s(engine, run_id, LEASE_S + GONE_LIMIT_S) < LEASE_S + GONE_LIMIT_S, left_of(engine, run_id)


def test_heal_removes_what_is_left_when_the_reaper_is_dead_too(engine: Any, start: Any) -> None:
    run_id = f"test-{secrets.token_hex(4)}"
    process = start(run_id)
    until_it_says(process, "cut")
    assert "Nothing" in _heal(), "a living run was taken for a dead one"
    (reaper,) = engine.client.containers.list(filters={"label": [f"rift.run={run_id}", "rift.role=reaper"]})
    reaper.remove(force=True)
    process.kill()
    process.wait()
    assert left_of(engine, run_id)
    assert f"run {run_id}" in _heal()
    assert left_of(engine, run_id) == []
    assert "Nothing" in _heal()


def _heal() -> str:
    words = [sys.executable, "-m", "harness", "heal"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_a_run_whose_reaper_is_gone_says_so(engine: Any, tmp_path: Path) -> None:
    """Without it nobody would clean up, so the run must not go on in silence."""
    from tests.docker_lab import composed
    from tests.lab import SQUARE, Echo

    async def main() -> str:
        async with composed(SQUARE, Echo(), tmp_path) as lab:
            labels = [f"rift.run={lab.run_id}", "rift.role=reaper"]
            (reaper,) = engine.client.containers.list(filters={"label": labels})
            reaper.remove(force=True)
            for _ in range(100):
                if problem := await asyncio.to_thread(lab.lost):
                    return str(problem)
                await asyncio.sleep(0.1)
            return ""

    assert "lease broke" in asyncio.run(main())


def test_a_harness_killed_while_its_reaper_starts_leaves_nothing(engine: Any, start: Any) -> None:
    """The reaper's own creation is the one moment at which nobody holds a lease yet."""
    for wait_s in (0.0, 0.4, 0.7, 0.9):
        run_id = f"test-{secrets.token_hex(4)}"
        process = start(run_id)
        until_it_says(process, "Docker Engine")
        time.sleep(wait_s)
        process.kill()
        process.wait()
        assert gone_after_s(engine, run_id, GONE_LIMIT_S) < GONE_LIMIT_S, left_of(engine, run_id)
