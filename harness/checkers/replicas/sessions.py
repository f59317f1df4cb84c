"""What a client may expect of its own session, whichever replica answers: the four session guarantees.

Terry et al., "Session guarantees for weakly consistent replicated data", 1994; the formal versions follow Viotti and
Vukolic, "Consistency in non-transactional distributed storage systems", 2016, section 3.4.

A process is a session. Each key is judged for itself. Its versions have one order that all replicas agree on in the
end; nobody records that order, so the checker asks whether *some* order satisfies the guarantees. Each guarantee
says what the order must contain:

    read-your-writes      a read that follows the session's own write w sees w or a newer version
    monotonic-reads       a read that follows a read of u sees u or a newer version
    monotonic-writes      the writes of a session to a key are ordered as they were issued
    writes-follow-reads   a write that follows a read of u is newer than u

A cycle in these demands is a violation, and no cycle means that an order exists. Old versions can only be told by
another guarantee, which is assumed (``ASSUMED``): who reads back its own older value is blamed for the read, and not
for having written in another order. Assumes that values are unique per key; operations are ``read``, ``write``,
``cas``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from harness.checkers.findings import Finding, verdict_of
from harness.checkers.replicas.versions import INITIAL, UNKNOWN, Access, Accesses, accesses, needed, written
from harness.checkers.wording import after, client, count, thing
from harness.kernels.orders import components
from harness.model.history import History, Operation
from harness.model.op import OK
from harness.model.verdict import Verdict

RYW, MR, MW, WFR = GUARANTEES = ("read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads")
ASSUMED: Final = {RYW: MW, MR: MW, MW: MR, WFR: MR}
TRIED: Final = 8
"""So many demands of a knot are tried for the shortest cycle."""


class Demand(NamedTuple):
    """``older`` must come before ``newer`` (positions of writes; INITIAL is the oldest), or ``by`` is violated."""

    older: int
    newer: int
    by: str
    first: Operation
    then: Operation


@dataclass(frozen=True)
class Sessions:
    """Judges whether the named ``guarantees`` hold together, on registers that begin with ``initial``.

    A finding is named after the judged guarantees that take part in it. Unknown when nothing was read or written,
    when values were written twice, or when the assumed guarantee is broken.
    """

    guarantees: tuple[str, ...] = GUARANTEES
    initial: Any = None
    name: str = "sessions"

    def check(self, history: History) -> Verdict:
        found = accesses(history, self.initial)
        used = {*self.guarantees, *(ASSUMED[each] for each in self.guarantees)}
        demands = [each for each in demanded(found) if each.by in used]
        broken = [each for each in demands if each.newer == INITIAL]
        knots = list(_knots(len(found.all), [each for each in demands if each.newer != INITIAL]))
        cycles = [_cycle(knot, self.guarantees) for knot in knots]
        findings = [*found.thin_air, *(_forgotten(each, found) for each in broken if each.by in self.guarantees)]
        findings += [_finding(cycle, found, self.guarantees) for cycle in cycles if cycle]
        assumed = sorted(used - set(self.guarantees))
        cause = found.cause
        if not all(cycles) or any(each.by in assumed for each in broken):
            cause = f"what is assumed to tell old from new does not hold: {', '.join(assumed)}"
        sessions = len({access.op.process for access in found.all})
        held = f"{' and '.join(self.guarantees)} held: {count(found.reads, 'read')} in {count(sessions, 'session')}"
        details = {"reads": found.reads, "sessions": sessions, "guarantees": list(self.guarantees), "assumed": assumed}
        return verdict_of(self.name, findings, held=held, cause=cause, details=details, faults=history.faults)


def demanded(found: Accesses) -> Iterator[Demand]:
    """What the sessions demand of the order of versions, only as much as implies the rest."""
    wrote: dict[tuple[int, Hashable], int] = {}
    read: dict[tuple[int, Hashable], tuple[int, Operation]] = {}
    for at, access in enumerate(found.all):
        op, session = access.op, (access.op.process, access.key)
        own, (seen, look) = wrote.get(session), read.get(session, (INITIAL, op))
        if access.source != UNKNOWN:
            if own is not None and own != access.source:
                yield Demand(own, access.source, RYW, found.all[own].op, op)
            if seen not in (INITIAL, access.source):
                yield Demand(seen, access.source, MR, look, op)
            seen, look = access.source, op
            if op.type == OK:
                read[session] = seen, look
        if access.writes:
            if own is not None:
                yield Demand(own, at, MW, found.all[own].op, op)
            if seen != INITIAL and seen != at:
                yield Demand(seen, at, WFR, look, op)
            if op.type == OK:  # nobody may rely on a write that was never acknowledged
                wrote[session] = at


def _knots(size: int, demands: Sequence[Demand]) -> Iterator[list[Demand]]:
    """The demands inside each strongly connected component that holds a cycle."""
    labels = components(size, [each.older for each in demands], [each.newer for each in demands])
    knots: dict[int, list[Demand]] = {}
    for each in demands:
        if labels[each.older] == labels[each.newer]:
            knots.setdefault(labels[each.older], []).append(each)
    yield from knots.values()


def _cycle(knot: Sequence[Demand], judged: Iterable[str]) -> list[Demand]:
    """A short cycle through a judged demand, which comes first; empty when the knot has none."""
    after: dict[int, list[Demand]] = {}
    for each in knot:
        after.setdefault(each.older, []).append(each)
    tried = sorted((each for each in knot if each.by in judged), key=lambda each: each.then.end_index)[:TRIED]
    return min(([each, *_path(each.newer, each.older, after)] for each in tried), key=len, default=[])


def _path(begin: int, end: int, after: dict[int, list[Demand]]) -> list[Demand]:
    came: dict[int, Demand] = {}
    todo = deque([begin])
    while end not in came and todo:
        for each in after.get(todo.popleft(), ()):
            if each.newer not in came:
                came[each.newer] = each
                todo.append(each.newer)
    path: list[Demand] = []
    here = end
    while here != begin or not path:
        path.append(came[here])
        here = came[here].older
    return path[::-1]


def _finding(cycle: Sequence[Demand], found: Accesses, judged: Sequence[str]) -> Finding:
    kinds = {each.by for each in cycle}
    kind = " or ".join(each for each in GUARANTEES if each in kinds and each in judged)
    last = max(cycle, key=lambda each: (each.by in (RYW, MR), each.then.end_index))
    words = [_words(each, found.all) for each in cycle if each is not last]
    says = f"{_words(last, found.all)}, although {' and '.join(words[:3])}" if words else _words(last, found.all)
    return Finding(kind, says, last.then, tuple(op for each in cycle for op in (each.first, each.then)))


def _forgotten(demand: Demand, found: Accesses) -> Finding:
    return Finding(demand.by, _words(demand, found.all), demand.then, (demand.first,))


def _words(demand: Demand, every: Sequence[Access]) -> str:
    """``client 3 read 1 of key x, 2 ms after its own write of 2 was acknowledged``"""
    then, first = demand.then, demand.first
    of = "" if then.key is None else f" of key {then.key}"
    older = thing(written(every[demand.older].op))
    wait = after(first.end_ns, then.start_ns)
    if demand.by in (RYW, MR):
        done = f"its own write of {older} was acknowledged" if demand.by == RYW else f"it had read {older}"
        return f"{client(then)} read {thing(needed(then))}{of}, {wait} {done}"
    done = "writing" if demand.by == MW else "reading"
    to = "" if then.key is None else f" to key {then.key}"
    return f"{client(then)} wrote {thing(written(then))}{to} after {done} {older}"
