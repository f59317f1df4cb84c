"""Watches for what nobody meant to break: a node that dies by itself, a link server that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

from harness.contracts import Lab
from harness.errors import TestbedError
from harness.model.op import INVOKE, Op
from harness.nemesis import Nemesis

EVERY_S: Final = 0.5


class Watched(Lab, Protocol):
    """A lab that can also say whether its own parts are still there."""

    def lost(self) -> str:
        """Empty while the link server runs, else what happened to it."""


class Notes(Protocol):
    """Where what happened is written down."""

    async def note(self, op: Op) -> Any:
        """Journal a nemesis operation."""


async def guard(lab: Watched, nemesis: Nemesis, runner: Notes, say: Callable[[str], None]) -> None:
    """Never returns. Raises TestbedError when the link server is gone: without links nothing can be said.

    A node that is dead although no fault killed it is noted in the history as ``died``, once per incarnation; the
    checkers then know that the system under test, or somebody outside, did what the harness did not.
    """
    told: set[tuple[str, int]] = set()
    suspects: set[tuple[str, int]] = set()
    while True:
        await asyncio.sleep(EVERY_S)
        if problem := await asyncio.to_thread(lab.lost):
            raise TestbedError(problem)
        dead = {
            (node.id, lab.nodes.incarnation(node.id)) for node in lab.topology.nodes if _died(lab, nemesis, node.id)
        }
        for death in (dead & suspects) - told:  # seen twice: not just between a kill and its entry
            told.add(death)
            say(f"node {death[0]} died, and no fault did it; see its log")
            await runner.note(Op(type=INVOKE, f="died", key=death[0], value={"node": death[0]}))
        suspects = dead


def _died(lab: Watched, nemesis: Nemesis, node: str) -> bool:
    return not nemesis.busy and not nemesis.touches(node) and lab.nodes.state(node) == "dead"
