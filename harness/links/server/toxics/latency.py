"""latency: every chunk, and the end of the stream, arrives later; order is kept.

The delay is ``latency`` ms plus a deviation scaled by ``jitter`` ms. Beyond Toxiproxy, ``distribution`` says how
deviations spread: ``uniform`` in [-jitter, +jitter), ``normal`` with standard deviation ``jitter``, or ``pareto``,
a heavy tail of late chunks with mean ``jitter`` and none early, as congested routes show.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import ClassVar

from harness.links.server.toxic import NS_PER_MS, Chunk, Spot, Step, Toxic

_NORMAL = NormalDist()
_PARETO_SHAPE = 3.0
"""Tail index: finite mean and variance, yet one chunk in a thousand is about nine mean deviations late or more."""


@dataclass
class Latency(Toxic):
    """Delay of ``latency`` +/- ``jitter`` ms."""

    wire_name: ClassVar[str] = "LatencyToxic"
    room_chunks: ClassVar[int] = 1024

    latency: int = 0
    jitter: int = 0
    distribution: str = field(default="uniform", metadata={"choices": ("uniform", "normal", "pareto")})

    def treat(self, chunk: Chunk, data: bytes, spot: Spot) -> Iterator[Step]:
        yield self._due_ns(chunk, spot)
        yield data

    def hold_end_until(self, chunk: Chunk, spot: Spot) -> int:
        return self._due_ns(chunk, spot)

    def _due_ns(self, chunk: Chunk, spot: Spot) -> int:
        late_ms = self.latency + (self.jitter * self._deviation(spot.uniform(chunk.number)) if self.jitter > 0 else 0)
        return chunk.at_ns + int(max(0, late_ms) * NS_PER_MS)

    def _deviation(self, u: float) -> float:
        """The deviation at quantile ``u`` in [0, 1), in units of ``jitter``."""
        if self.distribution == "normal":
            return _NORMAL.inv_cdf(min(max(u, 1e-9), 1 - 1e-9))
        if self.distribution == "pareto":
            return float((_PARETO_SHAPE - 1) * ((1 - u) ** (-1 / _PARETO_SHAPE) - 1))
        return 2 * u - 1


TOXIC = Latency
