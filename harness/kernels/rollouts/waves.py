"""Rules of rollouts in waves, over the columns of an event log; every rule answers with rows that break it.

All of them are vectorised over services, versions and regions, so that a million events take about a second. Times of
different regions are compared only with the plan's clock skew: what the clocks could explain is no violation. The words
follow deployment practice: waves, bake time, rollback on alarm, and a version that only becomes safe to start once an
older one is everywhere ("Ensuring rollback safety during deployments", Amazon Builders' Library).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from harness.kernels.intervals import covering
from harness.kernels.rollouts.statuses import ANY, CODE, NEVER, NOTHING, Rollouts, closure, table
from harness.model.columns import Flags, Longs
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
from harness.model.waves import ALARM, CONTINUE, EVENTS, ROLLED_BACK, WaveLog, WavePlan

_CODE: Final = {event: code for code, event in enumerate(EVENTS)}
_STARTS: Final = (PENDING, RUNNING)
_OVER: Final = (FAILED, CANCELLED)
LEGAL: Final = table(
    {
        "": (INITIALIZING, PENDING, RUNNING, FAILED, CANCELLED),
        INITIALIZING: (PENDING, RUNNING, PAUSED, *_OVER),
        PENDING: (RUNNING, PAUSED, *_OVER),
        RUNNING: (SUCCESSFUL, BLOCKED, PAUSED, *_OVER),
        PAUSED: (INITIALIZING, PENDING, RUNNING, BLOCKED, *_OVER),
        BLOCKED: (UNBLOCKING, SUCCESSFUL, PAUSED, *_OVER),
        UNBLOCKING: (SUCCESSFUL, *_OVER),
        # What has ended may be tried or deployed again, and a release may be found bad later.
        SUCCESSFUL: (*_STARTS, *_OVER),
        FAILED: (*_STARTS, CANCELLED),
        CANCELLED: _STARTS,
    }
)
"""What may follow what, in one region for one version. A rollback ends the version that it leaves as cancelled."""
LEGAL_WITH_GAPS: Final = closure(LEGAL)
MOVES: Final = (RUNNING, SUCCESSFUL, BLOCKED, ROLLED_BACK)
"""Events that say which version a region has, or is given."""


@dataclass(frozen=True)
class Waves:
    """A log beside its plan, as the rules want it: rows by service, region, time and line, alarms apart."""

    log: WaveLog
    plan: WavePlan

    @cached_property
    def rows(self) -> Longs:
        """The events about a region's version, by service, region and time."""
        log = self.log
        mine = np.flatnonzero(log.event < _CODE[ALARM])
        order = np.lexsort((log.line[mine], log.time_ns[mine], log.region[mine], log.service[mine]))
        return mine[order]

    def _column(self, name: str) -> Any:
        return getattr(self.log, name)[self.rows]

    @cached_property
    def service(self) -> Any:
        return self._column("service")

    @cached_property
    def region(self) -> Any:
        return self._column("region")

    @cached_property
    def event(self) -> Any:
        return self._column("event")

    @cached_property
    def time_ns(self) -> Any:
        return self._column("time_ns")

    @cached_property
    def version(self) -> Any:
        """The version that a row is about; a rollback's is the one that it goes back to."""
        return self._column("version")

    def entered(self, *events: str) -> Flags:
        """Which rows are one of ``events``."""
        meant = np.zeros(len(EVENTS), np.bool_)
        meant[[_CODE[event] for event in events]] = True
        rows: Flags = meant[self.event]
        return rows

    @cached_property
    def opens(self) -> Flags:
        """Whether a row is the first of its service and region."""
        return self.opens_among(np.arange(len(self.rows)))

    def opens_among(self, rows: Longs) -> Flags:
        """Whether each of ``rows``, which rise, is the first of them in its service and region."""
        service, region = self.service[rows], self.region[rows]
        new = np.ones(len(rows), np.bool_)
        new[1:] = (service[1:] != service[:-1]) | (region[1:] != region[:-1])
        return new

    def before(self, chosen: Flags) -> Longs:
        """For every row the last of the ``chosen`` rows before it in its service and region, itself left out; -1."""
        here = np.where(chosen, np.arange(len(chosen)), -1)
        last = np.concatenate([[-1], np.maximum.accumulate(here)[:-1]]) if len(here) else here
        begin = np.maximum.accumulate(np.where(self.opens, np.arange(len(chosen)), -1))
        return np.where(last >= begin, last, -1)

    def after(self, chosen: Flags) -> Longs:
        """For every row the first of the ``chosen`` rows after it in its service and region; -1."""
        number = len(chosen)
        here = np.where(chosen, np.arange(number), number)
        following = np.concatenate([np.minimum.accumulate(here[::-1])[::-1][1:], [number]]) if number else here
        ends = np.append(self.opens[1:], True)
        end = np.minimum.accumulate(np.where(ends, np.arange(number), number)[::-1])[::-1]
        return np.where(following <= end, following, -1)

    @cached_property
    def initial(self) -> int:
        """The rank of what ran everywhere before the log begins; -1 when nobody says."""
        return self.log.versions.index(self.plan.initial) if self.plan.initial in self.log.versions else -1

    @cached_property
    def other(self) -> Any:
        """For every row the last other version that its region had, or was given, before; -1 where nothing says."""
        moved = np.flatnonzero(self.entered(*MOVES))
        version = self.version[moved]
        opens = self.opens_among(moved)
        new = opens.copy()
        new[1:] |= version[1:] != version[:-1]
        begin = np.maximum.accumulate(np.where(new, np.arange(len(moved)), 0))  # of the stretch of one version
        came_from = np.where(opens[begin], self.initial, version[begin - 1]) if len(moved) else version
        last = self.before(self.entered(*MOVES))
        place = np.searchsorted(moved, last)
        here = np.where(last >= 0, self.version[last], self.initial)
        before = np.where(last >= 0, came_from[np.where(last >= 0, place, 0)], -1) if len(moved) else here
        return np.where(here == self.version, before, here)

    @cached_property
    def left(self) -> Any:
        """Of rollbacks, the version that is left: the one that it says, else the one that the region had before."""
        said = self._column("left")
        return np.where(said >= 0, said, self.other)

    @cached_property
    def goes_back(self) -> Flags:
        """Rollbacks, and starts of a version older than the one that the region had before."""
        older: Flags = self.entered(RUNNING) & (self.version < self.other)
        return older | self.entered(ROLLED_BACK)

    @cached_property
    def starts(self) -> Flags:
        """Starts of something new: going back is none, nor is saying once more that it runs."""
        last = self.before(~self.entered(INITIALIZING, PENDING))
        again = (last >= 0) & self.entered(RUNNING)[last] & (self.version[last] == self.version)
        starts: Flags = self.entered(RUNNING) & ~self.goes_back & ~again
        return starts

    @cached_property
    def going_back(self) -> Flags:
        """Rows that are part of going back to their version: the last start of anything there was."""
        running = self.entered(RUNNING)
        last = np.where(running, np.arange(len(running)), self.before(running))
        mine: Flags = (last >= 0) & self.goes_back[last] & (self.version[last] == self.version)
        return mine

    def following(self, chosen: Flags, rows: Longs, group: Longs) -> Longs:
        """For each of ``rows`` the first ``chosen`` row after it in its region that is about ``group``; -1."""
        listed = np.flatnonzero(chosen)
        cell = (group * len(self.plan.regions) + self.region[rows]) * np.int64(len(chosen) + 1)
        cells = (self.groups[0][listed] * len(self.plan.regions) + self.region[listed]) * np.int64(len(chosen) + 1)
        keys = np.sort(cells + listed)
        place = np.searchsorted(keys, cell + rows, side="right")
        found = keys[np.minimum(place, max(len(keys) - 1, 0))] - cell if len(keys) else cell
        hit = (place < len(keys)) & (found > rows) & (found < len(chosen))
        return np.where(hit, found, -1)

    @cached_property
    def _cells(self) -> tuple[Any, Any, Any]:
        return np.unique(self.cell(self.service, self.about), return_index=True, return_inverse=True)

    @cached_property
    def about(self) -> Any:
        """The version whose rollout a row belongs to: a rollback's is the one that it leaves."""
        return np.where(self.entered(ROLLED_BACK), self.left, self.version)

    def cell(self, service: Any, version: Any) -> Any:
        """One number for a version of a service."""
        return service.astype(np.int64) * (len(self.log.versions) + 1) + version.astype(np.int64) + 1

    @cached_property
    def groups(self) -> tuple[Any, Any]:
        """``(group of every row, first row of every group)``: a version of a service. A rollback's row belongs to the
        version that it leaves."""
        _, first, group = self._cells
        return group, first

    def group_of(self, service: Any, version: Any) -> Longs:
        """The group of each version of a service; -1 for what the log does not speak of."""
        cells, wanted = self._cells[0], self.cell(service, version)
        place = np.minimum(np.searchsorted(cells, wanted), max(len(cells) - 1, 0))
        return np.where(cells[place] == wanted, place, -1) if len(cells) else wanted * 0 - 1

    @cached_property
    def rollouts(self) -> tuple[Rollouts, Longs]:
        """The rows as rollouts of one version each, and the row behind every row of them. What was there before the log
        is no rollout."""
        group, first = self.groups
        known = np.flatnonzero((self.about >= 0) & (self.about != self.initial))
        order = known[np.lexsort((np.arange(len(known)), self.region[known], group[known]))]
        status = np.where(self.event == _CODE[ROLLED_BACK], _CODE[CANCELLED], self.event)
        number = len(first)
        moved_on = self.after(self.entered(*MOVES))
        over = np.where(moved_on >= 0, self.time_ns[moved_on], NEVER)
        found = Rollouts(
            group=group[order].astype(np.int32),
            region=self.region[order].astype(np.int32),
            status=status[order].astype(np.int8),
            time_ns=self.time_ns[order],
            gap=self.gap[order],
            own_failure=(status == _CODE[FAILED])[order],
            multiregion=np.ones(len(order), np.bool_),
            regions=np.full(number, len(self.plan.regions), np.int32),
            limit=np.full(number, self.plan.max_parallel, np.int32),
            policy=np.full(number, ANY, np.int8),
            skew_ns=self.plan.clock_skew_ns,
            back=self.going_back[order],
            over_ns=over[order],
        )
        return found, order

    @cached_property
    def gap(self) -> Flags:
        """Which rows something may be missing before."""
        gap: Flags = np.zeros(len(self.rows), np.bool_) if self.log.gap is None else self._column("gap")
        return gap

    @cached_property
    def done(self) -> Flags:
        """Rows that say that a region is done with a version; where a failure stops nobody, with a failure, too."""
        over = (*_OVER, ROLLED_BACK) if self.plan.on_failure == CONTINUE else ()
        return self.entered(SUCCESSFUL, BLOCKED, *over)

    @cached_property
    def done_ns(self) -> Longs:
        """``[group, region]``: when the region may have been done with the version at the earliest; NEVER when it was
        not."""
        events = (SUCCESSFUL, BLOCKED, *(_OVER if self.plan.on_failure == CONTINUE else ()))
        return self.rollouts[0].by_ns(*events, jumped=(UNBLOCKING,))

    @property
    def started_ns(self) -> Longs:
        """``[group, region]``: when the region first started the version as something new; NEVER when it did not."""
        return self.rollouts[0].start_ns

    def first_row(self, chosen: Flags) -> Longs:
        """``[group, region]``: the first of the ``chosen`` rows; -1 where there is none."""
        found, order = self.rollouts
        table = np.full((len(found.regions), len(self.plan.regions)), len(chosen), np.int64)
        mine = chosen[order]
        np.minimum.at(table, (found.group[mine], found.region[mine]), order[mine])
        return np.where(table < len(chosen), table, -1)


