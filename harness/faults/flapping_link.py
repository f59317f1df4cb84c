"""The links between two regions go down and come back, again and again, both ways at the same moments."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, suppress
from itertools import combinations
from typing import Final

from harness.contracts import Aim, Fault, Lab, Link, Links, Symptom
from harness.faults._held import held, owner_of
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
        flapper = _Flapper(lab.links, _links(lab, aim), Rng(aim.seed), _answer_s(lab, aim))
        return held(flapper.start, flapper.stop)

    async def symptoms(self, lab: Lab, aim: Aim) -> list[Symptom]:
        watch_s = 2 * (_PHASE_S[1] + _answer_s(lab, aim))
        return list(await asyncio.gather(*(_watch(lab, link, watch_s) for link in _links(lab, aim))))


class _Flapper:
    """Refuses and restores links in turn until it is stopped. Phases are long enough for an answer to return."""

    def __init__(self, control: Links, links: list[Link], rng: Rng, answer_s: float) -> None:
        self._control, self._links, self._rng, self._answer_s = control, links, rng, answer_s
        self._owner = owner_of("flapping-link")
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._control.refuse(self._links, self._owner)
        self._task = asyncio.create_task(self._flap())

    async def stop(self) -> None:
        """End the task between two calls to the link server, then restore; raises what ended it early."""
        self._stopping.set()
        try:
            if self._task is not None:
                await self._task
        finally:
            await self._control.restore(self._links, self._owner)

    async def _flap(self) -> None:
        down = True
        while not await self._stopped_within_a_phase():
            if down:
                await self._control.restore(self._links, self._owner)
            else:
                await self._control.refuse(self._links, self._owner)
            down = not down

    async def _stopped_within_a_phase(self) -> bool:
        phase_s, self._rng = self._rng.uniform(*_PHASE_S)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), phase_s + self._answer_s)
        return self._stopping.is_set()


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
