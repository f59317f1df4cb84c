"""Trouble for the harness itself: interrupted, killed, robbed of its parts. Nothing stays behind, nothing is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from harness import store

pytestmark = pytest.mark.servers

COMMAND = [sys.executable, "-m", "harness"]


class Started:
    """A ``rift run`` of ours that goes on, in a store and with leases of its own."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.folder = folder
        self.environment = os.environ | {"RIFT_RUNTIME_DIR": str(folder / "leases")}
        arguments = ["run", "--target", "refstore", "--time-limit", "20", "--seed", "7", "--name", "trouble", *more]
        self.output = open(folder / "output", "w+")  # noqa: SIM115 - read after the process ended
        self.process = subprocess.Popen(
            [*COMMAND, *arguments], cwd=folder, env=self.environment, stdout=self.output, stderr=self.output
        )

    def wait_for(self, condition: Callable[[], bool], limit_s: float = 40.0) -> None:
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline, f"never happened; the run said:\n{self.said()}"
            assert self.process.poll() is None, f"the run ended early:\n{self.said()}"
            time.sleep(0.02)

    def said(self) -> str:
        return (self.folder / "output").read_text()

    def ended(self, limit_s: float = 60.0) -> int:
        return self.process.wait(timeout=limit_s)

    @property
    def run(self) -> store.RunFolder:
        return store.find(self.folder / "store", "trouble")

    def has_operations(self, count: int = 20) -> bool:
        with suppress(Exception):
            return self.run.journal.read_bytes().count(b"\n") >= count
        return False

    def rift(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def ours(self) -> list[int]:
        """Processes that carry the mark of this folder's runs, by its data path in their command or environment."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) not in (os.getpid(), self.process.pid):
                with suppress(OSError):
                    environment = (entry / "environ").read_bytes()
                    command = (entry / "cmdline").read_bytes()
                    leases = str(self.folder).encode()
                    if b"RIFT_RUN=" in environment and (leases in command or leases in environment):
                        found.append(int(entry.name))
        return found

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.rift("heal")
        self.output.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    started: list[Started] = []

    def begin(*more: str) -> Started:
        started.append(Started(tmp_path, *more))
        return started[-1]

    yield begin
    for each in started:
        each.close()


def test_ctrl_c_takes_everything_down_and_judges_what_there_is(start: Callable[..., Started]) -> None:
    run = start()
    run.wait_for(run.has_operations)
    assert run.ours(), "the nodes of a living run carry its mark"
    run.process.send_signal(signal.SIGINT)
    assert run.ended() == 2, run.said()
    assert run.ours() == []
    loaded = store.load(run.run)
    assert loaded.state == "interrupted"
    assert len(loaded.history) >= 20
    assert loaded.verdicts
    assert (run.run.path / "report.html").exists()
    assert list(run.run.path.glob("nodes/*/log"))


def test_a_second_ctrl_c_while_cleaning_up_still_leaves_nothing(start: Callable[..., Started]) -> None:
    run = start()
    run.wait_for(run.has_operations)
    for _ in range(3):
        with suppress(ProcessLookupError):
            run.process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    assert run.ended() in (2, 3), run.said()
    assert run.ours() == []
    assert len(store.load(run.run).history) >= 20


def test_sigterm_is_as_good_as_ctrl_c(start: Callable[..., Started]) -> None:
    run = start()
    run.wait_for(run.has_operations)
    run.process.terminate()
    assert run.ended() == 2, run.said()
    assert run.ours() == []


def killed_at(run: Started, moment: Callable[[], bool]) -> None:
    run.wait_for(moment)
    run.process.kill()
    run.process.wait()
    healed = run.rift("heal")
    assert healed.returncode == 0, healed.stderr
    assert run.ours() == []
    with suppress(StopIteration):
        next((run.folder / "store").glob("trouble/*/plan.json"))
        loaded = store.load(run.run)
        _ = loaded.history.operations  # pairs, whatever was torn
        checked = run.rift("check", "trouble", "--json")
        said = {0: True, 1: False, 2: "unknown"}
        assert json.loads(checked.stdout)["valid"] == said[checked.returncode], checked.stderr
        # Killed after the last read, while judging: the history is whole.
        assert checked.returncode == 2 or loaded.state == "finished"
    again = run.rift("heal")
    assert "Nothing was left behind" in again.stdout


def test_after_kill_9_heal_leaves_nothing_and_the_history_can_be_judged(start: Callable[..., Started]) -> None:
    run = start()
    killed_at(run, run.has_operations)


def test_kill_9_before_the_first_operation_is_healed_too(start: Callable[..., Started]) -> None:
    run = start()
    killed_at(run, lambda: bool(run.ours()))


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_kill_9_at_fifty_random_moments(start: Callable[..., Started]) -> None:
    """From the first import to the last reads: whatever was going on, nothing stays and every history loads."""
    dice = random.Random(7)
    for _ in range(50):
        run = start("--time-limit", "8", "--fault-every", "3", "--fault-for", "1.5")
        deadline = time.monotonic() + dice.uniform(0.2, 16.0)
        killed_at(run, lambda: time.monotonic() >= deadline or run.process.poll() is not None)  # noqa: B023


def test_a_link_server_that_is_killed_ends_the_run_with_its_name(start: Callable[..., Started]) -> None:
    run = start()
    run.wait_for(run.has_operations)
    (server,) = [
        pid for pid in run.ours() if b"harness.links.server" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]  # fmt: skip
    os.kill(server, signal.SIGKILL)
    assert run.ended() == 3, run.said()
    assert "link server" in run.said()
    assert run.ours() == []
    assert len(store.load(run.run).history) >= 20


def test_a_node_that_somebody_else_kills_makes_the_run_unknown(start: Callable[..., Started]) -> None:
    run = start("--faults", "none", "--time-limit", "8")
    run.wait_for(run.has_operations)
    nodes = [pid for pid in run.ours() if b"refstore" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(min(nodes), signal.SIGKILL)
    assert run.ended() == 2, run.said()
    assert "no fault did it" in run.said()
    verdicts = {verdict.checker: verdict for verdict in store.load(run.run).verdicts}
    assert verdicts["died"].valid == "unknown"


def test_a_full_disk_ends_the_run_with_exit_code_3_and_leaves_nothing(
    start: Callable[..., Started], tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    small = tmp_path / "small"
    small.mkdir()
    command = f'mount -t tmpfs -o size=64k none {small} && exec "$@"'
    run = start()
    run.process.kill()
    run.process.wait()
    run.rift("heal")
    arguments = [*COMMAND, "run", "--target", "refstore", "--time-limit", "20", "--rate", "2000", "--store", str(small)]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", command, "sh", *arguments],
        cwd=tmp_path, env=run.environment, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "No space left" in done.stderr
    assert run.ours() == []
