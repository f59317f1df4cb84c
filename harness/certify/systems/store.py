"""One copy of everything, on which every operation takes effect at one moment; and ways in which it is less than that.

linearizable   as said
eventual       reads are answered from a copy that is some updates behind
lossy          an acknowledged update is sometimes forgotten
dirty          what failed takes effect sometimes
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, NamedTuple

from harness.certify.tape import Tape
from harness.model.history import History
from harness.model.op import FAIL, INFO, OK, Op

LINEARIZABLE, EVENTUAL, LOSSY, DIRTY = "linearizable", "eventual", "lossy", "dirty"
LOOKS: Final = ("get", "total", "listed", "accounts", "text", "look")
"""What only looks."""
BEHIND: Final = 8
"""How many updates an eventual copy may be behind."""


class Refusal(Exception):
    """The operation certainly does not happen."""


@dataclass
class State:
    """Everything that is kept."""

    number: int = 0
    count: int = 0
    members: set[Any] = field(default_factory=set)
    balances: dict[int, int] = field(default_factory=lambda: {0: 30, 1: 30, 2: 40})
    queue: list[Any] = field(default_factory=list)
    logs: dict[str, list[Any]] = field(default_factory=lambda: {"x": [], "y": []})
    positions: dict[int, dict[str, int]] = field(default_factory=dict)
    registers: dict[Any, Any] = field(default_factory=dict)
    held: bool = False


class Store:
    """``do`` takes effect and answers. Methods are named after the deeds of a :class:`Deed`."""

    def __init__(self, random: Random, isolation: str = LINEARIZABLE, chance: float = 0.3) -> None:
        self.random, self.isolation, self.chance = random, isolation, chance
        self.now = State()
        self.past: list[State] = []

    def do(self, process: int, deed: str, value: Any, key: Any) -> Any:
        """Take effect and answer. Raises Refusal when it cannot happen."""
        wrong = self.isolation != LINEARIZABLE and self.random.random() < self.chance
        if deed in LOOKS:
            old = self.past and self.isolation == EVENTUAL and wrong
            return getattr(self, deed)(self.random.choice(self.past) if old else self.now, process, value, key)
        before = deepcopy(self.now) if self.isolation in (EVENTUAL, LOSSY) else None
        answer = getattr(self, deed)(self.now, process, value, key)
        if before is not None:
            self.past = [*self.past[1 - BEHIND :], before]
            self.now = before if self.isolation == LOSSY and wrong else self.now
        return answer

    def put(self, now: State, _: int, value: Any, key: Any) -> None:
        now.registers[key] = value

    def swap(self, now: State, _: int, value: Any, key: Any) -> None:
        if now.registers.get(key) != value[0]:
            raise Refusal
        now.registers[key] = value[1]

    def get(self, now: State, _: int, value: Any, key: Any) -> Any:
        return now.registers.get(key)

    def extend(self, now: State, _: int, value: Any, key: Any) -> None:
        now.registers[key] = now.registers.get(key, "") + value

    def text(self, now: State, _: int, value: Any, key: Any) -> Any:
        return now.registers.get(key, "")

    def many(self, now: State, _: int, value: Any, key: Any) -> Any:
        """Several registers at once; a step is ``[f, key, value]``."""
        answer = []
        for f, name, new in value:
            if f in ("w", "write"):
                now.registers[name] = new
            answer.append([f, name, now.registers.get(name)])
        return answer

    def look(self, now: State, process: int, value: Any, key: Any) -> Any:
        """The same for reads alone."""
        return [[f, name, now.registers.get(name)] for f, name, _ in value]

    def plus(self, now: State, _: int, value: Any, key: Any) -> None:
        now.number += value

    def total(self, now: State, *_: Any) -> int:
        return now.number

    def add(self, now: State, _: int, value: Any, key: Any) -> None:
        now.members.add(value)

    def remove(self, now: State, _: int, value: Any, key: Any) -> None:
        now.members.discard(value)

    def listed(self, now: State, *_: Any) -> list[Any]:
        return sorted(now.members)

    def transfer(self, now: State, _: int, value: Any, key: Any) -> None:
        amount = min(value["amount"], now.balances[value["from"]])
        now.balances[value["from"]] -= amount
        now.balances[value["to"]] += amount

    def accounts(self, now: State, *_: Any) -> dict[int, int]:
        return dict(now.balances)

    def generate(self, now: State, *_: Any) -> int:
        now.count += 1
        return now.count

    def acquire(self, now: State, *_: Any) -> None:
        if now.held:
            raise Refusal
        now.held = True

    def release(self, now: State, *_: Any) -> None:
        if not now.held:
            raise Refusal
        now.held = False

    def enqueue(self, now: State, _: int, value: Any, key: Any) -> None:
        now.queue.append(value)

    def dequeue(self, now: State, *_: Any) -> Any:
        return now.queue.pop(0) if now.queue else None

    def take(self, now: State, *_: Any) -> Any:
        return now.queue.pop(self.random.randrange(len(now.queue))) if now.queue else None

    def drain(self, now: State, *_: Any) -> list[Any]:
        taken, now.queue = now.queue, []
        return taken

    def send(self, now: State, _: int, value: Any, key: Any) -> Any:
        [[verb, name, record]] = value
        now.logs[name].append(record)
        return [[verb, name, [2 * len(now.logs[name]), record]]]

    def poll(self, now: State, process: int, *_: Any) -> Any:
        at = now.positions.setdefault(process, dict.fromkeys(now.logs, 0))
        batch = {}
        for name, log in now.logs.items():
            upto = min(len(log), at[name] + self.random.randint(0, 3))
            batch[name] = [[2 * (n + 1), log[n]] for n in range(at[name], upto)]
            at[name] = upto
        return [["poll", batch]]


class Deed(NamedTuple):
    """An operation as clients call it (``f``), and what the store does for it."""

    f: str
    deed: str
    value: Any = None
    key: Any = None


Plan = Callable[[Random, int], Deed]
"""The operation with this number."""


def run(
    random: Random, plan: Plan, final: Sequence[Deed] = (), isolation: str = LINEARIZABLE, steps: int = 160,
    chance: float = 0.3, unsure: float = 0.04,
) -> History:  # fmt: skip
    """Five clients at a time; some operations fail, and of some nobody hears again. At the end four clients in turn
    do ``final``."""
    return History(Run(random, Store(random, isolation, chance), unsure).events(plan, final, steps))


def running(plan: Plan, final: Sequence[Deed] = (), **how: Any) -> Callable[[Random], History]:
    """A function that runs the system; a dirty one lets take effect nearly everything that failed."""
    chance = 0.9 if how.get("isolation") == DIRTY else 0.3
    return lambda random: run(random, plan, final, **{"chance": chance, **how})


class Run:
    """Clients and the ``store`` they share; with chance ``unsure`` nobody hears again of an operation."""

    def __init__(self, random: Random, store: Store, unsure: float) -> None:
        self.random, self.store, self.unsure = random, store, unsure
        self.tape = Tape()
        self.open: dict[int, tuple[Deed, Any]] = {}
        self.clients, self.fresh = list(range(5)), 5
        self.late: list[tuple[int, Deed]] = []

    def events(self, plan: Plan, final: Sequence[Deed], steps: int) -> list[Op]:
        """What was recorded."""
        for number in range(steps):
            if self.late and self.random.random() < 0.05:
                self._did(*self.late.pop())
            if len(self.open) < 5 and self.random.random() < 0.6:
                self._begin(plan(self.random, number))
            elif self.open:
                self._end(self.random.choice(sorted(self.open)))
        for process in sorted(self.open):
            self._answer(process, *self.open.pop(process))
        for process in range(self.fresh, self.fresh + 4):
            for deed in final:
                self.tape.begin(process, deed.f, deed.value, deed.key)
                self._answer(process, deed, None)
        return self.tape.events

    def _begin(self, deed: Deed) -> None:
        process = self.random.choice([each for each in self.clients if each not in self.open])
        self.tape.begin(process, deed.f, deed.value, deed.key)
        self.open[process] = deed, self._did(process, deed) if self.random.random() < 0.5 else None

    def _did(self, process: int, deed: Deed) -> tuple[bool, Any]:
        """Whether it happened, and the answer."""
        try:
            return True, self.store.do(process, *deed[1:])
        except Refusal:
            return False, None

    def _end(self, process: int) -> None:
        deed, done = self.open.pop(process)
        fate = self.random.random()
        if fate < 0.06 and done is None:
            if self.store.isolation == DIRTY and fate < 0.06 * self.store.chance:
                self._did(process, deed)
            self.tape.end(process, None, FAIL)
        elif 0.06 <= fate < 0.06 + self.unsure:
            if done is None and self.random.random() < 0.5:
                self.late.append((process, deed))
            self.tape.end(process, None, INFO)
            self.clients[self.clients.index(process)], self.fresh = self.fresh, self.fresh + 1
        else:
            self._answer(process, deed, done)

    def _answer(self, process: int, deed: Deed, done: tuple[bool, Any] | None) -> None:
        happened, answer = done or self._did(process, deed)
        self.tape.end(process, answer, OK if happened else FAIL)
