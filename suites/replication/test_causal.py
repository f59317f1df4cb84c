"""causal: nobody sees an effect without its cause, on whatever way it came."""

from __future__ import annotations

from typing import Any

from harness.scenarios import Stage
from harness.workloads._regions import Play


def test_mra_15_no_effect_is_seen_before_its_cause(regions: Any) -> None:
    """A writes x; B reads it and writes y; C, which A's writes reach late, reads y and then x."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "cause")
        await play.begin()
        first, second, third = play.regions
        async with play.cut_pair(first, third):
            for i in range(8):
                x, y, value = play.key(f"x{i}"), play.key(f"y{i}"), play.value()
                await play.must_write(x, value, first, session=play.key("a"))
                await play.until_true(lambda x=x, value=value: play.sees(x, value, second, session=play.key("b")), 8.0)
                await play.must_write(y, value, second, session=play.key("b"))
                await play.until_true(lambda y=y, value=value: play.sees(y, value, third, session=play.key("c")), 8.0)
                await play.read(x, third, session=play.key("c"))
        await play.calm()
        await play.judge("MRA-15", "causal", sessions=True)

    regions(scenario, "MRA-15", consistency="causal", pattern="active-active")


def test_mra_15_causality_holds_under_load(regions: Any) -> None:
    """Sessions that stay in their region and read and write the same few keys."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "causes")
        await play.begin()
        keys = [play.key(i) for i in range(3)]
        clients = [play.client(region, keys, session=f"{region}{i}") for region in play.regions for i in range(2)]
        async with play.load(*clients):
            await play.hold(1.0)
            async with play.cut_pair(play.regions[0], play.regions[2]):
                await play.hold(1.5)
            await play.hold(0.5)
        await play.calm()
        await play.judge("MRA-15", "causal", sessions=True)

    regions(scenario, "MRA-15", consistency="causal", pattern="active-active")
