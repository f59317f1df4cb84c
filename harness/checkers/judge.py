"""Ask each checker in turn. One that crashes, hangs or eats all memory says unknown and takes no other along."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from harness.checkers.apart import Stopped, apart
from harness.model.history import History
from harness.model.verdict import Valid, Verdict

if TYPE_CHECKING:  # it loads the topology's validation, which no check needs
    from harness.contracts import Checker

LIMIT_S: Final = 300.0
"""How long a checker may take, where nobody says otherwise."""


def judge(history: History, checkers: Iterable[Checker], limit_s: float | None = None) -> list[Verdict]:
    """The checkers' verdicts in their order, each with its ``seconds``.

    An exception becomes unknown, with the traceback in ``details["traceback"]``. With a limit, each checker works in a
    process of its own and gets ``limit_s`` seconds; one that gives no answer is unknown. Without, it works in this one.
    """
    if limit_s is not None:
        with suppress(ValueError):  # it is for the checkers to say that the events do not pair
            _ = history.operations, history.faults  # once for all of them
    return [_asked(history, checker, limit_s) for checker in checkers]


def judge_together(history: History, checkers: Sequence[Checker], limit_s: float) -> list[Verdict]:
    """As ``judge``, for many small checkers that read a history in the same way: all in one process of their own. Only
    when that one does not end well, each gets its own."""
    try:
        return apart(partial(judge, history, checkers), limit_s)
    except Stopped:
        return judge(history, checkers, limit_s)


def _asked(history: History, checker: Checker, limit_s: float | None) -> Verdict:
    if limit_s is None:
        return _verdict(history, checker)
    started = time.perf_counter()
    try:
        return apart(partial(_verdict, history, checker), limit_s)
    except Stopped as stopped:
        cause = f"the checker {checker.name} did not end well: {stopped}"
        verdict = _unknown(checker.name, cause, stopped.where)
        return msgspec.structs.replace(verdict, seconds=time.perf_counter() - started)


def _verdict(history: History, checker: Checker) -> Verdict:
    started = time.perf_counter()
    try:
        verdict = checker.check(history)
        if not isinstance(verdict, Verdict):  # it may be somebody's first checker
            raise TypeError(f"check returned {type(verdict).__name__} and not a harness.model.verdict.Verdict")
    except Exception as error:  # a bug in a checker says nothing about the system under test
        verdict = _unknown(checker.name, f"the checker crashed: {_said(error)}", traceback.format_exc())
    return msgspec.structs.replace(verdict, seconds=time.perf_counter() - started)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _unknown(name: str, cause: str, trace: str) -> Verdict:
    details = {"traceback": trace} if trace else {}
    return Verdict(checker=name, valid=Valid.UNKNOWN, summary=cause, cause=cause, details=details)
