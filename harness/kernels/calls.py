"""Calls on one object as guarded assignments, one by one or as columns.

A call is possible in a state that meets its guard, and afterwards the state is what it leaves. States are small
non-negative integers. The guard is a state, ``ANY``, or ``but(state)``: every state except one, which is what a
failed compare-and-set tells when the failure was the server's answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

ANY: Final = -1
KEEP: Final = -1
NEVER: Final = (1 << 63) - 1
_BUT: Final = -3


class Call(NamedTuple):
    """One operation: possible in state ``needs`` (or ``ANY``, or ``but(state)``), then the state is ``leaves``
    (or ``KEEP``). ``start`` and ``end`` are positions in the history; an indeterminate call ends at ``NEVER``.
    """

    needs: int
    leaves: int
    start: int
    end: int


def but(state: int) -> int:
    """The guard "every state except this one"; applied twice it gives the state back. Only for calls that look."""
    return _BUT - state


def fits(needs: int, state: int) -> bool:
    """Whether ``state`` meets the guard."""
    return needs in (ANY, state) or (needs <= _BUT and state != _BUT - needs)


@dataclass(frozen=True)
class CallColumns:
    """Calls on one object as arrays, in order of start. ``end`` is ``columns.NEVER`` for indeterminate calls.
    States are below ``states``; the initial one is ``initial``."""

    needs: npt.NDArray[np.int32]
    leaves: npt.NDArray[np.int32]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    states: int
    initial: int = 0

    def __len__(self) -> int:
        return len(self.needs)

    def prefix(self, position: int) -> tuple[CallColumns, npt.NDArray[Any]]:
        """The calls as they stood right after ``position``, and where they are in these columns. Calls that were
        open then are indeterminate; open looks are left out."""
        late = self.end > position
        at = np.flatnonzero((self.start <= position) & ~(late & self.looks))
        end = np.where(late[at], COLUMNS_NEVER, self.end[at])
        return CallColumns(self.needs[at], self.leaves[at], self.start[at], end, self.states, self.initial), at

    @property
    def looks(self) -> npt.NDArray[np.bool_]:
        """Which calls change nothing."""
        looks: npt.NDArray[np.bool_] = (self.leaves == KEEP) | (self.leaves == self.needs)
        return looks

    def one_by_one(self) -> list[Call]:
        """The calls as :class:`Call`; the initial state is renamed to 0 (and 0 to the initial one)."""
        rename = {self.initial: 0, 0: self.initial}
        rename |= {but(old): but(new) for old, new in rename.items()}
        columns = (self.needs.tolist(), self.leaves.tolist(), self.start.tolist(), self.end.tolist())
        return [
            Call(rename.get(needs, needs), rename.get(leaves, leaves), start, NEVER if end >= COLUMNS_NEVER else end)
            for needs, leaves, start, end in zip(*columns, strict=True)
        ]


COLUMNS_NEVER: Final = 1 << 62
"""``NEVER`` in columns; see :mod:`harness.model.columns`."""


def call_columns(calls: Sequence[Call], initial: int = 0) -> CallColumns:
    """Calls one by one as columns, in the same order."""
    needs = np.array([call.needs for call in calls], np.int32)
    leaves = np.array([call.leaves for call in calls], np.int32)
    guarded = np.where(needs <= _BUT, _BUT - needs, needs)
    states = 1 + max(initial, int(guarded.max(initial=0)), int(leaves.max(initial=0)))
    return CallColumns(
        needs=needs,
        leaves=leaves,
        start=np.array([call.start for call in calls], np.int64),
        end=np.array([min(call.end, COLUMNS_NEVER) for call in calls], np.int64),
        states=states,
        initial=initial,
    )


@dataclass(frozen=True)
class Budget:
    """What a search may use: configurations to visit, memory that the process may grow by meanwhile (what other
    threads take counts, too), and a ``time.monotonic()`` moment to stop at."""

    configurations: int = 500_000
    deadline_s: float = float("inf")
    memory_mb: int = 1024


@dataclass(frozen=True)
class Decision:
    """``valid`` is None when the budget ran out; ``limit`` names what ran out.

    ``culprit`` is the position (in the given calls) of the first returned call that no order can satisfy, and
    ``states`` are the states that could be reached before it returned. ``decided_to`` is the position in
    the history up to which the answer is known, ``explored`` the number of configurations visited. ``few`` are
    positions of calls that fail already, where the search knows some.
    """

    valid: bool | None
    culprit: int | None = None
    states: frozenset[int] = field(default_factory=frozenset)
    decided_to: int = NEVER
    explored: int = 0
    limit: str = ""
    few: tuple[int, ...] = ()


def looks_only(call: Call) -> bool:
    """Whether the call changes nothing."""
    return call.leaves in (KEEP, call.needs)


def states_of(calls: Iterable[Call]) -> set[int]:
    """All states that the calls name."""
    found = {call.leaves for call in calls} | {call.needs for call in calls}
    return {state for state in found if state >= 0} | {_BUT - state for state in found if state <= _BUT}
