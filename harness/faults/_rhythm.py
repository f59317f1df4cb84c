"""Trouble that comes and goes in phases of random length, until it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from harness.faults._held import Act
from harness.model.seeds import Rng


class Rhythm:
    """``turn(True)``, ``turn(False)``, ``turn(True)`` ... until stopped, then ``undo``.

    After each turn comes a phase of ``phase_s`` (least, most), drawn from ``rng``, and ``more_s``.
    """

    def __init__(
        self,
        turn: Callable[[bool], Awaitable[None]],
        undo: Act,
        rng: Rng,
        phase_s: tuple[float, float],
        more_s: float = 0.0,
    ) -> None:
        self._turn, self._undo, self._rng, self._phase_s, self._more_s = turn, undo, rng, phase_s, more_s
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """The first turn, and the others in the background."""
        await self._turn(True)
        self._task = asyncio.create_task(self._go_on())

    async def stop(self) -> None:
        """End the task between two turns, then undo; raises what ended it early."""
        self._stopping.set()
        try:
            if self._task is not None:
                await self._task
        finally:
            await self._undo()

    async def _go_on(self) -> None:
        first = True
        while not await self._stopped_within_a_phase():
            first = not first
            await self._turn(first)

    async def _stopped_within_a_phase(self) -> bool:
        phase_s, self._rng = self._rng.uniform(*self._phase_s)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), phase_s + self._more_s)
        return self._stopping.is_set()
