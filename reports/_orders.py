"""Orders that were tried, as a track of steps, and as points on the lanes; the script walks along it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from harness.model.verdict import Excerpt, Order

from ._markup import Html, el, number
from ._words import phrase, short

APART = 17.0
"""Points of neighbouring steps keep so far apart where the operations leave room."""
RADIUS = 7.5
JOINED = 12
"""Points of longer orders are not joined: the numbers are clearer than the lines."""


class Reach(msgspec.Struct, frozen=True):
    """Where a point of an operation may lie: from ``x0`` to ``x1``, at height ``y``."""

    x0: float
    x1: float
    y: float


def draw_way(order: Order, which: int, reach: Mapping[int, Reach]) -> Html:
    """The line from point to point, to be drawn below everything else; ``which`` is the order's number."""
    line = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in _points(order, reach))
    return el("g", el("path", d=line, class_="way") if 1 < len(order.steps) <= JOINED else None, **_group(which))


def draw_points(order: Order, which: int, reach: Mapping[int, Reach]) -> Html:
    """The points at which an order puts its operations, numbered."""
    return el(
        "g",
        *(
            el(
                "g",
                el("circle", cx=x, cy=y, r=RADIUS),
                el("text", str(step), x=x, y=y + 3.2, class_="middle"),
                class_="point on",
                data_step=str(step),
            )
            for step, (x, y) in enumerate(_points(order, reach), 1)
        ),
        **_group(which),
    )


def _group(which: int) -> dict[str, str]:
    return {"class_": "order on" if which == 0 else "order", "data_order": str(which), "aria_hidden": "true"}


def _points(order: Order, reach: Mapping[int, Reach]) -> list[tuple[float, float]]:
    spots = [reach[step.operation] for step in order.steps]
    return list(zip(_places(spots), (spot.y for spot in spots), strict=True))


def _places(spots: Sequence[Reach]) -> Iterator[float]:
    """From left to right, each within its operation."""
    latest = [spot.x1 for spot in spots]
    for at in range(len(spots) - 2, -1, -1):
        latest[at] = min(latest[at], latest[at + 1])
    last = earliest = float("-inf")
    for spot, late in zip(spots, latest, strict=True):
        earliest = max(earliest, spot.x0)
        last = min(max((earliest + late) / 2, last + APART), max(late, last))
        yield last


def draw_tracks(excerpt: Excerpt) -> Html:
    """Every order as a row of steps: what was done, what the object held then, and where it ends."""
    if not excerpt.orders:
        return Html()
    tabs = [
        el("button", f"Order {i + 1}", type="button", class_="tab on" if i == 0 else "tab", data_order=str(i))
        for i in range(len(excerpt.orders))
    ]
    return el(
        "div",
        el(
            "p",
            "The other operations in an order, and where it ends" if len(tabs) == 1 else "Orders that were tried",
            el("span", " Point at a step, or walk with the arrow keys.", class_="hint"),
            class_="tries-head",
        ),
        el("p", *tabs, class_="tabs") if len(tabs) > 1 else None,
        *(_track(excerpt, order, i) for i, order in enumerate(excerpt.orders)),
        class_="tries",
    )


def _track(excerpt: Excerpt, order: Order, which: int) -> Html:
    steps = [
        el("li", _hop(excerpt, step.operation, at, f"leaves {step.state}"), _state(step.state))
        for at, step in enumerate(order.steps, 1)
    ]
    stuck = el("li", _hop(excerpt, order.stuck, len(order.steps) + 1, order.why, "✗"), class_="stuck")
    return el(
        "div",
        el("ol", el("li", _state(order.begin, "at first"), class_="begin"), *steps, stuck, class_="track"),
        el("p", order.why, class_="why"),
        class_="try on" if which == 0 else "try",
        data_order=str(which),
    )


def _hop(excerpt: Excerpt, operation: int, step: int, leads: str, mark: str = "") -> Html:
    op = excerpt.operations[operation].operation
    return el(
        "button",
        el("b", mark or str(step), aria_hidden="true"),
        short(phrase(op), 32),
        el("small", f"client {op.process}"),
        type="button",
        class_="hop",
        data_step=str(step),
        data_op=str(operation),
        aria_label=f"step {step}: client {op.process}, {short(phrase(op), 120)}: {short(leads, 160)}",
    )


def _state(state: str, label: str = "") -> Html:
    return el("span", el("small", label) if label else None, short(state, 36), class_="state", title=state)
