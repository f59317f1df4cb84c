"""Ways to plant an anomaly in a history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

import msgspec

from harness.certify.contract import Change
from harness.certify.tape import Did, restamped, told
from harness.model.history import History
from harness.model.op import OK, Op

KEY: Final = "planted"
_PROCESS: Final = 3_000_000


def scene(*did: Did, key: Any = KEY, spread: bool = True, together: int = 0) -> Change:
    """These operations happen, one after the other, the last few ``together``, to an object that nobody else uses:
    somewhere in the history, mixed with the others' operations, or, if not ``spread``, after everything else."""

    def play(history: History, random: Random) -> History:
        mine = [msgspec.structs.replace(op, key=key if op.key is None else op.key) for op in told(did, together)]
        return mixed(history, mine, random, spread)

    return play


def mixed(history: Sequence[Op], mine: Sequence[Op], random: Random, spread: bool = True) -> History:
    """Two histories at once: each keeps its order, and ``mine`` gets other clients."""
    events, others = list[Op](), list(history)
    places = sorted(random.randint(0, len(others)) if spread else len(others) for _ in mine)
    for at in range(len(others) + 1):
        here = [op for place, op in zip(places, mine, strict=True) if place == at]
        events += [msgspec.structs.replace(op, process=op.process + _PROCESS) for op in here]
        events += others[at : at + 1]
    return restamped(events)


def spoiled(f: str, change: Callable[[Any], Any], last: bool = True) -> Change:
    """The last answer to an operation (or any one) is changed."""

    def spoil(history: History, random: Random) -> History | None:
        found = [at for at, op in enumerate(history) if op.type == OK and op.f == f]
        if not found:
            return None
        at = found[-1] if last else random.choice(found)
        return answered(history, at, change(history[at].value))

    return spoil


def answered(history: Sequence[Op], at: int, value: Any) -> History:
    """The history with another answer at one place."""
    return History(msgspec.structs.replace(op, value=value) if n == at else op for n, op in enumerate(history))
