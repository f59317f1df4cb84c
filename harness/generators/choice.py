"""Which of several: at random, or whichever is due first."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from msgspec import Struct

from harness.generators.base import NOTHING, PENDING, Answer, Generator
from harness.generators.context import Context
from harness.generators.draws import below
from harness.generators.sequence import Liftable, lift
from harness.model.op import Op
from harness.model.seeds import Rng


class Mix(Struct, frozen=True):
    """``gens[chosen]`` makes the next operation, the ``drawn``-th choice; ``sums`` are the weights' running totals."""

    gens: tuple[Generator, ...]
    sums: tuple[int, ...]
    seed: int
    drawn: int
    chosen: int

    def op(self, ctx: Context) -> Answer:
        gens, sums, drawn, chosen = self.gens, self.sums, self.drawn, self.chosen
        while True:
            answer = gens[chosen].op(ctx)
            if answer is not None:
                break
            if len(gens) == 1:
                return None
            weights = [high - low for low, high in zip((0, *sums), sums, strict=False)]
            gens, weights = gens[:chosen] + gens[chosen + 1 :], weights[:chosen] + weights[chosen + 1 :]
            sums = tuple(accumulate(weights))
            drawn, chosen = drawn + 1, bisect_right(sums, below(self.seed, drawn, sums[-1]))
        op, gen = answer
        if gen is not gens[chosen]:
            gens = (*gens[:chosen], gen, *gens[chosen + 1 :])
        if op is PENDING:
            return PENDING, self if gens is self.gens else Mix(gens, sums, self.seed, drawn, chosen)
        return op, Mix(gens, sums, self.seed, drawn + 1, bisect_right(sums, below(self.seed, drawn, sums[-1])))

    def update(self, ctx: Context, event: Op) -> Generator:
        gens = _updated(self.gens, ctx, event)
        return self if gens is self.gens else Mix(gens, self.sums, self.seed, self.drawn, self.chosen)


def mix(rng: Rng, gens: Sequence[Liftable], weights: Sequence[int] | None = None) -> Generator:
    """Operations drawn at random from ``gens``, with equal chances or by ``weights`` (positive integers).

    An exhausted one drops out. When the drawn one is pending, so is the mix: the order stays as drawn.
    Raises ValueError when the weights do not fit.
    """
    weights = [1] * len(gens) if weights is None else list(weights)
    if len(weights) != len(gens) or any(weight <= 0 for weight in weights):
        raise ValueError(f"mix of {len(gens)} generators got weights {weights}: give one positive integer for each")
    if not gens:
        return NOTHING
    sums = tuple(accumulate(weights))
    seed = rng.bits()[0]
    return Mix(tuple(lift(gen) for gen in gens), sums, seed, 1, bisect_right(sums, below(seed, 0, sums[-1])))


class Soonest(Struct, frozen=True):
    """Of ``gens`` the one whose operation is due first; among equals the first from ``first`` on, going round.

    ``begun`` is False until all were asked once, so that all their clocks start at the same time.
    """

    gens: tuple[Generator, ...]
    first: int = 0
    begun: bool = False

    def op(self, ctx: Context) -> Answer:
        gens, count = self.gens, len(self.gens)
        best: tuple[Op, Generator, int] | None = None
        for offset in range(count):
            i = (self.first + offset) % count
            answer = gens[i].op(ctx)
            if answer is None:
                gens = gens if gens[i] is NOTHING else (*gens[:i], NOTHING, *gens[i + 1 :])
                continue
            op, gen = answer
            if op is PENDING:
                gens = gens if gen is gens[i] else (*gens[:i], gen, *gens[i + 1 :])
            elif best is None or op.time_ns < best[0].time_ns:
                best = (op, gen, i)
                if self.begun and op.time_ns <= ctx.time_ns:
                    break  # nothing can be due earlier than now
        if best is not None:
            op, gen, i = best
            return op, Soonest((*gens[:i], gen, *gens[i + 1 :]), (i + 1) % count, True)
        if all(gen is NOTHING for gen in gens):
            return None
        return PENDING, self if gens is self.gens else Soonest(gens, self.first, self.begun)

    def update(self, ctx: Context, event: Op) -> Generator:
        gens = _updated(self.gens, ctx, event)
        return self if gens is self.gens else Soonest(gens, self.first, self.begun)


def any_of(*gens: Liftable) -> Generator:
    """Whichever of ``gens`` has an operation due first; they take turns when equal. Lasts as long as any of them."""
    return Soonest(tuple(lift(gen) for gen in gens)) if gens else NOTHING


def _updated(gens: tuple[Generator, ...], ctx: Context, event: Op) -> tuple[Generator, ...]:
    """``gens`` after ``event``: the very same tuple when none changed."""
    for i, gen in enumerate(gens):
        after = gen.update(ctx, event)
        if after is not gen:
            gens = (*gens[:i], after, *gens[i + 1 :])
    return gens
