"""The nemesis: draws a fault schedule from the seed, injects each fault, and attests what it did.

A fault goes through the ledger before it acts. Probes before, during and after show whether it bit and whether it is
gone; what they saw goes into the ledger and, in one word, into the history.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any

from msgspec import Struct, to_builtins

from harness.contracts import Aim, Fault, Lab, Symptom
from harness.errors import OperationError, RiftError, UsageError
from harness.generators.base import PENDING, Answer, Generator
from harness.generators.context import Context
from harness.ledger import Ledger
from harness.model.attestation import effective, healed
from harness.model.clock import NS_PER_S, Clock
from harness.model.history import NEVER_NS
from harness.model.op import INVOKE, NEMESIS, Op
from harness.model.seeds import Rng
from harness.model.topology import Topology

FAILBACK_ROOM_NS = 3 * NS_PER_S
"""A failback that comes later than this before the end would not be seen through."""
FAILBACK_LIMIT_S = 15.0
HEAL_LIMIT_S = 10.0
"""How long the probes after a fault may still see it; leaders and connections need a moment to come back."""


# --- the schedule: pure ------------------------------------------------------------------------------


def schedule(
    faults: Sequence[Fault], topology: Topology, rng: Rng, *, every_s: float, for_s: float, time_limit_s: float
) -> tuple[Op, ...]:
    """The nemesis operations of a run with their planned times: one fault at a time, every ``every_s`` for ``for_s``.

    Faults are dealt from a shuffled deck, so that each comes once before any comes twice; victims are drawn evenly.
    Every fault ends before the time limit; the first begins early and is shortened if need be, so that short runs
    see one.
    """
    usable = [(fault, fault.aims(topology)) for fault in faults]
    usable = [(fault, aims) for fault, aims in usable if aims]
    planned: list[Op] = []
    deck: list[tuple[Fault, tuple[Aim, ...]]] = []
    for_s = min(for_s, time_limit_s / 2)
    begin_s = min(3.0, every_s / 3, time_limit_s / 5)
    while usable and begin_s + for_s < time_limit_s:
        if not deck:
            deck, rng = rng.shuffled(usable)
        fault, aims = deck.pop()
        aim, rng = rng.choice(aims)
        late_s, rng = rng.uniform(0.0, min(0.1 * every_s, time_limit_s - for_s - begin_s))
        id_ = f"f{len(planned) // 2 + 1}"
        aim = replace(aim, seed=rng.child(id_).seed >> 16)  # 48 bits, which every format can hold
        planned.append(strike("start", fault, aim, id_, begin_s + late_s))
        planned.append(strike("stop", fault, aim, id_, begin_s + late_s + for_s))
        begin_s += max(every_s, for_s + 1.0)
    return tuple(planned)


def strike(f: str, fault: Fault, aim: Aim, id_: str, at_s: float) -> Op:
    """The nemesis operation that begins (``start``) or ends (``stop``) a fault, planned for ``at_s``."""
    value = {"id": id_, "aim": aim.says, "regions": list(aim.regions), "nodes": list(aim.nodes), "seed": aim.seed}
    if aim.follow:
        value["follow"] = aim.follow
    return Op(type=INVOKE, f=f, key=fault.name, value=value, time_ns=round(at_s * NS_PER_S))


LEADERS_REGION = "leader's region"
"""``Aim.follow`` of a fault on the region in which the leader is found when it strikes."""


def aim_at(fault: Fault, topology: Topology, region: str) -> Aim:
    """The fault's own aim at exactly that region. Raises UsageError when it has none."""
    aims = fault.aims(topology)
    for aim in aims:
        if aim.regions == (region,) and not aim.follow:
            return aim
    known = ", ".join(sorted({aim.regions[0] for aim in aims if len(aim.regions) == 1})) or "none"
    raise UsageError(f"fault {fault.name} has no aim at region {region!r} alone; its regions: {known}")


