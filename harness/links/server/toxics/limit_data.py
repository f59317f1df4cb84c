"""limit_data: the connection closes once ``bytes`` bytes have passed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from harness.links.server.toxic import Chunk, Mark, Spot, Step, Toxic


@dataclass
class LimitData(Toxic):
    """Passes ``limit_bytes`` bytes, then closes."""

    wire_name: ClassVar[str] = "LimitDataToxic"

    limit_bytes: int = field(default=0, metadata={"key": "bytes"})

    def treat(self, chunk: Chunk, data: bytes, spot: Spot) -> Iterator[Step]:
        left = max(0, self.limit_bytes - spot.passed_bytes)
        yield data[:left]
        if len(data) >= left:
            yield Mark.CLOSE


TOXIC = LimitData
