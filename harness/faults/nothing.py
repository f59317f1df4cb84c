"""No fault at all: the control run. It finds no victim, so nothing is ever injected, and the run says so.

When somebody injects it all the same, it has no symptom, and a fault without symptom never counts as effective.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext

from harness.contracts import Aim, Fault, Lab, Symptom
from harness.model.topology import Topology


class Nothing:
    """The smallest fault there can be; docs/add-a-fault.md starts from it."""

    name = "nothing"
    needs: frozenset[str] = frozenset()

    def aims(self, topology: Topology) -> tuple[Aim, ...]:
        return ()

    def apply(self, lab: Lab, aim: Aim) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def symptoms(self, lab: Lab, aim: Aim) -> list[Symptom]:
        return []


FAULT: Fault = Nothing()
