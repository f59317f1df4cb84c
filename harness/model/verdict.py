"""What a checker says: held, violated, or not enough evidence; always with the evidence."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import msgspec

from harness.model.history import Operation


class Valid(StrEnum):
    """Three outcomes; the worst wins, and no evidence is not a pass."""

    TRUE = "true"
    UNKNOWN = "unknown"
    FALSE = "false"

    @property
    def exit_code(self) -> int:
        return {Valid.TRUE: 0, Valid.FALSE: 1, Valid.UNKNOWN: 2}[self]


_SEVERITY = {Valid.TRUE: 0, Valid.UNKNOWN: 1, Valid.FALSE: 2}


def worst(outcomes: Iterable[Valid]) -> Valid:
    """False beats unknown beats true; nothing at all is unknown."""
    return max(outcomes, key=_SEVERITY.__getitem__, default=Valid.UNKNOWN)


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """An operation in an excerpt, with its part in the story: ``culprit``, ``witness`` or ``context``."""

    operation: Operation
    mark: str = "context"
    note: str = ""


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """An operation in an order: its position in the excerpt, and what the object holds after it, in words."""

    operation: int
    state: str


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order that explains every operation of an excerpt but ``stuck``, and ``why`` it does not explain that one.

    ``begin`` is what the object held before the first step.
    """

    begin: str
    steps: tuple[Placed, ...]
    stuck: int
    why: str


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """Why one operation of an excerpt must come before another: ``kind`` is ``ww``, ``wr``, ``rw``, ``process`` or
    ``realtime``, ``says`` a sentence."""

    source: int
    target: int
    kind: str
    says: str


class Excerpt(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest piece of a history that shows a violation.

    ``title`` is one plain sentence ("client 3 in eu-west-1 read 7, 812 ms after 9 was acknowledged").
    ``steps`` tell the argument line by line. ``key`` is the object it is about. ``orders`` are attempts to put the
    operations in order, one for each state that they can end in; ``edges`` are what runs in a circle.
    """

    title: str
    operations: tuple[Marked, ...]
    steps: tuple[str, ...] = ()
    key: Any = None
    orders: tuple[Order, ...] = ()
    edges: tuple[Edge, ...] = ()


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One checker's finding.

    ``summary`` is one sentence for people. ``cause`` says why it is unknown. ``judged`` is False when
    nobody claimed the property, so that the finding is reported and changes no outcome. ``details`` is
    JSON-able and stable, for machines. ``seconds`` is the time of the check alone.
    """

    checker: str
    valid: Valid
    summary: str
    cause: str = ""
    judged: bool = True
    details: dict[str, Any] = msgspec.field(default_factory=dict)
    excerpts: tuple[Excerpt, ...] = ()
    seconds: float = 0.0


def overall(verdicts: Iterable[Verdict]) -> Valid:
    """The run's outcome: the worst judged verdict, unknown when nothing was judged."""
    return worst(verdict.valid for verdict in verdicts if verdict.judged)
