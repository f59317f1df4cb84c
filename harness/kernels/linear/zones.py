"""Registers whose written values are all different, in n log n: every read names its write.

A value's *zone* lies between the first end and the last start among its write and its reads. Two values cannot be
ordered exactly when each must come before the other: the first end of either is before the last start of
the other (Gibbons and Korach, "Testing shared memories", SIAM Journal on Computing 26, 1997, section 4.2).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harness.kernels.calls import ANY, COLUMNS_NEVER, KEEP, CallColumns, Decision

Longs = npt.NDArray[np.int64]


def has_zones(calls: CallColumns) -> bool:
    """Whether there are only reads and blind writes, and no state is made twice."""
    reads = calls.leaves == KEEP
    if not bool(np.all(np.where(reads, calls.needs >= ANY, calls.needs == ANY))):
        return False
    made = np.bincount(calls.leaves[~reads], minlength=calls.states)
    return bool(made.max(initial=0) <= 1 and made[calls.initial] == 0)


def decide_zones(calls: CallColumns) -> Decision:
    """Decide calls of which ``has_zones`` is true. The culprit is found by bisection; ``few`` show it."""
    if in_order(calls):
        return Decision(True, explored=len(calls))
    ends = np.sort(calls.end[calls.end < COLUMNS_NEVER])
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        if in_order(calls.prefix(int(ends[middle]))[0]):
            low = middle + 1
        else:
            high = middle
    end = int(ends[low])
    culprit = int(np.flatnonzero(calls.end == end)[0])
    return Decision(False, culprit, decided_to=end, explored=len(calls), few=_witnesses(calls, culprit))


def zones(calls: CallColumns) -> tuple[Longs, Longs]:
    """First end and last start by state. The initial state counts as written before everything."""
    first_end = np.full(calls.states, COLUMNS_NEVER, np.int64)
    last_start = np.full(calls.states, -2, np.int64)
    first_end[calls.initial] = -1
    reads = np.flatnonzero((calls.needs >= 0) & (calls.end < COLUMNS_NEVER))
    writes = np.flatnonzero(calls.leaves >= 0)
    first_end[calls.leaves[writes]], last_start[calls.leaves[writes]] = calls.end[writes], calls.start[writes]
    np.minimum.at(first_end, calls.needs[reads], calls.end[reads])
    np.maximum.at(last_start, calls.needs[reads], calls.start[reads])
    return first_end, last_start


def in_order(calls: CallColumns) -> bool:
    """Whether an order exists."""
    if _orphans(calls).size:
        return False
    first_end, last_start = zones(calls)
    ahead = np.flatnonzero(first_end < last_start)
    ahead = ahead[np.argsort(first_end[ahead], kind="stable")]
    starts, ends = first_end[ahead], last_start[ahead]
    if np.any(starts[1:] < ends[:-1]):
        return False
    back = np.flatnonzero((first_end > last_start) & (last_start >= 0) & (first_end < COLUMNS_NEVER))
    around = np.searchsorted(starts, last_start[back]) - 1
    held = around >= 0
    return not bool(np.any(first_end[back[held]] < ends[around[held]]))


def _orphans(calls: CallColumns) -> npt.NDArray[np.intp]:
    """Reads that ended before their write began."""
    born = np.full(calls.states, COLUMNS_NEVER, np.int64)
    writes = calls.leaves >= 0
    born[calls.leaves[writes]] = calls.start[writes]
    born[calls.initial] = -1
    reads = np.flatnonzero((calls.needs >= 0) & (calls.end < COLUMNS_NEVER))
    return reads[born[calls.needs[reads]] > calls.end[reads]]


def _witnesses(calls: CallColumns, culprit: int) -> tuple[int, ...]:
    """The culprit, and the calls of its value and of one value that it cannot be ordered with: the write, the first
    to end and the last to start of each."""
    before, at = calls.prefix(int(calls.end[culprit]))
    orphans = _orphans(before)
    if orphans.size:
        return tuple(sorted({culprit, *np.flatnonzero(calls.leaves == calls.needs[culprit]).tolist()[:1]}))
    first_end, last_start = zones(before)
    mine = int(calls.needs[culprit] if calls.leaves[culprit] == KEEP else calls.leaves[culprit])
    rivals = np.flatnonzero((first_end < last_start[mine]) & (first_end[mine] < last_start))
    found = {culprit}
    for state in (mine, *rivals[rivals != mine][-1:].tolist()):
        members = np.flatnonzero((before.needs == state) | (before.leaves == state))
        wrote = members[before.leaves[members] == state]
        ends, starts = members[np.argmin(before.end[members])], members[np.argmax(before.start[members])]
        found |= {int(at[i]) for i in (*wrote.tolist(), int(ends), int(starts))}
    return tuple(sorted(found))
