"""From values to places on a page: linear, logarithmic and broken axes, their ticks, and labels that keep apart."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence

import msgspec

CHARACTER_PX = 6.3
"""Width of an average character of the 11 px labels."""


class Linear(msgspec.Struct, frozen=True):
    """Maps ``low`` .. ``high`` to ``start`` .. ``stop`` (a page's y axis runs downward: start > stop)."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        span = (self.high - self.low) or 1.0
        return self.start + (value - self.low) / span * (self.stop - self.start)

    def ticks(self, wanted: int) -> list[float]:
        """About ``wanted`` round numbers within the axis."""
        step = nice_step((self.high - self.low) / max(wanted, 1))
        return multiples(self.low, self.high, step)


class Log(msgspec.Struct, frozen=True):
    """Like :class:`Linear` on the logarithm; values outside are drawn at the edge."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return Linear(math.log10(self.low), math.log10(self.high), self.start, self.stop)(math.log10(inside))

    def ticks(self) -> list[float]:
        """Powers of ten, with 2 and 5 in between when there are few."""
        low, high = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        parts = (1,) if math.log10(self.high / self.low) > 2.2 else (1, 2, 5)
        ticks = [part * 10.0**power for power in range(low, high + 1) for part in parts]
        return [tick for tick in ticks if self.low * 0.999 <= tick <= self.high * 1.001]


def log_around(values: Iterable[float], start: float, stop: float) -> Log:
    """A logarithmic axis that holds every positive value and at least one decade, between 1-2-5 numbers."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = max(min(positive), 1e-3), max(positive)
    low, high = _round_125(low, down=True), _round_125(max(high, low * 10), down=False)
    return Log(low, high, start, stop)


def nice_step(raw: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below ``raw``."""
    return _round_125(raw, down=False) if raw > 0 else 1.0


def multiples(low: float, high: float, step: float) -> list[float]:
    """All multiples of ``step`` within ``low`` .. ``high``."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def _round_125(value: float, *, down: bool) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    steps = [power * part for part in (1, 2, 5, 10)]
    if down:
        return max(step for step in steps if step <= value * 1.0000001)
    return min(step for step in steps if step >= value * 0.9999999)


class Gap(msgspec.Struct, frozen=True):
    """A stretch of time in which nothing happened, drawn between ``start`` and ``stop``."""

    start: float
    stop: float
    hidden_ns: int


class Broken:
    """A time axis that cuts out long stretches without any operation, so that the rest stays readable.

    ``spans`` are (start_ns, end_ns) of what must be seen. The kept pieces share one scale; a stretch is cut when
    it is longer than ``patience`` times everything that must be seen, and then takes ``gap_width``.
    """

    def __init__(
        self, spans: Iterable[tuple[int, int]], start: float, stop: float, gap_width: float, patience: float = 8.0
    ) -> None:
        pieces = _merged(spans)
        busy_ns = max(sum(end - begin for begin, end in pieces), 1_000)
        self._pieces = _cut(pieces, int(patience * busy_ns))
        gaps = len(self._pieces) - 1
        shown_ns = sum(end - begin for begin, end in self._pieces)
        self.scale = max(stop - start - gaps * gap_width, 1.0) / shown_ns
        self.start_ns, self.end_ns = self._pieces[0][0], self._pieces[-1][1]
        self.gaps: list[Gap] = []
        self._knots: list[tuple[int, float]] = []
        at = start
        for i, (begin, end) in enumerate(self._pieces):
            if i:
                self.gaps.append(Gap(at, at + gap_width, begin - self._pieces[i - 1][1]))
                at += gap_width
            self._knots.append((begin, at))
            at += (end - begin) * self.scale
            self._knots.append((end, at))

    def __call__(self, time_ns: float) -> float:
        """The place of a time; times outside are drawn at the edge."""
        i = bisect_right(self._knots, time_ns, key=lambda knot: knot[0])
        if i == 0 or i == len(self._knots):
            return self._knots[min(i, len(self._knots) - 1)][1]
        (t0, x0), (t1, x1) = self._knots[i - 1], self._knots[i]
        return Linear(t0, t1, x0, x1)(time_ns)

    def shows(self, start_ns: int, end_ns: int) -> bool:
        """Whether any part of a stretch of time lies in a kept piece."""
        return any(start_ns <= end and begin <= end_ns for begin, end in self._pieces)

    def ticks(self, spacing: float) -> tuple[list[float], float]:
        """Times in ns at least ``spacing`` apart, one or more per kept piece; and the unit in ns that they are
        multiples of."""
        unit = step = nice_step(spacing / self.scale)
        found: list[float] = []
        for begin, end in self._pieces:
            inside = multiples(begin, end, step)
            if not inside:  # too short for the step: one finer mark in its middle
                unit = step / 10
                inside = [round((begin + end) / 2 / unit) * unit]
            found += inside
        return found, unit


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged or [(0, 1_000_000)]


def _cut(pieces: Sequence[tuple[int, int]], longest_ns: int) -> list[tuple[int, int]]:
    """Join pieces that are near, and give each a margin on both sides."""
    kept = [pieces[0]]
    for begin, end in pieces[1:]:
        if begin - kept[-1][1] <= longest_ns:
            kept[-1] = (kept[-1][0], end)
        else:
            kept.append((begin, end))
    margin = max(sum(end - begin for begin, end in kept) // 16, 1_000)
    return [(max(begin - margin, 0), end + margin) for begin, end in kept]


def rows(labels: Sequence[tuple[float, float]]) -> list[int]:
    """A row for each (start, stop) so that none overlaps another in its row; labels come in order of start."""
    ends: list[float] = []
    chosen: list[int] = []
    for start, stop in labels:
        row = next((i for i, end in enumerate(ends) if end <= start), len(ends))
        ends[row : row + 1] = [stop]
        chosen.append(row)
    return chosen
