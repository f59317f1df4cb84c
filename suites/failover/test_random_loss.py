"""Regions lost at random, under load: the failover's own rules hold, and acknowledged writes are not lost."""

from __future__ import annotations

from typing import Any

import pytest

from harness.workloads.regions import random_loss


@pytest.mark.parametrize("replication", ["async", "semi-sync", "sync"])
def test_random_loss_of_a_region_breaks_no_rule(regions: Any, replication: str) -> None:
    """Who is lost and how is drawn by the seed."""
    regions(random_loss, "MRA-9", "MRA-7", replication=replication)


def test_random_loss_of_a_region_under_quorum_loses_nothing(regions: Any) -> None:
    """What a majority has agreed on stays."""
    regions(random_loss, "MRA-9", consistency="quorum")
