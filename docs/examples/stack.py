"""A stack: what was pushed last is popped first."""

from __future__ import annotations

from typing import Any

from harness.kernels.objects import NO, Deed, Object


def step(state: tuple[Any, ...], deed: Deed) -> Any:
    """The stack after an operation, or NO when the operation cannot happen to this stack."""
    if deed.f == "push":
        return (*state, deed.value)
    if not deed.seen:  # nobody knows what it answered
        return state[:-1]
    if deed.result is None:  # it found nothing
        return NO if state else state
    return state[:-1] if state and state[-1] == deed.result else NO


MODEL = Object(verbs=frozenset({"push", "pop"}), begin=lambda initial: tuple(initial or ()), step=step)
