"""Every node asked to end and started again, one after the other, each when the one before is ready."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from harness.contracts import Aim, Fault, Lab, Symptom
from harness.faults._held import each, held
from harness.faults._nodes import every_node
from harness.faults._symptoms import HEALTHY_NODE
from harness.model.topology import Topology


class RollingRestart:
    """Injecting it is the whole roll. A node that does not run when its turn comes is left alone."""

    name = "rolling-restart"
    needs = frozenset({"processes"})

    def __init__(self) -> None:
        self._before: dict[str, int] = {}
        """Incarnations when the roll began; empty when none is on."""

    def aims(self, topology: Topology) -> tuple[Aim, ...]:
        (everyone,) = every_node(topology)
        return (Aim("every node, one after the other", everyone.regions, everyone.nodes),)

    def apply(self, lab: Lab, aim: Aim) -> AbstractAsyncContextManager[None]:
        stopped: list[str] = []

        async def roll() -> None:
            self._before = {node: lab.nodes.incarnation(node) for node in aim.nodes}
            for node in aim.nodes:
                if lab.nodes.state(node) == HEALTHY_NODE:
                    stopped.append(node)
                    await lab.nodes.stop(node)
                    await lab.nodes.start(node)

        async def mend() -> None:
            self._before = {}
            await each(stopped, lab.nodes.start)

        return held(roll, mend)

    async def symptoms(self, lab: Lab, aim: Aim) -> list[Symptom]:
        return [self._symptom(lab, node) for node in aim.nodes]

    def _symptom(self, lab: Lab, node: str) -> Symptom:
        now, state = lab.nodes.incarnation(node), lab.nodes.state(node)
        bitten = state == HEALTHY_NODE and now > self._before.get(node, now)
        return Symptom(node, bitten, f"{state}, incarnation {now}", hidden=state != HEALTHY_NODE)


FAULT: Fault = RollingRestart()
