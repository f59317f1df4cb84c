"""One run from plan to verdict, in the order in which it happens.

plan -> testbed up -> clients and nemesis -> heal everything -> wait for recovery -> final reads
     -> testbed down -> history compacted -> checkers -> verdicts on disk
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import msgspec

import harness
from harness import registry, store
from harness.checkers.assumptions import Assumptions
from harness.checkers.attested import Attested
from harness.checkers.availability import Availability
from harness.checkers.died import Died
from harness.checkers.errors import Errors
from harness.checkers.judge import LIMIT_S, judge, judge_together
from harness.checkers.recovery import UNREADY, Recovery
from harness.checkers.stats import Stats
from harness.contracts import Fault, Shape, Target, Testbed, Workload
from harness.errors import MissingPower, OperationError, RiftError
from harness.failovers import HandsOver, Measures, Paced
from harness.generators import Generator, any_of, clients, stagger, time_limit
from harness.generators.simulate import schedule_hash
from harness.journal import Journal
from harness.ledger import Ledger
from harness.model.claims import Objectives
from harness.model.clock import NS_PER_S, Clock, MonotonicClock
from harness.model.op import INVOKE, Op
from harness.model.plan import Plan
from harness.model.run import Run
from harness.model.seeds import Rng
from harness.model.topology import Topology
from harness.model.verdict import Valid, Verdict
from harness.nemesis import Nemesis, Timeline, schedule
from harness.planning.runbooks import steps
from harness.planning.traits import TRAITS, lacking
from harness.runner import Runner, first_error, lag_ms
from harness.running import watching
from harness.running.guard import guard
from harness.running.recovering import recover
from harness.running.stage import LiveStage
from harness.scenarios import Drives
from harness.store import RunFolder
from harness.testbeds.opening import lacks, offers, open_testbed

AS_FAST_AS_POSSIBLE_S = 1e-9
LATE_MS = 50.0
"""A dispatch this late at the 99th percentile is no longer noise beside cross-region latencies."""


class Watcher(Protocol):
    """Is told how a run goes on."""

    def say(self, line: str) -> None:
        """Something happened."""

    def tick(self, elapsed_s: float, counts: dict[str, int]) -> None:
        """About once a second while clients run; ``counts`` of ``ok``, ``fail`` and ``info``."""


class Parts:
    """The plugins that a plan names, loaded and checked against each other.

    Raises UsageError for an unknown name, and MissingPower when the target lacks a verb or a fault finds no victim.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.topology: Topology = Topology.model_validate(plan.topology)
        self.target: Target = registry.target(plan.target, plan.target_options)
        self.workload: Workload = registry.workload(plan.workload)
        self.faults: dict[str, Fault] = {name: registry.fault(name) for name in plan.faults}
        missing = sorted(self.workload.needs - self.target.speaks)
        if missing:
            raise MissingPower(f"target {plan.target} does not speak {', '.join(missing)}, which {plan.workload} needs")
        for fault in self.faults.values():
            if reason := lacking(fault.needs, self.target, plan.target):
                raise MissingPower(f"fault {fault.name} {reason}")
            if not fault.aims(self.topology):
                raise MissingPower(f"fault {fault.name} finds no victim in topology {self.topology.name}")
        self.shape = Shape(plan.clients, plan.rate_hz, plan.time_limit_s, self.topology.region_ids, plan.keys)
        self._root = root = Rng(plan.seed)
        self.timeline = Timeline(self._strikes(root.child("nemesis")), until_ns=round(plan.time_limit_s * NS_PER_S))
        self.main: Generator
        if isinstance(self.workload, Drives):
            return  # it hands out no schedule
        gap_s = 1.0 / plan.rate_hz if plan.rate_hz else AS_FAST_AS_POSSIBLE_S
        work = self.workload.generator(root.child("workload"), self.shape)
        paced = isinstance(self.workload, Paced) and self.workload.paced
        work = stagger(root.child("stagger"), gap_s, work) if plan.rate_hz and not paced else work
        self.main = any_of(clients(time_limit(plan.time_limit_s, work)), self.timeline)

    def _strikes(self, rng: Rng) -> tuple[Op, ...]:
        """What the nemesis does and when: the steps of a drill, or faults dealt from a deck."""
        plan = self.plan
        if plan.drill is not None:
            return steps(plan.drill, self.faults[plan.drill.fault], self.topology, rng)
        return schedule(
            list(self.faults.values()),
            self.topology,
            rng,
            every_s=plan.fault_every_s,
            for_s=plan.fault_for_s,
            time_limit_s=plan.time_limit_s,
        )

    def final(self, done: int) -> Generator | None:
        """What clients do after everything healed, when they did ``done`` operations before."""
        return self.workload.final(self._root.child("final"), replace(self.shape, done=done))

    def hash(self) -> str:
        """Identifies the schedule that the seed decides: operations and their planned times as far as they are
        simulated, every fault with its victim and times, however late, and how long it all goes on."""
        if isinstance(self.workload, Drives):
            text = f"{self.plan.test}/{self.plan.seed}"
        else:
            text = schedule_hash(self.main, clients=self.plan.clients)
        digest = blake2b(text.encode(), digest_size=16)
        digest.update(msgspec.json.encode([self.timeline.ops, self.shape]))
        return digest.hexdigest()


