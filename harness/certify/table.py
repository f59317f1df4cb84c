"""What ``rift certify`` prints: a table for people, an object for machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from harness.certify.campaign import Report
from harness.certify.tally import Disagreement, in_turns

SHOWN: Final = 3
"""So many disagreements are printed, the smallest first."""
LONGEST: Final = 60
"""A longer history is not printed; its seed and number make it again."""
HEAD: Final = ("family", "evidence", "histories", "invalid", "unknown", "missed", "wrong", "cpu s")


def as_text(report: Report) -> str:
    """The table, disagreements, gaps, and one sentence at the end."""
    lines = [*table(report), ""]
    for found in _smallest(report)[:SHOWN]:
        lines += [*_told(found, report.settings.seed), ""]
    lines += [f"not enough: {gap}" for gap in report.gaps] + [f"note: {note}" for note in report.notes]
    return "\n".join([*lines, *[""] * bool(report.gaps or report.notes), conclusion(report)])


def table(report: Report) -> Iterator[str]:
    """A line for each family and kind of evidence. ``unknown`` is what the checker left open although it can be
    decided, ``missed`` what it does not promise to find, or a weak system that looked strong, ``wrong``
    disagreements."""
    rows: list[tuple[str, ...]] = [HEAD]
    for row in report.rows:
        counts = (row.histories, row.invalid, row.total("unknown"), row.total("missed"), row.total("wrong"))
        rows.append((row.family, row.evidence, *(f"{number:,}" for number in counts), f"{row.seconds:.1f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for cells in rows:
        left = [cell.ljust(width) for cell, width in zip(cells[:2], widths, strict=False)]
        right = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
        yield "  ".join([*left, *right]).rstrip()


def conclusion(report: Report) -> str:
    """One sentence: the outcome."""
    size = f"{sum(row.histories for row in report.rows):,} histories, seed {report.settings.seed}"
    if report.disagreements:
        return f"WRONG: {report.disagreements:,} disagreements in {size}"
    if report.exit_code:
        return f"INCOMPLETE: no disagreement in {size}, but the evidence is not enough"
    return f"GREEN: no disagreement in {size}"


def _smallest(report: Report) -> list[Disagreement]:
    """Each once: made smaller, two may have become the same."""
    found = in_turns(each for row in report.rows for each in row.disagreements)
    return [each for at, each in enumerate(found) if not any(_same(each, other) for other in found[:at])]


def _same(one: Disagreement, other: Disagreement) -> bool:
    alike = (one.family, one.part) == (other.family, other.part)
    return alike and bool(one.events) and list(one.events) == list(other.events)


def _told(found: Disagreement, seed: int) -> Iterator[str]:
    yield f"WRONG  {found.family}, {found.evidence}, {found.part}: history {found.number} of seed {seed}"
    yield f"  {found.says}"
    if not found.events:
        return
    if len(found.events) > LONGEST:
        yield f"  it has {len(found.events):,} events, too many to print; --json has them"
        return
    how = f"and judge it: rift check history.jsonl {found.replay}" if found.replay else "(JSON lines)"
    yield f"  save it as history.jsonl {how}"
    yield from (msgspec.json.encode(op).decode() for op in found.events)


def as_data(report: Report) -> dict[str, Any]:
    """For machines; ``valid`` is true, false or "unknown"."""
    settings = report.settings
    return {
        "valid": {0: True, 1: False}.get(report.exit_code, "unknown"),
        "seed": settings.seed,
        "count": settings.count,
        "seconds": round(report.wall_s, 3),
        "rows": [row.as_data() for row in report.rows],
        "disagreements": [_as_data(found) for found in _smallest(report)],
        "gaps": report.gaps,
        "notes": report.notes,
    }


def _as_data(found: Disagreement) -> dict[str, Any]:
    told = {name: getattr(found, name) for name in ("family", "evidence", "part", "number", "says", "replay")}
    return told | {"events": list(found.events)}