# --- inside a region ---------------------------------------------------------------------------------------


def _stepped(waves: Waves) -> tuple[Longs, Longs, Longs]:
    """``(before, last, rows)``: rows that had something before them in their region, with the status before of their
    version, and the row that said so (-1: none). What a region says first of all may be the middle of something."""
    found, order = waves.rollouts
    before, last = np.full(len(found), NOTHING, np.int64), np.full(len(found), -1, np.int64)
    before[1:] = np.where(found.begins[1:], NOTHING, found.status[:-1])
    last[1:] = np.where(found.begins[1:], -1, order[:-1])
    inside = ~waves.opens[order]
    return before[inside], last[inside], order[inside]


def steps(waves: Waves) -> int:
    """How many steps there are to judge."""
    return len(_stepped(waves)[2])


def illegal(waves: Waves) -> Longs:
    """Rows whose event cannot follow what the region said of that version before."""
    before, last, rows = _stepped(waves)
    status = np.where(waves.event[rows] == _CODE[ROLLED_BACK], _CODE[CANCELLED], waves.event[rows])
    legal = np.where(waves.gap[rows], LEGAL_WITH_GAPS[before, status], LEGAL[before, status]) | (before == status)
    moved = waves.before(waves.entered(*MOVES))[rows]
    same = (moved >= 0) & (waves.version[moved] == waves.version[rows])
    # A version that the region left without a word for another one is over.
    legal |= (moved > last) & (last >= 0) & ~same & LEGAL[CODE[CANCELLED], status]
    # What a region has gone back to is there, although nobody may have seen it come.
    there = same & waves.entered(ROLLED_BACK)[moved]
    legal |= there & (LEGAL[CODE[SUCCESSFUL], status] | (status == CODE[SUCCESSFUL]))
    wrong: Longs = rows[~legal]
    return wrong


