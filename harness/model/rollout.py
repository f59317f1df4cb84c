"""The words of a rollout over regions: statuses, what a job asks for, and the changes that observers saw.

The statuses and texts are Nomad's; ``harness.checkers.rollouts`` judges by them. A plain log of another deployment tool
is read into the same words (``harness.formats.rollout_log``).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

OBSERVE: Final = "observe"
"""The verb that answers with a list of changes."""
EXPECT: Final = "expect"
"""A scenario's own finding: what it saw beside what a guarantee demands; ``key`` is the guarantee."""
SUBJECT: Final = "subject"
"""What a scenario is about: its ``value`` is the job's :class:`Asked` as data, its ``key`` the job's id."""

INITIALIZING, PENDING, RUNNING, PAUSED = "initializing", "pending", "running", "paused"
BLOCKED, UNBLOCKING = "blocked", "unblocking"
SUCCESSFUL, FAILED, CANCELLED = "successful", "failed", "cancelled"
STATUSES: Final = (
    INITIALIZING, PENDING, RUNNING, PAUSED, BLOCKED, UNBLOCKING, SUCCESSFUL, FAILED, CANCELLED,
)  # fmt: skip
TERMINAL: Final = frozenset({SUCCESSFUL, FAILED, CANCELLED})
FIRST: Final = frozenset({INITIALIZING, PENDING})

PEER_FAILED: Final = "Failed because of an error in peer region"
NEWER_JOB: Final = "Cancelled due to newer version of job"
JOB_STOPPED: Final = "Cancelled because job is stopped"
ROLLING_BACK: Final = "rolling back to job version"
NO_STABLE: Final = "no stable job version to auto revert to"
SAME_SPEC: Final = "as current job has same specification"

FAIL_ALL, FAIL_LOCAL = "fail_all", "fail_local"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a multiregion job version asks for: the regions in order, how many at a time (0: all), and what a failure
    does to the others. ``auto_revert``: what fails goes back; with ``mixed_revert`` only some of the job's groups do.
    ``kind`` is the job's type."""

    job: str
    regions: tuple[str, ...]
    max_parallel: int = 0
    on_failure: str = ""
    auto_revert: bool = False
    mixed_revert: bool = False
    kind: str = "service"
    canary: bool = False


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One status of one region's deployment. ``index`` orders changes inside a region and means nothing outside it;
    ``time_ns`` (of the run) is the region's own clock, comparable to another region's only up to the skew bound.
    With ``gap`` statuses before this one may have been missed."""

    region: str
    job: str
    version: int
    status: str
    index: int
    time_ns: int
    description: str = ""
    id: str = ""
    multiregion: bool = True
    gap: bool = False
    desired: int = 0
    healthy: int = 0
    awaits_promotion: bool = False


def asked_of(job: dict[str, Any]) -> Asked:
    """What a job in Nomad's JSON asks for."""
    multiregion = job.get("Multiregion") or {}
    strategy = multiregion.get("Strategy") or {}
    updates = [group.get("Update") or job.get("Update") or {} for group in job.get("TaskGroups") or []]
    reverts = {bool(update.get("AutoRevert")) for update in updates}
    return Asked(
        job=job["ID"],
        regions=tuple(region["Name"] for region in multiregion.get("Regions") or []),
        max_parallel=int(strategy.get("MaxParallel") or 0),
        on_failure=str(strategy.get("OnFailure") or ""),
        auto_revert=True in reverts,
        mixed_revert=len(reverts) > 1,
        kind=str(job.get("Type") or "service"),
        canary=any(int(update.get("Canary") or 0) > 0 for update in updates),
    )
