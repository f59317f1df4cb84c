"""Changing or leaving out what another generator makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct

from harness.generators.base import PENDING, Answer, Generator
from harness.generators.context import Context
from harness.generators.sequence import Liftable, lift
from harness.model.op import Op


class Mapped(Struct, frozen=True):
    """``gen`` with ``change`` applied to each operation."""

    change: Callable[[Op], Op]
    gen: Generator

    def op(self, ctx: Context) -> Answer:
        answer = self.gen.op(ctx)
        if answer is None:
            return None
        op, gen = answer
        if op is PENDING:
            return PENDING, self if gen is self.gen else Mapped(self.change, gen)
        return self.change(op), Mapped(self.change, gen)

    def update(self, ctx: Context, event: Op) -> Generator:
        gen = self.gen.update(ctx, event)
        return self if gen is self.gen else Mapped(self.change, gen)


def map_ops(change: Callable[[Op], Op], gen: Liftable) -> Generator:
    """``gen`` with the pure function ``change`` applied to each operation; it must leave process and time alone."""
    return Mapped(change, lift(gen))


def f_map(names: Mapping[str, str], gen: Liftable) -> Generator:
    """``gen`` with its operations' ``f`` renamed by ``names``; others stay."""
    return map_ops(lambda op: msgspec.structs.replace(op, f=names.get(op.f, op.f)), gen)


class Filtered(Struct, frozen=True):
    """``gen`` without the operations that ``keep`` refuses."""

    keep: Callable[[Op], bool]
    gen: Generator

    def op(self, ctx: Context) -> Answer:
        gen = self.gen
        while True:
            answer = gen.op(ctx)
            if answer is None:
                return None
            op, after = answer
            if op is PENDING:
                return PENDING, self if after is self.gen else Filtered(self.keep, after)
            if self.keep(op):
                return op, Filtered(self.keep, after)
            gen = after

    def update(self, ctx: Context, event: Op) -> Generator:
        gen = self.gen.update(ctx, event)
        return self if gen is self.gen else Filtered(self.keep, gen)


def filter_ops(keep: Callable[[Op], bool], gen: Liftable) -> Generator:
    """The operations of ``gen`` for which the pure function ``keep`` is true. Of an endless one some must be."""
    return Filtered(keep, lift(gen))
