"""Writes histories: operations as they begin and end, a millisecond apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

import msgspec

from harness.model.clock import NS_PER_MS
from harness.model.history import FINAL, History
from harness.model.op import FAIL, INFO, INVOKE, NEMESIS, OK, Op


class Did(NamedTuple):
    """An operation from beginning to end, by ``process``, with its ``answer`` (None: the argument again)."""

    process: int
    f: str
    value: Any = None
    answer: Any = None
    key: Any = None
    type: str = OK


@dataclass
class Tape:
    """Events as they happen; client p asks node p modulo 3."""

    events: list[Op] = field(default_factory=list)
    begun: dict[int, Op] = field(default_factory=dict)

    def begin(self, process: int, f: str, value: Any, key: Any = None) -> None:
        """An operation begins."""
        node = f"n{process % 3}"
        self.begun[process] = Op(type=INVOKE, f=f, process=process, key=key, value=value, node=node)
        self._add(self.begun[process])

    def end(self, process: int, answer: Any, type_: str = OK) -> None:
        """The process's open operation ends; only an acknowledged one has an answer."""
        begun = self.begun.pop(process)
        value = answer if type_ == OK and answer is not None else begun.value
        self._add(msgspec.structs.replace(begun, type=type_, value=value))

    def _add(self, op: Op) -> None:
        at = len(self.events)
        self.events.append(msgspec.structs.replace(op, time_ns=at * NS_PER_MS, index=at))


def told(did: Sequence[Did], together: int = 0) -> History:
    """Operations one after the other; the last few, ``together``, overlap."""
    tape, alone = Tape(), len(did) - together
    for each in did[:alone]:
        tape.begin(each.process, each.f, each.value, each.key)
        tape.end(each.process, each.answer, each.type)
    for each in did[alone:]:
        tape.begin(each.process, each.f, each.value, each.key)
    for each in did[alone:]:
        tape.end(each.process, each.answer, each.type)
    return History(tape.events)


def restamped(events: Iterable[Op]) -> History:
    """Events numbered anew, a millisecond apart."""
    return History(msgspec.structs.replace(op, index=at, time_ns=at * NS_PER_MS) for at, op in enumerate(events))


def with_final(events: Sequence[Op], at: int) -> History:
    """The events, with the note before the one at this position that only final reads come from now on."""
    notes = [Op(type=type_, f=FINAL, process=NEMESIS) for type_ in (INVOKE, INFO)]
    return restamped([*events[:at], *notes, *events[at:]])


class Asked(NamedTuple):
    """What a client is going to do."""

    f: str
    value: Any = None
    key: Any = None


Choose = Callable[[Random, int], Asked]
"""The operation with this number."""
Answer = Callable[[Random, Op, Sequence[Op]], Any]
"""Some answer to an operation, after these events."""


def scattered(
    random: Random, choose: Choose, answer: Answer, most: int = 7, clients: int = 4, unsure: float = 0.2,
    least: int = 1,
) -> History:  # fmt: skip
    """``least`` to ``most`` operations that overlap at random, with any outcome and arbitrary answers."""
    left, seats = random.randint(least, most), random.randint(1, clients)
    outcomes = random.choice(((8, 1, 10 * unsure), (1, 0, 0)))
    tape, number = Tape(), 0
    hasty = random.random() * 0.7
    while left or (tape.begun and random.random() > 0.05):
        process = random.randrange(seats)
        if process in tape.begun and random.random() > hasty / 2:
            begun = tape.begun[process]
            tape.end(process, answer(random, begun, tape.events), random.choices((OK, FAIL, INFO), outcomes)[0])
        elif left and process not in tape.begun:
            left, number = left - 1, number + 1
            tape.begin(process, *choose(random, number))
    return History(tape.events)


def settled(history: History, reads: Iterable[Asked], answer: Answer, random: Random) -> History:
    """The history, and then reads by new clients, one after the other, with some answers."""
    tape = Tape(events=list(history))
    for number, asked in enumerate(reads):
        tape.begin(1000 + number, *asked)
        tape.end(1000 + number, answer(random, tape.begun[1000 + number], tape.events))
    return History(tape.events)
