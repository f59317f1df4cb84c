"""What a rollout in waves must not do in trouble: go on in an alarm or after a failure, not go back, not end.

Rules over the rows of :class:`harness.kernels.rollouts.waves.Waves`; every one answers with rows that break it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from harness.kernels.intervals import covering
from harness.kernels.rollouts.statuses import NEVER
from harness.kernels.rollouts.waves import Waves
from harness.model.columns import Longs
from harness.model.rollout import (
    BLOCKED,
    CANCELLED,
    FAILED,
    INITIALIZING,
    PAUSED,
    PENDING,
    RUNNING,
    SUCCESSFUL,
    UNBLOCKING,
)
from harness.model.waves import ALARM, EVENTS, WaveLog

_ALARM: Final = EVENTS.index(ALARM)


def started_in_alarm(waves: Waves) -> tuple[Longs, Longs]:
    """``(rows, alarms)``: starts of something new while an alarm was on, with the alarm's row of the log. Going back is
    what an alarm asks for. An alarm without a service concerns all."""
    log, plan = waves.log, waves.plan
    begins, ends, service = alarms(log)
    allowed = plan.halt_within_ns + plan.clock_skew_ns
    starts, until = np.flatnonzero(waves.starts), ends - plan.clock_skew_ns
    mine = covering(service, log.time_ns[begins] + allowed, until, waves.service[starts], waves.time_ns[starts])
    anybody = np.full(len(starts), log.services.index(""))
    common = covering(service, log.time_ns[begins] + allowed, until, anybody, waves.time_ns[starts])
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


def started_after_failure(waves: Waves) -> tuple[Longs, Longs]:
    """``(rows, failures)``: starts of a version while another region stood failed with it: until it is tried there
    again, or done."""
    group, _ = waves.groups
    failed = np.flatnonzero(waves.entered(FAILED))
    again = waves.following(waves.entered(RUNNING, SUCCESSFUL, BLOCKED), failed, group[failed])
    ends = np.where(again >= 0, waves.time_ns[again], NEVER) - waves.plan.clock_skew_ns
    starts = np.flatnonzero(waves.starts)
    begins = waves.time_ns[failed] + waves.plan.clock_skew_ns + 1
    hit = covering(group[failed], begins, ends, group[starts], waves.time_ns[starts])
    inside = hit >= 0
    return starts[inside], failed[hit[inside]]


def failures(waves: Waves) -> Longs:
    """Failures that leave something to go back from: not those of a region that had only said that it would start."""
    cell = waves.groups[0].astype(np.int64) * len(waves.plan.regions) + waves.region
    had = waves.entered(RUNNING, PAUSED, BLOCKED, UNBLOCKING, SUCCESSFUL)
    had[np.unique(cell, return_index=True)[1]] = True  # it may have begun before the log
    begun = np.flatnonzero(had & ~waves.entered(INITIALIZING, PENDING))
    cells, first = np.unique(cell[begun], return_index=True)
    failed = np.flatnonzero(waves.entered(FAILED))
    place = np.searchsorted(cells, cell[failed])
    known = place < len(cells)
    known[known] = cells[place[known]] == cell[failed[known]]
    failed, place = failed[known], place[known]
    after: Longs = failed[begun[first[place]] <= failed]
    return after


def not_rolled_back(waves: Waves) -> tuple[Longs, Longs]:
    """``(rows, undecided)``: failures after which the region neither went back nor got over it in time, and those for
    which the log ends too early."""
    within = waves.plan.rollback_within_ns
    failed = failures(waves)
    if within is None:
        return failed[:0], failed[:0]
    solves = waves.goes_back | waves.entered(SUCCESSFUL, BLOCKED)
    solved = waves.after(solves)[failed]
    due = waves.time_ns[failed] + within
    late = np.where(solved >= 0, waves.time_ns[solved], NEVER) > due
    over = due > waves.log.time_ns.max(initial=0)
    return failed[late & ~(over & (solved < 0))], failed[late & over & (solved < 0)]


def unfinished(waves: Waves) -> tuple[Longs, Longs]:
    """``(groups, undecided)``: versions that were not everywhere in time though by then nothing had failed and nothing
    newer had come, and those for which the log ends too early."""
    deadline = waves.plan.deadline_ns
    found, _ = waves.rollouts
    start = waves.started_ns.min(axis=1, initial=NEVER)
    groups = np.flatnonzero(start < NEVER)
    if deadline is None or not len(groups):
        return groups[:0], groups[:0]
    finished = waves.done_ns.max(axis=1, initial=-NEVER)[groups]
    stopped = found.by_ns(FAILED, CANCELLED).min(axis=1, initial=NEVER)[groups]
    due = start[groups] + deadline + waves.plan.clock_skew_ns
    open_ = (finished > due) & (stopped > due) & (_superseded(waves)[groups] > due)
    over = due > waves.log.time_ns.max(initial=0)
    return groups[open_ & ~over], groups[open_ & over]


def _superseded(waves: Waves) -> Longs:
    """Per group: when a newer version of its service was first started; NEVER when none was."""
    group, first = waves.groups
    start = np.full(len(first), NEVER)
    rows = np.flatnonzero(waves.entered(RUNNING))
    np.minimum.at(start, group[rows], waves.time_ns[rows])
    service, version = waves.service[first], waves.about[first]
    order = np.lexsort((-version, service))
    best = np.full(len(first), NEVER)
    newest, last = NEVER, -1
    for g in order.tolist():  # from the newest version to the oldest, service by service
        newest = NEVER if service[g] != last else newest
        best[g], last = newest, service[g]
        newest = min(newest, start[g])
    return best
