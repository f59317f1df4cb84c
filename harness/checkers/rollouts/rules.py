"""What a rollout must keep, rule by rule: each is a guarantee of the multiregion specification.

A rule looks at a story and says how it was kept, how it was broken, or that nothing put it to the test. The numbers
are those of the guarantees: order of starting (9), how many at a time (6), acceptance by all (4), waiting for the last
(7, 8), failure (11 to 13), rollback (14), ends that stay ends (22).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from harness.checkers.rollouts import failures
from harness.checkers.rollouts.ruling import LIVENESS_S, PROPAGATION_S, Broken, Ruling, shown
from harness.checkers.rollouts.story import Story
from harness.checkers.wording import count, moment
from harness.kernels.rollouts import statuses
from harness.kernels.rollouts.statuses import CODE, NEVER
from harness.model.clock import NS_PER_S
from harness.model.columns import Longs
from harness.model.rollout import (
    BLOCKED,
    CANCELLED,
    FAILED,
    FIRST,
    NEWER_JOB,
    PENDING,
    RUNNING,
    SUCCESSFUL,
    TERMINAL,
    UNBLOCKING,
    Change,
)

Rule = Callable[[Story], Ruling]


def rules() -> dict[str, Rule]:
    """Every rule by its guarantee."""
    return {
        "NOM-4": accepted_by_all,
        "NOM-5": begins_waiting,
        "NOM-6": max_parallel,
        "NOM-7": waits_for_the_last,
        "NOM-8": completes,
        "NOM-9": list_order,
        "NOM-10": superseded,
        "NOM-11": failures.default_failure,
        "NOM-12": failures.fail_all,
        "NOM-13": failures.fail_local,
        "NOM-14": failures.rolls_back,
        "NOM-22": ends_stay,
        "NOM-29": steps_once,
        "NOM-37": single_region,
        "state-machine": legal_steps,
    }


def _of(story: Story, group: int) -> str:
    job, version = story.groups[group]
    return f"version {version} of {job}"


def _at(change: Change | None) -> str:
    return f"{change.region} {change.status} at {moment(change.time_ns)}" if change else "nothing"


def _entered(story: Story, group: int, position: int, *statuses: str) -> Change | None:
    region = story.asked[story.groups[group]].regions[position]
    return next((c for c in story.of(story.groups[group], region) if c.status in statuses), None)


def _started(story: Story) -> Longs:
    started: Longs = (story.columns.first_ns(RUNNING) < NEVER).sum(axis=1)
    return started


# --- before anything runs ------------------------------------------------------------------------------


def accepted_by_all(story: Story) -> Ruling:
    """NOM-4: no region runs a version before every listed region has it."""
    groups, positions, missing = statuses.started_unaccepted(story.columns)
    broken = []
    for g, p, m in zip(groups.tolist(), positions.tolist(), missing.tolist(), strict=True):
        regions = story.asked[story.groups[g]].regions
        ran, late = _entered(story, g, p, RUNNING), _entered(story, g, m, *FIRST, RUNNING)
        accepted = f"accepted only at {moment(late.time_ns)}" if late else "never accepted"
        says = (
            f"{regions[p]} ran {_of(story, g)} from {moment(ran.time_ns if ran else 0)}, which {regions[m]} {accepted}"
        )
        broken.append(Broken(says, story.groups[g], shown(ran, late)))
    played = int((_started(story) > 0).sum())
    return Ruling("NOM-4", tuple(broken), played, f"{count(played, 'version')} ran only after all regions had it")


def begins_waiting(story: Story) -> Ruling:
    """NOM-5: a region begins as initializing or pending, and places nothing of a version before it runs."""
    found, broken = story.columns, []
    begins = [story.sorted_changes[row] for row in np.flatnonzero(found.begins).tolist()]
    for change in begins:
        if change.status not in FIRST and not change.gap:
            says = f"the first status of {change.region} for version {change.version} was {change.status}"
            broken.append(Broken(says, (change.job, change.version), (change,)))
    running = {_cell(c): c for c in reversed(story.sorted_changes) if c.status == RUNNING}
    begun = {_cell(c) for c in story.sorted_changes}
    # Behind a gap nobody knows when it began to run.
    missed = {_cell(c) for c in story.sorted_changes if c.gap and running.get(_cell(c), c) is c}
    for alloc in story.allocs:
        cell = (alloc["region"], alloc["job"], alloc["version"])
        ran = running.get(cell)
        if cell in begun - missed and alloc["created"] <= (ran.index if ran else NEVER):
            says = f"{alloc['region']} placed an allocation of version {alloc['version']} before that version ran there"
            broken.append(Broken(says, (alloc["job"], alloc["version"])))
    return Ruling("NOM-5", tuple(broken), len(begins), f"{count(len(begins), 'region')} began by waiting")


def _cell(change: Change) -> tuple[str, str, int]:
    return change.region, change.job, change.version


def max_parallel(story: Story) -> Ruling:
    """NOM-6: never more regions running at once than max_parallel."""
    groups, counts, times = statuses.too_many_running(story.columns)
    broken = []
    for g, number, at in zip(groups.tolist(), counts.tolist(), times.tolist(), strict=True):
        limit = story.asked[story.groups[g]].max_parallel
        running = [c for c in story.sorted_changes if (c.job, c.version) == story.groups[g] and c.status == RUNNING]
        says = f"{count(number, 'region')} ran {_of(story, g)} at once from {moment(at)}; max_parallel is {limit}"
        broken.append(Broken(says, story.groups[g], tuple(running)))
    limited = story.columns.limit > 0
    played = int(((_started(story) > story.columns.limit) & limited).sum())
    held = f"{count(played, 'version')} started more regions than may run at once, and never too many together"
    return Ruling("NOM-6", tuple(broken), played, held)


def list_order(story: Story) -> Ruling:
    """NOM-9: with max_parallel, regions start in the order of the list."""
    groups, positions, earlier = statuses.out_of_order(story.columns)
    broken = []
    for g, p, e in zip(groups.tolist(), positions.tolist(), earlier.tolist(), strict=True):
        if story.columns.limit[g]:
            regions = story.asked[story.groups[g]].regions
            late, early = _entered(story, g, p, RUNNING), _entered(story, g, e, RUNNING)
            says = f"{regions[p]} started {_of(story, g)} before {regions[e]}, which comes earlier in the list"
            broken.append(Broken(says, story.groups[g], shown(late, early)))
    played = int(((_started(story) > 1) & (story.columns.limit > 0)).sum())
    return Ruling("NOM-9", tuple(broken), played, f"{count(played, 'version')} started regions in the listed order")


# --- until the last one ----------------------------------------------------------------------------------


def waits_for_the_last(story: Story) -> Ruling:
    """NOM-7: a region that is done is blocked until every other one is done, and blocks only when it is healthy."""
    found, broken = story.columns, []
    groups, positions, waiting = statuses.unblocked_early(found, story.excused)
    for g, p, w in zip(groups.tolist(), positions.tolist(), waiting.tolist(), strict=True):
        regions = story.asked[story.groups[g]].regions
        gone, late = _entered(story, g, p, UNBLOCKING, SUCCESSFUL), _entered(story, g, w, BLOCKED, *TERMINAL)
        then = f"was done only at {moment(late.time_ns)}" if late else "never was done"
        says = f"{regions[p]} was let go at {moment(gone.time_ns if gone else 0)}, while {regions[w]} {then}"
        broken.append(Broken(says, story.groups[g], shown(gone, late)))
    blocked = [change for change in story.sorted_changes if change.status == BLOCKED]
    for change in blocked:
        if change.healthy < change.desired or change.awaits_promotion:
            state = f"{change.healthy} of {change.desired} allocations healthy"
            state += ", canaries not promoted" if change.awaits_promotion else ""
            says = f"{change.region} was blocked with {state}"
            broken.append(Broken(says, (change.job, change.version), (change,)))
    for before, change in _pairs(story):
        if before is not None and before.status == RUNNING and change.status in (SUCCESSFUL, UNBLOCKING):
            if change.id in story.unblocked_by_hand or change.gap:
                continue
            says = f"{change.region} became {change.status} right out of running, without waiting for the others"
            broken.append(Broken(says, (change.job, change.version), (before, change)))
    return Ruling("NOM-7", tuple(broken), len(blocked), f"{count(len(blocked), 'region')} waited for the last one")


def completes(story: Story) -> Ruling:
    """NOM-8: where every region is healthy the version is successful everywhere, soon after the last trouble."""
    broken, played, doubt = [], 0, ""
    last = story.columns.last
    for g, group in enumerate(story.groups):
        asked = story.asked[group]
        codes = last[g, : len(asked.regions)].tolist()
        if any(code in (CODE[FAILED], CODE[CANCELLED]) for code in codes):
            continue
        if all(code == CODE[SUCCESSFUL] for code in codes):
            played += 1
            continue
        waited_s = (story.end_ns - story.last_trouble_ns) / NS_PER_S
        if waited_s < LIVENESS_S:
            doubt = (
                doubt
                or f"{_of(story, g)} was not complete, but was watched for only {waited_s:.1f} s after the last act"
            )
            continue
        left = [region for region, code in zip(asked.regions, codes, strict=True) if code != CODE[SUCCESSFUL]]
        says = f"{_of(story, g)} is not successful in {', '.join(left)}, {waited_s:.1f} s after the last act or fault"
        broken.append(Broken(says, group, tuple(story.of(group, left[0])[-1:])))
    return Ruling("NOM-8", tuple(broken), played, f"{count(played, 'version')} became successful everywhere", doubt)


def superseded(story: Story) -> Ruling:
    """NOM-10: a newer version cancels what is active of an older one, in every region, with the right words."""
    broken, played = [], 0
    newest: dict[tuple[str, str], Change] = {}
    for change in story.changes:  # by region and index
        cell = (change.region, change.job)
        before = newest.get(cell)
        if before is not None and change.version < before.version and change.status not in TERMINAL:
            says = f"{change.region} still had version {change.version} {change.status} beside version {before.version}"
            broken.append(Broken(says, (change.job, change.version), (before, change)))
        if before is None or change.version >= before.version:
            newest[cell] = change
    for change in story.changes:
        beside = story.newest_version(change)
        if beside > change.version and change.status == CANCELLED:
            played += 1
            if not change.description.startswith(NEWER_JOB):
                says = f"{change.region} cancelled version {change.version} for a newer one as {change.description!r}"
                broken.append(Broken(says, (change.job, change.version), (change,)))
        elif beside > change.version and change.status == SUCCESSFUL:
            says = f"{change.region} made version {change.version} successful after version {beside} was there"
            broken.append(Broken(says, (change.job, change.version), (change,)))
    doubt = ""
    for left, newer in _left_active(story):
        waited_s = (story.end_ns - newer.time_ns) / NS_PER_S
        says = f"{left.region} still had version {left.version} {left.status} {waited_s:.1f} s after {newer.version}"
        if waited_s > PROPAGATION_S:
            broken.append(Broken(f"{says} was there", (left.job, left.version), (left, newer)))
        else:
            doubt = doubt or f"{says} came, and was watched no longer"
    held = f"{count(played, 'older deployment')} cancelled by a newer version"
    return Ruling("NOM-10", tuple(broken), played, held, doubt)


def _left_active(story: Story) -> Iterator[tuple[Change, Change]]:
    """Deployments that never ended although their region has a newer version, with the first word of that."""
    first: dict[tuple[str, str, int], Change] = {}
    last: dict[tuple[str, str, int, str], Change] = {}
    for change in story.changes:  # by region and index
        first.setdefault(_cell(change), change)
        last[(*_cell(change), change.id)] = change
    for change in last.values():
        newer = [c for (region, job, version), c in first.items()
                 if (region, job) == (change.region, change.job) and version > change.version]  # fmt: skip
        if newer and change.status not in TERMINAL:
            yield change, min(newer, key=lambda c: c.time_ns)


# --- always ----------------------------------------------------------------------------------------------


def ends_stay(story: Story) -> Ruling:
    """NOM-22: nothing follows a terminal status."""
    broken, ends = [], 0
    by_id: dict[tuple[str, str], Change] = {}
    for change in story.changes:
        before = by_id.get((change.region, change.id))
        if before is not None and before.status in TERMINAL and change.status != before.status:
            says = f"{change.region} went from {before.status} to {change.status}"
            broken.append(Broken(says, (change.job, change.version), (before, change)))
        ends += change.status in TERMINAL and (before is None or before.status != change.status)
        by_id[change.region, change.id] = change
    return Ruling("NOM-22", tuple(broken), 0, f"{count(ends, 'end')} stayed an end")


def steps_once(story: Story) -> Ruling:
    """NOM-29: no status is entered twice, except out of a pause."""
    broken = []
    for row in statuses.entered_twice(story.columns).tolist():
        change = story.sorted_changes[row]
        says = f"{change.region} entered {change.status} for the second time at {moment(change.time_ns)}"
        broken.append(Broken(says, (change.job, change.version), (change,)))
    return Ruling("NOM-29", tuple(broken), 0, "no step was taken twice")


def single_region(story: Story) -> Ruling:
    """NOM-37: a job without the block begins running, and never waits for anybody."""
    broken, played = [], 0
    multi = {(change.job, change.version) for change in story.changes if change.multiregion}
    begun: set[tuple[str, str]] = set()
    for change in story.changes:
        if (change.job, change.version) in multi or change.multiregion:
            continue
        new = (change.region, change.id) not in begun
        begun.add((change.region, change.id))
        played += new
        wrong = change.status in (PENDING, BLOCKED, UNBLOCKING) or (new and change.status != RUNNING and not change.gap)
        if wrong:
            says = f"{change.region} had the single-region job {change.job} {'first ' if new else ''}{change.status}"
            broken.append(Broken(says, (change.job, change.version), (change,)))
    return Ruling("NOM-37", tuple(broken), played, f"{count(played, 'single-region deployment')} waited for nobody")


def legal_steps(story: Story) -> Ruling:
    """The state machine: every step of a region is one that the specification knows."""
    broken = []
    pairs = list(_pairs(story))
    for row in statuses.illegal_steps(story.columns).tolist():
        before, change = pairs[row]
        came = f"from {before.status} to {change.status}" if before else f"first to {change.status}"
        says = f"{change.region} went {came} at {moment(change.time_ns)}, which no rule allows"
        broken.append(Broken(says, (change.job, change.version), shown(before, change)))
    return Ruling(
        "state-machine", tuple(broken), len(pairs), f"{count(len(pairs), 'step')} of the state machine, all legal"
    )


def _pairs(story: Story) -> Iterator[tuple[Change | None, Change]]:
    begins = story.columns.begins
    for row, change in enumerate(story.sorted_changes):
        yield (None if begins[row] else story.sorted_changes[row - 1]), change
