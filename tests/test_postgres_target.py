"""The target postgres: its options and promises, and real failovers over three regions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness import drills, execute, registry
from harness.drilled import measured
from harness.errors import TestbedError, UsageError
from harness.model.run import Run
from harness.model.topology import Role, Topology
from harness.model.verdict import Valid, Verdict
from harness.testbeds import procfs
from harness.topologies import load

ROOT = Path(__file__).resolve().parent.parent
THREE = load("three-regions", ROOT / "fixtures" / "topologies")


def _missing() -> str:
    try:
        target: Any = registry.target("postgres")
        target.server()
    except TestbedError as error:
        return str(error)
    return "" if sys.modules.get("psycopg") or _has_psycopg() else "no psycopg"


def _has_psycopg() -> bool:
    import importlib.util

    return importlib.util.find_spec("psycopg") is not None


needs_postgres = pytest.mark.skipif(bool(_missing()), reason=_missing() or "-")


def mode(name: str, **options: str) -> Any:
    return registry.target("postgres", {"mode": name, **options})


# --- options and promises ------------------------------------------------------------------------


def test_a_mode_promises_what_it_can_keep() -> None:
    assert mode("async").claims.objectives.rpo_s is None
    assert not mode("async").claims.objectives.one_primary
    for name in ("remote_write", "remote_apply", "quorum"):
        assert mode(name).claims.objectives.rpo_s == 0
        assert mode(name).claims.objectives.one_primary
        assert mode(name).fence
    assert not mode("async").fence


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mode": "eventually"}, "eventually"),
        ({"colour": "red"}, "colour"),
        ({"k": "0"}, "k='0'"),
        ({"fence": "maybe"}, "fence='maybe'"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        registry.target("postgres", options)


def test_a_quorum_and_every_majority_have_a_node_in_common() -> None:
    for nodes in range(2, 8):
        topology = Topology.model_validate({"name": "one", "regions": [{"id": "a", "nodes": nodes}]})
        confirmed = mode("quorum")._confirmations(topology) + 1  # and the primary itself
        majority = nodes // 2 + 1
        assert confirmed + majority > nodes
    with pytest.raises(UsageError, match="the topology has 2"):
        mode("quorum", k="5")._confirmations(THREE)


def test_the_first_primary_is_in_the_primary_region() -> None:
    swapped = THREE.model_copy(
        update={
            "regions": tuple(
                region.model_copy(update={"role": Role.PRIMARY if region.id == "eu-west-1" else Role.SECONDARY})
                for region in THREE.regions
            )
        }
    )
    assert THREE.first_primary.id == "n1"
    assert swapped.first_primary.id == "n2"


def test_a_folder_without_a_server_is_named(tmp_path: Path) -> None:
    with pytest.raises(TestbedError, match="apt-get install postgresql"):
        mode("async", binaries=str(tmp_path)).server()


# --- real failovers ------------------------------------------------------------------------------


def drilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, **options: str) -> Run:
    """One drill, shorter than users' drills are."""
    monkeypatch.setenv("RIFT_RUNTIME_DIR", str(tmp_path / "leases"))
    asked = drills.Asked(
        target="postgres", options=options, fault=fault, seed=1, rate_hz=150, clients=24, recovery_limit_s=8
    )
    run = execute.run(drills.planned(asked), tmp_path / "store", quiet=True)
    assert not left(tmp_path), "no process stays behind"
    assert not list(run.folder.glob("nodes/*/data"))
    return run


def left(folder: Path) -> list[str]:
    """The command lines of living processes that have to do with ``folder``."""
    found = [procfs.command(one.pid) for one in procfs.processes() if not one.gone and one.pid != os.getpid()]
    return [command for command in found if str(folder) in command]


def verdict(run: Run, name: str) -> Verdict:
    return next(each for each in run.verdicts if each.checker == name)


@needs_postgres
@pytest.mark.timeout(300)
@pytest.mark.servers
def test_a_quorum_fails_over_without_loss_and_hands_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = drilled(tmp_path, monkeypatch, "kill-region", mode="quorum")
    told = measured(run)
    assert verdict(run, "rpo").valid is Valid.TRUE
    assert verdict(run, "rpo").judged
    assert told["lost"] == 0
    assert told["acknowledged"] > 100
    assert told["rto"]["append"]["slowest"]["first_success_s"] > 1.0, "an election takes longer than that"
    assert told["promotion_s"] is not None
    log = (run.folder / "nodes/n1/log").read_text()
    assert "primary in term 1" in log
    assert "follows" in log
    said = [op.value for op in run.history if op.f == "failback" and op.type == "info"]
    assert all(value["to"] == "n1" for value in said)


@needs_postgres
@pytest.mark.timeout(300)
@pytest.mark.slow
@pytest.mark.parametrize("fault", ["partition-region", "blackhole-region"])
def test_async_replication_loses_what_the_old_primary_went_on_to_acknowledge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    run = drilled(tmp_path, monkeypatch, fault, mode="async")
    rpo, split = verdict(run, "rpo"), verdict(run, "split-brain")
    assert rpo.details["lost"] > 10
    assert rpo.details["after_fault"] > 0
    assert split.details["window_s"] > 0.5
    assert not rpo.judged
    assert not split.judged


@needs_postgres
@pytest.mark.timeout(300)
@pytest.mark.slow
@pytest.mark.parametrize("name", ["remote_write", "remote_apply", "quorum"])
def test_confirmed_writes_survive_a_silent_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    run = drilled(tmp_path, monkeypatch, "blackhole-region", mode=name)
    assert verdict(run, "rpo").valid is Valid.TRUE, verdict(run, "rpo").summary
    assert verdict(run, "split-brain").valid is Valid.TRUE
    assert "fenced" in (run.folder / "nodes/n1/log").read_text()


@needs_postgres
@pytest.mark.timeout(300)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        ("never-catches-up", "behind"),
        ("promotion-fails", "the promotion failed half way"),
        ("keeps-leading", ""),
        ("does-not-start", "the database does not start"),
    ],
)
def test_planted_trouble_ends_in_a_finding_and_everything_is_cleaned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str, says: str
) -> None:
    fault = "partition-region" if trouble == "keeps-leading" else "kill-region"
    replication = "async" if trouble == "keeps-leading" else "quorum"
    run = drilled(tmp_path, monkeypatch, fault, mode=replication, trouble=trouble)
    evidence = (run.folder / "run.log").read_text() + "".join(log.read_text() for log in run.folder.glob("nodes/*/log"))
    assert says in evidence
    if trouble == "keeps-leading":
        assert verdict(run, "split-brain").valid is Valid.FALSE
        assert verdict(run, "split-brain").details["left_over"] > 0
    elif trouble == "promotion-fails":
        assert measured(run)["rto"]["append"]["slowest"]["steady_s"] is not None, "another one is elected"
    else:
        assert run.valid is not Valid.TRUE


@needs_postgres
@pytest.mark.timeout(300)
@pytest.mark.slow
def test_nothing_is_left_when_the_harness_is_killed(tmp_path: Path) -> None:
    env = {**os.environ, "RIFT_RUNTIME_DIR": str(tmp_path / "leases"), "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "harness", "drill", "--store", str(tmp_path / "store"), "--seed", "1"]
    with subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as harness:
        deadline = time.monotonic() + 60
        while not any("postgres -D" in command for command in left(tmp_path)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        harness.send_signal(signal.SIGKILL)
    while left(tmp_path):
        assert time.monotonic() < deadline, left(tmp_path)
        time.sleep(0.05)
