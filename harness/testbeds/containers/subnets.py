"""Which addresses a composed run uses: one /24 network per region, and one for the control of the links.

In the network of region ``r``, node ``i`` of the whole topology is found at host number ``i + 1``: the node itself at
home, its link elsewhere. So every node keeps its port numbers everywhere. Beacons and the links to them follow the
same pattern from 200 on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from harness.contracts import Address, Port
from harness.errors import TestbedError, UsageError
from harness.model.topology import Node, Topology

POOL: Final = "198.18.0.0/15"
"""Set aside for tests of networks (RFC 2544), so that no office or home uses it. ``RIFT_SUBNETS`` names another."""
ALIASES: Final = "100.64"
"""Addresses that mean something inside the link server's container only (RFC 6598)."""
MAX_NODES: Final = 199
BEACON_PORT: Final = 7007
CONTROL_PORT: Final = 8474
LOOKOUT_PORT: Final = 8475
_BEACONS: Final = 200
_LINKS: Final = 250
_GATEWAY: Final = 254


class Subnets:
    """Every address of one run. ``networks[0]`` is for control, the others belong to the regions in order."""

    def __init__(self, topology: Topology, ports: tuple[Port, ...], networks: tuple[IPv4Network, ...]) -> None:
        self._topology = topology
        self._ports = ports
        self.control = networks[0]
        self.of_region = dict(zip(topology.region_ids, networks[1:], strict=True))
        self._rank = {region: rank for rank, region in enumerate(topology.region_ids)}

    def listen(self, node: Node) -> dict[str, Address]:
        """Where ``node`` itself listens, by port name."""
        return self.reach(node.region, node)

    def reach(self, region: str, node: Node) -> dict[str, Address]:
        """Where somebody in ``region`` finds ``node``: the node itself at home, a link elsewhere."""
        host = str(self.of_region[region][node.index + 1])
        return {port.name: Address(host, port.number) for port in self._ports}

    def behind(self, region: str, node: Node) -> dict[str, Address]:
        """What the link from ``region`` takes for the address of ``node``: one per link, so that a packet filter can
        tell the links' connections to the same node apart."""
        host = f"{ALIASES}.{self._rank[region]}.{node.index + 1}"
        return {port.name: Address(host, port.number) for port in self._ports}

    def aliases(self) -> Iterator[str]:
        """Every such address and where it leads, as ``ALIAS=ADDRESS``."""
        for region in self._topology.region_ids:
            for node in self._topology.nodes:
                if node.region != region:
                    alias, host = _first(self.behind(region, node)), _first(self.listen(node))
                    yield f"{alias}={host}"

    def beacon(self, region: str) -> Address:
        """Where the beacon of ``region`` listens."""
        return self.beacon_link(region, region)

    def beacon_link(self, source: str, target: str) -> Address:
        """Where region ``source`` finds the beacon of ``target``."""
        return Address(str(self.of_region[source][_BEACONS + self._rank[target]]), BEACON_PORT)

    def used_by_clients(self) -> Iterator[Address]:
        """Every address at which a client finds a node."""
        for region in self._topology.region_ids:
            for node in self._topology.nodes:
                yield from self.reach(region, node).values()

    def links_at(self, network: IPv4Network) -> str:
        """The link server's own address in a network."""
        return str(network[_LINKS])

    def gateway(self, network: IPv4Network) -> str:
        """The engine's own address in a network."""
        return str(network[_GATEWAY])

    @property
    def control_address(self) -> Address:
        """Where the link server takes orders."""
        return Address(self.links_at(self.control), CONTROL_PORT)

    @property
    def lookout_address(self) -> Address:
        """Where somebody looks at links for a harness that is elsewhere."""
        return Address(self.links_at(self.control), LOOKOUT_PORT)

    def link_hosts(self) -> Iterator[str]:
        """Every address at which a link or a beacon listens, besides the link server's own."""
        for region in self._topology.region_ids:
            yield from (str(self.of_region[region][n.index + 1]) for n in self._topology.nodes if n.region != region)
            yield from (self.beacon_link(region, other).host for other in self._topology.region_ids)


def _first(addresses: dict[str, Address]) -> str:
    return next(iter(addresses.values())).host


def choose(topology: Topology, ports: tuple[Port, ...], taken: Iterable[IPv4Network], skip: int = 0) -> Subnets:
    """The first neighbouring networks of the pool that are free; ``skip`` passes over that many candidates.

    Raises TestbedError when the pool has none, or the topology too many nodes; UsageError for a bad ``RIFT_SUBNETS``.
    """
    if len(topology.nodes) > MAX_NODES:
        raise TestbedError(
            f"topology {topology.name}: {len(topology.nodes)} nodes, but a composed run has addresses for {MAX_NODES}; "
            "use fewer nodes"
        )
    in_use, need = list(taken), len(topology.regions) + 1
    free: list[IPv4Network] = []
    for network in _pool().subnets(new_prefix=24):
        free = [] if any(network.overlaps(other) for other in in_use) else [*free, network]
        if len(free) == need:
            if skip == 0:
                return Subnets(topology, ports, tuple(free))
            skip, free = skip - 1, []
    raise TestbedError(
        f"no {need} neighbouring /24 networks are free in {_pool()}; end other runs, run `rift heal`, or name a larger "
        "range as RIFT_SUBNETS=10.99.0.0/16"
    )


def routes_here(table: Path = Path("/proc/net/route")) -> list[IPv4Network]:
    """The networks that this machine has routes to, the default route left out."""
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return []
    found = [IPv4Network((_number(row[1]), _number(row[7]).bit_count())) for row in rows]
    return [network for network in found if network.prefixlen > 0]


def _number(hexadecimal: str) -> int:
    return int.from_bytes(bytes.fromhex(hexadecimal), "little")


def _pool() -> IPv4Network:
    text = os.environ.get("RIFT_SUBNETS") or POOL
    try:
        pool = IPv4Network(text)
    except ValueError as error:
        raise UsageError(f"RIFT_SUBNETS={text!r} is no network ({error}); write it like {POOL}") from error
    if pool.prefixlen > 24:
        raise UsageError(f"RIFT_SUBNETS={text!r} is smaller than one region's network; give at least a /22")
    return pool
