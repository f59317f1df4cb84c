"""Sets keep what they acknowledged: an element whose addition was acknowledged is in every later read."""

from __future__ import annotations

from typing import Any


def test_an_acknowledged_element_is_never_lost(holds: Any) -> None:
    """No acknowledged element is missing after the heal, none appears that nobody added."""
    holds("set")
