"""From a history that fails to a handful of calls that still fail, for the same reason.

Only such steps are taken as keep every linearizable history linearizable. So what is left fails because the whole
did, never because something was taken away from under it:

- a look is dropped: it changes nothing;
- the guard of an update is dropped: it becomes a blind write, which more orders can hold;
- a state is dropped with every call that needs or leaves it (and with a guarded update also the state that it
  leaves): the calls that remain never needed that state, and the one before it lasts longer. Looks that only exclude a
  state might mind that, so they are dropped, too.

Groups are dropped in halving chunks, as in delta debugging (Zeller and Hildebrandt, "Simplifying and isolating
failure-inducing input", 2002).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from harness.kernels.calls import ANY, KEEP, NEVER, Budget, Call
from harness.kernels.linear.linearize import decide

Numbered = dict[int, Call]
"""Calls by their position in the list that was given."""


def reduced(calls: Sequence[Call], culprit: int, limit_s: float = 2.0, initial: Sequence[int] = (0,)) -> list[int]:
    """Positions of few calls, with the culprit, that no order satisfies from any of the ``initial`` states; in order of
    their start.

    ``culprit`` is the first returned call that no order satisfies, as ``decide`` found it. Takes about ``limit_s``
    seconds at most and then returns what it has.
    """
    deadline_s = time.monotonic() + limit_s
    kept = _prefix(calls, culprit)
    blind = {which: _unguarded(call) if which != culprit else call for which, call in kept.items()}
    if _fails(blind, initial, deadline_s):
        kept = blind
    groups = _groups(kept, culprit)
    size = len(groups)
    while size:
        for first in range(0, len(groups), size):
            drop = set().union(*groups[first : first + size])
            rest = {which: call for which, call in kept.items() if which not in drop}
            if len(rest) < len(kept) and _fails(rest, initial, deadline_s):
                kept = rest
        size //= 2
    return sorted(kept, key=lambda which: calls[which].start)


def _prefix(calls: Sequence[Call], culprit: int) -> Numbered:
    """What had started when the culprit returned; what returned later is indeterminate at that moment."""
    end = calls[culprit].end
    return {
        which: call if call.end <= end else call._replace(end=NEVER)
        for which, call in enumerate(calls)
        if call.start < end and (call.end <= end or call.leaves not in (KEEP, call.needs))
    }


def _unguarded(call: Call) -> Call:
    return call if call.leaves in (KEEP, call.needs) else call._replace(needs=ANY)


def _groups(kept: Numbered, culprit: int) -> list[set[int]]:
    """What may be dropped together: each look alone, and each state with all that it carries."""
    looks = [{which} for which, call in kept.items() if call.leaves in (KEEP, call.needs) and which != culprit]
    excluding = {which for which, call in kept.items() if call.needs < ANY}
    groups = []
    in_order = dict.fromkeys(call.leaves for call in sorted(kept.values(), key=lambda call: call.start))
    for state in [state for state in in_order if state != KEEP]:
        group = _carried(state, kept) | excluding
        if culprit not in group:
            groups.append(group)
    return groups + looks


def _carried(state: int, kept: Numbered) -> set[int]:
    """All calls that go when ``state`` goes."""
    gone: set[int] = set()
    states, todo = {state}, [state]
    while todo:
        here = todo.pop()
        for which, call in kept.items():
            if here in (call.needs, call.leaves):
                gone.add(which)
            if call.needs == here and call.leaves not in (KEEP, *states):
                states.add(call.leaves)
                todo.append(call.leaves)
    return gone


def _fails(kept: Numbered, initial: Sequence[int], deadline_s: float) -> bool:
    if time.monotonic() > deadline_s:
        return False
    return decide(list(kept.values()), initial, Budget(20_000, deadline_s)).valid is False
