"""What became of acknowledged writes to lists, found by looking at everything again and again. Shares no code with the
checkers: who wrote what and when a run is at rest are asked anew for every value.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import permutations
from typing import Any, NamedTuple

from harness.model.history import NEVER_NS, History, Operation
from harness.model.op import FAIL, INVOKE, OK

FAILOVERS = 2


class Fates(NamedTuple):
    """One key: its appends, its answered reads, and of each region the last read that nothing could change any more.
    ``whole``: every node served as it should by then."""

    key: Any
    appends: list[Operation]
    reads: list[Operation]
    finals: dict[str, Operation]
    whole: bool

    def writers(self, value: Any) -> list[Operation]:
        """Who tried to append it."""
        return [op for op in self.appends if op.value == value]

    def acknowledged(self) -> list[Operation]:
        """The appends whose clients were told that they are safe."""
        return [op for op in self.appends if op.type == OK]

    def shown(self, value: Any) -> set[str]:
        """The regions that have it at the end."""
        return {region for region, read in self.finals.items() if value in read.result}

    def fate(self, op: Operation) -> str:
        """kept, lost, divided or unread."""
        if not self.finals:
            return "unread"
        shown = len(self.shown(op.value))
        return "divided" if 0 < shown < len(self.finals) else "kept" if shown else "lost" if self.whole else "unread"


def healed(history: History) -> bool:
    """Whether every fault is known to be undone."""
    return all(fault.healed for fault in history.faults)


def fates(history: History) -> list[Fates]:
    """Every key that was appended to or read."""
    appends = [op for op in history.operations if op.f == "append"]
    found = []
    for key in {op.key: None for op in history.operations}:
        reads = [op for op in history.operations if op.f == "entries" and op.key == key and op.type == OK]
        mine = [op for op in appends if op.key == key]
        last = [read for read in reads if healed(history) and _at_rest(read, appends, history)]
        whole = not any(op.is_nemesis and op.f == "unready" for op in history)
        found.append(Fates(key, mine, reads, {read.region: read for read in last}, whole))
    return found


def _at_rest(read: Operation, appends: list[Operation], history: History) -> bool:
    """Nothing that may have happened was under way when it began, and no fault acted."""
    over = [op.start_index if op.end_index == NEVER_NS else op.end_index for op in appends if op.type != FAIL]
    over_ns = [op.start_ns if op.seen_end_ns == NEVER_NS else op.seen_end_ns for op in appends if op.type != FAIL]
    over_ns += [fault.end_ns for fault in history.faults]
    return all(at < read.start_index for at in over) and all(at <= read.start_ns for at in over_ns)


# --- what a list must not show -----------------------------------------------------------------------


def wrongs(story: Fates) -> Iterator[str]:
    """Every kind of trouble with what reads showed, as often as it is seen."""
    for read in story.reads:
        for value in read.result:
            writers = story.writers(value)
            if len(writers) == 1 and read.result.count(value) > 1:
                yield "doubled"
            if len(writers) == 1 and writers[0].type == FAIL:
                yield "resurrected"
            if not any(op.start_index < read.end_index for op in writers):
                yield "phantom"
    if any(_came_back(story, op) for op in story.acknowledged() if len(story.writers(op.value)) == 1):
        yield "came back"
    if any(_behind(story, read) for read in story.finals.values()):
        yield "reordered"


def _came_back(story: Fates, op: Operation) -> bool:
    """A region's copy had something later without it, and then had it."""
    for one, other in permutations(story.reads, 2):
        if one.region != other.region or one.end_index >= other.start_index or op.value in one.result:
            continue
        later = [w for value in one.result if len(writers := story.writers(value)) == 1 for w in writers]
        if op.value in other.result and any(op.end_index < w.start_index for w in later):
            return True
    return False


def _behind(story: Fates, read: Operation) -> bool:
    """Two acknowledged writes stand in the opposite order of their times."""
    mine = [op for op in story.acknowledged() if op.value in read.result and len(story.writers(op.value)) == 1]
    return any(
        early.end_index < late.start_index and read.result.index(late.value) < read.result.index(early.value)
        for early, late in permutations(mine, 2)
    )


# --- how many primaries ------------------------------------------------------------------------------


def periods(history: History) -> list[tuple[int, int]]:
    """From one disturbance to the next: further faults, and planned moves of the leadership."""
    marks = {fault.start_ns for fault in history.faults[1:]}
    marks |= {op.time_ns for op in history if op.is_nemesis and op.f == "failback" and op.type == INVOKE}
    edges = [0, *sorted(marks), NEVER_NS]
    return [(edges[i], edges[i + 1]) for i in range(len(edges) - 1)]


def interruptions(story: Fates, period: tuple[int, int]) -> int:
    """In whatever order one primary after another took the writes of this time: so often at least did it begin to lose
    them again. 0 when all that it lost may stand together."""
    ops = [op for op in story.acknowledged() if period[0] <= op.start_ns < period[1]]
    ops = [op for op in ops if story.fate(op) in ("kept", "lost")]

    @cache
    def fewest(left: frozenset[int], losing: bool) -> int:
        """Stretches of lost writes still to come."""
        if not left:
            return 0
        first = [at for at in left if not any(ops[o].end_index < ops[at].start_index for o in left)]
        return min(
            (story.fate(ops[at]) == "lost" and not losing) + fewest(left - {at}, story.fate(ops[at]) == "lost")
            for at in first
        )

    return max(0, fewest(frozenset(range(len(ops))), False) - 1)


def left_over(story: Fates) -> bool:
    """Two regions that each have an acknowledged write which the other lacks."""
    values = {op.value for op in story.acknowledged()}
    contents = [values.intersection(read.result) for read in story.finals.values()]
    return any(one - other and other - one for one, other in permutations(contents, 2))
