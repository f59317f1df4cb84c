"""One generator per key: histories of many small objects instead of one big one, so that judging stays cheap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct

from harness.errors import UsageError
from harness.generators.base import NOTHING, PENDING, Answer, Generator
from harness.generators.context import Context, lowest_threads
from harness.generators.sequence import Liftable, lift
from harness.model.op import Op


class Keyed(Struct, frozen=True):
    """``gen`` makes the operations of ``keys[index]``; later keys follow."""

    keys: Sequence[Any]
    make: Callable[[Any], Generator]
    index: int
    gen: Generator

    def op(self, ctx: Context) -> Answer:
        index, gen = self.index, self.gen
        while index < len(self.keys):
            answer = gen.op(ctx.within(ctx.all, self.keys[index]))
            if answer is not None:
                op, after = answer
                if op is PENDING and after is self.gen:
                    return PENDING, self
                return op, Keyed(self.keys, self.make, index, after)
            index += 1
            gen = self.make(self.keys[index]) if index < len(self.keys) else NOTHING
        return None

    def update(self, ctx: Context, event: Op) -> Generator:
        gen = self.gen.update(ctx, event)
        return self if gen is self.gen else Keyed(self.keys, self.make, self.index, gen)


def independent(keys: Sequence[Any], make: Callable[[Any], Liftable]) -> Generator:
    """``make(key)`` for one key after the other; its operations carry that key.

    ``keys`` is a sequence and may be huge (``range(10**9)``); ``make`` must be pure.
    """
    return Keyed(keys, lambda key: lift(make(key)), 0, lift(make(keys[0]))) if keys else NOTHING


class Group(Struct, frozen=True):
    """One key at work on one group of threads."""

    key: Any
    gen: Generator


IDLE = Group(None, NOTHING)


@lru_cache(maxsize=256)
def _groups(everyone: int, size: int) -> tuple[int, ...]:
    """Masks of groups of ``size`` threads. Raises UsageError when the threads do not divide into such groups."""
    count = everyone.bit_count()
    if count == 0 or count % size:
        raise UsageError(
            f"independent_concurrent: {count} threads do not divide into groups of {size};"
            f" run it inside clients(...) with a multiple of {size} clients"
        )
    masks = []
    while everyone:
        masks.append(lowest_threads(everyone, size))
        everyone &= ~masks[-1]
    return tuple(masks)


class KeyedGroups(Struct, frozen=True):
    """``groups[i]`` works on the i-th group of ``size`` threads; ``taken`` keys were begun. Asked from ``first`` on."""

    size: int
    keys: Sequence[Any]
    make: Callable[[Any], Generator]
    groups: tuple[Group, ...] = ()
    taken: int = 0
    first: int = 0

    def op(self, ctx: Context) -> Answer:
        masks = _groups(ctx.all, self.size)
        here = self if self.groups else self._begin(len(masks))
        best: tuple[Op, Generator, int] | None = None
        for offset in range(len(masks)):
            i = (self.first + offset) % len(masks)
            if not ctx.free & masks[i]:
                continue
            here, answer = here._ask(i, ctx, masks[i])
            if answer is None:
                continue
            op, gen = answer
            if op is PENDING:
                here = here._with(i, Group(here.groups[i].key, gen), self.first)
            elif best is None or op.time_ns < best[0].time_ns:
                best = (op, gen, i)
                if op.time_ns <= ctx.time_ns:
                    break  # nothing can be due earlier than now
        if best is not None:
            op, gen, i = best
            return op, here._with(i, Group(here.groups[i].key, gen), (i + 1) % len(masks))
        return None if all(group is IDLE for group in here.groups) else (PENDING, here)

    def _begin(self, count: int) -> KeyedGroups:
        taken = min(count, len(self.keys))
        groups = [Group(key, self.make(key)) for key in self.keys[:taken]]
        return KeyedGroups(self.size, self.keys, self.make, (*groups, *[IDLE] * (count - taken)), taken)

    def _ask(self, i: int, ctx: Context, mask: int) -> tuple[KeyedGroups, Answer]:
        """Group i's answer; takes keys until one has something to do. A taken key stays with its group."""
        here = self
        while here.groups[i] is not IDLE:
            group = here.groups[i]
            answer = group.gen.op(ctx.within(mask, group.key))
            if answer is not None:
                return here, answer
            group, taken = IDLE, here.taken
            if taken < len(here.keys):
                key = here.keys[taken]
                group, taken = Group(key, here.make(key)), taken + 1
            here = here._with(i, group, here.first, taken)
        return here, None

    def _with(self, i: int, group: Group, first: int, taken: int | None = None) -> KeyedGroups:
        former = self.groups[i]
        if taken is None and group.gen is former.gen and first == self.first:
            return self
        groups = (*self.groups[:i], group, *self.groups[i + 1 :])
        return KeyedGroups(self.size, self.keys, self.make, groups, self.taken if taken is None else taken, first)

    def update(self, ctx: Context, event: Op) -> Generator:
        if not self.groups:
            return self
        bit = 1 << ctx.thread_of(event.process)
        for i, mask in enumerate(_groups(ctx.all, self.size)):
            if mask & bit:
                group = self.groups[i]
                gen = group.gen.update(ctx.within(mask, group.key), event)
                return self if gen is group.gen else self._with(i, Group(group.key, gen), self.first)
        return self


def independent_concurrent(threads_per_key: int, keys: Sequence[Any], make: Callable[[Any], Liftable]) -> Generator:
    """Like ``independent``, but groups of ``threads_per_key`` threads work on a key each, at the same time.

    A group whose key has nothing more takes the next one. Raises UsageError when the threads that it may use do not
    divide into such groups: put it inside ``clients``.
    """
    return KeyedGroups(threads_per_key, keys, lambda key: lift(make(key)))
