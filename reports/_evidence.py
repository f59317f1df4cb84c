"""The excerpts of verdicts that are false: pictures, orders that were tried, the argument, a table."""

from __future__ import annotations

from collections.abc import Sequence

from harness.model.verdict import Excerpt, Verdict

from ._cycle import draw_cycle, reasons
from ._facts import Around
from ._lanes import draw_lanes
from ._markup import Html, el
from ._orders import draw_tracks
from ._page import section
from ._tables import excerpt_table, fold
from ._words import count, short

SHOWN_EXCERPTS = 2
"""Violations drawn openly; further ones are folded."""
MOST_EXCERPTS = 12


def evidence(found: Sequence[tuple[Verdict, Excerpt]], around: Around) -> Html:
    """What went wrong, the first few openly; nothing when nothing did."""
    every = [_excerpt(around, *pair, which) for which, pair in enumerate(found[:MOST_EXCERPTS], 1)]
    drawn, more = every[:SHOWN_EXCERPTS], every[SHOWN_EXCERPTS:]
    hidden = len(found) - MOST_EXCERPTS
    return section(
        "What went wrong",
        *drawn,
        fold(f"{count(len(more), 'more violation')}", *more) if more else None,
        el("p", f"{count(hidden, 'further violation')} not drawn; see `rift check`.") if hidden > 0 else None,
    )


def _excerpt(around: Around, verdict: Verdict, excerpt: Excerpt, which: int) -> Html:
    key = "" if excerpt.key is None else f" · key {excerpt.key}"
    reported = "" if verdict.judged else " · only reported"
    title = el("h3", short(excerpt.title, 360), el("span", f"{verdict.checker}{key}{reported}", class_="quiet"))
    if not excerpt.operations:
        return el("article", title, _steps(excerpt))
    cycle = draw_cycle(excerpt, which)
    lanes = el("figure", el("div", draw_lanes(excerpt, around), class_="scroll"), _legend(excerpt, around))
    return el(
        "article",
        title,
        el("figure", el("div", cycle, class_="scroll"), reasons(excerpt)) if cycle else None,
        fold("When they ran", lanes) if cycle else lanes,
        draw_tracks(excerpt),
        fold("The argument, line by line", _steps(excerpt)) if excerpt.orders or cycle else _steps(excerpt),
        fold(f"The {count(len(excerpt.operations), 'operation')} as a table", excerpt_table(excerpt)),
    )


def _steps(excerpt: Excerpt) -> Html:
    return el("ol", *(el("li", step) for step in excerpt.steps), class_="steps") if excerpt.steps else Html()


def _legend(excerpt: Excerpt, around: Around) -> Html:
    marks = {marked.mark for marked in excerpt.operations}
    keys = (("culprit", "cannot be explained"), ("witness", "contradicts it"), ("context", "other operations"))
    shown = [el("span", el("i", class_=f"key {kind}"), label) for kind, label in keys if kind in marks]
    if any(marked.operation.type == "info" for marked in excerpt.operations):
        shown.append(el("span", el("i", class_="key open"), "open end: may take effect at any later time"))
    if around.faults:
        shown.append(el("span", el("i", class_="key fault"), "fault"))
    return el("figcaption", *shown, class_="legend")
