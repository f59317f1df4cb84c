"""One after the other: lists, phases, loops. Also how plain values become generators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from msgspec import Struct

from harness.generators.base import NOTHING, PENDING, Answer, Call, Generator, One, Sleep
from harness.generators.context import Context
from harness.model.op import Op, invoke

Liftable: TypeAlias = (
    "Generator | Op | dict[str, Any] | Sequence[Liftable] | Callable[[Context], Op | dict[str, Any] | None] | None"
)
"""Whatever :func:`lift` understands."""


def lift(plain: Liftable) -> Generator:
    """The generator that a plain value stands for.

    A generator is itself. An ``Op`` or a dict (``{"f": "read", "key": 3}``) is one operation, once. A list or tuple
    is its items in order. A function of the context is called for each operation until it answers
    None. None is exhausted. Raises TypeError for anything else.
    """
    if plain is None:
        return NOTHING
    if isinstance(plain, Op):
        return One(plain)
    if isinstance(plain, dict):
        return One(invoke(**plain))
    if isinstance(plain, list | tuple):
        return sequence(plain)
    if hasattr(plain, "op") and hasattr(plain, "update"):
        return plain
    if callable(plain):
        return Call(plain)
    raise TypeError(
        f"{plain!r} ({type(plain).__name__}) is no generator:"
        " give an Op, a dict with 'f', a list, a function of the context, or a generator"
    )


class InOrder(Struct, frozen=True):
    """``parts`` one after the other, from ``parts[index]``, of which ``head`` is left; then ``laps`` times more.

    ``laps`` is -1 for a loop without end.
    """

    parts: tuple[Generator, ...]
    laps: int
    index: int
    head: Generator

    def op(self, ctx: Context) -> Answer:
        here, tried = self, 0
        while tried <= len(self.parts):  # a whole lap without an operation: there will never be one
            answer = here._after_sleep(ctx) if isinstance(here.head, Sleep) else here.head.op(ctx)
            if answer is not None:
                op, head = answer
                if isinstance(here.head, Sleep):
                    return op, head
                if op is PENDING and head is here.head:
                    return PENDING, here
                return op, InOrder(here.parts, here.laps, here.index, head)
            rest = here._rest()
            if rest is None or isinstance(here.head, Sleep):
                return None
            here, tried = rest, tried + 1
        return None

    def _rest(self) -> InOrder | None:
        """This sequence after its head."""
        index, laps = self.index + 1, self.laps
        if index == len(self.parts):
            if laps == 0:
                return None
            index, laps = 0, max(laps - 1, -1)
        return InOrder(self.parts, laps, index, self.parts[index])

    def _after_sleep(self, ctx: Context) -> Answer:
        """The answer of what follows the sleep at the head, planned for the sleep's end."""
        head, rest = self.head, self._rest()
        assert isinstance(head, Sleep)
        if head.until_ns < 0:
            begun = head.op(ctx)
            assert begun is not None
            return PENDING, self if begun[1] is head else InOrder(self.parts, self.laps, self.index, begun[1])
        if rest is None:
            return head.op(ctx) and (PENDING, self)
        answer = rest.op(ctx if ctx.time_ns >= head.until_ns else ctx.at(head.until_ns))
        if answer is None or answer[0] is not PENDING:
            return answer
        following = answer[1]
        if isinstance(following, InOrder) and isinstance(following.head, Sleep):
            return answer  # two sleeps in a row: the second one ends later anyway
        return PENDING, self

    def update(self, ctx: Context, event: Op) -> Generator:
        head = self.head.update(ctx, event)
        return self if head is self.head else InOrder(self.parts, self.laps, self.index, head)


def sequence(parts: Iterable[Liftable], laps: int = 0) -> Generator:
    """``parts`` in order, then ``laps`` times again (-1: for ever). Does not wait between parts."""
    lifted = tuple(lift(part) for part in parts)
    return InOrder(lifted, laps, 0, lifted[0]) if lifted else NOTHING


def concat(*parts: Liftable) -> Generator:
    """``parts`` in order, each begun when the former has nothing more, even while its last operations run."""
    return sequence(parts)


def cycle(*parts: Liftable, times: int = -1) -> Generator:
    """``parts`` in order, ``times`` times from the beginning (-1: for ever).

    Each lap starts from the same values, so random choices repeat too.
    """
    return NOTHING if times == 0 else sequence(parts, laps=max(times - 1, -1) if times > 0 else -1)


class Synchronize(Struct, frozen=True):
    """Waits until all threads are free, then is ``gen``."""

    gen: Generator

    def op(self, ctx: Context) -> Answer:
        return self.gen.op(ctx) if ctx.free == ctx.all else (PENDING, self)

    def update(self, ctx: Context, event: Op) -> Generator:
        gen = self.gen.update(ctx, event)
        return self if gen is self.gen else Synchronize(gen)


def synchronize(gen: Liftable) -> Generator:
    """``gen``, begun when every thread is free."""
    return Synchronize(lift(gen))


def phases(*parts: Liftable) -> Generator:
    """``parts`` in order; each waits until all operations of the former one ended."""
    synced: list[Generator] = []
    for part in map(lift, parts):
        # A sleep counts from the moment when all are free, and must stay visible to the sequence.
        synced += [Synchronize(NOTHING), part] if isinstance(part, Sleep) else [Synchronize(part)]
    return sequence(synced)


def then(first: Liftable, second: Liftable) -> Generator:
    """``first``; when all its operations ended, ``second``."""
    return concat(first, synchronize(second))


class FlipFlop(Struct, frozen=True):
    """Operations from ``turn`` and ``other`` alternately."""

    turn: Generator
    other: Generator

    def op(self, ctx: Context) -> Answer:
        answer = self.turn.op(ctx)
        if answer is None:
            return None
        op, after = answer
        if op is PENDING:
            return PENDING, self if after is self.turn else FlipFlop(after, self.other)
        return op, FlipFlop(self.other, after)

    def update(self, ctx: Context, event: Op) -> Generator:
        turn, other = self.turn.update(ctx, event), self.other.update(ctx, event)
        return self if turn is self.turn and other is self.other else FlipFlop(turn, other)


def flip_flop(a: Liftable, b: Liftable) -> Generator:
    """One operation of ``a``, one of ``b``, and so on until either has nothing more."""
    return FlipFlop(lift(a), lift(b))
