"""One node's clock jumps ahead and back again and again, as when two time daemons quarrel about it."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final

from harness.contracts import Aim, Clocks, Fault, Lab, Symptom
from harness.faults._clocks import NEEDS, offset_s, read
from harness.faults._held import each, held, owner_of
from harness.faults._nodes import each_node
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
        jumper = _Jumper(lab.clocks, aim)
        return held(jumper.start, jumper.stop)

    async def symptoms(self, lab: Lab, aim: Aim) -> list[Symptom]:
        return list(await asyncio.gather(*(_watch(lab, node, offset_s(aim)) for node in aim.nodes)))


class _Jumper:
    """Sets the clocks forth and back until it is stopped."""

    def __init__(self, clocks: Clocks, aim: Aim) -> None:
        self._clocks, self._nodes, self._offset_s = clocks, aim.nodes, offset_s(aim)
        self._rng = Rng(aim.seed).child("rhythm")
        self._owner = owner_of("clock-jumping")
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._jump()
        self._task = asyncio.create_task(self._go_on())

    async def stop(self) -> None:
        """End the task between two jumps, then set the clocks right; raises what ended it early."""
        self._stopping.set()
        try:
            if self._task is not None:
                await self._task
        finally:
            await self._clocks.restore(self._nodes, self._owner)

    async def _go_on(self) -> None:
        while True:
            phase_s, self._rng = self._rng.uniform(*_PHASE_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), phase_s)
            if self._stopping.is_set():
                return
            self._offset_s = -self._offset_s
            await self._jump()

    async def _jump(self) -> None:
        await each(self._nodes, lambda node: self._clocks.shift(node, self._offset_s, self._owner))


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
