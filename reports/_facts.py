"""Reads a run leniently: what is there is shown, what is missing or malformed hides its part and never raises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import msgspec

from harness.model.history import NEVER_NS, Operation
from harness.model.op import INFO
from harness.model.rollout import OBSERVE
from harness.model.run import Run
from harness.model.verdict import Excerpt, Valid, Verdict

from ._words import count


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What probes saw of one thing before, during and after a fault; empty where nothing was probed."""

    thing: str
    before: str = ""
    during: str = ""
    after: str = ""
    bitten: bool = False


class FaultFact(msgspec.Struct, frozen=True, kw_only=True):
    """One fault as the ledger tells it, completed by the history. Times are None when it never acted."""

    id: str
    fault: str
    aim: str
    state: str
    regions: tuple[str, ...]
    nodes: tuple[str, ...]
    start_ns: int | None
    end_ns: int | None
    effective: bool | None
    healed: bool | None
    why: str
    sights: tuple[Sight, ...] = ()

    @property
    def label(self) -> str:
        """How pictures name it; one without effect must not look as if it explained anything."""
        return f"{self.id} {self.fault}{' (no effect)' if self.effective is False else ''}"

    def touches(self, region: str, nodes: tuple[str, ...] = ()) -> bool:
        return region in self.regions or any(node in self.nodes for node in nodes)

    @property
    def window(self) -> tuple[int, int] | None:
        """From start to end in ns, NEVER_NS when it never ended; None when it never acted."""
        if self.start_ns is None:
            return None
        return self.start_ns, NEVER_NS if self.end_ns is None else self.end_ns

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        return self.window is not None and self.window[0] <= end_ns and start_ns <= self.window[1]


class Around(Protocol):
    """What pictures of an excerpt know besides: the regions in their order, and the faults."""

    @property
    def regions(self) -> tuple[str, ...]: ...

    @property
    def faults(self) -> tuple[FaultFact, ...]: ...


class Facts:
    """A run's derived facts, computed once and shared by everything that one renderer draws."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.unreadable = ""
        try:
            found: tuple[Operation, ...] = run.history.operations
        except ValueError as error:
            found = ()
            self.unreadable = f"The history does not pair into operations: {error}."
        # Who only watches does no work that a reader wants counted.
        self.operations = tuple(op for op in found if op.f != OBSERVE)
        self.observed = tuple(op for op in found if op.f == OBSERVE)
        self.end_ns: int = run.history.end_ns
        self.faults: tuple[FaultFact, ...] = tuple(_faults(run))
        self.regions: tuple[str, ...] = _regions(run, self.operations)
        self.nodes_of = _nodes_by_region(run)
        self.tally: Counter[tuple[str, str, str]] = Counter((op.f, op.type, op.region) for op in self.operations)

    @property
    def bitten(self) -> int:
        """How many faults are attested to have had an effect."""
        return sum(fault.effective is True for fault in self.faults)

    def measured(self, key: str) -> Mapping[str, Any]:
        """A group of measurements, empty when the run has none."""
        found = self.run.measurements.get(key)
        return found if isinstance(found, Mapping) else {}

    @property
    def excerpts(self) -> list[tuple[Verdict, Excerpt]]:
        """Every violation's excerpts, judged ones first."""
        broken = sorted((v for v in self.run.verdicts if v.valid is Valid.FALSE), key=lambda v: not v.judged)
        return [(verdict, excerpt) for verdict in broken for excerpt in verdict.excerpts]

    @property
    def guarantees(self) -> list[Verdict]:
        """The verdicts on numbered guarantees, in their order."""
        return [verdict for verdict in self.run.verdicts if "guarantee" in verdict.details]

    @property
    def clients(self) -> int:
        """How many clients there were; of a scenario, those that did anything but watch."""
        driven = {op.process for op in self.operations} if self.observed else ()
        return len(driven) or self.run.plan.clients

    @property
    def summary(self) -> str:
        """``3,214 operations by 9 clients in 3 regions``."""
        clients, regions = self.clients, len({op.region for op in self.operations} - {""})
        where = f" in {count(regions, 'region')}" if regions else ""
        return f"{count(len(self.operations), 'operation')} by {count(clients, 'client')}{where}"


def is_open(operation: Operation) -> bool:
    """Whether it may take effect at any time after its start."""
    return operation.type == INFO or operation.end_ns == NEVER_NS


def _regions(run: Run, operations: tuple[Operation, ...]) -> tuple[str, ...]:
    """The topology's regions in its order, then any other that operations name."""
    declared = [str(r["id"]) for r in _listed(run.plan.topology.get("regions")) if "id" in r]
    used = {op.region for op in operations} - {""}
    return tuple(dict.fromkeys([*declared, *sorted(used)]))


def _nodes_by_region(run: Run) -> dict[str, tuple[str, ...]]:
    """Node ids per region, named n1, n2, ... in the topology's order."""
    found: dict[str, tuple[str, ...]] = {}
    number = 0
    for region in _listed(run.plan.topology.get("regions")):
        nodes = region.get("nodes", 1)
        amount = nodes if isinstance(nodes, int) else 0
        found[str(region.get("id", ""))] = tuple(f"n{number + i + 1}" for i in range(amount))
        number += amount
    return found


def _faults(run: Run) -> Iterator[FaultFact]:
    windows = {window.id: window for window in run.history.faults}
    for entry in run.ledger:
        id_ = str(entry.get("id", "?"))
        window = windows.pop(id_, None)
        yield FaultFact(
            id=id_,
            fault=str(entry.get("fault", "?")),
            aim=str(entry.get("aim", "")),
            state=str(entry.get("state", "")),
            regions=_words(entry.get("regions")),
            nodes=_words(entry.get("nodes")),
            start_ns=_ns(entry.get("start_ns"), window.start_ns if window else None),
            end_ns=_ns(entry.get("end_ns"), window.end_ns if window else None),
            effective=_flag(entry.get("effective")),
            healed=_flag(entry.get("healed")),
            why="; ".join(str(entry[name]) for name in ("why", "heal_why") if entry.get(name)),
            sights=tuple(_sights(entry)),
        )
    for window in windows.values():
        yield FaultFact(
            **{name: getattr(window, name) for name in window.__struct_fields__},
            state="healed" if window.healed else "",
        )


def _sights(entry: Mapping[str, Any]) -> Iterator[Sight]:
    found: dict[str, dict[str, Any]] = {}
    for phase in ("before", "during", "after"):
        for symptom in _listed(entry.get(phase)):
            sight = found.setdefault(str(symptom.get("thing", "?")), {"bitten": False})
            sight[phase] = str(symptom.get("seen", ""))
            sight["bitten"] |= phase == "during" and bool(symptom.get("bitten"))
    for thing, sight in found.items():
        yield Sight(thing=thing, **sight)


def _listed(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def _words(value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()


def _ns(value: Any, fallback: int | None) -> int | None:
    return int(value) if isinstance(value, int | float) and value >= 0 else fallback


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None
