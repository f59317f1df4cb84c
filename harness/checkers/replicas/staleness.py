"""How old are the values that reads return? Bounded in time and in versions.

Time: a read may return a value that was replaced at most ``max_ms`` before the read began (Golab, Li and Shah,
"Analyzing consistency properties for fun and profit", PODC 2011). Versions: at most ``max_versions`` newer ones
existed then (k-atomicity: Aiyer, Alvisi and Bazzi, "On the availability of non-strict quorum systems", 2005).

Both are lower bounds, from real time alone: a value was certainly replaced when another write began after it was
known to be there and was itself known to be there before the read began; known by its acknowledgement or by a read of
it. So no read is called older than it is. Assumes that writes take effect in real time, and unique values per key.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from harness.checkers.findings import Finding, verdict_of
from harness.checkers.replicas.versions import INITIAL, UNKNOWN, Access, accesses, needed, written
from harness.checkers.settled import has_clock
from harness.checkers.wording import client, count, span, thing
from harness.model.clock import NS_PER_MS
from harness.model.history import NEVER_NS, History, Operation
from harness.model.op import OK
from harness.model.verdict import Verdict


class _Age(NamedTuple):
    """How old a read was at least; ``by`` is the write that first replaced what ``source`` had written."""

    read: Operation
    age_ns: int
    versions: int
    by: Operation
    source: Operation | None = None


class _Known(NamedTuple):
    """A write, and the first event and time at which it was certainly there."""

    write: Operation
    since: int
    since_ns: int


@dataclass(frozen=True)
class Staleness:
    """Judges registers that begin with ``initial``. Without any bound it reports the age of the stalest read and judges
    nothing."""

    max_ms: float | None = None
    max_versions: int | None = None
    initial: Any = None
    name: str = "staleness"

    def check(self, history: History) -> Verdict:
        found = accesses(history, self.initial)
        ages = list(_ages(found.all))
        stalest = max((age.age_ns for age in ages), default=0)
        behind = max((age.versions for age in ages), default=0)
        clock = has_clock(history.operations)
        details = {
            "reads": found.reads, "stale_reads": len(ages),
            "max_ms": round(stalest / NS_PER_MS, 3) if clock else None, "max_versions": behind,
        }  # fmt: skip
        findings = [*found.thin_air, *(finding for age in ages for finding in self._too_old(age))]
        cause = found.cause or (
            "the operations have no times, so max_ms cannot be judged" if self.max_ms is not None and not clock else ""
        )
        held = f"{len(ages):,} of {count(found.reads, 'read')} were stale, by at most "
        held += f"{span(stalest)} and {count(behind, 'version')}" if clock else count(behind, "version")
        verdict = verdict_of(self.name, findings, held=held, cause=cause, details=details, faults=history.faults)
        judged = self.max_ms is not None or self.max_versions is not None or bool(found.thin_air)
        return verdict if judged else msgspec.structs.replace(verdict, judged=False)

    def _too_old(self, age: _Age) -> Iterator[Finding]:
        of = "" if age.read.key is None else f" of key {age.read.key}"
        told = f"{client(age.read)} read {thing(needed(age.read))}{of}"
        witnesses = (age.source, age.by) if age.source else (age.by,)
        if self.max_ms is not None and age.age_ns > self.max_ms * NS_PER_MS:
            says = f"{told}, {span(age.age_ns)} after it was replaced by {thing(written(age.by))}"
            yield Finding("too-old", f"{says}; allowed are {self.max_ms:g} ms", age.read, witnesses)
        if self.max_versions is not None and age.versions > self.max_versions:
            says = f"{told}, {count(age.versions, 'version')} behind; allowed are {self.max_versions}"
            yield Finding("too-far-behind", says, age.read, witnesses)


def _ages(every: Sequence[Access]) -> Iterator[_Age]:
    """The stale reads, key by key."""
    known = _known(every)
    keys: dict[Hashable, tuple[list[int], list[int]]] = {}
    for at, access in enumerate(every):
        reads, writes = keys.setdefault(access.key, ([], []))
        if access.writes:
            writes.append(at)
        if access.source != UNKNOWN and access.op.type == OK:
            reads.append(at)
    for reads, writes in keys.values():
        yield from _of_key(every, reads, [known[at] for at in writes], known)


def _known(every: Sequence[Access]) -> dict[int, _Known]:
    found = {
        at: _Known(access.op, access.op.end_index, access.op.end_ns) for at, access in enumerate(every) if access.writes
    }
    for access in every:
        if access.source >= 0 and access.op.end_index < found[access.source].since:
            found[access.source] = _Known(found[access.source].write, access.op.end_index, access.op.end_ns)
    return found


def _of_key(
    every: Sequence[Access], reads: Sequence[int], writes: Sequence[_Known], known: dict[int, _Known]
) -> Iterator[_Age]:
    """Reads from the one whose value was known last to the first, while writes that began later are collected."""

    def since(at: int) -> int:
        return known[every[at].source].since if every[at].source != INITIAL else -1

    left = sorted(writes, key=lambda each: each.write.start_index)
    later: list[int] = []
    first: _Known | None = None
    for at in sorted(reads, key=since, reverse=True):
        read = every[at].op
        while left and left[-1].write.start_index > since(at):
            each = left.pop()
            insort(later, each.since)
            first = each if first is None or each.since < first.since else first
        if first is not None and first.since < min(read.start_index, NEVER_NS):
            source = known[every[at].source].write if every[at].source != INITIAL else None
            yield _Age(read, read.start_ns - first.since_ns, bisect_left(later, read.start_index), first.write, source)
