"""Rollouts as columns: which status a region entered when, and the rules that such a record can break.

One group is one version of one job over its regions. The rules are vectorised over all groups at once, so that a log
of a million events takes about a second; a run of the suite has a few dozen. Nothing here knows sentences: every rule
answers with arrays of groups and rows.

Times of different regions are compared only with the bound ``skew_ns``: what the clocks could explain is no violation.
Neither is what an observer may have missed: behind a ``gap`` a status may have come as early as the one before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from harness.model.columns import Bytes, Flags, Ints, Longs
from harness.model.rollout import (
    BLOCKED,
    CANCELLED,
    FAILED,
    INITIALIZING,
    PAUSED,
    PENDING,
    RUNNING,
    STATUSES,
    SUCCESSFUL,
    UNBLOCKING,
)

NEVER: Final = np.int64(1) << 62
CODE: Final = {status: code for code, status in enumerate(STATUSES)}
NOTHING: Final = len(STATUSES)
"""The state of a region that has said nothing yet, in the table of transitions."""
ANY, ALL, LOCAL = 0, 1, 2
"""What a failure does: fails those after it, all, or nobody else."""

_MULTI: Final[dict[str, tuple[str, ...]]] = {
    "": (INITIALIZING, PENDING),
    INITIALIZING: (PENDING, PAUSED, FAILED, CANCELLED),
    PENDING: (RUNNING, PAUSED, FAILED, CANCELLED),
    RUNNING: (BLOCKED, PAUSED, FAILED, CANCELLED),
    PAUSED: (INITIALIZING, PENDING, RUNNING, BLOCKED, UNBLOCKING, FAILED, CANCELLED),
    BLOCKED: (UNBLOCKING, SUCCESSFUL, PAUSED, FAILED, CANCELLED),
    UNBLOCKING: (SUCCESSFUL, PAUSED, FAILED, CANCELLED),
}
_SINGLE: Final[dict[str, tuple[str, ...]]] = {
    "": (RUNNING,),
    RUNNING: (PAUSED, SUCCESSFUL, FAILED, CANCELLED),
    PAUSED: (RUNNING, FAILED, CANCELLED),
}


def table(steps: dict[str, tuple[str, ...]]) -> Flags:
    """``[before, after]``: which status may follow which; the empty one stands for none yet."""
    legal = np.zeros((NOTHING + 1, NOTHING), np.bool_)
    for before, afters in steps.items():
        legal[CODE.get(before, NOTHING), [CODE[after] for after in afters]] = True
    return legal


def closure(legal: Flags) -> Flags:
    """What can be reached in one or more steps: what is legal where statuses in between may have been missed."""
    reached = legal.copy()
    for middle in range(NOTHING):
        reached |= reached[:, [middle]] & reached[[middle], :]
    return reached


LEGAL: Final = (table(_SINGLE), table(_MULTI))
LEGAL_WITH_GAPS: Final = tuple(closure(steps) for steps in LEGAL)


@dataclass(frozen=True)
class Rollouts:
    """Changes of status, sorted by group, region and the region's own index; equal neighbours left out.

    ``region`` is the position in the group's list. ``own_failure`` marks a failure that no other region caused. Per
    group: ``regions`` how many it lists, ``limit`` how many may run at once (0: all), ``policy`` what a failure does.
    Where a log has them: ``back`` marks what belongs to going back, which is no rollout, and ``over_ns`` is when the
    region went on to another group (NEVER: it did not).
    """

    group: Ints
    region: Ints
    status: Bytes
    time_ns: Longs
    gap: Flags
    own_failure: Flags
    multiregion: Flags
    regions: Ints
    limit: Ints
    policy: Bytes
    skew_ns: int = 0
    back: Flags | None = None
    over_ns: Longs | None = None

    def __len__(self) -> int:
        return len(self.group)

    @cached_property
    def begins(self) -> Flags:
        """Whether a row is the first of its region in its group."""
        new = np.ones(len(self), np.bool_)
        new[1:] = (self.group[1:] != self.group[:-1]) | (self.region[1:] != self.region[:-1])
        return new

    @cached_property
    def until_ns(self) -> Longs:
        """When the region left the row's status, at the earliest; NEVER for its last one."""
        until = np.full(len(self), NEVER, np.int64)
        inside = ~self.begins[1:]
        kind = self.multiregion[1:].astype(np.int64)
        jumped = self.gap[1:] & ~np.stack(LEGAL)[kind, self.status[:-1], self.status[1:]]
        until[:-1][inside] = np.where(jumped, self.time_ns[:-1], self.time_ns[1:])[inside]
        return until if self.over_ns is None else np.minimum(until, self.over_ns)

    @cached_property
    def earliest_ns(self) -> Longs:
        """When the region may have entered the row's status at the earliest: behind a gap, with the row before."""
        before = np.full(len(self), -NEVER)
        before[1:] = np.where(self.begins[1:], -NEVER, self.time_ns[:-1])
        earliest: Longs = np.where(self.gap, before, self.time_ns)
        return earliest

    @cached_property
    def width(self) -> int:
        """The most regions that a group lists."""
        return int(self.regions.max(initial=0))

    def first_ns(self, *statuses: str) -> Longs:
        """``[group, position]``: when the region first entered one of ``statuses``; NEVER when it did not."""
        return self._first(np.isin(self.status, [CODE[status] for status in statuses]))

    def by_ns(self, *statuses: str, jumped: tuple[str, ...] = ()) -> Longs:
        """``[group, position]``: when the region may have entered one of ``statuses`` first, at the earliest. A gap
        before one of ``jumped`` may hide them."""
        rows = np.isin(self.status, [CODE[status] for status in statuses])
        rows |= self.gap & np.isin(self.status, [CODE[status] for status in jumped])
        return self._first(rows, self.earliest_ns)

    @cached_property
    def start_ns(self) -> Longs:
        """``[group, position]``: when the region first ran the group's version, going back left out; NEVER when it did
        not."""
        running = self.status == CODE[RUNNING]
        return self._first(running if self.back is None else running & ~self.back)

    def _first(self, rows: Flags, when_ns: Longs | None = None) -> Longs:
        table = np.full((len(self.regions), self.width), NEVER, np.int64)
        times_ns = self.time_ns if when_ns is None else when_ns
        np.minimum.at(table, (self.group[rows], self.region[rows]), times_ns[rows])
        return table

    @cached_property
    def failed_itself_ns(self) -> Longs:
        """``[group, position]``: when the region failed of its own; NEVER when it did not."""
        return self._first(self.own_failure & (self.status == CODE[FAILED]))

    @cached_property
    def listed(self) -> Flags:
        """``[group, position]``: whether the group lists a region at this position."""
        listed: Flags = np.arange(self.width)[None, :] < self.regions[:, None]
        return listed

    @cached_property
    def last(self) -> Bytes:
        """``[group, position]``: the region's last status; NOTHING where it said nothing."""
        ends = np.ones(len(self), np.bool_)
        ends[:-1] = self.begins[1:]
        table = np.full((len(self.regions), self.width), NOTHING, np.int8)
        table[self.group[ends], self.region[ends]] = self.status[ends]
        return table


