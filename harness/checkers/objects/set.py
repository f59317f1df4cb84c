"""Elements go in with ``add`` and come back with ``members``: none may get lost, come late, come twice or from nowhere.

An element that was acknowledged must be in every read that began after. If it was seen once, or not until later,
reads that miss it in between are *stale*; if no read that began after it was last known to be there shows it, it
is *lost*. An indeterminate add may appear or not, but once it was read it must stay.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.checkers.settled import final_reads, rest_of
from harness.checkers.wording import after, amid, client, count, during, thing
from harness.kernels.models import freeze
from harness.model.clock import NS_PER_MS
from harness.model.history import FaultWindow, History, Operation
from harness.model.op import FAIL, OK
from harness.model.verdict import Excerpt, Marked, Valid, Verdict

LISTED: Final = 100
"""So many elements of each kind are listed in the details."""
FAULTY: Final = ("lost", "unexpected", "duplicated", "stale")


@dataclass(frozen=True)
class _Finding:
    kind: str
    element: Any
    witness: Operation | None
    culprit: Operation
    last: Operation | None = None
    """The last read that missed a stale element."""


@dataclass(frozen=True)
class SetFull:
    """Judges each key's set. Unknown when nothing was added, or when no read began after every add had ended."""

    name: str = "set"

    def check(self, history: History) -> Verdict:
        findings: list[_Finding] = []
        never_read: list[Any] = []
        added = reads = 0
        unread_keys = []
        for key, operations in history.by_key().items():
            adds, seen = _split(operations)
            found, missing = _judged(adds, seen)
            findings, never_read = findings + found, never_read + missing
            added, reads = added + sum(op.type == OK for op in adds), reads + len(seen)
            unread_keys += [key] * (not _read_at_last(adds, seen))
        findings.sort(key=lambda finding: (FAULTY.index(finding.kind), finding.culprit.end_index))
        details: dict[str, Any] = {kind: _listed(f.element for f in findings if f.kind == kind) for kind in FAULTY}
        details |= {"never_read": _listed(never_read), "added": added, "reads": reads}
        details["stable_latency_ms"] = _stable_latency_ms(findings, added - len(never_read))
        size = f"{count(added, 'acknowledged element')}, {count(reads, 'read')}"
        if findings:
            numbers = [f"{len({freeze(f.element) for f in findings if f.kind == kind})} {kind}" for kind in FAULTY]
            numbers = [number for number in numbers if not number.startswith("0 ")]
            summary = f"{_title(findings[0], history.faults)} ({', '.join(numbers)}; {size})"
            excerpt = _excerpt(findings[0], history.faults)
            return Verdict(checker=self.name, valid=Valid.FALSE, summary=summary, details=details, excerpts=(excerpt,))
        if not added or unread_keys:
            cause = "nothing was acknowledged" if not added else "no read began after the last add had ended"
            return Verdict(checker=self.name, valid=Valid.UNKNOWN, summary=cause, cause=cause, details=details)
        return Verdict(checker=self.name, valid=Valid.TRUE, summary=f"nothing lost: {size}", details=details)


def _split(operations: Iterable[Operation]) -> tuple[list[Operation], list[Operation]]:
    """Adds, and reads that answered (by start)."""
    adds = [op for op in operations if op.f == "add"]
    return adds, [op for op in operations if op.f == "members" and op.type == OK]


def _read_at_last(adds: Sequence[Operation], reads: Sequence[Operation]) -> bool:
    """Whether some read began when every add was over, as far as anybody saw."""
    return not adds or bool(final_reads(reads, ("members",), rest_of(adds)))


def _judged(adds: Sequence[Operation], reads: Sequence[Operation]) -> tuple[list[_Finding], list[Any]]:
    """Findings on one set, and the acknowledged elements that no read could have shown."""
    contents = [[freeze(item) for item in read.result or ()] for read in reads]
    findings = []
    sightings: dict[Hashable, list[int]] = {}
    for position, items in enumerate(contents):
        for item in set(items):
            sightings.setdefault(item, []).append(position)
        if len(set(items)) < len(items):
            twice = Counter(items).most_common(1)[0][0]
            findings.append(_Finding("duplicated", twice, None, reads[position]))
    known: dict[Hashable, list[Operation]] = {}
    for add in adds:
        known.setdefault(freeze(add.value), []).append(add)
    findings += _unexpected(known, sightings, reads)
    never_read = []
    for element, tries in known.items():
        seen = sightings.get(element, [])
        findings += _missed(element, tries, seen, reads)
        if not seen and any(op.type == OK for op in tries):
            never_read.append(tries[0].value)
    return findings, never_read


