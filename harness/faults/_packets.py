"""Disturbing single packets: how often, on which paths, and how TCP itself is the witness."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from harness.contracts import Aim, Lab, Link, PacketsSeen, Symptom
from harness.faults._held import held, owner_of
from harness.faults._shaping import Pair, says
from harness.model.topology import Topology

Judge = Callable[[PacketsSeen], tuple[bool, bool, str]]
"""Whether TCP noticed the disturbance, whether it could have (else it is hidden), and in words what it noticed."""


@dataclass
class Disturbance:
    """The fault that does ``kind`` to a share of the packets (or, for ``police``, to those beyond a rate in KB/s) on
    every path of some regions, both ways."""

    name: str
    kind: str
    amount: float
    judge: Judge
    bulk: bool = False
    needs: frozenset[str] = frozenset({"links", "packets"})

    def aims(self, topology: Topology) -> tuple[Aim, ...]:
        """The whole network, and each region's paths, where that is something else."""
        regions = topology.region_ids
        found = [Aim("every path between regions", regions)]
        if len(regions) > 2:
            found += [Aim(f"every path from and to {region}", (region,)) for region in regions]
        return tuple(aim for aim in found if _pairs(topology, aim))

    def apply(self, lab: Lab, aim: Aim) -> AbstractAsyncContextManager[None]:
        packets, links, owner = lab.packets, _links(lab, aim), owner_of(self.name)
        return held(
            lambda: packets.disturb(links, self.kind, self.amount, owner), lambda: packets.restore(links, owner)
        )

    async def symptoms(self, lab: Lab, aim: Aim) -> list[Symptom]:
        found = await lab.packets.notice(_pairs(lab.topology, aim), self.bulk)
        return [self._symptom(pair, seen) for pair, seen in found.items()]

    def _symptom(self, pair: Pair, seen: PacketsSeen) -> Symptom:
        bitten, visible, words = self.judge(seen)
        return Symptom(says(pair), bitten=bitten and visible, seen=words, hidden=not visible)


def _crosses(aim: Aim, source: str, target: str) -> bool:
    return source != target and (source in aim.regions or target in aim.regions)


def _pairs(topology: Topology, aim: Aim) -> list[Pair]:
    homes = [region for region in topology.region_ids if topology.nodes_in(region)]
    return [(one, other) for one in topology.region_ids for other in homes if _crosses(aim, one, other)]


def _links(lab: Lab, aim: Aim) -> list[Link]:
    return [link for link in lab.links.all if _crosses(aim, link.source, link.target.region)]


ENOUGH_SENT = 40
"""Segments; with fewer, too few of them can have been disturbed to tell it from a busy machine's own."""


def share_of(count: int, seen: PacketsSeen) -> float:
    """``count`` as a share of the segments that were sent."""
    return count / seen.sent if seen.sent else 0.0
