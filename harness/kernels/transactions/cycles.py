"""Cycles of dependencies, the smallest that can be found, each called by the name of its anomaly.

One search for strongly connected components over everything decides whether there is a cycle at all. Only inside of
components it is asked what kinds there are: for each class of edges, alone and with the order of processes or of real
time. What a smaller class shows already is not shown again. Names: Adya, "Weak Consistency" (1999), chapter 4;
``G-nonadjacent``, a cycle in which no two anti-dependencies follow each other, is what snapshot isolation forbids
(Cerone and Gotsman, "Analysing Snapshot Isolation", 2018).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from harness.kernels.transactions.columns import Flags, MicroOps, Numbers, committed
from harness.kernels.transactions.graph import (
    PASS,
    PROCESS,
    REALTIME,
    RW,
    WR,
    WW,
    Edges,
    components,
    in_cycles,
    joined,
    process_edges,
    realtime_edges,
)
from harness.kernels.transactions.walk import ANY, NONADJACENT, SINGLE, Step, Walker
from harness.model.columns import Ints

ORDERS: Final = ("", "process", "realtime")
"""What may stand in a cycle besides dependencies: nothing, the order of each process, or real time."""
CLASSES: Final[dict[str, tuple[int, ...]]] = {
    "G0": (WW,),
    "G1c": (WW, WR),
    "SI": (WW, WR, RW),
    "G2-item": (WW, WR, RW),
}
"""The dependencies of each class; of class SI, no two RW follow each other."""
SEVERITY: Final = ("G0", "G1c", "G-single", "G-nonadjacent", "G2-item")
COMPONENTS, TRIES = 8, 48
"""How many components of a class are searched for an example, and from how many edges of each."""


class Cycle(NamedTuple):
    """An anomaly: steps that lead back to where they began."""

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class _Small:
    """What is left of the graph inside components. Nodes are numbered anew; ``txn`` says what the first of them
    were.
    """

    ops: MicroOps
    txn: Ints
    nodes: int
    edges: Edges


def cycles(ops: MicroOps, found: Edges, hubs: int, order: str = "realtime", limit_s: float = 5.0) -> list[Cycle]:
    """Examples of every class of cycle, for all orders up to ``order``; the search for small ones takes about
    ``limit_s``.

    When the time is over, there is still one example of each class that has a cycle.
    """
    deadline_s = time.monotonic() + limit_s
    nodes = len(ops) + hubs
    rows = np.flatnonzero(committed(ops)).astype(np.int32)
    by_order, virtual = _ordered(ops, rows, order, nodes)
    labels = components(
        np.concatenate((found.source, by_order.source)),
        np.concatenate((found.target, by_order.target)),
        nodes + virtual,
    )
    if not in_cycles(labels).any():
        return []
    small = _small(ops, found, labels[:nodes], in_cycles(labels)[:nodes])
    unique = {
        cycle.name + str(sorted(step.source for step in cycle.steps)): cycle
        for cycle in _search(small, order, deadline_s)
    }
    return sorted(unique.values(), key=lambda cycle: (_rank(cycle.name), len(cycle.steps), cycle.steps))


def _ordered(ops: MicroOps, rows: Ints, order: str, nodes: int) -> tuple[Edges, int]:
    """The edges of an order, and how many virtual nodes they take after ``nodes``."""
    if order == "realtime":
        return realtime_edges(ops, rows, nodes)
    return (process_edges(ops, rows) if order == "process" else joined(())), 0


def _small(ops: MicroOps, found: Edges, labels: Ints, keep: Flags) -> _Small:
    use = keep[found.source] & (labels[found.source] == labels[found.target])
    new = np.cumsum(keep, dtype=np.int32) - np.int32(1)
    inner = found.where(use)
    renamed = Edges(new[inner.source], new[inner.target], inner.kind, inner.key)
    return _Small(ops, np.flatnonzero(keep[: len(ops)]).astype(np.int32), int(keep.sum()), renamed)


def _search(small: _Small, upto: str, deadline_s: float) -> Iterator[Cycle]:
    known: dict[tuple[str, str], Flags] = {}
    none = np.zeros(small.edges.size, bool)
    for at, order in enumerate(ORDERS[: ORDERS.index(upto) + 1]):
        old, virtual = _ordered(small.ops, small.txn, order, len(small.ops))
        by_order = _renamed(small, old)
        nodes = small.nodes + virtual
        for below, (name, kinds) in zip(("", *CLASSES), CLASSES.items(), strict=False):
            use = np.isin(small.edges.kind, (*kinds, PASS))
            every = joined((small.edges.where(use), by_order))
            labels = (
                _product(every, nodes) if name == "SI" else np.repeat(components(every.source, every.target, nodes), 2)
            )
            inner = _inner(small.edges, labels) & use & (small.edges.kind != PASS)
            known[name, order] = inner
            new = (
                inner & ~known.get((below, order), none) & ~known.get((name, ORDERS[at - 1]) if at else ("", ""), none)
            )
            if new.any():
                walker = Walker(every, nodes, labels)
                yield from _examples(small, walker, name, order, np.flatnonzero(new), deadline_s)


def _renamed(small: _Small, old: Edges) -> Edges:
    """Edges of an order from transactions' rows and virtual nodes after them to the numbers used here."""
    new = np.full(len(small.ops), -1, np.int32)
    new[small.txn] = np.arange(len(small.txn))

    def name(node: Ints) -> Ints:
        real = node < len(small.ops)
        return np.where(real, new[np.where(real, node, 0)], node - len(small.ops) + small.nodes).astype(np.int32)

    return Edges(name(old.source), name(old.target), old.kind, old.key)


