"""What scenarios can ask to be judged of the data itself: the consistency checkers, and what becomes of writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from harness.checkers.guarantees import Found
from harness.checkers.objects.linearizable import Linearizable
from harness.checkers.regions import caches, services
from harness.checkers.regions.story import Story, plain
from harness.checkers.replicas.causal import Causal
from harness.checkers.replicas.convergence import Convergence
from harness.checkers.replicas.crdt import GSet, OrSet, PnCounter
from harness.checkers.replicas.sessions import GUARANTEES, MR, Sessions
from harness.checkers.replicas.staleness import Staleness
from harness.checkers.settled import final_reads, rest
from harness.checkers.wording import count, moment, thing
from harness.contracts import Checker
from harness.kernels.models import freeze
from harness.model.clock import NS_PER_S
from harness.model.history import History, Operation
from harness.model.op import FAIL, OK
from harness.model.regions import Judge
from harness.model.verdict import Valid

CHECKERS: Final[dict[str, Callable[[Mapping[str, Any]], Checker]]] = {
    "linearizable": lambda o: Linearizable("cas-register"),
    "convergence": lambda o: Convergence(within_ms=float(o.get("within_ms", 0.0))),
    "staleness": lambda o: Staleness(max_ms=float(o["max_ms"])),
    "sessions": lambda o: Sessions(GUARANTEES),
    "monotonic-reads": lambda o: Sessions((MR,)),
    "causal": lambda o: Causal(),
    "counter": lambda o: PnCounter(within_ms=float(o.get("within_ms", 0.0))),
    "grow-only-set": lambda o: GSet(within_ms=float(o.get("within_ms", 0.0))),
    "set": lambda o: OrSet(within_ms=float(o.get("within_ms", 0.0))),
}
"""Checkers of the data, from the options of a judgement."""


def judged(story: Story, judge: Judge) -> Found:
    """What a judgement finds. Raises KeyError for one that does not exist."""
    if judge.by in OWN:
        return OWN[judge.by](story, judge)
    verdict = CHECKERS[judge.by](judge.options).check(plain(story.history, judge))
    if verdict.valid is Valid.FALSE:
        return Found(broken=(verdict.summary,), excerpts=verdict.excerpts)
    if verdict.valid is Valid.UNKNOWN:
        return Found(doubt=f"{judge.by}: {verdict.cause or verdict.summary}")
    return Found(played=1, held=verdict.summary)


def survives(story: Story, judge: Judge) -> Found:
    """Acknowledged writes of keys that are written once each are there in the end. ``may_lose_s``: those acknowledged
    so long before a fault, or in it, may be lost, and are counted as allowed."""
    history = plain(story.history, judge)
    settled = rest(history, {"write"})
    if settled.cause:
        return Found(doubt=settled.cause)
    wrote = {freeze(op.key): op for op in history.operations if op.f == "write" and op.type == OK}
    found: dict[Any, set[Any]] = {}
    for op in final_reads(history.operations, ("read",), settled):
        found.setdefault(freeze(op.key), set()).add(freeze(op.result))
    unread = len(wrote.keys() - found.keys())
    lost = [op for key, op in wrote.items() if key in found and freeze(op.value) not in found[key]]
    window_ns = round(float(judge.options.get("may_lose_s", 0.0)) * NS_PER_S)
    excused = [op for op in lost if window_ns and _near_a_fault(op, history, window_ns)]
    told = tuple(f"{thing(op.value)}, acknowledged at {moment(op.end_ns)}, is lost" for op in lost if op not in excused)
    if told:
        return Found(broken=told)
    if unread or not wrote:
        return Found(doubt=f"{count(unread, 'write')} not read again" if wrote else "nothing was acknowledged")
    if excused:
        says = f"{count(len(excused), 'write')} of {len(wrote)} lost, all acknowledged shortly before the loss or in it"
        return Found(allowed=(says,), played=len(wrote))
    return Found(played=len(wrote), held=f"all of {count(len(wrote), 'acknowledged write')} are there")


def _near_a_fault(op: Operation, history: History, window_ns: int) -> bool:
    return any(fault.start_ns - window_ns <= op.end_ns <= fault.end_ns for fault in history.faults)


def highest_stamp(story: Story, judge: Judge) -> Found:
    """Last write wins: every final read gives the write with the highest stamp, region names breaking ties; or a write
    whose end nobody saw, because its stamp is not known."""
    history = plain(story.history, judge)
    settled = rest(history, {"write"})
    stamps: dict[Any, dict[Any, tuple[int, str]]] = {}
    unsure: dict[Any, set[Any]] = {}
    for op in story.operations:
        if op.f == "write" and str(op.key).startswith(judge.prefix) and op.type != FAIL:
            key, value = freeze(op.key), freeze(op.value["value"])
            if op.type == OK:
                stamp = (int(op.result["stamp"]), str(op.result["served_by"]))
                known = stamps.setdefault(key, {})
                known[value] = max(stamp, known.get(value, stamp))
            else:
                unsure.setdefault(key, set()).add(value)
    broken, played = [], 0
    finals = final_reads(history.operations, ("read",), settled)
    for read in finals:
        key, value = freeze(read.key), freeze(read.result)
        if key not in stamps or value in unsure.get(key, ()):
            continue
        played += 1
        winner = max(stamps[key], key=lambda each: stamps[key][each])
        if value != winner:
            own = stamps[key].get(value, ("none",))[0]
            says = f"key {read.key} reads {thing(read.result)} (stamp {own}) in {read.region}"
            broken.append(f"{says}, not {thing(winner)} (stamp {stamps[key][winner][0]})")
    doubt = settled.cause or ("" if played else "nothing was read after everything had come to rest")
    doubt = doubt or _not_read(history.operations, finals, stamps)
    return Found(tuple(broken), played=played, held=f"{count(played, 'final read')} gave the latest write", doubt=doubt)


def _not_read(every: Sequence[Operation], finals: Sequence[Operation], keys: Iterable[Any]) -> str:
    """A written key that was not read at rest in some region that has clients; empty when all were."""
    read = {(freeze(op.key), op.region) for op in finals}
    regions = sorted({op.region for op in every})
    missing = [(key, region) for key in keys for region in regions if (key, region) not in read]
    return f"key {missing[0][0]} was not read at rest in {missing[0][1] or 'any region'}" if missing else ""


OWN: Final[dict[str, Callable[[Story, Judge], Found]]] = {
    "survives": survives, "highest-stamp": highest_stamp, "hits": caches.hits, "current": caches.current,
    "walks": caches.walks, "logins": services.logins, "capacity": services.capacity,
}  # fmt: skip
"""Judgements that need more than plain operations."""
