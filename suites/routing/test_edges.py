"""Caches below the store: they hit often, forget what changed, and serve what they have when a parent is lost."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from harness.model.clock import NS_PER_S
from harness.scenarios import Answer, Stage
from harness.workloads._regions import Play, Step

KEYS = 20
EXPONENT = 1.2
"""Zipf's: the key of rank r is read as often as 1 / r ** EXPONENT says."""
READS = 1000
MIN_RATIO = 0.9
PARENTS = {"syd": "ap-northeast-1", "osa": "ap-northeast-1", "ap-northeast-1": "ap-southeast-1"}
EDGES = ("syd", "osa")
TTL_S = 6.0
SHAPE = {"topology": "edge-regions", "pattern": "edge", "consistency": "bounded", "cache_ttl_s": f"{TTL_S:g}",
         "parents": ",".join(f"{cache}={parent}" for cache, parent in PARENTS.items())}  # fmt: skip
TRANSIT_MS = 100
"""What a request takes to the store and back comes on top of the bound."""


def zipf(play: Play, at: str, done: list[bool]) -> Step:
    """A reader of Zipf's popularity."""
    keys = [play.key(i) for i in range(KEYS)]
    weights = [1 / rank**EXPONENT for rank in range(1, KEYS + 1)]

    async def step(random: Random) -> Answer:
        answer = await play.read(random.choices(keys, weights)[0], at)
        done.append(answer.ok)
        return answer

    return step


def test_mra_34_nine_reads_of_ten_are_hits(regions: Any) -> None:
    """Popularity by Zipf, and now and then a write somewhere."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "zipf")
        await play.begin()
        for i in range(KEYS):
            await play.must_write(play.key(i), play.value(), play.regions[i % len(play.regions)])
        await play.calm()
        await play.hold(play.lag_s)  # until no news of these writes can come any more
        done: list[bool] = []
        async with play.load(*(zipf(play, at, done) for at in EDGES for _ in range(6)), pause_s=0.005):
            await play.until_true(lambda: len(done) > READS)
            await play.must_write(play.key(KEYS - 1), play.value(), EDGES[0])
            await play.until_true(lambda: len(done) > 2 * READS)
        bound_ms = 1000 * play.lag_s
        await play.judge("MRA-34", "hits", min_ratio=MIN_RATIO, ttl_s=TTL_S, bound_ms=bound_ms)
        await play.judge("MRA-34", "current", max_ms=bound_ms + TRANSIT_MS)

    regions(scenario, "MRA-34", **SHAPE)


def test_mra_34_what_was_written_is_not_shown_old_anywhere(regions: Any) -> None:
    """A few keys, written in every region and through an edge, read at both edges all the time."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "fresh")
        await play.begin()
        keys = [play.key(i) for i in range(4)]
        readers = [play.reader(at, keys) for at in (*EDGES, "ap-northeast-1")]
        writers = [play.series(at, key, "w") for at, key in zip((*play.regions, EDGES[0]), keys, strict=True)]
        async with play.load(*readers):
            async with play.load(*writers, pause_s=0.4):
                await play.hold(2.5)
            await play.hold(play.lag_s + 0.5)
        await play.judge("MRA-34", "current", max_ms=1000 * play.lag_s + TRANSIT_MS)

    regions(scenario, "MRA-34", **SHAPE)


@pytest.mark.parametrize(
    ("how", "lost"), [("kill", "ap-northeast-1"), ("kill", "ap-southeast-1"), ("silent", "ap-northeast-1")]
)
def test_mra_37_a_lost_parent_is_served_from_copies_within_their_time(regions: Any, how: str, lost: str) -> None:
    """Edge, regional, core; then one of the upper ones is lost until every copy is too old, and comes back."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "walk")
        await play.begin()
        keys = [play.key(i) for i in range(3)]
        for key in keys:
            await play.must_write(key, play.value(), play.regions[0])
        await play.calm()
        for key in keys:
            told = await play.ask_key(key, "syd")
            await play.expect("MRA-37", f"the first read of {key} comes from", "ap-southeast-1", told["source"])
        fault = play.kill(lost) if how == "kill" else stage.fault("blackhole-region", region=lost)
        every = [(key, at) for at in EDGES for key in keys]
        async with play.load(*(play.reader(at, keys) for at in EDGES)):
            await asyncio.gather(*(play.read(key, at) for key, at in every))
            async with fault:
                since_ns = stage.now_ns()
                await asyncio.gather(*(play.read(key, at) for key, at in every))
                await play.until_true(lambda: stage.now_ns() - since_ns > (TTL_S + 0.5) * NS_PER_S)
                late = await asyncio.gather(*(play.read(key, at) for key, at in every))
        await play.expect("MRA-37", "answered when all copies are too old", 0, sum(answer.ok for answer in late))
        await play.calm()
        await play.ask_key(keys[0], "syd")
        await play.judge("MRA-37", "walks", parents=PARENTS, ttl_s=TTL_S)
        await play.judge("MRA-34", "current", max_ms=1000 * play.lag_s + TRANSIT_MS)

    regions(scenario, "MRA-37", **SHAPE)
