"""What some regions send to the others is swallowed, while what the others send still arrives.

A link carries a connection that its source opened, with bytes both ways. So two sets of links are struck: those
from the muted regions lose what goes upstream, and those to them lose what comes downstream.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from itertools import chain

from harness.contracts import Aim, Fault, Lab, Link, Symptom
from harness.faults._cuts import each_region
from harness.faults._held import held, owner_of
from harness.faults._symptoms import link_symptoms
from harness.model.topology import Topology


class PartitionOneWay:
    """``aim.regions`` are muted: a region alone, or all but one, so that the one only speaks and never hears."""

    name = "partition-one-way"
    needs = frozenset({"links"})

    def aims(self, topology: Topology) -> tuple[Aim, ...]:
        lone = [aim.regions[0] for aim in each_region(topology)]
        muted = [Aim(f"what {region} sends is lost", (region,)) for region in lone]
        deaf = [Aim(f"what {region} should hear is lost", _others(topology, region)) for region in lone]
        return tuple({aim.regions: aim for aim in chain(deaf, muted)}.values())

    def apply(self, lab: Lab, aim: Aim) -> AbstractAsyncContextManager[None]:
        requests, answers = _links(lab, aim)
        owner = owner_of(self.name)

        async def strike() -> None:
            await lab.links.blackhole(requests, "upstream", owner)
            await lab.links.blackhole(answers, "downstream", owner)

        return held(strike, lambda: lab.links.restore(requests + answers, owner))

    async def symptoms(self, lab: Lab, aim: Aim) -> list[Symptom]:
        return await link_symptoms(lab, chain(*_links(lab, aim)), "silent")


def _others(topology: Topology, region: str) -> tuple[str, ...]:
    return tuple(other for other in topology.region_ids if other != region)


def _links(lab: Lab, aim: Aim) -> tuple[list[Link], list[Link]]:
    """The links whose requests, and those whose answers, come from the muted regions."""
    requests = [link for link in lab.links.all if link.source in aim.regions and link.target.region not in aim.regions]
    answers = [link for link in lab.links.all if link.source not in aim.regions and link.target.region in aim.regions]
    return requests, answers


FAULT: Fault = PartitionOneWay()
