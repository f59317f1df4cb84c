"""Is there an order of one object's calls that respects real time and the object's meaning?

The search goes from return to return (a *level*) and linearizes a call no earlier than a return forces it:
just-in-time linearization (Wing and Gong, "Testing and Verifying Concurrent Objects", 1993; Lowe, "Testing for
linearizability", 2017), one object at a time (Horn and Kroening, "Faster linearizability checking via
P-compositionality", 2015). It goes deep first and remembers every configuration that it met.

Calls are guarded assignments (see :mod:`harness.kernels.models`), which allows five reductions. Each keeps the
answer exact:

*Looks are taken at once.* A call that only looks and fits the present state changes nothing, so taking it now
can block no order that takes it later.

*Unseen writes are hidden late.* A blind write that no call sees can stand directly before the blind write that
follows it. So when a blind write is linearized, all other open ones *may* count as hidden under it. A
configuration remembers that as an option and draws it only when such a write returns; nothing branches before.
All other blind writes are linearized only when an open call needs their value next, or at their own return.

*Indeterminate calls of equal effect are interchangeable.* Only how many of them were used is remembered.

*A state is made only to be used.* A blind write or an indeterminate call that is not forced is taken only
together with the call that needs its state: an open look, an open update, or another indeterminate call
that leads there without passing a state twice. Without that call, the order stays valid when it is left out
(if indeterminate) or hidden under the next blind write.

*Indeterminate calls that nobody can need are dropped.* If no call that ends after its start needs the state that
an indeterminate call leaves, then in any valid order the next call is a blind write or there is none, and the
order stays valid without the indeterminate call.

A configuration is dropped when one that was met at the same level and state can do all that it can (see
``_Level.dominates``).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from harness.kernels.calls import (
    ANY,
    KEEP,
    NEVER,
    Budget,
    Call,
    Decision,
    but,
    fits,
    looks_only,
    states_of,
)

__all__ = ["ANY", "KEEP", "NEVER", "Budget", "Call", "Decision", "decide", "first_orphan", "useful"]

_GLANCE: Final = 5_000
"""How many configurations are worth it when the verdict is known already."""
_COMPARED: Final = 64
"""How many kept configurations of a state a new one is compared with: bounds the quadratic part."""


class Config(NamedTuple):
    """``done``: open calls that are linearized. ``hidden``: open blind writes that may count as overwritten
    unseen. Both are bit sets of slots. ``used``: packed counts of the indeterminate calls used."""

    state: int
    done: int
    hidden: int
    used: int


def decide(calls: Sequence[Call], initial: Iterable[int] = (0,), budget: Budget | None = None) -> Decision:
    """Decide whether ``calls`` on one object are linearizable from (one of) the ``initial`` states."""
    initial, budget = frozenset(initial), budget or Budget()
    orphan = first_orphan(calls, initial)
    if orphan is None:
        return _Search(calls, initial, budget).run()
    # The answer is known; a short search may find an earlier culprit, and what could have been seen instead.
    few = replace(budget, configurations=min(budget.configurations, _GLANCE))
    found = _Search(calls, initial, few).run()
    return found if found.valid is False else Decision(False, orphan, decided_to=calls[orphan].end)


def first_orphan(calls: Sequence[Call], initial: frozenset[int]) -> int | None:
    """The first returned call that needs a state which neither was initial nor was being written before it ended."""
    born: dict[int, int] = dict.fromkeys(initial, -1)
    for call in calls:
        if call.leaves != KEEP and call.leaves != call.needs:
            born[call.leaves] = min(born.get(call.leaves, NEVER), call.start)
    orphans = (
        (call.end, position)
        for position, call in enumerate(calls)
        if call.needs >= 0 and call.end != NEVER and born.get(call.needs, NEVER) > call.end
    )
    return min(orphans, default=(0, None))[1]


def useful(calls: Sequence[Call]) -> list[bool]:
    """False for calls that cannot matter: indeterminate ones that only look, or whose state nobody can need."""
    keep = [call.leaves not in (KEEP, call.needs) or (call.end != NEVER and call.needs != ANY) for call in calls]
    states = sorted(states_of(calls))
    while True:
        needed_until: dict[int, int] = {}
        for call, kept in zip(calls, keep, strict=True):
            if kept and call.needs != ANY:
                for state in _meeting(call.needs, states):
                    needed_until[state] = max(needed_until.get(state, -1), call.end)
        idle = [
            position
            for position, call in enumerate(calls)
            if keep[position] and call.end == NEVER and needed_until.get(call.leaves, -1) < call.start
        ]
        if not idle:
            return keep
        for position in idle:
            keep[position] = False


def _meeting(needs: int, states: Sequence[int]) -> Iterable[int]:
    return (needs,) if needs >= 0 else (state for state in states if fits(needs, state))


@dataclass(frozen=True)
class _Kind:
    """Interchangeable indeterminate calls. ``number`` counts kinds; ``shift`` and ``mask`` locate their count in
    ``Config.used``."""

    needs: int
    leaves: int
    number: int
    shift: int
    mask: int


@dataclass(frozen=True)
class _Level:
    """One return: the call that is due, and what is open when it returns. Bit sets tell what kind a slot's call is."""

    which: int
    position: int
    due: int
    calls: dict[int, Call]
    writes: int
    looks: int
    looks_but: dict[int, int]
    looks_at: dict[int, int]
    states: Sequence[int]
    started: tuple[int, ...]
    guard: int
    kinds: Sequence[_Kind]
    met: dict[tuple[int, bool], list[Config]] = field(default_factory=dict)
    ways: dict[int, dict[int, int]] = field(default_factory=dict)

    def dominates(self, a: Config, b: Config) -> bool:
        """Whether ``a`` can do all that ``b`` can, in the same state: it used no indeterminate call more often, may
        hide every write that ``b`` may hide, and took every look that ``b`` took. A write that ``a`` may hide
        is worth more than the same write done or still to do; otherwise writes and updates must agree."""
        free = a.hidden | self.looks
        return (
            ((b.used | self.guard) - a.used) & self.guard == self.guard
            and not ((a.done ^ b.done) & ~free)
            and not (b.hidden & ~a.hidden)
            and not (b.done & self.looks & ~a.done)
        )

    def is_new(self, config: Config, made: bool) -> bool:
        """Remember a configuration; False when one that was met before can do all that it can."""
        rivals = self.met.setdefault((config.state, made), [])
        freer = self.met.get((config.state, False), []) if made else []
        if any(self.dominates(rival, config) for rival in (*rivals[-_COMPARED:], *freer[-_COMPARED:])):
            return False
        rivals.append(config)
        return True

    def fitting(self, state: int) -> int:
        """The open looks that fit a state."""
        found = self.looks_at.get(state, 0)
        for spared, slots in self.looks_but.items():
            found |= slots if spared != state else 0
        return found

    def moved(self, config: Config, call: Call | _Kind, bit: int = 0, use: int = 0) -> Config:
        """The configuration after ``call``, with the looks taken that fit its state."""
        state = config.state if call.leaves == KEEP else call.leaves
        done = config.done | bit | self.fitting(state)
        hidden = (self.writes if call.needs == ANY else config.hidden) & ~done
        return Config(state, done, hidden, config.used + use)

    def entered(self, config: Config) -> Config:
        """The configuration with the looks taken that began since the level before."""
        return config._replace(done=config.done | self.fitting(config.state))

    def steps_to_use(self, done: int) -> dict[int, int]:
        """How many indeterminate calls lead from a state to one that an open call needs; absent: there is no way."""
        if done not in self.ways:
            open_now = [call for slot, call in self.calls.items() if not done >> slot & 1]
            ways = {state: 0 for call in open_now if call.needs != ANY for state in _meeting(call.needs, self.states)}
            edge = list(ways)
            kinds = [kind for kind in self.kinds if self.started[kind.number]]
            while edge:
                before = [kind.needs for kind in kinds if kind.leaves in edge and kind.needs not in ways]
                ways |= {state: ways[edge[0]] + 1 for state in before}
                edge = list(dict.fromkeys(before))
            self.ways[done] = ways
        return self.ways[done]


