"""What real systems lose, and for how long they are down, when the leader's region fails: for docs/failover.md.

    python bench/real_systems.py [--seeds 3] [--keep FILE] [--target postgres ...]

Every line is drills (``rift drill --target ... --repeat``) with seeds from 1 on, on this machine; a drill takes 35 to
100 s. Times are in seconds, of writes in the slowest region that the fault did not itself cut off; where drills differ,
the least and the most.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # this file is run as a script

from bench.keeping import kept

ROOT: Final = Path(__file__).resolve().parent.parent


class Row(NamedTuple):
    """A target as it is asked for, a fault, and how long it lasts: longer than the system waits before it acts."""

    target: str
    options: tuple[str, ...]
    fault: str
    hold_s: int = 8

    @property
    def words(self) -> list[str]:
        chosen = [word for option in self.options for word in ("-o", option)]
        return ["--target", self.target, *chosen, "--fault", self.fault, "--hold", str(self.hold_s)]


POLITE, SILENT, CRASH = "partition-region", "blackhole-region", "kill-region"
ROWS: Final = (
    Row("postgres", ("mode=async",), POLITE),
    Row("postgres", ("mode=async",), SILENT),
    Row("postgres", ("mode=async",), CRASH),
    Row("postgres", ("mode=remote_write",), POLITE),
    Row("postgres", ("mode=remote_apply",), POLITE),
    Row("postgres", ("mode=quorum",), POLITE),
    Row("postgres", ("mode=quorum",), SILENT),
    Row("postgres", ("mode=quorum",), CRASH),
    Row("patroni", ("mode=async",), POLITE, 35),
    Row("patroni", ("mode=sync",), POLITE, 35),
    Row("redis", (), POLITE, 14),
    Row("redis", ("wait=1",), POLITE, 14),
    Row("redis", ("min_replicas=1",), POLITE, 14),
    Row("redis", (), CRASH, 14),
    Row("nats", (), POLITE),
    Row("nats", (), CRASH),
    Row("etcd", (), POLITE),
    Row("etcd", (), CRASH),
)


def drilled(row: Row, seeds: int) -> dict[str, Any]:
    """What ``rift drill --json`` tells of one line."""
    with tempfile.TemporaryDirectory() as store:
        command = [sys.executable, "-m", "harness", "drill", *row.words, "--repeat", str(seeds), "--seed", "1"]
        done = subprocess.run(
            [*command, "--json", "--store", store], cwd=ROOT, capture_output=True, text=True, check=False
        )
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        sys.exit(f"{' '.join(row.words)}: exit code {done.returncode}: {done.stderr[-2000:]}")
    return told


def result(row: Row, seeds: int, file: Path | None) -> dict[str, Any]:
    """The same from ``file`` when it is there with so many drills."""

    def is_it(told: dict[str, Any]) -> bool:
        return bool(told["words"] == row.words and len(told["drills"]) >= seeds)

    return kept(file, is_it, lambda: drilled(row, seeds) | {"words": row.words})


def line(row: Row, drills: Iterable[dict[str, Any]]) -> str:
    """One line of the table."""
    measured = [drill for drill in drills if not drill["problem"]]
    slowest = [(drill["rto"].get("append") or {}).get("slowest") or {} for drill in measured]
    lost = f"{_range([drill['lost'] for drill in measured])} of {_range([drill['acknowledged'] for drill in measured])}"
    unknown = max((drill["divided"] or 0 for drill in measured), default=0)
    cells = [
        " ".join([f"`{row.target}`", *(f"`{option}`" for option in row.options)]),
        f"`{row.fault}`, {row.hold_s} s",
        str(len(measured)),
        lost + (f", up to {unknown:,} unknown" if unknown else ""),
        _range([drill["split_brain_s"] for drill in measured], 1),
        _range([seen.get("detected_s") for seen in slowest], 2),
        _range([seen.get("steady_s") for seen in slowest], 1),
    ]
    return f"| {' | '.join(cells)} |"


def _range(values: Iterable[float | None], digits: int = 0) -> str:
    known = [f"{value:,.{digits}f}" for value in sorted(value for value in values if value is not None)]
    if not known:
        return "-"
    return known[0] if known[0] == known[-1] else f"{known[0]} to {known[-1]}"


def main() -> None:
    """The command line, and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="a file for results; those that are in it are not measured again")
    parser.add_argument("--target", action="append", choices=sorted({row.target for row in ROWS}))
    given = parser.parse_args()
    print(
        "| target | fault of the leader's region | drills | acknowledged writes lost | two primaries at once | ", end=""
    )
    print("first error | steady service |\n| --- | --- | --- | --- | --- | --- | --- |")
    for row in ROWS:
        if not given.target or row.target in given.target:
            print(line(row, result(row, given.seeds, given.keep)["drills"]), flush=True)


if __name__ == "__main__":
    main()
