"""The smallest violating excerpt as a picture: a lane per client, grouped by region, over a time axis."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from harness.model.clock import NS_PER_S
from harness.model.history import NEVER_NS
from harness.model.verdict import Excerpt, Marked

from ._axis import CHARACTER_PX, Broken, Gap, rows
from ._clock import STEP_NS, placed
from ._facts import Around, FaultFact, is_open
from ._markup import Html, el, join, number
from ._orders import Reach, draw_points, draw_way
from ._words import lasting, moment, phrase, short

WIDTH, LEFT, RIGHT = 1000.0, 168.0, 14.0
NAME_ROW = 13.0
ROW, BAR, PAD = 30.0, 12.0, 6.0
GAP = 66.0


class _Bar(msgspec.Struct, kw_only=True):
    marked: Marked
    x0: float
    x1: float
    label: str
    label_x: float
    row: int = 0


class _Lane(msgspec.Struct, kw_only=True):
    process: int
    region: str
    node: str
    y: float
    height: float
    bars: list[_Bar]


def excerpt_axis(excerpt: Excerpt, start: float, stop: float, gap_width: float) -> Broken:
    """The time axis of an excerpt. An open-ended operation asks only for its start to be seen."""
    operations = [marked.operation for marked in excerpt.operations]
    spans = [(op.start_ns, op.start_ns if is_open(op) else op.end_ns) for op in operations]
    return Broken(spans, start, stop, gap_width)


def lane_order(excerpt: Excerpt, regions: tuple[str, ...]) -> list[tuple[str, int, list[Marked]]]:
    """(region, process, its operations by start), regions in the topology's order."""
    lanes: dict[tuple[str, int], list[Marked]] = {}
    for marked in sorted(excerpt.operations, key=lambda m: m.operation.start_ns):
        lanes.setdefault((marked.operation.region, marked.operation.process), []).append(marked)
    place = {region: i for i, region in enumerate(regions)}
    order = sorted(lanes, key=lambda lane: (place.get(lane[0], len(place)), lane[0], lane[1]))
    return [(region, process, lanes[region, process]) for region, process in order]


def bar_label(marked: Marked) -> str:
    """``read 7``, with a question mark when nobody knows and a cross when it did not happen."""
    mark = {"info": " ?", "fail": " ✗"}.get(marked.operation.type, "")
    return short(phrase(marked.operation), 28) + mark


def describe(marked: Marked, timed: bool = True) -> str:
    """An operation of the picture in one sentence, for tooltips and screen readers."""
    op = marked.operation
    if not timed:
        return marked.note or f"client {op.process}: {phrase(op)}"
    where = f" in {op.region}" if op.region else ""
    node = f" at {op.node}" if op.node else ""
    if op.seen_end_ns == NEVER_NS:
        end = "no answer was seen"
    elif is_open(op):
        end = f"outcome unknown, client gave up after {lasting(op.seen_end_ns - op.start_ns)}"
    else:
        end = f"{op.type} after {lasting(op.end_ns - op.start_ns)}"
    extra = f" ({short(op.error, 120)})" if op.error else ""
    note = f". {marked.note}" if marked.note else ""
    return f"client {op.process}{where}{node}: {phrase(op)}, from {moment(op.start_ns)}, {end}{extra}{note}"


