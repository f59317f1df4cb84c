"""Appends to lists and reads of them, at a steady rate from every region, to see a failover from all sides.

Each region's clients try a write and a read every ``regions * 2 / rate`` seconds each, whatever the other regions do,
so that the times of an outage are known as exactly as the rate allows. Every value is written once. At the end each
region reads every list: what was acknowledged and is not there is lost.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Final

from msgspec import Struct

from harness.checkers.failovers.fates import APPEND, ENTRIES
from harness.checkers.failovers.rpo import Rpo
from harness.checkers.failovers.rto import Rto
from harness.checkers.failovers.split_brain import SplitBrain
from harness.contracts import Checker, Shape
from harness.generators import (
    Context,
    Generator,
    any_of,
    clients,
    delay,
    each_thread_from,
    phases,
    repeat,
    sleep,
    time_limit,
    unfold,
    until_ok,
)
from harness.generators.threads import OnThreads
from harness.model.op import Op, invoke
from harness.model.seeds import Rng

KEYS: Final = 6
ASSUMED_RATE_HZ: Final = 300.0
SETTLE_S: Final = 1.0
"""From the recovery to the final reads: what was acknowledged last is on its way to far replicas still."""
PATIENCE_S: Final = 5.0
"""For so long a final read that is not answered is tried again: a list that nobody could read leaves losses unknown."""
AGAIN_S: Final = 0.2

RESTING: Final = 0.7
"""The part of its time that a client may rest between two attempts; the attempt itself needs the other."""


def gap_s(shape: Shape) -> float:
    """From one attempt to the next of one kind in one region."""
    return 2 * len(shape.regions) / (shape.rate_hz or ASSUMED_RATE_HZ)


class State(Struct, frozen=True):
    """``count`` operations of one kind were made by region number ``region`` of ``regions``, over ``keys`` lists."""

    f: str
    region: int
    regions: int
    keys: int
    count: int = 0


def step(state: State) -> tuple[str, int, int | None, State]:
    """The next operation: ``(f, key, value, state)``. Regions share all whole numbers, so that values are unique."""
    count = state.count
    value = count * state.regions + state.region if state.f == APPEND else None
    after = State(state.f, state.region, state.regions, state.keys, count + 1)
    return state.f, (count + state.region) % state.keys, value, after


def threads_of(region: int, regions: int, reads: bool, ctx: Context) -> int:
    """The client threads that sit in region number ``region``, as a mask: clients are dealt to regions in turn."""
    return _mask(region, regions, reads, ctx.clients)


@lru_cache(maxsize=256)
def _mask(region: int, regions: int, reads: bool, clients: int) -> int:
    """Every fourth client of a region reads, the others write, which takes longer; of fewer than four all do both."""
    mine = range(region, clients, regions)
    return sum(1 << thread for place, thread in enumerate(mine) if (place % 4 == 3) == reads or len(mine) < 4)


def _readers(region: int, shape: Shape) -> float:
    """How many clients a region's schedule of reads has; who writes, too, counts half."""
    reads, writes = (_mask(region, len(shape.regions), kind, shape.clients) for kind in (True, False))
    return reads.bit_count() / (2 if reads == writes else 1)


def _answered(read: Op) -> Generator:
    return until_ok(time_limit(PATIENCE_S, delay(AGAIN_S, repeat(read))))


class Failover:
    """See the module."""

    name = "failover"
    needs: frozenset[str] = frozenset({APPEND, ENTRIES})
    promise = "failover"

    def rest_s(self, shape: Shape) -> float:
        """Where the fewest share a schedule, one of them is back for every attempt."""
        return RESTING * gap_s(shape) * min(_readers(region, shape) for region in range(len(shape.regions)))

    def generator(self, rng: Rng, shape: Shape) -> Generator:
        regions, keys = len(shape.regions), shape.keys or KEYS
        return any_of(
            *(
                OnThreads(partial(threads_of, region, regions, f == ENTRIES), delay(gap_s(shape), unfold(step, begin)))
                for region in range(regions)
                for f in (APPEND, ENTRIES)
                for begin in (State(f, region, regions, keys),)
            )
        )

    def final(self, rng: Rng, shape: Shape) -> Generator:
        """Every region reads every list, its clients sharing them, until it is answered."""
        regions, keys = len(shape.regions), shape.keys or KEYS
        sharing = max(1, shape.clients // regions)

        def reads(thread: int) -> list[Generator]:
            return [_answered(invoke(ENTRIES, key=key)) for key in range(thread // regions % sharing, keys, sharing)]

        return phases(sleep(SETTLE_S), clients(each_thread_from(reads)))

    def checkers(self) -> tuple[Checker, ...]:
        return (Rpo(), Rto(), SplitBrain())


WORKLOAD = Failover()
