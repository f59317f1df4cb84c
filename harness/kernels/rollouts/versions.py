"""Which versions regions have at a time, and what follows from it: how far apart they are, where one may go back to,
what must be everywhere before something else may start.

A region has the version that it is done with or went back to, and every one that it has started since.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from harness.kernels.compiling import fast
from harness.kernels.intervals import covering
from harness.kernels.rollouts.statuses import NEVER
from harness.kernels.rollouts.waves import MOVES, Waves
from harness.model.columns import Flags, Longs
from harness.model.rollout import BLOCKED, FAILED, RUNNING, SUCCESSFUL
from harness.model.waves import ANYTHING, LAST_GOOD, ROLLED_BACK

COMPILED_FROM: Final = 50_000
"""Loading the compiler pays from so many changes on."""
_NOTHING: Final = np.empty(0, np.int64)


# --- how far apart -----------------------------------------------------------------------------------------


def too_far_apart(waves: Waves) -> tuple[Longs, Longs]:
    """``(rows, spans)``: moments at which a service's versions in two regions are further apart than allowed, the first
    of each such time, at the row that made them so. What another clock could explain is no violation: a version comes
    later by the skew."""
    limit = waves.plan.max_version_skew
    mine = np.flatnonzero(waves.entered(*MOVES))
    if limit is None or not len(mine):
        return _NOTHING, _NOTHING
    service, version, row, come, go = _holds(waves, mine)
    begin = np.where(come > -NEVER, come + waves.plan.clock_skew_ns, come)
    sure = begin < go
    service, version, row, begin, go = service[sure], version[sure], row[sure], begin[sure], go[sure]
    number = len(begin)
    time, comes = np.concatenate([begin, go]), np.arange(2 * number) < number
    both = np.concatenate([np.arange(number)] * 2)
    # What happens at one moment happens together: what goes, goes first, and only what is left counts.
    order = np.lexsort((row[both], comes, time, service[both]))
    both, time, comes = both[order], time[order], comes[order]
    spread = np.zeros(2 * number, np.int64)
    walk = fast(_sweep) if len(spread) >= COMPILED_FROM else _sweep
    walk(service[both], version[both], comes, np.zeros(len(waves.log.versions), np.int64), spread)
    settled = np.append((time[1:] != time[:-1]) | (service[both][1:] != service[both][:-1]), True)
    spread, row, service = spread[settled], row[both][settled], service[both][settled]
    over = spread > limit
    again = np.zeros(len(over), np.bool_)
    again[1:] = over[:-1] & (service[1:] == service[:-1])
    first = np.flatnonzero(over & ~again)
    return row[first], spread[first]


def _holds(waves: Waves, mine: Longs) -> tuple[Longs, Longs, Longs, Longs, Longs]:
    """Every time that a region has a version: service, version, the row with which it came (-1: before the log), from
    when, until when."""
    service, region = waves.service[mine].astype(np.int64), waves.region[mine].astype(np.int64)
    room = 3 * len(mine) + 1
    version, row = np.zeros(room, np.int64), np.full(room, -1, np.int64)
    come, go = np.full(room, -NEVER), np.full(room, NEVER)
    walk = fast(_walk) if len(mine) >= COMPILED_FROM else _walk
    done = waves.entered(SUCCESSFUL, BLOCKED, ROLLED_BACK)[mine]
    versions, opens, time = waves.version[mine].astype(np.int64), waves.opens_among(mine), waves.time_ns[mine]
    number = walk(versions, done, opens, time, waves.initial, version, row, come, go)
    at = row[:number]
    place = np.where(at >= 0, at, -1 - at)
    held = (service[place], version[:number], np.where(at >= 0, mine[place], -1), come[:number], go[:number])
    if waves.initial < 0:
        return held
    services, regions = np.unique(service), len(waves.plan.regions)
    quiet = np.setdiff1d(np.arange(len(waves.log.services) * regions), np.unique(service * regions + region))
    quiet = quiet[np.isin(quiet // regions, services)]
    still = len(quiet)
    more = (quiet // regions, np.full(still, waves.initial), np.full(still, -1), np.full(still, -NEVER))
    every = (*more, np.full(still, NEVER))
    service, version, row, come, go = (np.concatenate(pair) for pair in zip(held, every, strict=True))
    return service, version, row, come, go


def _walk(
    versions: Any, done: Any, opens: Any, time: Any, initial: int, version: Any, row: Any, come: Any, go: Any
) -> int:
    """Write down what each region holds; of what it held before the log ``row`` is -1 less its own first row."""
    number, alive = 0, 0
    for i in range(len(versions)):
        if opens[i]:
            alive = number
            if initial >= 0:
                version[number], row[number], come[number], go[number] = initial, -1 - i, -NEVER, NEVER
                number += 1
        since, by = time[i], i
        for held in range(alive, number):
            if version[held] == versions[i]:
                since, by = come[held], row[held]
        if done[i]:
            for held in range(alive, number):
                go[held] = time[i]
                if version[held] == versions[i]:  # it is still there: its time goes on below
                    go[held] = come[held]
            alive = number
        if done[i] or by == i:
            version[number], row[number], come[number], go[number] = versions[i], by, since, NEVER
            number += 1
    return number


def _sweep(service: Any, version: Any, comes: Any, held: Any, spread: Any) -> None:
    """After each change: the newest version that any region has less the oldest. ``held`` counts, by rank."""
    top, bottom = -1, len(held)
    for i in range(len(service)):
        if i == 0 or service[i] != service[i - 1]:
            held[:] = 0
            top, bottom = -1, len(held)
        if comes[i]:
            held[version[i]] += 1
            top, bottom = max(top, version[i]), min(bottom, version[i])
        else:
            held[version[i]] -= 1
            while top >= 0 and held[top] == 0:
                top -= 1
            while bottom < len(held) and held[bottom] == 0:
                bottom += 1
            if top < 0:
                bottom = len(held)
        spread[i] = top - bottom if top >= 0 else 0


# --- where to go back to -----------------------------------------------------------------------------------


def unsafe_target(waves: Waves) -> Longs:
    """Rollbacks to a version that was not good in that region: one that was never done there, or, where the last good
    one is asked for, another than that. What fails after it was good is no longer good."""
    plan, back = waves.plan, np.flatnonzero(waves.goes_back)
    if plan.rollback_to == ANYTHING:
        return back[:0]
    target = waves.version[back]
    if plan.rollback_to == LAST_GOOD:
        known = _last_good(waves)[back]
        wrong: Longs = back[(known >= 0) & (known != target)]
        return wrong
    good = waves.entered(SUCCESSFUL, BLOCKED, ROLLED_BACK)
    cell = (waves.service.astype(np.int64) * len(plan.regions) + waves.region) * (len(waves.log.versions) + 1)
    done = np.flatnonzero(good)
    keys, first = np.unique(cell[done] + waves.version[done], return_index=True)
    place = np.minimum(np.searchsorted(keys, cell[back] + target), max(len(keys) - 1, 0))
    was = (keys[place] == cell[back] + target) & (done[first[place]] < back) if len(keys) else target < -1
    # What ran before the log began may have been good, unless the plan says what that was.
    unknown = (waves.initial < 0) & ~_was_started(waves, back, cell)
    never: Longs = back[~was & (target != waves.initial) & ~unknown]
    return never


def _was_started(waves: Waves, back: Longs, cell: Longs) -> Flags:
    """Whether the log has the start of the version that each of the rows ``back`` goes back to, in that region."""
    started = waves.entered(RUNNING) & ~waves.goes_back
    return np.isin(cell[back] + waves.version[back], cell[started] + waves.version[started])


def _last_good(waves: Waves) -> Longs:
    """For every row that goes back, the last good version of its region other than the one that it leaves; -1 where the
    log does not say."""
    found = np.full(len(waves.rows), -1, np.int64)
    good = waves.entered(SUCCESSFUL, BLOCKED, ROLLED_BACK)
    bad, back = waves.entered(FAILED), waves.goes_back
    mine = np.flatnonzero(good | bad | back)
    walk = fast(_stack) if len(mine) >= COMPILED_FROM else _stack
    opens = waves.opens_among(mine)
    told, version = np.full(len(mine), -1, np.int64), waves.version[mine].astype(np.int64)
    left, room = waves.left[mine].astype(np.int64), np.zeros(len(waves.log.versions) + 1, np.int64)
    walk(opens, version, left, good[mine], bad[mine], back[mine], waves.initial, room, told)
    found[mine] = told
    return found


def _stack(
    opens: Any, version: Any, left: Any, good: Any, bad: Any, back: Any, initial: int, stack: Any, told: Any
) -> None:
    """Keep a region's good versions, the last one on top, and tell the topmost that is not left."""
    high = 0
    for i in range(len(version)):
        if opens[i]:
            high = 0
            if initial >= 0:
                stack[0] = initial
                high = 1
        if back[i]:
            for place in range(high - 1, -1, -1):
                if stack[place] != left[i]:
                    told[i] = stack[place]
                    break
        if good[i] or bad[i]:
            kept = 0
            for place in range(high):
                if stack[place] != version[i]:
                    stack[kept] = stack[place]
                    kept += 1
            high = kept
            if good[i]:
                stack[high] = version[i]
                high += 1


