"""Every region sees a majority, and no two see the same one.

The regions form a ring and each sees its neighbours up to a distance. The idea is Jepsen's; links there are
cut one way, here both ways, because a TCP connection needs both. That takes four regions: with three, the
neighbours are everybody, and the nearest thing is ``partition-bridge``.
"""

from __future__ import annotations

from itertools import islice, permutations

from harness.contracts import Aim, Fault
from harness.faults._cuts import AIMS_AT_MOST, Cut, regions_with_nodes
from harness.model.topology import Topology


def rings(topology: Topology) -> tuple[Aim, ...]:
    """``aim.regions`` is the ring in order. Only rings that leave every region a majority of the nodes."""
    homes = regions_with_nodes(topology)
    if len(homes) < 4:
        return ()
    orders = ((homes[0], *rest) for rest in permutations(homes[1:]) if rest[0] < rest[-1])  # no mirror images
    found = (Aim(f"a ring of {', '.join(order)}", order) for order in orders if _majorities(topology, order))
    return tuple(islice(found, AIMS_AT_MOST))


def far_apart(aim: Aim, source: str, target: str) -> bool:
    """The cut runs between regions too many steps apart; regions without nodes stay outside the ring, uncut."""
    ring = aim.regions
    if source not in ring or target not in ring:
        return False
    steps = abs(ring.index(source) - ring.index(target))
    return min(steps, len(ring) - steps) > _sight(len(ring))


def _sight(size: int) -> int:
    """How far to either side a region sees, so that with itself it is a majority of ``size``."""
    return (size // 2 + 1) // 2


def _majorities(topology: Topology, order: tuple[str, ...]) -> bool:
    ring = Aim("", order)
    seen = [sum(not far_apart(ring, node.region, region) for node in topology.nodes) for region in order]
    return min(seen) * 2 > len(topology.nodes)


FAULT: Fault = Cut("partition-majority-ring", rings, far_apart, "refused")
