"""The loops of :mod:`harness.kernels.windowed`, compiled or interpreted.

A configuration is a row of integers: level, state and whether the state was made to be used at once in the first
word; then the sets of done and of hidden slots; then the counts of indeterminate calls used (see
:mod:`harness.kernels.timeline`). What is open at a level is not stored: the search walks from level to level and
does, or undoes, the events between them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from harness.kernels.calls import ANY, KEEP
from harness.kernels.timeline import (
    BITS,
    DUE,
    GUESS,
    LEAVES,
    NEEDS,
    PLACE,
    RETIRE,
    RETURN,
    SHIFT,
    START,
    TOTAL,
    WORD,
    WORD_BITS,
    Ints,
    Longs,
    Timeline,
)

_BUT: Final = -3
_COMPARED: Final = 64
"""How many kept configurations of a level a new one is compared with, beyond equality."""
_HASH_MASK: Final = (1 << 30) - 1
_HASH_FACTOR: Final = 2_654_435_761
STATE_BITS: Final = 32
_STATE_MASK: Final = (1 << 31) - 1

LEVEL, LEFT, KEPT, DEEPEST, STAMP, SEEN, HAS_BUT, BUT_ONE, BUT_MORE, REGISTERS = range(10)
STUCK, FOUND, PAUSED, FULL = range(4)
WRITES, LOOKS = range(2)
GOAL, FAR, SEEN_AT, BEST = range(4)


class Room(NamedTuple):
    """What the search writes. ``at`` holds its registers; ``memo`` the configurations met, linked by level
    through ``link`` from ``heads``, found through the hash ``table`` (row + 1); ``stack`` those still to be looked at.
    ``sets`` are the open blind writes and the open looks; ``guesses`` what each field counts. ``marks`` of a state say
    (for the stamp of now) that an open call needs it or how FAR it is from such a state in indeterminate calls, and
    which of equal calls is the BEST to take."""

    at: Longs
    slot_call: Ints
    guesses: Ints
    sets: Longs
    now: Longs
    after: Longs
    memo: Longs
    link: Ints
    table: Ints
    heads: Ints
    stack: Longs
    marks: Longs


# --- what is open ----------------------------------------------------------------------------------------


def opened(laid: Timeline, room: Room, which: int) -> None:
    """Put a call into its slot."""
    slot = laid.calls[which, PLACE]
    room.slot_call[slot] = which
    bit = np.int64(1) << (slot % WORD_BITS)
    if laid.calls[which, NEEDS] == ANY:
        room.sets[WRITES, slot // WORD_BITS] |= bit
    elif laid.calls[which, LEAVES] == KEEP or laid.calls[which, LEAVES] == laid.calls[which, NEEDS]:
        room.sets[LOOKS, slot // WORD_BITS] |= bit


def closed(laid: Timeline, room: Room, which: int) -> None:
    """Take a call out of its slot."""
    slot = laid.calls[which, PLACE]
    room.slot_call[slot] = -1
    rest = ~(np.int64(1) << (slot % WORD_BITS))
    room.sets[WRITES, slot // WORD_BITS] &= rest
    room.sets[LOOKS, slot // WORD_BITS] &= rest


def walk(laid: Timeline, room: Room, level: int) -> None:
    """Make what is open that of ``level``, by doing or undoing the events between."""
    was = room.at[LEVEL]
    place = laid.returns[was] if was >= 0 else 0
    goal = laid.returns[level]
    while place < goal:
        which, what = laid.events[place] >> 2, laid.events[place] & 3
        if what == START:
            opened(laid, room, which)
        elif what == RETURN:
            closed(laid, room, which)
        elif what == GUESS:
            field = laid.calls[which, PLACE]
            room.guesses[field, TOTAL] += 1
            room.guesses[field, NEEDS], room.guesses[field, LEAVES] = (
                laid.calls[which, NEEDS],
                laid.calls[which, LEAVES],
            )
        else:
            room.guesses[laid.kinds[which, PLACE], TOTAL] = 0
        place += 1
    while place > goal:
        place -= 1
        which, what = laid.events[place] >> 2, laid.events[place] & 3
        if what == START:
            closed(laid, room, which)
        elif what == RETURN:
            opened(laid, room, which)
        elif what == GUESS:
            room.guesses[laid.calls[which, PLACE], TOTAL] -= 1
        else:
            field = laid.kinds[which, PLACE]
            room.guesses[field, TOTAL] = laid.kinds[which, TOTAL]
            room.guesses[field, NEEDS], room.guesses[field, LEAVES] = (
                laid.kinds[which, NEEDS],
                laid.kinds[which, LEAVES],
            )
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


def is_new(laid: Timeline, room: Room, level: int) -> bool:
    """Remember the configuration ``now``; False when it, or one that can do all that it can, was met before."""
    row, width = room.now, len(room.now)
    last = len(room.table) - 1
    place = hashed(row) & last
    while room.table[place]:
        other = room.memo[room.table[place] - 1]
        same = True
        for i in range(width):
            if other[i] != row[i]:
                same = False
                break
        if same:
            return False
        place = (place + 1) & last
    rival, compared = room.heads[level], 0
    while rival >= 0 and compared < _COMPARED:
        other = room.memo[rival]
        # The same level and state; what was not made to be used at once is freer than what was.
        if (other[0] | 1) == (row[0] | 1) and (row[0] & 1 or not other[0] & 1) and dominates(laid, room, other, row):
            return False
        rival = room.link[rival]
        compared += 1
    kept = room.at[KEPT]
    copy(row, room.memo[kept])
    room.link[kept], room.heads[level], room.table[place] = room.heads[level], kept, kept + 1
    room.at[KEPT] = kept + 1
    return True


# --- what can come next ----------------------------------------------------------------------------------


def take_looks(laid: Timeline, room: Room, row: Longs, state: int) -> bool:
    """Take the open looks that fit the state; whether there was one."""
    words, taken = room.sets.shape[1], False
    for w in range(words):
        if not room.sets[LOOKS, w] & ~row[1 + w]:
            continue
        for slot in range(w * WORD_BITS, min((w + 1) * WORD_BITS, len(room.slot_call))):
            bit = np.int64(1) << (slot % WORD_BITS)
            if room.sets[LOOKS, w] & ~row[1 + w] & bit:
                needs = laid.calls[room.slot_call[slot], NEEDS]
                if needs == state or (needs <= _BUT and _BUT - needs != state):
                    row[1 + w] |= bit
                    taken = True
    return taken


def push(laid: Timeline, room: Room, level: int, made: bool) -> None:
    """Look at ``after`` later: at the next level when the call that is due here was linearized."""
    if is_lost(laid, room, level):
        return
    words, top = room.sets.shape[1], room.at[LEFT]
    row = room.stack[top]
    copy(room.after, row)
    state = (row[0] >> 1) & _STATE_MASK
    due = laid.calls[laid.events[laid.returns[level]] >> 2, PLACE]
    w, bit = due // WORD_BITS, np.int64(1) << (due % WORD_BITS)
    room.at[LEFT] = top + 1
    if not row[1 + w] & bit:
        row[0] = np.int64(level) << STATE_BITS | state << 1 | int(made)
        return
    row[0] = np.int64(level + 1) << STATE_BITS | state << 1
    row[1 + w] &= ~bit
    row[1 + words + w] &= ~bit
    for place in range(laid.returns[level] + 1, laid.returns[level + 1]):
        if laid.events[place] & 3 == RETIRE:
            field = laid.kinds[laid.events[place] >> 2, PLACE]
            row[1 + 2 * words + laid.fields[field, WORD]] &= ~laid.fields[field, BITS]


def moved(laid: Timeline, room: Room, needs: int, leaves: int, slot: int, field: int) -> bool:
    """Make ``after`` the configuration that follows ``now`` by a call in ``slot`` or of ``field`` (-1: not), with the
    looks taken that fit its state; whether there was such a look."""
    words, after = room.sets.shape[1], room.after
    copy(room.now, after)
    state = (after[0] >> 1) & _STATE_MASK
    if leaves != KEEP:
        state = leaves
    after[0] = np.int64(state) << 1
    if slot >= 0:
        after[1 + slot // WORD_BITS] |= np.int64(1) << (slot % WORD_BITS)
    if field >= 0:
        after[1 + 2 * words + laid.fields[field, WORD]] += np.int64(1) << laid.fields[field, SHIFT]
    used = take_looks(laid, room, after, state)
    for w in range(words):
        hidden = room.sets[WRITES, w] if needs == ANY else after[1 + words + w]
        after[1 + words + w] = hidden & ~after[1 + w]
    return used


def mark_goals(laid: Timeline, room: Room) -> None:
    """Mark the states that an open call needs which is not linearized, and those from which indeterminate calls
    lead there, with their distance."""
    at, now = room.at, room.now
    at[STAMP] += 1
    at[HAS_BUT], at[BUT_MORE] = 0, 0
    for slot in range(len(room.slot_call)):
        call = room.slot_call[slot]
        if call < 0 or now[1 + slot // WORD_BITS] >> (slot % WORD_BITS) & 1:
            continue
        needs = laid.calls[call, NEEDS]
        if needs >= 0:
            room.marks[needs, GOAL], room.marks[needs, FAR] = at[STAMP], 0
        elif needs <= _BUT:
            if at[HAS_BUT] and at[BUT_ONE] != _BUT - needs:
                at[BUT_MORE] = 1
            at[HAS_BUT], at[BUT_ONE] = 1, _BUT - needs
    distance, grew = 1, True
    while grew:
        grew = False
        for field in range(len(room.guesses)):
            needs = room.guesses[field, NEEDS]
            if not room.guesses[field, TOTAL] or needs < 0 or far_from_use(room, needs) >= 0:
                continue
            if far_from_use(room, room.guesses[field, LEAVES]) == distance - 1:
                room.marks[needs, GOAL], room.marks[needs, FAR] = at[STAMP], distance
                grew = True
        distance += 1


def far_from_use(room: Room, state: int) -> int:
    """How many indeterminate calls lead from a state to one that an open call needs; -1: there is no way."""
    at = room.at
    if at[HAS_BUT] and (at[BUT_MORE] or state != at[BUT_ONE]):
        return 0
    return room.marks[state, FAR] if room.marks[state, GOAL] == at[STAMP] else -1


def is_lost(laid: Timeline, room: Room, level: int) -> bool:
    """Whether ``after`` left a state that is made only once and that another call still has to find."""
    state, left = (room.after[0] >> 1) & _STATE_MASK, (room.now[0] >> 1) & _STATE_MASK
    last = laid.last_need[left]
    if state == left or last < 0:
        return False
    if last > laid.returns[level]:
        return True
    for slot in range(len(room.slot_call)):
        call = room.slot_call[slot]
        is_done = room.after[1 + slot // WORD_BITS] >> (slot % WORD_BITS) & 1
        if call >= 0 and laid.calls[call, NEEDS] == left and not is_done:
            return True
    return False


def expand(laid: Timeline, room: Room, level: int, made: bool, state: int) -> None:
    """Push all that can come next after ``now``. What is pushed last is tried first: the most direct way to the call
    that is due, and what uses no indeterminate call before what does."""
    due = laid.calls[laid.events[laid.returns[level]] >> 2, PLACE]
    w, bit = due // WORD_BITS, np.int64(1) << (due % WORD_BITS)
    words = room.sets.shape[1]
    mark_goals(laid, room)
    push_guesses(laid, room, level, made, state)
    if not made:
        push_best(laid, room, level, ANY, due)
    push_best(laid, room, level, state, -1)
    if room.sets[WRITES, w] & bit and not made:
        moved(laid, room, ANY, laid.calls[room.slot_call[due], LEAVES], due, -1)
        push(laid, room, level, False)
    may_hide = room.now[1 + words + w] & bit
    # The only write of a value that another call must find cannot stay unseen.
    if may_hide and laid.last_need[laid.calls[room.slot_call[due], LEAVES]] < 0:
        copy(room.now, room.after)
        room.after[1 + w] |= bit
        push(laid, room, level, False)


def push_guesses(laid: Timeline, room: Room, level: int, made: bool, state: int) -> None:
    """Indeterminate calls that fit the state and lead to a use, the nearest to it last."""
    words, farthest = room.sets.shape[1], 0
    for field in range(len(room.guesses)):
        if room.guesses[field, TOTAL]:
            farthest = max(farthest, far_from_use(room, room.guesses[field, LEAVES]))
    for distance in range(farthest, -1, -1):
        for field in range(len(room.guesses)):
            needs, leaves = room.guesses[field, NEEDS], room.guesses[field, LEAVES]
            if needs != state and (made or needs != ANY):
                continue
            used = room.now[1 + 2 * words + laid.fields[field, WORD]] & laid.fields[field, BITS]
            if (
                used >> laid.fields[field, SHIFT] < room.guesses[field, TOTAL]
                and far_from_use(room, leaves) == distance
            ):
                push(laid, room, level, not moved(laid, room, needs, leaves, -1, field))


def push_best(laid: Timeline, room: Room, level: int, needs: int, spared: int) -> None:
    """Open calls that change the state and have this guard: of equal ones the first to return. Blind writes only if
    they have a use, and not the one in slot ``spared``; updates in the order in which they return, the first last."""
    at, now = room.at, room.now
    at[SEEN] += 1
    stamp, found = at[SEEN], 0
    for slot in range(len(room.slot_call)):
        w, call = slot // WORD_BITS, room.slot_call[slot]
        if call < 0 or slot == spared or laid.calls[call, NEEDS] != needs:
            continue
        if (now[1 + w] | room.sets[LOOKS, w]) >> (slot % WORD_BITS) & 1:
            continue
        leaves = laid.calls[call, LEAVES]
        if leaves == KEEP or (needs == ANY and far_from_use(room, leaves) < 0):
            continue
        if room.marks[leaves, SEEN_AT] != stamp:
            room.marks[leaves, SEEN_AT], room.marks[leaves, BEST] = stamp, slot
            found += 1
        elif laid.calls[call, DUE] < laid.calls[room.slot_call[room.marks[leaves, BEST]], DUE]:
            room.marks[leaves, BEST] = slot
    before = np.int64(1) << 40
    while found:
        chosen, latest = -1, np.int64(-1)
        for slot in range(len(room.slot_call)):
            call = room.slot_call[slot]
            if call < 0 or laid.calls[call, NEEDS] != needs or laid.calls[call, LEAVES] == KEEP:
                continue
            leaves, end = laid.calls[call, LEAVES], laid.calls[call, DUE]
            is_best = room.marks[leaves, SEEN_AT] == stamp and room.marks[leaves, BEST] == slot
            if is_best and latest < end < before:
                chosen, latest = slot, end
        found -= 1
        before = latest
        taken = moved(laid, room, needs, laid.calls[room.slot_call[chosen], LEAVES], chosen, -1)
        push(laid, room, level, needs == ANY and not taken)


def search(laid: Timeline, room: Room, fuel: int) -> int:
    """Visit up to ``fuel`` new configurations. FOUND: an order for all calls; STUCK: there is none; PAUSED: go on
    later; FULL: go on with more room."""
    at, now = room.at, room.now
    levels = len(room.heads)
    most = 2 * len(room.slot_call) + len(room.guesses) + 4
    while at[LEFT]:
        if fuel <= 0:
            return PAUSED
        if at[KEPT] > len(room.memo) - 8 or at[LEFT] + most > len(room.stack) or 2 * at[KEPT] > len(room.table):
            return FULL
        at[LEFT] -= 1
        copy(room.stack[at[LEFT]], now)
        level, made = now[0] >> STATE_BITS, bool(now[0] & 1)
        if level == levels:
            return FOUND
        state = (now[0] >> 1) & _STATE_MASK
        walk(laid, room, level)
        at[DEEPEST] = max(at[DEEPEST], level)
        take_looks(laid, room, now, state)
        if not is_new(laid, room, level):
            continue
        fuel -= 1
        due = laid.calls[laid.events[laid.returns[level]] >> 2, PLACE]
        if now[1 + due // WORD_BITS] >> (due % WORD_BITS) & 1:
            copy(now, room.after)
            push(laid, room, level, False)
        else:
            expand(laid, room, level, made, state)
    return STUCK
