"""How exact a drill measures: ``python bench/drills.py [--outages 100] [--drills 5]``.

First by histories whose outage and loss are written down: clients of two regions try an append and a read every 20 ms,
service stops and comes back at random moments, and random acknowledged writes are gone at the end. Then by real drills:
a server is killed and started again, notes when it listens, and forgets its last acknowledged writes. The times below
are how much later than the truth a drill says it was, without the time of the answer in which the client saw it. Of a
real server also how far the truth lies outside of the bounds that the drill tells: a busy machine tries less often.
Reach: one sampling interval, 20 ms; not one write too many or too few.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import registry
from harness.certify.systems.outages import LATENCY_S, Script, played
from harness.checkers.failovers.rpo import Rpo
from harness.checkers.failovers.rto import Rto
from harness.model.history import History
from harness.model.op import INVOKE, OK, Op
from harness.model.plan import Drill
from harness.planning import plans
from harness.running import execute

GAP_S = 0.02
SERVER = Path(__file__).resolve().parent.parent / "tests" / "scripted_target.py"
FORGET = 7
Errors = dict[str, list[float]]


def scripted(random: Random) -> tuple[Errors, int, int]:
    """One history's errors in seconds, how many writes it loses, and by how many the count is wrong."""
    begin_s, lasts_s = random.uniform(2.0, 3.0), random.uniform(0.3, 5.0)
    history = played(Script(GAP_S, begin_s, 9.5, 10.0), lambda _, at_s: "refused" if 0 <= at_s < lasts_s else "")
    truth = {"first error": 0.0, "first success": lasts_s, "steady service": lasts_s}
    names = {"first error": "detected_s", "first success": "first_success_s", "steady service": "steady_s"}
    kinds = Rto().check(history).details["outages"][0]["regions"].values()
    errors = {
        name: [seen[names[name]] - at_s - LATENCY_S for kind in kinds for seen in kind.values()]
        for name, at_s in truth.items()
    }
    acked = [op.value for op in history.operations if op.f == "append" and op.type == OK]
    gone = set(random.sample(acked, random.randrange(40)))
    rows = Rpo().check(_ended(history, [value for value in acked if value not in gone])).details["lost_writes"]
    return errors, len(gone), len(gone ^ {row["value"] for row in rows})


def _ended(history: History, left: Sequence[int]) -> History:
    """The history with a last read in every region."""
    events, at_ns = list(history), history.end_ns + 1_000_000_000
    for process, region in enumerate(("us", "eu"), 1_000_000):
        common: dict[str, Any] = {"f": "entries", "process": process, "key": 0, "region": region}
        events += [
            Op(type=INVOKE, time_ns=at_ns, index=len(events), **common),
            Op(type=OK, value=list(left), time_ns=at_ns + 1_000_000, index=len(events) + 1, **common),
        ]
    return History(events)


def real(seed: int, folder: Path) -> tuple[Errors, int, int]:
    """The same of a drill with a server that notes the truth."""
    made: list[Any] = []
    find = registry.target

    def target(name: str, options: dict[str, str] | None = None) -> Any:
        made.append(find(name, options))
        return made[-1]

    registry.target = target
    try:
        run = execute.run(_plan(seed, folder), folder / "store", quiet=True)
    finally:
        registry.target = find
    truth = next(each for each in made if each.invoked_ns)
    ops = [op for op in run.history.operations if op.value in truth.invoked_ns]
    zero_ns = min(truth.invoked_ns[op.value] - op.start_ns for op in ops)
    listens_s = (
        int((truth.home / "listening").read_text().split()[1]) - zero_ns - run.history.faults[0].start_ns
    ) / 1e9
    details = {verdict.checker: verdict.details for verdict in run.verdicts}
    errors = [
        seen["first_success_s"] - listens_s - _answer_s(run.history, region, f)
        for region, kinds in details["rto"]["outages"][0]["regions"].items()
        for f, seen in kinds.items()
    ]
    acked = {(op.key, op.value) for op in run.history.operations if op.f == "append" and op.type == OK}
    gone = acked & {tuple(row) for row in json.loads((truth.home / "forgotten").read_text())}
    lost = {(row["key"], row["value"]) for row in details["rpo"]["lost_writes"]}
    outside = [
        max(seen["first_success_s"] - seen["resolution_s"] - listens_s, listens_s - seen["first_success_s"], 0.0)
        for kinds in details["rto"]["outages"][0]["regions"].values()
        for seen in kinds.values()
    ]
    return {"first success": errors, "... told bounds": outside}, len(gone), len(gone ^ lost)


def _answer_s(history: History, region: str, f: str) -> float:
    """How long an answer usually takes."""
    took = [op.end_ns - op.start_ns for op in history.operations if (op.region, op.f, op.type) == (region, f, OK)]
    return statistics.median(took) / 1e9


def _plan(seed: int, folder: Path) -> Any:
    solo = folder / "solo.yaml"
    solo.write_text("name: solo\nregions: [{id: eu}, {id: us, nodes: 0}]\nlinks: [{from: eu, to: us, rtt_ms: 2}]\n")
    return plans.plan(
        target=str(SERVER),
        target_options={"forget": str(FORGET)},
        topology_name=str(solo),
        workload="failover",
        faults="kill-region",
        seed=seed,
        drill=Drill(fault="kill-region", region="eu", at_s=3.0, hold_s=1.5, failback_after_s=0),
        numbers={"time_limit_s": 7, "rate_hz": 2 * 2 / GAP_S, "clients": 24, "op_timeout_s": 1},
    )


def table(title: str, rows: Sequence[tuple[Errors, int, int]]) -> None:
    """A line for each moment, and one for the writes."""
    for name in rows[0][0]:
        late_ms = sorted(1000 * each for errors, _, _ in rows for each in errors[name])
        worst = max(late_ms, key=abs)
        print(f"{title:<22}  {name:<16}  {len(late_ms):>6}  {statistics.median(late_ms):>8.1f} ms  {worst:>8.1f} ms")
    lost, wrong = sum(lost for _, lost, _ in rows), sum(wrong for _, _, wrong in rows)
    print(f"{title:<22}  {'lost writes':<16}  {lost:>6}  {'':>11}  {wrong:>4} wrong", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outages", type=int, default=100)
    parser.add_argument("--drills", type=int, default=5)
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}; an attempt of each kind in each region every {1000 * GAP_S:.0f} ms")
    print(f"{'truth':<22}  {'moment':<16}  {'number':>6}  {'late, median':>11}  {'worst':>11}")
    if given.outages:
        table("written down", [scripted(Random(seed)) for seed in range(given.outages)])
    if given.drills:
        with tempfile.TemporaryDirectory() as folder:
            table("a real server", [real(seed, Path(folder)) for seed in range(1, given.drills + 1)])


if __name__ == "__main__":
    main()
