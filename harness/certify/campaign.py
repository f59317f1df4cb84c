"""Gathers the evidence: cuts the work into pieces, shares them among processes, and adds up what they counted."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from harness.certify import folders
from harness.certify.contract import Settings
from harness.certify.evidence import recorded
from harness.certify.tally import Tally
from harness.errors import RiftError

PIECES: Final = 40
"""Into at least so many pieces a row's work is cut, when it can be: so that there is progress to show."""
MOST: Final = 500
"""So many histories are in a piece at most: Ctrl-C waits for the pieces that have begun."""


class Piece(NamedTuple):
    """A part of one row: the histories with these numbers."""

    family: str
    evidence: str
    numbers: range


@dataclass
class Report:
    """What was found. ``gaps`` say why evidence is not enough, row by row; ``notes`` what was not asked for."""

    settings: Settings
    rows: list[Tally] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    wall_s: float = 0.0

    @property
    def disagreements(self) -> int:
        return sum(row.total("wrong") for row in self.rows)

    @property
    def exit_code(self) -> int:
        """0 green, 1 a checker was wrong, 2 the evidence is not enough."""
        return 1 if self.disagreements else 2 if self.gaps or not self.rows else 0


Watch = Callable[[Piece, Tally], None]
"""Hears of every piece that is done."""


def certify(
    families: Sequence[str], kinds: Sequence[str], settings: Settings, jobs: int, watch: Watch = lambda *_: None
) -> Report:
    """Gather these ``kinds`` of evidence for these ``families``, with ``jobs`` processes (1: in this one). Ctrl-C ends
    it, and what was gathered is reported as not enough. Raises UsageError when the folder of histories is unusable."""
    report, began = Report(settings), time.monotonic()
    work = plan(families, kinds, settings)
    rows = {(piece.family, piece.evidence): Tally(piece.family, piece.evidence) for piece in work}
    done = 0
    try:
        for piece, tally in _gathered(work, settings, jobs):
            rows[piece.family, piece.evidence].add(tally)
            done += 1
            watch(piece, tally)
    except KeyboardInterrupt:
        report.gaps.append(f"stopped after {done} of {len(work)} pieces of work")
    report.rows = [row for row in rows.values() if row.histories]
    report.wall_s = time.monotonic() - began
    report.notes, unread = _recorded(families, kinds, settings)
    report.gaps += unread
    try:
        for row in report.rows:
            evidence, family = folders.evidence(row.evidence), folders.family(row.family)
            report.gaps += [f"{row.family}, {row.evidence}: {gap}" for gap in evidence.gaps(family, row)]
            row.disagreements = [evidence.smaller(family, settings, found) for found in row.disagreements]
    except KeyboardInterrupt:
        report.gaps.append("stopped while mistakes were made smaller")
    return report


def plan(families: Sequence[str], kinds: Sequence[str], settings: Settings) -> list[Piece]:
    """All the work, cut into pieces."""
    pieces = []
    for name in families:
        for kind in kinds:
            size = folders.evidence(kind).size(folders.family(name), settings)
            step = min(MOST, max(1, -(-size // PIECES)))
            pieces += [Piece(name, kind, range(at, min(size, at + step))) for at in range(0, size, step)]
    return pieces


def _recorded(families: Sequence[str], kinds: Sequence[str], settings: Settings) -> tuple[list[str], list[str]]:
    """What to say of recorded histories: notes, and gaps."""
    if recorded.NAME not in kinds:
        return [], []
    if settings.folder is None:
        note = "no recorded histories were judged: name a folder with --histories"
        return [note], [note] if len(kinds) == 1 else []
    without = [name for name in families if not recorded.size(folders.family(name), settings)]
    notes = [f"{settings.folder} has no histories for: {', '.join(without)}"] if without else []
    models = recorded.strangers(settings.folder, folders.family_names())
    gaps = [f"recorded: no family has the model {model}" for model in models]
    return notes, gaps if len(families) == len(folders.family_names()) else []


def gather(piece: Piece, settings: Settings) -> Tally:
    """Do one piece of work; the tally's ``seconds`` are processor time."""
    began = time.process_time()
    tally = folders.evidence(piece.evidence).gather(folders.family(piece.family), settings, piece.numbers)
    tally.seconds = time.process_time() - began
    return tally


def _gathered(work: Sequence[Piece], settings: Settings, jobs: int) -> Iterator[tuple[Piece, Tally]]:
    if jobs <= 1:
        yield from ((piece, gather(piece, settings)) for piece in work)
        return
    # Fresh processes: a copy of this one would hold locks of threads that it does not have.
    fresh = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=fresh)
    try:
        with _deaf():
            futures: dict[Future[Tally], Piece] = {pool.submit(gather, piece, settings): piece for piece in work}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise RiftError(
            "a process that judged histories was killed, perhaps for want of memory; try --jobs 1"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes started here do not hear Ctrl-C, not even while they start: it is for the parent, which cancels what
    has not begun."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
