"""Latency and rate over time, one panel per region on a common scale, with the faults shaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from harness.model.clock import NS_PER_MS, NS_PER_S
from harness.model.history import NEVER_NS, Operation
from harness.model.op import FAIL, INFO, OK

from ._axis import CHARACTER_PX, Linear, Log, log_around
from ._facts import Facts, FaultFact
from ._markup import Html, el, join, number
from ._words import count, lasting, millis, moment

BUCKETS: Final = 125
KEPT: Final = {OK: 12, FAIL: 5, INFO: 5}
"""Points drawn per bucket and outcome in a big run; more are thinned to the extremes and even steps between."""

SMALL: Final = 15_000
"""Up to so many operations every one is drawn."""

WIDTH, LEFT, RIGHT, TOP = 1000.0, 56.0, 8.0, 20.0
LATENCY_H, RATE_H, BETWEEN = 150.0, 40.0, 18.0
FLOOR, BASE = TOP + LATENCY_H, TOP + LATENCY_H + BETWEEN + RATE_H
HEIGHT = BASE + 22

_POINT: Final = {OK: "h0", FAIL: "m-3-3l6 6m0-6l-6 6", INFO: "m0-4l4 7h-8z"}
"""A dot, a cross, a triangle: told apart without colour."""


class Cell(msgspec.Struct):
    """Operations of one region, bucket and outcome: how many, and those whose end was seen, fastest first."""

    count: int = 0
    seen: list[Operation] = msgspec.field(default_factory=list)


Bucket = dict[str, Cell]


class Panels(msgspec.Struct, frozen=True, kw_only=True):
    """The drawn panels in the order of regions, and how many points stand for how many operations."""

    charts: tuple[tuple[str, Html], ...]
    drawn: int
    total: int


class _Scales(msgspec.Struct, frozen=True):
    time: Linear
    latency: Log
    rate: Linear
    bucket_ns: float


def draw_timeline(facts: Facts) -> Panels:
    """One chart per region that saw operations."""
    span_ns = max([facts.end_ns, *(op.start_ns for op in facts.operations[-1:]), 1])
    bucket_ns = span_ns / BUCKETS
    buckets = _fill(facts.operations, bucket_ns)
    scales = _scales(buckets.values(), span_ns, bucket_ns)
    limits = KEPT if len(facts.operations) > SMALL else dict.fromkeys(KEPT, SMALL)
    charts, drawn = [], 0
    for region in (r for r in (*facts.regions, "") if r in buckets):
        picked = {kind: [p for b in buckets[region] for p in _thin(b[kind].seen, limits[kind])] for kind in KEPT}
        drawn += sum(map(len, picked.values()))
        charts.append((region, _panel(region, buckets[region], picked, facts, scales)))
    total = sum(len(cell.seen) for cells in buckets.values() for bucket in cells for cell in bucket.values())
    return Panels(charts=tuple(charts), drawn=drawn, total=total)


def _fill(operations: Iterable[Operation], bucket_ns: float) -> dict[str, list[Bucket]]:
    """Operations by region, by the bucket of their start, by outcome."""
    regions: dict[str, list[Bucket]] = {}
    for op in operations:
        buckets = regions.get(op.region)
        if buckets is None:
            buckets = regions[op.region] = [{kind: Cell() for kind in KEPT} for _ in range(BUCKETS)]
        cell = buckets[min(int(op.start_ns / bucket_ns), BUCKETS - 1)][op.type]
        cell.count += 1
        if op.seen_end_ns != NEVER_NS:
            cell.seen.append(op)
    for cell in (cell for buckets in regions.values() for bucket in buckets for cell in bucket.values()):
        cell.seen.sort(key=_wait_ns)
    return regions


def _wait_ns(seen: Operation) -> int:
    """How long the client waited for an operation whose end it saw."""
    return seen.seen_end_ns - seen.start_ns


def _thin(seen: Sequence[Operation], limit: int) -> Sequence[Operation]:
    """At most ``limit`` of them: the fastest, the slowest, and even steps of rank between."""
    if len(seen) <= limit:
        return seen
    return [seen[round(i * (len(seen) - 1) / (limit - 1))] for i in range(limit)]


def _scales(regions: Iterable[list[Bucket]], span_ns: float, bucket_ns: float) -> _Scales:
    buckets = [bucket for region in regions for bucket in region]
    cells = [cell.seen for bucket in buckets for cell in bucket.values() if cell.seen]
    ends = [_wait_ns(op) / NS_PER_MS for seen in cells for op in (seen[0], seen[-1])]
    fullest = max((sum(cell.count for cell in bucket.values()) for bucket in buckets), default=1)
    time = Linear(0, span_ns, LEFT, WIDTH - RIGHT)
    rate = Linear(0, fullest / bucket_ns * NS_PER_S, BASE, BASE - RATE_H)
    return _Scales(time, log_around(ends, FLOOR, TOP), rate, bucket_ns)


def _panel(
    region: str, buckets: list[Bucket], picked: dict[str, list[Operation]], facts: Facts, scales: _Scales
) -> Html:
    totals = {kind: sum(bucket[kind].count for bucket in buckets) for kind in KEPT}
    spoken = ", ".join(f"{count(n)} {kind}" for kind, n in totals.items())
    return el(
        "svg",
        el("title", f"Latency and rate over time in {region or 'no region'}: {spoken}"),
        _bands(facts, region, scales),
        _grid(scales),
        *(_points(kind, picked[kind], scales) for kind in KEPT),
        _rates(buckets, scales),
        *(_hover(i, bucket, facts.faults, scales) for i, bucket in enumerate(buckets)),
        viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
        class_="timeline",
        role="img",
        tabindex="0",
        aria_label=f"Latency and rate over time in {region or 'no region'}: {spoken}",
    )


def _bands(facts: Facts, region: str, scales: _Scales) -> Html:
    """Shaded fault windows; those that touch this region are stronger. Labels only as long as there is room."""
    acted = sorted((f for f in facts.faults if f.start_ns is not None), key=lambda f: f.start_ns or 0)
    starts = [scales.time(fault.start_ns or 0) for fault in acted]
    parts: list[Html] = []
    for i, fault in enumerate(acted):
        x0 = starts[i]
        x1 = scales.time(scales.time.high if fault.end_ns is None else min(fault.end_ns, scales.time.high))
        near = " touch" if fault.touches(region, facts.nodes_of.get(region, ())) else ""
        near = " idle" if fault.effective is False else near
        parts.append(el("rect", x=x0, y=14.0, width=max(x1 - x0, 1.5), height=BASE - 14, class_="fault" + near))
        room = (starts[i + 1] if i + 1 < len(acted) else WIDTH) - x0
        name = next((n for n in (fault.label, fault.id) if len(n) * CHARACTER_PX + 6 <= room), "")
        parts.append(el("text", name, x=x0 + 1, y=10.0, class_="fault-name" + near) if name else Html())
    return join(*parts)


def _grid(scales: _Scales) -> Html:
    parts: list[Html] = []
    for tick in scales.latency.ticks():
        y = scales.latency(tick)
        parts.append(el("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(el("text", millis(tick), x=LEFT - 6, y=y + 4, class_="tick end"))
    parts.append(el("line", x1=LEFT, x2=WIDTH - RIGHT, y1=BASE, y2=BASE, class_="axis"))
    parts.append(el("text", f"{scales.rate.high:,.0f}/s", x=LEFT - 6, y=BASE - RATE_H + 8, class_="tick end"))
    parts.append(el("text", "0", x=LEFT - 6, y=BASE + 2, class_="tick end"))
    seconds = Linear(0, scales.time.high / NS_PER_S, LEFT, WIDTH - RIGHT)
    for tick in seconds.ticks(10):
        parts.append(el("text", f"{tick:g} s", x=min(seconds(tick), WIDTH - 14), y=BASE + 16, class_="tick middle"))
    return join(*parts)


def _points(kind: str, operations: Sequence[Operation], scales: _Scales) -> Html:
    """All points of one outcome as one path: small, and quick to draw."""
    shape = _POINT[kind]
    places = (
        f"M{number(scales.time(op.start_ns))} {number(scales.latency(_wait_ns(op) / NS_PER_MS))}{shape}"
        for op in operations
    )
    return el("path", d="".join(places), class_=f"points {kind}") if operations else Html()


def _rates(buckets: list[Bucket], scales: _Scales) -> Html:
    """Operations started per second, stacked by how they ended: unknown ones at the bottom, where they show."""
    bases = [0.0] * len(buckets)
    width = scales.time(scales.bucket_ns) - scales.time(0)
    parts: list[Html] = []
    for kind in (INFO, FAIL, OK):
        d: list[str] = []
        for i, bucket in enumerate(buckets):
            rate = bucket[kind].count / scales.bucket_ns * NS_PER_S
            if not rate:
                continue
            y0, y1 = scales.rate(bases[i]), scales.rate(bases[i] + rate)
            x = number(scales.time(i * scales.bucket_ns))
            d.append(f"M{x} {number(y0)}V{number(y1)}h{number(max(width - 0.8, 0.8))}V{number(y0)}z")
            bases[i] += rate
        parts.append(el("path", d="".join(d), class_=f"rate {kind}") if d else Html())
    return join(*parts)


def _hover(index: int, bucket: Bucket, faults: Sequence[FaultFact], scales: _Scales) -> Html:
    """An invisible strip that tells the numbers of its stretch of time."""
    start, end = int(index * scales.bucket_ns), int((index + 1) * scales.bucket_ns)
    if not any(cell.count for cell in bucket.values()):
        return Html()
    lines = [f"{moment(start)} to {moment(end)}"]
    for kind, cell in bucket.items():
        if cell.seen:
            middle, slowest = (lasting(_wait_ns(cell.seen[i])) for i in (len(cell.seen) // 2, -1))
            lines.append(f"{count(cell.count)} {kind}: median {middle}, slowest {slowest}")
        elif cell.count:
            lines.append(f"{count(cell.count)} {kind}")
    lines += [f"{fault.label}: {fault.aim}" for fault in faults if fault.overlaps(start, end)]
    x = scales.time(start)
    return el(
        "rect", x=x, y=14.0, width=scales.time(end) - x, height=BASE - 14, class_="hit strip", data_tip="\n".join(lines)
    )
