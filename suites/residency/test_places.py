"""Restricted data is at rest only where its rule allows: in no store, log, cache or backup of another region, ever."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.scenarios import Stage
from harness.workloads._regions import Play

RULES = {"user_pii": "eu-west-1", "financial": "us-east-1"}


async def places(play: Play, marker: str, lost: str = "") -> list[str]:
    """Every region that has ``marker``, on disk or in memory as it tells it itself, with the place. Raises Unsure when
    one that is not ``lost`` does not tell: what nobody looked into is not clean."""
    found = await play.stage.search(marker)
    for region in play.regions:
        if region != lost:
            told = await play.ask("dump", region)
            found += [f"{region}: memory, {part}" for part, held in told.items() if marker in json.dumps(held)]
    return found


def outside(found: list[str], region: str) -> list[str]:
    """The places that are not in ``region``."""
    return [place for place in found if not place.startswith(f"{region}:")]


@pytest.mark.parametrize("tag", RULES)
def test_mra_25_restricted_data_stays_in_its_region(regions: Any, tag: str) -> None:
    """Written and read through every entrance, with time for logs and backups to be written."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "stays")
        await play.begin()
        markers = [f"{play.id}-secret-{i}" for i in range(len(play.regions))]
        for i, region in enumerate(play.regions):
            await play.must_write(play.key(i), markers[i], region, tag=tag)
            told = await play.ask_key(play.key(i), region, tag=tag)
            await play.expect("MRA-25", f"it can be read through {region}", markers[i], told["value"])
        await play.hold(1.5)
        for marker in markers:
            found = await places(play, marker)
            await play.expect("MRA-25", "places outside", [], outside(found, RULES[tag]))
            await play.expect("MRA-25", f"it is at rest in {RULES[tag]}", True, any(found))

    regions(scenario, "MRA-25")


@pytest.mark.parametrize("how", ["killed", "cut"])
def test_mra_25_when_its_region_is_lost_restricted_data_is_unavailable_and_does_not_move(
    regions: Any, how: str
) -> None:
    """During the loss nobody else takes it, also not for a while; afterwards it is there again."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "lost")
        await play.begin()
        home, since_ns = RULES["user_pii"], stage.now_ns()
        others = [region for region in play.regions if region != home]
        kept, late = f"{play.id}-kept", f"{play.id}-late"
        await play.must_write(play.key("kept"), kept, others[0], tag="user_pii")
        async with play.kill(home) if how == "killed" else play.cut(home):
            await play.marked(home, since_ns)
            for region in others:
                answer = await play.write(play.key("late"), late, region, tag="user_pii")
                await play.expect("MRA-25", f"acknowledged through {region} without {home}", False, answer.ok)
                read = await play.read(play.key("kept"), region, tag="user_pii")
                await play.expect("MRA-25", f"read through {region} without {home}", False, read.ok)
            await play.hold(1.0)
            for marker in (kept, late):
                found = outside(await places(play, marker, lost=home), home)
                await play.expect("MRA-25", "places outside during the loss", [], found)
        await play.calm()
        told = await play.ask_key(play.key("kept"), others[0], tag="user_pii")
        await play.expect("MRA-25", "afterwards it is there again", kept, told["value"])
        for marker in (kept, late):
            await play.expect("MRA-25", "places outside afterwards", [], outside(await places(play, marker), home))

    regions(scenario, "MRA-25")


def test_mra_26_data_that_nothing_restricts_may_be_everywhere(regions: Any) -> None:
    """Without a type, and with one that no rule names, every region gets its copy."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "free")
        primary = (await play.begin())["primary"]
        for name, more in (("untagged", {}), ("other", {"tag": "telemetry"})):
            marker = f"{play.id}-{name}"
            await play.must_write(play.key(name), marker, primary, **more)

            async def everywhere(marker: str = marker) -> bool:
                return {place.partition(":")[0] for place in await places(play, marker)} == set(play.regions)

            await play.expect(
                "MRA-26", f"{name} data reaches all regions", True, await play.until_true(everywhere, 8.0)
            )

    regions(scenario, "MRA-26")
