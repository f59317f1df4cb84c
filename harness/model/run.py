"""A run as it lies in the store: what renderers and later checks read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from harness.model.history import FaultWindow, History
from harness.model.plan import Plan
from harness.model.verdict import Valid, Verdict, overall


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One execution with everything it left.

    ``ledger`` holds the fault ledger's entries as written. ``measurements`` holds what the harness
    measured of itself and its links, e.g. ``scheduler_lag_ms`` (``p50``, ``p99``, ``max``),
    ``links`` (per ordered pair ``rtt_ms``, ``preset_ms``), ``link_bytes``. ``state`` is ``finished``,
    ``interrupted``, ``failed`` or ``torn`` (the harness was killed). ``problem`` is the error of a failed run.
    """

    folder: Path
    plan: Plan
    history: History
    verdicts: tuple[Verdict, ...] = ()
    ledger: tuple[dict[str, Any], ...] = ()
    measurements: dict[str, Any] = msgspec.field(default_factory=dict)
    state: str = "finished"
    problem: str = ""

    @property
    def valid(self) -> Valid:
        return overall(self.verdicts)


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict on a history that belongs to no run, for a page about it.

    ``name`` is the file, ``options`` are the model's as they were given, ``command`` judges it again.
    """

    name: str
    model: str
    format: str
    operations: int
    acknowledged: int
    verdict: Verdict
    note: str = ""
    options: dict[str, str] = msgspec.field(default_factory=dict)
    command: str = ""
    faults: tuple[FaultWindow, ...] = ()
    rift_version: str = ""
