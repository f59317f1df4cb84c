"""Who must come before whom: dependencies between transactions as edges in integer arrays.

Nodes are transactions, numbered by row, and after them virtual nodes, which stand for "all of these come before all of
those" and keep the number of edges linear. Sources: Adya, "Weak Consistency" (1999), section 3.1, for the kinds;
Kingsbury and Alvaro, "Elle" (VLDB 2020), section 4, for their inference from what clients saw.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from harness.kernels.transactions.columns import Flags, MicroOps, Numbers
from harness.model.columns import OK_CODE, Bytes, Ints, Longs

WW, WR, RW, PASS, PROCESS, REALTIME = range(6)
"""Kinds of edges: overwrites, reads, misses the write of; PASS leaves a virtual node and costs nothing."""


class Edges(NamedTuple):
    """Parallel arrays; ``key`` is the object of a dependency, -1 elsewhere."""

    source: Ints
    target: Ints
    kind: Bytes
    key: Ints

    @property
    def size(self) -> int:
        return len(self.source)

    def where(self, keep: Flags) -> Edges:
        return Edges(self.source[keep], self.target[keep], self.kind[keep], self.key[keep])


def edges(source: Ints, target: Ints, kind: int, key: Ints | int = -1) -> Edges:
    """Edges of one kind."""
    keys = np.broadcast_to(np.asarray(key, np.int32), len(source))
    return Edges(source, target, np.full(len(source), kind, np.int8), keys)


SMALL: Final = 4000
"""Graphs with fewer edges are searched in Python."""
NO_EDGES: Final = edges(np.zeros(0, np.int32), np.zeros(0, np.int32), PASS)


def joined(parts: Iterable[Edges]) -> Edges:
    """All of them in one."""
    return Edges(*(np.concatenate(columns) for columns in zip(NO_EDGES, *parts, strict=True)))


def ranges(starts: Numbers, counts: Numbers) -> Longs:
    """``starts[0], starts[0]+1, ...``, ``counts[0]`` of them, then those of ``starts[1]``, and so on."""
    before = np.cumsum(counts) - counts
    found: Longs = np.arange(int(counts.sum()), dtype=np.int64) + np.repeat(starts - before, counts)
    return found


def bridged(
    group: Ints, reader: Ints, next_group: Ints, writer: Ints, key_of: Ints, first_hub: int
) -> tuple[Edges, int]:
    """Every reader of a group misses every writer that comes next for it: RW edges, and how many virtual nodes they
    took.

    ``reader[i]`` read version ``group[i]``; ``writer[j]`` installed a version that follows version ``next_group[j]``.
    ``key_of[group]`` is its key. Where a group has many of both, its readers share a virtual node. A transaction that
    is both does not miss itself; two such transactions miss each other, and all of a group are closed into a ring,
    which says as much with fewer edges.
    """
    order, next_order = np.argsort(group, kind="stable"), np.argsort(next_group, kind="stable")
    group, reader = group[order], reader[order].astype(np.int32)
    next_group, writer = next_group[next_order], writer[next_order].astype(np.int32)
    low = np.searchsorted(next_group, group, "left")
    counts = np.searchsorted(next_group, group, "right") - low
    first = np.searchsorted(group, group, "left")
    fellows = np.searchsorted(group, group, "right") - first
    many = fellows * counts > 16 * (fellows + counts)
    few = np.flatnonzero(~many)
    target = writer[ranges(low[few], counts[few])]
    source, at = np.repeat(reader[few], counts[few]), np.repeat(group[few], counts[few])
    other = source != target
    parts = [edges(source[other], target[other], RW, key_of[at[other]])]
    leaders = np.flatnonzero(many & (first == np.arange(len(group))))
    for hubs, i in enumerate(leaders.tolist()):
        readers = np.unique(reader[i : i + fellows[i]])
        writers = np.unique(writer[low[i] : low[i] + counts[i]])
        parts.append(_hub(readers, writers, int(key_of[group[i]]), first_hub + hubs))
    hubs = len(leaders)
    return joined(parts), hubs


def _hub(readers: Ints, writers: Ints, key: int, hub: int) -> Edges:
    both = np.intersect1d(readers, writers)
    only = np.setdiff1d(readers, both)
    parts = [edges(only, np.full(len(only), hub, np.int32), RW, key)]
    parts.append(edges(np.full(len(writers), hub, np.int32), writers, PASS, key))
    if len(both) > 1:
        parts.append(edges(both, np.roll(both, 1), RW, key))
    if len(both):
        others = writers[writers != both[0]]
        parts.append(edges(np.full(len(others), both[0], np.int32), others, RW, key))
    return joined(parts)


def process_edges(ops: MicroOps, rows: Ints) -> Edges:
    """Each process's transactions among ``rows``, one after the other. An indeterminate one may still happen later."""
    order = rows[np.lexsort((ops.start[rows], ops.process[rows]))]
    source, target = order[:-1], order[1:]
    use = (ops.process[source] == ops.process[target]) & (ops.type[source] == OK_CODE)
    return edges(source[use], target[use], PROCESS)


