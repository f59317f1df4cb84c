"""What a drill notes besides what clients and nemesis do: who leads, and what nodes tell of trouble of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

from harness.contracts import Leads, Target, Testbed
from harness.errors import OperationError
from harness.failovers import Complains
from harness.model.op import INVOKE, Op
from harness.runner import Runner

LEADER_EVERY_S: Final = 0.1
COMPLAINTS_EVERY_S: Final = 0.25


def watches(testbed: Testbed, target: Target, runner: Runner) -> list[Coroutine[Any, Any, None]]:
    """Those that the target is able to answer; none of them ends by itself."""
    found = []
    if isinstance(target, Leads):
        found.append(_note_leaders(testbed, runner))
    if isinstance(target, Complains):
        found.append(_note_complaints(testbed, target, runner))
    return found


async def _note_leaders(testbed: Testbed, runner: Runner) -> None:
    """Journal who leads, whenever that changes, as the nodes themselves say."""
    known: str | None = ""
    while True:
        leader = await testbed.leader()
        if leader != known:
            known = leader
            region = testbed.topology.node(leader).region if leader is not None else ""
            await runner.note(Op(type=INVOKE, f="leader", key=leader, value={"node": leader, "region": region}))
        await asyncio.sleep(LEADER_EVERY_S)


async def _note_complaints(testbed: Testbed, target: Complains, runner: Runner) -> None:
    """Journal what nodes tell of trouble of their own, whenever it is something else."""
    known: dict[str, str] = {}
    while True:
        with suppress(OperationError, OSError, TimeoutError):
            said = await target.complaints(testbed.seats())
            for node, why in said.items():
                if known.get(node) != why:
                    await runner.note(Op(type=INVOKE, f="trouble", key=node, value={"node": node, "why": why}))
            known |= said
        await asyncio.sleep(COMPLAINTS_EVERY_S)
