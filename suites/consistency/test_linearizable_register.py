"""Registers are linearizable: every operation seems to happen at one instant between its invocation and its answer."""

from __future__ import annotations

from typing import Any


def test_a_register_is_linearizable(holds: Any) -> None:
    """Reads, writes and compare-and-sets of every key fit one order that respects real time."""
    holds("register")
