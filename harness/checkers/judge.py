"""Ask each checker in turn. One that crashes says unknown and takes no other verdict with it."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from harness.model.history import History
from harness.model.verdict import Valid, Verdict

if TYPE_CHECKING:  # it loads the topology's validation, which no check needs
    from harness.contracts import Checker


def judge(history: History, checkers: Iterable[Checker]) -> list[Verdict]:
    """The checkers' verdicts in their order, each with its ``seconds``.

    An exception becomes unknown, with the traceback in ``details["traceback"]``.
    """
    verdicts = []
    for checker in checkers:
        started = time.perf_counter()
        try:
            verdict = checker.check(history)
        except Exception as error:  # a bug in a checker says nothing about the system under test
            verdict = _crashed(checker.name, error)
        verdicts.append(msgspec.structs.replace(verdict, seconds=time.perf_counter() - started))
    return verdicts


def _crashed(name: str, error: Exception) -> Verdict:
    cause = f"the checker crashed: {type(error).__name__}: {error}"
    details = {"traceback": traceback.format_exc()}
    return Verdict(checker=name, valid=Valid.UNKNOWN, summary=cause, cause=cause, details=details)
