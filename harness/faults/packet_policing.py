"""Every path passes 100 KB/s and loses the packets that are too many, as a provider's traffic policer does."""

from __future__ import annotations

from typing import Final

from harness.contracts import Fault, PacketsSeen
from harness.faults._packets import Disturbance

RATE_KBPS: Final = 100.0
_WIDE: Final = 10 * RATE_KBPS
"""A burst passes in the beginning of a measurement; beyond this rate nobody polices."""


def judge(seen: PacketsSeen) -> tuple[bool, bool, str]:
    """Bitten when a bulk transfer gets through, and not much faster than the limit."""
    return seen.kbps < _WIDE, seen.kbps > 0, f"passes {seen.kbps:.0f} KB/s"


FAULT: Fault = Disturbance("packet-policing", "police", RATE_KBPS, judge, bulk=True)
