"""A workload that drives itself: it hands out no schedule, and acts by what it sees."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from harness.contracts import Checker, Shape
from harness.generators import Generator, clients, each_thread_from
from harness.model.seeds import Rng
from harness.scenarios import Stage


@dataclass
class Driven:
    """``act`` does everything on the stage that it gets; ``judges`` are the checkers of what came of it. The rest is
    as of any :class:`harness.contracts.Workload`."""

    name: str
    needs: frozenset[str]
    promise: str
    act: Callable[[Stage], Awaitable[None]]
    judges: Callable[[], tuple[Checker, ...]]

    def generator(self, rng: Rng, shape: Shape) -> Generator:
        return clients(each_thread_from(lambda thread: []))

    def final(self, rng: Rng, shape: Shape) -> None:
        return None

    def checkers(self) -> tuple[Checker, ...]:
        return self.judges()

    async def drive(self, stage: Stage) -> None:
        await self.act(stage)
