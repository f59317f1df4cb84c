"""Transactions that come before each other in a circle, as a picture: a box for each, an arrow for each reason."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

import msgspec

from harness.model.verdict import Edge, Excerpt, Marked

from ._axis import CHARACTER_PX
from ._lanes import bar_label
from ._markup import Html, el, number
from ._words import clean, short

WIDTH = 1000.0
BOX_WIDTH, LINE, PAD = 256.0, 17.0, 12.0
LETTER_PX = CHARACTER_PX * 13 / 11
"""Width of an average character here."""
MOST_BOXES, MOST_LINES = 8, 5
MEANING = {
    "ww": "was overwritten by",
    "wr": "was read by",
    "rw": "missed",
    "process": "same client, earlier",
    "realtime": "ended before",
}


class _Box(msgspec.Struct, frozen=True, kw_only=True):
    x: float
    y: float
    height: float
    title: str
    who: str
    lines: tuple[str, ...]
    marked: Marked

    def edge_toward(self, x: float, y: float) -> tuple[float, float]:
        """Where a line from the middle to (x, y) leaves the box, with a little air."""
        dx, dy = x - self.x, y - self.y
        half_width, half_height = BOX_WIDTH / 2 + 5, self.height / 2 + 5
        scale = min(half_width / abs(dx) if dx else math.inf, half_height / abs(dy) if dy else math.inf)
        return self.x + dx * scale, self.y + dy * scale


def draw_cycle(excerpt: Excerpt, which: int) -> Html:
    """The picture as one SVG element, the page's number ``which``; nothing without a circle, or when it is too large to
    be seen at a glance."""
    names = list(dict.fromkeys(edge.source for edge in excerpt.edges))
    if not 2 <= len(names) <= MOST_BOXES:
        return Html()
    boxes = dict(zip(names, _boxes(excerpt, names), strict=True))
    bottom = max(box.y + box.height / 2 for box in boxes.values()) + (46 if len(names) == 2 else 12)
    return el(
        "svg",
        el("title", excerpt.title),
        el("defs", _arrow(f"arrow-{which}", "head"), _arrow(f"faint-{which}", "head quiet")),
        *(_draw_edge(edge, i, boxes, which) for i, edge in enumerate(excerpt.edges, 1)),
        *(_draw_box(box) for box in boxes.values()),
        viewBox=f"0 0 {WIDTH:.0f} {bottom:.0f}",
        class_="cycle",
        role="group",
        aria_label=f"Picture of the circle: {excerpt.title}",
    )


def _arrow(name: str, kind: str) -> Html:
    head = el("path", d="M0 0L9 4.5L0 9Z", class_=kind)
    return el(
        "marker",
        head,
        id=name,
        viewBox="0 0 9 9",
        refX="8",
        refY="4.5",
        markerWidth="9",
        markerHeight="9",
        markerUnits="userSpaceOnUse",
        orient="auto",
    )


def reasons(excerpt: Excerpt) -> Html:
    """Why each arrow is there, with the numbers of the picture."""
    items = (
        el("li", el("b", f"{edge.kind}, {MEANING.get(edge.kind, 'before')}: "), edge.says, data_edge=str(i))
        for i, edge in enumerate(excerpt.edges, 1)
    )
    return el("ol", *items, class_="reasons") if excerpt.edges else Html()


def _boxes(excerpt: Excerpt, names: list[int]) -> Iterator[_Box]:
    texts = [_text(excerpt.operations[name]) for name in names]
    heights = [2 * PAD + LINE * (1 + len(lines)) + 3 for _, _, lines in texts]
    tallest, count = max(heights), len(names)
    radius_x = (WIDTH - BOX_WIDTH) / 2 - 14
    radius_y = 0.0 if count == 2 else max(tallest * 0.5 + 56, tallest * count / 5 + 40)
    middle = radius_y + tallest / 2 + (46 if count == 2 else 12)
    for at, ((title, who, lines), height, name) in enumerate(zip(texts, heights, names, strict=True)):
        angle = math.pi + at * 2 * math.pi / count if count == 2 else -math.pi / 2 + at * 2 * math.pi / count
        reach = radius_x * (0.62 if count == 2 else 1.0)
        yield _Box(
            x=WIDTH / 2 + reach * math.cos(angle),
            y=middle + radius_y * math.sin(angle),
            height=height,
            title=title,
            who=who,
            lines=lines,
            marked=excerpt.operations[name],
        )


def _text(marked: Marked) -> tuple[str, str, tuple[str, ...]]:
    """Name, client and deeds of a transaction, from its note: ``T1, client 3: read x = 1 (0.1 to 0.2 s)``."""
    head, colon, rest = clean(marked.note).partition(": ")
    name, _, who = head.partition(", ")
    told = rest.rpartition(" (")[0] or rest
    if not colon or len(name) > 8:
        name, who, told = "", f"client {marked.operation.process}", bar_label(marked)
    wide = int((BOX_WIDTH - 2 * PAD) / LETTER_PX)
    lines = [line for deed in told.split(", ") for line in textwrap.wrap(short(deed, 3 * wide), wide)]
    kept = lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], f"and {len(lines) - MOST_LINES + 1} more"]
    return name, who, tuple(kept)


def _draw_box(box: _Box) -> Html:
    left, top = box.x - BOX_WIDTH / 2, box.y - box.height / 2
    name_px = len(box.title) * LETTER_PX * 1.25 + 8 if box.title else 0.0
    return el(
        "g",
        el("title", box.marked.note or bar_label(box.marked)),
        el("rect", x=left, y=top, width=BOX_WIDTH, height=box.height, rx=7.0, class_="box"),
        el("text", box.title, x=left + PAD, y=top + PAD + 11, class_="name") if box.title else None,
        el("text", short(box.who, 30), x=left + PAD + name_px, y=top + PAD + 11, class_="who"),
        *(
            el("text", line, x=left + PAD, y=top + PAD + 11 + 3 + LINE * (row + 1))
            for row, line in enumerate(box.lines)
        ),
        class_=f"hit txn {box.marked.mark}",
        tabindex="0",
        role="img",
        aria_label=box.marked.note or bar_label(box.marked),
    )


def _draw_edge(edge: Edge, at: int, boxes: dict[int, _Box], which: int) -> Html:
    source, target = boxes[edge.source], boxes[edge.target]
    if len(boxes) == 2:
        side = -1 if source.x < target.x else 1
        x0, x1 = source.x, target.x
        y0, y1 = source.y + side * (source.height / 2 + 5), target.y + side * (target.height / 2 + 6)
        lift = side * 34
        path = f"M{number(x0)} {number(y0)}C{number(x0)} {number(y0 + lift)} {number(x1)} {number(y1 + lift)} "
        path += f"{number(x1)} {number(y1)}"
        x, y = (x0 + x1) / 2, (y0 + y1) / 2 + lift * 0.75
    else:
        x0, y0 = source.edge_toward(target.x, target.y)
        x1, y1 = target.edge_toward(source.x, source.y)
        path = f"M{number(x0)} {number(y0)}L{number(x1)} {number(y1)}"
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
    label = f"{at} {edge.kind}"
    head = "faint" if edge.kind in ("process", "realtime") else "arrow"
    wide = len(label) * LETTER_PX + 18
    return el(
        "g",
        el("title", f"{at}. {edge.kind}: {edge.says}"),
        el(
            "path",
            d=path,
            class_=f"edge {edge.kind}",
            marker_end=f"url(#{head}-{which})",
        ),
        el("rect", x=x - wide / 2, y=y - 11, width=wide, height=22.0, rx=11.0, class_="tag"),
        el("text", label, x=x, y=y + 4.5, class_="middle"),
        class_="hit edge-group",
        tabindex="0",
        role="img",
        aria_label=f"{at}. {edge.kind}: {edge.says}",
        data_edge=str(at),
    )
