"""When operations of an excerpt happened: by their times, or by the order of events where nobody recorded times."""

from __future__ import annotations

from msgspec.structs import replace

from harness.model.clock import NS_PER_MS
from harness.model.history import NEVER_NS
from harness.model.verdict import Excerpt, Marked

STEP_NS = NS_PER_MS
"""Without a clock, neighbouring events lie so far apart."""


def is_timed(excerpt: Excerpt) -> bool:
    """Whether every operation has a time."""
    return all(marked.operation.start_ns >= 0 for marked in excerpt.operations)


def placed(excerpt: Excerpt) -> tuple[Excerpt, list[int]]:
    """The excerpt with times to draw by, and the events that those stand for: event number ``events[i]`` (from 1) is
    drawn at ``i * STEP_NS``. With a clock it is the excerpt itself, and no events."""
    if is_timed(excerpt):
        return excerpt, []
    operations = [marked.operation for marked in excerpt.operations]
    indexes = {op.start_index for op in operations} | {op.end_index for op in operations if op.end_index < NEVER_NS}
    rank = {index: at * STEP_NS for at, index in enumerate(sorted(indexes))}

    def moved(marked: Marked) -> Marked:
        op = marked.operation
        end = rank.get(op.end_index, NEVER_NS)
        return replace(marked, operation=replace(op, start_ns=rank[op.start_index], end_ns=end, seen_end_ns=end))

    return replace(excerpt, operations=tuple(map(moved, excerpt.operations))), [index + 1 for index in sorted(indexes)]
