"""Moving nodes' clocks: by how much, which way, and how the node itself is the witness."""

from __future__ import annotations

import asyncio
import math
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from harness.contracts import Aim, Lab, Symptom
from harness.errors import Refused
from harness.faults._held import each, held, owner_of
from harness.faults._nodes import each_node
from harness.model.seeds import Rng
from harness.model.topology import Topology

OFFSET_S: Final = (3.0, 300.0)
"""From what a lazy time daemon leaves to what a wrong hand does; more than any answer takes to come."""
NEEDS: Final = frozenset({"clocks", "time"})


def offset_s(aim: Aim) -> float:
    """How far the aim's seed moves the clocks: small and large ones are as likely."""
    low, high = map(math.log, OFFSET_S)
    power, _ = Rng(aim.seed).child("offset").uniform(low, high)
    return math.exp(power)


@dataclass(frozen=True)
class Reading:
    """What a node says: its clock is between ``least`` and ``most`` seconds ahead; or ``problem``."""

    least: float = -math.inf
    most: float = math.inf
    problem: str = ""

    def side(self, offset: float) -> str:
        """``ahead`` or ``behind`` surely by half of ``offset`` or more, ``right`` if surely by less, else empty."""
        if self.least >= offset / 2:
            return "ahead"
        if self.most <= -offset / 2:
            return "behind"
        return "right" if -offset / 2 < self.least and self.most < offset / 2 else ""

    def __str__(self) -> str:
        return self.problem or f"its clock is {(self.least + self.most) / 2:+.1f} s off"


async def read(lab: Lab, node: str) -> Reading:
    """Ask the node what time it is."""
    try:
        return Reading(*await lab.clocks.ahead_s(node))
    except Refused as error:
        return Reading(problem=f"does not say what time it is ({error})")


@dataclass
class ClockOff:
    """The fault that moves the aim's clocks once, ``sign`` ahead (1) or behind (-1), and back at the end."""

    name: str
    sign: int
    needs: frozenset[str] = NEEDS

    def aims(self, topology: Topology) -> tuple[Aim, ...]:
        return each_node(topology)

    def apply(self, lab: Lab, aim: Aim) -> AbstractAsyncContextManager[None]:
        clocks, owner, offset = lab.clocks, owner_of(self.name), self.sign * offset_s(aim)
        return held(
            lambda: each(aim.nodes, lambda node: clocks.shift(node, offset, owner)),
            lambda: clocks.restore(aim.nodes, owner),
        )

    async def symptoms(self, lab: Lab, aim: Aim) -> list[Symptom]:
        seen = await asyncio.gather(*(read(lab, node) for node in aim.nodes))
        return [self._symptom(node, reading, offset_s(aim)) for node, reading in zip(aim.nodes, seen, strict=True)]

    def _symptom(self, node: str, reading: Reading, offset: float) -> Symptom:
        """Hidden when nobody can tell: no answer, one that took too long, or a clock that somebody else moved."""
        side, mine = reading.side(offset), "ahead" if self.sign > 0 else "behind"
        return Symptom(node, side == mine, str(reading), hidden=side not in (mine, "right"))
