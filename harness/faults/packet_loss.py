"""One packet in eight is lost, both ways: TCP waits, sends again, and everything takes longer now and then."""

from __future__ import annotations

from typing import Final

from harness.contracts import Fault, PacketsSeen
from harness.faults._packets import ENOUGH_SENT, Disturbance, share_of

SHARE: Final = 0.125


def judge(seen: PacketsSeen) -> tuple[bool, bool, str]:
    """Bitten when a third of that was sent again: more than busy machines resend, less than chance can hide."""
    resent = share_of(seen.resent, seen)
    return resent > SHARE / 3, seen.sent >= ENOUGH_SENT, f"sent {seen.resent} of {seen.sent} segments again"


FAULT: Fault = Disturbance("packet-loss", "lose", SHARE, judge)
