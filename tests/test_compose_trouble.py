"""Trouble with the engine itself while a run goes on: it is restarted, it goes away, its disk is full.

Clear message, exit code 3, history and verdicts kept, nothing left behind.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import store
from tests.docker_lab import engine_for_tests
from tests.own_engine import TOXIPROXY, OwnEngine, own_engine
from tests.test_trouble import Started
from tests.toy import TOOLS

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]
Start = Callable[..., Started]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnEngine]:
    with engine_for_tests():
        own = own_engine(tmp_path_factory.mktemp("engine"), disk_mb=1200)
    try:
        own.load(TOXIPROXY, TOOLS, "rift/refstore:1")
        yield own
    finally:
        own.close()


@pytest.fixture
def start(engine: OwnEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a composed run on the engine, and wait until clients work."""
    monkeypatch.setenv("DOCKER_HOST", engine.url)
    started: list[Started] = []

    def begin(*more: str) -> Started:
        started.append(Started(tmp_path, "--testbed", "compose", *more))
        started[-1].wait_for(started[-1].has_operations, limit_s=90.0)
        return started[-1]

    yield begin
    for each in started:
        each.close()


def left(engine: OwnEngine) -> dict[str, int]:
    """How many of each kind carry a label of ours."""
    kinds = {"containers": ["ps", "-aq"], "networks": ["network", "ls", "-q"], "volumes": ["volume", "ls", "-q"]}
    asked = {kind: ["docker", "-H", engine.url, *words, "--filter", "label=rift.run"] for kind, words in kinds.items()}
    answers = {kind: subprocess.run(argv, capture_output=True, text=True, check=True) for kind, argv in asked.items()}
    return {kind: len(answer.stdout.split()) for kind, answer in answers.items()}


NOTHING = {"containers": 0, "networks": 0, "volumes": 0}


def judged_after_failure(run: Started, because: str) -> Any:
    """The run ended as one whose environment failed, and what there is was kept and judged."""
    assert run.ended(limit_s=120.0) == 3, run.said()
    assert re.search(because, run.said()), run.said()
    loaded = store.load(run.run)
    assert loaded.state == "failed"
    assert re.search(because, loaded.problem)
    assert len(loaded.history) >= 20
    assert loaded.verdicts
    assert (run.run.path / "report.html").exists()
    return loaded


def test_an_engine_restarted_in_mid_run_ends_the_run_and_nothing_is_left(engine: OwnEngine, start: Start) -> None:
    run = start()
    assert left(engine)["containers"] == 6
    engine.stop()
    engine.start()
    judged_after_failure(run, "was the engine")
    assert left(engine) == NOTHING


@pytest.mark.slow
def test_an_engine_that_is_gone_ends_the_run_and_what_it_left_is_removed_later(engine: OwnEngine, start: Start) -> None:
    run = start()
    engine.kill()
    try:
        judged_after_failure(run, "was the engine|no Docker engine answers")
        assert "not all could be removed" in run.said()
        assert "rift heal" in run.said()
        assert "no Docker engine answers" in run.rift("heal").stderr
    finally:
        engine.start()
    assert left(engine)["containers"] == 6
    assert "6 containers, 4 networks, 3 volumes" in run.rift("heal").stdout
    assert left(engine) == NOTHING


def test_a_disk_that_is_full_under_the_store_costs_no_history(engine: OwnEngine, tmp_path: Path, start: Start) -> None:
    (tmp_path / "store").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path / "store")], check=True)
    try:
        run = start()
        full(tmp_path / "store")
        assert run.ended(limit_s=60.0) == 3, run.said()
        assert "No space left on device" in run.said()
        assert left(engine) == NOTHING
        assert len(store.load(run.run).history) >= 20
        (tmp_path / "store" / "filler").unlink()
        checked = run.rift("check", "trouble")
        assert checked.returncode == 2, checked.stderr
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path / "store")], check=True)


def full(folder: Path) -> None:
    """Leave no byte free."""
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue


@pytest.mark.slow
def test_a_node_that_ends_because_the_engines_disk_is_full_is_not_held_against_it(
    engine: OwnEngine, start: Start
) -> None:
    run = start("--time-limit", "60")
    engine.inside("sh", "-c", f"cat /dev/zero >{engine.root}/filler || true")
    try:
        judged_after_failure(run, "the engine's disk is full; make room")
    finally:
        engine.inside("rm", f"{engine.root}/filler")
    assert left(engine) == NOTHING
