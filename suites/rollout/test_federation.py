"""The federation itself: one gossip pool, a Raft group per region, and the open-source build's refusal."""

from __future__ import annotations

from typing import Any

from harness.scenarios import Stage
from harness.workloads._rollouts import Play
from harness.workloads.rollout import refused_rollout


def test_nom_02_regions_share_gossip_and_nothing_else(rollout: Any) -> None:
    """Every server lists the members of all regions; the Raft peers of two regions have no member in common."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "federation")
        nodes = len(stage.topology.nodes)
        peers: dict[str, set[str]] = {}
        for region in play.regions:
            members = await play.ask("members", region) or []
            await play.expect("NOM-2", f"members that {region} knows alive", nodes,
                              sum(member["status"] == "alive" for member in members))  # fmt: skip
            await play.expect("NOM-2", f"regions that {region} knows", sorted(play.regions),
                              sorted(await play.ask("regions", region) or []))  # fmt: skip
            peers[region] = set(await play.ask("peers", region) or [])
        shared = [
            (one, other) for one in play.regions for other in play.regions if one < other and peers[one] & peers[other]
        ]
        await play.expect("NOM-2", "regions that share a Raft peer", [], shared)
        before = {region: await play.ask("jobs", region) for region in play.regions}
        await play.register(play.job(single=True), at=play.regions[0])
        after = {region: await play.ask("jobs", region) for region in play.regions}
        changed = [r for r in play.regions if len(before[r] or []) != len(after[r] or [])]
        await play.expect("NOM-2", "regions whose state a job of one region changes", [play.regions[0]], changed)
        await play.clean()

    rollout(scenario, "NOM-2")


def test_nom_36_the_open_source_build_refuses_the_block_and_stores_nothing(rollout: Any) -> None:
    """With the words that name the licence."""
    rollout(refused_rollout, "NOM-36")
