"""Causal consistency of registers: nobody sees an effect without its cause.

Bouajjani, Enea, Guerraoui and Hamza, "On verifying causal consistency", POPL 2017. With values written once per key,
the causal order is what sessions (program order) and reads (write before the read of it) generate, and a history is
causally consistent exactly when it has none of a few *bad patterns*:

    thin-air                 a read of a value that nobody wrote
    cyclic-causality         the causal order has a cycle                               (CyclicCO)
    initial-after-write      a read of the initial value, with a write of the key in its past  (WriteCOInitRead)
    overwritten              a read of w1, with w1 before w2 before the read, on one key  (WriteCORead)
    cyclic-conflict          the order in which readers must have applied writes contradicts causality  (CyclicCF)

``Causal()`` decides CC by the first four. ``Causal(convergent=True)`` decides CCv (all replicas agree in the end on the
order of writes) by all five; both are exact. Causal memory (CM) lies beyond CC and beside CCv: what breaks CC or
``pram`` breaks it too, but its own patterns (WriteHBInitRead, CyclicHB) are not looked for. Plain CC lets a session go
back and forth between concurrent writes; CM and CCv do not.

A process is a session; operations are ``read``, ``write``, ``cas``. An indeterminate write that nobody read may never
have happened and is left out; one that was read is not taken to precede what its session did next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from harness.checkers.findings import Finding, verdict_of
from harness.checkers.replicas.causal_order import Ints, Key, Order, by_cause, ordered, way, writes_by_key
from harness.checkers.replicas.versions import INITIAL, Access, accesses, needed, written
from harness.checkers.wording import client, count, thing
from harness.kernels.orders import components
from harness.model.history import History
from harness.model.op import OK
from harness.model.verdict import Verdict

FOLLOWED: Final = 2_000
"""So many accesses are looked at for the way from a cause to its effect, which an explanation shows."""
CELLS: Final = 100_000_000
"""Writes times writing sessions that may be kept (four bytes each)."""


@dataclass(frozen=True)
class Causal:
    """Judges registers that begin with ``initial``. Unknown when nothing was read or written, when values were written
    twice, or when so many sessions wrote so much that their past does not fit into memory."""

    convergent: bool = False
    initial: Any = None
    name: str = "causal"

    def check(self, history: History) -> Verdict:
        found = accesses(history, self.initial)
        order = ordered(found.all)
        chains = len(set(order.chain.values()))
        details = {"reads": found.reads, "writes": len(order.chain), "writing_sessions": chains}
        findings, cause = list(found.thin_air), found.cause
        cyclic = list(_cyclic(order))
        if len(order.chain) * chains > CELLS:
            cause = cause or f"{count(len(order.chain), 'write')} in {count(chains, 'session')} are too many to follow"
        elif not cyclic:
            conflicts: list[tuple[int, int]] = []
            findings += _bad_reads(order, chains, conflicts)
            if self.convergent and len(findings) == len(found.thin_air):
                findings += _conflicting(order, conflicts)
        what = "causal convergence" if self.convergent else "causal consistency"
        held = f"{what} held: {count(found.reads, 'read')} saw every cause of what they saw"
        return verdict_of(self.name, findings + cyclic, held=held, cause=cause, details=details, faults=history.faults)


def _cyclic(order: Order) -> Iterator[Finding]:
    pairs = [(before, at) for at, some in enumerate(order.before) for before in some]
    labels = components(len(order.all), [tail for tail, _ in pairs], [head for _, head in pairs])
    knots: dict[int, list[int]] = {}
    for before, at in pairs:
        if labels[before] == labels[at]:
            knots.setdefault(labels[at], []).append(at)
    for knot in knots.values():
        ops = [order.all[at].op for at in sorted(set(knot))]
        says = f"{client(ops[-1])} and others each saw an effect of what they did later: causality runs in a circle"
        yield Finding("cyclic-causality", says, ops[-1], tuple(ops[:6]))


def _bad_reads(order: Order, chains: int, conflicts: list[tuple[int, int]]) -> Iterator[Finding]:
    """Reads that miss a write in their past; fills ``conflicts`` with the writes that must precede what was read.

    ``past[row[at], chain]`` counts the chain's writes in the past of write ``at``, itself included.
    """
    keys = writes_by_key(order)
    row = {at: number for number, at in enumerate(order.chain)}
    rows = np.full(len(order.all), -1, np.int32)
    rows[list(row)] = list(row.values())
    past = np.zeros((len(row), chains), np.int32)
    session: dict[int, Ints] = {}
    for at in by_cause(order):
        access = order.all[at]
        process = access.op.process
        seen = session.get(process)
        seen = np.zeros(chains, np.int32) if seen is None else seen
        if access.source >= 0:
            seen = np.maximum(seen, past[row[access.source]])
        if access.source >= INITIAL and access.key in keys:
            yield from _judged(order, at, keys[access.key], seen, past, rows, conflicts)
        if access.writes:
            past[row[at]] = seen
            past[row[at], order.chain[at]] = order.place[at]
            seen = past[row[at]]
        if access.op.type == OK:
            session[process] = seen


def _judged(
    order: Order, at: int, key: Key, seen: Ints, past: Ints, rows: Ints, conflicts: list[tuple[int, int]]
) -> Iterator[Finding]:
    """The finding on one read: the newest writes of the key in its past, one per chain, must not follow its source."""
    source = order.all[at].source
    wanted = (key.chains.astype(np.int64) << 32) + seen[key.chains]
    newest = np.searchsorted(key.order, wanted, side="right") - 1
    has = (newest >= 0) & (key.order[newest] >> 32 == key.chains)
    newest = newest[has]
    other = key.at[newest] != source
    there, places = key.at[newest][other], (key.order[newest] & 0xFFFFFFFF)[other]
    if not there.size:
        return
    if source == INITIAL:
        yield _overwritten("initial-after-write", order, at, None, int(there[0]))
        return
    own = order.chain[source]
    after = there[past[rows[there], own] >= order.place[source]]
    if after.size:
        yield _overwritten("overwritten", order, at, order.all[source], int(after[0]))
        return
    older = past[rows[source], key.chains[has]][other] < places
    conflicts += [(each, source) for each in there[older].tolist()]


def _overwritten(kind: str, order: Order, at: int, source: Access | None, by: int) -> Finding:
    read, newer = order.all[at], order.all[by]
    of = "" if read.op.key is None else f" of key {read.op.key}"
    known = thing(written(newer.op))
    says = f"{client(read.op)} read {thing(needed(read.op))}{of}, although what it had done or seen before rests on"
    says += f" {known}, which {'replaced it' if source else 'was written there'}"
    between = (order.all[each].op for each in way(order, by, at, FOLLOWED))
    return Finding(kind, says, read.op, (*((source.op,) if source else ()), newer.op, *between))


def _conflicting(order: Order, conflicts: Sequence[tuple[int, int]]) -> Iterator[Finding]:
    """Cycles of causality and conflicts: no order of writes suits all readers."""
    unique = sorted(set(conflicts))
    pairs = [(before, at) for at, some in enumerate(order.before) for before in some]
    tails, heads = zip(*pairs, *unique, strict=True) if pairs or unique else ((), ())
    labels = components(len(order.all), tails, heads)
    knots: dict[int, list[tuple[int, int]]] = {}
    for older, newer in unique:
        if labels[older] == labels[newer]:
            knots.setdefault(labels[older], []).append((older, newer))
    for knot in knots.values():
        first, last = (order.all[at].op for at in knot[-1])
        of = "" if last.key is None else f" of key {last.key}"
        says = f"readers disagree whether {thing(written(first))} or {thing(written(last))}{of} was written last"
        yield Finding("cyclic-conflict", says, last, tuple(order.all[at].op for pair in knot[:4] for at in pair))
