"""One packet in four is overtaken by all that are sent in the next 30 ms, both ways."""

from __future__ import annotations

from typing import Final

from harness.contracts import Fault, PacketsSeen
from harness.faults._packets import ENOUGH_SENT, Disturbance, share_of

SHARE: Final = 0.25


def judge(seen: PacketsSeen) -> tuple[bool, bool, str]:
    """Bitten when TCP saw segments come out of turn: more than a lost one can explain, which makes a handful of later
    ones come early. A busy machine sends them so far apart that few can overtake."""
    early = share_of(seen.early, seen)
    return early > SHARE / 10, seen.sent >= ENOUGH_SENT, f"{seen.early} of {seen.sent} segments came out of turn"


FAULT: Fault = Disturbance("packet-reordering", "reorder", SHARE, judge)
