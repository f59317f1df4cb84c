"""What a rule of rollouts answers: how it was broken or kept, and what shows it."""

from __future__ import annotations

from typing import Final, NamedTuple

from harness.checkers.rollouts.story import Group
from harness.model.rollout import Change

LIVENESS_S: Final = 12.0
"""How long after the last trouble a rollout whose regions are all healthy may take to complete."""
PROPAGATION_S: Final = 6.0
"""How long after the last trouble a failure, or a newer version, may take to reach a region."""


class Broken(NamedTuple):
    """One violation: a sentence, the group, and the changes that show it."""

    says: str
    group: Group
    changes: tuple[Change, ...] = ()
    allowed: bool = False


class Ruling(NamedTuple):
    """What a rule found. ``played`` counts what put it to the test; ``held`` says what was seen when nothing broke it.
    ``doubt`` says why nothing can be said."""

    row: str
    broken: tuple[Broken, ...]
    played: int
    held: str
    doubt: str = ""


def shown(*changes: Change | None) -> tuple[Change, ...]:
    """Those that there are."""
    return tuple(change for change in changes if change is not None)
