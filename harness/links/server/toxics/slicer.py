"""slicer: chunks are cut into pieces of about ``average_size`` bytes, ``delay`` microseconds apart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar

from harness.links.server.toxic import Chunk, Spot, Step, Toxic

_NS_PER_US = 1000


@dataclass
class Slicer(Toxic):
    """Pieces of ``average_size`` +/- ``size_variation`` bytes, each followed by ``delay`` microseconds of rest."""

    wire_name: ClassVar[str] = "SlicerToxic"

    average_size: int = field(default=0, metadata={"wire_type": "int"})
    size_variation: int = field(default=0, metadata={"wire_type": "int"})
    delay: int = field(default=0, metadata={"wire_type": "int"})

    def treat(self, chunk: Chunk, data: bytes, spot: Spot) -> Iterator[Step]:
        start = 0
        for end in self._cuts(chunk, len(data), spot):
            yield data[start:end]
            start = end
            if self.delay > 0:
                yield time.monotonic_ns() + self.delay * _NS_PER_US

    def _cuts(self, chunk: Chunk, size: int, spot: Spot) -> Iterator[int]:
        """Where pieces end, in order: halve, shifting each cut at random, until a piece is small enough."""
        draw = count()
        small_enough = max(1, self.average_size + self.size_variation)
        todo = [(0, size)]
        while todo:
            start, end = todo.pop()
            if end - start <= small_enough:
                yield end
                continue
            middle = start + (end - start) // 2
            if self.size_variation > 0:
                middle += int((2 * spot.uniform(chunk.number, next(draw)) - 1) * self.size_variation)
            middle = min(max(middle, start + 1), end - 1)
            todo += [(middle, end), (start, middle)]


TOXIC = Slicer
