"""Jobs of random shape with random trouble: every guarantee that is put to the test holds."""

from __future__ import annotations

from typing import Any

import pytest

from harness.scenarios import Stage
from harness.workloads.rollout import random_rollout

ROUNDS = 4


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_nom_any_guarantee_holds_for_random_jobs(rollout: Any, round_: int) -> None:
    """Regions, order, parallelism, policy, failures and trouble are drawn from the seed."""

    async def scenario(stage: Stage) -> None:
        stage.rng = stage.rng.child(round_)
        await random_rollout(stage)

    rollout(scenario, "state-machine")