def _product(every: Edges, nodes: int) -> Ints:
    """Components of the walks in which no RW follows another: node ``2 i + 1`` is ``i``, just reached by RW."""
    misses, passes = every.kind == RW, every.kind == PASS
    source, target = 2 * every.source, 2 * every.target
    return components(
        np.concatenate((source, source[~misses] + 1)),
        np.concatenate((target + misses, target[~misses] + passes[~misses])),
        2 * nodes,
    )


def _inner(found: Edges, labels: Ints) -> Flags:
    """Which edges lie on a closed walk."""
    source, target = labels[2 * found.source], labels[2 * found.target + (found.kind == RW)]
    return (source == target) | ((found.kind != RW) & (labels[2 * found.source + 1] == target))  # type: ignore[no-any-return]


def _examples(small: _Small, walker: Walker, name: str, order: str, new: Numbers, deadline_s: float) -> Iterator[Cycle]:
    """The shortest cycle found in each of the first components that have one."""
    component = walker.labels[2 * small.edges.target[new] + (small.edges.kind[new] == RW)]
    for number in np.unique(component)[:COMPONENTS]:
        tries = _promising(small, new[component == number])
        best: Cycle | None = None
        for mode in (SINGLE, NONADJACENT) if name == "SI" else (ANY,):
            for at in tries[:TRIES].tolist():
                late = time.monotonic() > deadline_s
                if (late and mode == SINGLE) or (best is not None and (late or len(best.steps) == 2)):
                    break
                way = walker.around(Step(*(int(column[at]) for column in small.edges)), mode)
                cycle = _cycle(small, way) if way else None
                if cycle and (best is None or len(cycle.steps) < len(best.steps)):
                    best = cycle
            if best is not None:
                break
        if best is not None:
            yield best


def _promising(small: _Small, candidates: Numbers) -> Numbers:
    """Edges in the order of hope: first what time contradicts at once, then what lies close together."""
    ops = small.ops
    last = len(small.txn) - 1
    source, target = (
        small.txn[np.minimum(small.edges.source[candidates], last)],
        small.txn[np.minimum(small.edges.target[candidates], last)],
    )
    ahead = ops.end[target] < ops.start[source]
    return candidates[np.lexsort((np.abs(ops.start[source] - ops.start[target]), ~ahead))]


def _cycle(small: _Small, way: Sequence[Step]) -> Cycle:
    """The cycle behind a closed walk: virtual nodes left out, hops of one order joined, no transaction met twice."""
    steps: list[Step] = []
    for step in way:  # the first one begins at a transaction
        if step.source >= len(small.txn):
            steps[-1] = steps[-1]._replace(target=step.target)
        else:
            steps.append(step)
    named = [step._replace(source=int(small.txn[step.source]), target=int(small.txn[step.target])) for step in steps]
    simple = min(_loops(named), key=lambda loop: (_rank(_name(small.ops, loop)), len(loop)))
    simple = _without_idle_hops(simple)
    least = min(range(len(simple)), key=lambda i: simple[i].source)
    simple = simple[least:] + simple[:least]
    return Cycle(_name(small.ops, simple), tuple(simple))


def _loops(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """The walk cut where it meets a transaction again."""
    open_: list[Step] = []
    for step in steps:
        at = next((i for i, before in enumerate(open_) if before.source == step.source), None)
        if at is not None:
            yield open_[at:]
            del open_[at:]
        open_.append(step)
    yield open_


def _without_idle_hops(steps: list[Step]) -> list[Step]:
    """Two hops of one order that follow each other are one."""
    turn = next((i for i, step in enumerate(steps) if step.kind not in (PROCESS, REALTIME)), 0)
    kept: list[Step] = []
    for step in steps[turn:] + steps[:turn]:
        if kept and step.kind == kept[-1].kind and step.kind in (PROCESS, REALTIME):
            kept[-1] = kept[-1]._replace(target=step.target)
        else:
            kept.append(step)
    return kept


def _name(ops: MicroOps, steps: Sequence[Step]) -> str:
    kinds = [step.kind for step in steps]
    misses = kinds.count(RW)
    if misses == 0:
        name = "G1c" if WR in kinds else "G0"
    elif misses == 1:
        name = "G-single"
    else:
        adjacent = any(kind == RW and kinds[i - 1] == RW for i, kind in enumerate(kinds))
        name = "G2-item" if adjacent else "G-nonadjacent"
    hops = [step for step in steps if step.kind in (PROCESS, REALTIME)]
    if any(step.kind == REALTIME and ops.process[step.source] != ops.process[step.target] for step in hops):
        return f"{name}-realtime"
    return f"{name}-process" if hops else name


def _rank(name: str) -> tuple[int, int]:
    for order in ("process", "realtime"):
        if name.endswith(f"-{order}"):
            return ORDERS.index(order), SEVERITY.index(name.removesuffix(f"-{order}"))
    return 0, SEVERITY.index(name)
