"""The search of :mod:`harness.kernels.linear.linearize` for long histories: the same reductions, over arrays."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np

from harness.kernels.calls import Budget, CallColumns, Decision
from harness.kernels.compiling import Kernel
from harness.kernels.linear.local import fails_locally
from harness.kernels.linear.timeline import WORD_BITS, Timeline, timeline
from harness.kernels.linear.window_room import (
    DEEPEST,
    HEAP,
    KEPT,
    LEVEL,
    MADE,
    QUOTA,
    REGISTERS,
    RIVAL,
    RIVALS,
    STATE_BITS,
    STUCK_AT,
    VISITED,
    Room,
    rehashed,
)
from harness.kernels.linear.window_search import FOUND, FULL, STUCK, forward, search
from harness.kernels.memory import resident_bytes

_SLICE: Final = 20_000
"""Configurations visited between two looks at the clock, the memory, and whether the search gets on."""
_FIRST_ROWS: Final = 1 << 14


def decide_windowed(
    calls: CallColumns, fast: Callable[[Kernel], Kernel], budget: Budget, locally: bool = True
) -> Decision:
    """Decide whether the calls are linearizable. ``fast`` makes a kernel quick, or leaves it as it is; ``locally``:
    short stretches are looked at where the search does not get on.

    A negative answer is always right, but the search looks ahead: where a state is made only once it knows how long
    that must last. So the shortest failing prefix may end later than ``decided_to``, unless ``culprit`` is set.
    """
    before = resident_bytes()
    laid, kept = timeline(calls, fast)
    levels = len(laid.returns) - 1
    if not levels:
        return Decision(True)
    room = _room(laid, calls.states, levels)
    room.now[0] = calls.initial << 1
    room.closed[calls.initial, MADE] = 1
    fast(forward)(laid, room, room.now, -1)
    room.memo[0] = room.now
    room.heads[0, HEAP] = 0
    room.at[KEPT] = 1
    step, rehash = fast(search), fast(rehashed)
    rehash(room.memo, 1, room.table)
    deepest = looked_at = -1

    def alone(some: CallColumns, few: Budget) -> Decision:
        return decide_windowed(some, fast, few, locally=False)

    while True:
        outcome = step(laid, room, min(_SLICE, budget.configurations - int(room.at[VISITED]) + 1))
        explored = int(room.at[VISITED])
        if outcome == FOUND:
            return Decision(True, explored=explored)
        stuck = laid.events[laid.returns[room.at[DEEPEST]]] >> 2
        which = int(kept[stuck])
        end = int(calls.end[which])
        if outcome == STUCK:
            looked_ahead = bool(len(laid.wants) or len(laid.reads))
            return Decision(False, None if looked_ahead else which, _states(room), end, explored)
        if room.at[DEEPEST] == deepest != looked_at and locally:
            looked_at = deepest
            if fails_locally(calls, end, alone, budget):
                return Decision(False, None, decided_to=end, explored=explored)
        deepest = int(room.at[DEEPEST])
        limit = _limit(room, before, outcome == FULL, budget)
        if limit:
            return Decision(None, decided_to=end, explored=explored, limit=limit)
        if outcome == FULL:
            room = _grown(room, rehash)


def _limit(room: Room, before: int, grows: bool, budget: Budget) -> str:
    """Which part of the budget is used up; "": none. Memory is what the process holds more than ``before`` (bytes), at
    least what the search's own arrays take, and what they are about to grow by."""
    explored, arrays = int(room.at[VISITED]), sum(array.nbytes for array in room)
    if explored > budget.configurations:
        return f"more than {budget.configurations:,} configurations"
    held = max(resident_bytes() - before, arrays) + (arrays if grows else 0)
    if held > budget.memory_mb << 20:
        return f"memory limit of {budget.memory_mb:,} MB ({explored:,} configurations)"
    return "time limit" if time.monotonic() > budget.deadline_s else ""


def _states(room: Room) -> frozenset[int]:
    """The states met at the deepest level."""
    found = set()
    row = int(room.heads[room.at[DEEPEST], RIVALS])
    while row >= 0:
        found.add(int(room.memo[row, 0] & ((1 << STATE_BITS) - 1)) >> 1)
        row = int(room.links[row, RIVAL])
    return frozenset(found)


def _room(laid: Timeline, states: int, levels: int) -> Room:
    words = -(-max(laid.slots, 1) // WORD_BITS)
    fields = len(laid.fields)
    width = 1 + 2 * words + len(laid.guard)
    rows = max(_FIRST_ROWS, 4 * (2 * laid.slots + fields + 4))
    at = np.zeros(REGISTERS, np.int64)
    at[LEVEL], at[STUCK_AT], at[QUOTA] = -1, -1, 1
    return Room(
        at=at,
        slot_call=np.full(max(laid.slots, 1), -1, np.int32),
        guesses=np.zeros((fields, 4), np.int32),
        sets=np.zeros((3, words), np.int64),
        listed=np.zeros((3, laid.slots + 1), np.int32),
        place=np.zeros(max(laid.slots, 1), np.int32),
        closed=np.zeros((states + 1, 3), np.int64),
        now=np.zeros(width, np.int64),
        after=np.zeros(width, np.int64),
        memo=np.empty((rows, width), np.int64),
        score=np.zeros(rows, np.int64),
        links=np.full((rows, 3), -1, np.int32),
        table=np.zeros(4 * rows, np.int32),
        heads=np.full((levels + 1, 2), -1, np.int32),
        marks=np.zeros((states + 1, 8), np.int64),
        touched=np.zeros(3 * laid.slots + fields + 3, np.int32),
    )


def _grown(room: Room, rehash: Kernel) -> Room:
    """Twice the room. Grows in place: the large arrays are never held twice."""
    rows = len(room.memo)
    if room.at[KEPT] > rows // 2:
        room.memo.resize((2 * rows, room.memo.shape[1]), refcheck=False)
        room.links.resize((2 * rows, 3), refcheck=False)
        room.score.resize(2 * rows, refcheck=False)
    if 4 * room.at[KEPT] > len(room.table):
        room = room._replace(table=np.zeros(2 * len(room.table), np.int32))
        rehash(room.memo, int(room.at[KEPT]), room.table)
    return room
