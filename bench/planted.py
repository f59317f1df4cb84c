"""How often planted bugs are found by the guarantee that they break: suites run over seeds, one line a bug."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from bench.keeping import kept

ROOT: Final = Path(__file__).resolve().parent.parent
GOOD: Final = "good"


@dataclass(frozen=True)
class Row:
    """One line of the table: a planted bug and the guarantee that it breaks; neither for the good system. ``arguments``
    are pytest's: which suites, and which of their tests."""

    name: str
    arguments: tuple[str, ...]
    guarantee: str = ""


def run(row: Row, target: str, seed: int, runs: Path | None = None) -> tuple[bool, str]:
    """Whether one seed came out right, and what was seen when it did not. The good system must not be accused; what is
    unknown is told. ``runs`` keeps the runs of a seed that did not pass."""
    with tempfile.TemporaryDirectory() as store:
        command = [sys.executable, "-m", "pytest", "-p", "harness.plugin", *row.arguments, "-q", "--store", store]
        command += ["--target", target, "--seed", str(seed)]
        if row.guarantee:
            command += ["-x", "--target-option", f"bug={row.name}"]
        # Suites need no other plugin, and to load those that are installed takes longer than some scenarios.
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
        violated = {verdict["checker"] for verdict in _verdicts(Path(store)) if verdict["valid"] == "false"}
        if runs is not None and done.returncode and row.guarantee not in violated:
            shutil.copytree(store, runs / f"{row.name}-{seed}", symlinks=True)
    if row.guarantee in violated or (not row.guarantee and not done.returncode):
        return True, ""
    right = not row.guarantee and not violated and done.returncode == pytest.ExitCode.TESTS_FAILED
    return right, f"violated: {', '.join(sorted(violated)) or 'nothing'}; {_end(done.stdout)}"


def timed(row: Row, target: str, seed: int, runs: Path | None) -> dict[str, Any]:
    """The result of one seed, as it is kept."""
    began = time.monotonic()
    right, why = run(row, target, seed, runs)
    return {"name": row.name, "seed": seed, "right": right, "why": why, "seconds": round(time.monotonic() - began, 1)}


def result(row: Row, target: str, seed: int, file: Path | None, runs: Path | None) -> dict[str, Any]:
    """The same from ``file`` when it is there."""
    return kept(
        file, lambda told: (told["name"], told["seed"]) == (row.name, seed), lambda: timed(row, target, seed, runs)
    )


def _verdicts(store: Path) -> Iterable[dict[str, Any]]:
    for path in store.glob("*/*/verdicts.json"):
        if not path.parent.is_symlink():
            yield from json.loads(path.read_text())


def _end(text: str) -> str:
    """What failed and why, by pytest's short summary, and its last line."""
    lines = [line for line in text.splitlines() if line.strip()]
    failed = [line.removeprefix("FAILED ") for line in lines if line.startswith("FAILED ")]
    return "; ".join([*failed, lines[-1] if lines else "no output"])


def table(says: str, target: str, rows: Callable[[], Sequence[Row]]) -> None:
    """The command line, and the table that it asks for."""
    parser = argparse.ArgumentParser(description=says, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="a file for results; those that are in it are not run again")
    parser.add_argument("--runs", type=Path, help="a folder for the runs of seeds that did not pass")
    given = parser.parse_args()
    known = rows()
    if unknown := set(given.names) - {row.name for row in known}:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(row.name for row in known)}")
    print(f"{'planted bug':<28}  {'breaks':<7}  {'right':>9}  {'minutes':>7}")
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    chosen = [row for row in known if not given.names or row.name in given.names]
    with ThreadPoolExecutor(given.jobs) as pool:  # one for all rows: the last seeds of a row leave no job idle
        running = [[pool.submit(result, row, target, seed, given.keep, given.runs) for seed in seeds] for row in chosen]
        try:
            for row, futures in zip(chosen, running, strict=True):
                tell(row, [future.result() for future in futures], given.jobs)
        finally:  # on Ctrl-C: what has not begun does not begin
            pool.shutdown(cancel_futures=True)


def tell(row: Row, found: Sequence[dict[str, Any]], jobs: int) -> None:
    """Print a row of the table, and what was seen of each seed that came out wrong."""
    right = sum(each["right"] for each in found)
    minutes = sum(each["seconds"] for each in found) / 60 / jobs
    print(f"{row.name:<28}  {row.guarantee or '-':<7}  {right:>3} of {len(found):<2}  {minutes:7.1f}", flush=True)
    for each in found:
        if each["why"]:
            print(f"    seed {each['seed']}: {each['why']}", flush=True)
