"""How long a generator lasts: by count, by time, until success."""

from __future__ import annotations

from msgspec import Struct

from harness.generators.base import NOTHING, PENDING, Answer, Generator
from harness.generators.context import Context
from harness.generators.sequence import Liftable, lift
from harness.model.op import INVOKE, OK, Op


class Limit(Struct, frozen=True):
    """At most ``left`` more operations of ``gen``."""

    left: int
    gen: Generator

    def op(self, ctx: Context) -> Answer:
        if self.left <= 0:
            return None
        answer = self.gen.op(ctx)
        if answer is None:
            return None
        op, gen = answer
        if op is PENDING:
            return PENDING, self if gen is self.gen else Limit(self.left, gen)
        return op, Limit(self.left - 1, gen)

    def update(self, ctx: Context, event: Op) -> Generator:
        gen = self.gen.update(ctx, event)
        return self if gen is self.gen else Limit(self.left, gen)


def limit(count: int, gen: Liftable) -> Generator:
    """The first ``count`` operations of ``gen``."""
    return Limit(count, lift(gen))


def once(gen: Liftable) -> Generator:
    """The first operation of ``gen``."""
    return limit(1, gen)


class TimeLimit(Struct, frozen=True):
    """``gen`` until ``end_ns``; -1 before the first request, which starts the clock."""

    span_ns: int
    gen: Generator
    end_ns: int = -1

    def op(self, ctx: Context) -> Answer:
        end_ns = self.end_ns if self.end_ns >= 0 else ctx.time_ns + self.span_ns
        if ctx.time_ns >= end_ns:
            return None
        answer = self.gen.op(ctx)
        if answer is None:
            return None
        op, gen = answer
        if op is PENDING:
            unchanged = gen is self.gen and end_ns == self.end_ns
            return PENDING, self if unchanged else TimeLimit(self.span_ns, gen, end_ns)
        if op.time_ns >= end_ns:
            return None
        return op, TimeLimit(self.span_ns, gen, end_ns)

    def update(self, ctx: Context, event: Op) -> Generator:
        gen = self.gen.update(ctx, event)
        return self if gen is self.gen else TimeLimit(self.span_ns, gen, self.end_ns)


def time_limit(span_s: float, gen: Liftable) -> Generator:
    """The operations of ``gen`` that are due within ``span_s`` seconds of its start. Running ones are not stopped."""
    return TimeLimit(round(span_s * 1e9), lift(gen))


class Repeat(Struct, frozen=True):
    """The first operation of ``gen``, ``left`` times; -1: for ever."""

    left: int
    gen: Generator

    def op(self, ctx: Context) -> Answer:
        if self.left == 0:
            return None
        answer = self.gen.op(ctx)
        if answer is None:
            return None
        op, gen = answer
        if op is PENDING:
            return PENDING, self if gen is self.gen else Repeat(self.left, gen)
        return op, self if self.left < 0 else Repeat(self.left - 1, self.gen)

    def update(self, ctx: Context, event: Op) -> Generator:
        gen = self.gen.update(ctx, event)
        return self if gen is self.gen else Repeat(self.left, gen)


def repeat(gen: Liftable, times: int = -1) -> Generator:
    """The first operation of ``gen`` again and again, ``times`` times (-1: for ever). See also ``cycle``."""
    return Repeat(times, lift(gen))


class UntilOk(Struct, frozen=True):
    """``gen`` until one of its operations is ``ok``; ``running`` is the mask of threads that run one of them."""

    gen: Generator
    running: int = 0

    def op(self, ctx: Context) -> Answer:
        answer = self.gen.op(ctx)
        if answer is None:
            return None
        op, gen = answer
        if op is PENDING:
            return PENDING, self if gen is self.gen else UntilOk(gen, self.running)
        return op, UntilOk(gen, self.running | 1 << ctx.thread_of(op.process))

    def update(self, ctx: Context, event: Op) -> Generator:
        gen, bit = self.gen.update(ctx, event), 1 << ctx.thread_of(event.process)
        if event.type == INVOKE or not self.running & bit:
            return self if gen is self.gen else UntilOk(gen, self.running)
        return NOTHING if event.type == OK else UntilOk(gen, self.running & ~bit)


def until_ok(gen: Liftable) -> Generator:
    """Operations of ``gen`` until one of them ends ``ok``."""
    return UntilOk(lift(gen))
