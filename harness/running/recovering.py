"""After the main phase: undo what was done to links and nodes, and wait until everything serves again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from harness.contracts import Seat, Target, Testbed


async def recover(testbed: Testbed, target: Target, limit_s: float, say: Callable[[str], None]) -> dict[str, str]:
    """Put links and nodes as they should be, and wait until every node serves, within ``limit_s``. The nodes that
    do not serve then, each with what it lacks.

    That one does not is no error here: the checkers find it.
    """
    say("healed; waiting for recovery")
    began = time.monotonic()
    await testbed.links.restore(testbed.links.all)
    if "packets" in testbed.powers:
        await testbed.packets.restore(testbed.links.all)
    if "containers" in testbed.powers:
        await asyncio.gather(*(testbed.containers.connect(node.id) for node in testbed.topology.nodes))
    if "clocks" in testbed.powers:
        await testbed.clocks.restore(node.id for node in testbed.topology.nodes)
    for node in testbed.topology.nodes:
        if testbed.nodes.state(node.id) == "paused":
            await testbed.nodes.resume(node.id)
    dead = [node.id for node in testbed.topology.nodes if testbed.nodes.state(node.id) == "dead"]
    started = await asyncio.gather(*map(testbed.nodes.start, dead), return_exceptions=True)
    missing = {node: str(error) for node, error in zip(dead, started, strict=True) if error}
    while time.monotonic() - began < limit_s:
        seats = testbed.seats()
        answers = await asyncio.gather(*(_missing(target, seat) for seat in seats))
        missing = {seat.node.id: answer for seat, answer in zip(seats, answers, strict=True) if answer}
        if not missing:
            say(f"recovered after {time.monotonic() - began:.1f} s")
            return {}
        await asyncio.sleep(0.1)
    told = "; ".join(f"{node}: {why}" for node, why in sorted(missing.items()))
    say(f"not recovered within {limit_s:g} s: {told}")
    return missing


async def _missing(target: Target, seat: Seat) -> str:
    try:
        async with asyncio.timeout(2.0):
            return await target.ready(seat)
    except Exception as error:  # whatever the target's own probe raises, the node does not serve
        return f"{type(error).__name__}: {error}"
