"""Two reads that saw two writes in opposite orders: one has x and not y, the other y and not x.

Sovran et al., "Transactional storage for geo-replicated systems", 2011 (long fork, allowed by parallel snapshot
isolation and by nothing stronger). The history has Jepsen's long-fork form: the value of an operation is a list of
micro-operations ``["w", key, value]`` and ``["r", key, value]``, in reads the answered one; each key is written once.
Reads of the same keys are compared with each other: by what they have seen they must form a chain.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from harness.checkers.findings import Finding, verdict_of
from harness.checkers.wording import client, count
from harness.kernels.models import freeze
from harness.model.history import History, Operation
from harness.model.op import FAIL, OK
from harness.model.verdict import Verdict


@dataclass(frozen=True)
class LongFork:
    """Unknown when no two reads of the same two or more keys were answered, or when a key was written twice."""

    name: str = "long-fork"

    def check(self, history: History) -> Verdict:
        groups: dict[frozenset[Hashable], list[tuple[frozenset[Hashable], Operation]]] = {}
        written: dict[Hashable, int] = {}
        for op in history.operations:
            read, seen = set(), set()
            for verb, key, value in _steps(op):
                if verb == "w":
                    written[freeze(key)] = written.get(freeze(key), 0) + (op.type != FAIL)
                elif op.type == OK:
                    read.add(freeze(key))
                    seen |= {freeze(key)} if value is not None else set()
            if len(read) > 1:
                groups.setdefault(frozenset(read), []).append((frozenset(seen), op))
        twice = {key for key, times in written.items() if times > 1}
        usable = {keys: reads for keys, reads in groups.items() if not keys & twice}
        compared = sum(len(reads) for reads in usable.values() if len(reads) > 1)
        unseen = all(not seen for reads in usable.values() for seen, _ in reads)
        cause = "no two reads of the same keys were answered" if not compared else ""
        cause = cause or ("no read saw any write" if unseen else "")
        cause = cause or (f"{count(len(twice), 'key')} were written more than once" if twice else "")
        return verdict_of(
            self.name,
            (finding for reads in usable.values() for finding in _forks(reads)),
            held=f"{count(compared, 'read')} agree on the order of the writes",
            cause=cause,
            details={"reads": compared, "groups": len(usable)},
            faults=history.faults,
        )


def _steps(op: Operation) -> Iterator[tuple[str, Any, Any]]:
    steps = op.result if op.type == OK and op.result is not None else op.value
    for step in steps if isinstance(steps, list | tuple) else ():
        if isinstance(step, list | tuple) and len(step) == 3 and step[0] in ("r", "w"):
            yield step[0], step[1], step[2]


def _forks(reads: list[tuple[frozenset[Hashable], Operation]]) -> Iterator[Finding]:
    """Sorted by size, sets form a chain exactly when each contains the one before it."""
    for (less, first), (more, then) in pairwise(sorted(reads, key=lambda pair: len(pair[0]))):
        if not less <= more:
            only_first, only_then = min(less - more, key=repr), min(more - less, key=repr)
            says = f"{client(first)} saw the write of key {only_first} and not that of {only_then}, "
            last = max(first, then, key=lambda op: op.end_index)
            yield Finding("long-fork", f"{says}{client(then)} saw it the other way round", last, (first, then))
