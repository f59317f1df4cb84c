"""The shortest way back: breadth-first search inside one component, under a rule about anti-dependencies."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from harness.kernels.transactions.graph import PASS, RW, Edges
from harness.model.columns import Ints

ANY, SINGLE, NONADJACENT = range(3)
"""Rules for a closed walk: none; at most one RW; no RW right after another."""

_State = tuple[int, int]
"""A node, and whether RW has been used (SINGLE) or was the last edge (NONADJACENT)."""


class Step(NamedTuple):
    """``source`` comes before ``target``; ``kind`` says why, ``key`` by which object (-1: none)."""

    source: int
    target: int
    kind: int
    key: int


class Walker:
    """Searches one class's graph. ``labels[2 * node + s]`` is the component of a node, ``s`` 1 when just reached by
    RW.
    """

    def __init__(self, every: Edges, nodes: int, labels: Ints) -> None:
        self.labels = labels
        order = np.argsort(every.source, kind="stable")
        self._key = every.key[order]
        # As lists, because the search meets them one by one.
        self._target, self._kind = every.target[order].tolist(), every.kind[order].tolist()
        self._first = np.searchsorted(every.source[order], np.arange(nodes + 1)).tolist()
        self._labels = labels.tolist()

    def around(self, edge: Step, rule: int) -> list[Step]:
        """The shortest closed walk that begins with ``edge``; empty when the rule allows none. PASS costs nothing."""
        begin = (edge.target, int(edge.kind == RW and rule != ANY))
        component = self._labels[2 * edge.target + int(edge.kind == RW)]
        near: dict[_State, int] = {begin: 0}
        came: dict[_State, tuple[_State, int]] = {}
        queue = deque([begin])
        while queue:
            here = queue.popleft()
            if here[0] == edge.source and not (rule == NONADJACENT and here[1] and edge.kind == RW):
                return [edge, *self._back(here, begin, came)]
            for at in range(self._first[here[0]], self._first[here[0] + 1]):
                target, free = self._target[at], self._kind[at] == PASS
                state = _after(here[1], self._kind[at], rule)
                if state < 0 or component not in (self._labels[2 * target], self._labels[2 * target + 1]):
                    continue
                there, far = (target, state), near[here] + (not free)
                if far < near.get(there, 1 << 60):
                    near[there], came[there] = far, (here, at)
                    (queue.appendleft if free else queue.append)(there)
        return []

    def _back(self, here: _State, begin: _State, came: dict[_State, tuple[_State, int]]) -> list[Step]:
        way: list[Step] = []
        while here != begin:
            target = here[0]
            here, at = came[here]
            way.append(Step(here[0], target, self._kind[at], int(self._key[at])))
        return way[::-1]


def _after(state: int, kind: int, rule: int) -> int:
    """The state after an edge, -1 where the rule forbids it."""
    if rule == ANY:
        return 0
    if kind == RW:
        return -1 if state else 1
    return state if rule == SINGLE or kind == PASS else 0
