"""Making the network between regions worse: which pairs, to what, and how a measurement shows it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import product

from harness.contracts import Aim, Lab, Symptom
from harness.faults._held import each, held, owner_of
from harness.model.topology import LinkProfile, Topology

Pair = tuple[str, str]
Worsen = Callable[[Topology, Pair], LinkProfile | None]
"""The profile that a pair of regions gets; None when this fault cannot make that pair worse."""
Measure = Callable[[Lab, Pair, LinkProfile], Awaitable[Symptom]]
"""Looks for the given worse profile on the pair's own link."""


@dataclass
class Worsening:
    """The fault that gives every path of some regions, both ways, a worse profile."""

    name: str
    worsen: Worsen
    measure: Measure
    needs: frozenset[str] = frozenset({"links"})

    def aims(self, topology: Topology) -> tuple[Aim, ...]:
        """The whole network, and each region's paths, where that is something else."""
        regions = topology.region_ids
        found = [Aim("every path between regions", regions)]
        if len(regions) > 2:
            found += [Aim(f"every path from and to {region}", (region,)) for region in regions]
        return tuple(aim for aim in found if any(self._worse(topology, aim)))

    def apply(self, lab: Lab, aim: Aim) -> AbstractAsyncContextManager[None]:
        worse, owner = dict(self._worse(lab.topology, aim)), owner_of(self.name)
        links = {pair: [link for link in lab.links.all if (link.source, link.target.region) == pair] for pair in worse}

        async def strike() -> None:
            await each(worse, lambda pair: lab.links.shape(links[pair], worse[pair], owner))

        return held(strike, lambda: lab.links.restore([link for some in links.values() for link in some], owner))

    async def symptoms(self, lab: Lab, aim: Aim) -> list[Symptom]:
        pairs = self._worse(lab.topology, aim)
        return list(await asyncio.gather(*(self.measure(lab, pair, profile) for pair, profile in pairs)))

    def _worse(self, topology: Topology, aim: Aim) -> Iterator[tuple[Pair, LinkProfile]]:
        homes = [region for region in topology.region_ids if topology.nodes_in(region)]
        for source, target in product(topology.region_ids, homes):
            if source != target and (source in aim.regions or target in aim.regions):
                profile = self.worsen(topology, (source, target))
                if profile is not None:
                    yield (source, target), profile


async def round_trips_ms(lab: Lab, pair: Pair, samples: int, every_s: float) -> list[float]:
    """Single round trips between two regions, one begun every ``every_s``, sorted; lost ones are missing.

    They are spread over time because this machine's hiccups come in bunches, and would look like a slow network.
    """

    async def sample(after_s: float) -> float:
        await asyncio.sleep(after_s)
        return await lab.links.rtt_ms(*pair, samples=1)

    found = await asyncio.gather(*(sample(i * every_s) for i in range(samples)))
    return sorted(filter(math.isfinite, found))


def says(pair: Pair) -> str:
    return f"{pair[0]}>{pair[1]}"
