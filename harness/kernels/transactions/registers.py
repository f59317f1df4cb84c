"""Registers that transactions write and read: what came before what, as far as it can be known.

A version is the write that made it (its row), or a key's initial value. What is known of their order:

- the initial value comes first;
- a transaction that read v and then wrote w puts v before w; a transaction's writes follow each other;
- with sequential keys, what a process met later does not come earlier;
- with linearizable keys, v comes before w when somebody who met v ended before somebody who met w began.

Kingsbury and Alvaro, "Elle" (VLDB 2020), section 5. A key whose versions follow each other in a circle is reported and
says nothing else. The arrays of versions are never changed in place once they are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from harness.kernels.transactions.columns import (
    NIL,
    READ,
    SHOWN,
    UNKNOWN,
    WRITE,
    Evidence,
    Finding,
    Flags,
    Inside,
    MicroOps,
    Writers,
    acknowledged,
    committed,
    inside,
    lost_updates,
)
from harness.kernels.transactions.graph import WR, WW, Edges, bridged, components, edges, in_cycles, joined
from harness.kernels.transactions.zones import covers
from harness.model.columns import NEVER, OK_CODE, Ints, Longs

Pairs = tuple[Ints, Ints]
"""Version orders: earlier and later versions, side by side."""
NO_PAIRS: Final = (np.zeros(0, np.int32), np.zeros(0, np.int32))


@dataclass(frozen=True)
class _Seen:
    """``version[row]`` of each write that may have happened and each read whose write is known; -1 elsewhere.

    Version ``rows + key`` is the initial value of a key. ``outside`` are rows of reads that saw other transactions.
    """

    version: Ints
    outside: Ints
    clear: Flags


def register_dependencies(
    ops: MicroOps, sequential_keys: bool = False, linearizable_keys: bool = False
) -> tuple[Edges, int, Evidence]:
    """Dependencies of rw-register transactions, the number of virtual nodes in them, and the anomalies that are no
    cycles.
    """
    evidence = Evidence()
    steps = inside(ops)
    seen = _seen(ops, steps, evidence)
    _judge_inside(ops, steps, seen, evidence)
    _judge_intermediate(ops, steps, seen, evidence)
    external = np.full(len(ops.txn), -1, np.int32)
    external[seen.outside] = seen.version[seen.outside]
    evidence.add("lost-update", *lost_updates(ops, external, steps))
    orders = [_within(ops, steps, seen, external)]
    if sequential_keys:
        orders.append(_by_process(ops, seen))
    if linearizable_keys:
        orders.append(_by_time(ops, seen))
    pairs = _together(orders)
    known = _observed(ops, seen)
    pairs = _together([pairs, _from_nothing(ops, seen, pairs, known)])
    pairs = _without_circles(ops, pairs, evidence)
    found, hubs = _edges(ops, seen, pairs)
    return found, hubs, evidence


def _seen(ops: MicroOps, steps: Inside, evidence: Evidence) -> _Seen:
    """Which write each read saw; reads of what was aborted or never written are noted."""
    writes = np.flatnonzero((ops.kind == WRITE) & committed(ops)[ops.txn]).astype(np.int32)
    reads = np.flatnonzero((ops.kind == READ) & acknowledged(ops)[ops.txn] & (ops.value != UNKNOWN)).astype(np.int32)
    writers = Writers(ops, writes)
    clear = np.ones(ops.key_count, bool)
    clear[ops.key[writers.twice]] = False
    other = writers.find(ops.key[writers.twice], ops.value[writers.twice])
    initial = writes[ops.value[writes] == NIL]
    clear[ops.key[initial]] = False
    twice = np.concatenate((np.stack((writers.twice, other), 1), np.stack((initial, initial), 1)))
    for row, first in twice[:SHOWN].tolist():
        txns = (int(ops.txn[row]), int(ops.txn[first]))
        evidence.ambiguous.append(Finding("ambiguous", int(ops.key[row]), txns, (row, first), (int(ops.value[row]),)))
    version = np.full(len(ops.txn), -1, np.int32)
    version[writes] = writes
    key, value = ops.key[reads], ops.value[reads]
    found = np.where(value == NIL, len(ops.txn) + key, writers.find(key, value)).astype(np.int32)
    _judge_sources(ops, reads[found < 0], evidence)
    version[reads] = found
    version[~clear[ops.key]] = -1
    return _Seen(version, reads[(version[reads] >= 0) & ~steps.own_before[reads]], clear)


def _judge_sources(ops: MicroOps, reads: Ints, evidence: Evidence) -> None:
    """Reads of a value that nobody wrote who may have committed."""
    if not len(reads):
        return
    rows = np.flatnonzero((ops.kind == WRITE) & ~committed(ops)[ops.txn]).astype(np.int32)
    failed = dict(zip(zip(ops.key[rows].tolist(), ops.value[rows].tolist(), strict=True), rows.tolist(), strict=True))
    for row in reads.tolist():
        key, value, txn = int(ops.key[row]), int(ops.value[row]), int(ops.txn[row])
        witness = failed.get((key, value))
        if witness is None:
            evidence.add("garbage-read", [Finding("garbage-read", key, (txn,), (row,), (value,))])
        else:
            evidence.add("G1a", [Finding("G1a", key, (txn, int(ops.txn[witness])), (row, witness), (value,))])


def _judge_inside(ops: MicroOps, steps: Inside, seen: _Seen, evidence: Evidence) -> None:
    """Reads that contradict what their own transaction did before (internal) or did only later (future-read)."""
    read = (ops.kind == READ) & acknowledged(ops)[ops.txn] & (ops.value != UNKNOWN)
    rows = np.flatnonzero(read & (steps.previous >= 0)).astype(np.int32)
    rows = rows[ops.value[rows] != ops.value[steps.previous[rows]]]
    internal = [ops.finding("internal", int(steps.previous[row]), row) for row in rows[:SHOWN].tolist()]
    evidence.add("internal", internal, len(rows))
    later = read & (seen.version > np.arange(len(ops.txn))) & (seen.version < len(ops.txn))
    rows = np.flatnonzero(later).astype(np.int32)
    rows = rows[ops.txn[seen.version[rows]] == ops.txn[rows]]
    future = [
        ops.finding("future-read", row, int(seen.version[row]))
        for row in rows[:SHOWN].tolist()
    ]  # fmt: skip
    evidence.add("future-read", future, len(rows))


def _judge_intermediate(ops: MicroOps, steps: Inside, seen: _Seen, evidence: Evidence) -> None:
    """Reads of a value that its writer replaced before it committed (G1b)."""
    rows = seen.outside[seen.version[seen.outside] < len(ops.txn)]
    made = seen.version[rows]
    rows = rows[steps.own_after[made] & (ops.txn[made] != ops.txn[rows])]
    found = [
        Finding(
            "G1b", int(ops.key[row]), (int(ops.txn[row]), int(ops.txn[write])), (row, write), (int(ops.value[row]),)
        )
        for row in rows[:SHOWN].tolist()
        for write in (int(seen.version[row]),)
    ]
    evidence.add("G1b", found, len(rows))


def _together(parts: list[Pairs]) -> Pairs:
    return np.concatenate([a for a, _ in parts]), np.concatenate([b for _, b in parts])


def _within(ops: MicroOps, steps: Inside, seen: _Seen, external: Ints) -> Pairs:
    """Within one transaction: what it read and then wrote, and its writes of one key."""
    writes = np.flatnonzero((ops.kind == WRITE) & (seen.version >= 0) & (steps.previous >= 0)).astype(np.int32)
    before = steps.previous[writes]
    earlier = np.where(ops.kind[before] == WRITE, seen.version[before], external[before])
    use = (earlier >= 0) & (earlier != writes)
    return earlier[use].astype(np.int32), writes[use]


def _observed(ops: MicroOps, seen: _Seen) -> Flags:
    """Per row: a write that certainly happened, because its transaction was acknowledged or some write of it was
    read.
    """
    happened = acknowledged(ops)
    read = seen.version[seen.outside]
    happened[ops.txn[read[read < len(ops.txn)]]] = True
    known: Flags = (ops.kind == WRITE) & (seen.version >= 0) & happened[ops.txn]
    return known


def _from_nothing(ops: MicroOps, seen: _Seen, pairs: Pairs, known: Flags) -> Pairs:
    """The initial value of each key comes before every version that follows no other one."""
    follows = np.zeros(len(ops.txn), bool)
    follows[pairs[1][(pairs[0] < len(ops.txn)) & (pairs[1] < len(ops.txn))]] = True
    first = np.flatnonzero(known & ~follows).astype(np.int32)
    return (len(ops.txn) + ops.key[first]).astype(np.int32), first


def _meetings(ops: MicroOps, seen: _Seen) -> Ints:
    """Rows by which a transaction met a version: reads from outside and writes."""
    met = (ops.kind == WRITE) & (seen.version >= 0)
    met[seen.outside] = True
    return np.flatnonzero(met).astype(np.int32)


def _by_process(ops: MicroOps, seen: _Seen) -> Pairs:
    """What each process met of a key, one after the other. Only what was acknowledged leads on."""
    rows = _meetings(ops, seen)
    process, key = ops.process[ops.txn[rows]], ops.key[rows]
    order = np.lexsort((rows, key, process))
    rows, process, key = rows[order], process[order], key[order]
    same = (process[1:] == process[:-1]) & (key[1:] == key[:-1]) & (ops.type[ops.txn[rows[:-1]]] == OK_CODE)
    earlier, later = seen.version[rows[:-1]], seen.version[rows[1:]]
    use = same & (earlier != later)
    return earlier[use], later[use]


def _by_time(ops: MicroOps, seen: _Seen) -> Pairs:
    """What was met of a key before what, by the clock: see :mod:`harness.kernels.transactions.zones`."""
    rows = _meetings(ops, seen)
    size = len(ops.txn) + ops.key_count
    first_end, last_start = np.full(size, NEVER), np.full(size, -1, np.int64)
    version, txn = seen.version[rows], ops.txn[rows]
    np.minimum.at(first_end, version, ops.end[txn])
    np.maximum.at(last_start, version, ops.start[txn])
    first_end[len(ops.txn) :] = -1  # the initial value was there before everything
    known = np.zeros(size, bool)
    known[: len(ops.txn)] = _observed(ops, seen)
    known[version[version >= len(ops.txn)]] = True
    versions = np.flatnonzero(known).astype(np.int32)
    key = np.where(versions < len(ops.txn), ops.key[np.minimum(versions, len(ops.txn) - 1)], versions - len(ops.txn))
    earlier, later = covers(key.astype(np.int32), first_end[versions], last_start[versions])
    return versions[earlier], versions[later]


def _without_circles(ops: MicroOps, pairs: Pairs, evidence: Evidence) -> Pairs:
    """The pairs of keys whose versions follow each other in no circle; the others are noted with one circle each."""
    earlier, later = pairs
    if not len(earlier):
        return pairs
    labels = components(earlier, later, len(ops.txn) + ops.key_count)
    circular = in_cycles(labels)
    if not circular.any():
        return pairs
    bad = np.zeros(ops.key_count, bool)
    key = _key_of(ops, earlier)
    inner = circular[earlier] & (labels[earlier] == labels[later])
    bad[key[inner]] = True
    found = []
    for number in np.unique(key[inner])[:SHOWN].tolist():
        use = inner & (key == number)
        circle = _circle(earlier[use].tolist(), later[use].tolist())
        rows = tuple(version for version in circle if version < len(ops.txn))
        values = tuple(int(ops.value[version]) if version < len(ops.txn) else NIL for version in circle)
        txns = tuple(dict.fromkeys(int(ops.txn[row]) for row in rows))
        found.append(Finding("cyclic-versions", number, txns, rows, values))
    evidence.add("cyclic-versions", found, int(bad.sum()))
    use = ~bad[key]
    return earlier[use], later[use]


def _key_of(ops: MicroOps, version: Ints) -> Ints:
    last = max(len(ops.txn) - 1, 0)
    return np.where(version < len(ops.txn), ops.key[np.minimum(version, last)], version - len(ops.txn)).astype(np.int32)


def _circle(earlier: list[int], later: list[int]) -> list[int]:
    """A shortest way from the first of the pairs' versions back to itself, by breadth-first search."""
    follows: dict[int, list[int]] = {}
    for a, b in zip(earlier, later, strict=True):
        follows.setdefault(a, []).append(b)
    best: list[int] = []
    for start in list(follows)[:64]:
        came: dict[int, int] = {}
        queue = [start]
        for node in queue:
            for after in follows.get(node, ()):
                if after not in came:
                    came[after] = node
                    queue.append(after)
        if start in came:
            way = [start]
            while came[way[-1]] != start:
                way.append(came[way[-1]])
            best = way if not best or len(way) < len(best) else best
    return best[::-1]


def _edges(ops: MicroOps, seen: _Seen, pairs: Pairs) -> tuple[Edges, int]:
    rows, count = seen.outside, len(ops.txn)
    version, reader = seen.version[rows], ops.txn[rows]
    saw = version < count
    saw[saw] = ops.txn[version[saw]] != reader[saw]
    reads = edges(ops.txn[version[saw]], reader[saw], WR, ops.key[rows[saw]])
    earlier, later = pairs
    use = later < count  # nothing comes before the initial value
    earlier, later = earlier[use], later[use]
    both = earlier < count
    source, target = ops.txn[earlier[both]], ops.txn[later[both]]
    other = source != target
    overwrites = edges(source[other], target[other], WW, ops.key[later[both]][other])
    every: Longs = np.arange(count + ops.key_count)
    key_of = _key_of(ops, every.astype(np.int32))
    missed, hubs = bridged(version, reader, earlier, ops.txn[later], key_of, len(ops))
    return joined((reads, overwrites, missed)), hubs
