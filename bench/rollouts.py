"""How fast rollouts are judged: a fault-free one over four real regions, and an event log of a million lines.

    python bench/rollouts.py [--events 1000000]

Reach: a four-region rollout played and judged in 3 s (on a federation that is up), a million events judged in 3 s.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import msgspec

from harness.checkers.rollouts import waves
from harness.formats import _wave_log as wave_log
from harness.planning import plans
from harness.running.playing import Playing
from harness.scenarios import Stage
from harness.workloads._rollouts import Play

TIMES = 3
PLAN = """
waves: [[r0, r1], [r2, r3], [r4, r5], [r6, r7], [r8, r9]]
bake: 1m
max_parallel: 2
max_version_skew: 1000000
halt_on_alarm: true
on_failure: halt
in_order: true
rollback: {to: last-good, within: 5m}
deadline: 1h
clock_skew: 1s
"""


def write_log(path: Path, events: int) -> None:
    """Good rollouts of fifty services over ten regions in five waves, with an alarm now and then."""
    lines: list[bytes] = []
    at, version = 0.0, 0
    while len(lines) < events:
        version += 1
        subject = {"version": f"v{version:06}", "service": f"s{version % 50}"}
        if version % 100 == 0:
            lines += [_line(at, "alarm", service="other"), _line(at + 1, "alarm-cleared", service="other")]
        for wave in range(5):
            pair = (f"r{2 * wave}", f"r{2 * wave + 1}")
            lines += [_line(at + i, "started", region=region, **subject) for i, region in enumerate(pair)]
            lines += [_line(at + 5 + i, "succeeded", region=region, **subject) for i, region in enumerate(pair)]
            at += 70
    path.write_bytes(b"\n".join(lines))


def _line(at: float, event: str, **more: str) -> bytes:
    return msgspec.json.encode({"time": at, "event": event, **more})


def judge_log(folder: Path, events: int) -> None:
    """Print how long reading and judging a log takes; the best of some tries, in CPU seconds."""
    (folder / "plan.yaml").write_text(PLAN)
    write_log(folder / "events.jsonl", events)
    asked = wave_log.load_plan(folder / "plan.yaml")
    reads, checks = [], []
    for _ in range(TIMES):
        began = time.process_time()
        log = wave_log.load_log(folder / "events.jsonl", asked)
        reads.append(time.process_time() - began)
        began = time.process_time()
        verdict = waves.check(log, asked.plan)
        checks.append(time.process_time() - began)
    took = f"judged in {min(checks):.2f} s, read in {min(reads):.2f} s (CPU)"
    print(f"{len(log):,} events: {verdict.valid.value}, {took}")


def judge_rollout(folder: Path) -> None:
    """Print how long a fault-free rollout over four regions takes, played and judged."""

    async def scenario(stage: Stage) -> None:
        play = Play(stage, "bench")
        await play.register(play.job(max_parallel=1))
        await play.expect("NOM-8", "it completes", True, await play.succeeds(0))
        await play.clean()

    plan = plans.plan(
        target="refrollout", target_options={}, topology_name="four-regions", profile=None, testbed="local",
        workload="rollout", faults="none", seed=1, name="bench", said={},
    )  # fmt: skip
    playing, took = Playing(folder), []
    try:
        for _ in range(TIMES + 1):  # the first one starts the federation
            began = time.perf_counter()
            run = playing.play(plan, scenario)
            took.append(time.perf_counter() - began)
    finally:
        playing.close()
    rounds = ", ".join(f"{seconds:.2f}" for seconds in took[1:])
    first = f"with the federation's start {took[0]:.1f} s"
    print(f"four regions, fault-free: {run.valid.value}, played and judged in {rounds} s; {first}")


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        judge_log(Path(folder), given.events)
        judge_rollout(Path(folder))


if __name__ == "__main__":
    main()
