"""Numbered guarantees: what a scenario expected beside what it saw, joined with what a rule found, as one verdict.

Outcomes, the worst first: ``fail``; ``unsupported`` (the system does not have it); ``unknown``; ``allowed`` (a loss
that the documents permit); ``report`` (a number without a contract); ``pass``. ``untested`` is
what nothing put to the test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from harness.checkers.wording import and_more, count, moment
from harness.model.clock import NS_PER_S
from harness.model.history import History
from harness.model.op import INVOKE
from harness.model.rollout import EXPECT
from harness.model.verdict import Excerpt, Valid, Verdict

PASS, FAIL, UNKNOWN, ALLOWED, REPORT, UNSUPPORTED = "pass", "fail", "unknown", "allowed", "report", "unsupported"
UNTESTED: Final = "untested"
S = TypeVar("S")
SHOWN: Final = 3
STARVED_NS: Final = NS_PER_S // 2
"""Of a second, for which the harness stood still: nodes that share its machine then let leases and time limits pass."""


class Expectation(msgspec.Struct, frozen=True):
    """What a scenario saw beside what a guarantee demands. ``how`` compares: ``is``, ``in``, ``holds`` (a text that
    holds another), ``report`` (a number without a contract)."""

    row: str
    says: str
    wanted: Any
    seen: Any
    how: str = "is"
    at_ns: int = 0
    stalled_ns: int = 0
    """For how long of any one second the harness stood still before, at most."""

    @property
    def met(self) -> bool:
        """Whether what was seen is what was wanted."""
        match self.how:
            case "in":
                return self.seen in self.wanted
            case "holds":
                return str(self.wanted).lower() in str(self.seen).lower()
            case "report":
                return True
        return bool(self.seen == self.wanted)

    @property
    def unmet(self) -> str:
        """The difference in a sentence."""
        how = {"in": "one of ", "holds": "a text with "}.get(self.how, "")
        return f"{self.says}: expected {how}{self.wanted!r}, saw {self.seen!r} (at {moment(self.at_ns)})"

    @property
    def doubt(self) -> str:
        """Why the difference says nothing: the machine had no time for those who should have acted; else empty."""
        if self.stalled_ns < STARVED_NS:
            return ""
        stood = f"the harness stood still for {moment(self.stalled_ns)} of one second before"
        return f"{self.unmet}; but {stood}: run it again on a machine that has time for it"


def remembering(story_of: Callable[[History], S]) -> Callable[[History], S]:
    """``story_of``, with the last story kept, because every guarantee of a history asks for it."""
    last: list[tuple[History, S]] = []

    def read(history: History) -> S:
        if not last or last[0][0] is not history:
            last[:] = [(history, story_of(history))]
        return last[0][1]

    return read


def expectations(history: History) -> tuple[Expectation, ...]:
    """All expectations that a scenario noted."""
    return tuple(
        msgspec.convert(
            {**op.value, "at_ns": op.time_ns, "stalled_ns": _stalled_ns(history.stalls, op.time_ns)}, Expectation
        )
        for op in history
        if op.f == EXPECT and op.type == INVOKE
    )


def _stalled_ns(stalls: Sequence[tuple[int, int]], until_ns: int) -> int:
    """The most that lies within one second before ``until_ns``: some stall ends where such a second does."""
    before = [(begin, min(end, until_ns)) for begin, end in stalls if begin < until_ns]
    return max(
        (sum(max(0, min(end, last) - max(begin, last - NS_PER_S)) for begin, end in before) for _, last in before),
        default=0,
    )


class Found(NamedTuple):
    """What a rule found about one guarantee. ``broken`` are sentences, ``allowed`` losses that the documents permit;
    ``played`` counts what put it to the test, ``held`` says what was seen, ``doubt`` why nothing can be said."""

    broken: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    excerpts: tuple[Excerpt, ...] = ()
    marks: tuple[dict[str, Any], ...] = ()
    played: int = 0
    held: str = ""
    doubt: str = ""


def verdict_of(row: str, promise: str, every: Sequence[Expectation], found: Found | None) -> Verdict:
    """Join what a rule found with what a scenario expected: false beats unknown beats allowed beats true."""
    expected = [each for each in every if each.row == row]
    found = found or Found()
    differing = [each for each in expected if not each.met and each.how != "unsupported"]
    unmet = [each.unmet for each in differing if not each.doubt]
    doubts = [found.doubt, *(each.doubt for each in differing)]
    missing = [each for each in expected if each.how == "unsupported"]
    reports = [each for each in expected if each.how == "report"]
    details: dict[str, Any] = {"guarantee": row, "promise": promise}
    if found.broken or unmet:
        excerpts = [*found.excerpts[:SHOWN], *(Excerpt(title=each, operations=()) for each in unmet[:SHOWN])]
        says = f"{promise}: broken: {and_more([*found.broken, *unmet], 2)}"
        return _verdict(row, Valid.FALSE, says, details | {"outcome": FAIL, "marks": list(found.marks)}, excerpts)
    if missing:
        return _verdict(row, Valid.UNKNOWN, missing[0].says, details | {"outcome": UNSUPPORTED}, judged=False)
    if doubt := next(filter(None, doubts), ""):
        return _verdict(row, Valid.UNKNOWN, doubt, details | {"outcome": UNKNOWN}, cause=doubt)
    if found.allowed:
        return _verdict(row, Valid.TRUE, found.allowed[0], details | {"outcome": ALLOWED})
    if not expected and not found.played:
        return _verdict(row, Valid.UNKNOWN, "nothing put it to the test", details | {"outcome": UNTESTED}, judged=False)
    said = [found.held] if found.played else []
    said += [f"{count(len(expected), 'answer')} as it should be"] if len(expected) > len(reports) else []
    said += [f"{each.says}: {each.seen}" for each in reports]
    outcome = REPORT if expected and len(reports) == len(expected) and not found.played else PASS
    return _verdict(row, Valid.TRUE, "; ".join(said), details | {"outcome": outcome}, judged=outcome != REPORT)


def _verdict(
    row: str, valid: Valid, summary: str, details: dict[str, Any], excerpts: Sequence[Excerpt] = (), *,
    cause: str = "", judged: bool = True,
) -> Verdict:  # fmt: skip
    return Verdict(
        checker=row, valid=valid, summary=summary, details=details, excerpts=tuple(excerpts), cause=cause, judged=judged
    )
