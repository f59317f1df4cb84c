"""The borders of certification: what a family offers, and what a kind of evidence does with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any, Protocol

from harness.certify.tally import Disagreement, Tally
from harness.model.history import History
from harness.model.verdict import Valid, Verdict


class Expected(StrEnum):
    """What an oracle finds: something explains the history, nothing does, or the record does not decide it."""

    HOLDS = "holds"
    BROKEN = "broken"
    OPEN = "open"


RIGHT = {Expected.HOLDS: Valid.TRUE, Expected.BROKEN: Valid.FALSE, Expected.OPEN: Valid.UNKNOWN}
"""What a checker should say to it."""

Check = Callable[[History], Verdict]
Oracle = Callable[[History], Expected | None]
"""None: the question is not about such histories."""
Draw = Callable[[Random], History]
Change = Callable[[History, Random], History | None]
"""Another history made from one; None when there is no place for the change in it."""


def said(verdict: Verdict) -> Valid:
    """The verdict itself; other questions read their answer from its details."""
    return verdict.valid


def anomalies(verdict: Verdict) -> Collection[str]:
    """The kinds of trouble that a verdict names."""
    found: Collection[str] = verdict.details.get("anomalies", ())
    return found


@dataclass(frozen=True)
class Question:
    """Something that a checker is asked, and the oracle that knows the answer.

    ``unknown_share`` is how much of what the oracle decides the checker may leave undecided. One that promises only
    never to accuse wrongly may miss ``missed_share`` of what is broken; 0: none, each is a disagreement. ``replay`` are
    the options of ``rift check`` that ask the same; empty when the command line cannot. A slow question is put on one
    history of ``every`` so many.
    """

    name: str
    check: Check
    oracle: Oracle
    answer: Callable[[Verdict], Valid] = said
    unknown_share: float = 0.0
    missed_share: float = 0.0
    replay: str = ""
    every: int = 1


@dataclass(frozen=True)
class System:
    """A simulated system, and whether what ``check`` judges ``holds`` for it. A weak one shows itself only when it is
    unlucky: it must be caught in about ``share`` of its runs."""

    name: str
    run: Draw
    holds: bool
    check: Check
    share: float = 1.0


@dataclass(frozen=True)
class Family:
    """One model of ``rift check`` with everything that shows whether its checker is right.

    ``draw`` makes a small random history, valid or not; ``sound`` a valid one, which ``plants`` spoil, each in the way
    that its name says (``lost``, or ``lost, and how``). ``names`` tells which anomalies a verdict names; None when its
    words are free. ``laws`` change what must not matter.
    """

    name: str
    draw: Draw
    questions: tuple[Question, ...]
    sound: Draw
    plants: Mapping[str, Change]
    laws: Mapping[str, Change]
    systems: tuple[System, ...]
    names: Callable[[Verdict], Collection[str]] | None = anomalies

    @property
    def check(self) -> Check:
        """The checker as a user meets it."""
        return self.questions[0].check


@dataclass(frozen=True)
class Settings:
    """What was asked for: ``count`` histories per family from ``seed`` on, and a ``folder`` with recorded ones."""

    seed: int
    count: int
    folder: Path | None = None


class Evidence(Protocol):
    """What a file in ``evidence`` offers besides its ``NAME``."""

    NAME: str

    def size(self, family: Family, settings: Settings) -> int:
        """How many histories there are to gather."""

    def gather(self, family: Family, settings: Settings, numbers: range) -> Tally:
        """Judge those with these numbers."""

    def gaps(self, family: Family, tally: Tally) -> list[str]:
        """Why the evidence is not enough; empty when it is."""

    def smaller(self, family: Family, settings: Settings, found: Disagreement) -> Disagreement:
        """The same mistake on as small a history as can be."""


def random_of(seed: int, family: str, evidence: str, number: int) -> Random:
    """The random numbers of one history; every history can be made again by itself."""
    return Random(f"{seed}/{family}/{evidence}/{number}")


def ask(check: Check, history: History) -> Verdict:
    """The checker's verdict; unknown, and ``crashed`` in its details, when it raised an exception."""
    try:
        return check(history)
    except Exception as error:  # a crash is a finding of certification, not its end
        cause = f"crashed: {type(error).__name__}: {error}"
        details: dict[str, Any] = {"crashed": True}
        return Verdict(checker="", valid=Valid.UNKNOWN, summary=cause, cause=cause, details=details)
