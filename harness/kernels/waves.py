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

from harness.kernels.compiling import fast
from harness.kernels.rollouts import ANY, NEVER, NOTHING, Flags, Rollouts, table
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
COMPILED_FROM: Final = 50_000
"""Loading the compiler pays from so many changes on."""


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
        new = np.ones(len(self.rows), np.bool_)
        new[1:] = (self.service[1:] != self.service[:-1]) | (self.region[1:] != self.region[:-1])
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
    def left(self) -> Any:
        """Of rollbacks, the version that is left: the one that it says, else the last that was started there."""
        started = self.before(self.entered(RUNNING))
        found = np.where(started >= 0, self.version[started], -1)
        said = self._column("left")
        return np.where(said >= 0, said, found)

    @cached_property
    def goes_back(self) -> Flags:
        """Rollbacks, and starts of a version older than the one started there before."""
        before = self.before(self.entered(RUNNING))
        older: Flags = self.entered(RUNNING) & (before >= 0) & (self.version < self.version[before])
        return older | self.entered(ROLLED_BACK)

    @cached_property
    def groups(self) -> tuple[Any, Any]:
        """``(group of every row, first row of every group)``: a version of a service. A rollback's row belongs to the
        version that it leaves."""
        version = np.where(self.entered(ROLLED_BACK), self.left, self.version).astype(np.int64)
        cell = self.service.astype(np.int64) * (len(self.log.versions) + 1) + version + 1
        _, first, group = np.unique(cell, return_index=True, return_inverse=True)
        return group, first

    @cached_property
    def rollouts(self) -> tuple[Rollouts, Longs]:
        """The rows as rollouts of one version each, and the row behind every row of them. What was there before the log
        is no rollout."""
        group, first = self.groups
        version = np.where(self.entered(ROLLED_BACK), self.left, self.version)
        initial = self.log.versions.index(self.plan.initial) if self.plan.initial in self.log.versions else -1
        known = np.flatnonzero((version >= 0) & (version != initial))
        order = known[np.lexsort((np.arange(len(known)), self.region[known], group[known]))]
        status = np.where(self.event == _CODE[ROLLED_BACK], _CODE[CANCELLED], self.event)
        number = len(first)
        found = Rollouts(
            group=group[order].astype(np.int32),
            region=self.region[order].astype(np.int32),
            status=status[order].astype(np.int8),
            time_ns=self.time_ns[order],
            gap=np.zeros(len(order), np.bool_),
            own_failure=(status == _CODE[FAILED])[order],
            multiregion=np.ones(len(order), np.bool_),
            regions=np.full(number, len(self.plan.regions), np.int32),
            limit=np.full(number, self.plan.max_parallel, np.int32),
            policy=np.full(number, ANY, np.int8),
            skew_ns=self.plan.clock_skew_ns,
        )
        return found, order

    @cached_property
    def done_ns(self) -> Longs:
        """``[group, region]``: when the region was done with the version; NEVER when it was not."""
        events = (SUCCESSFUL, BLOCKED, *(_OVER if self.plan.on_failure == CONTINUE else ()))
        return self.rollouts[0].first_ns(*events)

    @cached_property
    def started_ns(self) -> Longs:
        """``[group, region]``: when the region first started the version; NEVER when it did not."""
        return self.rollouts[0].first_ns(RUNNING)


# --- inside a region ---------------------------------------------------------------------------------------


def illegal(waves: Waves) -> Longs:
    """Rows whose event cannot follow what the region said of that version before. What a region says first of all may
    be the middle of something."""
    found, order = waves.rollouts
    before = np.full(len(found), NOTHING, np.int64)
    before[1:] = np.where(found.begins[1:], NOTHING, found.status[:-1])
    midway = waves.opens[order]
    wrong = ~LEGAL[before, found.status] & (before != found.status) & ~midway
    rows: Longs = order[wrong]
    return rows


# --- between regions ---------------------------------------------------------------------------------------


