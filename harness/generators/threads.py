"""Who: routing operations to some threads, or giving each thread its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

from msgspec import Struct

from harness.errors import UsageError
from harness.generators.base import NOTHING, PENDING, Answer, Generator
from harness.generators.choice import any_of
from harness.generators.context import Context, lowest_threads, threads
from harness.generators.sequence import Liftable, lift
from harness.model.op import Op


class OnThreads(Struct, frozen=True):
    """``gen`` sees only the threads of the mask ``select(ctx)``."""

    select: Callable[[Context], int]
    gen: Generator

    def op(self, ctx: Context) -> Answer:
        mask = self.select(ctx)
        if not ctx.all & mask:
            return None
        answer = self.gen.op(ctx.within(mask))
        if answer is None:
            return None
        op, gen = answer
        return op, self if gen is self.gen else OnThreads(self.select, gen)

    def update(self, ctx: Context, event: Op) -> Generator:
        mask = self.select(ctx)
        if not mask >> ctx.thread_of(event.process) & 1:
            return self
        gen = self.gen.update(ctx.within(mask), event)
        return self if gen is self.gen else OnThreads(self.select, gen)


def _client_threads(ctx: Context) -> int:
    return (1 << ctx.clients) - 1


def _nemesis_thread(ctx: Context) -> int:
    return 1 << ctx.clients


def clients(gen: Liftable, nemesis_gen: Liftable = None) -> Generator:
    """``gen`` on the client threads; beside it ``nemesis_gen`` on the nemesis, when one is given."""
    routed = OnThreads(_client_threads, lift(gen))
    return routed if nemesis_gen is None else any_of(routed, nemesis(nemesis_gen))


def nemesis(gen: Liftable, client_gen: Liftable = None) -> Generator:
    """``gen`` on the nemesis; beside it ``client_gen`` on the client threads, when one is given."""
    routed = OnThreads(_nemesis_thread, lift(gen))
    return routed if client_gen is None else any_of(clients(client_gen), routed)


@lru_cache(maxsize=1024)
def _shares(everyone: int, counts: tuple[int, ...]) -> tuple[int, ...]:
    """Masks of the lowest threads of ``everyone`` by ``counts``, and last the mask of those that remain."""
    shares = []
    for count in counts:
        share = lowest_threads(everyone, count)
        if share.bit_count() < count:
            raise UsageError(f"reserve{counts} needs {sum(counts)} threads: add clients or reserve fewer")
        shares.append(share)
        everyone &= ~share
    return (*shares, everyone)


def reserve(*counts_and_gens: int | Liftable) -> Generator:
    """``reserve(2, writes, 3, reads, mixed)``: two threads for writes, three for reads, all others for ``mixed``.

    Threads are taken from the lowest number up, of those that this generator may use. Raises ValueError when
    the arguments do not alternate, UsageError when it runs with too few threads.
    """
    counts, gens = counts_and_gens[0:-1:2], [*counts_and_gens[1:-1:2], *counts_and_gens[-1:]]
    whole = tuple(count for count in counts if isinstance(count, int) and count > 0)
    plain = [gen for gen in gens if not isinstance(gen, int)]
    if len(whole) != len(counts) or len(plain) != len(gens) or len(gens) != len(counts) + 1:
        raise ValueError(f"reserve{counts_and_gens}: give count, generator, count, generator, ..., a last generator")
    return any_of(*(OnThreads(partial(_share, whole, i), lift(gen)) for i, gen in enumerate(plain)))


def _share(counts: tuple[int, ...], i: int, ctx: Context) -> int:
    return _shares(ctx.all, counts)[i]


class EachThread(Struct, frozen=True):
    """``gens[thread]`` for each thread; ``make(thread)`` for one that was not asked yet."""

    make: Callable[[int], Generator]
    gens: dict[int, Generator]

    def op(self, ctx: Context) -> Answer:
        started: dict[int, Generator] = {}
        best: tuple[Op, Generator, int] | None = None
        for thread in _from(ctx.pick(), ctx.free) if ctx.free else ():
            gen = self._gen(thread)
            answer = gen.op(ctx.within(1 << thread))
            op, after = (PENDING, NOTHING) if answer is None else answer
            if op is PENDING:
                if after is not gen:
                    started[thread] = after
            elif best is None or op.time_ns < best[0].time_ns:
                best = (op, after, thread)
                if op.time_ns <= ctx.time_ns:
                    break  # nothing can be due earlier than now
        if best is not None:
            op, after, thread = best
            return op, EachThread(self.make, {**self.gens, **started, thread: after})
        here = EachThread(self.make, {**self.gens, **started}) if started else self
        return None if all(here._gen(thread) is NOTHING for thread in threads(ctx.all)) else (PENDING, here)

    def _gen(self, thread: int) -> Generator:
        gen = self.gens.get(thread)
        return self.make(thread) if gen is None else gen

    def update(self, ctx: Context, event: Op) -> Generator:
        thread = ctx.thread_of(event.process)
        gen = self._gen(thread)
        after = gen.update(ctx.within(1 << thread), event)
        return self if after is gen else EachThread(self.make, {**self.gens, thread: after})


def _from(first: int, mask: int) -> list[int]:
    """The threads of ``mask``, from ``first`` on, going round."""
    low = mask & ((1 << first) - 1)
    return [*threads(mask ^ low), *threads(low)]


def each_thread(gen: Liftable) -> Generator:
    """A copy of ``gen`` for each thread. Copies are equal: their random choices too; see ``each_thread_from``."""
    lifted = lift(gen)
    return EachThread(lambda thread: lifted, {})


def each_thread_from(make: Callable[[int], Liftable]) -> Generator:
    """The generator ``make(thread)`` for each thread, e.g. ``lambda t: mix(rng.child(t), [a, b])``; it must be pure."""
    return EachThread(lambda thread: lift(make(thread)), {})
