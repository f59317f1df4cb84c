"""Who sits where and sees what: the part of a lab that is the same wherever its nodes live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from harness.contracts import Address, Leads, Seat, Target
from harness.model.topology import Node, Topology

_LEADER_LIMIT_S: Final = 3.0


@dataclass(frozen=True)
class Seating:
    """The seats of a topology. ``reach(region, node)`` says where somebody in a region finds a node, by port name."""

    topology: Topology
    reach: Callable[[str, Node], Mapping[str, Address]]

    def all(self, region: str | None = None) -> tuple[Seat, ...]:
        """Every node as a client in ``region`` reaches it; without one, each node as seen from its own region."""
        return tuple(self.seat(region or node.region, node.id) for node in self.topology.nodes)

    def seat(self, region: str, node_id: str) -> Seat:
        """A client's place in ``region``, connected to ``node_id``; KeyError when either is unknown."""
        if region not in self.topology.region_ids:
            raise KeyError(region)
        node = self.topology.node(node_id)
        everyone = {other.id: self.reach(region, other) for other in self.topology.nodes}
        return Seat(region, node, everyone[node_id], self.topology, everyone)

    def for_client(self, i: int) -> Seat:
        """Where client ``i`` sits: regions in turn, and in each the nearest node first, so that with enough clients
        both the local and every cross-region path is used."""
        regions = self.topology.region_ids
        region = regions[i % len(regions)]
        nodes = sorted(self.topology.nodes, key=lambda node: (self._distance_ms(region, node), node.index))
        return self.seat(region, nodes[i // len(regions) % len(nodes)].id)

    def _distance_ms(self, region: str, node: Node) -> float:
        return -1.0 if node.region == region else self.topology.between(region, node.region).rtt_ms


async def leader_of(target: Target, seats: Iterable[Seat]) -> str | None:
    """The leader as the nodes themselves see it; None when the target has none, or does not say in time."""
    if not isinstance(target, Leads):
        return None
    try:
        async with asyncio.timeout(_LEADER_LIMIT_S):
            return await target.leader(seats)
    except TimeoutError:
        return None
