"""Cutting the links between regions: whom to cut off, which links that crosses, and the manners of a cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Final, Literal, assert_never

from harness.contracts import Aim, Lab, Link, Links, Symptom
from harness.faults._held import held, owner_of
from harness.faults._symptoms import link_symptoms
from harness.model.topology import Topology

AIMS_AT_MOST: Final = 64
"""Large topologies can be split in more ways than anybody will try."""

Manner = Literal["refused", "silent", "reset", "dropped"]

Separates = Callable[[Aim, str, str], bool]
"""Whether a cut with this aim lies between two regions."""


@dataclass
class Cut:
    """The fault that cuts every link, of nodes and of clients, between the regions that ``separates`` parts.

    ``state`` is the manner of the cut: ``refused`` closes every connection and answers new ones with connection
    refused, ``silent`` swallows every byte behind a proxy that still acknowledges, ``reset`` answers with a TCP reset,
    and ``dropped`` lets no packet pass, so that nothing is acknowledged at all.
    """

    name: str
    choose: Callable[[Topology], tuple[Aim, ...]]
    separates: Separates
    state: Manner
    needs: frozenset[str] = frozenset({"links"})

    def aims(self, topology: Topology) -> tuple[Aim, ...]:
        return self.choose(topology)

    def apply(self, lab: Lab, aim: Aim) -> AbstractAsyncContextManager[None]:
        links, owner = self._links(lab, aim), owner_of(self.name)
        manner = self.state
        if manner == "dropped":
            packets = lab.packets
            return held(lambda: packets.drop(links, owner=owner), lambda: packets.restore(links, owner))
        return held(lambda: _cut(lab.links, links, manner, owner), lambda: lab.links.restore(links, owner))

    async def symptoms(self, lab: Lab, aim: Aim) -> list[Symptom]:
        seen_as = "silent" if self.state == "dropped" else self.state
        return await link_symptoms(lab, self._links(lab, aim), seen_as)

    def _links(self, lab: Lab, aim: Aim) -> list[Link]:
        return [link for link in lab.links.all if self.separates(aim, link.source, link.target.region)]


async def _cut(links: Links, some: Iterable[Link], state: Literal["refused", "silent", "reset"], owner: str) -> None:
    if state == "refused":
        await links.refuse(some, owner)
    elif state == "silent":
        await links.blackhole(some, owner=owner)
    elif state == "reset":
        await links.reset(some, owner)
    else:
        assert_never(state)


def inside_from_outside(aim: Aim, source: str, target: str) -> bool:
    """The cut runs around ``aim.regions``: whoever is in there sees nobody else, and nobody else sees them."""
    return (source in aim.regions) != (target in aim.regions)


def regions_with_nodes(topology: Topology) -> tuple[str, ...]:
    return tuple(region for region in topology.region_ids if topology.nodes_in(region))


def each_region(topology: Topology) -> tuple[Aim, ...]:
    """Every region that has nodes, cut off from all others; none when there are no others."""
    if len(topology.regions) < 2:
        return ()
    return tuple(Aim(f"{region} cut off", (region,)) for region in regions_with_nodes(topology))


def each_halving(topology: Topology) -> tuple[Aim, ...]:
    """Every way to split the regions in two halves that both have nodes; ``aim.regions`` is the smaller half."""
    found = (
        Aim(f"{_and(half)} cut off from {_and(rest)}", half)
        for half, rest in splits(topology.region_ids)
        if any(map(topology.nodes_in, half)) and any(map(topology.nodes_in, rest))
    )
    return tuple(islice(found, AIMS_AT_MOST))


def splits(regions: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Every split of ``regions`` into halves (one larger by one when odd), each split once."""
    if len(regions) < 2:
        return
    for half in combinations(regions, len(regions) // 2):
        if len(regions) % 2 == 0 and regions[0] not in half:
            return  # from here on, the same splits come again with the halves exchanged
        yield half, tuple(region for region in regions if region not in half)


def _and(regions: tuple[str, ...]) -> str:
    return " and ".join(regions)


def leaders_region(topology: Topology) -> tuple[Aim, ...]:
    """The nemesis finds the leader when it injects, and fills in its region."""
    return (Aim("the leader's region cut off", follow="leader"),) if len(topology.regions) > 1 else ()
