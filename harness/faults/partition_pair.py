"""Two regions that cannot reach each other, politely, while both still reach everybody else."""

from __future__ import annotations

from itertools import combinations

from harness.contracts import Aim, Fault
from harness.faults._cuts import Cut, regions_with_nodes
from harness.model.topology import Topology


def each_pair(topology: Topology) -> tuple[Aim, ...]:
    """Every two regions that have nodes; none where there is no third one, for then it is another fault."""
    regions = regions_with_nodes(topology)
    if len(regions) < 3:
        return ()
    return tuple(
        Aim(f"{one} and {other} cut off from each other", (one, other)) for one, other in combinations(regions, 2)
    )


def between_the_two(aim: Aim, source: str, target: str) -> bool:
    """Whether the path runs between exactly these two."""
    return source != target and source in aim.regions and target in aim.regions


FAULT: Fault = Cut("partition-pair", each_pair, between_the_two, "refused")
