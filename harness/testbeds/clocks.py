"""Power ``clocks``: who wants which node's clock where, and what the node itself says about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from harness.contracts import Seat, Target, TellsTime
from harness.errors import Refused
from harness.finishing import finish

_ANSWER_LIMIT_S: Final = 2.0


class NodeClocks:
    """Implements ``contracts.Clocks``. ``tell`` takes every node's offset in seconds to where the nodes read it."""

    def __init__(
        self, target: Target, seats: Mapping[str, Seat], tell: Callable[[Mapping[str, float]], Awaitable[None]]
    ) -> None:
        self._target, self._seats, self._tell = target, seats, tell
        self._wishes: dict[str, dict[str, float]] = {node_id: {} for node_id in seats}
        self._acting = asyncio.Lock()

    async def open(self) -> None:
        """Set every clock right: before the first node starts."""
        await finish(self._settle(self._wishes))

    async def shift(self, node_id: str, offset_s: float, owner: str = "") -> None:
        wishes = self._wishes[node_id]
        wishes.pop(owner, None)  # asked for again, it becomes the latest
        wishes[owner] = offset_s
        await finish(self._settle([node_id]))

    async def restore(self, node_ids: Iterable[str], owner: str = "") -> None:
        chosen = list(node_ids)
        for node_id in chosen:
            self._wishes[node_id] = {who: wish for who, wish in self._wishes[node_id].items() if owner and who != owner}
        await finish(self._settle(chosen))

    async def ahead_s(self, node_id: str) -> tuple[float, float]:
        seat = self._seats[node_id]
        if not isinstance(self._target, TellsTime):
            raise Refused(f"target {self._target.name} does not tell its time")
        began_s = time.time()
        try:
            async with asyncio.timeout(_ANSWER_LIMIT_S):
                least, most = await self._target.clock(seat)
        except Exception as error:  # whatever the target's own client raises, the node did not say
            raise Refused(f"{seat.node.id}: {error or type(error).__name__}") from error
        # The node looked at its clock at some moment between the question and the answer.
        return least - time.time(), most - began_s

    async def _settle(self, node_ids: Iterable[str]) -> None:
        async with self._acting:
            await self._tell({node_id: ([0.0, *self._wishes[node_id].values()])[-1] for node_id in node_ids})
