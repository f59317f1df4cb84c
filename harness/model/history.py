"""The record of a run: events in the order they happened, and the operations they pair into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final

import msgspec

from harness.model.op import FAIL, INFO, INVOKE, OK, Op

NEVER_NS: Final = (1 << 63) - 1
"""The end of an operation that nobody saw end: later than every other time."""
STALLED: Final = "stalled"
"""What the harness notes of itself (``f``): its value says when it stood still, ``begin_ns`` and ``end_ns``."""
FINAL: Final = "final"
"""What is noted (``f``) when work is over and faults are undone: from now on clients only read what is left."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """An invocation joined with its completion.

    ``type`` is ``ok``, ``fail`` or ``info``; an operation without completion is ``info``. ``value``
    is the argument, ``result`` the answer (None unless ``ok``). ``start_index`` and ``end_index`` are the
    events' positions in the history and order events that carry equal times; an ``info`` operation
    may take effect at any time after its start, so its ``end_ns`` and ``end_index`` are NEVER_NS, and
    ``seen_end_ns`` tells when the client gave up (NEVER_NS when it never did).
    """

    process: int
    f: str
    type: str
    key: Any
    value: Any
    result: Any
    start_ns: int
    end_ns: int
    seen_end_ns: int
    start_index: int
    end_index: int
    region: str = ""
    node: str = ""
    error: str = ""


class FaultWindow(msgspec.Struct, frozen=True, kw_only=True):
    """One fault from the start of its injection to the end of its undoing.

    ``aim`` is the victim in words; ``regions`` and ``nodes`` are those it touches. ``effective`` is
    True or False as attested by probes, None when nothing was attested. ``healed`` likewise.
    """

    id: str
    fault: str
    aim: str
    regions: tuple[str, ...]
    nodes: tuple[str, ...]
    start_ns: int
    end_ns: int
    effective: bool | None
    healed: bool | None
    why: str = ""


class History(Sequence[Op]):
    """Events in order. Immutable; what is derived from it is computed once."""

    def __init__(self, events: Iterable[Op]) -> None:
        self._events = tuple(events)

    def __len__(self) -> int:
        return len(self._events)

    def __getitem__(self, index: Any) -> Any:
        return self._events[index]

    def __iter__(self) -> Iterator[Op]:
        return iter(self._events)

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """The clients' operations, by start. Raises ValueError on a completion without invocation,
        or a process that invokes while its former operation is open."""
        return tuple(pair(op for op in self._events if not op.is_nemesis))

    @cached_property
    def end_ns(self) -> int:
        """The time of the last event, 0 in an empty history."""
        return max((op.time_ns for op in self._events), default=0)

    @cached_property
    def faults(self) -> tuple[FaultWindow, ...]:
        """Fault windows by start; one that was never undone ends with the history."""
        return tuple(_fault_windows(self._events, self.end_ns))

    @cached_property
    def stalls(self) -> tuple[tuple[int, int], ...]:
        """When the harness itself stood still, ``(begin_ns, end_ns)`` by start: that clients saw nothing then says
        nothing about the system."""
        noted = [op.value for op in self._events if op.is_nemesis and op.f == STALLED and op.type == INVOKE]
        return tuple(sorted((says["begin_ns"], says["end_ns"]) for says in noted))

    @cached_property
    def finals(self) -> tuple[tuple[int, int], ...]:
        """Each time it was said that only final reads come now: the note's position, and when (ns)."""
        return tuple(
            (op.index if op.index >= 0 else position, op.time_ns)
            for position, op in enumerate(self._events)
            if op.is_nemesis and op.f == FINAL and op.type == INVOKE
        )

    def by_key(self) -> dict[Any, list[Operation]]:
        """Operations grouped by key, in order of first appearance. List keys become tuples."""
        groups: dict[Any, list[Operation]] = {}
        for operation in self.operations:
            key = tuple(operation.key) if isinstance(operation.key, list) else operation.key
            groups.setdefault(key, []).append(operation)
        return groups


def pair(events: Iterable[Op]) -> list[Operation]:
    """Join invocations with their completions, by process; the result is in order of invocation."""
    slots: list[Operation | None] = []
    open_by_process: dict[int, tuple[int, int, Op]] = {}
    for position, op in enumerate(events):
        index = op.index if op.index >= 0 else position
        if op.type == INVOKE:
            if op.process in open_by_process:
                raise ValueError(
                    f"event {index}: process {op.process} invokes {op.f} while its former operation is open"
                )
            open_by_process[op.process] = (len(slots), index, op)
            slots.append(None)
            continue
        if op.process not in open_by_process:
            raise ValueError(f"event {index}: process {op.process} completes {op.f}, which it never invoked")
        slot, start_index, start = open_by_process.pop(op.process)
        slots[slot] = _join(start, start_index, op, index)
    for slot, start_index, start in open_by_process.values():
        slots[slot] = _join(start, start_index, None, NEVER_NS)
    return [operation for operation in slots if operation is not None]


def _join(start: Op, start_index: int, end: Op | None, index: int) -> Operation:
    type_ = end.type if end is not None else INFO
    certain = type_ in (OK, FAIL)
    seen_end_ns = end.time_ns if end is not None else NEVER_NS
    return Operation(
        process=start.process,
        f=start.f,
        type=type_,
        key=start.key,
        value=start.value,
        result=end.value if end is not None and type_ == OK else None,
        start_ns=start.time_ns,
        end_ns=seen_end_ns if certain else NEVER_NS,
        seen_end_ns=seen_end_ns,
        start_index=start_index,
        end_index=index if certain else NEVER_NS,
        region=start.region,
        node=start.node,
        error=end.error if end is not None else "",
    )


def _fault_windows(events: Sequence[Op], end_ns: int) -> Iterator[FaultWindow]:
    found: dict[str, dict[str, Any]] = {}
    for op in events:
        if not op.is_nemesis or not isinstance(op.value, dict) or "id" not in op.value:
            continue
        says = op.value
        if op.f == "start" and op.type == INVOKE:
            found[says["id"]] = {
                "id": says["id"],
                "fault": str(op.key),
                "aim": says.get("aim", ""),
                "regions": tuple(says.get("regions", ())),
                "nodes": tuple(says.get("nodes", ())),
                "start_ns": op.time_ns,
                "end_ns": end_ns,
                "effective": None,
                "healed": None,
            }
        if says["id"] not in found:
            continue
        window = found[says["id"]]
        if op.type == INVOKE:
            continue  # a stop is planned before anybody knows who leads: the start's completion named the victim
        if op.f == "start":
            window |= {"start_ns": says.get("applied_ns", window["start_ns"]), "effective": says.get("effective")}
            window |= {name: says[name] for name in ("aim", "why") if says.get(name)}
            window |= {name: tuple(says[name]) for name in ("regions", "nodes") if says.get(name)}
        elif op.f == "stop":
            window |= {"end_ns": says.get("lifted_ns", op.time_ns), "healed": says.get("healed")}
            window["why"] = window.get("why") or says.get("why", "")
    for window in found.values():
        yield FaultWindow(**window)