class _Search:
    """``todo`` holds what is still to be looked at: the level's number, a configuration, and whether its state was
    *made*, that is, must be used by the very next call."""

    def __init__(self, calls: Sequence[Call], initial: Iterable[int], budget: Budget) -> None:
        kept = [(which, call) for (which, call), keep in zip(enumerate(calls), useful(calls), strict=True) if keep]
        self.budget = budget
        self.levels = _levels(kept)
        self.todo = [(0, Config(state, 0, 0, 0), False) for state in initial]
        self.deepest = 0
        self.explored = 0

    def run(self) -> Decision:
        while self.todo and self.levels:
            depth, config, made = self.todo.pop()
            if depth == len(self.levels):
                return Decision(True, explored=self.explored)
            self.deepest = max(self.deepest, depth)
            level = self.levels[depth]
            config = level.entered(config)
            if not level.is_new(config, made):
                continue
            self.explored += 1
            limit = self._limit()
            if limit:
                sure_to = self.levels[self.deepest].position
                return Decision(None, decided_to=sure_to, explored=self.explored, limit=limit)
            if config.done & level.due:
                self._push(depth, config)
            else:
                self._expand(depth, level, config, made)
        if not self.levels:
            return Decision(True)
        stuck = self.levels[self.deepest]
        return Decision(False, stuck.which, frozenset(s for s, _ in stuck.met), stuck.position, self.explored)

    def _limit(self) -> str:
        if self.explored > self.budget.configurations:
            return f"more than {self.budget.configurations:,} configurations"
        if self.explored % 256 == 0 and time.monotonic() > self.budget.deadline_s:
            return "time limit"
        return ""

    def _push(self, depth: int, config: Config, made: bool = False) -> None:
        """Look at a configuration later: one level on when the call that is due was linearized."""
        due = self.levels[depth].due
        if config.done & due:
            done, hidden = config.done & ~due, config.hidden & ~due
            self.todo.append((depth + 1, Config(config.state, done, hidden, config.used), False))
        else:
            self.todo.append((depth, config, made))

    def _expand(self, depth: int, level: _Level, config: Config, made: bool) -> None:
        """Push all that can come next. The last one pushed is tried first: the most direct way to the due call,
        and what uses no indeterminate call before what does."""
        for after in self._guesses(level, config, made):
            self._push(depth, after, made=not after.done & level.looks & ~config.done)
        if not made:
            for after in self._writes(level, config):
                self._push(depth, after, made=not after.done & level.looks & ~config.done)
        for after in self._updates(level, config):
            self._push(depth, after)
        if level.due & level.writes and not made:
            self._push(depth, level.moved(config, level.calls[level.due.bit_length() - 1], level.due))
        if level.due & config.hidden:
            self._push(depth, config._replace(done=config.done | level.due))

    def _writes(self, level: _Level, config: Config) -> Iterator[Config]:
        """Open blind writes with a use. Of equal ones the first to return: the other one can hide directly before."""
        ways = level.steps_to_use(config.done)
        first: dict[int, tuple[int, int]] = {}
        for slot, call in level.calls.items():
            if call.needs == ANY and call.leaves in ways and not (config.done | level.due) >> slot & 1:
                first[call.leaves] = min(first.get(call.leaves, (NEVER, slot)), (call.end, slot))
        for _, slot in first.values():
            yield level.moved(config, level.calls[slot], 1 << slot)

    def _updates(self, level: _Level, config: Config) -> Iterator[Config]:
        """Open updates that fit the state; of equal ones the first to return, for they can change places."""
        first: dict[int, tuple[int, int]] = {}
        for slot, call in level.calls.items():
            if call.needs == config.state and not (config.done | level.looks) >> slot & 1:
                first[call.leaves] = min(first.get(call.leaves, (NEVER, slot)), (call.end, slot))
        for _, slot in sorted(first.values(), reverse=True):
            yield level.moved(config, level.calls[slot], 1 << slot)

    def _guesses(self, level: _Level, config: Config, made: bool) -> Iterator[Config]:
        """Indeterminate calls that fit the state and lead to a use, the nearest to it last."""
        ways = level.steps_to_use(config.done)
        fitting = (config.state,) if made else (config.state, ANY)
        kinds = [
            kind
            for kind in level.kinds
            if kind.needs in fitting
            and kind.leaves in ways
            and (config.used >> kind.shift) & kind.mask < level.started[kind.number]
        ]
        for kind in sorted(kinds, key=lambda kind: -ways[kind.leaves]):
            yield level.moved(config, kind, use=1 << kind.shift)


