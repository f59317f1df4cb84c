"""How promising a configuration of ``window_search`` is: what was taken early, what may run out."""

from __future__ import annotations

from typing import Final

from harness.kernels.linear.supply import CALL, ENOUGH, LEAST, READS, SPARE, WANTS
from harness.kernels.linear.timeline import BITS, LEAVES, NEEDS, PLACE, SHIFT, SUPPLY, WORD, WORD_BITS, Timeline
from harness.kernels.linear.window_room import (
    BEGUN,
    LOOKS,
    MADE,
    STATE_MASK,
    TELL,
    TOUCHED,
    UPDATES,
    USED,
    WRITES,
    Room,
)

GOAL, FAR, SEEN_AT, BEST, TOLD, MAKING, USING, READING = range(8)
"""The notes in ``Room.marks`` on a state: of the search, and of this module from TOLD on."""
_SAFE: Final = 8
_EARLY: Final = 40


def touch(room: Room, value: int) -> None:
    """Begin the notes on a state, once for each configuration."""
    at, marks = room.at, room.marks
    if marks[value, TOLD] != at[TELL]:
        marks[value, TOLD], marks[value, MAKING], marks[value, USING], marks[value, READING] = at[TELL], 0, 0, ENOUGH
        room.touched[at[TOUCHED]] = value
        at[TOUCHED] += 1


def promise(laid: Timeline, room: Room) -> int:
    """How little promise ``after`` has; -1: it has none."""
    at, row, marks = room.at, room.after, room.marks
    words, last = room.sets.shape[1], room.listed.shape[1] - 1
    at[TELL] += 1
    at[TOUCHED] = 0
    early = 0
    state = (row[0] >> 1) & STATE_MASK
    touch(room, state)
    touch(room, (room.now[0] >> 1) & STATE_MASK)
    for i in range(room.listed[WRITES, last]):
        slot = room.listed[WRITES, i]
        leaves = laid.calls[room.slot_call[slot], LEAVES]
        touch(room, leaves)
        if row[1 + slot // WORD_BITS] >> (slot % WORD_BITS) & 1:
            marks[leaves, MAKING] += 1
            early += 1
    for i in range(room.listed[UPDATES, last]):
        slot = room.listed[UPDATES, i]
        needs, leaves = laid.calls[room.slot_call[slot], NEEDS], laid.calls[room.slot_call[slot], LEAVES]
        touch(room, needs)
        touch(room, leaves)
        if row[1 + slot // WORD_BITS] >> (slot % WORD_BITS) & 1:
            marks[leaves, MAKING] += 1
            marks[needs, USING] += 1
            early += 1
    for i in range(room.listed[LOOKS, last]):
        slot = room.listed[LOOKS, i]
        needs = laid.calls[room.slot_call[slot], NEEDS]
        if needs >= 0 and not row[1 + slot // WORD_BITS] >> (slot % WORD_BITS) & 1:
            touch(room, needs)
            marks[needs, READING] = min(marks[needs, READING], laid.calls[room.slot_call[slot], SUPPLY])
    for field in range(len(room.guesses)):
        used = row[1 + 2 * words + laid.fields[field, WORD]] & laid.fields[field, BITS]
        if used:
            touch(room, room.guesses[field, LEAVES])
            marks[room.guesses[field, LEAVES], MAKING] += used >> laid.fields[field, SHIFT]
    total = early * _EARLY
    for i in range(at[TOUCHED]):
        spare = to_waste(laid, room, room.touched[i], state)
        if spare < 0:
            return -1
        if spare < _SAFE:
            total += 1 << (2 * (_SAFE - spare))
    return total


def to_waste(laid: Timeline, room: Room, value: int, state: int) -> int:
    """How often ``value`` may still be wasted before a call that needs it can no longer have it."""
    marks, row = room.marks, room.after
    made = room.closed[value, MADE] + marks[value, MAKING]
    used, ahead = room.closed[value, USED], marks[value, USING]
    present = 1 if value == state else 0
    wasted = made - used - ahead - present
    at, end = laid.first[value, WANTS] + used, laid.first[value + 1, WANTS]
    least = ENOUGH
    while ahead:
        call = laid.wants[at, CALL]
        slot = laid.calls[call, PLACE]
        if room.slot_call[slot] == call and row[1 + slot // WORD_BITS] >> (slot % WORD_BITS) & 1:
            ahead -= 1
        least = min(least, laid.wants[at, SPARE] - ahead)
        at += 1
    if at < end:
        least = min(least, laid.wants[at, LEAST])
    least -= wasted
    if marks[value, READING] < ENOUGH:
        least = min(least, marks[value, READING] - made - 1)
    at = laid.first[value, READS] + room.closed[value, BEGUN]
    if at < laid.first[value + 1, READS]:
        least = min(least, laid.reads[at] - made + present - 1)
    return int(least)
