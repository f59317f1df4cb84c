"""Shows that a history fails by a short stretch of it alone, when the search before that stretch would not end.

Calls that ended before the stretch are forgotten, and the stretch may begin in any state; calls that were open when it
began may have taken effect already, so that they count as indeterminate, and looks among them are left out. All orders
of the whole history leave an order of that; where no state has one, the whole history has none. The converse does not
hold: a stretch that is in order tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from harness.kernels.calls import COLUMNS_NEVER, Budget, CallColumns, Decision

_STATES: Final = 32
"""With more states there are too many to begin in; and histories with many different values seldom need this."""
_STRETCHES: Final = (*range(1, 9), 12, 16, 24, 32, 64, 128, 256, 512)
"""Returns in a stretch: the fewer, the fewer calls are open when it begins, about which nothing is known."""
_BEYOND: Final = 8
"""So many returns later a stretch ends: the search may stop because of calls that are still to come."""
_CONFIGURATIONS: Final = 50_000
"""For one stretch from one state."""


def fails_locally(
    calls: CallColumns, end: int, decide: Callable[[CallColumns, Budget], Decision], budget: Budget
) -> bool:
    """Whether some stretch of the calls that ends at position ``end`` has no order from any state."""
    if calls.states > _STATES:
        return False
    ends = np.sort(calls.end[calls.end < COLUMNS_NEVER])
    at = int(np.searchsorted(ends, end))
    known = calls.prefix(int(ends[min(at + _BEYOND, len(ends) - 1)]))[0]
    few = replace(budget, configurations=_CONFIGURATIONS)
    for returns in _STRETCHES:
        if returns > at:
            return False
        near = stretch(known, int(ends[at - returns]))
        if all(decide(replace(near, initial=state), few).valid is False for state in range(calls.states)):
            return True
    return False


def stretch(calls: CallColumns, cut: int) -> CallColumns:
    """What must hold after position ``cut``, whatever was before."""
    is_open = (calls.start <= cut) & (calls.end > cut)
    at = np.flatnonzero((calls.end > cut) & ~(is_open & calls.looks))
    end = np.where(is_open[at], COLUMNS_NEVER, calls.end[at])
    return CallColumns(calls.needs[at], calls.leaves[at], calls.start[at], end, calls.states, calls.initial)
