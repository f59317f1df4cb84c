"""Batches and compression: fewer messages and bytes, the same content in the same order."""

from __future__ import annotations

from typing import Any

from harness.scenarios import Stage
from harness.workloads._regions import Play

WRITES = 60


async def shipped(play: Play) -> tuple[int, int]:
    """A region is cut off, many writes are made, and it catches up: the messages and bytes that went to it."""
    primary = (await play.begin())["primary"]
    other = next(region for region in play.regions if region != primary)
    async with play.cut(other):
        for i in range(WRITES):
            await play.must_write(play.key(i % 10), f"{play.id}/{i}/" + "x" * 200, primary)
        before = await play.ask("metrics", primary)
    await play.calm()
    after = await play.ask("metrics", primary)
    sent = [each["cost_tracking"]["bytes_sent"][other] for each in (before, after)]
    for i in range(10):
        told = (await play.ask_key(play.key(i), other, direct=True))["value"]
        newest = WRITES - 10 + i
        await play.expect("MRA-40", f"the last write of key {i} is there", f"{play.id}/{newest}/", str(told), "holds")
    return after["messages"] - before["messages"], sent[1] - sent[0]


def test_mra_40_batches_and_compression_keep_content_and_order(regions: Any) -> None:
    """The same writes, with and without; every region ends with the same newest values."""
    found: list[tuple[int, int]] = []

    async def scenario(stage: Stage) -> None:
        found.append(await shipped(Play(stage, "batch")))
        if len(found) == 2:
            play, (plain, packed) = Play(stage, "compare"), found
            await play.expect("MRA-40", "fewer messages", True, packed[0] < plain[0])
            await play.expect("MRA-40", "fewer bytes", True, packed[1] < plain[1])
            await play.report(
                "MRA-40", "messages and bytes, one by one against in batches", f"{plain} against {packed}"
            )

    regions(scenario, "MRA-40", batch="1", compress="no")
    regions(scenario, "MRA-40", batch="64", compress="yes")