def realtime_edges(ops: MicroOps, rows: Ints, first_hub: int) -> tuple[Edges, int]:
    """What ended before what began, among ``rows``, with a virtual node for each moment when beginnings follow ends.

    Returns the edges and the number of virtual nodes: a chain in time. An end leads to the next moment, a moment to
    the beginnings that follow it and to the next moment, so the edges are as many as the transactions.
    """
    ended = rows[ops.type[rows] == OK_CODE]
    order = _order(np.concatenate((ops.end[ended], ops.start[rows])))
    begins = order >= len(ended)
    turns = np.zeros(len(begins), bool)
    turns[1:] = begins[1:] & ~begins[:-1]
    moment = np.empty(len(begins), np.int32)
    moment[order] = np.cumsum(turns, dtype=np.int32)
    moments = int(turns.sum())
    next_moment, last_moment = moment[: len(ended)], moment[len(ended) :] - 1
    leads, follows = next_moment < moments, last_moment >= 0
    chain = np.arange(first_hub, first_hub + moments, dtype=np.int32)
    parts = (
        edges(ended[leads], next_moment[leads] + np.int32(first_hub), REALTIME),
        edges(last_moment[follows] + np.int32(first_hub), rows[follows], PASS),
        edges(chain[:-1], chain[1:], PASS),
    )
    return joined(parts), moments


def _order(position: Longs) -> Numbers:
    """``argsort`` of different positions; without sorting where they are dense."""
    high = int(position.max(initial=0)) + 1
    if high > 4 * len(position) + 1000:
        return np.argsort(position)
    place = np.full(high, -1, np.int32)
    place[position] = np.arange(len(position), dtype=np.int32)
    return place[place >= 0]


def components(source: Ints, target: Ints, nodes: int) -> Ints:
    """The number of each node's strongly connected component."""
    if len(source) < SMALL:
        return _components_in_python(source.tolist(), target.tolist(), nodes)
    from scipy.sparse import coo_matrix  # here, because it takes 0.2 s to load and small histories do without
    from scipy.sparse.csgraph import connected_components

    # Repeated edges make scipy's search run for ever; ``tocsr`` adds them up.
    graph = coo_matrix((np.ones(len(source), np.float64), (source, target)), shape=(nodes, nodes))
    labels: Ints = connected_components(graph.tocsr(), directed=True, connection="strong")[1]
    return labels


def _components_in_python(source: list[int], target: list[int], nodes: int) -> Ints:
    """Tarjan, "Depth-first search and linear graph algorithms" (1972), with a stack of its own instead of recursion."""
    onward: dict[int, list[int]] = {}
    for a, b in zip(source, target, strict=True):
        onward.setdefault(a, []).append(b)
    met: dict[int, int] = {}
    low: dict[int, int] = {}
    label = np.full(nodes, -1, np.int32)
    labels, path = 0, []
    for root in range(nodes):
        work = [(root, iter(onward.get(root, ())))] if root not in met else []
        if work:
            met[root] = low[root] = len(met)
            path.append(root)
        while work:
            node, rest = work[-1]
            after = next(rest, None)
            if after is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == met[node]:
                    at = path.index(node)
                    label[path[at:]] = labels
                    labels += 1
                    del path[at:]
            elif after not in met:
                met[after] = low[after] = len(met)
                path.append(after)
                work.append((after, iter(onward.get(after, ()))))
            elif label[after] < 0:
                low[node] = min(low[node], met[after])
    return label


def in_cycles(labels: Ints) -> Flags:
    """Which nodes share their component with another one."""
    return np.bincount(labels)[labels] > 1
