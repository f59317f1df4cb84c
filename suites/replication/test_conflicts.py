"""Concurrent writes in several regions: each rule for conflicts does what it says, the same everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from harness.scenarios import Stage
from harness.workloads._regions import Play


async def on_both_sides(play: Play, keys: list[str]) -> dict[str, list[int]]:
    """Two regions that cannot hear each other write the same keys; what they wrote, by key."""
    one, other = play.regions[0], play.regions[1]
    values: dict[str, list[int]] = {}
    async with play.cut(other):
        for key in keys:
            values[key] = [play.value(), play.value()]
            await play.must_write(key, values[key][0], one)
            await play.must_write(key, values[key][1], other)
    return values


@pytest.mark.parametrize("skew_ms", ["", "eu-west-1=2000", "us-east-1=2000"], ids=["same clock", "late wins", "early"])
def test_mra_17_the_highest_stamp_wins_everywhere(regions: Any, skew_ms: str) -> None:
    """Whatever the clocks say: with a skew the write that was made last may lose, which is reported."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "stamp")
        await play.begin()
        keys = [play.key(i) for i in range(6)]
        values = await on_both_sides(play, keys)
        await play.calm()
        await play.final_reads(keys)
        await play.judge("MRA-17", "highest-stamp")
        await play.judge("MRA-17", "convergence")
        last = [(await play.ask_key(key, play.regions[2]))["value"] == values[key][1] for key in keys]
        await play.report("MRA-17", f"of {len(keys)} keys the write made last won", sum(last))

    regions(scenario, "MRA-17", pattern="active-active", skew_ms=skew_ms)


@pytest.mark.parametrize("how", ["cut", "silent"])
def test_mra_18_counters_and_sets_lose_nothing_and_count_nothing_twice(regions: Any, how: str) -> None:
    """Increments, additions and removals on both sides of a cut; messages that are delivered again do no harm."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "crdt")
        await play.begin()
        counter, elements = play.key("count"), play.key("set")
        steps = [step for region in play.regions
                 for step in (play.counting(counter, region), play.adding(elements, region))]  # fmt: skip
        async with play.load(*steps, pause_s=0.05):
            await play.hold(0.5)
            name = "partition-region" if how == "cut" else "blackhole-region"
            async with stage.fault(name, region=play.regions[1]):
                await play.hold(1.0)
            await play.hold(0.3)
        await play.calm()
        await play.final_reads([counter], kind="counter")
        await play.final_reads([elements], "members")
        await play.judge("MRA-18", "counter", counter)
        await play.judge("MRA-18", "set", elements)
        await play.judge("MRA-18", "convergence")

    regions(scenario, "MRA-18", pattern="active-active", conflicts="crdt")


def test_mra_19_a_custom_resolver_is_asked_at_conflicts_only_and_sees_both_sides(regions: Any) -> None:
    """One key is written on both sides of a cut, the other one after the other."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "custom")
        await play.begin()
        torn, calm = play.key("torn"), play.key("calm")
        await play.must_write(calm, play.value(), play.regions[0])
        await play.calm()
        await play.must_write(calm, play.value(), play.regions[1])
        both = (await on_both_sides(play, [torn]))[torn]
        await play.calm()
        await play.hold(0.6)
        asked = [each for each in stage.watched if each["kind"] == "resolved"]
        await play.expect("MRA-19", "keys that it was asked about", [torn], sorted({e["key"] for e in asked if
                          str(e["key"]).startswith(play.id)}))  # fmt: skip
        saw = [sorted(each["values"]) for each in asked if each["key"] == torn]
        await play.expect("MRA-19", "it saw both sides", True, bool(saw) and all(each == sorted(both) for each in saw))
        found = [(await play.ask_key(torn, region))["value"] for region in play.regions]
        await play.expect("MRA-19", "its answer is read everywhere", ["+".join(sorted(map(str, both)))] * 3, found)

    regions(scenario, "MRA-19", pattern="active-active", conflicts="custom")


def test_mra_19_manual_conflicts_are_held_until_somebody_decides(regions: Any) -> None:
    """A read says so and names both sides; a write that has seen them ends it."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "manual")
        await play.begin()
        key = play.key("torn")
        both = (await on_both_sides(play, [key]))[key]
        await play.calm()
        for region in play.regions:
            answer = await play.read(key, region)
            await play.expect("MRA-19", f"{region} does not choose", False, answer.ok)
            await play.expect("MRA-19", f"{region} names both sides", "[" + ",".join(map(str, sorted(both))) + "]",
                              answer.error.replace(" ", ""), "holds")  # fmt: skip
        decided = play.value()
        await play.must_write(key, decided, play.regions[2])
        await play.calm()
        found = [(await play.ask_key(key, region))["value"] for region in play.regions]
        await play.expect("MRA-19", "the decision is read everywhere", [decided] * 3, found)

    regions(scenario, "MRA-19", pattern="active-active", conflicts="manual")
