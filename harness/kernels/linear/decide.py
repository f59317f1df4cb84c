"""Chooses how to decide the calls on one object: by zones, by the plain search, or by the compiled one."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

import numpy as np

from harness.kernels.calls import COLUMNS_NEVER, KEEP, Budget, CallColumns, Decision
from harness.kernels.compiling import fast
from harness.kernels.linear import linearize
from harness.kernels.linear.windowed import decide_windowed
from harness.kernels.linear.zones import decide_zones, has_zones

SMALL: Final = 1_000
"""Up to so many calls the plain search is tried first: loading compiled code would take longer."""
_PLAIN: Final = 20_000
"""Configurations that the plain search may visit before the compiled one takes over."""
_GLANCE: Final = 200_000
"""Configurations worth visiting when the verdict is known already."""


def decide_calls(calls: CallColumns, budget: Budget, small: bool | None = None) -> Decision:
    """Decide whether the calls on one object are linearizable from its initial state.

    ``small``: whether it is worth while to avoid compiled code (None: by the number of calls).
    """
    if has_zones(calls) and (len(calls) > SMALL or not len(calls)):
        return decide_zones(calls)
    if len(calls) <= SMALL if small is None else small:
        few = replace(budget, configurations=min(budget.configurations, _PLAIN))
        found = linearize.decide(calls.one_by_one(), budget=few)
        if found.valid is not None or budget.configurations <= _PLAIN or time.monotonic() > budget.deadline_s:
            return replace(found, states=frozenset(_renamed(state, calls.initial) for state in found.states))
    return _compiled(calls, budget)


def _renamed(state: int, initial: int) -> int:
    """Undo what ``CallColumns.one_by_one`` does to the initial state."""
    return {0: initial, initial: 0}.get(state, state)


def _compiled(calls: CallColumns, budget: Budget) -> Decision:
    orphan = first_orphan(calls)
    if orphan is not None:
        few = replace(budget, configurations=min(budget.configurations, _GLANCE))
        end = int(calls.end[orphan])
        earlier = decide_windowed(calls.prefix(end)[0], fast, few)
        if earlier.valid is not False:
            return Decision(False, orphan, decided_to=end)
        return _located(calls, earlier, few)
    found = decide_windowed(calls, fast, budget)
    return _located(calls, found, budget) if found.valid is False else found


def _located(calls: CallColumns, found: Decision, budget: Budget) -> Decision:
    """The shortest failing prefix of calls that fail: all prefixes that end before ``found.decided_to`` are in order.
    Steps of growing size forward, then bisection."""
    ends = np.sort(calls.end[calls.end < COLUMNS_NEVER])
    low, step, explored = int(np.searchsorted(ends, found.decided_to)), 1, found.explored
    high, known = len(ends) - 1, found
    if found.culprit is not None:
        high = low
    probe = low
    while low < high:
        at = decide_windowed(calls.prefix(int(ends[probe]))[0], fast, budget)
        explored += at.explored
        if at.valid is None:  # the shortest prefix that is known to fail, if not the shortest there is
            return Decision(False, _ending(calls, int(ends[high])), decided_to=int(ends[high]), explored=explored)
        if at.valid:
            low = probe + 1
        else:
            high, known = probe, at
            low = max(low, int(np.searchsorted(ends, at.decided_to)))
        probe, step = (min(low + step, high - 1), step * 2) if high == len(ends) - 1 else ((low + high) // 2, step)
    end = int(ends[low])
    states = known.states if known.decided_to == end else frozenset[int]()
    return Decision(False, _ending(calls, end), states, end, explored)


def _ending(calls: CallColumns, end: int) -> int:
    """The call that ends at event ``end``."""
    return int(np.flatnonzero(calls.end == end)[0])


def first_orphan(calls: CallColumns) -> int | None:
    """The first returned call that needs a state which neither was initial nor was being made before it ended."""
    born = np.full(calls.states, COLUMNS_NEVER, np.int64)
    makes = np.flatnonzero((calls.leaves != KEEP) & (calls.leaves != calls.needs))
    np.minimum.at(born, calls.leaves[makes], calls.start[makes])
    born[calls.initial] = -1
    certain = np.flatnonzero((calls.needs >= 0) & (calls.end < COLUMNS_NEVER))
    orphans = certain[born[calls.needs[certain]] > calls.end[certain]]
    return int(orphans[np.argmin(calls.end[orphans])]) if orphans.size else None
