"""The loops of :mod:`harness.kernels.linear.windowed`, compiled or interpreted.

The search visits the most promising configuration of a level, then that of the next one, and lets only the call that
must return take effect where that leads on. Where no way leads on, it goes some levels back, lets others take effect
before their time, and comes again with more configurations abreast; twice as far back and twice as many whenever that
was not enough. Nothing is ever forgotten, so in the end everything was visited.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from harness.kernels.calls import ANY, KEEP
from harness.kernels.linear.supply import RETIRE, START, only_looks
from harness.kernels.linear.timeline import (
    BITS,
    DUE,
    LEAVES,
    NEEDS,
    PLACE,
    SHIFT,
    TOTAL,
    WORD,
    WORD_BITS,
    Longs,
    Timeline,
)
from harness.kernels.linear.window_promise import BEST, FAR, GOAL, SEEN_AT, promise
from harness.kernels.linear.window_room import (
    BACK,
    BUT_MORE,
    BUT_ONE,
    CURSOR,
    DEEPEST,
    HAS_BUT,
    HEAP,
    KEPT,
    LOOKS,
    LOWEST,
    NOBODY,
    ONWARD,
    QUOTA,
    SEEN,
    STAMP,
    STATE_BITS,
    STATE_MASK,
    STUCK_AT,
    UPDATES,
    VISITED,
    WRITES,
    Room,
    copy,
    is_best,
    kept,
    next_of,
    waits,
    walk,
)

_BUT: Final = -3
STUCK, FOUND, PAUSED, FULL = range(4)
_AGAIN: Final = 1 << 40
"""Added to the score of a configuration whose every continuation is wanted after all."""
_FARTHEST: Final = 1 << 40


# --- what can come next ----------------------------------------------------------------------------------


def fits_state(needs: int, state: int) -> bool:
    """Whether a look fits the state."""
    return needs == state or (needs <= _BUT and _BUT - needs != state)


def take_looks(laid: Timeline, room: Room, row: Longs, state: int) -> bool:
    """Take the open looks that fit the state; whether there was one."""
    taken = False
    for i in range(room.listed[LOOKS, room.listed.shape[1] - 1]):
        slot = room.listed[LOOKS, i]
        w, bit = slot // WORD_BITS, np.int64(1) << (slot % WORD_BITS)
        if not row[1 + w] & bit and fits_state(laid.calls[room.slot_call[slot], NEEDS], state):
            row[1 + w] |= bit
            taken = True
    return taken


def forward(laid: Timeline, room: Room, row: Longs, level: int) -> int:
    """Move a configuration to the first level after ``level`` whose call is not linearized; the looks that begin
    on the way are taken if they fit."""
    words, state = room.sets.shape[1], (row[0] >> 1) & STATE_MASK
    place = laid.returns[level] if level >= 0 else 0
    while True:
        if level >= 0:
            due = laid.calls[laid.events[laid.returns[level]] >> 2, PLACE]
            w, bit = due // WORD_BITS, np.int64(1) << (due % WORD_BITS)
            if not row[1 + w] & bit:
                break
            row[1 + w] &= ~bit
            row[1 + words + w] &= ~bit
            place += 1
        level += 1
        while place < laid.returns[level]:
            which, what = laid.events[place] >> 2, laid.events[place] & 3
            if what == START:
                needs, leaves, slot = laid.calls[which, NEEDS], laid.calls[which, LEAVES], laid.calls[which, PLACE]
                if only_looks(needs, leaves) and fits_state(needs, state):
                    row[1 + slot // WORD_BITS] |= np.int64(1) << (slot % WORD_BITS)
            elif what == RETIRE:
                field = laid.kinds[which, PLACE]
                row[1 + 2 * words + laid.fields[field, WORD]] &= ~laid.fields[field, BITS]
            place += 1
        if level == len(laid.returns) - 1:
            break
    row[0] = np.int64(level) << STATE_BITS | state << 1
    return level


def push(laid: Timeline, room: Room, level: int, made: bool) -> None:
    """Look at ``after`` later, unless it is hopeless or was met."""
    score = promise(laid, room)
    if score < 0:
        return
    row = room.after
    due = laid.calls[laid.events[laid.returns[level]] >> 2, PLACE]
    if row[1 + due // WORD_BITS] >> (due % WORD_BITS) & 1:
        forward(laid, room, row, level)
    else:
        row[0] = np.int64(level) << STATE_BITS | ((row[0] >> 1) & STATE_MASK) << 1 | int(made)
    found = kept(room, row, score)
    if found != NOBODY:
        waits(room, found, level)


def moved(laid: Timeline, room: Room, needs: int, leaves: int, slot: int, field: int) -> bool:
    """Make ``after`` the configuration that follows ``now`` by a call in ``slot`` or of ``field`` (-1: not), with the
    looks taken that fit its state; whether there was such a look."""
    words, after = room.sets.shape[1], room.after
    copy(room.now, after)
    state = (after[0] >> 1) & STATE_MASK
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
    for sort in range(LOOKS, UPDATES + 1):
        for i in range(room.listed[sort, room.listed.shape[1] - 1]):
            slot = room.listed[sort, i]
            if now[1 + slot // WORD_BITS] >> (slot % WORD_BITS) & 1:
                continue
            needs = laid.calls[room.slot_call[slot], NEEDS]
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
    return int(room.marks[state, FAR]) if room.marks[state, GOAL] == at[STAMP] else -1


def expand(laid: Timeline, room: Room, level: int, made: bool, state: int) -> None:
    """Push all that can come next after ``now``."""
    due = laid.calls[laid.events[laid.returns[level]] >> 2, PLACE]
    w, bit = due // WORD_BITS, np.int64(1) << (due % WORD_BITS)
    mark_goals(laid, room)
    push_guesses(laid, room, level, made, state)
    if not made:
        push_best(laid, room, level, WRITES, ANY, due)
    push_best(laid, room, level, UPDATES, state, -1)
    if room.sets[WRITES, w] & bit and not made:
        moved(laid, room, ANY, laid.calls[room.slot_call[due], LEAVES], due, -1)
        push(laid, room, level, False)
    if room.now[1 + room.sets.shape[1] + w] & bit:
        copy(room.now, room.after)
        room.after[1 + w] |= bit
        push(laid, room, level, False)


def return_due(laid: Timeline, room: Room, level: int, made: bool, state: int) -> bool:
    """Push what follows ``now`` when the call that must return takes effect and no other; whether that is new and has
    promise. All else can then wait until there is no way on from there: a valid history is mostly decided like this."""
    before, words = room.at[KEPT], room.sets.shape[1]
    call = laid.events[laid.returns[level]] >> 2
    due, needs, leaves = laid.calls[call, PLACE], laid.calls[call, NEEDS], laid.calls[call, LEAVES]
    w, bit = due // WORD_BITS, np.int64(1) << (due % WORD_BITS)
    if (room.sets[WRITES, w] & bit and not made) or (room.sets[UPDATES, w] & bit and needs == state):
        moved(laid, room, needs, leaves, due, -1)
        push(laid, room, level, False)
    if room.now[1 + words + w] & bit:
        copy(room.now, room.after)
        room.after[1 + w] |= bit
        push(laid, room, level, False)
    return bool(room.at[KEPT] > before)


def push_guesses(laid: Timeline, room: Room, level: int, made: bool, state: int) -> None:
    """Indeterminate calls that fit the state and lead to a use."""
    words = room.sets.shape[1]
    for field in range(len(room.guesses)):
        needs, leaves = room.guesses[field, NEEDS], room.guesses[field, LEAVES]
        if not room.guesses[field, TOTAL] or (needs != state and (made or needs != ANY)):
            continue
        used = room.now[1 + 2 * words + laid.fields[field, WORD]] & laid.fields[field, BITS]
        if used >> laid.fields[field, SHIFT] < room.guesses[field, TOTAL] and far_from_use(room, leaves) >= 0:
            push(laid, room, level, not moved(laid, room, needs, leaves, -1, field))


def push_best(laid: Timeline, room: Room, level: int, sort: int, needs: int, spared: int) -> None:
    """Open calls that change the state and have this guard: of equal ones the first to return. Blind writes only if
    they have a use, and not the one in slot ``spared``."""
    at, now, marks = room.at, room.now, room.marks
    at[SEEN] += 1
    stamp, count = at[SEEN], room.listed[sort, room.listed.shape[1] - 1]
    for i in range(count):
        slot = room.listed[sort, i]
        call = room.slot_call[slot]
        if slot == spared or laid.calls[call, NEEDS] != needs or now[1 + slot // WORD_BITS] >> (slot % WORD_BITS) & 1:
            continue
        leaves = laid.calls[call, LEAVES]
        if marks[leaves, SEEN_AT] != stamp:
            marks[leaves, SEEN_AT], marks[leaves, BEST] = stamp, slot
        elif laid.calls[call, DUE] < laid.calls[room.slot_call[marks[leaves, BEST]], DUE]:
            marks[leaves, BEST] = slot
    for i in range(count):
        slot = room.listed[sort, i]
        leaves = laid.calls[room.slot_call[slot], LEAVES]
        if marks[leaves, SEEN_AT] != stamp or marks[leaves, BEST] != slot:
            continue
        if sort == WRITES and far_from_use(room, leaves) < 0:
            continue
        taken = moved(laid, room, needs, leaves, slot, -1)
        push(laid, room, level, sort == WRITES and not taken)


# --- in which order --------------------------------------------------------------------------------------


def turned_back(room: Room) -> bool:
    """Choose where to go on after no way led on from the deepest level; False when nothing is left anywhere."""
    at = room.at
    while at[LOWEST] <= at[DEEPEST] and room.heads[at[LOWEST], HEAP] == NOBODY:
        at[LOWEST] += 1
    if at[LOWEST] > at[DEEPEST]:
        return False
    if at[STUCK_AT] < 0 or at[DEEPEST] > at[STUCK_AT] + at[BACK]:
        at[BACK], at[QUOTA] = 8, 1
    elif at[BACK] < _FARTHEST:
        at[BACK], at[QUOTA] = 2 * at[BACK], 2 * at[QUOTA]
    at[STUCK_AT] = at[DEEPEST]
    at[CURSOR] = max(at[LOWEST], at[DEEPEST] - at[BACK])
    at[ONWARD] = 0
    return True


def search(laid: Timeline, room: Room, fuel: int) -> int:
    """Visit up to ``fuel`` new configurations. FOUND: an order for all calls; STUCK: there is none; PAUSED: go on
    later; FULL: go on with more room."""
    at, now = room.at, room.now
    levels = len(room.heads) - 1
    most = len(room.slot_call) + len(room.guesses) + 4
    while True:
        if fuel <= 0:
            return PAUSED
        if at[KEPT] + most > len(room.memo) or 2 * (at[KEPT] + most) > len(room.table):
            return FULL
        level = at[CURSOR]
        row = NOBODY if at[ONWARD] >= at[QUOTA] else next_of(room, level)
        if row == NOBODY:
            at[CURSOR], at[ONWARD] = level + 1, 0
            if at[CURSOR] > at[STUCK_AT] + at[BACK]:
                at[QUOTA] = 1
            if at[CURSOR] > at[DEEPEST] and not turned_back(room):
                return STUCK
            continue
        goal = room.memo[row, 0] >> STATE_BITS
        if goal > level:
            at[DEEPEST] = max(at[DEEPEST], goal)
            if goal == levels:
                return FOUND
            waits(room, row, goal)
            at[ONWARD] += 1
            continue
        walk(laid, room, level)
        copy(room.memo[row], now)
        made, state = bool(now[0] & 1), (now[0] >> 1) & STATE_MASK
        if room.score[row] >= _AGAIN:
            expand(laid, room, level, made, state)
        elif is_best(laid, room, row, level):
            fuel -= 1
            at[VISITED] += 1
            if return_due(laid, room, level, made, state):
                room.score[row] += _AGAIN
                waits(room, row, level)
            else:
                expand(laid, room, level, made, state)
