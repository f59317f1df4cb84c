"""All nodes of a region unplugged from their network: they run, and nobody reaches them, not even their neighbours."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

from harness.contracts import Aim, Fault, Lab, Link, Symptom
from harness.faults._held import each, held
from harness.faults._nodes import each_region_whole
from harness.faults._symptoms import HEALTHY_LINK, HEALTHY_NODE
from harness.model.topology import Topology


class DisconnectRegion:
    """The cable, not the links: clients in the same region lose the node, too."""

    name = "disconnect-region"
    needs = frozenset({"links", "containers"})

    def aims(self, topology: Topology) -> tuple[Aim, ...]:
        return each_region_whole(topology) if len(topology.regions) > 1 else ()

    def apply(self, lab: Lab, aim: Aim) -> AbstractAsyncContextManager[None]:
        cables = lab.containers
        return held(lambda: each(aim.nodes, cables.disconnect), lambda: each(aim.nodes, cables.connect))

    async def symptoms(self, lab: Lab, aim: Aim) -> list[Symptom]:
        links = [link for link in lab.links.all if link.target.id in aim.nodes]
        return list(await asyncio.gather(*(_symptom(lab, link) for link in links)))


async def _symptom(lab: Lab, link: Link) -> Symptom:
    """Bitten when the node runs and the link finds nobody there: at first it waits, later it is told so at once."""
    found, state = await lab.links.probe(link), lab.nodes.state(link.target.id)
    unplugged = state == HEALTHY_NODE and found.state in ("silent", "closed")
    hidden = found.state != HEALTHY_LINK and not unplugged
    return Symptom(str(link), unplugged, f"{found.state}, {link.target.id} is {state}", hidden)


FAULT: Fault = DisconnectRegion()
