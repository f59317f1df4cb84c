"""A counter: ``add`` (value n, also negative) and ``read``. No read may be below or above what the adds allow.

The bounds of Jepsen's counter checker: a read answers at least the sum of the adds that were acknowledged before it
began, and at most the sum of those that were begun before it ended; negative adds count the other way round. Failed
adds count nothing, indeterminate ones may count or not. When nothing is ever subtracted, a read must also not be
below an earlier one (``went-back``). The bounds are necessary for linearizability and not sufficient.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from harness.checkers.findings import Finding, verdict_of
from harness.checkers.wording import client, count, thing
from harness.model.history import History, Operation
from harness.model.op import FAIL, OK
from harness.model.verdict import Verdict

SHOWN: Final = 8
"""Up to so many adds are shown with a read that contradicts them."""


class _Sum:
    """The sum of what had happened before an event."""

    def __init__(self, changes: Sequence[tuple[int, int]]) -> None:
        ordered = sorted(changes)
        self._when = [when for when, _ in ordered]
        self._sums = [0, *accumulate(by for _, by in ordered)]

    def before(self, index: int) -> int:
        return self._sums[bisect_left(self._when, index)]


@dataclass(frozen=True)
class Counter:
    """Judges each key's counter, which begins at ``initial``. Unknown when nothing was read or nothing added."""

    initial: int = 0
    name: str = "counter"

    def check(self, history: History) -> Verdict:
        findings: list[Finding] = []
        reads = adds = 0
        for operations in history.by_key().values():
            changes = [op for op in operations if op.f == "add" and op.type != FAIL]
            answers = [op for op in operations if op.f == "read" and op.type == OK and op.result is not None]
            findings += _bad_reads(changes, answers, self.initial)
            reads, adds = reads + len(answers), adds + sum(op.type == OK for op in changes)
        cause = "no read was answered" if not reads else "no add was acknowledged" if not adds else ""
        held = f"{count(reads, 'read')} are within the bounds of {count(adds, 'acknowledged add')}"
        details = {"reads": reads, "added": adds}
        return verdict_of(self.name, findings, held=held, cause=cause, details=details, faults=history.faults)


def _bad_reads(adds: Sequence[Operation], reads: Sequence[Operation], initial: int) -> Iterator[Finding]:
    sure_up = _Sum([(op.end_index, op.value) for op in adds if op.value > 0 and op.type == OK])
    sure_down = _Sum([(op.end_index, op.value) for op in adds if op.value < 0 and op.type == OK])
    maybe_up = _Sum([(op.start_index, op.value) for op in adds if op.value > 0])
    maybe_down = _Sum([(op.start_index, op.value) for op in adds if op.value < 0])
    for read in reads:
        least = initial + sure_up.before(read.start_index) + maybe_down.before(read.end_index)
        most = initial + maybe_up.before(read.end_index) + sure_down.before(read.start_index)
        if not least <= read.result <= most:
            kind = "too-low" if read.result < least else "too-high"
            bounds = f"at least {least:,}" if kind == "too-low" else f"at most {most:,}"
            earlier = tuple(op for op in adds if op.start_index < read.end_index)
            says = f"{client(read)} read {_of(read)}, but the adds until then make {bounds}"
            yield Finding(kind, says, read, earlier if len(earlier) <= SHOWN else ())
    if all(op.value >= 0 for op in adds):
        yield from _went_back(reads)


def _went_back(reads: Sequence[Operation]) -> Iterator[Finding]:
    """Reads below one that ended before they began."""
    ended = sorted(reads, key=lambda op: op.end_index)
    at, highest = 0, None
    for read in reads:
        while ended[at].end_index < read.start_index:
            highest = ended[at] if highest is None or ended[at].result > highest.result else highest
            at += 1
        if highest is not None and read.result < highest.result:
            says = f"{client(read)} read {_of(read)} after {client(highest)} had read {highest.result:,}"
            yield Finding("went-back", f"{says}, and nothing was subtracted", read, (highest,))


def _of(read: Operation) -> str:
    return thing(read.result) + ("" if read.key is None else f" of key {read.key}")