def draw_lanes(excerpt: Excerpt, around: Around) -> Html:
    """The picture as one SVG element."""
    drawn, events = placed(excerpt)
    axis = excerpt_axis(drawn, LEFT, WIDTH - RIGHT, GAP)
    names = _fault_names(axis, around) if not events else []
    top = (max((row for _, _, row in names), default=0) + 1) * NAME_ROW + 4 if names else 4.0
    lanes = list(_lanes(drawn, around.regions, axis, top + 8))
    bottom = lanes[-1].y + lanes[-1].height + 4
    height = bottom + 26
    number_of = {id(marked): at for at, marked in enumerate(drawn.operations)}
    reach = {
        number_of[id(bar.marked)]: Reach(bar.x0, bar.x1, _bar_top(lane, bar) + 14 + BAR / 2)
        for lane in lanes
        for bar in lane.bars
    }
    return el(
        "svg",
        el("title", excerpt.title),
        *(_fault_band(axis, fault, top, bottom) for fault, _, _ in names),
        *(el("text", name, x=x, y=(row + 1) * NAME_ROW, class_="fault-name") for (_, (x, name), row) in names),
        _event_ticks(axis, events, top, bottom) if events else _time_ticks(axis, top, bottom),
        *(_draw_lane(lane, lanes[i - 1].region if i else None, around.regions) for i, lane in enumerate(lanes)),
        *(_draw_gap(gap, top, bottom) for gap in axis.gaps),
        *(draw_way(order, at, reach) for at, order in enumerate(excerpt.orders)),
        *(
            _draw_bar(bar, _bar_top(lane, bar), number_of[id(bar.marked)], not events)
            for lane in lanes
            for bar in lane.bars
        ),
        *(draw_points(order, at, reach) for at, order in enumerate(excerpt.orders)),
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
        class_="lanes",
        role="group",
        aria_label=f"Picture of the violation: {excerpt.title}",
    )


def _bar_top(lane: _Lane, bar: _Bar) -> float:
    return lane.y + PAD + bar.row * ROW


def _lanes(excerpt: Excerpt, regions: tuple[str, ...], axis: Broken, y: float) -> Iterator[_Lane]:
    last_region = None
    for region, process, marks in lane_order(excerpt, regions):
        y += 10 if last_region not in (None, region) else 0
        last_region = region
        bars = [_bar(marked, axis) for marked in marks]
        taken = [(min(bar.x0, bar.label_x), max(bar.x1, bar.label_x + _px(bar.label))) for bar in bars]
        for bar, row in zip(bars, rows(taken), strict=True):
            bar.row = row
        height = (max(bar.row for bar in bars) + 1) * ROW + PAD
        node = marks[0].operation.node
        yield _Lane(process=process, region=region, node=node, y=y, height=height, bars=bars)
        y += height


def _bar(marked: Marked, axis: Broken) -> _Bar:
    op = marked.operation
    x0 = axis(op.start_ns)
    x1 = WIDTH - RIGHT if is_open(op) else max(axis(op.end_ns), x0 + 4)
    label = bar_label(marked)
    return _Bar(marked=marked, x0=x0, x1=x1, label=label, label_x=min(x0, WIDTH - RIGHT - _px(label)))


def _px(label: str) -> float:
    return len(label) * CHARACTER_PX * 1.08 + 8


def _draw_lane(lane: _Lane, region_above: str | None, regions: tuple[str, ...]) -> Html:
    swatch = f"r{regions.index(lane.region) % 8}" if lane.region in regions else "nowhere"
    node = f" · {lane.node}" if lane.node else ""
    middle = lane.y + PAD + 21
    heading = lane.region != region_above and lane.region
    return el(
        "g",
        el("rect", x=0.0, y=lane.y, width=WIDTH, height=lane.height, class_="lane"),
        el("rect", x=0.0, y=lane.y, width=4.0, height=lane.height, class_=swatch),
        el("text", lane.region, x=14.0, y=lane.y + 15, class_="region") if heading else None,
        el("text", f"client {lane.process}{node}", x=14.0, y=middle + (8 if heading else 0), class_="who"),
    )