def _unexpected(
    known: dict[Hashable, list[Operation]], sightings: dict[Hashable, list[int]], reads: Sequence[Operation]
) -> list[_Finding]:
    """Elements that nobody added, whose add had failed, or that were read before their add began."""
    found = []
    for element, seen in sightings.items():
        tries = [op for op in known.get(element, ()) if op.type != FAIL]
        born = min((op.start_index for op in tries), default=None)
        early = [reads[at] for at in seen if born is None or reads[at].end_index < born]
        if early:
            witness = next(iter(known.get(element, ())), None)
            found.append(_Finding("unexpected", element, witness, early[0]))
    return found


def _missed(
    element: Hashable, tries: Sequence[Operation], seen: Sequence[int], reads: Sequence[Operation]
) -> list[_Finding]:
    """The finding on an element that a read missed after it was known to be there: lost, or stale for a while."""
    proofs = [op for op in tries if op.type == OK] + [reads[at] for at in seen]
    if not proofs:
        return []
    first_proof = min(proofs, key=lambda op: op.end_index)
    after = bisect_right(reads, first_proof.end_index, key=lambda read: read.start_index)
    if len(reads) - after == len(seen) - bisect_left(seen, after):
        return []
    has = set(seen)
    missing = [reads[at] for at in range(after, len(reads)) if at not in has]
    last_seen = max((reads[at].end_index for at in seen), default=-1)
    gone = [read for read in missing if read.start_index > last_seen]
    if gone and gone[-1] is reads[-1]:
        witness = max((op for op in proofs if op.end_index < gone[0].start_index), key=lambda op: op.end_index)
        return [_Finding("lost", tries[0].value if tries else element, witness, gone[0])]
    return [_Finding("stale", tries[0].value if tries else element, first_proof, missing[0], missing[-1])]


def _stable_latency_ms(findings: Iterable[_Finding], seen: int) -> dict[str, float]:
    """How long after it was known to be there an element was last missed, by share of the ``seen`` elements that
    stayed; 0 for those that no read missed."""
    found = list(findings)
    late_ns = sorted(f.last.start_ns - f.witness.end_ns for f in found if f.last is not None and f.witness is not None)
    stayed = max(len(late_ns), seen - sum(finding.kind == "lost" for finding in found))
    ranks = {share: max(0, math.ceil(share * stayed) - 1) for share in (0.5, 0.95, 0.99, 1.0)}
    prompt = stayed - len(late_ns)
    return {
        f"{share:g}": round(late_ns[rank - prompt] / NS_PER_MS, 3) if rank >= prompt else 0.0
        for share, rank in ranks.items()
        if stayed
    }


def _listed(elements: Iterable[Any]) -> list[Any]:
    return list({freeze(element): element for element in elements}.values())[:LISTED]


def _title(finding: _Finding, faults: Iterable[FaultWindow]) -> str:
    read, witness = finding.culprit, finding.witness
    element = thing(finding.element)
    if finding.kind == "unexpected":
        why = "which nobody had added" if witness is None else f"whose add by client {witness.process} had not happened"
        told = f"{client(read)} read {element}, {why}"
    elif finding.kind == "duplicated" or witness is None:
        told = f"{client(read)} read {element} twice in one answer"
    else:
        deed = "add of it was acknowledged" if witness.f == "add" else "read had shown it"
        late = after(witness.end_ns, read.start_ns)
        told = (
            f"element {element} was {finding.kind}: {client(read)} missed it {late} client {witness.process}'s {deed}"
        )
    trouble = amid(faults, read.start_ns, read.end_ns)
    return f"{told}, {trouble}" if trouble else told


def _excerpt(finding: _Finding, faults: Iterable[FaultWindow]) -> Excerpt:
    pairs = [(finding.witness, "witness"), (finding.culprit, "culprit")]
    marked = tuple(Marked(operation=op, mark=mark, note=_note(op, finding.element)) for op, mark in pairs if op)
    ordered = tuple(sorted(marked, key=lambda item: item.operation.start_index))
    return Excerpt(
        title=_title(finding, faults),
        operations=ordered,
        steps=tuple(item.note for item in ordered),
        key=finding.culprit.key,
    )


def _note(op: Operation, element: Any) -> str:
    if op.f == "add":
        return f"{client(op)}: add {thing(op.value)} ({during(op)})"
    has = "with" if freeze(element) in map(freeze, op.result or ()) else "without"
    shown = f"{count(len(op.result or ()), 'member')} {has} {thing(element)}"
    return f"{client(op)}: read {shown} ({during(op)})"