class Timeline(Struct, frozen=True):
    """A generator that emits planned nemesis operations at their times, late ones as soon as the nemesis is free.

    ``start`` and ``stop`` alternate in ``ops``; a ``failback`` may follow. However late a fault begins to bite, it
    lasts as long as planned, and so does the time from the end of its undoing to the failback; what comes so late that
    it would end after ``until_ns`` is left out, with all that follow. ``lasts_ns`` and ``stop_ns`` are about the step
    that goes on.
    """

    ops: tuple[Op, ...]
    until_ns: int = NEVER_NS
    lasts_ns: int = 0
    stop_ns: int = 0

    def op(self, ctx: Context) -> Answer:
        if not self.ops:
            return None
        if not ctx.free >> ctx.clients & 1:
            return PENDING, self
        first, at_ns, lasts_ns = self.ops[0], max(self.ops[0].time_ns, ctx.time_ns), 0
        if first.f == "start":
            lasts_ns = self.ops[1].time_ns - first.time_ns
            if at_ns + lasts_ns > self.until_ns:
                return None
        else:
            at_ns = max(at_ns, self.stop_ns)
        if first.f == "stop" and self.ops[1:] and self.ops[1].f == "failback":
            lasts_ns = self.ops[1].time_ns - first.time_ns
        if first.f == "failback" and at_ns + FAILBACK_ROOM_NS > self.until_ns:
            return None
        ready = Op(type=INVOKE, f=first.f, key=first.key, value=first.value, process=NEMESIS, time_ns=at_ns)
        return ready, Timeline(self.ops[1:], self.until_ns, lasts_ns)

    def update(self, ctx: Context, event: Op) -> Generator:
        if not self.lasts_ns or not event.is_nemesis or event.f not in ("start", "stop") or event.type == INVOKE:
            return self
        applied_ns = event.value.get("applied_ns", 0) if isinstance(event.value, dict) else 0
        since_ns = applied_ns if event.f == "start" else event.time_ns
        return Timeline(self.ops, self.until_ns, 0, since_ns + self.lasts_ns) if since_ns else self


# --- the acting part ---------------------------------------------------------------------------------


@dataclass
class _Active:
    fault: Fault
    aim: Aim
    before: list[Symptom]
    context: AbstractAsyncContextManager[None]


