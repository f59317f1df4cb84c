"""Every packet that some regions send to the others is dropped, while what the others send still arrives.

Acknowledgements are packets, too: what arrives is not acknowledged, so that a sender who is heard does not know it.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from harness.contracts import Aim, Fault, Lab, Link, Symptom
from harness.faults._cuts import each_region
from harness.faults._held import held, owner_of
from harness.faults._symptoms import link_symptoms
from harness.model.topology import Topology


class DropOneWay:
    """``aim.regions`` are muted. A link carries connections that its source opened: those from the muted regions lose
    what goes upstream, those to them what comes downstream."""

    name = "drop-one-way"
    needs = frozenset({"links", "packets"})

    def aims(self, topology: Topology) -> tuple[Aim, ...]:
        return tuple(Aim(f"every packet from {aim.regions[0]} is lost", aim.regions) for aim in each_region(topology))

    def apply(self, lab: Lab, aim: Aim) -> AbstractAsyncContextManager[None]:
        packets, owner = lab.packets, owner_of(self.name)

        async def strike() -> None:
            await packets.drop(_links(lab, aim, muted_source=True), "upstream", owner)
            await packets.drop(_links(lab, aim, muted_source=False), "downstream", owner)

        return held(strike, lambda: packets.restore(lab.links.all, owner))

    async def symptoms(self, lab: Lab, aim: Aim) -> list[Symptom]:
        both = _links(lab, aim, muted_source=True) + _links(lab, aim, muted_source=False)
        return await link_symptoms(lab, both, "silent")


def _links(lab: Lab, aim: Aim, muted_source: bool) -> list[Link]:
    """The links that cross the border of the muted regions and are dialled from inside, or from outside."""
    return [
        link
        for link in lab.links.all
        if (link.source in aim.regions) == muted_source and (link.target.region in aim.regions) != muted_source
    ]


FAULT: Fault = DropOneWay()
