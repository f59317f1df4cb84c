"""Paths and what is seen on them. This file uses nothing but Python itself: it also goes where only a Python is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Address:
    """Where something listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class LinkProbe:
    """What a probe saw on a link: ``state`` is ``open`` (data came back), ``refused``, ``reset``, ``silent`` (no
    byte within the limit) or ``closed`` (ended politely before any byte). ``rtt_ms`` is the answer's time."""

    state: str
    rtt_ms: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class PacketsSeen:
    """What TCP noticed on short-lived connections over the measuring link of a pair of regions.

    ``sent`` data segments from the source; of them ``resent`` again, and ``twice`` so many arrived that the other side
    said so. ``early`` segments came before one that was sent earlier, or were acknowledged so. ``spoiled`` had a wrong
    checksum, on all links together. ``kbps`` is the bulk rate in KB/s, 0 when it was not asked for.
    """

    sent: int = 0
    resent: int = 0
    twice: int = 0
    early: int = 0
    spoiled: int = 0
    kbps: float = 0.0
