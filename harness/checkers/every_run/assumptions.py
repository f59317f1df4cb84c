"""Is the record itself sound? Nothing may be concluded from one that is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.checkers.wording import and_more, count
from harness.model.history import History
from harness.model.op import INVOKE, TYPES, Op
from harness.model.verdict import Valid, Verdict


@dataclass(frozen=True)
class Assumptions:
    """Unknown when a process overlaps itself, a completion has no invocation or answers another one, or time or
    the numbering goes back."""

    name: str = "assumptions"

    def check(self, history: History) -> Verdict:
        problems = list(_problems(history))
        if not problems:
            summary = f"the history is sound: {count(len(history), 'event')}"
            return Verdict(checker=self.name, valid=Valid.TRUE, summary=summary)
        cause = and_more(problems)
        return Verdict(
            checker=self.name,
            valid=Valid.UNKNOWN,
            summary=f"the history cannot be trusted: {cause}",
            cause=cause,
            details={"problems": problems},
        )


def _problems(history: History) -> Iterator[str]:
    last_ns, last_index = -1, -1
    is_open: dict[int, Op] = {}
    for position, op in enumerate(history):
        where = f"event {op.index if op.index >= 0 else position}"
        if op.type not in TYPES:
            yield f"{where}: type {op.type!r} is none of {', '.join(TYPES)}"
        if op.time_ns < last_ns:
            yield f"{where}: time goes back from {last_ns} to {op.time_ns} ns"
        if 0 <= op.index <= last_index:
            yield f"{where}: follows event {last_index}"
        last_ns, last_index = max(last_ns, op.time_ns), max(last_index, op.index)
        if not op.is_nemesis:
            yield from _pairing(where, op, is_open)


def _pairing(where: str, op: Op, is_open: dict[int, Op]) -> Iterator[str]:
    if op.type == INVOKE:
        if op.process in is_open:
            yield f"{where}: process {op.process} invokes {op.f} while its {is_open[op.process].f} is open"
        is_open[op.process] = op
        return
    begun = is_open.pop(op.process, None)
    if begun is None:
        yield f"{where}: process {op.process} completes {op.f}, which it never invoked"
    elif (begun.f, begun.key) != (op.f, op.key):
        yield f"{where}: process {op.process} invoked {begun.f} of {begun.key} and completes {op.f} of {op.key}"
