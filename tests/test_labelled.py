"""Somebody's own compose file: what its labels mean, and what is said when they do not do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import cli, registry
from harness.errors import UsageError
from harness.model.labelled import read
from harness.planning import plans
from tests.docker_lab import HOME, composed, engine_for_tests, left_of

EXAMPLE = Path(__file__).resolve().parent.parent / "docs" / "examples" / "own-compose" / "compose.yaml"


def services(**each: dict[str, Any]) -> dict[str, Any]:
    return {"services": {name.replace("_", "-"): body for name, body in each.items()}}


GOOD: dict[str, Any] = {
    "image": "db:1",
    "labels": {"rift.region": "east", "rift.node": "n1", "rift.port.sql": "5432", "rift.ping": "hi\\r\\n"},
    "volumes": ["./db.conf:/etc/db.conf:ro", "store:/var/lib/db"],
    "ports": ["5432:5432"],
}


def test_a_service_with_labels_is_a_node() -> None:
    (member,) = read(services(db_east=GOOD)).members
    assert (member.service, member.region, member.node) == ("db-east", "east", "n1")
    assert member.ports == {"sql": 5432}
    assert member.ping == b"hi\r\n"
    assert member.data == "/var/lib/db"
    assert "ports" not in member.body


def test_labels_may_be_a_list() -> None:
    listed = GOOD | {"labels": [f"{key}={value}" for key, value in GOOD["labels"].items()]}
    assert read(services(db=listed)).members[0].ports == {"sql": 5432}


def test_a_port_may_speak_udp() -> None:
    labels = GOOD["labels"] | {"rift.port.gossip": "7946/udp"}
    (member,) = read(services(db=GOOD | {"labels": labels})).members
    assert (member.ports, member.udp) == ({"sql": 5432, "gossip": 7946}, frozenset({"gossip"}))


PROBED = "links are probed over TCP"
FIFTY = "service db: label rift.port.sql is 'fifty'; write a port, 1 to 65535, /udp behind it for UDP"


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"rift.region": None}, "service db: label rift.region is missing"),
        ({"rift.port.sql": "fifty"}, FIFTY),
        (
            {"rift.port.sql": "5432/udp"},
            "service db: label rift.port.sql is first and speaks UDP; links are probed over TCP",
        ),
        ({"rift.port.sql": None}, 'service db: no label rift.port.<name>, e.g. rift.port.client: "5432"'),
        ({"rift.ready": "soon"}, "service db: label rift.ready is 'soon'; write tcp or http:/path"),
        ({"rift.regoin": "east"}, "service db: unknown label rift.regoin"),
    ],
)
def test_a_wrong_label_is_named_with_its_value(changed: dict[str, str | None], problem: str) -> None:
    labels = {key: value for key, value in (GOOD["labels"] | changed).items() if value is not None}
    assert problem in read(services(db=GOOD | {"labels": labels})).problems


def test_two_services_cannot_be_the_same_node() -> None:
    assert read(services(a=GOOD, b=GOOD)).problems == ("services a and b both say rift.node: n1",)


@pytest.mark.parametrize("data", [None, [], {}, {"services": {}}])
def test_what_is_no_compose_file_is_called_so(data: Any) -> None:
    assert read(data).problems == ("it has no services; is it a compose file?",)


def test_doctor_says_what_is_missing_and_ends_with_wrong_usage(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(yaml.safe_dump(services(db=GOOD | {"labels": {"rift.node": "n1"}}, web={"image": "web:1"})))
    assert cli._exit_code(["doctor", str(file)]) == 4
    said = capsys.readouterr().out
    assert "service db: label rift.region is missing" in said
    assert "service web: no label rift.region, so it is left out" in said
    assert cli._exit_code(["doctor", str(EXAMPLE)]) == 0
    assert "n2     eu-west-1" in capsys.readouterr().out


def test_the_example_becomes_the_services_of_a_run() -> None:
    from harness.testbeds.containers import composing, subnets

    target: Any = registry.target("composed", {"file": str(EXAMPLE), "client": "etcd"})
    topology = plans.topology("three-regions")
    plan = subnets.choose(topology, target.ports, ())
    found = {node.id: target.service(composing.place(node, topology, plan, 1)) for node in topology.nodes}
    base = yaml.safe_load((HOME / "base.yaml").read_text())
    data = composing.composed("r1", base, topology, plan, found)
    first = data["services"]["n1"]
    assert first["image"] == "quay.io/coreos/etcd:v3.5.1"
    assert first["environment"]["ETCD_NAME"] == "us"
    assert first["volumes"] == ["n1:/etcd-data"]
    assert first["extra_hosts"]["etcd-us"] != data["services"]["n2"]["extra_hosts"]["etcd-us"]
    assert first["restart"] == "no"
    assert target.speaks >= {"read", "write", "cas"}


def test_a_topology_that_does_not_fit_is_told_which_label_is_wanted() -> None:
    from harness.testbeds.containers import composing, subnets

    target: Any = registry.target("composed", {"file": str(EXAMPLE), "client": "etcd"})
    topology = plans.topology("five-regions")
    plan = subnets.choose(topology, target.ports, ())
    n2 = composing.place(topology.nodes[1], topology, plan, 1)
    with pytest.raises(UsageError, match=rf"label a service rift.node: n2 and rift.region: {n2.node.region}"):
        target.service(n2)


@pytest.mark.docker
async def test_the_example_runs_unchanged(tmp_path: Path) -> None:
    target: Any = registry.target("composed", {"file": str(EXAMPLE), "client": "etcd"})
    with engine_for_tests() as engine:
        lab = composed(plans.topology("three-regions"), target, tmp_path)
        async with lab:
            assert await lab.leader() in {"n1", "n2", "n3"}
        assert left_of(engine, lab.run_id) == []


@pytest.mark.parametrize("client", ["etcd", "nats", "redis", "postgres", "patroni", "refstore"])
def test_any_other_targets_clients_can_speak_to_it(client: str) -> None:
    target: Any = registry.target("composed", {"file": str(EXAMPLE), "client": client})
    assert target.speaks == registry.target(client).speaks
