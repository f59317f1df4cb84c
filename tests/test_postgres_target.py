"""The target postgres: its options and promises, and real failovers over three regions."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.drills.figures import measured
from harness.drills.outcomes import Drilled
from harness.drills.planned import Asked, planned
from harness.drills.told import line
from harness.errors import TestbedError, UsageError
from harness.model.run import Run
from harness.model.topology import Role, Topology
from harness.model.verdict import Valid, Verdict
from harness.planning.topologies import load
from harness.running import execute
from harness.testbeds import procfs

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
    asked = Asked(target="postgres", options=options, fault=fault, seed=1, rate_hz=150, clients=24, recovery_limit_s=8)
    run = execute.run(planned(asked), tmp_path / "store", quiet=True)
    assert not left(tmp_path), "no process stays behind"
    assert not list(run.folder.glob("nodes/*/data"))
    return run


def left(folder: Path) -> list[str]:
    """The command lines of living processes that have to do with ``folder``."""
    found = [procfs.command(one.pid) for one in procfs.processes() if not one.gone and one.pid != os.getpid()]
    return [command for command in found if str(folder) in command]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


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
@pytest.mark.servers
async def test_a_database_that_does_not_start_says_why(tmp_path: Path) -> None:
    """One node by itself: its primary is killed, its control file is damaged, and it is started again."""
    (port, control), n1 = free_ports(2), tmp_path / "n1"
    n1.mkdir(mode=0o700)
    at = {"pg": ["127.0.0.1", port], "control": ["127.0.0.1", control]}
    config = {
        "id": "n1", "data_dir": str(n1), "binaries": str(Path(mode("async").server()).parent), "mode": "async",
        "fence": False, "confirmations": 0, "first": "n1", "listen": at, "reach": {"n1": at}, "rtt_s": 0.001,
        "trouble": "does-not-start",
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert await said_of_itself(tmp_path, control, until="") == ""
    assert "the database does not start: exit code" in (why := await said_of_itself(tmp_path, control, until="start:"))
    assert "pg_control" in why, "the server's own words"
    assert not left(tmp_path)


async def said_of_itself(folder: Path, control: int, until: str) -> str:
    """Start the node, and kill it once what it lacks contains ``until`` (empty: once it lacks nothing)."""
    words = [sys.executable, str(ROOT / "fixtures/servers/pgfailover"), "--config", str(folder / "config.json")]
    node = await asyncio.create_subprocess_exec(*words, stderr=subprocess.DEVNULL)
    missing = "it was not asked yet"
    try:
        async with asyncio.timeout(60):
            while missing if not until else until not in missing:
                await asyncio.sleep(0.05)
                with suppress(OSError, ValueError):
                    reader, writer = await asyncio.open_connection("127.0.0.1", control)
                    writer.write(b'{"ask": "status"}\n')
                    missing = json.loads(await reader.readline())["missing"]
                    writer.close()
    finally:
        node.kill()
        await node.wait()
    async with asyncio.timeout(10):  # the kernel ends the database with its controller
        while left(folder):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return str(missing)


@needs_postgres
@pytest.mark.timeout(300)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "node", "says"),
    [
        ("never-catches-up", "n3", "bytes behind"),
        ("full-disk", "n3", "its disk is full"),
        ("does-not-start", "n1", "the database does not start: exit code"),
    ],
)
def test_a_node_that_does_not_come_back_leaves_the_drill_unknown_with_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str, node: str, says: str
) -> None:
    run = drilled(tmp_path, monkeypatch, "kill-region", mode="quorum", trouble=trouble)
    recovery = verdict(run, "recovery")
    assert says in recovery.details["unready"][node]
    assert f"{node} did not recover: " in recovery.cause
    assert run.valid.exit_code == 2
    assert says in line(Drilled(1, run.valid, str(run.folder), "", measured(run)))
    assert says in (run.folder / "report.html").read_text()
    assert verdict(run, "rpo").valid is not Valid.FALSE, "nothing was lost, though not every region has it"


@needs_postgres
@pytest.mark.timeout(300)
@pytest.mark.slow
def test_a_promotion_that_fails_half_way_is_told_and_another_one_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = drilled(tmp_path, monkeypatch, "kill-region", mode="quorum", trouble="promotion-fails")
    told = measured(run)
    failed = [said for said in told["trouble"] if "promotion" in said["why"]]
    assert failed
    assert {said["node"] for said in failed} == {"n2"}
    assert "the promotion failed half way: the database ended, exit code 1: could not" in failed[0]["why"]
    assert "the promotion failed half way" in line(Drilled(1, run.valid, "", "", told))
    assert "the promotion failed half way" in (run.folder / "report.html").read_text()
    assert told["rto"]["append"]["slowest"]["steady_s"] is not None, "another one is elected"
    assert verdict(run, "rpo").valid is not Valid.FALSE


@needs_postgres
@pytest.mark.timeout(300)
@pytest.mark.slow
def test_two_primaries_that_are_left_over_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = drilled(tmp_path, monkeypatch, "partition-region", mode="async", trouble="keeps-leading")
    split, told = verdict(run, "split-brain"), measured(run)
    assert split.valid is Valid.FALSE
    assert split.details["left_over"] > 0
    assert "still leads in term 1, though" in told["unready"]["n1"]
    assert told["lacking"].keys() == {"us-east-1", "eu-west-1", "ap-southeast-1"}
    assert told["divided"] == sum(told["divided_by_key"].values()) > 0
    assert run.valid.exit_code == 2, "asynchronous replication does not promise one primary"


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
