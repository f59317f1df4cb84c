"""The borders of a workload that acts by what it sees: the stage that it gets, and the answers of its operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol, runtime_checkable

from harness.model.seeds import Rng
from harness.model.topology import Topology


class Answer(NamedTuple):
    """How an operation ended: ``type`` is ``ok``, ``fail`` or ``info``; ``error`` is the client's text unless ok."""

    type: str
    value: Any
    error: str = ""

    @property
    def ok(self) -> bool:
        return self.type == "ok"


class Stage(Protocol):
    """Where a scenario acts: operations at regions, faults at moments of its own choice, waiting for what it watches.

    Everything is journaled; ``watched`` grows while the scenario waits, with whatever ``observe`` answers.
    """

    topology: Topology
    rng: Rng
    traits: Mapping[str, str]
    """What the target says of itself: edition, profile."""
    powers: frozenset[str]
    """What the lab can do; with ``containers`` a node's tasks die with it."""
    watched: list[dict[str, Any]]

    async def do(self, f: str, key: Any = None, at: str = "", **value: Any) -> Answer:
        """One operation by a client placed in region ``at`` (default: the first), to its end."""

    def fault(
        self, name: str, *, region: str = "", regions: Iterable[str] = (), nodes: Iterable[str] = ()
    ) -> AbstractAsyncContextManager[None]:
        """The fault on that region, those regions or those nodes, from entering to leaving, attested like any other."""

    async def until(self, condition: Callable[[], Any], limit_s: float) -> bool:
        """Wait until ``condition`` holds of what was watched; False when ``limit_s`` came first."""

    async def note(self, f: str, key: Any = None, value: Any = None) -> None:
        """Journal something that a checker should know."""

    async def rtt_ms(self, source: str, target: str) -> float:
        """The harness's own measure of the round trip between two regions, in ms; infinity when nothing came back."""

    async def traffic(self, live: bool = False) -> dict[str, dict[str, int]]:
        """What has gone over each link so far: ``{"a>n2": {"bytes_up": ..., "bytes_down": ...}}``. A link server may
        count a connection's bytes only when it ends; with ``live`` that raises MissingPower."""

    async def search(self, needle: str) -> list[str]:
        """Where ``needle`` lies at rest: every file of every node that contains it, as ``region: path``. Raises
        MissingPower where files cannot be looked into."""

    def now_ns(self) -> int:
        """The run's time."""


@runtime_checkable
class Drives(Protocol):
    """A workload that acts by itself, step by step, instead of handing out a schedule."""

    async def drive(self, stage: Stage) -> None:
        """Do everything; returns when nothing is left to do or to wait for."""
