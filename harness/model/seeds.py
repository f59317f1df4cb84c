"""One seed decides every choice of the harness.

:class:`Rng` is a value, not a stream with hidden state: a draw returns the drawn value *and* the
generator to use next. A pure function that holds an ``Rng`` therefore gives the same answer for the
same inputs, which is what lets a schedule be simulated, hashed and replayed.

The mixing function is SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number
Generators", OOPSLA 2014) over a counter.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple, TypeVar

T = TypeVar("T")

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15


def fresh_seed() -> int:
    """A seed for a run whose user named none: 48 random bits, short enough to type again."""
    return secrets.randbits(48)


class Rng(NamedTuple):
    """An immutable random number generator: ``value, rng = rng.below(6)``."""

    seed: int
    drawn: int = 0

    def child(self, name: str | int) -> Rng:
        """An independent generator for the part called ``name``; does not advance this one."""
        data = f"{self.seed}/{self.drawn}/{name}".encode()
        return Rng(int.from_bytes(blake2b(data, digest_size=8).digest(), "big"))

    def bits(self) -> tuple[int, Rng]:
        """64 random bits."""
        z = (self.seed + (self.drawn + 1) * _GAMMA) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31), Rng(self.seed, self.drawn + 1)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> tuple[float, Rng]:
        """A float in ``[low, high)``."""
        bits, rng = self.bits()
        return low + (high - low) * (bits >> 11) * (1.0 / (1 << 53)), rng

    def below(self, stop: int) -> tuple[int, Rng]:
        """An integer in ``[0, stop)``; the bias is under ``stop / 2**64``."""
        bits, rng = self.bits()
        return (bits * stop) >> 64, rng

    def choice(self, items: Sequence[T]) -> tuple[T, Rng]:
        """One of ``items``."""
        index, rng = self.below(len(items))
        return items[index], rng

    def shuffled(self, items: Sequence[T]) -> tuple[list[T], Rng]:
        """``items`` in random order (Fisher-Yates)."""
        out, rng = list(items), self
        for i in range(len(out) - 1, 0, -1):
            j, rng = rng.below(i + 1)
            out[i], out[j] = out[j], out[i]
        return out, rng

    def exponential(self, mean: float) -> tuple[float, Rng]:
        """A waiting time with the given mean (a Poisson process's gap)."""
        u, rng = self.uniform()
        return -mean * math.log1p(-u), rng
