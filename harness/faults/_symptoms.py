"""Probes that faults share: what links and nodes look like right now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from harness.contracts import Lab, Link, Symptom

HEALTHY_LINK = "open"
HEALTHY_NODE = "running"


async def link_symptoms(lab: Lab, links: Iterable[Link], promised: str) -> list[Symptom]:
    """Probe all ``links`` at once; a link is bitten when it is as the cut ``promised`` (a state of LinkProbe).

    Any other state than that and ``open`` is hidden: a dead node behind the link, or another fault's cut.
    """
    return list(await asyncio.gather(*(_link_symptom(lab, link, promised) for link in links)))


async def _link_symptom(lab: Lab, link: Link, promised: str) -> Symptom:
    found = await lab.links.probe(link)
    seen = found.state if found.rtt_ms is None else f"{found.state} in {found.rtt_ms:.0f} ms"
    hidden = found.state not in (promised, HEALTHY_LINK)
    return Symptom(str(link), bitten=found.state == promised, seen=seen, hidden=hidden)


def node_symptoms(lab: Lab, node_ids: Iterable[str], promised: str) -> list[Symptom]:
    """Ask the operating system about each node; it is bitten when it is ``promised`` (``dead`` or ``paused``)."""
    return [_node_symptom(lab, node_id, promised) for node_id in node_ids]


def _node_symptom(lab: Lab, node_id: str, promised: str) -> Symptom:
    state = lab.nodes.state(node_id)
    seen = f"{state}, incarnation {lab.nodes.incarnation(node_id)}"
    return Symptom(node_id, bitten=state == promised, seen=seen, hidden=state not in (promised, HEALTHY_NODE))
