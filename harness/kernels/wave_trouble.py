"""What a rollout in waves must not do in trouble: go on in an alarm or after a failure, not go back, go back too far.

Rules over the rows of :class:`harness.kernels.waves.Waves`; every one answers with rows that break it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from harness.kernels.rollouts import NEVER, Flags
from harness.kernels.waves import Waves
from harness.model.columns import Longs
from harness.model.rollout import BLOCKED, CANCELLED, FAILED, RUNNING, SUCCESSFUL
from harness.model.waves import ALARM, ANYTHING, EVENTS, LAST_GOOD, ROLLED_BACK, WaveLog

_ALARM: Final = EVENTS.index(ALARM)


def started_in_alarm(waves: Waves) -> tuple[Longs, Longs]:
    """``(rows, alarms)``: starts of something new while an alarm was on, with the alarm's row of the log. Going back is
    what an alarm asks for. An alarm without a service concerns all."""
    log, plan = waves.log, waves.plan
    begins, ends, service = alarms(log)
    allowed = plan.halt_within_ns + plan.clock_skew_ns
    starts = np.flatnonzero(waves.entered(RUNNING) & ~waves.goes_back)
    mine = _covering(service, log.time_ns[begins] + allowed, ends, waves.service[starts], waves.time_ns[starts])
    anybody = np.full(len(starts), log.services.index(""))
    common = _covering(service, log.time_ns[begins] + allowed, ends, anybody, waves.time_ns[starts])
    hit = np.where(mine >= 0, mine, common)
    return starts[hit >= 0], begins[hit[hit >= 0]]


def alarms(log: WaveLog) -> tuple[Longs, Longs, Longs]:
    """``(rows, ends, services)``: when each alarm began (its row), until when it was on, and whose it was."""
    mine = np.flatnonzero(log.event >= _ALARM)
    order = mine[np.lexsort((log.line[mine], log.time_ns[mine], log.alarm[mine], log.service[mine]))]
    on = log.event[order] == _ALARM
    same = np.zeros(len(order), np.bool_)
    same[1:] = (log.service[order][1:] == log.service[order][:-1]) & (log.alarm[order][1:] == log.alarm[order][:-1])
    previous_on = np.concatenate([[False], on[:-1]]) if len(order) else on
    begins = np.flatnonzero(on & ~(same & previous_on))
    number = len(order)
    clears = np.minimum.accumulate(np.where(~on, np.arange(number), number)[::-1])[::-1] if number else on
    last = np.minimum.accumulate(np.where(np.append(~same[1:], True), np.arange(number), number)[::-1])[::-1]
    clear = clears[begins]
    cleared = clear <= last[begins]
    ends = np.where(cleared, log.time_ns[order[np.where(cleared, clear, 0)]] if number else NEVER, NEVER)
    return order[begins], ends.astype(np.int64), log.service[order[begins]].astype(np.int64)


def _covering(kind: Any, begin: Longs, end: Longs, of: Any, time: Longs) -> Longs:
    """For every ``time`` of kind ``of`` an interval ``[begin, end)`` of the same kind that holds it; -1 where none
    does. Of several the one that lasts longest."""
    found = np.full(len(time), -1, np.int64)
    if not len(begin) or not len(time):
        return found
    order = np.lexsort((begin, kind))
    ranks = np.unique(np.concatenate([end, time]))
    width = len(ranks) + 1
    # The latest end of all intervals of that kind that began before, by a running maximum that no kind hands on.
    weight = kind[order].astype(np.int64) * width + np.searchsorted(ranks, end[order])
    latest = np.maximum.accumulate(weight)
    holder = order[np.maximum.accumulate(np.where(weight == latest, np.arange(len(order)), 0))]
    moments = np.unique(np.concatenate([begin, time]))
    span = len(moments) + 1
    key = kind[order].astype(np.int64) * span + np.searchsorted(moments, begin[order])
    place = np.searchsorted(key, of.astype(np.int64) * span + np.searchsorted(moments, time), side="right") - 1
    good = place >= 0
    hit = holder[np.where(good, place, 0)]
    good &= (kind[hit] == of) & (begin[hit] <= time) & (time < end[hit])
    found[good] = hit[good]
    return found


def started_after_failure(waves: Waves) -> tuple[Longs, Longs]:
    """``(rows, failures)``: starts of a version while another region stood failed with it."""
    group, _ = waves.groups
    failed = np.flatnonzero(waves.entered(FAILED))
    again = waves.after(waves.entered(RUNNING, SUCCESSFUL, BLOCKED))[failed]
    same = (again >= 0) & (waves.version[again] == waves.version[failed])
    ends = np.where(same, waves.time_ns[again], NEVER)
    starts = np.flatnonzero(waves.entered(RUNNING) & ~waves.goes_back)
    begins = waves.time_ns[failed] + waves.plan.clock_skew_ns + 1
    hit = _covering(group[failed], begins, ends, group[starts], waves.time_ns[starts])
    inside = hit >= 0
    return starts[inside], failed[hit[inside]]


def not_rolled_back(waves: Waves) -> tuple[Longs, Longs]:
    """``(rows, undecided)``: failures after which the region neither went back nor got over it in time, and those for
    which the log ends too early."""
    within = waves.plan.rollback_within_ns
    failed = np.flatnonzero(waves.entered(FAILED))
    if within is None:
        return failed[:0], failed[:0]
    solves = waves.goes_back | waves.entered(SUCCESSFUL, BLOCKED)
    solved = waves.after(solves)[failed]
    due = waves.time_ns[failed] + within
    late = np.where(solved >= 0, waves.time_ns[solved], NEVER) > due
    over = due > waves.log.time_ns.max(initial=0)
    return failed[late & ~(over & (solved < 0))], failed[late & over & (solved < 0)]


def unsafe_target(waves: Waves) -> Longs:
    """Rollbacks to a version that was not good in that region: one that was never done there, or, where the last good
    one is asked for, another than that."""
    plan, back = waves.plan, np.flatnonzero(waves.goes_back)
    if plan.rollback_to == ANYTHING:
        return back[:0]
    initial = waves.log.versions.index(plan.initial) if plan.initial in waves.log.versions else -2
    good = waves.entered(SUCCESSFUL, BLOCKED, ROLLED_BACK)
    target = waves.version[back]
    if plan.rollback_to == LAST_GOOD:
        last = _last_good(waves, good)[back]
        known = np.where(last >= 0, waves.version[last], initial)
        wrong: Longs = back[(known != target) & (known != -2)]
        return wrong
    cell = (waves.service.astype(np.int64) * len(plan.regions) + waves.region) * (len(waves.log.versions) + 1)
    done = np.flatnonzero(good)
    keys, first = np.unique(cell[done] + waves.version[done], return_index=True)
    place = np.minimum(np.searchsorted(keys, cell[back] + target), max(len(keys) - 1, 0))
    was = (keys[place] == cell[back] + target) & (done[first[place]] < back) if len(keys) else target < -1
    # What ran before the log began may have been good, unless the plan says what that was.
    unknown = (initial == -2) & ~_was_started(waves, back, cell)
    never: Longs = back[~was & (target != initial) & ~unknown]
    return never


def _was_started(waves: Waves, back: Longs, cell: Longs) -> Flags:
    """Whether the log has the start of the version that each of the rows ``back`` goes back to, in that region."""
    started = waves.entered(RUNNING) & ~waves.goes_back
    return np.isin(cell[back] + waves.version[back], cell[started] + waves.version[started])


def _last_good(waves: Waves, good: Flags) -> Longs:
    """For every rollback the last good row before the start of the version that it leaves."""
    started = waves.before(waves.entered(RUNNING))
    last = waves.before(good)
    return np.where(started >= 0, last[started], last)


def below_floor(waves: Waves) -> tuple[Longs, Longs, Longs]:
    """``(early, back, pairs)``: rows that start a version before what it needs is everywhere; rows that go back below
    it afterwards; and for each of both, one after the other, the place of the pair in ``never_below``."""
    early, back, pairs_early, pairs_back = [], [], [], []
    running = waves.entered(RUNNING)
    for pair, (version, floor) in enumerate(waves.plan.never_below.items()):
        if version not in waves.log.versions or floor not in waves.log.versions:
            continue
        new, low = waves.log.versions.index(version), waves.log.versions.index(floor)
        starts = np.flatnonzero(running & (waves.version == new))
        if waves.plan.initial not in waves.log.versions or waves.log.versions.index(waves.plan.initial) < low:
            ready = _everywhere_ns(waves, low)
            wrong = starts[waves.time_ns[starts] + waves.plan.clock_skew_ns < ready[waves.service[starts]]]
            early.append(wrong)
            pairs_early += [pair] * len(wrong)
        first = np.full(len(waves.log.services), NEVER)
        np.minimum.at(first, waves.service[starts], waves.time_ns[starts])
        under = np.flatnonzero(waves.goes_back & (waves.version < low))
        wrong = under[waves.time_ns[under] > first[waves.service[under]] + waves.plan.clock_skew_ns]
        back.append(wrong)
        pairs_back += [pair] * len(wrong)
    nothing = np.empty(0, np.int64)
    rows_early = np.concatenate([nothing, *early])
    rows_back = np.concatenate([nothing, *back])
    return rows_early, rows_back, np.array([*pairs_early, *pairs_back], np.int64)


def _everywhere_ns(waves: Waves, low: int) -> Longs:
    """Per service: when the last region was done with a version of that rank or a newer one."""
    done = np.flatnonzero(waves.entered(SUCCESSFUL, BLOCKED) & (waves.version >= low))
    number = len(waves.plan.regions)
    ready = np.full(len(waves.log.services) * number, NEVER)
    np.minimum.at(ready, waves.service[done].astype(np.int64) * number + waves.region[done], waves.time_ns[done])
    latest: Longs = ready.reshape(-1, number).max(axis=1)
    return latest


def unfinished(waves: Waves) -> tuple[Longs, Longs]:
    """``(groups, undecided)``: versions that were not everywhere in time though nothing failed and nothing newer came,
    and those for which the log ends too early."""
    deadline = waves.plan.deadline_ns
    found, _ = waves.rollouts
    start = waves.started_ns.min(axis=1, initial=NEVER)
    groups = np.flatnonzero(start < NEVER)
    if deadline is None or not len(groups):
        return groups[:0], groups[:0]
    finished = waves.done_ns.max(axis=1, initial=-NEVER)
    stopped = np.asarray((found.first_ns(FAILED, CANCELLED) < NEVER).any(axis=1), np.bool_)
    newest = _superseded(waves)
    due = start[groups] + deadline
    open_ = (finished[groups] > due) & ~stopped[groups] & (newest[groups] > due)
    over = due > waves.log.time_ns.max(initial=0)
    return groups[open_ & ~over], groups[open_ & over]


def _superseded(waves: Waves) -> Longs:
    """Per group: when a newer version of its service was first started; NEVER when none was."""
    group, first = waves.groups
    start = np.full(len(first), NEVER)
    rows = np.flatnonzero(waves.entered(RUNNING))
    np.minimum.at(start, group[rows], waves.time_ns[rows])
    service, version = waves.service[first], waves.version[first]
    order = np.lexsort((-version, service))
    best = np.full(len(first), NEVER)
    newest, last = NEVER, -1
    for g in order.tolist():  # from the newest version to the oldest, service by service
        newest = NEVER if service[g] != last else newest
        best[g], last = newest, service[g]
        newest = min(newest, start[g])
    return best
