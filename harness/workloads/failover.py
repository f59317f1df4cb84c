"""Appends to lists and reads of them, at a steady rate from every region, to see a failover from all sides.

Each region's clients try a write and a read every ``regions * 2 / rate`` seconds each, whatever the other regions do,
so that the times of an outage are known as exactly as the rate allows. Every value is written once. At the end each
region reads every list: what was acknowledged and is not there is lost.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Final

from msgspec import Struct

from harness.checkers.fates import APPEND, ENTRIES
from harness.checkers.rpo import Rpo
from harness.checkers.rto import Rto
from harness.checkers.split_brain import SplitBrain
from harness.contracts import Checker, Shape
from harness.generators import Context, Generator, any_of, clients, delay, each_thread_from, phases, sleep, unfold
from harness.generators.threads import OnThreads
from harness.model.op import Op, invoke
from harness.model.seeds import Rng

KEYS: Final = 6
ASSUMED_RATE_HZ: Final = 300.0
SETTLE_S: Final = 1.0
"""From the recovery to the final reads: what was acknowledged last is on its way to far replicas still."""


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
    """Every fourth client of a region reads and the others write, which takes longer; two or one do both."""
    mine = range(region, clients, regions)
    return sum(1 << thread for place, thread in enumerate(mine) if (place % 4 == 3) == reads or len(mine) < 3)


class Failover:
    """See the module."""

    name = "failover"
    needs: frozenset[str] = frozenset({APPEND, ENTRIES})
    promise = "failover"
    paced = True

    def generator(self, rng: Rng, shape: Shape) -> Generator:
        regions, keys = len(shape.regions), shape.keys or KEYS
        gap_s = 2 * regions / (shape.rate_hz or ASSUMED_RATE_HZ)
        return any_of(
            *(
                OnThreads(partial(threads_of, region, regions, f == ENTRIES), delay(gap_s, unfold(step, begin)))
                for region in range(regions)
                for f in (APPEND, ENTRIES)
                for begin in (State(f, region, regions, keys),)
            )
        )

    def final(self, rng: Rng, shape: Shape) -> Generator:
        """Every region reads every list, its clients sharing them."""
        regions, keys = len(shape.regions), shape.keys or KEYS
        sharing = max(1, shape.clients // regions)

        def reads(thread: int) -> list[Op]:
            return [invoke(ENTRIES, key=key) for key in range(thread // regions % sharing, keys, sharing)]

        return phases(sleep(SETTLE_S), clients(each_thread_from(reads)))

    def checkers(self) -> tuple[Checker, ...]:
        return (Rpo(), Rto(), SplitBrain())


WORKLOAD = Failover()
