"""One packet in four arrives twice, both ways."""

from __future__ import annotations

from typing import Final

from harness.contracts import Fault, PacketsSeen
from harness.faults._packets import ENOUGH_SENT, Disturbance, share_of

SHARE: Final = 0.25


def judge(seen: PacketsSeen) -> tuple[bool, bool, str]:
    """Bitten when the other side says often enough that a segment came twice, and it is not because they were sent
    twice."""
    twice = share_of(seen.twice - seen.resent, seen)
    return twice > SHARE / 5, seen.sent >= ENOUGH_SENT, f"{seen.twice} of {seen.sent} segments came twice"


FAULT: Fault = Disturbance("packet-duplication", "duplicate", SHARE, judge)
