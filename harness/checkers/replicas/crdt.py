"""Replicated data types that merge without coordination: what they must answer once everything has come to rest.

Shapiro, Preguica, Baquero and Zawirski, "A comprehensive study of convergent and commutative replicated data types",
2011. Judged are *final* reads: those that began after the last update and the last heal, plus ``within_ms``. That
places agree with each other is for :mod:`harness.checkers.replicas.convergence` to say.

    PN-counter   ``add`` (n, also negative), ``read``: all acknowledged adds and any of the indeterminate ones
    G-set        ``add``, ``read`` or ``members``: all acknowledged elements, and none that nobody tried to add
    OR-set       the same with ``remove``; an add wins over a remove that did not observe it
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from harness.checkers.findings import Finding, verdict_of
from harness.checkers.settled import final_reads, place, rest
from harness.checkers.wording import client, count, thing
from harness.kernels.models import freeze
from harness.model.history import History, Operation
from harness.model.op import FAIL, INFO, OK
from harness.model.verdict import Verdict

READS: Final = ("read", "members")
LARGEST: Final = 1 << 20
"""Up to so large a sum of indeterminate adds the possible totals are enumerated; beyond, only bounded."""
SHOWN: Final = 8
"""Up to so many adds are shown with a total that contradicts them."""
Rule = Callable[[Sequence[Operation], Sequence[Operation]], Iterator[Finding]]


@dataclass(frozen=True)
class PnCounter:
    """Each final read of a counter is a sum that the adds allow, from ``initial`` on."""

    initial: int = 0
    within_ms: float = 0.0
    name: str = "pn-counter"

    def check(self, history: History) -> Verdict:
        return _verdict(self.name, history, ("add",), self.within_ms, partial(_total, self.initial))


@dataclass(frozen=True)
class GSet:
    """Each final read of a set that only grows has every acknowledged element and no other but tried ones."""

    within_ms: float = 0.0
    name: str = "g-set"

    def check(self, history: History) -> Verdict:
        return _verdict(self.name, history, ("add",), self.within_ms, _members)


@dataclass(frozen=True)
class OrSet:
    """As ``GSet``, with removes. An element must be there (else ``lost``) when some acknowledged add of it began after
    all its removes had ended; it must be gone (else ``resurrected``) when all its adds were acknowledged, and for each
    of them a remove by the same client at the same place began later and was acknowledged, too. Other elements may be
    there or not."""

    within_ms: float = 0.0
    name: str = "or-set"

    def check(self, history: History) -> Verdict:
        return _verdict(self.name, history, ("add", "remove"), self.within_ms, _members)


def _verdict(name: str, history: History, updates: tuple[str, ...], within_ms: float, rule: Rule) -> Verdict:
    settled = rest(history, updates, within_ms)
    findings: list[Finding] = []
    unread = reads = acknowledged = 0
    for operations in history.by_key().values():
        changes = [op for op in operations if op.f in updates]
        final = final_reads(operations, READS, settled)
        done = sum(op.type == OK for op in changes)
        unread, reads, acknowledged = unread + (not final and done > 0), reads + len(final), acknowledged + done
        findings += rule(changes, final)
    cause = settled.cause or ("" if acknowledged else "no update was acknowledged")
    cause = cause or (f"{count(unread, 'key')} had no read after everything had come to rest" if unread else "")
    return verdict_of(
        name,
        findings if not settled.cause else (),
        held=f"{count(reads, 'final read')} show what {count(acknowledged, 'update')} left",
        cause=cause,
        details={"final_reads": reads, "acknowledged": acknowledged},
        faults=history.faults,
    )


def _total(initial: int, adds: Sequence[Operation], reads: Sequence[Operation]) -> Iterator[Finding]:
    sure = initial + sum(op.value for op in adds if op.type == OK)
    unsure = [op.value for op in adds if op.type == INFO]
    least, most = sure + sum(by for by in unsure if by < 0), sure + sum(by for by in unsure if by > 0)
    bits = _reachable(unsure) if most - least <= LARGEST else -1
    shown = tuple(op for op in adds if op.type != FAIL) if len(adds) <= SHOWN else ()
    for read in reads:
        told = f"{client(read)} finally read {thing(read.result)}"
        if read.result is None or not least <= read.result <= most:
            allowed = f"{least:,}" if least == most else f"between {least:,} and {most:,}"
            yield Finding("wrong-total", f"{told}, but the adds make {allowed}", read, shown)
        elif not bits >> (read.result - least) & 1:
            yield Finding("wrong-total", f"{told}, which no choice of the indeterminate adds explains", read, shown)


def _reachable(unsure: Sequence[int]) -> int:
    """Bit n says whether some of the adds put the total n above its least."""
    bits = 1
    for by in unsure:
        bits |= bits << abs(by)
    return bits


@dataclass
class _Element:
    adds: list[Operation] = field(default_factory=list)
    removes: list[Operation] = field(default_factory=list)
    failed: list[Operation] = field(default_factory=list)


def _members(updates: Sequence[Operation], reads: Sequence[Operation]) -> Iterator[Finding]:
    elements: dict[Hashable, _Element] = {}
    for op in updates:
        each = elements.setdefault(freeze(op.value), _Element())
        (each.failed if op.type == FAIL else each.adds if op.f == "add" else each.removes).append(op)
    there = {value: add for value, each in elements.items() if (add := _must_be_there(each))}
    gone = {value: remove for value, each in elements.items() if (remove := _must_be_gone(each))}
    for read in reads:
        shown = {freeze(item): item for item in read.result or ()}
        for value in sorted(there.keys() - shown.keys(), key=repr):
            says = f"{client(read)} finally missed {thing(there[value].value)}, which {client(there[value])} had added"
            yield Finding("lost", says, read, (there[value],))
        for value in sorted(gone.keys() & shown.keys(), key=repr):
            says = (
                f"{client(read)} finally read {thing(shown[value])}, which {client(gone[value])} had added and removed"
            )
            yield Finding("resurrected", says, read, (elements[value].adds[-1], gone[value]))
        for value, item in shown.items():
            if value not in elements or not elements[value].adds:
                says = f"{client(read)} finally read {thing(item)}, which nobody had added"
                yield Finding("phantom", says, read, tuple(elements[value].failed[:1]) if value in elements else ())


def _must_be_there(element: _Element) -> Operation | None:
    """An acknowledged add that no remove can have observed."""
    removed = max((op.end_index for op in element.removes), default=-1)
    return next((op for op in element.adds if op.type == OK and op.start_index > removed), None)


def _must_be_gone(element: _Element) -> Operation | None:
    """The last of acknowledged removes that together observed every add, each by its own client at its own place."""
    if not element.adds or any(op.type != OK for op in element.adds):
        return None
    latest = {(op.process, place(op)): op for op in element.removes if op.type == OK}
    observers = [latest.get((op.process, place(op))) for op in element.adds]
    if any(by is None or by.start_index <= op.end_index for by, op in zip(observers, element.adds, strict=True)):
        return None
    return max((by for by in observers if by), key=lambda op: op.start_index)
