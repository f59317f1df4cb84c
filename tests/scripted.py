"""Histories of a failover by script: when service was down, for whom, and which acknowledged writes were lost.

Clients of each region try an ``append`` and an ``entries`` every ``GAP_S`` seconds. What the checkers measure can be
compared with the script to the nanosecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from harness.model.history import History
from harness.model.op import FAIL, INFO, INVOKE, NEMESIS, OK, Op

GAP_S, LATENCY_S = 0.02, 0.004
REGIONS = ("us", "eu")
S = 1_000_000_000


@dataclass
class Script:
    """``down(region, f, at_s)`` answers how an attempt that begins then ends: "" (well), ``refused`` or ``silent``.

    ``final(region, key, values)`` is what the last read of a region shows of the acknowledged ``values``.
    """

    fault_s: float = 4.0
    heal_s: float = 12.0
    end_s: float = 18.0
    fault: str = "kill-region"
    victim: str = "us"
    effective: bool = True
    healed: bool = True
    timeout_s: float = 1.0
    threads: int = 100
    keys: int = 3
    down: Callable[[str, str, float], str] = lambda region, f, at_s: ""
    final: Callable[[str, int, list[int]], list[int] | None] = lambda region, key, values: values
    extra: list[Op] = field(default_factory=list)

    def history(self) -> History:
        events, acked = self._main()
        events += self._nemesis() + self.extra
        process = 1_000_000
        for region in REGIONS:
            for key in range(self.keys):
                shown = self.final(region, key, acked[key])
                if shown is not None:
                    events += attempt(process, region, "entries", key, None, self.end_s + 1, LATENCY_S, OK, list(shown))
                    process += 1
        events.append(Op(type=INVOKE, f="final", process=NEMESIS, time_ns=round((self.end_s + 0.5) * S)))
        events.append(Op(type=INFO, f="final", process=NEMESIS, time_ns=round((self.end_s + 0.5) * S)))
        return numbered(events)

    def _main(self) -> tuple[list[Op], dict[int, list[int]]]:
        events: list[Op] = []
        written: dict[int, list[tuple[float, int]]] = {key: [] for key in range(self.keys)}
        process, count = 0, 0
        for place, region in enumerate(REGIONS):
            for f in ("append", "entries"):
                at_s, busy = 0.0013 * (2 * place + (f == "entries")), list[float]()
                while at_s < self.end_s:
                    busy = [until for until in busy if until > at_s]
                    how = self.down(region, f, at_s)
                    lasts_s = self.timeout_s if how == "silent" else LATENCY_S
                    if len(busy) < self.threads:
                        busy.append(at_s + lasts_s)
                        kind = {"": OK, "refused": FAIL, "silent": INFO}[how]
                        key, value = count % self.keys, count if f == "append" else None
                        if f == "append" and kind == OK:
                            written[key].append((at_s, count))
                        answer: Any = value if f == "append" else ([] if kind == OK else None)
                        events += attempt(process, region, f, key, value, at_s, lasts_s, kind, answer)
                        process, count = process + 1, count + 1
                    at_s += GAP_S
        return events, {key: [value for _, value in sorted(rows)] for key, rows in written.items()}

    def _nemesis(self) -> list[Op]:
        says = {"id": "f1", "aim": self.victim, "regions": [self.victim], "nodes": []}
        begun = says | {"effective": self.effective, "applied_ns": round(self.fault_s * S)}
        over = says | {"healed": self.healed, "lifted_ns": round(self.heal_s * S)}
        common: dict[str, Any] = {"process": NEMESIS, "key": self.fault}
        return [
            Op(type=INVOKE, f="start", value=says, time_ns=round(self.fault_s * S), **common),
            Op(type=INFO, f="start", value=begun, time_ns=round(self.fault_s * S) + 1000, **common),
            Op(type=INVOKE, f="stop", value=says, time_ns=round(self.heal_s * S), **common),
            Op(type=INFO, f="stop", value=over, time_ns=round(self.heal_s * S) + 1000, **common),
        ]


def attempt(
    process: int, region: str, f: str, key: int, value: Any, at_s: float, lasts_s: float, kind: str, answer: Any
) -> list[Op]:
    """One operation's two events."""
    common: dict[str, Any] = {"f": f, "process": process, "key": key, "region": region}
    return [
        Op(type=INVOKE, value=value, time_ns=round(at_s * S), **common),
        Op(type=kind, value=answer, time_ns=round((at_s + lasts_s) * S), **common),
    ]


Rows = Iterable[tuple[float, int, str]]


def appended(rows: Rows, ends: Mapping[str, list[int]], reads: Iterable[Op] = ()) -> History:
    """Appends to one list, ``(begun_s, value, region)``, each acknowledged ``LATENCY_S`` later, and what each region's
    final read shows."""
    events = list(reads)
    last_s = 0.0
    for process, (at_s, value, region) in enumerate(rows):
        events += attempt(process, region, "append", 0, value, at_s, LATENCY_S, OK, value)
        last_s = max(last_s, at_s)
    for process, (region, shown) in enumerate(ends.items(), 1000):
        events += attempt(process, region, "entries", 0, None, last_s + 1, LATENCY_S, OK, shown)
    return numbered(events)


def numbered(events: Iterable[Op]) -> History:
    """The events in the order of their times, numbered."""
    ordered = sorted(events, key=lambda op: op.time_ns)
    return History(replace(op, index=index) for index, op in enumerate(ordered))