def _earlier_done(waves: Waves) -> tuple[Longs, Longs]:
    """``[group, region]``: when the last region of the wave before was done, and which region that was; -NEVER for the
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


def too_early(waves: Waves) -> tuple[Longs, Longs, Longs]:
    """``(groups, regions, waiting)``: a region that started before the waves before its own were done; ``waiting`` is
    the region that was not."""
    start = waves.started_ns
    latest, who = _earlier_done(waves)
    groups, regions = np.nonzero((start < NEVER) & (start + waves.plan.clock_skew_ns < latest))
    return groups, regions, who[groups, regions]


def unbaked(waves: Waves) -> tuple[Longs, Longs, Longs]:
    """``(groups, regions, before)``: a region that started when the wave before was done, but had not baked."""
    start = waves.started_ns
    latest, who = _earlier_done(waves)
    bakes = np.array([0, *waves.plan.bake_ns] if waves.plan.bake_ns else [0] * len(waves.plan.waves), np.int64)
    due = np.where(latest < NEVER, latest + bakes[waves.plan.wave_of][None, :], -NEVER)
    late_enough = start + waves.plan.clock_skew_ns
    groups, regions = np.nonzero((start < NEVER) & (late_enough >= latest) & (late_enough < due))
    return groups, regions, who[groups, regions]


def too_far_apart(waves: Waves) -> tuple[Longs, Longs]:
    """``(rows, spans)``: moments at which a service's versions in two regions are further apart than allowed, the first
    of each such time. A region has the version that it runs, and, until that is done, the one before as well."""
    limit = waves.plan.max_version_skew
    mine = np.flatnonzero(waves.entered(RUNNING, SUCCESSFUL, BLOCKED, ROLLED_BACK))
    if limit is None or not len(mine):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    ends = waves.entered(SUCCESSFUL, BLOCKED, ROLLED_BACK)[mine]
    follows = waves.after(waves.entered(RUNNING, SUCCESSFUL, BLOCKED, ROLLED_BACK))[mine]
    until = np.where(follows >= 0, waves.time_ns[follows], NEVER)
    # What another clock could explain is no violation: a version comes later, and goes earlier, by the skew.
    late = np.minimum(waves.time_ns[mine] + waves.plan.clock_skew_ns, until)
    back = waves.entered(ROLLED_BACK)[mine]
    highs = np.where(back, waves.time_ns[mine], late)
    lows = np.where(back, late, waves.time_ns[mine])[ends]
    row = np.concatenate([mine, mine[ends]])
    time = np.concatenate([highs, lows])
    high = np.concatenate([np.ones(len(mine), np.bool_), np.zeros(int(ends.sum()), np.bool_)])
    order = np.lexsort((row, time, waves.service[row]))
    row, high, time = row[order], high[order], time[order]
    service = waves.service[row]
    # What happens at one moment happens together: only what is left after it counts.
    settled = np.append((time[1:] != time[:-1]) | (service[1:] != service[:-1]), True)
    spread = _spread(waves, row, high)[settled]
    row, service = row[settled], service[settled]
    over = spread > limit
    again = np.zeros(len(row), np.bool_)
    again[1:] = over[:-1] & (service[1:] == service[:-1])
    first = np.flatnonzero(over & ~again)
    return row[first], spread[first]


def _spread(waves: Waves, row: Longs, high: Flags) -> Longs:
    """After each of the ordered changes: the newest version of any region less the oldest, by rank."""
    number = len(waves.plan.regions)
    first = waves.log.versions.index(waves.plan.initial) if waves.plan.initial in waves.log.versions else -1
    spread = np.zeros(len(row), np.int64)
    walk = fast(_walk) if len(row) >= COMPILED_FROM else _walk
    service, region = waves.service[row].astype(np.int64), waves.region[row].astype(np.int64)
    newest, oldest = np.full(number, first), np.full(number, first)
    walk(service, region, waves.version[row].astype(np.int64), high, first, newest, oldest, spread)
    return spread


def _walk(
    service: Any, region: Any, version: Any, high: Any, first: int, newest: Any, oldest: Any, spread: Any
) -> None:
    """Keep each region's newest and oldest version, -1 where it has said nothing, from row to row."""
    for i in range(len(service)):
        if i == 0 or service[i] != service[i - 1]:
            newest[:] = first
            oldest[:] = first
        if high[i]:
            newest[region[i]] = version[i]
        else:
            oldest[region[i]] = version[i]
        top, bottom = -1, -1
        for r in range(len(newest)):
            if newest[r] > top:
                top = newest[r]
            if oldest[r] >= 0 and (bottom < 0 or oldest[r] < bottom):
                bottom = oldest[r]
        spread[i] = top - bottom if top >= 0 and bottom >= 0 else 0