def illegal_steps(found: Rollouts) -> Longs:
    """Rows whose status cannot follow the one before (or cannot be the first)."""
    before = np.full(len(found), NOTHING, np.int64)
    before[1:] = np.where(found.begins[1:], NOTHING, found.status[:-1])
    kind = found.multiregion.astype(np.int64)
    legal = np.stack(LEGAL)[kind, before, found.status]
    # A region first seen in the middle says nothing about its beginning.
    with_gaps = np.stack(LEGAL_WITH_GAPS)[kind, before, found.status]
    rows: Longs = np.flatnonzero(~np.where(found.gap, with_gaps, legal))
    return rows


def too_many_running(found: Rollouts) -> tuple[Longs, Longs, Longs]:
    """``(groups, counts, times)``: groups that had more running regions at once than they allow, the largest number
    that no skew explains, and when it was first reached."""
    rows = np.flatnonzero((found.status == CODE[RUNNING]) & (found.limit[found.group] > 0))
    begin, end = found.time_ns[rows] + found.skew_ns, found.until_ns[rows]
    rows, begin, end = rows[begin < end], begin[begin < end], end[begin < end]
    group = np.concatenate([found.group[rows], found.group[rows]])
    time = np.concatenate([begin, end])
    step = np.concatenate([np.ones(len(rows), np.int64), -np.ones(len(rows), np.int64)])
    order = np.lexsort((step, time, group))
    # Every group's steps add up to zero, so one running sum serves all groups.
    running = np.cumsum(step[order])
    over = np.flatnonzero(running > found.limit[group[order]])
    if not len(over):
        return (np.empty(0, np.int64),) * 3
    most = np.zeros(len(found.regions), np.int64)
    np.maximum.at(most, group[order][over], running[over])
    first = np.full(len(found.regions), NEVER, np.int64)
    np.minimum.at(first, group[order][over], time[order][over])
    groups = np.flatnonzero(most)
    return groups, most[groups], first[groups]


