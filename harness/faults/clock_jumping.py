"""One node's clock jumps ahead and back again and again, as when two time daemons quarrel about it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Final

from harness.contracts import Aim, Fault, Lab, Symptom
from harness.faults._clocks import NEEDS, offset_s, read
from harness.faults._held import each, held, owner_of
from harness.faults._nodes import each_node
from harness.faults._rhythm import Rhythm
from harness.model.seeds import Rng
from harness.model.topology import Topology

_PHASE_S: Final = (0.2, 0.8)
_WATCH_S: Final = 2.0
_WATCH_EVERY_S: Final = 0.1


class ClockJumping:
    """Ahead and behind in turn, by the same offset. The rhythm follows from the aim's seed."""

    name = "clock-jumping"
    needs = NEEDS

    def aims(self, topology: Topology) -> tuple[Aim, ...]:
        return each_node(topology)

    def apply(self, lab: Lab, aim: Aim) -> AbstractAsyncContextManager[None]:
        ahead_s, owner = offset_s(aim), owner_of(self.name)

        async def turn(ahead: bool) -> None:
            await each(aim.nodes, lambda node: lab.clocks.shift(node, ahead_s if ahead else -ahead_s, owner))

        def undo() -> Coroutine[None, None, None]:
            return lab.clocks.restore(aim.nodes, owner)

        rhythm = Rhythm(turn, undo, Rng(aim.seed).child("rhythm"), _PHASE_S)
        return held(rhythm.start, rhythm.stop)

    async def symptoms(self, lab: Lab, aim: Aim) -> list[Symptom]:
        return list(await asyncio.gather(*(_watch(lab, node, offset_s(aim)) for node in aim.nodes)))


async def _watch(lab: Lab, node: str, offset: float) -> Symptom:
    """Bitten when it was seen on both sides within a time that is longer than one phase of each."""
    seen = []
    for _ in range(round(_WATCH_S / _WATCH_EVERY_S)):
        seen.append((await read(lab, node)).side(offset))
        await asyncio.sleep(_WATCH_EVERY_S)
    told = ", ".join(f"{seen.count(side)} times {side or 'unknown'}" for side in sorted(set(seen)))
    bitten = {"ahead", "behind"} <= set(seen)
    return Symptom(node, bitten, f"its clock was {told}", hidden=not bitten and set(seen) != {"right"})


FAULT: Fault = ClockJumping()
