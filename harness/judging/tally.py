"""What many runs say together of numbered guarantees: each once, with its outcome, how many runs judged it, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from harness.checkers.guarantees import ALLOWED, FAIL, PASS, REPORT, UNKNOWN, UNSUPPORTED, UNTESTED
from harness.checkers.wording import count
from harness.model.run import Run

_DECIDED: Final = (FAIL, ALLOWED, PASS, REPORT)
_STANDS: Final = (*_DECIDED, UNKNOWN, UNSUPPORTED, UNTESTED)
"""Which of several outcomes stands for a guarantee; but what its own scenario left open is open."""


class Said(NamedTuple):
    """What one run says of a guarantee. ``asked``: the run was there to judge it, and not just by the way."""

    row: str
    outcome: str
    why: str
    asked: bool = False


class Line(NamedTuple):
    """A guarantee's line in the table: ``judged`` so many runs decided it."""

    row: str
    outcome: str
    judged: int
    why: str


def said_by(run: Run, asked: Iterable[str]) -> list[Said]:
    """All that a run says, but for what nothing put to the test."""
    asked = set(asked)
    found = [
        Said(str(v.details["guarantee"]), str(v.details["outcome"]), v.cause or v.summary, v.checker in asked)
        for v in run.verdicts
        if "guarantee" in v.details
    ]
    return [each for each in found if each.outcome != UNTESTED or each.asked]


def unjudged(rows: Iterable[str], outcome: str, why: str) -> list[Said]:
    """What a scenario says of its own guarantees that did not come to a verdict."""
    return [Said(row, outcome, why, asked=True) for row in rows]


def table(said: Iterable[Said], promises: Mapping[str, str]) -> list[Line]:
    """A line for each guarantee of ``promises``, in their order. The reason of what holds is the promise."""
    by_row: dict[str, list[Said]] = {}
    for each in said:
        by_row.setdefault(each.row, []).append(each)
    return [_line(row, by_row.get(row, []), promise) for row, promise in promises.items()]


def _line(row: str, said: list[Said], promise: str) -> Line:
    if not said:
        return Line(row, UNTESTED, 0, "no scenario of this session puts it to the test")
    failed = [each for each in said if each.outcome == FAIL]
    left_open = [each for each in said if each.asked and each.outcome == UNKNOWN]
    shown = (failed or left_open or sorted(said, key=lambda each: _STANDS.index(each.outcome)))[0]
    judged = sum(each.outcome in _DECIDED for each in said)
    why = promise if shown.outcome == PASS else shown.why
    if shown.outcome in _DECIDED and judged < len(said):
        why += f" (not decided in {count(len(said) - judged, 'other scenario')})"
    return Line(row, shown.outcome, judged, why)
