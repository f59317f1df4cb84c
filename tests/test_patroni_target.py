"""The target patroni: its options and promises, and real clusters over three regions."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.contracts import Address, Place
from harness.drills.planned import Asked, planned
from harness.errors import TestbedError, UsageError
from harness.model.op import invoke
from harness.model.run import Run
from harness.planning.topologies import load
from harness.running import execute
from harness.testbeds import hosts
from tests.real_servers import FIXTURES, client_at, cluster, leads, until_done

THREE = load("three-regions", FIXTURES / "topologies")
PORTS = {"pg": 5432, "rest": 8008, "client": 2379, "peer": 2380}


def _missing() -> str:
    if importlib.util.find_spec("psycopg") is None:
        return "no psycopg"
    try:
        target: Any = registry.target("patroni")
        target.server()
    except TestbedError as error:
        return str(error)
    return hosts.refused()


needs_patroni = pytest.mark.skipif(bool(_missing()), reason=_missing() or "-")


def place(node: int, folder: Path) -> Place:
    listen = {name: Address(f"127.250.0.{node + 1}", number) for name, number in PORTS.items()}
    reach = {
        node.id: {name: Address(f"127.250.1.{node.index + 1}", number) for name, number in PORTS.items()}
        for node in THREE.nodes
    }
    names = {node.id: f"{node.id}.rift.test" for node in THREE.nodes}
    return Place(THREE.nodes[node], THREE, folder, listen, reach, names)


# --- options and promises ------------------------------------------------------------------------


def test_only_the_synchronous_mode_promises_that_nothing_is_lost() -> None:
    assert registry.target("patroni").claims.objectives.rpo_s == 0
    assert registry.target("patroni").claims.objectives.one_primary
    loose = registry.target("patroni", {"mode": "async"}).claims.objectives
    assert loose.rpo_s is None
    assert not loose.one_primary
    assert loose.rto_s is None, "Patroni's documents promise no time"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mode": "quorum"}, "mode='quorum'; write one of async, sync"),
        ({"ttl_s": "5"}, "ttl_s='5'; write a whole number of seconds, 20 or more"),
        ({"ttl": "30"}, "option 'ttl' is unknown; write one of mode, ttl_s, binaries"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        registry.target("patroni", options)


@pytest.mark.parametrize("node", [0, 1])
def test_a_new_node_waits_for_the_first_primary_and_a_lease_outlasts_two_tries(tmp_path: Path, node: int) -> None:
    target: Any = registry.target("patroni", {"ttl_s": "33"})
    service = target.service(place(node, tmp_path))
    config = json.loads(service.files["/etc/patroni_node.json"])
    timing = config["settings"]["bootstrap"]["dcs"]

    assert config["after"] == ("http://127.250.1.1:8008/primary" if node else "")
    assert timing["ttl"] == 33
    assert timing["loop_wait"] + 2 * timing["retry_timeout"] <= 20, "Patroni would choose other times"
    assert timing["synchronous_mode"]


# --- real servers --------------------------------------------------------------------------------


@needs_patroni
@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_write_is_there_after_a_switchover(tmp_path: Path) -> None:
    """Also that the standbys are ready only when they follow, and that nobody is left behind."""
    target: Any = registry.target("patroni", {"mode": "sync"})
    async with cluster(target, THREE, tmp_path) as lab:
        assert await lab.leader() == "n1"
        async with client_at(target, lab.seat("eu-west-1", "n2")) as client:
            await until_done(client, invoke("append", 7, key=0))

            await target.hand_over(lab.seats(), "n3")
            await leads(lab, lambda node: node == "n3")

            await until_done(client, invoke("append", 8, key=0))
        assert await target.complaints(lab.seats()) == {}
        async with client_at(target, lab.seat("ap-southeast-1", "n3")) as client:
            shown = await client.invoke(invoke("entries", key=0))
            assert [value for value in dict.fromkeys(shown) if value in (7, 8)] == [7, 8]


def drilled(folder: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> Run:
    """A region is cut off for longer than a lease lasts."""
    monkeypatch.setenv("RIFT_RUNTIME_DIR", str(folder / "leases"))
    asked = Asked(
        target="patroni", options={"mode": mode}, fault="partition-region", hold_s=35, seed=1, rate_hz=150, clients=24
    )
    return execute.run(planned(asked), folder / "store", quiet=True)


@needs_patroni
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_primary_that_is_cut_off_loses_what_only_it_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on until it gives the lease up; with a synchronous standby it acknowledges nothing meanwhile."""
    lost = {}
    for mode in ("async", "sync"):
        run = drilled(tmp_path / mode, monkeypatch, mode)
        verdict = next(each for each in run.verdicts if each.checker == "rpo")
        lost[mode] = verdict.details["lost"]
    assert lost["async"] > 0
    assert lost["sync"] == 0
