"""A list store in two regions: one copy leads, the other follows; a fault, a promotion, a heal.

confirmed   a write is acknowledged once both copies have it; who is cut off stops
lossy       a write is acknowledged at once, and copied later; the leader dies with what it had not copied
unfenced    the same, but the leader is only cut off, and its region goes on writing to it until the heal
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

import msgspec

from harness.certify.contract import Draw
from harness.certify.tape import Tape
from harness.model.history import FINAL, History
from harness.model.op import FAIL, INFO, INVOKE, NEMESIS, OK, Op

CONFIRMED, LOSSY, UNFENCED = "confirmed", "lossy", "unfenced"
REGIONS: Final = ("us", "eu")
KEYS: Final = ("x", "y")
CLIENTS: Final = 6
COPIED: Final = 0.08
"""How likely the follower gets the next write at each step."""


class Store:
    """The copies, and clients that use them; client p sits in region p modulo 2."""

    def __init__(self, random: Random, kind: str) -> None:
        self.random, self.kind = random, kind
        self.copies: dict[str, dict[str, list[int]]] = {region: {key: [] for key in KEYS} for region in REGIONS}
        self.behind: list[tuple[str, int]] = []
        self.leaders = {region: "us" for region in REGIONS}
        """Who takes a region's writes; empty: nobody."""
        self.tape, self.written = Tape(), 0

    def step(self) -> None:
        """A client begins something or ends it; perhaps the follower gets something."""
        if self.behind and self.random.random() < COPIED:
            self.copy()
        process = self.random.randrange(CLIENTS)
        if process in self.tape.begun:
            self.end(process)
        elif self.random.random() < 0.75:
            self.written += 1
            self.tape.begin(process, "append", self.written, self.random.choice(KEYS))
        else:
            self.tape.begin(process, "entries", None, self.random.choice(KEYS))

    def end(self, process: int) -> None:
        """What was begun happens now, or does not."""
        op, region = self.tape.begun[process], REGIONS[process % 2]
        leader = self.leaders[region]
        if op.f == "entries":
            at = region if leader and self.kind == UNFENCED else leader
            return self.tape.end(process, list(self.copies[at][op.key]) if at else None, OK if at else FAIL)
        if not leader:
            return self.tape.end(process, None, FAIL)
        if self.random.random() < 0.03:  # the answer, or the request, is lost
            if self.random.random() < 0.5:
                self.append(leader, op.key, op.value)
            return self.tape.end(process, None, INFO)
        self.append(leader, op.key, op.value)
        return self.tape.end(process, op.value)

    def append(self, leader: str, key: str, value: int) -> None:
        """The leader has it, and the follower will."""
        self.copies[leader][key].append(value)
        if set(self.leaders.values()) == {leader}:
            self.behind.append((key, value))
            if self.kind == CONFIRMED:
                self.copy()

    def copy(self) -> None:
        """The follower gets the oldest write that it lacks."""
        key, value = self.behind.pop(0)
        (leader,) = set(self.leaders.values())
        self.copies["eu" if leader == "us" else "us"][key].append(value)

    def cut(self) -> None:
        """The leader dies, or nobody elsewhere reaches it. What it has not copied, it has alone."""
        self.behind = []
        self.leaders = {"us": "us" if self.kind == UNFENCED else "", "eu": ""}

    def promote(self) -> None:
        """The follower leads whom it reaches."""
        self.leaders = {"us": self.leaders["us"] or "eu", "eu": "eu"}

    def heal(self) -> None:
        """The old leader throws away what the new one does not have, and follows."""
        self.copies["us"] = {key: list(values) for key, values in self.copies["eu"].items()}
        self.leaders = dict.fromkeys(REGIONS, "eu")

    def note(self, f: str, key: str | None = None, value: Any = None, done: Any = None) -> None:
        """What the nemesis did."""
        common: dict[str, Any] = {"f": f, "process": NEMESIS, "key": key}
        for event in (Op(type=INVOKE, value=value, **common), Op(type=INFO, value=done, **common)):
            at = len(self.tape.events)
            self.tape.events.append(msgspec.structs.replace(event, index=at, time_ns=at * 1_000_000))


def run(random: Random, kind: str, steps: int = 400) -> History:
    """What clients see of one failover in so many ``steps``."""
    store = Store(random, kind)
    says = {"id": "f1", "aim": "us", "regions": ["us"], "nodes": []}
    moments: dict[int, Callable[[], None]] = {
        steps // 4: store.cut,
        steps // 4 + random.randint(3, 20): store.promote,
        3 * steps // 4: store.heal,
    }
    for number in range(steps):
        if number == steps // 4:
            store.note("start", "kill-region", says, says | {"effective": True})
        moments.get(number, lambda: None)()
        if number == 3 * steps // 4:
            store.note("stop", "kill-region", says, says | {"healed": True})
        store.step()
    for process in sorted(store.tape.begun):
        store.end(process)
    while store.behind:
        store.copy()
    store.note(FINAL)
    for process, (region, key) in enumerate(((region, key) for key in KEYS for region in REGIONS), 1000):
        store.tape.begin(process, "entries", None, key)
        store.tape.end(process, list(store.copies[region][key]))
    return History(
        op if op.is_nemesis else msgspec.structs.replace(op, region=REGIONS[op.process % 2]) for op in store.tape.events
    )


def running(kind: str, steps: int = 400) -> Draw:
    """A system of this kind."""
    return lambda random: run(random, kind, steps)
