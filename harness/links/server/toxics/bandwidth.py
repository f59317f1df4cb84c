"""bandwidth: bytes pass at ``rate`` KB/s (1 KB is 1000 bytes). A rate of 0 jams the link; what waits arrives later."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from harness.links.server.toxic import NEVER_NS, NS_PER_MS, Chunk, Spot, Step, Toxic

_BURST_MS = 100
"""A slow link hands bytes on in portions of this much time."""
_CATCH_UP_NS = 5 * NS_PER_MS
"""Waking up late by less than this is made good, so that the average rate is right."""


@dataclass
class Bandwidth(Toxic):
    """At most ``rate`` KB/s."""

    wire_name: ClassVar[str] = "BandwidthToxic"

    rate: int = 0

    def treat(self, chunk: Chunk, data: bytes, spot: Spot) -> Iterator[Step]:
        if self.rate <= 0:
            yield NEVER_NS
        portion_bytes = self.rate * _BURST_MS
        free_ns = max(spot.clock_ns, chunk.at_ns, time.monotonic_ns() - _CATCH_UP_NS)
        for start in range(0, len(data), portion_bytes):
            portion = data[start : start + portion_bytes]
            free_ns += len(portion) * NS_PER_MS // self.rate
            yield free_ns
            yield portion


TOXIC = Bandwidth
