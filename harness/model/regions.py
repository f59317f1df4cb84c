"""The words of a store over several regions: what scenarios note, and what regions tell of their failovers.

Data is read and written as with any store; an operation's value is a dict with what the store has to know beside the
value itself (``harness/workloads/_regions.py``). Events are those of a coordinator: a region is ``marked`` unhealthy,
another one ``promoted``, requests ``routed`` to it, and the first one ``joined`` again.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

JUDGE: Final = "judge"
"""A scenario asks for a judgement: ``key`` is the guarantee, ``value`` a :class:`Judge` as data."""
SUBJECT: Final = "subject"
"""What a scenario runs against: ``value`` is the configuration as the target tells it, with the times in seconds."""

MARKED, PROMOTED, ROUTED, JOINED, MISSED = "marked", "promoted", "routed", "joined", "missed"
READS: Final = frozenset({"read", "members"})
WRITES: Final = frozenset({"write", "cas", "add", "remove"})


class Judge(msgspec.Struct, frozen=True, kw_only=True):
    """A judgement by ``by`` (a name of ``harness.checkers.regions.judges``) of all operations on keys that begin with
    ``prefix``. With ``sessions`` a session is one client, wherever it asked."""

    by: str
    prefix: str = ""
    sessions: bool = False
    options: dict[str, Any] = {}


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that regions agreed on, or that one region saw (``local``). ``index`` orders what was agreed on, in all
    regions alike; ``time_ns`` is the run's time by the clock of whoever decided."""

    kind: str
    index: int
    time_ns: int
    region: str = ""
    epoch: int = 0
    local: bool = False
    by: str = ""
    misses: int = 0
    former: str = ""
    role: str = ""
    job: str = ""
    key: str = ""
    values: list[Any] = []
