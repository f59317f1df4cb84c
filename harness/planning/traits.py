"""What a fault may need of a target: who has it, and what to tell somebody whose target has it not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from harness.contracts import Leads, Target, TellsTime

_HAS: Final[dict[str, Callable[[Target], bool]]] = {
    "leader": lambda target: isinstance(target, Leads),
    "upgrade": lambda target: bool(getattr(target, "upgrade", "")),
    "time": lambda target: isinstance(target, TellsTime),
    "rebuilds": lambda target: getattr(target, "rebuilds", False) is True,
}
_WITHOUT: Final = {
    "leader": "needs a leader, and target {target} does not tell of one",
    "upgrade": "needs another image: give it as --option upgrade=IMAGE",
    "time": "moves clocks, and target {target} does not say what time its nodes believe it is (`clock(seat)`), so that "
    "nobody could tell whether they moved",
    "rebuilds": "takes away all data of a node, and target {target} does not promise to survive that (`rebuilds`)",
}
TRAITS: Final = frozenset(_HAS)
"""What a fault needs of the target; everything else it needs of the testbed."""


def traits(target: Target) -> frozenset[str]:
    """The traits that ``target`` has."""
    return frozenset(name for name, has in _HAS.items() if has(target))


def lacking(needs: frozenset[str], target: Target, called: str) -> str:
    """Why a fault with these ``needs`` is not for the target ``called`` so; empty when it is."""
    missing = sorted(needs & TRAITS - traits(target))
    return _WITHOUT[missing[0]].format(target=called) if missing else ""
