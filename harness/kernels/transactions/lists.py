"""Lists that transactions append to and read: what came before what.

A list never forgets, so one read shows the order of every append before it. The longest read of a key gives its version
order, every other read must be a beginning of it, and acknowledged appends that it lacks come later (Kingsbury and
Alvaro, "Elle", VLDB 2020, section 4.2). Only the longest reads are matched with their appends; the others are compared,
element by element.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.kernels.transactions.columns import (
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
from harness.kernels.transactions.graph import WR, WW, Edges, bridged, edges, joined, ranges
from harness.model.columns import Ints

CHUNK = 1 << 22
"""So many elements are compared at once: 16 MB."""


@dataclass(frozen=True)
class _Orders:
    """The version orders, laid end to end: version ``i`` of key ``k`` is slot ``base[k] + i``; version 0 is the empty
    list.

    ``longest[k]`` is the row of the read that shows the order (-1: none). ``writer`` is the row of the append that made
    a slot, -1 where it is none that may have happened; ``place`` is the slot of an append's row, -1 where no longest
    read has it.
    """

    longest: Ints
    length: Ints
    base: Ints
    key: Ints
    value: Ints
    writer: Ints
    place: Ints


def list_dependencies(ops: MicroOps) -> tuple[Edges, int, Evidence]:
    """Dependencies of list-append transactions, the number of virtual nodes in them, and the anomalies that are no
    cycles.
    """
    assert ops.length is not None
    evidence = Evidence()
    may = committed(ops)[ops.txn]
    appends = np.flatnonzero((ops.kind == WRITE) & may).astype(np.int32)
    reads = (ops.kind == READ) & acknowledged(ops)[ops.txn] & (ops.value != UNKNOWN)
    writers = Writers(ops, appends)
    clear = _without_ambiguous(ops, writers, evidence)
    rows = np.flatnonzero(reads & clear[ops.key]).astype(np.int32)
    orders = _orders(ops, rows, writers)
    odd = _odd(ops, rows, orders)
    steps = inside(ops)
    _judge_elements(ops, rows, orders, evidence)
    _judge_order(ops, odd, orders, evidence)
    fine = np.setdiff1d(rows, odd, assume_unique=True) if len(odd) else rows
    _judge_inside(ops, rows, steps, evidence)
    _judge_future(ops, fine, steps, orders, evidence)
    _judge_own_order(ops, steps, orders, clear, evidence)
    outside = fine[~steps.own_before[fine]]
    _judge_intermediate(ops, outside, steps, orders, evidence)
    seen = np.full(len(ops.txn), -1, np.int32)
    seen[outside] = orders.base[ops.key[outside]] + ops.length[outside]
    evidence.add("lost-update", *lost_updates(ops, seen, steps))
    settled = clear.copy()
    settled[ops.key[odd]] = False
    found, hubs = _edges(ops, outside, appends[settled[ops.key[appends]]], orders)
    return joined((found, _odd_edges(ops, odd[~steps.own_before[odd]], writers))), hubs, evidence


def _without_ambiguous(ops: MicroOps, writers: Writers, evidence: Evidence) -> Flags:
    """Which keys have no value that was appended twice; the others are noted."""
    clear = np.ones(ops.key_count, bool)
    clear[ops.key[writers.twice]] = False
    other = writers.find(ops.key[writers.twice], ops.value[writers.twice])
    for row, first in zip(writers.twice[:SHOWN].tolist(), other[:SHOWN].tolist(), strict=True):
        txns = (int(ops.txn[row]), int(ops.txn[first]))
        evidence.ambiguous.append(Finding("ambiguous", int(ops.key[row]), txns, (row, first), (int(ops.value[row]),)))
    return clear


def _orders(ops: MicroOps, reads: Ints, writers: Writers) -> _Orders:
    assert ops.length is not None
    assert ops.elements is not None
    best = np.full(ops.key_count, -1, np.int64)
    np.maximum.at(best, ops.key[reads], (ops.length[reads].astype(np.int64) << 32) | reads)
    longest = np.where(best >= 0, best & 0xFFFFFFFF, -1).astype(np.int32)
    length = np.where(best >= 0, best >> 32, 0).astype(np.int32)
    base = (np.cumsum(length + 1) - (length + 1)).astype(np.int32)
    key = np.repeat(np.arange(len(length), dtype=np.int32), length + 1)
    value = np.full(len(key), -1, np.int32)
    real = np.ones(len(key), bool)
    real[base] = False
    value[real] = ops.elements[ranges(ops.value[longest], length)]
    writer = np.full(len(key), -1, np.int32)
    writer[real] = writers.find(key[real], value[real])
    place = np.full(len(ops.txn), -1, np.int32)
    known = np.flatnonzero(writer >= 0)[::-1].astype(np.int32)
    place[writer[known]] = known
    return _Orders(longest, length, base, key, value, writer, place)


def _chunks(ops: MicroOps, reads: Ints) -> Iterator[Ints]:
    """The reads in parts of about CHUNK elements."""
    assert ops.length is not None
    total = np.cumsum(ops.length[reads], dtype=np.int64)
    cuts = np.searchsorted(total, np.arange(CHUNK, int(total[-1]) if len(total) else 0, CHUNK))
    yield from np.split(reads, cuts + 1)


def _odd(ops: MicroOps, reads: Ints, orders: _Orders) -> Ints:
    """Reads that are no beginning of the longest read of their key."""
    assert ops.length is not None
    assert ops.elements is not None
    odd = []
    for part in _chunks(ops, reads):
        start, length = ops.value[part], ops.length[part]
        if not len(part):
            continue
        longest = ops.value[orders.longest[ops.key[part]]]
        whole = len(part) == 1 or bool((start[1:] == start[:-1] + length[:-1]).all())
        if whole:
            own = ops.elements[int(start[0]) : int(start[0]) + int(length.sum())]
        else:
            own = ops.elements[ranges(start, length)]
        differ = np.flatnonzero(own != ops.elements[ranges(longest, length)])
        odd.append(part[np.unique(np.searchsorted(np.cumsum(length), differ, "right"))])
    return np.concatenate(odd) if odd else reads[:0]


def _judge_elements(ops: MicroOps, reads: Ints, orders: _Orders, evidence: Evidence) -> None:
    """Elements of the longest reads that were aborted, come from nowhere or come twice."""
    slots = np.flatnonzero((orders.writer < 0) & (orders.value >= 0)).astype(np.int32)
    aborted, garbage, dirty = [], [], []
    failed = _failed_appends(ops) if len(slots) else {}
    for slot in slots.tolist():
        key, value = int(orders.key[slot]), int(orders.value[slot])
        row = int(orders.longest[key])
        witness = failed.get((key, value))
        if witness is None:
            garbage.append(ops.finding("garbage-read", row, values=(value,)))
            continue
        aborted.append(ops.finding("G1a", row, witness, values=(value,)))
        after = orders.writer[slot + 1 : int(orders.base[key] + orders.length[key]) + 1]
        if (after >= 0).any():
            heir = int(after[after >= 0][0])
            dirty.append(ops.finding("dirty-update", heir, witness, row, values=(value,)))
    for name, found in (("G1a", aborted), ("garbage-read", garbage), ("dirty-update", dirty)):
        evidence.add(name, found[:SHOWN], len(found))
    known = np.flatnonzero(orders.writer >= 0)
    again = known[orders.place[orders.writer[known]] != known]
    double = [
        Finding("duplicate-elements", int(orders.key[slot]), (int(ops.txn[row]),), (row,), (int(orders.value[slot]),))
        for slot in again[:SHOWN].tolist()
        for row in (int(orders.longest[orders.key[slot]]),)
    ]
    evidence.add("duplicate-elements", double, len(again))


def _failed_appends(ops: MicroOps) -> dict[tuple[int, int], int]:
    rows = np.flatnonzero((ops.kind == WRITE) & ~committed(ops)[ops.txn])
    return dict(zip(zip(ops.key[rows].tolist(), ops.value[rows].tolist(), strict=True), rows.tolist(), strict=True))


def _judge_order(ops: MicroOps, odd: Ints, orders: _Orders, evidence: Evidence) -> None:
    """Reads that contradict the longest one, and what else is wrong with their elements."""
    if not len(odd):
        return
    found = [
        Finding("incompatible-order", int(ops.key[row]), (int(ops.txn[row]), int(ops.txn[longest])), (row, longest))
        for row in odd[:SHOWN].tolist()
        for longest in (int(orders.longest[ops.key[row]]),)
    ]
    evidence.add("incompatible-order", found, len(odd))
    failed = _failed_appends(ops)
    rows = np.flatnonzero((ops.kind == WRITE) & committed(ops)[ops.txn])
    known = set(zip(ops.key[rows].tolist(), ops.value[rows].tolist(), strict=True))
    for row in odd.tolist():
        _judge_elements_of(ops, row, failed, known, evidence)


def _judge_elements_of(
    ops: MicroOps, row: int, failed: dict[tuple[int, int], int], known: set[tuple[int, int]], evidence: Evidence
) -> None:
    assert ops.length is not None
    assert ops.elements is not None
    key, txn, start = int(ops.key[row]), int(ops.txn[row]), int(ops.value[row])
    items = ops.elements[start : start + int(ops.length[row])].tolist()
    for item in dict.fromkeys(items):
        if (key, item) in known:
            continue
        witness = failed.get((key, item))
        if witness is None:
            evidence.add("garbage-read", [Finding("garbage-read", key, (txn,), (row,), (item,))])
        else:
            evidence.add("G1a", [Finding("G1a", key, (txn, int(ops.txn[witness])), (row, witness), (item,))])
    twice = [item for item in dict.fromkeys(items) if items.count(item) > 1]
    if twice:
        evidence.add("duplicate-elements", [Finding("duplicate-elements", key, (txn,), (row,), (twice[0],))])


def _judge_inside(ops: MicroOps, reads: Ints, steps: Inside, evidence: Evidence) -> None:
    """Reads that contradict what their own transaction did before (internal)."""
    assert ops.length is not None
    assert ops.elements is not None
    bad, now, back = [], reads[steps.previous[reads] >= 0], 0
    at = steps.previous[now]
    while len(now):  # all reads walk back together, one micro-operation at a time
        wrote = ops.kind[at] == WRITE
        short = ops.length[now] <= back
        last = ops.value[now] + ops.length[now] - 1 - back
        wrong = wrote & (
            short | (ops.elements[np.where(wrote & ~short, last, 0)] != ops.value[at]) if len(ops.elements) else wrote
        )
        read = ~wrote & (ops.value[at] != UNKNOWN)
        wrong |= read & (ops.length[now] != ops.length[at] + back)
        wrong |= read & ~wrong & ~_begins_alike(ops, now, at, read & ~wrong)
        bad.append(now[wrong])
        on = wrote & ~wrong & (steps.previous[at] >= 0)
        now, at, back = now[on], steps.previous[at[on]], back + 1
    rows = np.concatenate(bad) if bad else reads[:0]
    found = [ops.finding("internal", int(steps.previous[row]), row) for row in rows[:SHOWN].tolist()]
    evidence.add("internal", found, len(rows))


def _judge_future(ops: MicroOps, reads: Ints, steps: Inside, orders: _Orders, evidence: Evidence) -> None:
    """Reads of what their own transaction appends only later. ``reads`` keep to the version orders."""
    assert ops.length is not None
    use = np.zeros(len(ops.txn), bool)
    use[reads] = True
    early, late = steps.earlier, steps.later
    use = use[early] & (ops.kind[late] == WRITE) & (orders.place[late] >= 0)
    early, late = early[use], late[use]
    seen = orders.place[late] <= orders.base[ops.key[early]] + ops.length[early]
    future = [
        Finding("future-read", int(ops.key[row]), (int(ops.txn[row]),), (row, write), (int(ops.value[write]),))
        for row, write in zip(early[seen][:SHOWN].tolist(), late[seen][:SHOWN].tolist(), strict=True)
    ]
    evidence.add("future-read", future, int(seen.sum()))


def _judge_own_order(ops: MicroOps, steps: Inside, orders: _Orders, clear: Flags, evidence: Evidence) -> None:
    """Lists that show what a transaction appended later but not, or not before it, what it had appended earlier."""
    both = (ops.kind[steps.earlier] == WRITE) & (ops.kind[steps.later] == WRITE) & clear[ops.key[steps.later]]
    early, late = steps.earlier[both], steps.later[both]
    place = orders.place[early]
    wrong = np.flatnonzero((orders.place[late] >= 0) & ((place < 0) | (place > orders.place[late])))
    found = [
        Finding("incompatible-order", int(ops.key[row]), (int(ops.txn[read]), int(ops.txn[row])), (read, row))
        for row in early[wrong[:SHOWN]].tolist()
        for read in (int(orders.longest[ops.key[row]]),)
    ]
    evidence.add("incompatible-order", found, len(wrong))


def _begins_alike(ops: MicroOps, rows: Ints, others: Ints, use: Flags) -> Flags:
    """Whether the answer of each read begins with the whole answer of another, where ``use`` asks; true elsewhere."""
    assert ops.length is not None
    assert ops.elements is not None
    alike = np.ones(len(rows), bool)
    ask = np.flatnonzero(use)
    length = ops.length[others[ask]]
    mine, theirs = ranges(ops.value[rows[ask]], length), ranges(ops.value[others[ask]], length)
    differ = np.flatnonzero(ops.elements[mine] != ops.elements[theirs])
    alike[ask[np.searchsorted(np.cumsum(length), differ, "right")]] = False
    return alike


def _judge_intermediate(ops: MicroOps, reads: Ints, steps: Inside, orders: _Orders, evidence: Evidence) -> None:
    """Reads whose last element is not the last one its transaction appended (G1b)."""
    assert ops.length is not None
    last = orders.writer[orders.base[ops.key[reads]] + ops.length[reads]]
    wrong = (last >= 0) & steps.own_after[last] & (ops.txn[last] != ops.txn[reads])
    found = [
        Finding(
            "G1b", int(ops.key[row]), (int(ops.txn[row]), int(ops.txn[write])), (row, write), (int(ops.value[write]),)
        )
        for row, write in zip(reads[wrong][:SHOWN].tolist(), last[wrong][:SHOWN].tolist(), strict=True)
    ]
    evidence.add("G1b", found, int(wrong.sum()))


def _edges(ops: MicroOps, reads: Ints, appends: Ints, orders: _Orders) -> tuple[Edges, int]:
    """What overwrites, reads and misses what, along the version orders and beyond their ends."""
    assert ops.length is not None
    known = np.flatnonzero(
        (orders.writer >= 0) & (orders.place[orders.writer] == np.arange(len(orders.writer)))
    ).astype(np.int32)
    made, at_key = ops.txn[orders.writer[known]], orders.key[known]
    overwrites = _other(made[:-1], made[1:], WW, at_key[1:], at_key[:-1] == at_key[1:])
    slot = orders.base[ops.key[reads]] + ops.length[reads]
    reader, key, last = ops.txn[reads], ops.key[reads], orders.writer[slot]
    saw = _other(ops.txn[last], reader, WR, key, last >= 0)
    following = np.searchsorted(known, slot, "right")
    after = np.full(len(orders.writer) + 1, -1, np.int32)
    after[: len(known)] = made
    same_key = np.full(len(orders.writer) + 1, -1, np.int32)
    same_key[: len(known)] = at_key
    inner = same_key[following] == key
    missed = _other(reader, after[following], 2, key, inner)
    happened = acknowledged(ops)
    happened[made] = True
    unseen = appends[(orders.place[appends] < 0) & happened[ops.txn[appends]]]
    newest = np.full(ops.key_count, -1, np.int32)
    newest[at_key] = made
    ends = _other(newest[ops.key[unseen]], ops.txn[unseen], WW, ops.key[unseen], newest[ops.key[unseen]] >= 0)
    every_key = np.arange(ops.key_count, dtype=np.int32)
    beyond, hubs = bridged(key[~inner], reader[~inner], ops.key[unseen], ops.txn[unseen], every_key, len(ops))
    return joined((overwrites, saw, missed, ends, beyond)), hubs


def _other(source: Ints, target: Ints, kind: int, key: Ints, use: Flags) -> Edges:
    use = use & (source != target)
    return edges(source[use], target[use], kind, key[use])


def _odd_edges(ops: MicroOps, odd: Ints, writers: Writers) -> Edges:
    """A read that contradicts the version order still saw its last element."""
    assert ops.length is not None
    assert ops.elements is not None
    odd = odd[ops.length[odd] > 0]
    last = writers.find(ops.key[odd], ops.elements[ops.value[odd] + ops.length[odd] - 1])
    return _other(ops.txn[last], ops.txn[odd], WR, ops.key[odd], last >= 0)
