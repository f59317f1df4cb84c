"""How often a planted bug is found, and whether a healthy system is ever accused: many seeds, one table.

    python bench/detect.py [--seeds 20] [--jobs 2] [--time-limit 30] [--testbed compose] [NAME ...]

Every run is a real ``rift run`` on a three-region cluster. Reach: each planted bug in at least 18 of 20 seeds; no false
alarm on etcd and on the reference store without a bug. Names choose rows, e.g. ``etcd`` or ``stale-reads``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Row:
    """One line of the table: what is run, and what verdict is right."""

    name: str
    target: str
    faults: str
    right: str
    bug: str = ""


PARTITIONS = "partition-region,blackhole-region,partition-halves,partition-one-way"
CLOCKS = "clock-ahead,clock-behind,clock-jumping"
ROWS = (
    Row("etcd", "etcd", PARTITIONS, "true"),
    Row("refstore", "refstore", "default", "true"),
    Row("stale-reads", "refstore", "default", "false", "stale-reads"),
    Row("ack-before-replication", "refstore", "default", "false", "ack-before-replication"),
    Row("lost-tail", "refstore", "kill-all", "false", "lost-tail"),
    Row("split-brain", "refstore", "default", "false", "split-brain"),
    Row("clocks-off", "refstore", CLOCKS, "true"),
    Row("newest-clock-wins", "refstore", CLOCKS, "false", "newest-clock-wins"),
    Row("newest-clock-wins-unmoved", "refstore", "default", "true", "newest-clock-wins"),
)


def run(row: Row, seed: int, time_limit_s: float, testbed: str, store: Path) -> tuple[str, str]:
    """One run's verdict (``true``, ``false``, ``unknown`` or ``error``), and why when it is not the right one."""
    command = [sys.executable, "-m", "harness", "run", "--target", row.target, "--faults", row.faults, "--json"]
    command += ["--seed", str(seed), "--time-limit", str(time_limit_s), "--store", str(store), "--name", row.name]
    command += ["-o", f"bug={row.bug}"] if row.bug else []
    command += ["--testbed", testbed]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode > 2:
        return "error", done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"
    said = json.loads(done.stdout)
    valid = str(said["valid"]).lower()
    return valid, "" if valid == row.right else str(said.get("headline", ""))


def rows(names: Iterable[str]) -> list[Row]:
    """The rows called ``names``; all without names."""
    wanted = set(names)
    if unknown := wanted - {row.name for row in ROWS}:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(row.name for row in ROWS)}")
    return [row for row in ROWS if not wanted or row.name in wanted]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--testbed", default="local")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--time-limit", type=float, default=30.0)
    given = parser.parse_args()
    print(f"{'run':<24}  {'faults':<28}  {'right':>7}  {'got right':>9}  {'others':<24}  {'minutes':>7}")
    for row in rows(given.names):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as store, ThreadPoolExecutor(given.jobs) as pool:
            seeds = range(given.first_seed, given.first_seed + given.seeds)
            one = partial(run, row, time_limit_s=given.time_limit, testbed=given.testbed, store=Path(store))
            found = list(pool.map(one, seeds))
        counts = Counter(valid for valid, _ in found)
        others = ", ".join(f"{count} {valid}" for valid, count in sorted(counts.items()) if valid != row.right) or "-"
        faults = {PARTITIONS: "partitions", CLOCKS: "clocks"}.get(row.faults, row.faults)
        minutes = (time.monotonic() - began) / 60
        print(
            f"{row.name:<24}  {faults:<28}  {row.right:>7}  {counts[row.right]:>3} of {given.seeds:<3}  "
            f"{others:<24}  {minutes:7.1f}",
            flush=True,
        )
        for seed, (_, why) in zip(seeds, found, strict=True):
            if why:
                print(f"    seed {seed}: {why}", flush=True)


if __name__ == "__main__":
    main()
