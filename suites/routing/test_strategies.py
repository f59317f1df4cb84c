"""Routing by geolocation is a look-up; by weight it keeps the shares that the configuration gives."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from harness.scenarios import Stage
from harness.workloads._regions import Play

REQUESTS = 400
ERROR = 1e-6
"""How often the test of shares accuses a router that keeps them."""
WEIGHTS = {"us-east-1": 5, "eu-west-1": 3, "ap-southeast-1": 2}


def chi_square_tail(value: float, freedom: int) -> float:
    """How likely a chi-square of ``freedom`` (even) degrees is at least ``value``: a sum in closed form."""
    half = value / 2
    return math.exp(-half) * sum(half**i / math.factorial(i) for i in range(freedom // 2))


def test_mra_02_weighted_routing_keeps_the_shares(regions: Any) -> None:
    """Pearson's test against the configured weights; a right router fails it once in a million times."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "weights")
        await play.begin()
        seen: Counter[str] = Counter()
        for i in range(REQUESTS):
            seen[(await play.ask("route", play.regions[0], verb="read", key=play.key(i)))["region"]] += 1
        total = sum(WEIGHTS.values())
        wanted = {region: REQUESTS * WEIGHTS[region] / total for region in WEIGHTS}
        value = sum((seen[region] - n) ** 2 / n for region, n in wanted.items())
        chance = chi_square_tail(value, len(wanted) - 1)
        told = ", ".join(f"{region} {seen[region]}" for region in WEIGHTS)
        await play.expect("MRA-2", f"{told} of {REQUESTS}: as likely as {ERROR:g} or more", True, chance >= ERROR)
        await play.report("MRA-2", "how likely shares so far off are", f"{chance:.2g}")

    regions(scenario, "MRA-2", pattern="active-active", routing="weighted",
            weights=",".join(f"{region}={weight}" for region, weight in WEIGHTS.items()))  # fmt: skip


def test_mra_02_geolocation_looks_the_place_up(regions: Any) -> None:
    """Whatever is nearer: a place goes to the region that the table names, and to the nearest one without it."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "geo")
        await play.begin()
        for place, wanted in (("brazil", "us-east-1"), ("france", "eu-west-1"), ("japan", "ap-southeast-1")):
            for entrance in play.regions:
                chosen = (await play.ask("route", entrance, verb="read", key=play.key(), place=place))["region"]
                await play.expect("MRA-2", f"where {entrance} leads users in {place}", wanted, chosen)

    regions(scenario, "MRA-2", pattern="active-active", routing="geolocation",
            geo="brazil=us-east-1,france=eu-west-1,japan=ap-southeast-1")  # fmt: skip
