"""Every node moved to another image with its data, one after the other, and back at the end: upgrade, downgrade."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from harness.contracts import Aim, Fault, Lab, Symptom
from harness.faults._held import held
from harness.faults._nodes import every_node
from harness.faults._symptoms import HEALTHY_NODE
from harness.model.topology import Topology


class RollingUpgrade:
    """The image is the target's option ``upgrade``. A node that does not run when its turn comes is left alone."""

    name = "rolling-upgrade"
    needs = frozenset({"processes", "containers", "upgrade"})

    def aims(self, topology: Topology) -> tuple[Aim, ...]:
        (everyone,) = every_node(topology)
        return (Aim("every node to the other image", everyone.regions, everyone.nodes),)

    def apply(self, lab: Lab, aim: Aim) -> AbstractAsyncContextManager[None]:
        former: dict[str, str] = {}

        async def upgrade() -> None:
            for node in aim.nodes:
                if lab.nodes.state(node) == HEALTHY_NODE:
                    former[node] = await lab.containers.image(node)
                    await _move(lab, node, lab.containers.upgrade)

        async def downgrade() -> None:
            for node, image in former.items():
                await _move(lab, node, image)

        return held(upgrade, downgrade)

    async def symptoms(self, lab: Lab, aim: Aim) -> list[Symptom]:
        return [await _symptom(lab, node) for node in aim.nodes]


async def _move(lab: Lab, node: str, image: str) -> None:
    await lab.nodes.stop(node)
    await lab.containers.change_image(node, image)
    await lab.nodes.start(node)


async def _symptom(lab: Lab, node: str) -> Symptom:
    """Bitten when it runs the other image."""
    image, state = await lab.containers.image(node), lab.nodes.state(node)
    running = state == HEALTHY_NODE
    return Symptom(node, running and image == lab.containers.upgrade, f"{state}, {image}", hidden=not running)


FAULT: Fault = RollingUpgrade()
