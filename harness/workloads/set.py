"""A growing set: unique elements are added, and reads of all members show which of them were lost or came back late."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from harness.checkers.objects.set import SetFull
from harness.contracts import Checker, Shape
from harness.generators import Generator, clients, each_thread, unfold
from harness.generators.draws import below
from harness.model.op import invoke
from harness.model.seeds import Rng

EVERY_NTH_READS: Final = 20
"""One operation in so many reads the members, unless ..."""
READS_MAX: Final = 200
"""... that would be more reads than this over the run: each one answers with everything added so far."""
ASSUMED_RATE_HZ: Final = 1000.0
"""For runs without a rate."""


class State(Struct, frozen=True):
    """``count`` operations were made, ``added`` of them adds; one in ``nth`` is a read."""

    seed: int
    nth: int
    count: int = 0
    added: int = 0


def step(state: State) -> tuple[str, None, int | None, State]:
    """The next operation: ``(f, key, value, state)``. Elements count up from 1."""
    if below(state.seed, state.count, state.nth) == 0:
        return "members", None, None, State(state.seed, state.nth, state.count + 1, state.added)
    added = state.added + 1
    return "add", None, added, State(state.seed, state.nth, state.count + 1, added)


class GrowingSet:
    """See the module."""

    name = "set"
    needs: frozenset[str] = frozenset({"add", "members"})
    promise = "linearizable"

    def generator(self, rng: Rng, shape: Shape) -> Generator:
        operations = (shape.rate_hz or ASSUMED_RATE_HZ) * shape.time_limit_s
        return unfold(step, State(rng.child("set").seed, max(EVERY_NTH_READS, round(operations / READS_MAX))))

    def final(self, rng: Rng, shape: Shape) -> Generator:
        """Every client reads all members."""
        return clients(each_thread(invoke("members")))

    def checkers(self) -> tuple[Checker, ...]:
        return (SetFull(),)


WORKLOAD = GrowingSet()
