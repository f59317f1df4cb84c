"""Judges a run by the guarantees of multiregion deployments, one verdict a guarantee.

A guarantee is judged by the changes that observers saw (``rules``), by what a scenario expected of an answer,
or by both. One that nothing put to the test is not judged, and says so; it never passes silently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.checkers import guarantees
from harness.checkers.guarantees import SHOWN, Found
from harness.checkers.rollouts.rules import rules
from harness.checkers.rollouts.ruling import Broken, Ruling
from harness.checkers.rollouts.story import Story, story_of
from harness.checkers.wording import moment
from harness.model.history import History
from harness.model.rollout import Change
from harness.model.verdict import Excerpt, Verdict

GUARANTEES: Final[dict[str, str]] = {
    "NOM-1": "a job without the block is in exactly one region, the one that the request names",
    "NOM-2": "one gossip pool, separate Raft groups",
    "NOM-3": "each region has its own copy, with the same version and its own values filled in",
    "NOM-4": "accepted by all regions, or started by none",
    "NOM-5": "a region begins by waiting, and places nothing before it runs",
    "NOM-6": "at most max_parallel regions run at once",
    "NOM-7": "a region that is done is blocked until all others are",
    "NOM-8": "when all are healthy the version becomes successful everywhere",
    "NOM-9": "regions start in the order of the list",
    "NOM-10": "a newer version cancels an older one that is still being rolled out",
    "NOM-11": "by default a failure fails all later regions, and earlier ones stay blocked",
    "NOM-12": "fail_all fails all regions",
    "NOM-13": "fail_local fails only the region that failed",
    "NOM-14": "rolling back is a region's own affair",
    "NOM-15": "an operator unblocks one region",
    "NOM-16": "a task's meta wins over its group's, the region's and the job's",
    "NOM-17": "an unknown region is refused, and nothing is stored",
    "NOM-18": "a region's count fills only groups whose count is 0",
    "NOM-19": "allocations stay in the region's datacenters",
    "NOM-20": "a region that is no longer listed is left alone (seed) or stopped (ga)",
    "NOM-21": "a region that is added begins at the current version",
    "NOM-22": "what has ended stays as it is",
    "NOM-23": "only a successful version is stable",
    "NOM-24": "system jobs obey only max_parallel; batch jobs start everywhere at once",
    "NOM-25": "a global stop stops all regions, a plain one only its own",
    "NOM-26": "a partition makes no illegal state, and the rollout can end after it",
    "NOM-27": "with a region down new multiregion jobs are refused, single-region jobs are not",
    "NOM-28": "what runs keeps running, whatever happens to the federation",
    "NOM-29": "a new leader neither loses nor repeats a step",
    "NOM-30": "a plan changes nothing",
    "NOM-31": "ending a pause wakes nobody who waits",
    "NOM-32": "only a blocked deployment can be unblocked",
    "NOM-33": "an unchanged job is no new version",
    "NOM-34": "two registrations at once leave all regions at the same version",
    "NOM-35": "a dispatch starts children in one region; periodic jobs fire at the same instant",
    "NOM-36": "the open-source build refuses the block and stores nothing",
    "NOM-37": "a single-region job never waits for other regions",
    "NOM-38": "a region with canaries is not done before they are promoted",
    "state-machine": "every step of a region is one that the specification knows",
}
FEDERATED: Final = frozenset({"NOM-1", "NOM-2", "NOM-27", "NOM-28", "NOM-36", "NOM-37"})
"""What a build without multiregion deployments can be judged by."""


@dataclass(frozen=True)
class Guarantee:
    """One guarantee of :data:`GUARANTEES`."""

    row: str

    @property
    def name(self) -> str:
        return self.row

    def check(self, history: History) -> Verdict:
        story = _read(history)
        rule = rules().get(self.row)
        return verdict_of(self.row, story, rule(story) if rule else None)


_read = guarantees.remembering(story_of)


def all_guarantees() -> tuple[Guarantee, ...]:
    """A checker per guarantee."""
    return tuple(Guarantee(row) for row in GUARANTEES)


def unsupported_by(traits: Mapping[str, str], rows: Sequence[str]) -> str:
    """Why a target cannot be judged by ``rows``; empty when it can. The open-source edition has no multiregion jobs."""
    if traits.get("edition") == "oss" and not FEDERATED.issuperset(rows):
        return "this build has no multiregion deployments (NOM-36 judges how it refuses them)"
    if traits.get("edition") == "ent" and "NOM-36" in rows:
        return "this build has multiregion deployments, so that nothing is refused as unlicensed"
    return ""


def verdict_of(row: str, story: Story, ruling: Ruling | None) -> Verdict:
    """Join what a rule found with what a scenario expected."""
    return guarantees.verdict_of(row, GUARANTEES[row], story.expectations, _found(ruling) if ruling else None)


def _found(ruling: Ruling) -> Found:
    broken = [each for each in ruling.broken if not each.allowed]
    return Found(
        broken=tuple(each.says for each in broken),
        allowed=tuple(each.says for each in ruling.broken if each.allowed),
        excerpts=tuple(map(_excerpt, broken[:SHOWN])),
        marks=tuple(mark for each in broken[:SHOWN] for mark in _marks(each)),
        played=ruling.played,
        held=ruling.held,
        doubt=ruling.doubt,
    )


def _marks(broken: Broken) -> list[dict[str, Any]]:
    """Where a picture marks the violation: the culprit first, then what shows it."""
    return [
        {"at_ns": c.time_ns, "region": c.region, "job": c.job, "version": c.version, "culprit": i == 0}
        for i, c in enumerate(broken.changes)
    ]


def _excerpt(broken: Broken) -> Excerpt:
    return Excerpt(title=broken.says, operations=(), steps=tuple(map(_step, broken.changes)), key=broken.group[0])


def _step(change: Change) -> str:
    return (
        f"{change.region}, index {change.index}: version {change.version} of {change.job} {change.status} at "
        f"{moment(change.time_ns)} ({change.description})"
    )
