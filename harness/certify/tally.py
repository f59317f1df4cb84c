"""What was counted: per family and kind of evidence, and in it per part (a question, an anomaly, a law, a system)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from harness.model.op import Op

KEPT: Final = 5
"""So many disagreements of a row are kept, the smallest first; all are counted."""
NOTHING: Final = 1_000_000
"""Where a disagreement without events stands among those with so many."""


@dataclass(frozen=True)
class Disagreement:
    """A history on which a checker was wrong. ``number`` and the seed make it again; ``replay`` are options for
    ``rift check``."""

    family: str
    evidence: str
    part: str
    number: int
    says: str
    events: Sequence[Op] = ()
    replay: str = ""


def in_turns(found: Iterable[Disagreement]) -> list[Disagreement]:
    """The smallest first, whoever found it first; and one of each part before a second one of any."""
    ranked = sorted(found, key=lambda each: (len(each.events) or NOTHING, each.number, each.part))
    seen = Counter[tuple[str, str, str]]()
    turns = []
    for each in ranked:
        part = (each.family, each.evidence, each.part)
        turns.append((seen[part], each))
        seen[part] += 1
    return [each for _, each in sorted(turns, key=lambda turn: turn[0])]


@dataclass
class Tally:
    """``parts[name]`` counts what happened there: ``holds``, ``broken`` and ``open`` are the right answers,
    ``unknown`` and ``missed`` those that the checker did not give, ``wrong`` those that it gave wrongly."""

    family: str
    evidence: str
    histories: int = 0
    invalid: int = 0
    seconds: float = 0.0
    parts: dict[str, Counter[str]] = field(default_factory=dict)
    disagreements: list[Disagreement] = field(default_factory=list)

    def part(self, name: str) -> Counter[str]:
        """The counts of one part."""
        return self.parts.setdefault(name, Counter())

    def total(self, what: str) -> int:
        """One count over all parts."""
        return sum(counts[what] for counts in self.parts.values())

    def wrong(self, found: Disagreement) -> None:
        """Count a disagreement."""
        self.part(found.part)["wrong"] += 1
        self.disagreements = in_turns([*self.disagreements, found])[:KEPT]

    def add(self, other: Tally) -> None:
        """Count what another process counted."""
        self.histories += other.histories
        self.invalid += other.invalid
        self.seconds += other.seconds
        for name, counts in other.parts.items():
            self.part(name).update(counts)
        self.disagreements = in_turns([*self.disagreements, *other.disagreements])[:KEPT]

    def as_data(self) -> dict[str, Any]:
        """For machines."""
        return {
            "family": self.family,
            "evidence": self.evidence,
            "histories": self.histories,
            "invalid": self.invalid,
            "unknown": self.total("unknown"),
            "missed": self.total("missed"),
            "disagreements": self.total("wrong"),
            "seconds": round(self.seconds, 2),
            "parts": {name: dict(counts) for name, counts in self.parts.items()},
        }
