"""Hurting nodes: the three ways to do it, and whom to hurt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from harness.contracts import Aim, Lab, Nodes, Symptom
from harness.faults._held import each, held
from harness.faults._symptoms import HEALTHY_NODE, node_symptoms
from harness.model.topology import Topology


@dataclass(frozen=True)
class Harm:
    """How to take a node away, how to bring it back, and the ``state`` it is in meanwhile."""

    state: str
    do: Callable[[Nodes, str], Awaitable[None]]
    undo: Callable[[Nodes, str], Awaitable[None]]


KILL: Final = Harm("dead", lambda nodes, node: nodes.kill(node), lambda nodes, node: nodes.start(node))
STOP: Final = Harm("dead", lambda nodes, node: nodes.stop(node), lambda nodes, node: nodes.start(node))
PAUSE: Final = Harm("paused", lambda nodes, node: nodes.pause(node), lambda nodes, node: nodes.resume(node))


@dataclass
class NodeFault:
    """The fault that does ``harm`` to all nodes of its aim at once.

    A node that does not run when the fault strikes is left alone, then and at the end: it is another
    fault's victim, or the system's own failure. Undoing a kill waits until all nodes are ready again.
    """

    name: str
    choose: Callable[[Topology], tuple[Aim, ...]]
    harm: Harm
    needs: frozenset[str] = frozenset({"processes"})

    def aims(self, topology: Topology) -> tuple[Aim, ...]:
        return self.choose(topology)

    def apply(self, lab: Lab, aim: Aim) -> AbstractAsyncContextManager[None]:
        nodes, harm = lab.nodes, self.harm
        victims = [node for node in aim.nodes if nodes.state(node) == HEALTHY_NODE]

        async def strike() -> None:
            await each(victims, lambda node: harm.do(nodes, node))

        async def mend() -> None:
            struck = [node for node in victims if nodes.state(node) == harm.state]
            await each(struck, lambda node: harm.undo(nodes, node))

        return held(strike, mend)

    async def symptoms(self, lab: Lab, aim: Aim) -> list[Symptom]:
        return node_symptoms(lab, aim.nodes, self.harm.state)


def each_node(topology: Topology) -> tuple[Aim, ...]:
    return tuple(Aim(f"{node.id} in {node.region}", (node.region,), (node.id,)) for node in topology.nodes)


def the_leader(topology: Topology) -> tuple[Aim, ...]:
    """Whichever node leads at the moment of injection: the nemesis finds out and fills it in."""
    return (Aim("the leader", follow="leader"),)


def each_region_whole(topology: Topology) -> tuple[Aim, ...]:
    """All nodes of one region."""
    return tuple(
        Aim(f"all of {region}", (region,), tuple(node.id for node in topology.nodes_in(region)))
        for region in topology.region_ids
        if topology.nodes_in(region)
    )


def every_node(topology: Topology) -> tuple[Aim, ...]:
    regions = tuple(region for region in topology.region_ids if topology.nodes_in(region))
    return (Aim("every node at once", regions, tuple(node.id for node in topology.nodes)),)
