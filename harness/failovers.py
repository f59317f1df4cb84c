"""The borders of failover drills: more that a target, a checker, a workload and a renderer may offer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from harness.contracts import Checker, Leads, Renderer, Seat, Shape, Workload
from harness.model.claims import Objectives


@runtime_checkable
class HandsOver(Leads, Protocol):
    """A target whose leadership an operator can move, e.g. back to where it was before a failover."""

    async def hand_over(self, seats: Iterable[Seat], node_id: str) -> None:
        """Ask for it, and return when the system has agreed to. Raises OperationError or OSError when it does not."""


@runtime_checkable
class Complains(Protocol):
    """A target whose nodes tell of trouble of their own, e.g. a promotion that failed. Drills keep what they said."""

    async def complaints(self, seats: Iterable[Seat]) -> dict[str, str]:
        """By node id, what goes wrong there now; nodes that are well, or do not answer, are left out. Must return
        within 2 s."""


@runtime_checkable
class Measures(Protocol):
    """A checker that measures, and judges only where somebody promised a number; its verdict says whether it did."""

    def against(self, objectives: Objectives) -> Checker:
        """The same checker, judging by ``objectives``."""


@runtime_checkable
class Paced(Workload, Protocol):
    """A workload whose generator keeps the shape's rate by itself, e.g. one rate for each region."""

    def rest_s(self, shape: Shape) -> float:
        """How long a client that was refused may rest at most, so that the rate is kept while nobody is served."""


@runtime_checkable
class SumsUp(Renderer, Protocol):
    """A renderer that can also tell of many drills at once."""

    def sum_up(self, told: Mapping[str, Any]) -> str:
        """The page about drills, from what ``rift drill --json`` tells of them."""