def complete(plan: Plan) -> Plan:
    """The plan with its schedule hash, version and time of creation filled in.

    Raises UsageError and MissingPower like :class:`Parts`, and MissingPower for a fault whose powers nobody has here.
    """
    for name in plan.faults:
        missing = sorted(registry.fault(name).needs - TRAITS - offers(plan.testbed))
        if missing:
            raise MissingPower(
                f"fault {name} needs {', '.join(missing)}, which testbed {plan.testbed} does not offer here; "
                f"{lacks(missing)}"
            )
    return msgspec.structs.replace(
        plan,
        schedule_hash=Parts(plan).hash(),
        rift_version=harness.__version__,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
    )


async def carry_out(plan: Plan, folder: RunFolder, watcher: Watcher, link_server_url: str | None = None) -> None:
    """Run ``plan`` and leave its history in ``folder``. Judging comes after, see ``judge_run``.

    Whatever happens (an error, a cancellation), the testbed is taken down and the history so far is kept;
    ``state.json`` then says ``failed`` or ``interrupted``, unless the last read was done: what goes wrong while
    taking down cannot change what the history says. Raises RiftError when harness or environment failed.
    """
    parts = Parts(plan)
    folder.set_state("running")
    try:
        await _run(parts, folder, watcher, link_server_url)
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


async def _run(parts: Parts, folder: RunFolder, watcher: Watcher, link_server_url: str | None) -> None:
    plan = parts.plan
    measurements: dict[str, Any] = {}

    def say(line: str) -> None:
        folder.note(line)
        watcher.say(line)

    journal, ledger = Journal(folder.journal), Ledger(folder.ledger)
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
    try:
        async with testbed:
            measurements |= testbed.measurements
            clock = MonotonicClock()
            if isinstance(parts.workload, Drives):
                stage = LiveStage(testbed, parts.target, journal, ledger, clock, Rng(plan.seed).child("scenario"), say)
                await _drive(testbed, parts, stage, parts.workload, folder, measurements, say)
                return
            nemesis = Nemesis(testbed, parts.faults, ledger, clock, say, _hand_over(testbed, parts.target))
            runner = _runner(testbed, parts, journal, clock, nemesis)

            async def whole() -> None:
                watches = [_tick(runner, watcher)]
                if plan.drill is not None:
                    watches += watching.watches(testbed, parts.target, runner)
                await _while_guarded(runner.run(parts.main), *watches)
                for op in nemesis.active:
                    await runner.note(op, nemesis.invoke)
                unready = await recover(testbed, parts.target, plan.recovery_limit_s, say)
                for node, why in unready.items():
                    await runner.note(Op(type=INVOKE, f=UNREADY, key=node, value={"node": node, "why": why}))
                final = parts.final(done=sum(runner.counts.values()))
                if final is not None:
                    say("final reads")
                    await runner.note(Op(type=INVOKE, f="final"))
                    await runner.run(final)

            try:
                await _while_guarded(whole(), guard(testbed, nemesis, runner, say))
                folder.set_state("finished")
            finally:
                await runner.close()
                measurements |= {"scheduler_lag_ms": lag_ms(runner.lag_ns), "operations": dict(runner.counts)}
                with suppress(RiftError):
                    measurements["traffic"] = await testbed.links.traffic()
                folder.write(folder.measurements, measurements)
    finally:
        ledger.close()
        journal.close()


