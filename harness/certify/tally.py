"""What was counted: per family and kind of evidence, and in it per part (a question, an anomaly, a law, a system)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from harness.model.op import Op

KEPT: Final = 5
"""So many disagreements of a row are kept, the smallest first; all are counted."""


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


def _fewest(found: Sequence[Disagreement]) -> list[Disagreement]:
    """The smallest, whoever found them first."""
    return sorted(found, key=lambda each: (len(each.events), each.number, each.part))[:KEPT]


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
        self.disagreements = _fewest([*self.disagreements, found])

    def add(self, other: Tally) -> None:
        """Count what another process counted."""
        self.histories += other.histories
        self.invalid += other.invalid
        self.seconds += other.seconds
        for name, counts in other.parts.items():
            self.part(name).update(counts)
        self.disagreements = _fewest([*self.disagreements, *other.disagreements])

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