# --- between regions ---------------------------------------------------------------------------------------


def _earlier_done(waves: Waves) -> tuple[Longs, Longs]:
    """``[group, region]``: when the last region of the waves before was done, and which region that was; -NEVER for the
    first wave."""
    done, wave_of = waves.done_ns, waves.plan.wave_of
    latest = np.full(done.shape, -NEVER)
    who = np.full(done.shape, -1)
    for wave in range(1, len(waves.plan.waves)):
        earlier = np.flatnonzero(wave_of < wave)
        if len(done):
            slowest = earlier[done[:, earlier].argmax(axis=1)]
            latest[:, wave_of == wave] = done[np.arange(len(done)), slowest][:, None]
            who[:, wave_of == wave] = slowest[:, None]
    return latest, who


def _waiting(waves: Waves) -> tuple[Longs, Longs, Longs]:
    """``(rows, latest_ns, who)``: starts of what was not there before the log, when the last region of the waves before
    was done with it for the first time, and which region that was."""
    rows = np.flatnonzero(waves.starts & (waves.version != waves.initial))
    latest, who = _earlier_done(waves)
    cells = waves.groups[0][rows], waves.region[rows]
    return rows, latest[cells], who[cells]


def too_early(waves: Waves) -> tuple[Longs, Longs, Longs]:
    """``(rows, waiting, gone)``: starts before the waves before were done, and the region that was not. ``gone`` is the
    row with which that region had gone back from the version; -1 when it had not been done with it at all."""
    rows, latest, who = _waiting(waves)
    early = waves.time_ns[rows] + waves.plan.clock_skew_ns < latest
    rows, who = rows[early], who[early]
    hit, gone, _ = _undone(waves, baked=False)
    new = ~np.isin(hit, rows)
    waiting = np.concatenate([who, waves.region[gone[new]]])
    return np.concatenate([rows, hit[new]]), waiting, np.concatenate([np.full(len(rows), -1), gone[new]])