def _hand_over(testbed: Testbed, target: Target) -> Callable[[str], Awaitable[None]] | None:
    """How to move the leadership to a node, when the target knows how."""
    if not isinstance(target, HandsOver):
        return None
    return lambda node_id: target.hand_over(testbed.seats(), node_id)


def _runner(testbed: Testbed, parts: Parts, journal: Journal, clock: Clock, nemesis: Nemesis) -> Runner:
    """The clients, each placed in a region, and the nemesis beside them."""
    seats = [testbed.seat_for_client(thread) for thread in range(parts.plan.clients)]

    async def connect(thread: int) -> Any:
        return await parts.target.connect(seats[thread])

    return Runner(
        journal=journal,
        clock=clock,
        connect=connect,
        places=[(seat.region, seat.node.id) for seat in seats],
        op_timeout_s=parts.plan.op_timeout_s,
        nemesis=nemesis.invoke,
    )


async def play(plan: Plan, folder: RunFolder, testbed: Testbed, workload: Drives, say: Callable[[str], None]) -> None:
    """Carry out a scenario on a testbed that is up already, and leave it healed. Otherwise as ``carry_out``."""
    parts = Parts(plan)
    folder.set_state("running")
    journal, ledger = Journal(folder.journal), Ledger(folder.ledger)
    try:
        stage = LiveStage(
            testbed, parts.target, journal, ledger, MonotonicClock(), Rng(plan.seed).child("scenario"), say
        )
        await _drive(testbed, parts, stage, workload, folder, dict(testbed.measurements), say)
    except BaseException as error:
        stopped = isinstance(error, asyncio.CancelledError)
        _close_down(folder, "interrupted" if stopped else "failed", str(error))
        raise
    finally:
        ledger.close()
        journal.close()
    _close_down(folder, "finished", "")


async def _drive(
    testbed: Testbed,
    parts: Parts,
    stage: LiveStage,
    workload: Drives,
    folder: RunFolder,
    measurements: dict[str, Any],
    say: Callable[[str], None],
) -> None:
    """Let a scenario act; whatever it left broken is healed."""

    unseen: list[str] = []

    async def whole() -> None:
        async with stage:
            try:
                await workload.drive(stage)
            except OperationError as error:  # it had to know something that nobody answered
                unseen.append(str(error))
            finally:
                await recover(testbed, parts.target, parts.plan.recovery_limit_s, say)

    try:
        await _while_guarded(whole(), guard(testbed, stage.nemesis, stage, say))
        folder.set_state("failed" if unseen else "finished", *unseen)
    finally:
        folder.write(folder.measurements, measurements | {"operations": dict(stage.counts)})


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


async def _tick(runner: Runner, watcher: Watcher) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(1.0)
        watcher.tick(time.monotonic() - began, dict(runner.counts))


# --- judging -------------------------------------------------------------------------------------------


