"""The suites for stores over regions on composed regions: the same scenarios, the same bugs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness import registry
from tests.docker_lab import engine_for_tests

pytestmark = pytest.mark.docker

SUITES = registry.home("suites")
ORDER = str(SUITES / "failover/test_promotion_order.py")
EDGES = str(SUITES / "routing/test_edges.py")


def suite(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The suites as a user runs them; bringing many regions up takes long on a busy machine."""
    command = [sys.executable, "-m", "pytest", *words, "-q", "-p", "no:cacheprovider", "--store", str(tmp_path)]
    command += ["--target", "refregion", "--testbed", "compose", "--seed", "7", "--timeout", "280"]
    with engine_for_tests():
        return subprocess.run(command, cwd=SUITES.parent, capture_output=True, text=True, check=False, timeout=300)


def passed(row: str, output: str) -> bool:
    return any(line.split()[:2] == [row, "pass"] for line in output.splitlines())


@pytest.mark.timeout(320)
def test_a_failover_keeps_its_guarantees_on_composed_regions_too(tmp_path: Path) -> None:
    done = suite(tmp_path, ORDER, "-k", "killed")
    assert done.returncode == 0, done.stdout
    for row in ("MRA-6", "MRA-7"):
        assert passed(row, done.stdout), done.stdout


@pytest.mark.slow
@pytest.mark.timeout(320)
def test_a_planted_bug_is_found_on_composed_regions_too(tmp_path: Path) -> None:
    done = suite(tmp_path, ORDER, "-k", "killed", "--target-option", "bug=routes-before-promotion")
    assert done.returncode == 1, done.stdout
    assert "✗ MRA-6" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(320)
def test_caches_in_networks_of_their_own_walk_up_and_survive_their_parent(tmp_path: Path) -> None:
    done = suite(tmp_path, EDGES, "-k", "old_anywhere or kill")
    assert done.returncode == 0, done.stdout
    for row in ("MRA-34", "MRA-37"):
        assert passed(row, done.stdout), done.stdout
