"""Moments in spans of time, many at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.model.columns import Longs


def covering(kind: Any, begin: Longs, end: Longs, of: Any, time: Longs) -> Longs:
    """For every ``time`` of kind ``of`` an interval ``[begin, end)`` of the same kind that holds it; -1 where none
    does. Of several the one that lasts longest."""
    found = np.full(len(time), -1, np.int64)
    if not len(begin) or not len(time):
        return found
    order = np.lexsort((begin, kind))
    ranks = np.sort(np.concatenate([end, time]))  # equal times have one rank also so; to remove them takes longer
    width = len(ranks) + 1
    # The latest end of all intervals of that kind that began before, by a running maximum that no kind hands on.
    weight = kind[order].astype(np.int64) * width + np.searchsorted(ranks, end[order])
    latest = np.maximum.accumulate(weight)
    holder = order[np.maximum.accumulate(np.where(weight == latest, np.arange(len(order)), 0))]
    moments = np.sort(np.concatenate([begin, time]))
    span = len(moments) + 1
    key = kind[order].astype(np.int64) * span + np.searchsorted(moments, begin[order])
    place = np.searchsorted(key, of.astype(np.int64) * span + np.searchsorted(moments, time), side="right") - 1
    good = place >= 0
    hit = holder[np.where(good, place, 0)]
    good &= (kind[hit] == of) & (begin[hit] <= time) & (time < end[hit])
    found[good] = hit[good]
    return found
