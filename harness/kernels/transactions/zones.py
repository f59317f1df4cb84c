"""The order of versions by the clock, with few edges.

Version v comes before w when some transaction that met v ended before some transaction that met w began: ``first_end[v]
< last_start[w]``. Writing down all such pairs would be quadratic. The two numbers are the ends of a version's zone
(Gibbons and Korach, "Testing shared memories", 1997); a zone is *forward* when the first end lies before the last
start. Forward zones of one key that overlap come before each other: such a key is out of order, and one such circle is
enough to say so.
"""

from __future__ import annotations

import numpy as np

from harness.kernels.transactions.columns import Flags
from harness.kernels.transactions.graph import ranges
from harness.model.columns import Ints, Longs

Pairs = tuple[Longs, Longs]


def covers(key: Ints, first_end: Longs, last_start: Longs) -> tuple[Ints, Ints]:
    """Indices of versions and of later ones, enough that their closure is the whole order of each key.

    Every pair holds. Where the order of a key is circular, some circle is among its pairs.
    """
    _, rank = np.unique(np.concatenate((first_end, last_start)), return_inverse=True)
    end, start = rank[: len(key)].astype(np.int64), rank[len(key) :].astype(np.int64)
    size = len(rank) + 1
    place = key.astype(np.int64) * size  # added to a time, it keeps the keys apart
    earlier, later = _overlaps(place + end, place + start, end < start, place)
    rest = np.flatnonzero(~np.isin(key, key[earlier]))
    a, b = _near(place[rest] + end[rest], place[rest] + start[rest], place[rest] + size)
    return (
        np.concatenate((earlier, rest[a])).astype(np.int32),
        np.concatenate((later, rest[b])).astype(np.int32),
    )


def _overlaps(end: Longs, start: Longs, forward: Flags, place: Longs) -> Pairs:
    """Forward zones that overlap the next one of their key, both ways round."""
    zones = np.flatnonzero(forward)
    zones = zones[np.argsort(end[zones])]
    before, after = zones[:-1], zones[1:]
    clash = (place[before] == place[after]) & (start[before] > end[after])
    before, after = before[clash], after[clash]
    return np.concatenate((before, after)), np.concatenate((after, before))


def _near(end: Longs, start: Longs, limit: Longs) -> Pairs:
    """Each version with those that follow it at once, and a few more; no forward zones overlap.

    In order of ``start`` the successors of v are all from some position on. Those that start before the
    first of them ends have nothing in between. Within v's own forward zone all are taken: such zones are disjoint.
    """
    count = len(end)
    order = np.argsort(start)
    sorted_start, sorted_end = start[order], end[order]
    own = np.empty(count, np.int64)
    own[order] = np.arange(count)
    low = np.searchsorted(sorted_start, end, "right")
    within = np.maximum(own - low, 0)
    found = [(np.repeat(np.arange(count), within), order[ranges(low, within)])]
    after = np.maximum(low, own + 1)
    last = np.searchsorted(sorted_start, limit)
    least = np.append(np.minimum.accumulate(sorted_end[::-1])[::-1], 0)
    has = after < last
    source, after, last = np.flatnonzero(has), after[has], last[has]
    high = np.clip(np.searchsorted(sorted_start, least[after], "right"), after, last)
    found.append((np.repeat(source, high - after), order[ranges(after, high - after)]))
    # The one that ends first may begin later than it ends: it follows, too.
    is_least = np.where(sorted_end == least[:-1], np.arange(count), count)
    nearest = np.minimum.accumulate(is_least[::-1])[::-1][after] if count else after
    found.append((source, order[nearest]))
    return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])
