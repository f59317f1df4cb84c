"""One packet in eight arrives with a wrong bit, both ways: checksums notice it, and TCP sends it again."""

from __future__ import annotations

from typing import Final

from harness.contracts import Fault, PacketsSeen
from harness.faults._packets import ENOUGH_SENT, Disturbance, share_of

SHARE: Final = 0.125


def judge(seen: PacketsSeen) -> tuple[bool, bool, str]:
    """Bitten when segments are sent again as often as they should be, and wrong checksums say why."""
    bitten = share_of(seen.resent, seen) > SHARE / 3 and seen.spoiled > 0
    words = f"sent {seen.resent} of {seen.sent} segments again, {seen.spoiled} wrong checksums"
    return bitten, seen.sent >= ENOUGH_SENT, words


FAULT: Fault = Disturbance("packet-corruption", "corrupt", SHARE, judge)
