"""timeout: data vanishes, and after ``timeout`` ms the connection closes; with 0 it stays open, silent.

The clock starts when the toxic takes effect on a connection. Removing the toxic closes the connections that it
silenced: bytes of them are missing, so nobody may go on using them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from harness.links.server.toxic import Chunk, Mark, Spot, Step, Toxic


@dataclass
class Timeout(Toxic):
    """Silence, then a close after ``timeout`` ms unless that is 0."""

    wire_name: ClassVar[str] = "TimeoutToxic"
    closes_when_removed: ClassVar[bool] = True

    timeout: int = 0

    def treat(self, chunk: Chunk, data: bytes, spot: Spot) -> Iterator[Step]:
        return iter(())

    def fuse(self) -> tuple[int, Mark] | None:
        return (self.timeout, Mark.CLOSE) if self.timeout > 0 else None


TOXIC = Timeout