def out_of_order(found: Rollouts) -> tuple[Longs, Longs, Longs]:
    """``(groups, positions, earlier)``: a region that started although an earlier one in the list had neither started
    nor ended; one per group, with the position of the earlier one."""
    start = found.start_ns
    over = found.by_ns(RUNNING, BLOCKED, UNBLOCKING, SUCCESSFUL, FAILED, CANCELLED, jumped=STATUSES)
    over = np.where(found.listed, over, -NEVER)
    if found.width < 2:
        return (np.empty(0, np.int64),) * 3
    latest_before = np.maximum.accumulate(over, axis=1)
    wrong = (start[:, 1:] < NEVER) & (start[:, 1:] + found.skew_ns < latest_before[:, :-1]) & found.listed[:, 1:]
    groups = np.flatnonzero(wrong.any(axis=1))
    positions = wrong[groups].argmax(axis=1) + 1
    earlier = np.array([int(over[g, :p].argmax()) for g, p in zip(groups, positions, strict=True)], np.int64)
    return groups, positions, earlier


_ACCEPTED: Final = tuple(status for status in STATUSES if status not in (FAILED, CANCELLED))


def started_unaccepted(found: Rollouts) -> tuple[Longs, Longs, Longs]:
    """``(groups, positions, missing)``: a region that ran although the one at ``missing`` had not accepted before. What
    fails or is cancelled first of all was not accepted."""
    first = found.by_ns(*_ACCEPTED, jumped=STATUSES)
    start = found.start_ns
    accepted = np.where(found.listed, first, -NEVER).max(axis=1, initial=-NEVER)
    begun = np.where(found.listed, start, NEVER).min(axis=1, initial=NEVER)
    groups = np.flatnonzero((begun < NEVER) & (begun + found.skew_ns < accepted))
    missing = np.where(found.listed[groups], first[groups], -NEVER).argmax(axis=1) if len(groups) else groups
    return groups, start[groups].argmin(axis=1) if len(groups) else groups, missing


def unblocked_early(found: Rollouts, excused: Flags) -> tuple[Longs, Longs, Longs]:
    """``(groups, positions, waiting)``: a region that was let go although the one at ``waiting`` was not done.

    ``excused`` ``[group, position]`` are regions that an operator unblocked. Done is whoever was blocked, or ended.
    """
    success = np.where(excused, NEVER, found.first_ns(SUCCESSFUL, UNBLOCKING))
    done = np.where(found.listed, found.by_ns(BLOCKED, FAILED, CANCELLED, SUCCESSFUL, UNBLOCKING), -NEVER)
    let_go = np.where(found.listed, success, NEVER).min(axis=1, initial=NEVER)
    groups = np.flatnonzero((let_go < NEVER) & (let_go + found.skew_ns < done.max(axis=1, initial=-NEVER)))
    if not len(groups):
        return groups, groups, groups
    return groups, success[groups].argmin(axis=1), done[groups].argmax(axis=1)


def must_fail(found: Rollouts) -> Flags:
    """``[group, position]``: regions that a peer's own failure has to take with it, by the group's policy."""
    itself = (found.failed_itself_ns < NEVER) & found.listed
    after = np.zeros_like(itself)
    after[:, 1:] = np.logical_or.accumulate(itself, axis=1)[:, :-1]
    everyone = itself.any(axis=1, keepdims=True)
    policy = found.policy[:, None]
    wanted = np.where(policy == ALL, everyone, np.where(policy == ANY, after, False))
    flags: Flags = wanted & found.listed & ~itself
    return flags


def let_go_after_failure(found: Rollouts, excused: Flags) -> Flags:
    """``[group, position]``: regions that became successful although a peer had failed of its own, and before that
    not every region was done. Only those that had all been done may race with the failure."""
    failure = np.where(found.listed, found.failed_itself_ns, NEVER).min(axis=1, initial=NEVER)
    done = found.by_ns(BLOCKED, SUCCESSFUL, UNBLOCKING, jumped=(FAILED, CANCELLED, PAUSED))
    done = np.where(found.listed, done, -NEVER).max(axis=1, initial=-NEVER)
    raced = done <= failure + found.skew_ns
    success = found.first_ns(SUCCESSFUL)
    wrong: Flags = (success < NEVER) & ((failure < NEVER) & ~raced)[:, None] & found.listed & ~excused
    return wrong


def entered_twice(found: Rollouts) -> Longs:
    """Rows that enter a status for the second time, except out of a pause, or where one may have been missed."""
    code = np.int64(NOTHING)
    cell = (found.group.astype(np.int64) * max(found.width, 1) + found.region) * code + found.status
    order = np.argsort(cell, kind="stable")
    again = np.zeros(len(found), np.bool_)
    again[order[1:]] = cell[order[1:]] == cell[order[:-1]]
    paused = np.zeros(len(found), np.bool_)
    paused[1:] = (found.status[:-1] == CODE[PAUSED]) & ~found.begins[1:]
    rows: Longs = np.flatnonzero(again & ~paused & ~found.gap & (found.status != CODE[PAUSED]))
    return rows