def judge_run(run: Run, limit_s: float = LIMIT_S) -> tuple[Verdict, ...]:
    """What the checkers say about a run's history, each within ``limit_s`` seconds; starts nothing.

    A finding about a promise that the target does not make is reported and changes no outcome, and what is measured is
    judged where somebody promised a number; when it was the only
    promise, nothing is called true, because nothing was judged. When the history itself is unsound nothing is decided,
    and when the run did not finish nothing is called true.
    """
    parts = Parts(run.plan)
    claims = parts.target.claims.consistency if run.plan.claims is None else run.plan.claims
    objectives = parts.target.claims.objectives if run.plan.objectives is None else run.plan.objectives
    claimed = parts.workload.promise in claims
    driven = isinstance(parts.workload, Drives)
    checkers = [_against(objectives, checker) for checker in parts.workload.checkers()]
    verdicts = [
        verdict if claimed or isinstance(checker, Measures) else msgspec.structs.replace(verdict, judged=False)
        for checker, verdict in zip(
            checkers, (judge_together if driven else judge)(run.history, checkers, limit_s), strict=True
        )
    ]
    watching = _for_scenarios() if driven else [_against(objectives, each) for each in _common(run.plan.faults)]
    common = judge(run.history, watching, limit_s)
    if not (claimed or any(verdict.judged for verdict in verdicts)):
        common = [msgspec.structs.replace(v, judged=False) if v.valid is Valid.TRUE else v for v in common]
    verdicts += common if driven else [*common, kept_up(run.measurements)]
    sanity = Assumptions().check(run.history)
    if sanity.valid is not Valid.TRUE:
        return (sanity, *(_unknown(verdict, sanity.cause or sanity.summary) for verdict in verdicts))
    if run.state != "finished":
        why = f"the run did not finish ({run.state}{': ' + run.problem if run.problem else ''})"
        return tuple(_unknown(verdict, why) if verdict.valid is Valid.TRUE else verdict for verdict in verdicts)
    return tuple(verdicts)


def _against(objectives: Objectives, checker: Any) -> Any:
    return checker.against(objectives) if isinstance(checker, Measures) else checker


def kept_up(measurements: dict[str, Any]) -> Verdict:
    """Whether the harness itself was fast enough; a finding about us, so it is only reported.

    Late dispatch makes latencies and availability look worse than they are. Consistency verdicts do not suffer.
    """
    lag = measurements.get("scheduler_lag_ms") or {}
    told = f"operations were sent {lag['p99']:g} ms late at p99, {lag['max']:g} ms at most" if lag else ""
    late = bool(lag) and lag["p99"] > LATE_MS
    return Verdict(
        checker="harness",
        valid=Valid.UNKNOWN if late or not lag else Valid.TRUE,
        summary=f"the harness {'did not keep' if late else 'kept'} up: {told}" if lag else "scheduler lag unmeasured",
        cause=f"the machine was overloaded: {told}; latencies are partly ours" if late else "" if lag else "no figures",
        judged=False,
        details=dict(lag),
    )


def _common(planned: tuple[str, ...]) -> Sequence[Any]:
    return (Stats(), Attested(planned=bool(planned), named=planned), Recovery(), Died(), Errors(), Availability())


def _for_scenarios() -> Sequence[Any]:
    """A scenario's operations are meant to be refused now and then, and it waits for recovery by itself."""
    return (Attested(planned=False), Died(), Errors())


def _unknown(verdict: Verdict, why: str) -> Verdict:
    return msgspec.structs.replace(verdict, valid=Valid.UNKNOWN, cause=f"{why}; up to there: {verdict.summary}")


def judged(folder: RunFolder, limit_s: float = LIMIT_S) -> Run:
    """Load the run in ``folder``, judge it, save the verdicts, and return it with them; ``limit_s`` is for each
    checker."""
    run = store.load(folder, with_verdicts=False)
    verdicts = judge_run(run, limit_s)
    store.save_verdicts(folder, verdicts)
    return msgspec.structs.replace(run, verdicts=verdicts)


def render(run: Run, names: Sequence[str]) -> list[str | Path]:
    """Let each renderer turn the run into its form; an unknown name is a UsageError."""
    return [registry.renderer(name).render(run) for name in names]
