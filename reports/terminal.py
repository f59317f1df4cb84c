"""The run as text: for people in a terminal, a log or a mail. Plain when piped, as wide as the terminal."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator

from harness.model.run import Run
from harness.model.verdict import Valid, Verdict

from . import _tables
from ._facts import Facts
from ._lanetext import draw_lanes
from ._story import (
    SYMBOL,
    WORD,
    caveats,
    check_command,
    fault_sentence,
    headline,
    replay_command,
    verdict_sentence,
)
from ._words import clean

COLOUR = {Valid.TRUE: "green", Valid.FALSE: "red", Valid.UNKNOWN: "yellow"}
SHOWN_EXCERPTS = 2


class TerminalReport:
    """Returns the text; colours only when standard output is a terminal."""

    name = "terminal"
    help = "text for a terminal: verdicts, faults, the smallest violation as a picture"

    def render(self, run: Run) -> str:
        # rich takes a tenth of a second to load, and `rift list` must not pay for it.
        from rich.console import Console

        console = Console(file=sys.stdout, highlight=False)
        with console.capture() as capture:
            for line, style in report_lines(run, min(console.width, 120)):
                # soft_wrap: lines are wrapped already, and the commands must stay in one piece.
                console.print(line, style=style or None, markup=False, soft_wrap=True)
        return capture.get()


def report_lines(run: Run, width: int) -> Iterator[tuple[str, str]]:
    """The report's lines, at most ``width`` wide but for the commands, with the style of each."""
    facts = Facts(run)
    head = headline(facts)
    yield from _wrapped(f"{head.symbol} {head}", width, 2, f"bold {COLOUR[head.valid]}")
    for sentence in caveats(facts):
        yield from _wrapped(f"  {sentence}", width, 2, "yellow")
    if run.verdicts:
        yield "", ""
        aside = _aside(run)
        rest = {row for rows in aside.values() for row in rows}
        for verdict in [verdict for verdict in run.verdicts if verdict.checker not in rest]:
            yield from _wrapped(_verdict(verdict), width, 29, COLOUR[verdict.valid] if verdict.judged else "dim")
        for why, rows in aside.items():
            yield from _wrapped(f"  - {why}: {', '.join(rows)}", width, 4, "dim")
    if facts.faults:
        yield "", ""
        for fault in facts.faults:
            sick = fault.effective is False or fault.healed is False
            yield from _wrapped(f"  {fault_sentence(fault)}", width, 5, "yellow" if sick else "")
    for _, excerpt in facts.excerpts[:SHOWN_EXCERPTS]:
        yield "", ""
        yield from _wrapped(excerpt.title, width, 0, "bold red")
        if excerpt.operations:
            yield from draw_lanes(excerpt, facts, width)
        for number, step in enumerate(excerpt.steps, 1):
            yield from _wrapped(f"  {number}. {step}", width, 5, "")
    yield "", ""
    yield f"Run it again:    {replay_command(run)}", ""
    yield f"Judge it again:  {check_command(run)}", ""


def _aside(run: Run) -> dict[str, list[str]]:
    """The guarantees that this run does not judge, by the reason."""
    found: dict[str, list[str]] = {}
    for verdict in run.verdicts:
        match verdict.details.get("outcome"):
            case _tables.UNTESTED:
                found.setdefault("not put to the test here", []).append(verdict.checker)
            case _tables.UNSUPPORTED:
                found.setdefault(f"unsupported, {verdict.summary}", []).append(verdict.checker)
    return found


def _wrapped(text: str, width: int, indent: int, style: str) -> Iterator[tuple[str, str]]:
    """``text`` in lines of ``width``, all but the first indented."""
    lines = textwrap.wrap(clean(text), max(width, indent + 20), subsequent_indent=" " * indent, break_on_hyphens=False)
    for line in lines:
        yield line, style


def _verdict(verdict: Verdict) -> str:
    reported = "" if verdict.judged else " (only reported: nobody claims it)"
    name = f"  {SYMBOL[verdict.valid]} {verdict.checker:<14} {WORD[verdict.valid]:<9}"
    return f"{name} {verdict_sentence(verdict)}{reported}"


RENDERER = TerminalReport()