# --- what must be everywhere first -------------------------------------------------------------------------


def below_floor(waves: Waves) -> tuple[Longs, Longs, Longs, Longs]:
    """``(early, back, pairs, unsure)``: rows that start a version while a region does not have what it needs; rows that
    go back below it afterwards; for each of both, one after the other, the place of the pair in ``never_below``; and
    starts of which the log does not say what other regions had."""
    early, back, pairs_early, pairs_back, unsure = [], [], [], [], []
    for pair, (version, floor) in enumerate(waves.plan.never_below.items()):
        starts = np.flatnonzero(needing(waves, version))
        if floor not in waves.log.versions:
            unsure.append(starts)
            continue
        low = waves.log.versions.index(floor)
        wrong, dark = _without(waves, starts, low)
        early.append(wrong)
        unsure.append(dark)
        pairs_early += [pair] * len(wrong)
        first = np.full(len(waves.log.services), NEVER)
        np.minimum.at(first, waves.service[starts], waves.time_ns[starts])
        under = np.flatnonzero(waves.goes_back & (waves.version < low))
        wrong = under[waves.time_ns[under] > first[waves.service[under]] + waves.plan.clock_skew_ns]
        back.append(wrong)
        pairs_back += [pair] * len(wrong)
    pairs = np.array([*pairs_early, *pairs_back], np.int64)
    rows_early, rows_back = np.concatenate([_NOTHING, *early]), np.concatenate([_NOTHING, *back])
    return rows_early, rows_back, pairs, np.concatenate([_NOTHING, *unsure])


