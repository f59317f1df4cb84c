"""The causal order of a register's history: session order, and every write before the reads that saw it.

Bouajjani, Enea, Guerraoui and Hamza, "On verifying causal consistency", POPL 2017, section 2.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from harness.checkers.replicas.versions import Access
from harness.model.op import OK

Ints = npt.NDArray[np.int32]


@dataclass
class Order:
    """The causal order. ``before[at]`` are the accesses right before ``at``; a *chain* is the run of a session's
    writes, and ``place`` counts in it from 1."""

    all: Sequence[Access]
    before: list[list[int]] = field(default_factory=list)
    chain: dict[int, int] = field(default_factory=dict)
    place: dict[int, int] = field(default_factory=dict)


@dataclass
class Key:
    """The writes of a key by chain and place, for a search in all chains at once: the positions of the accesses,
    ``chain << 32 | place`` of each, and the chains that wrote the key."""

    at: Ints
    order: npt.NDArray[np.int64]
    chains: Ints


def ordered(every: Sequence[Access]) -> Order:
    """Session order and reads-from. An indeterminate write ends its chain, and what follows does not follow from it."""
    order = Order(every)
    last: dict[int, int] = {}
    chain_of: dict[int, int] = {}
    written_in: list[int] = []
    for at, access in enumerate(every):
        process = access.op.process
        order.before.append([before for before in (last.get(process, -1), access.source) if before >= 0])
        sure = access.op.type == OK
        if sure:
            last[process] = at
        if not access.writes:
            continue
        if sure and process in chain_of:
            chain = chain_of[process]
        else:
            chain = len(written_in)
            written_in.append(0)
            if sure:
                chain_of[process] = chain
        written_in[chain] += 1
        order.chain[at], order.place[at] = chain, written_in[chain]
    return order


def by_cause(order: Order) -> list[int]:
    """Every access after its causes (Kahn, 1962)."""
    after: list[list[int]] = [[] for _ in order.all]
    missing = [len(some) for some in order.before]
    for at, some in enumerate(order.before):
        for before in some:
            after[before].append(at)
    ready = [at for at, number in enumerate(missing) if not number]
    for at in ready:
        for later in after[at]:
            missing[later] -= 1
            if not missing[later]:
                ready.append(later)
    return ready


def way(order: Order, cause: int, effect: int, most: int) -> list[int]:
    """The accesses on a shortest way from ``cause`` to ``effect``, without the two; empty when more than ``most`` would
    have to be looked at."""
    came = {effect: effect}
    todo = deque([effect])
    while todo and cause not in came and len(came) < most:
        here = todo.popleft()
        for before in order.before[here]:
            if before not in came:
                came[before] = here
                todo.append(before)
    found: list[int] = []
    here = came.get(cause, effect)
    while here != effect:
        found.append(here)
        here = came[here]
    return found


def writes_by_key(order: Order) -> dict[Hashable, Key]:
    """Every key's writes."""
    groups: dict[Hashable, list[int]] = {}
    for at in order.chain:
        groups.setdefault(order.all[at].key, []).append(at)
    keys = {}
    for key, some in groups.items():
        some.sort(key=lambda at: (order.chain[at], order.place[at]))
        chains, places = [order.chain[at] for at in some], [order.place[at] for at in some]
        combined = (np.array(chains, np.int64) << 32) + np.array(places, np.int64)
        keys[key] = Key(np.array(some, np.int32), combined, np.unique(np.array(chains, np.int32)))
    return keys
