"""The words of a rollout in waves, as deployment tools speak of it: what a release plan asks for, and a log of events.

A wave is a set of regions that may be deployed to together; the next one begins when it is done and has baked. Times
are nanoseconds, whatever their zero is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from harness.model.columns import Bytes, Flags, Ints, Longs
from harness.model.rollout import (
    BLOCKED,
    CANCELLED,
    FAILED,
    INITIALIZING,
    PAUSED,
    PENDING,
    RUNNING,
    STATUSES,
    SUCCESSFUL,
    UNBLOCKING,
)

ROLLED_BACK, ALARM, CLEARED = "rolled-back", "alarm", "alarm-cleared"
EVENTS: Final = (*STATUSES, ROLLED_BACK, ALARM, CLEARED)
"""Every event; its code is its place."""
WORDS: Final[dict[str, str]] = {
    **{event: event for event in EVENTS},
    "accepted": PENDING,
    "started": RUNNING,
    "succeeded": SUCCESSFUL,
    "completed": SUCCESSFUL,
    "canceled": CANCELLED,
}
"""What a log may say, and what it means."""
HALT, CONTINUE = "halt", "continue"
LAST_GOOD, ANY_GOOD, ANYTHING = "last-good", "any-good", "anything"


@dataclass(frozen=True, kw_only=True)
class WavePlan:
    """What is asked of every rollout. Durations are nanoseconds; None and 0 ask for nothing.

    ``waves`` lists regions; ``versions`` their order of release, the oldest first (empty: as they first started);
    ``initial`` is what ran everywhere before the log begins. ``bake_ns`` is one wait after each wave but the last.
    ``never_below`` maps a version to the oldest one that is safe beside it.
    """

    waves: tuple[tuple[str, ...], ...]
    versions: tuple[str, ...] = ()
    initial: str = ""
    max_parallel: int = 0
    bake_ns: tuple[int, ...] = ()
    max_version_skew: int | None = None
    halt_on_alarm: bool = False
    halt_within_ns: int = 0
    on_failure: str = ""
    rollback_to: str = ANYTHING
    rollback_within_ns: int | None = None
    never_below: Mapping[str, str] = field(default_factory=dict)
    accept_first: bool = False
    in_order: bool = False
    wait_for_last: bool = False
    deadline_ns: int | None = None
    clock_skew_ns: int = 0

    @property
    def regions(self) -> tuple[str, ...]:
        """All regions, wave by wave."""
        return tuple(region for wave in self.waves for region in wave)

    @property
    def wave_of(self) -> Ints:
        """The wave of each region of ``regions``, from 0."""
        return np.repeat(np.arange(len(self.waves), dtype=np.int32), [len(wave) for wave in self.waves])


@dataclass(frozen=True, kw_only=True)
class WaveLog:
    """Events as columns, in the order of the file. ``version`` is the rank of release, ``region`` the position in the
    plan (both -1 where the event has none), ``left`` the version that a rollback says it leaves (-1: not said).
    ``line`` is the line in the file, from 1. ``calendar`` says that times count from 1970. ``gap`` marks events before
    which others may be missing; None: nothing is."""

    service: Ints
    version: Ints
    left: Ints
    region: Ints
    event: Bytes
    alarm: Ints
    time_ns: Longs
    line: Longs
    services: tuple[str, ...]
    versions: tuple[str, ...]
    regions: tuple[str, ...]
    alarms: tuple[str, ...]
    calendar: bool = True
    gap: Flags | None = None

    def __len__(self) -> int:
        return len(self.event)


__all__ = [
    "ALARM", "ANYTHING", "ANY_GOOD", "BLOCKED", "CANCELLED", "CLEARED", "CONTINUE", "EVENTS", "FAILED", "HALT",
    "INITIALIZING", "LAST_GOOD", "PAUSED", "PENDING", "ROLLED_BACK", "RUNNING", "SUCCESSFUL", "UNBLOCKING", "WORDS",
    "WaveLog", "WavePlan",
]  # fmt: skip
