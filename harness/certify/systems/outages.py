"""A service in two regions that fails by script: clients of each region try appends and reads at a steady rate."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

import msgspec

from harness.model.clock import NS_PER_S
from harness.model.history import History
from harness.model.op import FAIL, INFO, INVOKE, NEMESIS, OK, Op

REGIONS: Final = ("us", "eu")
LATENCY_S, TIMEOUT_S = 0.004, 0.5
SERVED, REFUSED, SILENT, HUNG = "", "refused", "silent", "hung"
"""How an attempt ends: well, at once with an error, after the client's time limit, not at all."""
Group = tuple[str, str]
How = Callable[[Group, float], str | float]
"""What becomes of a group's attempt at a time (seconds since the fault): one of the above, or when it is answered."""


class Script(msgspec.Struct, frozen=True):
    """When the fault strikes, is undone, and everything is over, seconds since the beginning. ``moved_s`` is when the
    leadership is moved, if it is."""

    gap_s: float
    fault_s: float
    heal_s: float
    end_s: float
    fault: str = "kill-region"
    effective: bool = True
    moved_s: float = 0.0
    groups: tuple[Group, ...] = tuple((region, f) for region in REGIONS for f in ("append", "entries"))


def played(script: Script, how: How) -> History:
    """What clients saw."""
    events = _nemesis(script)
    process = 0
    for place, group in enumerate(script.groups):
        at_s = 0.0011 * place
        while at_s < script.end_s:
            events += _attempt(process, group, at_s, how(group, at_s - script.fault_s), script.fault_s)
            at_s, process = at_s + script.gap_s, process + 1
    ordered = sorted(events, key=lambda op: op.time_ns)
    return History(msgspec.structs.replace(op, index=index) for index, op in enumerate(ordered))


def _attempt(process: int, group: Group, at_s: float, how: str | float, fault_s: float) -> list[Op]:
    region, f = group
    common: dict[str, Any] = {"f": f, "process": process, "key": 0, "region": region}
    begun = Op(type=INVOKE, value=process if f == "append" else None, time_ns=round(at_s * NS_PER_S), **common)
    if how == HUNG:
        return [begun]
    kind, end_s = OK, at_s + LATENCY_S
    if isinstance(how, str) and how:
        kind, end_s = (FAIL, end_s) if how == REFUSED else (INFO, at_s + TIMEOUT_S)
    elif not isinstance(how, str):
        end_s = max(end_s, fault_s + how)
    answer = [] if kind == OK and f == "entries" else begun.value
    return [begun, Op(type=kind, value=answer, time_ns=round(end_s * NS_PER_S), **common)]


def _nemesis(script: Script) -> list[Op]:
    says = {"id": "f1", "aim": "us", "regions": ["us"], "nodes": []}
    events = []
    for f, at_s, more in (
        ("start", script.fault_s, {"effective": script.effective}),
        ("stop", script.heal_s, {"healed": True}),
    ):
        common: dict[str, Any] = {"f": f, "process": NEMESIS, "key": script.fault, "time_ns": round(at_s * NS_PER_S)}
        events += [Op(type=INVOKE, value=says, **common), Op(type=INFO, value=says | more, **common)]
    if script.moved_s:
        common = {"f": "failback", "process": NEMESIS, "key": "failback", "time_ns": round(script.moved_s * NS_PER_S)}
        events += [Op(type=INVOKE, **common), Op(type=INFO, **common)]
    return events


def outage(random: Random, shortest_s: float, longest_s: float) -> History:
    """Nobody is served for a while, and then everybody."""
    lasts_s = random.uniform(shortest_s, longest_s)
    how = random.choice((REFUSED, SILENT))
    script = Script(0.08, 2.0 + random.random(), 7.0, 9.5)
    return played(script, lambda _, at_s: how if 0 <= at_s < lasts_s else SERVED)
