"""One run from plan to history, in the order in which it happens.

plan -> testbed up -> clients and nemesis -> heal everything -> wait for recovery -> final reads
     -> testbed down -> history compacted
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from harness import registry
from harness.checkers.every_run.recovery import UNREADY
from harness.contracts import Target, Testbed
from harness.errors import OperationError, RiftError
from harness.failovers import HandsOver, Paced
from harness.journal import Journal
from harness.ledger import Ledger
from harness.model.clock import Clock, MonotonicClock
from harness.model.history import FINAL
from harness.model.op import INVOKE, Op
from harness.model.plan import Plan
from harness.model.seeds import Rng
from harness.nemesis import Nemesis
from harness.planning.parts import Parts
from harness.runner import REST_S, Runner, first_error, lag_ms
from harness.running import watching
from harness.running.guard import guard
from harness.running.recovering import recover
from harness.running.stage import LiveStage
from harness.scenarios import Drives
from harness.store import RunFolder
from harness.testbeds.opening import open_testbed

Say = Callable[[str], None]


class Watcher(Protocol):
    """Is told how a run goes on."""

    def say(self, line: str) -> None:
        """Something happened."""

    def tick(self, elapsed_s: float, counts: dict[str, int]) -> None:
        """About once a second while clients run; ``counts`` of ``ok``, ``fail`` and ``info``."""


@dataclass(frozen=True)
class Going:
    """A run that goes on: its parts, the testbed that is up, what is written meanwhile, and who is told."""

    parts: Parts
    testbed: Testbed
    folder: RunFolder
    journal: Journal
    ledger: Ledger
    say: Say


async def carry_out(plan: Plan, folder: RunFolder, watcher: Watcher, link_server_url: str | None = None) -> None:
    """Run ``plan`` and leave its history in ``folder``. Judging comes after, see ``harness.judging.runs``.

    Whatever happens (an error, a cancellation), the testbed is taken down and the history so far is kept;
    ``state.json`` then says ``failed`` or ``interrupted``, unless the last read was done: what goes wrong while
    taking down cannot change what the history says. Raises RiftError when harness or environment failed.
    """
    parts = Parts(plan)

    def say(line: str) -> None:
        folder.note(line)
        watcher.say(line)

    with _kept(folder) as (journal, ledger):
        testbed = open_testbed(
            plan.testbed,
            *(parts.topology, parts.target, folder.path),
            run_id=secrets.token_hex(4),
            seed=plan.seed,
            link_server=link_server_url,
            home=registry.home("compose"),
            say=say,
            clocks=any("clocks" in fault.needs for fault in parts.faults.values()),
        )
        async with testbed:
            going = Going(parts, testbed, folder, journal, ledger, say)
            if isinstance(parts.workload, Drives):
                await _drive(going, parts.workload)
            else:
                await _follow(going, watcher)


async def play(plan: Plan, folder: RunFolder, testbed: Testbed, workload: Drives, say: Say) -> None:
    """Carry out a scenario on a testbed that is up already, and leave it healed. Otherwise as ``carry_out``."""
    parts = Parts(plan)
    with _kept(folder) as (journal, ledger):
        await _drive(Going(parts, testbed, folder, journal, ledger, say), workload)


@contextmanager
def _kept(folder: RunFolder) -> Iterator[tuple[Journal, Ledger]]:
    """The run's journal and ledger. However it ends, they are complete before the history is compacted, and
    ``state.json`` says how."""
    folder.set_state("running")
    try:
        journal, ledger = Journal(folder.journal), Ledger(folder.ledger)
        try:
            yield journal, ledger
        finally:
            ledger.close()
            journal.close()
    except asyncio.CancelledError:
        _close_down(folder, "interrupted", "stopped by the user")
        raise
    except BaseException as error:
        _close_down(folder, "failed", str(error))
        raise
    _close_down(folder, "finished", "")


def _close_down(folder: RunFolder, state: str, problem: str) -> None:
    # A full disk may refuse each of these; the line-based history is then still there and loads.
    with suppress(Exception):
        if folder.journal.exists():
            folder.finish_history()
    with suppress(RiftError):
        if not (state == "finished" and folder.has_failed()):
            folder.set_state("finished" if folder.is_finished() else state, problem)


# --- a workload that hands out a schedule ----------------------------------------------------------------


async def _follow(going: Going, watcher: Watcher) -> None:
    """Let clients and the nemesis carry out the schedule."""
    parts, testbed = going.parts, going.testbed
    measurements, clock = dict(testbed.measurements), MonotonicClock()
    nemesis = Nemesis(testbed, parts.faults, going.ledger, clock, going.say, _hand_over(testbed, parts.target))
    runner = _runner(going, clock, nemesis)
    try:
        await _while_guarded(_phases(going, runner, nemesis, watcher), guard(testbed, nemesis, runner, going.say))
        going.folder.set_state("finished")
    finally:
        await runner.close()
        measurements |= {"scheduler_lag_ms": lag_ms(runner.lag_ns), "operations": dict(runner.counts)}
        with suppress(RiftError):
            measurements["traffic"] = await testbed.links.traffic()
        going.folder.write(going.folder.measurements, measurements)


async def _phases(going: Going, runner: Runner, nemesis: Nemesis, watcher: Watcher) -> None:
    """Work under faults; then everything is healed, recovery awaited, and what is left is read."""
    plan, testbed, target = going.parts.plan, going.testbed, going.parts.target
    watches = [_tick(runner, watcher), watching.note_stalls(runner.clock, runner)]
    if plan.drill is not None:
        watches += watching.watches(testbed, target, runner)
    await _while_guarded(runner.run(going.parts.main), *watches)
    for op in nemesis.active:
        await runner.note(op, nemesis.invoke)
    unready = await recover(testbed, target, plan.recovery_limit_s, going.say)
    for node, why in unready.items():
        await runner.note(Op(type=INVOKE, f=UNREADY, key=node, value={"node": node, "why": why}))
    final = going.parts.final(done=sum(runner.counts.values()))
    if final is not None:
        going.say("final reads")
        await runner.note(Op(type=INVOKE, f=FINAL))
        await runner.run(final)


def _hand_over(testbed: Testbed, target: Target) -> Callable[[str], Awaitable[None]] | None:
    """How to move the leadership to a node, when the target knows how."""
    if not isinstance(target, HandsOver):
        return None
    return lambda node_id: target.hand_over(testbed.seats(), node_id)


def _runner(going: Going, clock: Clock, nemesis: Nemesis) -> Runner:
    """The clients, each placed in a region, and the nemesis beside them."""
    plan, target, workload = going.parts.plan, going.parts.target, going.parts.workload
    seats = [going.testbed.seat_for_client(thread) for thread in range(plan.clients)]

    async def connect(thread: int) -> Any:
        return await target.connect(seats[thread])

    return Runner(
        journal=going.journal,
        clock=clock,
        connect=connect,
        places=[(seat.region, seat.node.id) for seat in seats],
        op_timeout_s=plan.op_timeout_s,
        rest_s=workload.rest_s(going.parts.shape) if isinstance(workload, Paced) else REST_S,
        nemesis=nemesis.invoke,
    )


async def _tick(runner: Runner, watcher: Watcher) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(1.0)
        watcher.tick(time.monotonic() - began, dict(runner.counts))


# --- a scenario ------------------------------------------------------------------------------------------


async def _drive(going: Going, workload: Drives) -> None:
    """Let a scenario act; whatever it left broken is healed."""
    testbed, target, plan = going.testbed, going.parts.target, going.parts.plan
    measurements, rng, clock = dict(testbed.measurements), Rng(plan.seed).child("scenario"), MonotonicClock()
    stage = LiveStage(testbed, target, going.journal, going.ledger, clock, rng, going.say)
    unseen: list[str] = []

    async def whole() -> None:
        async with stage:
            try:
                await workload.drive(stage)
            except OperationError as error:  # it had to know something that nobody answered
                unseen.append(str(error))
            finally:
                await recover(testbed, target, plan.recovery_limit_s, going.say)

    try:
        watches = [guard(testbed, stage.nemesis, stage, going.say), watching.note_stalls(clock, stage)]
        await _while_guarded(whole(), *watches)
        going.folder.set_state("failed" if unseen else "finished", *unseen)
    finally:
        going.folder.write(going.folder.measurements, measurements | {"operations": dict(stage.counts)})


async def _while_guarded(work: Awaitable[None], *watches: Coroutine[Any, Any, None]) -> None:
    """Do ``work`` beside ``watches``, which never end by themselves; an error of one of them ends the work."""
    try:
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(watch) for watch in watches]
            await work
            for task in watching:
                task.cancel()
    except BaseExceptionGroup as errors:
        raise first_error(errors) from errors
