"""What a checker found, in one form, and the verdict that follows from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from harness.checkers.deeds import tell
from harness.checkers.wording import amid, count, thing
from harness.model.history import FaultWindow, Operation
from harness.model.verdict import Excerpt, Marked, Valid, Verdict

EXPLAINED: Final = 5
"""So many findings are explained, the earliest first."""


class Finding(NamedTuple):
    """One violation: its ``kind``, a sentence about it, the operation that shows it, and those that bear witness."""

    kind: str
    says: str
    culprit: Operation
    witnesses: tuple[Operation, ...] = ()


def verdict_of(
    name: str,
    findings: Iterable[Finding],
    *,
    held: str,
    cause: str = "",
    details: Mapping[str, Any] | None = None,
    faults: Sequence[FaultWindow] = (),
) -> Verdict:
    """False with any finding; else unknown when there is a ``cause``; else true, and ``held`` says what was seen."""
    found = sorted(findings, key=lambda finding: finding.culprit.end_index)
    counts = dict(sorted(Counter(finding.kind for finding in found).items()))
    told = {"anomalies": list(counts), "counts": counts, **(details or {})}
    if found:
        numbers = ", ".join(f"{number:,} {kind}" for kind, number in counts.items())
        excerpts = tuple(_excerpt(finding, faults) for finding in found[:EXPLAINED])
        summary = f"{excerpts[0].title} ({numbers})"
        return Verdict(checker=name, valid=Valid.FALSE, summary=summary, details=told, excerpts=excerpts)
    if cause:
        return Verdict(checker=name, valid=Valid.UNKNOWN, summary=cause, cause=cause, details=told)
    return Verdict(checker=name, valid=Valid.TRUE, summary=held, details=told)


def _excerpt(finding: Finding, faults: Sequence[FaultWindow]) -> Excerpt:
    culprit = finding.culprit
    trouble = amid(faults, culprit.start_ns, culprit.end_ns)
    pairs = [(op, "witness") for op in finding.witnesses if op is not culprit] + [(culprit, "culprit")]
    unique = {id(op): (op, mark) for op, mark in pairs}
    ordered = sorted(unique.values(), key=lambda pair: pair[0].start_index)
    marked = tuple(Marked(operation=op, mark=mark, note=tell(op)) for op, mark in ordered)
    title = f"{finding.says}, {trouble}" if trouble else finding.says
    return Excerpt(title=title, operations=marked, steps=tuple(item.note for item in marked), key=culprit.key)


def short(value: Any, most: int = 80) -> str:
    """A value in a sentence, cut where it is long."""
    text = thing(value)
    return text if len(text) <= most else f"{text[:most]}... ({count(len(text), 'character')})"
