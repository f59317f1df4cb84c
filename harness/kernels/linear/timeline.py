"""The calls on one object laid out for a search from return to return: which is open when, and in which slot.

Certain calls get a *slot* while they are open, a bit in a configuration's sets; a slot is free again after its call
returned. Indeterminate calls of equal effect are one *kind*, counted in a *field* of some bits; a field is free
again when no call that is still to return can need what its kind leaves. So a configuration stays small however
long the history is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from harness.kernels.calls import ANY, COLUMNS_NEVER, KEEP, CallColumns
from harness.kernels.compiling import Kernel
from harness.kernels.linear.supply import GUESS, READS, RETIRE, RETURN, START, WANTS, counted, first_of_states

WORD_BITS: Final = 62
"""Bits used of a signed 64-bit word, so that no sum ever leaves it."""
NEEDS, LEAVES, PLACE, DUE, SUPPLY = range(5)
TOTAL = 3
WORD, SHIFT, BITS = range(3)
_BUT: Final = -3
_WIDTHS: Final = 34

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]


class Timeline(NamedTuple):
    """``events`` hold ``number * 4 + what``: a call starts or returns (START, RETURN), an indeterminate call starts
    (GUESS), or a kind can no longer be needed (RETIRE; the number is the kind's). ``returns[level]`` is the place of
    that level's return in ``events``, and its end stands behind them.

    Columns of ``calls``: NEEDS, LEAVES, PLACE (its slot, or field), DUE (the level at which it returns). Of ``kinds``:
    NEEDS, LEAVES, PLACE (its field), TOTAL. Of ``fields``: WORD, SHIFT, BITS (a mask). ``guard`` has the bit above each
    field.

    ``first``, ``wants`` and ``reads`` tell what a search may waste: see :mod:`harness.kernels.linear.supply`."""

    calls: Ints
    events: Ints
    returns: Ints
    kinds: Ints
    fields: Longs
    guard: Longs
    first: Ints
    wants: Ints
    reads: Ints
    slots: int


def timeline(calls: CallColumns, fast: Callable[[Kernel], Kernel]) -> tuple[Timeline, npt.NDArray[Any]]:
    """The layout, and where its calls are in ``calls``; calls that cannot matter are left out. ``fast`` makes a
    kernel quick (or leaves it as it is)."""
    until = np.full(calls.states + 1, -1, np.int64)
    fast(needed_until)(calls.needs, calls.leaves, calls.start, calls.end, until)
    certain = calls.end < COLUMNS_NEVER
    useful = np.where(certain, calls.needs != ANY, ~calls.looks & (until[calls.leaves] > calls.start))
    kept = np.flatnonzero(useful | (certain & ~calls.looks))
    needs, leaves, start, end = (each[kept] for each in (calls.needs, calls.leaves, calls.start, calls.end))
    guesses = np.flatnonzero(end >= COLUMNS_NEVER)
    pairs = needs[guesses].astype(np.int64) * (calls.states + 2) + leaves[guesses]
    _, first, kind_of, totals = np.unique(pairs, return_index=True, return_inverse=True, return_counts=True)
    kinds = guesses[first]
    events, returns = _events(start, end, until[leaves[kinds]])
    kind = np.zeros(len(kept), np.int32)
    kind[guesses] = kind_of
    place, field_of = np.full(len(kept), -1, np.int32), np.full(len(kinds), -1, np.int32)
    fields, scratch = (
        np.zeros((len(kinds), 3), np.int64),
        np.full((len(kept) + len(kinds) + _WIDTHS + 2, 2), -1, np.int32),
    )
    slots, used = fast(placed)(events, kind, totals, place, field_of, fields, scratch)
    words, shifts, widths = fields[:used].T
    count_words = int(words.max(initial=-1)) + 1
    guard, bits = np.zeros(count_words, np.int64), ((1 << (widths - 1)) - 1) << shifts
    np.bitwise_or.at(guard, words, np.int64(1) << (shifts + widths - 1))
    due = np.full(len(kept), -1, np.int32)
    due[events[returns[:-1]] >> 2] = np.arange(len(returns) - 1)
    rows = np.column_stack([needs, leaves, place, due, np.zeros(len(kept))]).astype(np.int32)
    first_rows = first_of_states(needs, leaves, end < COLUMNS_NEVER, calls)
    wants, reads = np.zeros((first_rows[-1, WANTS], 3), np.int32), np.zeros(first_rows[-1, READS], np.int32)
    seen = np.zeros((calls.states + 1, 3), np.int32)
    seen[calls.initial, 0] = 1
    fast(counted)(rows, SUPPLY, events, first_rows, seen, wants, reads)
    laid = Timeline(
        calls=rows,
        events=events,
        returns=returns,
        kinds=np.column_stack([needs[kinds], leaves[kinds], field_of, totals]).astype(np.int32),
        fields=np.column_stack([words, shifts, bits]).astype(np.int64),
        guard=guard,
        first=first_rows,
        wants=wants,
        reads=reads,
        slots=int(slots),
    )
    return laid, kept


def _events(start: Any, end: Any, retired: Any) -> tuple[Ints, Ints]:
    """All events in order. A kind retires right after the last return that could need it."""
    certain = np.flatnonzero(end < COLUMNS_NEVER)
    starts = np.arange(len(start)) * 4 + np.where(end < COLUMNS_NEVER, START, GUESS)
    codes = np.concatenate([starts, certain * 4 + RETURN, np.arange(len(retired)) * 4 + RETIRE])
    moments = np.concatenate([start * 2, end[certain] * 2, retired * 2 + 1])
    events = codes[np.argsort(moments, kind="stable")].astype(np.int32)
    returns = np.append(np.flatnonzero(events & 3 == RETURN), len(events))
    return events, returns.astype(np.int32)


def needed_until(needs: Ints, leaves: Ints, start: Longs, end: Longs, until: Longs) -> None:
    """For each state the position of the last return that can need it, directly or through indeterminate calls;
    -1 (as given): none. A guard "all but one" needs every other state."""
    last, spared, second = -1, -1, -1
    for i in range(len(needs)):
        if end[i] >= COLUMNS_NEVER:
            continue
        if needs[i] >= 0:
            until[needs[i]] = max(until[needs[i]], end[i])
        elif needs[i] <= _BUT:
            if _BUT - needs[i] == spared:
                last = max(last, end[i])
            elif end[i] > last:
                last, spared, second = end[i], _BUT - needs[i], last
            else:
                second = max(second, end[i])
    if last >= 0:
        for state in range(len(until)):
            until[state] = max(until[state], second if state == spared else last)
    changed = True
    while changed:
        changed = False
        for i in range(len(needs)):
            if end[i] < COLUMNS_NEVER or needs[i] < 0 or leaves[i] == KEEP:
                continue
            if until[leaves[i]] > start[i] and until[leaves[i]] > until[needs[i]]:
                until[needs[i]] = until[leaves[i]]
                changed = True


def placed(
    events: Ints, kind: Ints, totals: Longs, place: Ints, field_of: Ints, fields: Longs, scratch: Ints
) -> tuple[int, int]:
    """Slots and fields: each event's call gets the one that was freed last, or a new one. Fields are reused only
    for kinds whose count has as many bits, so that they never move. Returns how many there are of both."""
    frees = slots = used = word = shift = 0
    for code in events:
        which, what = code >> 2, code & 3
        if what == START:
            if frees:
                frees -= 1
                place[which] = scratch[frees, 0]
            else:
                place[which] = slots
                slots += 1
        elif what == RETURN:
            scratch[frees, 0] = place[which]
            frees += 1
        elif what == GUESS:
            mine = kind[which]
            if field_of[mine] < 0:
                width = 2
                while totals[mine] >> (width - 1):
                    width += 1
                found = scratch[width, 1]
                if found >= 0:
                    scratch[width, 1] = scratch[_WIDTHS + found, 1]
                else:
                    if shift + width > WORD_BITS:
                        word, shift = word + 1, 0
                    found = used
                    used += 1
                    fields[found, 0], fields[found, 1], fields[found, 2] = word, shift, width
                    shift += width
                field_of[mine] = found
            place[which] = field_of[mine]
        else:
            found = field_of[which]
            width = fields[found, 2]
            scratch[_WIDTHS + found, 1] = scratch[width, 1]
            scratch[width, 1] = found
    return slots, used
