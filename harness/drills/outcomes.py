"""How drills ended: each one, and all of them as data for machines."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from harness.drills.figures import distribution
from harness.drills.planned import Asked
from harness.errors import RiftError
from harness.model.claims import Objectives
from harness.model.verdict import Valid, worst

SCHEMA: Final = 1


@dataclass(frozen=True)
class Drilled:
    """One drill's outcome: ``valid`` and its run's folder, and the ``problem`` that ended it early; ``measured`` is
    flat."""

    seed: int
    valid: Valid
    folder: str
    replay: str
    measured: dict[str, Any]
    problem: str = ""


@dataclass(frozen=True)
class Drills:
    """All of them. ``page`` is where they are summed up, ``objectives`` what they were judged by."""

    asked: Asked
    drills: tuple[Drilled, ...]
    page: Path | None = None
    objectives: Objectives = field(default_factory=Objectives)

    @property
    def exit_code(self) -> int:
        valid = worst(drilled.valid for drilled in self.drills)
        if valid is not Valid.FALSE and any(drilled.problem for drilled in self.drills):
            return RiftError.exit_code
        return valid.exit_code

    def as_data(self) -> dict[str, Any]:
        """For machines; fields are only ever added."""
        return {
            "schema": SCHEMA,
            "valid": _OUTCOME[worst(drilled.valid for drilled in self.drills)],
            "target": self.asked.target,
            "options": self.asked.options,
            "fault": self.asked.fault,
            "topology": self.asked.topology,
            "testbed": self.asked.testbed,
            "asked": self.asked.repeat,
            "objectives": msgspec.to_builtins(self.objectives),
            "page": str(self.page) if self.page else None,
            "drills": [self._row(drilled) for drilled in self.drills],
            "distribution": distribution([drilled.measured for drilled in self.drills]),
        }

    def _row(self, drilled: Drilled) -> dict[str, Any]:
        report = None
        if drilled.folder and self.page:
            report = os.path.relpath(Path(drilled.folder) / "report.html", self.page.parent)
        return {
            "seed": drilled.seed,
            "valid": _OUTCOME[drilled.valid],
            "folder": drilled.folder,
            "report": report,
            "replay": drilled.replay,
            "problem": drilled.problem,
            **drilled.measured,
        }


_OUTCOME: Final = {Valid.TRUE: True, Valid.FALSE: False, Valid.UNKNOWN: "unknown"}
