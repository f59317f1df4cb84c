"""Three replicas of registers that keep the newest write by a Lamport clock.

causal      writes are delivered in causal order, and sessions stay with their replica
straying    the same, but sessions ask another replica now and then
hasty       the first replica's writes are late at the last, which does not wait for what they rest on
converging  causal, and at the end everything is delivered and everybody reads
diverging   the same, but some writes are never delivered to some replica
"""

from __future__ import annotations

from random import Random
from typing import Any, Final

from harness.certify.tape import Tape
from harness.model.history import History

CAUSAL, STRAYING, HASTY = "causal", "straying", "hasty"
CONVERGING, DIVERGING = "converging", "diverging"
KEYS: Final = 4


class Replicas:
    """``logs`` are the own writes of each replica (key, stamp), ``known`` how many of each other's it has."""

    def __init__(self, random: Random, kind: str) -> None:
        self.random, self.kind, self.tape = random, kind, Tape()
        self.logs: list[list[tuple[int, int]]] = [[] for _ in range(3)]
        self.known = [[0, 0, 0] for _ in range(3)]
        self.needs: dict[tuple[int, int], list[int]] = {}
        self.stores: list[dict[int, tuple[int, int]]] = [{} for _ in range(3)]
        self.clocks = [0, 0, 0]

    def deliver(self, to: int, origin: int, lose: bool = False) -> None:
        """The next write of ``origin`` arrives, if what it rests on is there."""
        at = self.known[to][origin]
        if origin == to or at >= len(self.logs[origin]):
            return
        missing = any(self.known[to][other] < self.needs[origin, at][other] for other in range(3))
        if missing and self.kind != HASTY:
            return
        if self.kind == HASTY and (origin, to) == (0, 2) and self.random.random() < 0.9:
            return
        key, stamp = self.logs[origin][at]
        self.known[to][origin] += 1
        self.clocks[to] = max(self.clocks[to], stamp)
        if not lose:
            self.stores[to][key] = max(self.stores[to].get(key, (-1, -1)), (stamp, origin))

    def late(self) -> list[tuple[int, int]]:
        """Which replica does not have all writes of which other."""
        return [(to, at) for to in range(3) for at in range(3) if to != at and self.known[to][at] < len(self.logs[at])]

    def step(self) -> None:
        """A few deliveries, and one client does something."""
        for _ in range(self.random.randint(0, 2)):
            lose = self.kind == DIVERGING and self.random.random() < 0.3
            self.deliver(self.random.randrange(3), self.random.randrange(3), lose)
        process, key = self.random.randrange(6), self.random.randrange(KEYS)
        at = process % 3
        if self.kind == STRAYING and self.random.random() < 0.3:
            at = self.random.randrange(3)
        if self.random.random() < 0.4:
            self.write(process, at, key)
        else:
            self.read(process, at, key)

    def write(self, process: int, at: int, key: int) -> None:
        """Writers of their own keys leave no doubt about what is newer; only hasty ones have some."""
        self.clocks[at] += 1
        key += (at - key) % 3 if self.kind == HASTY else 0
        self.needs[at, len(self.logs[at])] = list(self.known[at])
        self.logs[at].append((key, self.clocks[at]))
        self.known[at][at] += 1
        self.stores[at][key] = (self.clocks[at], at)
        value = self.clocks[at] * 3 + at
        self.record(process, "write", key, value, value)

    def read(self, process: int, at: int, key: int) -> None:
        """What the replica has."""
        stamp = self.stores[at].get(key)
        self.record(process, "read", key, None, stamp and stamp[0] * 3 + stamp[1])

    def record(self, process: int, f: str, key: Any, asked: Any, answer: Any) -> None:
        """An operation that nothing overlaps."""
        self.tape.begin(process, f, asked, key)
        self.tape.end(process, answer)


def run(random: Random, kind: str, steps: int = 300) -> History:
    """What six clients see in so many ``steps``."""
    replicas = Replicas(random, kind)
    for _ in range(steps):
        replicas.step()
    if kind in (CONVERGING, DIVERGING):
        replicas.write(0, 0, 0)  # whatever was read before is not final
        while late := replicas.late():
            replicas.deliver(*random.choice(late), kind == DIVERGING and random.random() < 0.3)
        for key in range(KEYS):
            for process in range(3):
                replicas.read(process, process, key)
    return History(replicas.tape.events)
