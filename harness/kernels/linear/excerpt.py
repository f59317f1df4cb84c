"""From a long list of calls that fails to a few hundred at most that still fail, so that people can be told why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from harness.kernels.calls import Budget, Call, CallColumns, Decision, states_of
from harness.kernels.linear.linearize import decide

WHOLE: Final = 2_000
"""Up to so many calls are handed on as they are."""
_WINDOWS: Final = (16, 64, 256, 1_024)
_GLANCE: Final = 20_000


class Part(NamedTuple):
    """``calls`` are those at the positions ``at``; they fail from every state in ``initial``."""

    at: list[int]
    calls: list[Call]
    initial: Sequence[int]


def excerpt(calls: CallColumns, decision: Decision) -> Part:
    """Calls with the culprit that fail: all of a short list, the witnesses that the search knows, or else the last
    ones that were open or began before the culprit returned, which fail whatever state they found. When even a large
    window does not fail by itself, the culprit alone."""
    culprit = decision.culprit or 0
    if len(calls) <= WHOLE:
        return Part(list(range(len(calls))), calls.one_by_one(), (calls.initial,))
    if decision.few:
        at = list(decision.few)
        return Part(at, _chosen(calls, at), (calls.initial,))
    before, places = calls.prefix(int(calls.end[culprit]))
    ends = np.sort(before.end[before.end <= calls.end[culprit]])
    for size in _WINDOWS:
        window = np.flatnonzero(before.end > ends[max(0, len(ends) - 1 - size)])
        part, at = _chosen(before, window.tolist()), places[window].tolist()
        initial = sorted(states_of(part) | {calls.states})
        if decide(part, initial, Budget(_GLANCE)).valid is False:
            return Part(at, part, initial)
    return Part([culprit], _chosen(calls, [culprit]), (calls.initial,))


def _chosen(calls: CallColumns, at: list[int]) -> list[Call]:
    chosen = CallColumns(
        calls.needs[at], calls.leaves[at], calls.start[at], calls.end[at], calls.states, calls.initial
    )  # fmt: skip
    return chosen.one_by_one()