def _levels(kept: Sequence[tuple[int, Call]]) -> list[_Level]:
    """The returns in order, each with what is open then. A slot is free again after its call returned."""
    kinds, guard = _kinds(call for _, call in kept)
    events = [(call.start, False, which, call) for which, call in kept]
    events += [(call.end, True, which, call) for which, call in kept if call.end != NEVER]
    number_of = {(kind.needs, kind.leaves): kind.number for kind in kinds}
    started = [0] * len(kinds)
    is_open: dict[int, Call] = {}
    slot_of: dict[int, int] = {}
    states = sorted(states_of(call for _, call in kept))
    levels = []
    for position, is_return, which, call in sorted(events):
        if is_return:
            level = _Level(
                which,
                position,
                1 << slot_of[which],
                dict(is_open),
                *_masks(is_open),
                states,
                tuple(started),
                guard,
                kinds,
            )
            levels.append(level)
            del is_open[slot_of.pop(which)]
        elif call.end == NEVER:
            started[number_of[call.needs, call.leaves]] += 1
        else:
            slot_of[which] = next(slot for slot in range(len(is_open) + 1) if slot not in is_open)
            is_open[slot_of[which]] = call
    return levels


def _masks(is_open: dict[int, Call]) -> tuple[int, int, dict[int, int], dict[int, int]]:
    """Bit sets of the open blind writes, of the open looks, of the looks by the state that they exclude, and by the
    state that they need."""
    writes = sum(1 << slot for slot, call in is_open.items() if call.needs == ANY)
    looks, but_one, at_one = 0, dict[int, int](), dict[int, int]()
    for slot, call in is_open.items():
        if call.needs != ANY and looks_only(call):
            looks |= 1 << slot
            group, state = (at_one, call.needs) if call.needs >= 0 else (but_one, but(call.needs))
            group[state] = group.get(state, 0) | 1 << slot
    return writes, looks, but_one, at_one


def _kinds(calls: Iterable[Call]) -> tuple[list[_Kind], int]:
    """The kinds of indeterminate calls, and guard bits above their counts: one subtraction then compares all."""
    kinds: list[_Kind] = []
    guard = shift = 0
    for (needs, leaves), total in Counter((c.needs, c.leaves) for c in calls if c.end == NEVER).items():
        bits = total.bit_length()
        kinds.append(_Kind(needs, leaves, len(kinds), shift, (1 << bits) - 1))
        guard |= 1 << (shift + bits)
        shift += bits + 1
    return kinds, guard
