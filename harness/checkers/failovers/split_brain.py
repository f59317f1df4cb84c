"""Did two regions acknowledge writes at the same time, each for a history of its own?

A system that forwards writes may acknowledge them everywhere, so acknowledgements alone prove nothing; what was kept
and what was lost in the end does. Within one key, which is a log, take writes that follow each other strictly in real
time: lost, kept, lost, kept ... Had there been one primary at a time, everything it lost would be the end of what it
wrote, and each step from a lost write to a kept one would be a failover. One fault brings one, its heal perhaps
another; a chain with more steps than ``FAILOVERS`` was written by two primaries, in turn because both were there.

The window lasts at least from the first kept write's acknowledgement in the chain to the last lost one's beginning,
and at most from the one's beginning to the other's acknowledgement. Regions whose final reads each show an
acknowledged write that the other lacks still are two histories.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, permutations
from typing import Any, Final, NamedTuple

import msgspec

from harness.checkers.failovers.fates import Story, stories, values
from harness.checkers.findings import Finding, verdict_of
from harness.checkers.wording import client, count, span, thing
from harness.kernels.models import freeze
from harness.model.claims import Objectives
from harness.model.clock import NS_PER_S
from harness.model.history import NEVER_NS, History, Operation
from harness.model.op import INVOKE, OK
from harness.model.verdict import Verdict

FAILOVERS: Final = 2
"""So many failovers one fault may bring, with its heal."""


class _Chain(NamedTuple):
    """Writes of one key that follow each other in real time, lost and kept in turn, from one disturbance to the next;
    the first and the last one are lost."""

    key: Any
    writes: tuple[Operation, ...]

    @property
    def failovers(self) -> int:
        """So many it would take, if there was one primary at a time."""
        return len(self.writes) // 2


@dataclass(frozen=True)
class SplitBrain:
    """False when two histories grew at the same time, or are left over; unknown when nothing is final or regions
    disagree at the end. Only a report where nobody promises ``one_primary``."""

    promised: bool = False
    name: str = "split-brain"

    def against(self, objectives: Objectives) -> SplitBrain:
        return replace(self, promised=objectives.one_primary)

    def check(self, history: History) -> Verdict:
        told, cause = stories(history)
        chains = [chain for story in told for period in _periods(history) if (chain := _chain(story, period))]
        shown = [chain for chain in chains if chain.failovers > FAILOVERS]
        left = [finding for story in told for finding in _left_over(story)]
        acknowledged = sum(op.type == OK for story in told for op in story.appends)
        unread, divided = (sum(len(getattr(story, fate)) for story in told) for fate in ("unread", "divided"))
        weak = "no write was acknowledged" if not acknowledged else ""
        weak = weak or (f"{count(unread, 'acknowledged write')} could not be read at the end" if unread else "")
        weak = weak or (f"regions disagree about {count(divided, 'acknowledged write')} at the end" if divided else "")
        weak = weak or (
            "writes were lost between kept ones, too few to tell two primaries from two failovers" * bool(chains)
        )
        verdict = verdict_of(
            self.name,
            [_finding(chain) for chain in shown] + left,
            held=f"one history: {count(acknowledged, 'acknowledged write')}, none beside it",
            cause=cause or weak,
            details=_window(shown) | {"left_over": len(left)},
            faults=history.faults,
        )
        return msgspec.structs.replace(verdict, judged=self.promised)


def _periods(history: History) -> list[tuple[int, int]]:
    """Times from one disturbance to the next; the first begins with the run."""
    moves = [op.time_ns for op in history if op.is_nemesis and op.type == INVOKE and op.f == "failback"]
    marks = sorted([0, *(fault.start_ns for fault in history.faults[1:]), *moves, NEVER_NS])
    return list(pairwise(marks))


def _chain(story: Story, period: tuple[int, int]) -> _Chain | None:
    """The longest chain: each step goes to the write that was acknowledged first of those that come into question."""

    def inside(writes: Sequence[Operation]) -> list[Operation]:
        found = [op for op in writes if period[0] <= op.start_ns < period[1]]
        return sorted(found, key=lambda op: op.end_index)

    turns, chain = (inside(story.lost), inside(story.kept)), list[Operation]()
    while True:
        since = chain[-1].end_index if chain else -1
        following = next((op for op in turns[len(chain) % 2] if op.start_index > since), None)
        if following is None:
            break
        chain.append(following)
    whole = chain[: len(chain) - 1 + len(chain) % 2]
    return _Chain(story.key, tuple(whole)) if len(whole) > 1 else None


def _finding(chain: _Chain) -> Finding:
    kept, last = chain.writes[1], chain.writes[-1]
    says = (
        f"{thing(last.value)} in {chain.key} was acknowledged to {client(last)} and dropped, "
        f"{span(last.start_ns - kept.end_ns)} after {thing(kept.value)}, which was kept, to {client(kept)}: "
        f"two sides acknowledged in turn, {chain.failovers} times"
    )
    return Finding("two primaries at once", says, last, chain.writes[:6])


def _window(chains: Sequence[_Chain]) -> dict[str, Any]:
    """The time in which both sides acknowledged, over all keys: seconds since the run began, and how long."""
    if not chains:
        return {"window_s": 0.0, "window_at_most_s": 0.0}
    kept, last = [chain.writes[1] for chain in chains], [chain.writes[-1] for chain in chains]
    begin, end = min(op.end_ns for op in kept), max(op.start_ns for op in last)
    widest = max(op.end_ns for op in last) - min(op.start_ns for op in kept)
    return {
        "window_s": round((end - begin) / NS_PER_S, 4),
        "window_at_most_s": round(widest / NS_PER_S, 4),
        "from_s": round(begin / NS_PER_S, 4),
        "to_s": round(end / NS_PER_S, 4),
        "keys": [chain.key for chain in chains],
    }


def _left_over(story: Story) -> Iterator[Finding]:
    """Pairs of regions that each show an acknowledged write which the other lacks, each pair once."""
    shown = {read.region: set(values(read)) for read in story.finals}
    done = set()
    for one, other in permutations(story.finals, 2):
        mine = [op for op in story.divided if freeze(op.value) in shown[one.region] - shown[other.region]]
        theirs = [op for op in story.divided if freeze(op.value) in shown[other.region] - shown[one.region]]
        pair = frozenset((one.region, other.region))
        if mine and theirs and pair not in done:
            done.add(pair)
            says = (
                f"at the end {one.region} has {thing(mine[0].value)} in {story.key} and {other.region} has "
                f"{thing(theirs[0].value)}, neither has both: two histories are left"
            )
            yield Finding("two histories left", says, other, (mine[0], theirs[0], one))
