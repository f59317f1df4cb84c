"""How often each state of one object is made and used up, counted before any search.

A state is *made* by a call that leaves it (the initial one once more, before everything) and *used up* by an update
that needs it; a look needs it too, but leaves it. Whatever the order, before a returned update there must
have been as many makings as updates of its state; and each making may be used up once, or be wasted: overwritten
by a blind write or by an indeterminate call. Counting gives what a search may still waste of a state before some call
can no longer have it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from harness.kernels.calls import KEEP, CallColumns

Ints = npt.NDArray[np.int32]
START, RETURN, GUESS, RETIRE = range(4)
WANTS, READS = range(2)
CALL, SPARE, LEAST = range(3)
ENOUGH: Final = 1 << 29
"""More makings than any history has: nothing to fear."""


def first_of_states(needs: Any, leaves: Any, certain: Any, calls: CallColumns) -> Ints:
    """Where each state's rows begin among all updates (WANTS) and all looks (READS), grouped by the state they need.
    Column by column; a row beyond the last state ends them."""
    first = np.zeros((calls.states + 2, 2), np.int32)
    looks = (leaves == KEEP) | (leaves == needs)
    for column, mine in ((WANTS, ~looks), (READS, looks)):
        needed = needs[mine & certain & (needs >= 0)]
        first[1:, column] = np.cumsum(np.bincount(needed, minlength=calls.states + 1))
    return first


def only_looks(needs: int, leaves: int) -> bool:
    """Whether a call changes nothing."""
    return leaves == KEEP or needs == leaves


def counted(calls: Ints, supply: int, events: Ints, first: Ints, seen: Ints, wants: Ints, reads: Ints) -> None:
    """Fill ``wants`` and ``reads``, both grouped by state.

    ``wants``: the updates in order of return, with SPARE, the makings that have begun by then less the updates that
    have returned (itself too), and LEAST, the least SPARE from here on. ``reads``: in order of start, the
    least number of makings begun at the end of a look from here on. A look's own number goes to column ``supply`` of
    ``calls``. ``seen`` counts makings, updates and looks by state, and begins with the initial state made once.
    """
    for code in events:
        which, what = code >> 2, code & 3
        if what == RETIRE:
            continue
        needs, leaves = calls[which, 0], calls[which, 1]
        if only_looks(needs, leaves):
            if what == START and needs >= 0:
                calls[which, supply] = first[needs, READS] + seen[needs, 2]
                seen[needs, 2] += 1
            elif what == RETURN and needs >= 0:
                reads[calls[which, supply]] = seen[needs, 0]
                calls[which, supply] = seen[needs, 0]
        elif what != RETURN:
            seen[leaves, 0] += 1
        elif needs >= 0:
            at = first[needs, WANTS] + seen[needs, 1]
            seen[needs, 1] += 1
            wants[at, CALL], wants[at, SPARE] = which, seen[needs, 0] - seen[needs, 1]
    for state in range(len(first) - 1):
        least = ENOUGH
        for at in range(first[state + 1, WANTS] - 1, first[state, WANTS] - 1, -1):
            least = min(least, wants[at, SPARE])
            wants[at, LEAST] = least
        least = ENOUGH
        for at in range(first[state + 1, READS] - 1, first[state, READS] - 1, -1):
            least = min(least, reads[at])
            reads[at] = least
