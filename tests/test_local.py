"""A history that fails by a short stretch of it is refuted by that stretch, and no history in order ever is."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from bench.checkers import register
from harness.kernels.calls import COLUMNS_NEVER, Budget, Call, CallColumns, Decision, call_columns
from harness.kernels.compiling import fast
from harness.kernels.linear import local, windowed
from harness.kernels.linear.local import fails_locally
from harness.kernels.linear.windowed import decide_windowed
from tests.test_kernels import random_calls, some_order


def alone(calls: CallColumns, budget: Budget) -> Decision:
    return decide_windowed(calls, fast, budget, locally=False)


def refuted(calls: list[Call]) -> bool:
    last = max((call.end for call in calls if call.end < COLUMNS_NEVER), default=-1)
    return last >= 0 and fails_locally(call_columns(calls), last, alone, Budget())


def disagreements(times: int) -> tuple[int, int]:
    """How many of so many random histories are refuted by a stretch though an order exists, and how many rightly."""
    rng, wrong, right = random.Random(5), 0, 0
    for _ in range(times):
        calls = random_calls(rng)
        if calls and refuted(calls):
            exists = some_order(calls)
            wrong, right = wrong + exists, right + (not exists)
    return wrong, right


def test_no_history_with_an_order_is_refuted_by_a_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_STRETCHES", (1, 2, 3, 4, 6))
    wrong, right = disagreements(3000)
    assert wrong == 0
    assert right > 200


def test_a_stretch_that_forgets_what_was_open_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail."""
    kept = local.stretch

    def forgetful(calls: CallColumns, cut: int) -> CallColumns:
        near = kept(calls, cut)
        at = np.flatnonzero(near.start > cut)
        return replace(near, needs=near.needs[at], leaves=near.leaves[at], start=near.start[at], end=near.end[at])

    monkeypatch.setattr(local, "_STRETCHES", (1, 2, 3, 4, 6))
    monkeypatch.setattr(local, "stretch", forgetful)
    wrong, _ = disagreements(3000)
    assert wrong > 0


def test_looking_at_stretches_changes_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_STRETCHES", (1, 2, 3, 4, 6))
    monkeypatch.setattr(windowed, "_SLICE", 1)  # whenever nothing was gained by one configuration
    rng = random.Random(6)
    for _ in range(1500):
        calls = random_calls(rng)
        assert decide_windowed(call_columns(calls), fast, Budget()).valid is some_order(calls), calls


def test_a_stale_read_behind_a_crowd_is_found() -> None:
    from harness.checkers.objects.linearizable import Linearizable

    history = register(3000, 50, 5, stale=True)
    verdict = Linearizable("cas-register", time_limit_s=60, memory_mb=300).check_columns(history)
    assert verdict.valid.value == "false", verdict.cause