def _draw_bar(bar: _Bar, y: float, which: int, timed: bool) -> Html:
    marked, top = bar.marked, y + 14
    kind = f"bar {marked.mark} {marked.operation.type}"
    shape = (
        _open_bar(bar, top)
        if is_open(marked.operation)
        else el("rect", x=bar.x0, y=top, width=bar.x1 - bar.x0, height=BAR, rx=2.0)
    )
    return el(
        "g",
        el("title", describe(marked, timed)),
        el("rect", x=bar.x0 - 2, y=y, width=max(bar.x1 - bar.x0, _px(bar.label)) + 4, height=ROW, class_="area"),
        shape,
        el("text", bar.label, x=bar.label_x, y=y + 10),
        class_=f"hit {kind}",
        tabindex="0",
        role="img",
        aria_label=describe(marked, timed),
        data_op=str(which),
    )


def _open_bar(bar: _Bar, top: float) -> Html:
    """Open to the right: it may take effect at any later time. The outline ends in an arrow."""
    x0, x1, low, mid = number(bar.x0), number(bar.x1 - 7), number(top + BAR), number(top + BAR / 2)
    return el("path", d=f"M{x1} {number(top)}H{x0}V{low}H{x1}L{number(bar.x1)} {mid}Z", class_="open")


def _fault_names(axis: Broken, around: Around) -> list[tuple[FaultFact, tuple[float, str], int]]:
    """The faults that the picture shows, each with its label's place, text and row. A lone fault tells its victim."""
    shown = [fault for fault in around.faults if fault.window is not None and axis.shows(*fault.window)]
    shown.sort(key=lambda fault: fault.start_ns or 0)
    labels: list[tuple[float, str]] = []
    for fault in shown:
        name = short(f"{fault.label}: {fault.aim}" if len(shown) == 1 else fault.label, 110)
        labels.append((min(axis(fault.start_ns or 0) + 4, WIDTH - RIGHT - _px(name)), name))
    taken = [(x, x + _px(name)) for x, name in labels]
    return list(zip(shown, labels, rows(taken), strict=True))


def _fault_band(axis: Broken, fault: FaultFact, top: float, bottom: float) -> Html:
    x0, x1 = (axis(time_ns) for time_ns in fault.window or (0, 0))
    kind = "fault idle" if fault.effective is False else "fault touch"
    return el(
        "g",
        el("title", f"{fault.label}: {fault.aim}"),
        el("rect", x=x0, y=top, width=max(x1 - x0, 2.0), height=bottom - top, class_=kind),
        class_="hit",
    )


def _time_ticks(axis: Broken, top: float, bottom: float) -> Html:
    ticks, step_ns = axis.ticks(90.0)
    decimals = next((d for d in (0, 1, 2) if step_ns >= NS_PER_S / 10**d), 3)
    marks: list[Html] = []
    for tick in ticks:
        x = axis(tick)
        marks.append(el("line", x1=x, x2=x, y1=top, y2=bottom, class_="grid"))
        if not any(gap.start - 20 < x < gap.stop + 20 for gap in axis.gaps):
            marks.append(el("text", f"{tick / NS_PER_S:.{decimals}f} s", x=x, y=bottom + 16, class_="tick middle"))
    return join(*marks)


def _event_ticks(axis: Broken, events: list[int], top: float, bottom: float) -> Html:
    """The numbers of events, where there is room for them."""
    marks: list[Html] = []
    free = 0.0
    for at, event in enumerate(events):
        x = axis(at * STEP_NS)
        marks.append(el("line", x1=x, x2=x, y1=top, y2=bottom, class_="grid"))
        if x - 30 >= free:
            marks.append(el("text", f"event {event}", x=min(x, WIDTH - 30), y=bottom + 16, class_="tick middle"))
            free = x + 30
    return join(*marks)


def _draw_gap(gap: Gap, top: float, bottom: float) -> Html:
    hidden = lasting(gap.hidden_ns)
    return el(
        "g",
        el("title", f"{hidden} without any of these operations, not drawn to scale"),
        el("rect", x=gap.start, y=top, width=gap.stop - gap.start, height=bottom - top, class_="gap"),
        el("text", f"⋯ {hidden} ⋯", x=(gap.start + gap.stop) / 2, y=bottom + 16, class_="tick middle"),
        class_="hit",
    )
