"""How fast: operations spread over time, at random or evenly."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from harness.generators.base import PENDING, Answer, Generator
from harness.generators.context import Context
from harness.generators.draws import below
from harness.generators.sequence import Liftable, lift
from harness.model.op import Op
from harness.model.seeds import Rng

CATCH_UP_NS: Final = 20_000_000
"""How far ``stagger`` may lag behind its plan and still catch up. Hiccups of the scheduler do not lower
the rate; after a real stall (all threads busy) the rate resumes without a burst."""


class Stagger(Struct, frozen=True):
    """``gen`` with random gaps of 0 to ``2 * mean_ns``, of which ``drawn`` are used.

    ``due_ns`` is the next operation's time, -1 at the start.
    """

    mean_ns: int
    gen: Generator
    seed: int
    drawn: int = 0
    due_ns: int = -1

    def op(self, ctx: Context) -> Answer:
        now_ns = ctx.time_ns
        due_ns = self.due_ns if self.due_ns >= 0 else now_ns
        answer = self.gen.op(ctx.at(due_ns) if due_ns > now_ns else ctx)
        if answer is None:
            return None
        op, gen = answer
        if op is PENDING:
            return PENDING, self if gen is self.gen else Stagger(self.mean_ns, gen, self.seed, self.drawn, self.due_ns)
        gap_ns = below(self.seed, self.drawn, 2 * self.mean_ns + 1)
        next_ns = max(due_ns, op.time_ns - CATCH_UP_NS) + gap_ns
        return op, Stagger(self.mean_ns, gen, self.seed, self.drawn + 1, next_ns)

    def update(self, ctx: Context, event: Op) -> Generator:
        gen = self.gen.update(ctx, event)
        return self if gen is self.gen else Stagger(self.mean_ns, gen, self.seed, self.drawn, self.due_ns)


def stagger(rng: Rng, mean_s: float, gen: Liftable) -> Generator:
    """``gen`` with random gaps, uniform from 0 to twice ``mean_s`` seconds.

    The mean is that of all threads together: ``stagger(rng, 1 / 50, gen)`` makes 50 operations per second.
    """
    return Stagger(round(mean_s * 1e9), lift(gen), rng.bits()[0])


class Delay(Struct, frozen=True):
    """``gen`` with gaps of ``gap_ns``; ``due_ns`` is the next operation's earliest time."""

    gap_ns: int
    gen: Generator
    due_ns: int = -1

    def op(self, ctx: Context) -> Answer:
        answer = self.gen.op(ctx.at(self.due_ns) if self.due_ns > ctx.time_ns else ctx)
        if answer is None:
            return None
        op, gen = answer
        if op is PENDING:
            return PENDING, self if gen is self.gen else Delay(self.gap_ns, gen, self.due_ns)
        return op, Delay(self.gap_ns, gen, op.time_ns + self.gap_ns)

    def update(self, ctx: Context, event: Op) -> Generator:
        gen = self.gen.update(ctx, event)
        return self if gen is self.gen else Delay(self.gap_ns, gen, self.due_ns)


def delay(gap_s: float, gen: Liftable) -> Generator:
    """``gen`` with ``gap_s`` seconds or more from one invocation to the next, over all threads; the first at once."""
    return Delay(round(gap_s * 1e9), lift(gen))