def unbaked(waves: Waves) -> tuple[Longs, Longs]:
    """``(rows, before)``: starts when the waves before were done, but had not baked; ``before`` is the row with which
    the last of them was done."""
    rows, latest, who = _waiting(waves)
    bakes = np.array([0, *waves.plan.bake_ns] if waves.plan.bake_ns else [0] * len(waves.plan.waves), np.int64)
    due = np.where(latest < NEVER, latest + bakes[waves.plan.wave_of[waves.region[rows]]], -NEVER)
    raw = waves.time_ns[rows] + waves.plan.clock_skew_ns < due
    rows, who = rows[raw], who[raw]
    done = waves.first_row(waves.done)[waves.groups[0][rows], who]
    hit, _, again = _undone(waves, baked=True)
    new = ~np.isin(hit, rows)
    rows, done = np.concatenate([rows, hit[new]]), np.concatenate([done, again[new]])
    in_order = ~np.isin(rows, too_early(waves)[0])
    return rows[in_order], done[in_order]


def _undone(waves: Waves, baked: bool) -> tuple[Longs, Longs, Longs]:
    """``(starts, gone, again)``: starts while a region of an earlier wave had gone back from the version, with the row
    of that, and the one with which it was done again (-1: it never was). With ``baked`` those after that, in the time
    to bake."""
    skew_ns = waves.plan.clock_skew_ns
    gone = (
        np.flatnonzero(waves.goes_back & (waves.left >= 0)) if waves.plan.on_failure != CONTINUE else np.empty(0, int)
    )
    group = waves.group_of(waves.service[gone], waves.left[gone])
    gone, group = gone[group >= 0], group[group >= 0]
    again = waves.following(waves.done, gone, group)
    back_ns = np.where(again >= 0, waves.time_ns[again], NEVER)
    bakes = [0, *waves.plan.bake_ns] if waves.plan.bake_ns else [0] * len(waves.plan.waves)
    wave_of, starts = waves.plan.wave_of[waves.region], _waiting(waves)[0]
    found: list[tuple[Longs, Longs]] = []
    for wave in range(1, len(waves.plan.waves)):
        spans = np.flatnonzero(wave_of[gone] < wave)
        mine = starts[wave_of[starts] == wave]
        begin, end = waves.time_ns[gone[spans]] + skew_ns + 1, back_ns[spans] - skew_ns
        hit = covering(group[spans], begin, end, waves.groups[0][mine], waves.time_ns[mine])
        if baked:
            later = np.where(back_ns[spans] < NEVER, end + bakes[wave], begin)
            early = hit >= 0
            hit = covering(group[spans], np.maximum(begin, end), later, waves.groups[0][mine], waves.time_ns[mine])
            hit[early] = -1
        found.append((mine[hit >= 0], spans[hit[hit >= 0]]))
    rows = np.concatenate([np.empty(0, np.int64), *(rows for rows, _ in found)])
    place = np.concatenate([np.empty(0, np.int64), *(place for _, place in found)])
    return rows, gone[place], again[place]
