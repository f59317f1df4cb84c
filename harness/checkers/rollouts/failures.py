"""What a failure does to a rollout: to the other regions (11 to 13), and to the region itself (14)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from harness.checkers.rollouts.ruling import LIVENESS_S, PROPAGATION_S, Broken, Ruling, shown
from harness.checkers.rollouts.story import Story, failed_itself
from harness.checkers.wording import count, moment
from harness.kernels.rollouts import statuses
from harness.kernels.rollouts.statuses import ALL, ANY, LOCAL
from harness.model.clock import NS_PER_S
from harness.model.rollout import CANCELLED, FAILED, FIRST, ROLLING_BACK, RUNNING, SUCCESSFUL, Change


def default_failure(story: Story) -> Ruling:
    """NOM-11: by default a failure fails every later region; earlier ones stay blocked."""
    return _policy(story, "NOM-11", ANY)


def fail_all(story: Story) -> Ruling:
    """NOM-12: with fail_all a failure fails every region; only one that was being let go already may get away."""
    return _policy(story, "NOM-12", ALL)


def fail_local(story: Story) -> Ruling:
    """NOM-13: with fail_local a failure is one region's own; the others go on and stay blocked."""
    return _policy(story, "NOM-13", LOCAL)


def _policy(story: Story, row: str, policy: int) -> Ruling:
    found = story.columns
    must, let_go = statuses.must_fail(found), statuses.let_go_after_failure(found, story.excused)
    broken: list[Broken] = []
    played, doubt = 0, ""
    for g in np.flatnonzero(found.policy == policy).tolist():
        group = story.groups[g]
        asked = story.asked[group]
        failed = [c for c in story.sorted_changes if (c.job, c.version) == group and failed_itself(c)]
        if not failed or asked.kind == "system":
            continue
        played += 1
        patience_s = (story.end_ns - max(story.last_trouble_ns, failed[0].time_ns)) / NS_PER_S
        for p, region in enumerate(asked.regions):
            mine = story.of(group, region)
            last = mine[-1] if mine else None
            told = _misled(story, g, p, last, bool(must[g, p]), bool(let_go[g, p]), failed, patience_s)
            if told == "soon":
                doubt = doubt or f"{region} was watched for only {patience_s:.1f} s after a failure"
            elif told:
                broken.append(Broken(told, group, shown(failed[0], last), allowed=told.startswith("(allowed)")))
    return Ruling(
        row, tuple(broken), played, f"{count(played, 'failure')} reached whom it should and nobody else", doubt
    )


def _misled(
    story: Story,
    g: int,
    p: int,
    last: Change | None,
    must: bool,
    let_go: bool,
    failed: Sequence[Change],
    patience_s: float,
) -> str:
    """What is wrong with a region's end after a failure; ``soon`` when it had too little time, empty if nothing is."""
    region = story.asked[story.groups[g]].regions[p]
    first = failed[0]
    source = f"{first.region} failed version {first.version} at {moment(first.time_ns)}"
    if last is None or any(change.region == region for change in failed) or last.status == CANCELLED:
        return ""
    if must and last.status != FAILED:
        if last.status == SUCCESSFUL and not let_go:
            return f"(allowed) {source}; {region} had been done and became successful at the same time"
        return f"{source}; {region} is {last.status}, not failed" if patience_s > PROPAGATION_S else "soon"
    if not must and last.status == FAILED:
        return f"{source}; {region} was marked as failed, too ({last.description})"
    if not must and let_go and last.status == SUCCESSFUL:
        return f"{source}; {region} became successful although no operator unblocked it"
    if story.columns.policy[g] == LOCAL and last.status in (*FIRST, RUNNING) and not last.awaits_promotion:
        latest_ns = max(c.time_ns for c in story.sorted_changes if (c.job, c.version) == story.groups[g])
        still_s = (story.end_ns - max(story.last_trouble_ns, latest_ns)) / NS_PER_S
        return f"{source}, which is its own affair; {region} is still {last.status}" if still_s > LIVENESS_S else "soon"
    return ""


def rolls_back(story: Story) -> Ruling:
    """NOM-14: a failed region goes back exactly when it says so; one that did not fail does not."""
    broken, played, doubt = [], 0, ""
    for change in story.sorted_changes:
        if change.status != FAILED:
            continue
        asked = story.asked[change.job, change.version]
        says_why = any(words in change.description for words in _ROLLBACK_WORDS)
        next_one = [c for c in story.changes if (c.region, c.job) == (change.region, change.job)
                    and c.version == change.version + 1]  # fmt: skip
        played += asked.auto_revert
        if asked.auto_revert and not says_why and not asked.mixed_revert:
            says = f"{change.region} failed with auto_revert, and neither went back nor said why not"
            broken.append(Broken(says, (change.job, change.version), (change,)))
        if not asked.auto_revert and says_why:
            says = f"{change.region} went back without auto_revert: {change.description}"
            broken.append(Broken(says, (change.job, change.version), (change,)))
        goes_back = ROLLING_BACK in change.description and not change.gap
        if goes_back and not next_one and story.end_ns - change.time_ns < PROPAGATION_S * NS_PER_S:
            doubt = f"{change.region} said that it goes back, and was not watched long enough to see it"
        elif goes_back and not next_one:
            says = f"{change.region} said that it goes back, and no next version of the job appeared there"
            broken.append(Broken(says, (change.job, change.version), (change,)))
    return Ruling("NOM-14", tuple(broken), played, f"{count(played, 'failed region')} went back as its job says", doubt)


_ROLLBACK_WORDS: Final = ("rolling back to job version", "no stable job version", "not rolling back")
