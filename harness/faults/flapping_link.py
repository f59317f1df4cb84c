"""The links between two regions go down and come back, again and again, both ways at the same moments."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from functools import partial
from itertools import combinations
from typing import Final

from harness.contracts import Aim, Fault, Lab, Link, Links, Symptom
from harness.faults._held import held, owner_of
from harness.faults._rhythm import Rhythm
from harness.faults._symptoms import HEALTHY_LINK
from harness.model.seeds import Rng
from harness.model.topology import Topology

_PHASE_S: Final = (0.3, 1.0)
_WATCH_EVERY_S: Final = 0.2


class FlappingLink:
    """``aim.regions`` are the two regions. The rhythm follows from the aim's seed, so that a replay repeats it."""

    name = "flapping-link"
    needs = frozenset({"links"})

    def aims(self, topology: Topology) -> tuple[Aim, ...]:
        return tuple(
            Aim(f"the links between {one} and {other}", (one, other))
            for one, other in combinations(topology.region_ids, 2)
            if topology.nodes_in(one) or topology.nodes_in(other)
        )

    def apply(self, lab: Lab, aim: Aim) -> AbstractAsyncContextManager[None]:
        links, owner = _links(lab, aim), owner_of(self.name)
        rhythm = Rhythm(
            partial(_turn, lab.links, links, owner),
            lambda: lab.links.restore(links, owner),
            Rng(aim.seed),
            _PHASE_S,
            more_s=_answer_s(lab, aim),  # phases are long enough for an answer to return
        )
        return held(rhythm.start, rhythm.stop)

    async def symptoms(self, lab: Lab, aim: Aim) -> list[Symptom]:
        watch_s = 2 * (_PHASE_S[1] + _answer_s(lab, aim))
        return list(await asyncio.gather(*(_watch(lab, link, watch_s) for link in _links(lab, aim))))


async def _turn(control: Links, links: list[Link], owner: str, down: bool) -> None:
    if down:
        await control.refuse(links, owner)
    else:
        await control.restore(links, owner)


async def _watch(lab: Lab, link: Link, watch_s: float) -> Symptom:
    """Bitten when it was seen up and down within ``watch_s``, which is longer than one phase of each."""

    async def look(after_s: float) -> str:
        await asyncio.sleep(after_s)
        return (await lab.links.probe(link)).state

    looks = int(watch_s / _WATCH_EVERY_S)
    seen = await asyncio.gather(*(look(i * _WATCH_EVERY_S) for i in range(looks)))
    bitten = {HEALTHY_LINK, "refused"} <= set(seen)
    told = ", ".join(f"{seen.count(state)} times {state}" for state in sorted(set(seen)))
    return Symptom(str(link), bitten, told, hidden=HEALTHY_LINK not in seen)


def _answer_s(lab: Lab, aim: Aim) -> float:
    """The longest round trip between the two regions."""
    one, other = aim.regions
    both = (lab.topology.between(one, other), lab.topology.between(other, one))
    return max(profile.rtt_ms + profile.jitter_ms for profile in both) / 1000


def _links(lab: Lab, aim: Aim) -> list[Link]:
    return [link for link in lab.links.all if {link.source, link.target.region} == set(aim.regions)]


FAULT: Fault = FlappingLink()
