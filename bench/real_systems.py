"""What real systems lose, and for how long they are down, when the leader's region fails: for docs/failover.md.

    python bench/real_systems.py [--seeds 3] [--jobs 1] [--keep FILE] [--runs FOLDER] [--target postgres ...]

Every line is drills (``rift drill --target ... --seed``) with seeds from 1 on, on this machine; a drill takes 35 to
100 s, most of which is waiting, so that several can go on at once (``--jobs``): more load, later answers. Times are in
seconds, of writes in the slowest region that the fault did not itself cut off; where drills differ, the least and the
most. The column of promises counts how drills ended where the system claims something. Reach: none broken.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # this file is run as a script

from bench.keeping import kept

ROOT: Final = Path(__file__).resolve().parent.parent


class Row(NamedTuple):
    """A target as it is asked for, a fault, and how long it lasts: longer than the system waits before it acts. What
    takes longer than others to serve again is given its time."""

    target: str
    options: tuple[str, ...]
    fault: str
    hold_s: int = 8
    recovery_s: int = 0

    @property
    def words(self) -> list[str]:
        chosen = [word for option in self.options for word in ("-o", option)]
        patience = ["--recovery-limit", str(self.recovery_s)] if self.recovery_s else []
        return ["--target", self.target, *chosen, "--fault", self.fault, "--hold", str(self.hold_s), *patience]


ENDS: Final = {True: "kept", False: "broken", "unknown": "unknown"}
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
    Row("nats", (), POLITE, recovery_s=120),
    Row("nats", (), CRASH),
    Row("etcd", (), POLITE),
    Row("etcd", (), CRASH),
)


def drilled(row: Row, seed: int, runs: Path | None) -> dict[str, Any]:
    """What ``rift drill --json`` tells of one drill. ``runs`` keeps the run of one that does not count as held."""
    with tempfile.TemporaryDirectory() as store:
        command = [sys.executable, "-m", "harness", "drill", *row.words, "--seed", str(seed), "--json"]
        done = subprocess.run([*command, "--store", store], cwd=ROOT, capture_output=True, text=True, check=False)
        if runs is not None and done.returncode:
            shutil.copytree(store, runs / f"{'-'.join([row.target, *row.options, row.fault])}-{seed}", symlinks=True)
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        sys.exit(f"{' '.join(command[2:])}: exit code {done.returncode}: {done.stderr[-2000:]}")
    claims = any(each is not None and each is not False for each in told["objectives"].values())  # 0 s is a claim
    return {"words": row.words, "seed": seed, "claims": claims, **told["drills"][0]}


def result(row: Row, seed: int, file: Path | None, runs: Path | None) -> dict[str, Any]:
    """The same from ``file`` when it is there."""
    return kept(
        file,
        lambda told: (told["words"], told["seed"]) == (row.words, seed),
        lambda: drilled(row, seed, runs),
    )


def line(row: Row, drills: Sequence[dict[str, Any]]) -> str:
    """One line of the table."""
    measured = [drill for drill in drills if not drill["problem"]]
    slowest = [(drill["rto"].get("append") or {}).get("slowest") or {} for drill in measured]
    lost = f"{_range([drill['lost'] for drill in measured])} of {_range([drill['acknowledged'] for drill in measured])}"
    apart = [drill["split_brain_s"] for drill in measured]
    unknown = max((drill["divided"] or 0 for drill in measured), default=0)
    cells = [
        " ".join([f"`{row.target}`", *(f"`{option}`" for option in row.options)]),
        f"`{row.fault}`, {row.hold_s} s",
        _promises(drills),
        lost + (f", up to {unknown:,} unknown" if unknown else ""),
        _range(apart, 1) if any(apart) else "none",
        _range([seen.get("detected_s") for seen in slowest], 2),
        _range([seen.get("steady_s") for seen in slowest], 1),
    ]
    return f"| {' | '.join(cells)} |"


def _promises(drills: Sequence[dict[str, Any]]) -> str:
    """How drills ended: what was claimed was kept, was broken, or nobody can say; a drill that failed says nothing."""
    if not any(drill["claims"] for drill in drills):
        return f"none ({len(drills)} drills)"
    ends = Counter("failed" if drill["problem"] else ENDS[drill["valid"]] for drill in drills)
    return ", ".join(f"{end} {ends[end]}" for end in (*ENDS.values(), "failed") if ends[end])


def _range(values: Iterable[float | None], digits: int = 0) -> str:
    known = [f"{value:,.{digits}f}" for value in sorted(value for value in values if value is not None)]
    if not known:
        return "-"
    return known[0] if known[0] == known[-1] else f"{known[0]} to {known[-1]}"


def main() -> None:
    """The command line, and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="drills at once")
    parser.add_argument("--keep", type=Path, help="a file for results; those that are in it are not measured again")
    parser.add_argument("--runs", type=Path, help="a folder for the runs of drills that did not hold")
    parser.add_argument("--target", action="append", choices=sorted({row.target for row in ROWS}))
    given = parser.parse_args()
    print("| target | fault of the leader's region | promises | acknowledged writes lost ", end="")
    print("| two primaries at once | first error | steady service |\n| --- | --- | --- | --- | --- | --- | --- |")
    rows = [row for row in ROWS if not given.target or row.target in given.target]
    seeds = range(1, given.seeds + 1)
    with ThreadPoolExecutor(given.jobs) as pool:
        # Seed by seed, so that whoever stops early has as many drills of every row.
        running = [[pool.submit(result, row, seed, given.keep, given.runs) for row in rows] for seed in seeds]
        try:
            for row, futures in zip(rows, zip(*running, strict=True), strict=True):
                print(line(row, [future.result() for future in futures]), flush=True)
        finally:  # on Ctrl-C: what has not begun does not begin
            pool.shutdown(cancel_futures=True)


if __name__ == "__main__":
    main()
