"""Changes that must not change a verdict: other names, other times, more valid reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

import msgspec

from harness.certify.contract import Change
from harness.model.history import History, Operation
from harness.model.op import INVOKE, OK, Op

ECHO: Final = 5_000_000
"""The first process number of clients that only repeat what another one read."""


def changed(history: History, **how: Callable[[Any], Any]) -> History:
    """The history with some fields of every event replaced."""
    return History(
        msgspec.structs.replace(op, **{name: change(getattr(op, name)) for name, change in how.items()})
        for op in history
    )


def other_processes(history: History, random: Random) -> History:
    """Processes get other numbers, in another order."""
    used = sorted({op.process for op in history if not op.is_nemesis})
    names = dict(zip(used, random.sample(range(1_000_000), len(used)), strict=True))
    return changed(history, process=lambda process: names.get(process, process))


def other_keys(history: History, _: Random) -> History:
    """Keys get other names; a single object without a name gets one."""
    return changed(history, key=lambda key: f"key {key}")


def other_times(history: History, random: Random) -> History:
    """The clock began earlier, and events have other numbers with gaps between them."""
    later_ns, factor = random.randrange(1, 10**13), random.randint(2, 9)
    return changed(history, time_ns=lambda time_ns: time_ns + later_ns, index=lambda index: index * factor + 7)


def renamed(value: Any) -> Any:
    """Another value for every value; lists and dicts keep their form, and None, nothing, stays."""
    if isinstance(value, list | tuple):
        return [renamed(item) for item in value]
    if isinstance(value, dict):
        return {key: renamed(item) for key, item in value.items()}
    return value if value is None else f"<{value!r}>"


def other_values(history: History, _: Random) -> History:
    """Values get other names and another type."""
    return changed(history, value=renamed)


def echoed(*verbs: str, only: Callable[[Operation], bool] = lambda _: True) -> Change:
    """A read is repeated by a client that does nothing else, in a somewhat longer time: whatever explains the one
    explains the other. ``only`` tells which operations look."""

    def echo(history: History, random: Random) -> History | None:
        looks = [op for op in history.operations if op.f in verbs and op.type == OK and only(op)]
        if not looks:
            return None
        look = random.choice(looks)
        places = {op.index if op.index >= 0 else at: at for at, op in enumerate(history)}
        begin, end = places[look.start_index], places[look.end_index]
        twins = [msgspec.structs.replace(history[at], process=ECHO) for at in (begin, end)]
        events = [*history[:begin], twins[0], *history[begin : end + 1], twins[1], *history[end + 1 :]]
        return History(msgspec.structs.replace(op, index=at) for at, op in enumerate(events))

    return echo


def begun_with(f: str, value: Any, answer: Any, new_key: bool = False) -> Change:
    """Before everything else a client does something that is right on an object nobody has touched; with
    ``new_key``, on one that nobody will touch."""

    def begun(history: History, _: Random) -> History:
        first = next((op for op in history if not op.is_nemesis), None)
        key = ("untouched" if new_key else first.key) if first else None
        common: dict[str, Any] = {"f": f, "process": ECHO, "key": key, "time_ns": first.time_ns if first else 0}
        start = Op(type=INVOKE, value=value, **common)
        events = [start, msgspec.structs.replace(start, type=OK, value=answer), *history]
        return History(msgspec.structs.replace(op, index=at) for at, op in enumerate(events))

    return begun


NAMES: Final[Mapping[str, Change]] = {
    "other processes": other_processes,
    "other keys": other_keys,
    "other times": other_times,
}
"""What matters to no family that has one object for each key."""
