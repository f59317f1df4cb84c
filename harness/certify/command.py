"""``rift certify``: from the words of the command line to a report, with progress for people who wait."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from harness.certify import campaign, folders
from harness.certify.campaign import Piece, Report, Watch
from harness.certify.contract import Settings
from harness.certify.tally import Tally
from harness.errors import UsageError

EVERY_S: Final = 10.0
"""How often a progress line is written where nothing can move."""


FULL: Final = 100_000
QUICK: Final = 1_000
"""Small random histories per family."""


def size(count: int | None, quick: bool) -> int:
    """How many histories per family were asked for. Raises UsageError for two sizes at once."""
    if quick and count is not None:
        raise UsageError(f"--quick and --count {count} both say how much evidence to gather; give one of them")
    return QUICK if quick else FULL if count is None else count


def run(
    families: Sequence[str], kinds: Sequence[str], count: int, seed: int, folder: Path | None, jobs: int | None
) -> Report:
    """Certify; progress goes to standard error. Raises UsageError for words that mean nothing."""
    if count < 1:
        raise UsageError(f"--count {count}: must be at least 1")
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs {jobs}: must be at least 1")
    names = folders.chosen(families, folders.family_names(), "family")
    asked = folders.chosen(kinds, folders.evidence_names(), "kind of evidence")
    settings = Settings(seed, count, folder)
    work = campaign.plan(names, asked, settings)
    jobs = jobs or os.cpu_count() or 1
    size = f"{len(names)} families, {sum(len(piece.numbers) for piece in work):,} histories and their variants"
    try:
        print(f"rift: certifying {size}; seed {seed}, {jobs} processes, Ctrl-C stops", file=sys.stderr, flush=True)
        with _progress(work) as watch:
            return campaign.certify(names, asked, settings, jobs, watch)
    except KeyboardInterrupt:
        return Report(settings, gaps=["stopped before the first piece of work was done"])


@contextmanager
def _progress(work: Sequence[Piece]) -> Iterator[Watch]:
    if not sys.stderr.isatty():
        yield _Lines(len(work)).done
        return
    from rich.console import Console  # only a terminal needs it, and loading it takes a while
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bars:
        total = bars.add_task("all", total=len(work))
        left = Counter(piece.family for piece in work)
        told: set[tuple[str, str]] = set()
        tasks = {name: bars.add_task(name, total=size, visible=False) for name, size in left.items()}

        def done(piece: Piece, tally: Tally) -> None:
            left[piece.family] -= 1
            bars.advance(total)
            bars.update(tasks[piece.family], advance=1, visible=left[piece.family] > 0)
            if tally.disagreements and (piece.family, piece.evidence) not in told:
                told.add((piece.family, piece.evidence))
                bars.console.print(f"[red]wrong[/red] {piece.family}, {piece.evidence}")

        yield done


class _Lines:
    """A line now and then."""

    def __init__(self, total: int) -> None:
        self.total, self.count = total, 0
        self.began = self.told = time.monotonic()
        self.wrong: set[tuple[str, str]] = set()

    def done(self, piece: Piece, tally: Tally) -> None:
        """A piece of work is done."""
        self.count += 1
        now = time.monotonic()
        if tally.disagreements and (piece.family, piece.evidence) not in self.wrong:
            self.wrong.add((piece.family, piece.evidence))
            print(f"{now - self.began:6.1f} s  wrong: {piece.family}, {piece.evidence}", file=sys.stderr, flush=True)
        if now - self.told >= EVERY_S:
            self.told = now
            share = f"{100 * self.count // self.total}%"
            print(f"{now - self.began:6.1f} s  {share} done, at {piece.family}", file=sys.stderr, flush=True)
