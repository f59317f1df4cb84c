"""Two halves that do not see each other, and one region between them that sees both.

Connectivity is not transitive here: systems that elect by "who can I reach" find two answers.
"""

from __future__ import annotations

from itertools import islice

from harness.contracts import Aim, Fault
from harness.faults._cuts import AIMS_AT_MOST, Cut, regions_with_nodes, splits
from harness.model.topology import Topology


def bridges(topology: Topology) -> tuple[Aim, ...]:
    """``aim.regions`` is the bridge, then one half; the other half is everybody else. Needs three regions."""
    homes = regions_with_nodes(topology)
    found = (
        Aim(f"{' and '.join(half)} see {' and '.join(rest)} only through {bridge}", (bridge, *half))
        for bridge in homes
        for half, rest in splits(tuple(region for region in homes if region != bridge))
    )
    return tuple(islice(found, AIMS_AT_MOST))


def between_halves(aim: Aim, source: str, target: str) -> bool:
    """The cut runs between the halves and leaves out the bridge."""
    bridge, half = aim.regions[0], aim.regions[1:]
    return bridge not in (source, target) and (source in half) != (target in half)


FAULT: Fault = Cut("partition-bridge", bridges, between_halves, "refused")
