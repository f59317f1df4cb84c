"""The compose file of a run: the base from ``compose/base.yaml``, the topology's networks, the target's nodes.

Pure data. The file that comes out stays in the run's folder and is what the engine was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from harness.contracts import Place, Port, Service
from harness.model.topology import Node, Topology
from harness.testbeds import faketime
from harness.testbeds.containers import labels
from harness.testbeds.containers.doors import Doors
from harness.testbeds.containers.subnets import CONTROL_PORT, Subnets

Data = dict[str, Any]

DATA: Final = "/data"
EMBEDDED: Final = "rift/links:1"
"""The image of the embedded link server, in the real one's place when it is wanted."""
INSIDE: Final = "/rift"
"""Where programs of ours lie in our own containers."""
CLOCKS: Final = "/rift-clocks"
"""Where nodes find what time it is for them, and the library that tells it, when their clocks are to be moved."""
_CLOCKS_VOLUME: Final = "rift-clocks"
LIBRARY: Final = f"{CLOCKS}/libfaketime.so.1"
_LOGGING: Final = {"driver": "json-file", "options": {"max-size": "50m", "max-file": "2"}}


def name_of(node_id: str) -> str:
    """The host name of a node. ``.test`` is reserved (RFC 6761): it never meets a real host."""
    return f"{node_id}.rift.test"


def project(run_id: str) -> str:
    """What compose calls the run; starts the name of everything of it."""
    return f"rift-{run_id}"


def control_network() -> str:
    """The network in which the link server takes orders; no node is in it."""
    return "control"


def composed(
    run_id: str,
    base: Data,
    topology: Topology,
    subnets: Subnets,
    services: Mapping[str, Service],
    seed: int = 0,
    clocks: bool = False,
    doors: Doors | None = None,
) -> Data:
    """The whole file. ``services`` says for every node id what it runs; ``seed`` is the embedded link server's. With
    ``clocks`` every node runs by a clock of its own.

    With ``doors``, the network of control is no internal one: an engine publishes nothing of those. No node is in it.
    """
    mine = labels.of_run(run_id)
    networks = {control_network(): subnets.control, **subnets.of_region}
    data: Data = {"services": deepcopy(base["services"])}
    data["networks"] = {
        name: {
            "internal": not (doors and name == control_network()),
            "labels": mine | ({labels.REGION: name} if name in subnets.of_region else {}),
            "ipam": {"config": [{"subnet": str(subnet), "gateway": subnets.gateway(subnet)}]},
        }
        for name, subnet in networks.items()
    }
    data["volumes"] = {}
    links, wires = data["services"]["links"], data["services"]["wires"]
    links |= _link_server(subnets, links["image"] == EMBEDDED, seed)
    links["networks"] = {name: {"ipv4_address": subnets.links_at(subnet)} for name, subnet in networks.items()}
    links["labels"] = mine | {labels.ROLE: "links"}
    if doors:
        links["ports"] = doors.published()
    sections = subnets.link_hosts(), subnets.aliases(), _beacons(topology, subnets)
    wires["command"] = ["python3", f"{INSIDE}/wires.py", *sections[0], "--", *sections[1], "--", *sections[2]]
    wires["labels"] = mine | {labels.ROLE: "wires"}
    hosts = {region: _hosts(region, topology, subnets, services) for region in topology.region_ids}
    for node in topology.nodes:
        service = _node(run_id, node, subnets, services[node.id], hosts[node.region])
        data["services"][node.id] = service
        for volume in (each.partition(":")[0] for each in service["volumes"] if isinstance(each, str)):
            if volume[0] not in "./~":
                data["volumes"][volume] = {"labels": mine | {labels.NODE: node.id}}
    if clocks:
        data["volumes"][_CLOCKS_VOLUME] = {"labels": mine}
        wires.setdefault("volumes", []).append(f"{_CLOCKS_VOLUME}:{CLOCKS}")
        for node in topology.nodes:
            _by_own_clock(data["services"][node.id], node.id)
    return data


def _by_own_clock(service: Data, node_id: str) -> None:
    given = service["environment"] or {}
    environment = given if isinstance(given, Mapping) else dict(each.partition("=")[::2] for each in given)
    preload = environment.get("LD_PRELOAD") or ""
    service["environment"] = {**environment, **faketime.environment(LIBRARY, f"{CLOCKS}/{node_id}", preload)}
    service["volumes"].append(f"{_CLOCKS_VOLUME}:{CLOCKS}:ro")


def _link_server(subnets: Subnets, embedded: bool, seed: int) -> Data:
    more = [f"--seed={seed}"] if embedded else ["-proxy-metrics"]
    return {
        "command": [f"--host={subnets.control_address.host}", f"--port={CONTROL_PORT}", *more],
        "environment": {"LOG_LEVEL": "warn"},
    }


def _beacons(topology: Topology, subnets: Subnets) -> Sequence[str]:
    return [str(part) for region in topology.region_ids for part in vars(subnets.beacon(region)).values()]


def _node(run_id: str, node: Node, subnets: Subnets, service: Service, hosts: dict[str, str]) -> Data:
    own = {labels.ROLE: "node", labels.NODE: node.id, labels.REGION: node.region}
    data: Data = {
        **service.more,
        "hostname": node.id,
        "labels": labels.of_run(run_id) | own,
        "networks": {node.region: {"ipv4_address": next(iter(subnets.listen(node).values())).host}},
        "extra_hosts": hosts,
        "volumes": [f"{node.id}:{service.data}", *(_own(node, each) for each in service.more.get("volumes", ()))],
        "logging": _LOGGING,
        "restart": "no",
    }
    data.setdefault("environment", {"TZ": "UTC", **service.env})
    optional = {"image": service.image, "command": list(service.command), "user": service.user}
    data |= {key: value for key, value in optional.items() if value}
    if service.entrypoint is not None:
        data["entrypoint"] = list(service.entrypoint)
    return data


def _own(node: Node, volume: Any) -> Any:
    """A named volume that several services share in somebody's file is one per node here."""
    if isinstance(volume, str) and ":" in volume and volume[0] not in "./~":
        return f"{node.id}-{volume}"
    return volume


def _hosts(region: str, topology: Topology, subnets: Subnets, services: Mapping[str, Service]) -> dict[str, str]:
    """Every name of every node, as it is found from ``region``."""
    return {
        name: _host(subnets, region, node)
        for node in topology.nodes
        for name in (name_of(node.id), *services[node.id].names)
    }


def _host(subnets: Subnets, region: str, node: Node) -> str:
    return next(iter(subnets.reach(region, node).values())).host


def place(node: Node, topology: Topology, subnets: Subnets, seed: int) -> Place:
    """What a node that becomes a container needs to know."""
    from pathlib import Path

    return Place(
        node=node,
        topology=topology,
        data_dir=Path(DATA),
        listen=subnets.listen(node),
        reach={other.id: subnets.reach(node.region, other) for other in topology.nodes},
        name_of={other.id: name_of(other.id) for other in topology.nodes},
        seed=seed,
    )


def named_ports(ports: Sequence[Port]) -> dict[str, int]:
    """Port names to numbers."""
    return {port.name: port.number for port in ports}
