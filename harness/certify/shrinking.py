"""Makes a history that shows a mistake smaller, so that a person can follow it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from harness.model.history import History
from harness.model.op import Op


def shrunk(history: History, shows: Callable[[History], bool]) -> History:
    """The history without all the operations that it ``shows`` the mistake without, one by one until none is left to
    take."""
    smaller = True
    while smaller:
        smaller = False
        for spans in reversed(_spans(history)):
            fewer = without(history, spans)
            if shows(fewer):
                history, smaller = fewer, True
                break
    return history


def _spans(history: Sequence[Op]) -> list[tuple[int, ...]]:
    """The positions of each operation's events; those of the nemesis one by one."""
    spans: list[tuple[int, ...]] = []
    began: dict[int, int] = {}
    for at, op in enumerate(history):
        if op.is_nemesis:
            spans.append((at,))
        elif op.process in began:
            spans.append((began.pop(op.process), at))
        else:
            began[op.process] = at
    return spans + [(at,) for at in began.values()]


def without(history: Sequence[Op], positions: Sequence[int]) -> History:
    """The history without some events, numbered anew."""
    left = [op for at, op in enumerate(history) if at not in positions]
    return History(msgspec.structs.replace(op, index=at) for at, op in enumerate(left))