def needing(waves: Waves, version: str) -> Flags:
    """Starts of a version that needs another one everywhere."""
    rank = waves.log.versions.index(version) if version in waves.log.versions else -2
    flags: Flags = waves.entered(RUNNING) & (waves.version == rank)
    return flags


def _without(waves: Waves, starts: Longs, low: int) -> tuple[Longs, Longs]:
    """``(wrong, dark)``: those of ``starts`` at whose time a region had not got ``low`` or newer, and those at whose
    time the log did not yet say what one had."""
    base = np.flatnonzero(waves.entered(SUCCESSFUL, BLOCKED, ROLLED_BACK))
    ready = waves.version[base] >= low
    place = waves.service[base].astype(np.int64) * len(waves.plan.regions) + waves.region[base]
    falls, rises = np.flatnonzero(~ready), np.flatnonzero(ready)
    # A region lacks it from a row with an older version to the next one in it with a version that is new enough.
    number = np.int64(len(waves.rows) + 1)
    keys = place[rises] * number + base[rises]
    after = np.searchsorted(keys, place[falls] * number + base[falls])
    same = after < len(rises)
    same[same] = place[rises[after[same]]] == place[falls[same]]
    until = np.full(len(falls), NEVER)
    until[same] = waves.time_ns[base[rises[after[same]]]]
    skew_ns = waves.plan.clock_skew_ns
    kind, begin, end = waves.service[base[falls]], waves.time_ns[base[falls]] + skew_ns + 1, until - skew_ns
    first_kind, first_begin, first_end = _before_any(waves, base[rises], place[rises])
    dark = _NOTHING
    at, of = waves.time_ns[starts], waves.service[starts]
    if waves.initial >= low:
        first_kind, first_begin, first_end = first_kind[:0], first_begin[:0], first_end[:0]
    elif waves.initial < 0:
        first_begin, dark_end = _from_the_first_word(waves, first_kind, first_end, starts)
        dark = starts[covering(first_kind, np.full(len(dark_end), -NEVER), dark_end, of, at) >= 0]
    first_end = np.where(first_end < NEVER, first_end - skew_ns, NEVER)
    every = np.concatenate([kind, first_kind]), np.concatenate([begin, first_begin]), np.concatenate([end, first_end])
    wrong = covering(*every, of, at) >= 0
    return starts[wrong], dark


def _before_any(waves: Waves, rises: Longs, place: Longs) -> tuple[Longs, Longs, Longs]:
    """For every region of every service the time before it first had something new enough: service, from, until."""
    number = len(waves.plan.regions)
    until = np.full(len(waves.log.services) * number, NEVER)
    np.minimum.at(until, place, waves.time_ns[rises])
    return np.repeat(np.arange(len(waves.log.services)), number), np.full(len(until), -NEVER), until


def _from_the_first_word(waves: Waves, kind: Longs, until: Longs, starts: Longs) -> tuple[Longs, Longs]:
    """``(from, dark until)``: when the log first says something of what each region has; a start of one of ``starts``
    tells nothing of what was there before."""
    told = waves.entered(*MOVES)
    told[starts] = False
    rows = np.flatnonzero(told)
    first = np.full(len(until), NEVER)
    place = waves.service[rows].astype(np.int64) * len(waves.plan.regions) + waves.region[rows]
    np.minimum.at(first, place, waves.time_ns[rows])
    first = np.minimum(first, until)
    return np.where(first < NEVER, first + waves.plan.clock_skew_ns + 1, NEVER), first
