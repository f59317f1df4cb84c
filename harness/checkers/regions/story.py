"""A regional store's record as one story: events in order, plain histories for the checkers, what was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from harness.checkers.guarantees import Expectation, expectations
from harness.model.history import FaultWindow, History, Operation
from harness.model.op import INVOKE, OK, Op
from harness.model.regions import JUDGE, READS, SUBJECT, WRITES, Event, Judge
from harness.model.rollout import OBSERVE

SESSION_PROCESSES = 1_000_000
"""Sessions are processes from this number on; clients never count so far."""


@dataclass(frozen=True)
class Story:
    """Everything that rules look at. ``subject`` is the configuration that the scenario noted."""

    history: History
    expectations: tuple[Expectation, ...]
    judges: tuple[tuple[str, Judge], ...]
    subject: Mapping[str, Any]

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """What clients did with the data."""
        return tuple(op for op in self.history.operations if op.f in READS | WRITES)

    @property
    def faults(self) -> tuple[FaultWindow, ...]:
        return self.history.faults

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """What happened during the run, each once: what was agreed on by its index, the rest by time."""
        found: dict[tuple[Any, ...], Event] = {}
        for op in self.history.operations:
            if op.f == OBSERVE and op.type == OK:
                for told in op.result:
                    event = msgspec.convert(told, Event, strict=False)
                    if event.time_ns >= 0:
                        name = (event.by, event.time_ns) if event.local else ("", event.index)
                        found.setdefault((event.kind, *name), event)
        return tuple(sorted(found.values(), key=lambda event: (event.local, event.index, event.time_ns)))

    def agreed(self, *kinds: str) -> list[Event]:
        """What all regions agreed on, in that order."""
        return [event for event in self.events if not event.local and event.kind in kinds]

    def seen(self, kind: str) -> list[Event]:
        """What single regions saw, by time."""
        return sorted((e for e in self.events if e.local and e.kind == kind), key=lambda e: e.time_ns)


def story_of(history: History) -> Story:
    """Read a run's history. Raises ValueError as ``History.operations`` does."""
    notes = [op for op in history if op.is_nemesis and op.type == INVOKE]
    judges = [(str(op.key), msgspec.convert(op.value, Judge)) for op in notes if op.f == JUDGE]
    subjects = [op.value for op in notes if op.f == SUBJECT]
    return Story(history, expectations(history), tuple(judges), subjects[-1] if subjects else {})


class Loss(NamedTuple):
    """From when until when regions were certainly lost: from the attested effect of a fault to the start of its end."""

    regions: tuple[str, ...]
    start_ns: int
    end_ns: int


def losses(history: History) -> list[Loss]:
    """All attested faults of a run. A fault's window is a little wider, which is right for excuses; whoever demands
    something of a loss needs what was certainly in it."""
    began: dict[str, tuple[int, tuple[str, ...]]] = {}
    found = []
    for op in history:
        if not op.is_nemesis or op.f not in ("start", "stop"):
            continue
        if op.f == "start" and op.type != INVOKE and op.value.get("effective"):
            began[op.value["id"]] = (op.time_ns, tuple(op.value["regions"]))
        elif op.f == "stop" and op.type == INVOKE and op.value["id"] in began:
            start_ns, regions = began.pop(op.value["id"])
            found.append(Loss(regions, start_ns, op.time_ns))
    return found + [Loss(regions, start_ns, history.end_ns) for start_ns, regions in began.values()]


def plain(history: History, judge: Judge) -> History:
    """The operations on the judged keys as any checker understands them: values without what goes along with them.

    With ``judge.sessions`` the operations of a session are those of one process, and those without one are left out.
    """
    sessions: dict[str, int] = {}
    return History(_plain(history, judge, sessions))


def _plain(history: Iterable[Op], judge: Judge, sessions: dict[str, int]) -> Iterable[Op]:
    open_: dict[int, tuple[int, Any]] = {}
    for op in history:
        if op.is_nemesis:
            yield op
            continue
        if op.f not in READS | WRITES or not str(op.key).startswith(judge.prefix):
            continue
        if op.type == INVOKE:
            given = op.value if isinstance(op.value, dict) else {"value": op.value}
            name = str(given.get("session", ""))
            if judge.sessions and not name:
                continue
            process = sessions.setdefault(name, SESSION_PROCESSES + len(sessions)) if judge.sessions else op.process
            open_[op.process] = (process, given.get("value"))
            yield msgspec.structs.replace(op, process=process, value=given.get("value"))
        elif op.process in open_:
            process, value = open_.pop(op.process)
            answer = op.value.get("value") if isinstance(op.value, dict) else op.value
            value = answer if op.type == OK and op.f in READS else value
            yield msgspec.structs.replace(op, process=process, value=value)
