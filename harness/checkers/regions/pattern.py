"""Judges a run by the guarantees of the general multi-region pattern, one verdict a guarantee.

A guarantee is judged by what regions told and clients saw (``rules``), by a checker of the data that the
scenario asks for (``judges``), by what the scenario expected of an answer, or by several of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harness.checkers import guarantees
from harness.checkers.guarantees import Found
from harness.checkers.regions.judges import judged
from harness.checkers.regions.rules import rules
from harness.checkers.regions.story import Story, story_of
from harness.model.history import History
from harness.model.verdict import Verdict

GUARANTEES: Final[dict[str, str]] = {
    "MRA-1": "a request is served by the nearest healthy region that may serve it",
    "MRA-2": "geolocation looks the region up, weighted routing keeps the shares",
    "MRA-3": "after the loss of any one region there is service",
    "MRA-4": "control: with one region only, its loss is a total outage",
    "MRA-5": "a region is marked unhealthy at exactly the threshold of missed checks in a row",
    "MRA-6": "marked, then promoted, then routed",
    "MRA-7": "one primary at a time",
    "MRA-8": "a recovered primary becomes a secondary",
    "MRA-9": "acknowledged writes survive a promotion as the replication strategy says",
    "MRA-10": "strong and quorum are linearizable, and unavailable without agreement",
    "MRA-11": "strong halts with one region lost, quorum does not",
    "MRA-12": "eventual: all regions agree once writes stop and links heal",
    "MRA-13": "bounded: no read is staler than the bound",
    "MRA-14": "session: a session sees what it did and saw, wherever it goes",
    "MRA-15": "causal: no effect is seen before its cause",
    "MRA-16": "monotonic read: versions never go back for a client",
    "MRA-17": "last write wins: the highest stamp wins everywhere",
    "MRA-18": "CRDT: no increment or element is lost or counted twice",
    "MRA-19": "a custom resolver is asked at conflicts only; manual conflicts are held",
    "MRA-20": "a read replica never acknowledges a write itself",
    "MRA-21": "a pilot light serves only once it was scaled up",
    "MRA-22": "one active region at a time; a handover loses no job and runs none twice",
    "MRA-23": "spokes exchange only over the hub, and serve local data without it",
    "MRA-24": "with any single link cut a mesh still replicates, and does not diverge",
    "MRA-25": "restricted data is at rest only where it may be, also in caches, logs, backups and failovers",
    "MRA-26": "data that nothing restricts may go anywhere",
    "MRA-27": "too much transfer between regions raises an alarm",
    "MRA-28": "an idle secondary is shut down and starts again when asked; a primary never is",
    "MRA-29": "capacity follows the load without losing requests",
    "MRA-30": "the four monitors are truthful",
    "MRA-31": "round trips lie in their latency class",
    "MRA-32": "a slow network is no failover",
    "MRA-33": "latency as users see it",
    "MRA-34": "the edge cache hits often and never shows what was invalidated",
    "MRA-35": "the loss of one shard's region does not touch the others",
    "MRA-36": "how far the loss of a global service reaches",
    "MRA-37": "edge, regional, core: a lost parent is served from the cache within its time",
    "MRA-38": "availability against the target",
    "MRA-39": "asynchronous replication never waits for another region",
    "MRA-40": "batches and compression save messages and bytes, and keep content and order",
    "MRA-41": "the decision function is the pattern's tree",
    "MRA-42": "a configuration that makes no sense is refused with the reason",
    "MRA-43": "how much the survivors carry",
    "MRA-44": "two regions lost at once: agreement is unavailable but safe, eventual survivors serve",
}


@dataclass(frozen=True)
class Guarantee:
    """One guarantee of :data:`GUARANTEES`."""

    row: str

    @property
    def name(self) -> str:
        return self.row

    def check(self, history: History) -> Verdict:
        story = _read(history)
        return guarantees.verdict_of(self.row, GUARANTEES[self.row], story.expectations, found(self.row, story))


def found(row: str, story: Story) -> Found:
    """What a guarantee's own rule and the judgements that scenarios asked for found together."""
    rule = rules().get(row)
    parts = [rule(story)] if rule else []
    parts += [judged(story, judge) for wanted, judge in story.judges if wanted == row]
    return Found(
        broken=tuple(each for part in parts for each in part.broken),
        allowed=tuple(each for part in parts for each in part.allowed),
        excerpts=tuple(each for part in parts for each in part.excerpts),
        played=sum(part.played for part in parts),
        held="; ".join(part.held for part in parts if part.played),
        doubt=next((part.doubt for part in parts if part.doubt), ""),
    )


_read = guarantees.remembering(story_of)


def all_guarantees() -> tuple[Guarantee, ...]:
    """A checker per guarantee."""
    return tuple(Guarantee(row) for row in GUARANTEES)


def unsupported_by(traits: Mapping[str, str], rows: Sequence[str], asked: Mapping[str, str]) -> str:
    """Why a target in its one configuration cannot be judged by ``rows``; empty when it can."""
    for option, value in asked.items():
        if option in traits and traits[option] != value:
            return f"{', '.join(rows)} asks for {option} {value}, and this target has {traits[option]}"
    return ""
