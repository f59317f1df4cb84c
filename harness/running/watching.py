"""What a run notes besides what clients and nemesis do: when the harness itself stood still; in a drill also who leads,
and what nodes tell of trouble of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

from harness.contracts import Leads, Target, Testbed
from harness.errors import OperationError
from harness.failovers import Complains
from harness.model.clock import NS_PER_MS, Clock
from harness.model.history import STALLED
from harness.model.op import INVOKE, Op
from harness.runner import Runner
from harness.running.guard import Notes

LEADER_EVERY_S: Final = 0.1
COMPLAINTS_EVERY_S: Final = 0.25
TICK_S: Final = 0.02
STALL_NS: Final = 100 * NS_PER_MS
"""Who is late by more did not run: on a busy machine a process may wait for its turn for so long."""


def watches(testbed: Testbed, target: Target, runner: Runner) -> list[Coroutine[Any, Any, None]]:
    """Those that the target is able to answer; none of them ends by itself."""
    found = []
    if isinstance(target, Leads):
        found.append(_note_leaders(testbed, runner))
    if isinstance(target, Complains):
        found.append(_note_complaints(testbed, target, runner))
    return found


async def note_stalls(clock: Clock, notes: Notes) -> None:
    """Journal when this process stood still, clients and all: they saw nothing then, and their time limits passed."""
    begin_ns = clock.now_ns()
    while True:
        await asyncio.sleep(TICK_S)
        end_ns = clock.now_ns()
        if end_ns - begin_ns > STALL_NS:
            says = {"begin_ns": begin_ns, "end_ns": end_ns}
            await notes.note(Op(type=INVOKE, f=STALLED, value=says))
        begin_ns = end_ns  # without a gap: the note itself may have been what took so long


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
