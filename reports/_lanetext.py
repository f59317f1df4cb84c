"""The smallest violating excerpt as lines of text: a lane per client, time to the right."""

from __future__ import annotations

from collections.abc import Iterator

from harness.model.clock import NS_PER_S
from harness.model.verdict import Excerpt, Marked

from ._axis import Broken, rows
from ._clock import STEP_NS, placed
from ._facts import Facts, is_open
from ._lanes import bar_label, excerpt_axis, lane_order
from ._words import clean, lasting

GAP = 3
"""Columns that a stretch without operations takes."""
LEAST_WIDTH = 30


def draw_lanes(excerpt: Excerpt, facts: Facts, width: int) -> Iterator[tuple[str, str]]:
    """Lines at most ``width`` wide (unless that is hopelessly narrow) with the style of each."""
    excerpt, events = placed(excerpt)
    lanes = lane_order(excerpt, facts.regions)
    names = [clean(f"  {region} client {process}".rstrip()) for region, process, _ in lanes]
    left = max(map(len, names)) + 2
    axis = excerpt_axis(excerpt, left, max(width, left + LEAST_WIDTH) - 2, GAP)
    stop = int(axis(axis.end_ns)) + 1
    for name, (_, _, marks) in zip(names, lanes, strict=True):
        labels = [(axis(m.operation.start_ns), _label_end(m, axis, stop)) for m in marks]
        chosen = rows(labels)
        for row in range(max(chosen) + 1):
            mine = [mark for mark, at in zip(marks, chosen, strict=True) if at == row]
            style = "red" if any(mark.mark == "culprit" for mark in mine) else ""
            yield _overlay([(left, "")], [(int(axis(m.operation.start_ns)), bar_label(m)) for m in mine], stop), style
            bars = [(int(axis(m.operation.start_ns)), _bar(m, axis, stop)) for m in mine]
            yield _overlay([(0, name if row == 0 else "")], bars, stop), style
    for fault in facts.faults if not events else ():
        if fault.window is not None and axis.shows(*fault.window):
            x0, x1 = (int(axis(time_ns)) for time_ns in fault.window)
            mark = "·" if fault.effective is False else "░"
            yield _overlay([(0, f"  {fault.id}")], [(x0, mark * max(x1 - x0, 1))], stop), "yellow"
            yield _overlay([], [(left, clean(f"{fault.label}: {fault.aim}"))], stop), "yellow"
    yield _events(axis, events, stop) if events else _ticks(axis, left, stop), "dim"
    yield "  █ cannot be explained   ▓ contradicts it   ─ other   ▷ may take effect at any later time", "dim"


def _label_end(marked: Marked, axis: Broken, stop: int) -> float:
    op = marked.operation
    end = stop if is_open(op) else axis(op.end_ns)
    return max(end, axis(op.start_ns) + len(bar_label(marked))) + 1


def _bar(marked: Marked, axis: Broken, stop: int) -> str:
    """Solid for what counts in the argument, thin for context, an arrow for an open end."""
    op, start = marked.operation, int(axis(marked.operation.start_ns))
    body = {"culprit": "█", "witness": "▓"}.get(marked.mark, "─")
    if is_open(op):
        return "├" + "╌" * max(stop - start - 2, 1) + "▷"
    inner = body * max(int(axis(op.end_ns)) - start - 1, 0)
    return f"├{inner}┤" if body == "─" else f"{body}{inner}{body}"


def _overlay(start: list[tuple[int, str]], marks: list[tuple[int, str]], stop: int) -> str:
    """Texts at their columns in one line; one that would leave the line on the right is moved left."""
    line = [" "] * (stop + 1)
    for x, text in start + marks:
        x = max(min(x, stop + 1 - len(text)), 0)
        line[x : x + len(text)] = text[: len(line) - x]
    return "".join(line).rstrip()


def _ticks(axis: Broken, left: int, stop: int) -> str:
    ticks, step_ns = axis.ticks(12)
    decimals = next((d for d in (0, 1, 2) if step_ns >= NS_PER_S / 10**d), 3)
    marks = [(int(axis(tick)), f"{tick / NS_PER_S:.{decimals}f} s") for tick in ticks]
    marks += [(int(gap.start), "⋯") for gap in axis.gaps]
    hidden = ", ".join(lasting(gap.hidden_ns) for gap in axis.gaps)
    line = _overlay([], marks, stop)
    return f"{line}\n{' ' * left}⋯ stands for {hidden} without any of these operations" if hidden else line


def _events(axis: Broken, events: list[int], stop: int) -> str:
    marks, free = [], 0
    for at, event in enumerate(events):
        x = int(axis(at * STEP_NS))
        if x >= free:
            marks.append((x, f"#{event}"))
            free = x + len(f"#{event}") + 2
    return _overlay([], marks, stop)
