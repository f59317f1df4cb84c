"""slow_close: data passes, but the end of the stream comes ``delay`` ms late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.links.server.toxic import NS_PER_MS, Chunk, Spot, Toxic


@dataclass
class SlowClose(Toxic):
    """Holds the end of the stream for ``delay`` ms."""

    wire_name: ClassVar[str] = "SlowCloseToxic"

    delay: int = 0

    def hold_end_until(self, chunk: Chunk, spot: Spot) -> int:
        return chunk.at_ns + self.delay * NS_PER_MS


TOXIC = SlowClose
