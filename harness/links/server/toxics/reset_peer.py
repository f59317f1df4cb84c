"""reset_peer: ``timeout`` ms after the toxic took effect on a connection, both ends get a TCP reset.

It does not wait for traffic: idle connections are reset too. Until then nothing passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from harness.links.server.toxic import NEVER_NS, Chunk, Mark, Spot, Step, Toxic


@dataclass
class ResetPeer(Toxic):
    """A TCP reset after ``timeout`` ms."""

    wire_name: ClassVar[str] = "ResetToxic"

    timeout: int = 0

    def treat(self, chunk: Chunk, data: bytes, spot: Spot) -> Iterator[Step]:
        return iter(())

    def hold_end_until(self, chunk: Chunk, spot: Spot) -> int:
        return NEVER_NS

    def fuse(self) -> tuple[int, Mark] | None:
        return (max(0, self.timeout), Mark.RESET)


TOXIC = ResetPeer
