"""What the search of ``window_search`` holds: what is open, what was met, what to look at next.

A configuration is a row of integers: level, state and whether the state was made to be used at once in the first
word; then the sets of done and of hidden slots; then the counts of indeterminate calls used (see
:mod:`harness.kernels.linear.timeline`). What is open at a level is not stored: the search walks from level to level and
does, or undoes, the events between them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from harness.kernels.calls import ANY
from harness.kernels.linear.supply import GUESS, RETURN, START, Ints, only_looks
from harness.kernels.linear.timeline import LEAVES, NEEDS, PLACE, TOTAL, WORD_BITS, Longs, Timeline

_COMPARED: Final = 64
"""How many kept configurations of a level a new one is compared with, beyond equality."""
_HASH_MASK: Final = (1 << 30) - 1
_HASH_FACTOR: Final = 2_654_435_761
STATE_BITS: Final = 32
STATE_MASK: Final = (1 << 31) - 1

LEVEL, KEPT, VISITED, DEEPEST, LOWEST, CURSOR, ONWARD, QUOTA, BACK, STUCK_AT = range(10)
STAMP, SEEN, TELL, TOUCHED, HAS_BUT, BUT_ONE, BUT_MORE, REGISTERS = range(10, 18)
WRITES, LOOKS, UPDATES = range(3)
MADE, USED, BEGUN = range(3)
RIVAL, CHILD, NEXT = range(3)
RIVALS, HEAP = range(2)
NOBODY: Final = -1


class Room(NamedTuple):
    """What the search writes. ``at`` holds its registers.

    What is open: ``slot_call``, and by sort (WRITES, LOOKS, UPDATES) the set of slots in ``sets``, and their list in
    ``listed`` with its length behind it; ``place`` is a slot's place in its list. ``guesses`` is what each field
    counts. ``closed`` of a state: how often calls that returned MADE and USED it, and looks at it that have BEGUN.

    What was met: ``memo`` has the configurations, found through the hash ``table`` (row + 1), ``score`` how little
    promise they have, ``links`` their neighbours: the RIVAL visited before at the same level, and in the heap of those
    still to be visited the first CHILD and the NEXT sibling. ``heads`` of a level: the latest of the RIVALS, and the
    top of the HEAP.

    ``marks`` of a state are notes of one step; see ``window_search``. ``touched`` lists states."""

    at: Longs
    slot_call: Ints
    guesses: Ints
    sets: Longs
    listed: Ints
    place: Ints
    closed: Longs
    now: Longs
    after: Longs
    memo: Longs
    score: Longs
    links: Ints
    table: Ints
    heads: Ints
    marks: Longs
    touched: Ints


# --- what is open ----------------------------------------------------------------------------------------


def opened(laid: Timeline, room: Room, which: int) -> None:
    """Put a call into its slot."""
    slot, needs, leaves = laid.calls[which, PLACE], laid.calls[which, NEEDS], laid.calls[which, LEAVES]
    sort = LOOKS if only_looks(needs, leaves) else WRITES if needs == ANY else UPDATES
    room.slot_call[slot] = which
    room.sets[sort, slot // WORD_BITS] |= np.int64(1) << (slot % WORD_BITS)
    last = room.listed.shape[1] - 1
    count = room.listed[sort, last]
    room.listed[sort, count], room.place[slot], room.listed[sort, last] = slot, count, count + 1


def closed(laid: Timeline, room: Room, which: int) -> None:
    """Take a call out of its slot."""
    slot, needs, leaves = laid.calls[which, PLACE], laid.calls[which, NEEDS], laid.calls[which, LEAVES]
    sort = LOOKS if only_looks(needs, leaves) else WRITES if needs == ANY else UPDATES
    room.slot_call[slot] = -1
    room.sets[sort, slot // WORD_BITS] &= ~(np.int64(1) << (slot % WORD_BITS))
    last = room.listed.shape[1] - 1
    count = room.listed[sort, last] - 1
    moved = room.listed[sort, count]
    room.listed[sort, room.place[slot]], room.place[moved], room.listed[sort, last] = moved, room.place[slot], count


def told(laid: Timeline, room: Room, which: int, what: int, sign: int) -> None:
    """Count a start or return; ``sign`` -1 takes it back."""
    needs, leaves = laid.calls[which, NEEDS], laid.calls[which, LEAVES]
    if only_looks(needs, leaves):
        if what == START and needs >= 0:
            room.closed[needs, BEGUN] += sign
    elif what == RETURN:
        room.closed[leaves, MADE] += sign
        if needs >= 0:
            room.closed[needs, USED] += sign


def walk(laid: Timeline, room: Room, level: int) -> None:
    """Make what is open that of ``level``, by doing or undoing the events between."""
    was = room.at[LEVEL]
    place = laid.returns[was] if was >= 0 else 0
    goal = laid.returns[level]
    while place < goal:
        which, what = laid.events[place] >> 2, laid.events[place] & 3
        if what <= RETURN:
            told(laid, room, which, what, 1)
        if what == START:
            opened(laid, room, which)
        elif what == RETURN:
            closed(laid, room, which)
        elif what == GUESS:
            field = laid.calls[which, PLACE]
            room.guesses[field, TOTAL] += 1
            room.guesses[field, NEEDS] = laid.calls[which, NEEDS]
            room.guesses[field, LEAVES] = laid.calls[which, LEAVES]
        else:
            room.guesses[laid.kinds[which, PLACE], TOTAL] = 0
        place += 1
    while place > goal:
        place -= 1
        which, what = laid.events[place] >> 2, laid.events[place] & 3
        if what <= RETURN:
            told(laid, room, which, what, -1)
        if what == START:
            closed(laid, room, which)
        elif what == RETURN:
            opened(laid, room, which)
        elif what == GUESS:
            room.guesses[laid.calls[which, PLACE], TOTAL] -= 1
        else:
            field = laid.kinds[which, PLACE]
            room.guesses[field, TOTAL] = laid.kinds[which, TOTAL]
            room.guesses[field, NEEDS] = laid.kinds[which, NEEDS]
            room.guesses[field, LEAVES] = laid.kinds[which, LEAVES]
    room.at[LEVEL] = level


# --- what was met ----------------------------------------------------------------------------------------


def copy(source: Longs, target: Longs) -> None:
    """Item by item: a slice would be copied twice, for it might overlap."""
    for i in range(len(source)):
        target[i] = source[i]


def hashed(row: Longs) -> int:
    """A number below 2**30."""
    mixed = 0
    for i in range(len(row)):
        word = row[i]
        mixed = ((mixed ^ (word & _HASH_MASK)) * _HASH_FACTOR >> 15) & _HASH_MASK
        mixed = ((mixed ^ (word >> 30)) * _HASH_FACTOR >> 15) & _HASH_MASK
    return mixed


def rehashed(memo: Longs, rows: int, table: Ints) -> None:
    """Fill an empty hash table with the first ``rows`` of ``memo``."""
    for row in range(rows):
        place = hashed(memo[row]) & (len(table) - 1)
        while table[place]:
            place = (place + 1) & (len(table) - 1)
        table[place] = row + 1


def kept(room: Room, row: Longs, score: int) -> int:
    """Remember a configuration; its place in the memo, or NOBODY when it was met before."""
    last = len(room.table) - 1
    place = hashed(row) & last
    while room.table[place]:
        other = room.memo[room.table[place] - 1]
        same = True
        for i in range(len(row)):
            if other[i] != row[i]:
                same = False
                break
        if same:
            return NOBODY
        place = (place + 1) & last
    found = room.at[KEPT]
    copy(row, room.memo[found])
    room.score[found] = score
    room.table[place] = found + 1
    room.at[KEPT] = found + 1
    return int(found)


def dominates(laid: Timeline, room: Room, a: Longs, b: Longs) -> bool:
    """Whether configuration ``a`` can do all that ``b`` can; see ``linearize._Level.dominates``."""
    words = room.sets.shape[1]
    for w in range(words):
        a_done, b_done, a_hidden, b_hidden = a[1 + w], b[1 + w], a[1 + words + w], b[1 + words + w]
        looks = room.sets[LOOKS, w]
        if (a_done ^ b_done) & ~(a_hidden | looks) or b_hidden & ~a_hidden or b_done & looks & ~a_done:
            return False
    for w in range(len(laid.guard)):
        guard = laid.guard[w]
        if ((b[1 + 2 * words + w] | guard) - a[1 + 2 * words + w]) & guard != guard:
            return False
    return True


def is_best(laid: Timeline, room: Room, row: int, level: int) -> bool:
    """Whether no configuration visited before at this level can do all that this one can; then it counts as visited."""
    mine, compared = room.memo[row], 0
    rival = room.heads[level, RIVALS]
    while rival != NOBODY and compared < _COMPARED:
        other = room.memo[rival]
        # The same level and state; what was not made to be used at once is freer than what was.
        if (other[0] | 1) == (mine[0] | 1) and (mine[0] & 1 or not other[0] & 1) and dominates(laid, room, other, mine):
            return False
        rival = room.links[rival, RIVAL]
        compared += 1
    room.links[row, RIVAL], room.heads[level, RIVALS] = room.heads[level, RIVALS], row
    return True


# --- what to look at next --------------------------------------------------------------------------------


def waits(room: Room, row: int, level: int) -> None:
    """Put a configuration into a level's heap: a pairing heap (Fredman, Sedgewick, Sleator and Tarjan, 1986)."""
    room.links[row, CHILD], room.links[row, NEXT] = NOBODY, NOBODY
    room.heads[level, HEAP] = melded(room, row, room.heads[level, HEAP])


def melded(room: Room, a: int, b: int) -> int:
    """One heap of two; of equal scores ``a`` is on top."""
    if b == NOBODY:
        return a
    if a == NOBODY:
        return b
    if room.score[b] < room.score[a]:
        a, b = b, a
    room.links[b, NEXT], room.links[a, CHILD] = room.links[a, CHILD], b
    return a


def next_of(room: Room, level: int) -> int:
    """Take the most promising configuration out of a level's heap; NOBODY when it is empty."""
    top = room.heads[level, HEAP]
    if top == NOBODY:
        return NOBODY
    pairs, child = NOBODY, room.links[top, CHILD]
    while child != NOBODY:
        second = room.links[child, NEXT]
        after = room.links[second, NEXT] if second != NOBODY else NOBODY
        room.links[child, NEXT] = NOBODY
        if second != NOBODY:
            room.links[second, NEXT] = NOBODY
        pair = melded(room, child, second)
        room.links[pair, NEXT] = pairs
        pairs, child = pair, after
    rest = NOBODY
    while pairs != NOBODY:
        after = room.links[pairs, NEXT]
        room.links[pairs, NEXT] = NOBODY
        rest = melded(room, pairs, rest)
        pairs = after
    room.heads[level, HEAP] = rest
    return int(top)