class Nemesis:
    """Carries out nemesis operations on a lab and remembers what is broken."""

    def __init__(
        self,
        lab: Lab,
        faults: Mapping[str, Fault],
        ledger: Ledger,
        clock: Clock,
        say: Callable[[str], None],
        hand_over: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self._hand_over = hand_over
        self._lab, self._faults, self._ledger, self._clock, self._say = lab, faults, ledger, clock, say
        self._active: dict[str, _Active] = {}
        self._led: str | None = None
        self.busy = False
        """Whether a fault is being injected or undone right now."""

    @property
    def active(self) -> tuple[Op, ...]:
        """The ``stop`` operations that would end every fault that still acts, youngest first."""
        return tuple(
            strike("stop", active.fault, active.aim, id_, 0.0) for id_, active in reversed(self._active.items())
        )

    def touches(self, node: str) -> bool:
        """Whether a fault that acts now is aimed at ``node``."""
        return any(node in active.aim.nodes for active in self._active.values())

    async def invoke(self, op: Op) -> dict[str, Any]:
        """Inject (``start``) or undo (``stop``) the fault, or hand the leadership back (``failback``); the answer is
        the completion's value.

        An error of the fault itself is an answer too: it did not bite, or it did not heal. Raises StoreError when the
        ledger cannot be written.
        """
        self.busy = True
        try:
            return await {"start": self._start, "stop": self._stop, "failback": self._fail_back}[op.f](op)
        finally:
            self.busy = False

    async def _start(self, op: Op) -> dict[str, Any]:
        id_, fault = op.value["id"], self._faults[op.key]
        says = {"id": id_, "aim": op.value["aim"], "regions": op.value["regions"], "nodes": op.value["nodes"]}
        try:
            aim = await self._resolve(fault, op.value)
        except LookupError as error:
            self._ledger.write(id_, fault=fault.name, state="skipped", effective=False, why=str(error), **_but_id(says))
            return says | {"effective": False, "why": str(error)}
        says |= {"aim": aim.says, "regions": list(aim.regions), "nodes": list(aim.nodes)}
        self._ledger.write(id_, fault=fault.name, state="probing", start_ns=self._clock.now_ns(), **_but_id(says))
        before, why = await _probe(self._lab, fault, aim)
        applied_ns = self._clock.now_ns()
        self._ledger.write(id_, state="injecting", start_ns=applied_ns, before=_seen(before))
        during: list[Symptom] = []
        if not why:
            why = await self._enter(id_, fault, aim, before)
        if not why:
            during, why = await _probe(self._lab, fault, aim)
        why = why or effective(before, during)
        bit = not why
        self._ledger.write(id_, state="active", during=_seen(during), effective=bit, why=why)
        self._say(f"{fault.name}: {aim.says}" + ("" if bit else f" DID NOT BITE: {why}"))
        return says | {"applied_ns": applied_ns, "effective": bit, "why": why}

    async def _enter(self, id_: str, fault: Fault, aim: Aim, before: list[Symptom]) -> str:
        context = fault.apply(self._lab, aim)
        try:
            await context.__aenter__()
        except (RiftError, OSError, TimeoutError) as error:
            return f"could not be injected: {error}"
        self._active[id_] = _Active(fault, aim, before, context)
        return ""

    async def _stop(self, op: Op) -> dict[str, Any]:
        says = {"id": op.value["id"]}
        active = self._active.pop(op.value["id"], None)
        if active is None:
            return says | {"healed": True, "lifted_ns": self._clock.now_ns()}
        why = ""
        try:
            await active.context.__aexit__(None, None, None)
        except (RiftError, OSError, TimeoutError) as error:
            why = f"could not be undone: {error}"
        lifted_ns = self._clock.now_ns()
        after: list[Symptom] = []
        if not why:
            after, why = await until_healed(self._lab, active.fault, active.aim, active.before)
        self._ledger.write(
            op.value["id"], state="healed" if not why else "unhealed", end_ns=lifted_ns, after=_seen(after),
            healed=not why, heal_why=why,
        )  # fmt: skip
        self._say(f"{active.fault.name}: healed" if not why else f"{active.fault.name}: NOT HEALED: {why}")
        return says | {"lifted_ns": lifted_ns, "healed": not why, "why": why}

    async def _fail_back(self, op: Op) -> dict[str, Any]:
        """Hand the leadership to the node that led when the last fault struck; done when the nodes say so."""
        says: dict[str, Any] = {"id": op.value["id"], "to": self._led or "", "done": False, "why": ""}
        if self._hand_over is None or not self._led:
            return says | {"why": "the target hands nothing over" if self._led else "nobody knows who led before"}
        try:
            async with asyncio.timeout(FAILBACK_LIMIT_S):
                await self._hand_over(self._led)
                while await self._lab.leader() != self._led:  # noqa: ASYNC110 - only asking tells
                    await asyncio.sleep(0.05)
        except TimeoutError:
            says["why"] = f"{self._led} did not lead again within {FAILBACK_LIMIT_S:g} s"
        except (OperationError, RiftError, OSError) as error:
            says["why"] = str(error) or type(error).__name__
        says["done"] = not says["why"]
        self._say(f"failback to {self._led}: " + (says["why"] or "done"))
        return says

    async def _resolve(self, fault: Fault, value: Mapping[str, Any]) -> Aim:
        aim = Aim(value["aim"], tuple(value["regions"]), tuple(value["nodes"]), seed=value.get("seed", 0))
        if self._hand_over is not None:
            self._led = await self._lab.leader()
        if value.get("follow") not in ("leader", LEADERS_REGION):
            return aim
        for _ in range(20):
            leader = await self._lab.leader()
            if leader is not None:
                region = self._lab.topology.node(leader).region
                if value["follow"] == LEADERS_REGION:
                    return replace(aim_at(fault, self._lab.topology, region), seed=aim.seed)
                return replace(aim, says=f"{aim.says} ({leader} in {region})", nodes=(leader,), regions=(region,))
            await asyncio.sleep(0.1)
        raise LookupError("no node said that it leads within 2 s")


def _but_id(says: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in says.items() if name != "id"}


def _seen(symptoms: Sequence[Symptom]) -> list[dict[str, Any]]:
    return [to_builtins(symptom) for symptom in symptoms]


async def until_healed(lab: Lab, fault: Fault, aim: Aim, before: Sequence[Symptom]) -> tuple[list[Symptom], str]:
    """Probe until the fault is gone, at most ``HEAL_LIMIT_S``: the last symptoms, and empty or what is left of it."""
    deadline = time.monotonic() + HEAL_LIMIT_S
    while True:
        after, why = await _probe(lab, fault, aim)
        why = why or healed(after, before)
        if not why or time.monotonic() > deadline:
            return after, why
        await asyncio.sleep(0.2)


async def _probe(lab: Lab, fault: Fault, aim: Aim) -> tuple[list[Symptom], str]:
    try:
        return await fault.symptoms(lab, aim), ""
    except (RiftError, OSError, TimeoutError) as error:
        return [], f"could not be probed: {error}"
