"""A configuration that makes no sense is refused with the reason; the decision function is the pattern's tree."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from harness.scenarios import Stage
from harness.workloads._regions import Play

GOOD = """
multi_region:
  regions:
    - {name: us-east-1, primary: true, endpoint: app-us.example.com, services: [api, database, cache]}
    - {name: eu-west-1, primary: false, endpoint: app-eu.example.com, services: [api, database-replica, cache]}
    - {name: ap-southeast-1, primary: false, endpoint: app-asia.example.com, services: [api, database-replica, cache]}
  replication: {strategy: async, consistency: eventual, conflict_resolution: last_write_wins, lag_threshold: 5s}
  routing: {strategy: latency, health_check_interval: 30s, failover_threshold: 3}
  data_governance:
    gdpr_regions: [eu-west-1]
    data_residency:
      - {type: user_pii, allowed_regions: [eu-west-1]}
      - {type: financial, allowed_regions: [us-east-1]}
  cost_controls: {max_cross_region_transfer_gb: 10000, auto_scale_regions: true, idle_region_shutdown: true}
  monitoring: {cross_region_latency: true, replication_lag: true, regional_availability: true, cost_tracking: true}
"""
WRONG = {
    "two primaries": ("name: eu-west-1, primary: false", "name: eu-west-1, primary: true", "primary"),
    "no primary": ("primary: true", "primary: false", "primary"),
    "the same region twice": ("name: ap-southeast-1", "name: eu-west-1", "eu-west-1"),
    "unknown strategy": ("strategy: async", "strategy: sometimes", "sometimes"),
    "unknown consistency": ("consistency: eventual", "consistency: perfect", "perfect"),
    "unknown conflict rule": ("last_write_wins", "loudest_wins", "loudest_wins"),
    "unknown routing": ("strategy: latency", "strategy: random", "random"),
    "threshold of 0": ("failover_threshold: 3", "failover_threshold: 0", "failover_threshold"),
    "threshold of -1": ("failover_threshold: 3", "failover_threshold: -1", "failover_threshold"),
    "interval of 0": ("health_check_interval: 30s", "health_check_interval: 0s", "health_check_interval"),
    "no duration": ("lag_threshold: 5s", "lag_threshold: soon", "lag_threshold"),
    "budget below 0": ("max_cross_region_transfer_gb: 10000", "max_cross_region_transfer_gb: -5", "transfer_gb"),
    "a rule with an unknown region": ("allowed_regions: [us-east-1]", "allowed_regions: [mars-1]", "mars-1"),
    "an unknown GDPR region": ("gdpr_regions: [eu-west-1]", "gdpr_regions: [mars-1]", "mars-1"),
    "an unknown field": ("idle_region_shutdown", "idle_region_showdown", "idle_region_showdown"),
    "a word for a flag": ("cost_tracking: true", "cost_tracking: perhaps", "perhaps"),
}
"""What is wrong: the text that is replaced, by what, and what the reason must name."""


def test_mra_42_a_configuration_that_makes_no_sense_is_refused_with_the_reason(regions: Any) -> None:
    """The pattern's own template is accepted; each of its faults is named."""

    async def scenario(stage: Stage) -> None:
        play, at = Play(stage, "config"), stage.topology.region_ids[0]
        accepted = await stage.do("check", None, at=at, template=GOOD)
        await play.expect("MRA-42", "the template is accepted", "ok", accepted.type)
        for what, (old, new, names) in WRONG.items():
            answer = await stage.do("check", None, at=at, template=GOOD.replace(old, new, 1))
            await play.expect("MRA-42", f"{what} is accepted", False, answer.ok)
            await play.expect("MRA-42", f"the reason for {what}", names, answer.error, "holds")

    regions(scenario, "MRA-42")


def tree(several: bool, latency: bool, recovery: bool, rules: bool, writes: bool, tolerant: bool) -> str:
    """The decision matrix."""
    if not several or (not latency and not recovery):
        return "single-region"
    if not latency:
        return "active-passive"
    if rules:
        return "geo-partitioned"
    return "read-replicas" if not writes else "multi-master-crdt" if tolerant else "single-master"


@pytest.mark.parametrize("several", [False, True], ids=["one region", "several regions"])
def test_mra_41_the_decision_function_is_the_tree(regions: Any, several: bool) -> None:
    """All answers to all questions."""
    names = ("several_regions", "latency_sensitive", "need_dr", "data_regulations", "write_heavy", "conflict_tolerance")

    async def scenario(stage: Stage) -> None:
        play, at = Play(stage, "decide"), stage.topology.region_ids[0]
        wrong = []
        for answers in product((False, True), repeat=5):
            asked = dict(zip(names, (several, *answers), strict=True))
            told = await stage.do("decide", None, at=at, **asked)
            chosen = told.value["architecture"] if told.ok else told.error
            if chosen != tree(several, *answers):
                wrong.append(f"{asked}: {chosen}")
        await play.expect("MRA-41", "answers unlike the tree's", [], wrong)
        part = await stage.do("decide", None, at=at, several_regions=True)
        await play.expect("MRA-41", "an answer that is missing is accepted", False, part.ok)

    regions(scenario, "MRA-41")
