"""One node killed (SIGKILL), its data deleted, and started again with nothing: a disk that was lost.

Not every system promises to survive that, so that it is only for targets that say so (``rebuilds``): a voter of Raft
that forgot what it voted and stored may let a majority forget.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

from harness.contracts import Aim, Fault, Lab, Symptom
from harness.faults._held import each, held
from harness.faults._nodes import each_node
from harness.faults._symptoms import HEALTHY_NODE
from harness.model.topology import Topology


class WipeNode:
    """A node that does not run when the fault strikes is left alone: its data is the only thing it has."""

    name = "wipe-node"
    needs = frozenset({"processes", "rebuilds"})

    def aims(self, topology: Topology) -> tuple[Aim, ...]:
        return each_node(topology)

    def apply(self, lab: Lab, aim: Aim) -> AbstractAsyncContextManager[None]:
        nodes = lab.nodes
        victims = [node for node in aim.nodes if nodes.state(node) == HEALTHY_NODE]

        async def lose(node: str) -> None:
            await nodes.kill(node)
            await nodes.wipe(node)

        async def strike() -> None:
            await each(victims, lose)

        async def mend() -> None:
            await each([node for node in victims if nodes.state(node) == "dead"], nodes.start)

        return held(strike, mend)

    async def symptoms(self, lab: Lab, aim: Aim) -> list[Symptom]:
        return list(await asyncio.gather(*(_symptom(lab, node) for node in aim.nodes)))


async def _symptom(lab: Lab, node: str) -> Symptom:
    """Bitten when it is dead and its data gone. Well when it runs and has data: there is something to lose, or it was
    rebuilt."""
    state, files = lab.nodes.state(node), await lab.nodes.files(node)
    gone = state == "dead" and files == 0
    seen = f"{state}, {files} files, incarnation {lab.nodes.incarnation(node)}"
    return Symptom(node, gone, seen, hidden=not gone and not (state == HEALTHY_NODE and files))


FAULT: Fault = WipeNode()
