"""How long each region was not served after a fault, and whether that was too long."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

import msgspec

from harness.certify import laws
from harness.certify.contract import Change, Check, Expected, Family, Question, System
from harness.certify.families import _drills as common
from harness.certify.oracles.outages import SECOND, cut_off, groups, seen
from harness.certify.systems import outages
from harness.certify.systems.outages import HUNG, REFUSED, SERVED, SILENT, Group, Script
from harness.checkers.failovers.rto import Rto
from harness.model.history import History
from harness.model.op import FAIL, INVOKE, OK
from harness.model.verdict import Valid, Verdict

OBJECTIVE_S: Final = 1.5
FIRST_S: Final = 1.0
MIXED: Final = "mixed"
"""Of attempts that overlap some are refused, and others are answered late."""
CHECK: Final[Check] = Rto(objective_s=OBJECTIVE_S).check


def draw(random: Random) -> History:
    """One or two groups; each is disturbed once or twice for a while, before or after the heal, or not at all."""
    fault_s = random.uniform(1.8, 2.4)
    heal_s = fault_s + random.uniform(1.0, 3.5)
    end_s = heal_s + random.uniform(0.8, 3.0)
    every = [(region, f) for region in outages.REGIONS for f in ("append", "entries")]
    some = tuple(random.sample(every, k=random.choice((1, 2))))
    fault = random.choice(("kill-region", "partition-region", "blackhole-region", "pause-node"))
    moved_s = random.choice((0.0, random.uniform(heal_s + 0.1, end_s)))
    gap_s, effective = random.uniform(0.08, 0.16), random.random() < 0.95
    script = Script(gap_s, fault_s, heal_s, end_s, fault, effective, moved_s, some)
    noise = random.choice((0.0, 0.0, 0.05))
    dips = {group: [_dip(random, heal_s - fault_s) for _ in range(random.choice((0, 1, 1, 2)))] for group in some}

    def how(group: Group, at_s: float) -> str | float:
        for begin_s, until_s, kind in dips[group]:
            if begin_s <= at_s < until_s:
                if kind == MIXED:
                    return REFUSED if random.random() < 0.5 else at_s + random.uniform(0.0, 0.6)
                return kind or until_s
        return REFUSED if random.random() < noise else SERVED

    return outages.played(script, how)


def _dip(random: Random, heal_s: float) -> tuple[float, float, str]:
    begin_s = random.choice((0.0, 0.0, 0.0, random.uniform(0, heal_s + 2), heal_s))
    lasts_s = random.choice((random.uniform(0.1, 1.0), random.uniform(0.5, 2.5), random.uniform(0.5, 6)))
    return begin_s, begin_s + lasts_s, random.choice((REFUSED, REFUSED, SILENT, SILENT, HUNG, MIXED, SERVED))


def judge(history: History) -> Expected:
    """Was every group that could be served steady in time?"""
    faults = [fault for fault in history.faults if fault.effective]
    found = [
        (seen(history, fault, ops), cut_off(fault, region))
        for fault in faults
        for (region, _), ops in groups(history).items()
    ]
    judged = [each for each, cut in found if not cut]
    limit_ns = round(OBJECTIVE_S * SECOND)
    if any(each.interrupted and each.failing_ns > limit_ns for each in judged):
        return Expected.BROKEN
    late = [each for each in judged if each.interrupted and (each.steady_ns is None or each.steady_ns > limit_ns)]
    hit = any(each.interrupted for each in judged)
    if not history.faults:
        return Expected.HOLDS
    return Expected.HOLDS if hit and not late and not any(each.why for each in judged) else Expected.OPEN


def judge_first(history: History) -> Expected | None:
    """Was a client of every interrupted group served again within FIRST_S, as the oracle measures?"""
    found = [
        seen(history, fault, ops) for fault in history.faults if fault.effective for ops in groups(history).values()
    ]
    hit = [each for each in found if each.interrupted]
    if not hit:
        return None
    return _sooner([each.served_ns / SECOND if each.served_ns is not None else None for each in hit])


def first(verdict: Verdict) -> Valid:
    """The same by what the checker measured."""
    hit = [
        kind
        for outage in verdict.details.get("outages", ())
        for kinds in outage["regions"].values()
        for kind in kinds.values()
        if kind["interrupted"]
    ]
    times = [kind["first_success_s"] for kind in hit]
    return {Expected.HOLDS: Valid.TRUE, Expected.BROKEN: Valid.FALSE, Expected.OPEN: Valid.UNKNOWN}[_sooner(times)]


def _sooner(times_s: list[float | None]) -> Expected:
    if any(time is not None and abs(time - FIRST_S) < 0.0002 for time in times_s):
        return Expected.OPEN  # what is told is rounded
    return Expected.HOLDS if all(time is not None and time <= FIRST_S for time in times_s) else Expected.BROKEN


# --- what is planted -------------------------------------------------------------------------------


def failing(dead: Callable[[Group, float], bool]) -> Change:
    """Attempts at certain times (seconds since the fault) fail."""

    def fail(history: History, _: Random) -> History | None:
        fault = next(iter(history.faults), None)
        if fault is None:
            return None
        start_ns = fault.start_ns
        begun = {op.process: op.time_ns for op in history if op.type == INVOKE and not op.is_nemesis}

        def ends(op: Any) -> Any:
            if op.is_nemesis or op.type != OK:
                return op
            at_s = (begun[op.process] - start_ns) / SECOND
            return msgspec.structs.replace(op, type=FAIL) if dead((op.region, op.f), at_s) else op

        return History(map(ends, history))

    return fail


def waiting(until_s: float) -> Change:
    """Who asks from the fault on is answered only then."""

    def wait(history: History, _: Random) -> History | None:
        fault = next(iter(history.faults), None)
        if fault is None:
            return None
        begin_ns, end_ns = fault.start_ns, fault.start_ns + round(until_s * SECOND)
        asked = {op.process: op.time_ns for op in history if op.type == INVOKE and not op.is_nemesis}
        held = {process for process, at_ns in asked.items() if begin_ns <= at_ns < end_ns}
        moved = [
            msgspec.structs.replace(op, type=OK, time_ns=max(op.time_ns, end_ns))
            if op.type != INVOKE and op.process in held and not op.is_nemesis
            else op
            for op in history
        ]
        ordered = sorted(moved, key=lambda op: op.time_ns)
        return History(msgspec.structs.replace(op, index=at) for at, op in enumerate(ordered))

    return wait


def other_times(history: History, random: Random) -> History:
    """The clock began earlier; nothing else of it may change, for lengths of time are what is measured."""
    later_ns = random.randrange(1, 10**13)
    return laws.changed(history, time_ns=lambda time_ns: time_ns + later_ns, index=lambda index: index * 3 + 7)


FAMILY: Final = Family(
    name="rto",
    draw=draw,
    questions=(
        Question("steady in time", CHECK, judge),
        Question("first success", CHECK, judge_first, answer=first, unknown_share=0.001),
    ),
    sound=lambda random: outages.outage(random, 0.4, 0.9),
    plants={
        "late": failing(lambda _, at_s: 0 <= at_s < 2.5),
        "late, one kind in one region": failing(lambda group, at_s: group == ("eu", "entries") and 0 <= at_s < 2.5),
        "never": failing(lambda _, at_s: at_s >= 0),
        "again": failing(lambda _, at_s: 2.0 <= at_s < 2.8),
        "half": failing(lambda _, at_s: 0 <= at_s < 3.0 and int(at_s / 0.08) % 2 == 0),
        "waited out": waiting(3.0),
    },
    laws={
        "other processes": laws.other_processes,
        "other keys": common.of_clients(laws.other_keys),
        "other times": other_times,
        "other values": common.of_clients(laws.other_values),
    },
    systems=(
        System("quick", lambda random: outages.outage(random, 0.4, 0.9), True, CHECK),
        System("slow", lambda random: outages.outage(random, 2.2, 4.0), False, CHECK),
    ),
    names=None,
)
