"""Drills for people: one in a line, all of them as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from harness.drills.figures import ANOMALIES, PHASES, distribution
from harness.drills.outcomes import Drilled, Drills
from harness.model.verdict import Valid

TOLD: Final = 2
"""So many troubles of nodes stand in a drill's line; its page has all."""


def line(drilled: Drilled) -> str:
    """One drill in one line."""
    told = drilled.measured
    if not told:
        return f"seed {drilled.seed}  failed: {drilled.problem}"
    parts = [_times(f, seen["slowest"]) for f, seen in told["rto"].items()]
    if told["lost"] is not None:
        lost = f"{told['lost']} of {told['acknowledged']} acknowledged writes lost"
        parts.append(lost + (f" (the last {told['loss_s']:.2f} s)" if told["lost"] else ""))
    elif told["unread"]:
        parts.append(f"what became of {told['unread']} of {told['acknowledged']} acknowledged writes is unknown")
    parts += [f"{number} {kind}" for kind, number in told["anomalies"].items() if number]
    if told["divided"]:
        parts.append(f"regions disagree about {told['divided']} at the end: {disagreement(told)}")
    if told["split_brain_s"]:
        parts.append(f"two primaries for {told['split_brain_s']:.1f} s")
    if told["left_over"]:
        parts.append("two histories are left over")
    parts += [f"{said['node']} at {said['at_s']:.1f} s: {said['why']}" for said in told["trouble"][:TOLD]]
    parts += [f"{len(told['trouble']) - TOLD} more troubles"] if len(told["trouble"]) > TOLD else []
    parts += [f"{node} did not recover: {why}" for node, why in told["unready"].items()]
    if drilled.problem:
        parts.append(f"failed: {drilled.problem}")
    return f"seed {drilled.seed}  {_WORDS[drilled.valid]}  {'; '.join(parts)}"


def _times(f: str, slowest: Mapping[str, Any] | None) -> str:
    if slowest is None:
        return f"{f} not interrupted"
    times = " / ".join("never" if slowest[phase] is None else f"{slowest[phase]:.2f}" for phase in PHASES)
    return f"{f} {times} s in {slowest['region']}"


def disagreement(told: Mapping[str, Any], shown: int = 6) -> str:
    """Which regions lack what others have, and in which lists."""
    lacks = ", ".join(f"{region or 'one read'} lacks {number}" for region, number in told["lacking"].items())
    keys = list(told["divided_by_key"])
    more = f" and {len(keys) - shown} more" if len(keys) > shown else ""
    return f"{lacks} (list{'s' * (len(keys) > 1)} {', '.join(keys[:shown])}{more})"


_PHASE_NAMES: Final = dict(zip(PHASES, ("first error", "first success", "steady service"), strict=True))
_TOTAL_NAMES: Final = {
    "promotion_s": "another region leads",
    "failback_s": "failback: steady service after",
    "split_brain_s": "two primaries at once, s",
    "lost": "acknowledged writes lost",
    "loss_s": "of the last ... s",
    "divided": "writes regions disagree about",
}


def as_text(found: Drills) -> str:
    """The distribution as a table for people."""
    asked, told = found.asked, distribution([drilled.measured for drilled in found.drills])
    options = " ".join(f"{name}={value}" for name, value in asked.options.items())
    rows: list[tuple[str, ...]] = [("seconds since the fault", "n", "min", "median", "p95", "max")]
    for f in sorted({f for drilled in found.drills for f in drilled.measured.get("rto", {})}):
        rows += [(f"{f}: {name}", *_cells(told[f][phase])) for phase, name in _PHASE_NAMES.items()]
    rows += [(text, *_cells(told[name])) for name, text in _TOTAL_NAMES.items()]
    odd = told["anomalies"]
    rows += [(f"writes {kind}", *_cells(odd[kind])) for kind in ANOMALIES if odd[kind]["max"]]
    valid = [drilled.valid for drilled in found.drills]
    outcome = ", ".join(f"{valid.count(v)} {word.lower()}" for v, word in _WORDS.items() if v in valid)
    head = f"{asked.target} {options} {asked.fault}, {len(found.drills)} drills from seed {asked.seed}: {outcome}"
    problems = [f"seed {drilled.seed} failed: {drilled.problem}" for drilled in found.drills if drilled.problem]
    again = [f"  {drilled.replay}" for drilled in found.drills[:1]]
    page = [f"Page: {found.page}"] if found.page else []
    return "\n".join([" ".join(head.split()), "", *_aligned(rows), "", *problems, *page, "Again:", *again])


_WORDS: Final = {Valid.TRUE: "held", Valid.FALSE: "VIOLATED", Valid.UNKNOWN: "unknown"}


def _aligned(rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = list(rows)
    widths = [max(len(row[i]) for row in lines) for i in range(6)]
    return [
        row[0].ljust(widths[0]) + "".join(cell.rjust(w + 2) for cell, w in zip(row[1:], widths[1:], strict=True))
        for row in lines
    ]


def _cells(found: Mapping[str, float | int | None]) -> tuple[str, ...]:
    def cell(value: float | int | None) -> str:
        return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)

    return (str(found["n"]), *(cell(found[name]) for name in ("min", "median", "p95", "max")))
