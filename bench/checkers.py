"""How fast the checkers are and what they hold in memory: ``python bench/checkers.py [ROW ...]``.

Every row runs in a process of its own, after the compiled code was loaded; ``seconds`` is the check alone, ``MB`` the
highest memory of the whole process with the history in it. ROW is the beginning of a row's name; without one all run.
Rows of one family at several sizes end with the exponent of growth: 1.0 is linear. With ``--histories FOLDER`` the
recorded histories there are judged instead, in this process, after each was read and judged once.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.certify.evidence.recorded import index
from harness.checkers.objects.linearizable import Linearizable
from harness.judging import judges, recorded
from harness.kernels.calls import Budget, call_columns
from harness.kernels.compiling import fast
from harness.kernels.linear.windowed import decide_windowed
from harness.model.columns import INFO_CODE, NEVER, OK_CODE, Columns
from harness.model.verdict import Valid, Verdict

CHECK_S = 120.0


@dataclass(frozen=True)
class Row:
    """``make`` builds the history, ``check`` judges it. ``reach_s`` and ``reach_mb`` are what to stay below."""

    name: str
    make: Callable[[], Any]
    check: Callable[[Any], Verdict]
    reach_s: float
    reach_mb: int = 1024
    family: str = ""


# --- registers -------------------------------------------------------------------------------------------


def register(
    operations: int,
    clients: int,
    values: int,
    seed: int = 1,
    unsure: int = 0,
    cas: bool = True,
    stale: bool = False,
    inside: bool = False,
) -> Columns:
    """What clients of a true register see, every operation acknowledged. ``values`` 0: each written value is new, and a
    compare-and-set expects what the register holds. ``unsure`` writes at the start stay pending for ever.
    An operation acts at its end, or, with ``inside``, at some moment before, so that no order of ends explains all.
    ``stale``: the last three calls, one after the other, write 1, write 2 and read 1."""
    planted = 3 if stale else 0
    rng = random.Random(seed)
    draw, pick = rng.random, rng.randrange
    f, value, result, process = (np.zeros(operations, np.int32) for _ in range(4))
    start, end = np.zeros(operations, np.int64), np.full(operations, NEVER)
    pairs: dict[tuple[int, int], int] = {}
    plain = values or operations
    position, state, done, began = 0, 0, 0, 0
    while began < unsure:
        f[began], value[began], process[began], start[began] = 1, 1 + began % plain, clients + began, position
        position, began = position + 1, began + 1
    fresh, open_by_seat, acted = unsure, [-1] * clients, [False] * clients
    is_open = 0
    while began < operations - planted or is_open:
        seat = pick(clients)
        row = open_by_seat[seat]
        if row < 0 and began < operations - planted:
            chance = draw()
            f[began] = 0 if chance < 0.5 else 1 if chance < 0.75 or not cas else 2
            fresh += 1
            value[began] = 0 if f[began] == 0 else fresh if not values else 1 + pick(values)
            process[began], start[began], open_by_seat[seat], acted[seat] = seat, position, began, False
            position, began, is_open = position + 1, began + 1, is_open + 1
        elif row >= 0:
            if row % 2 and draw() < 0.5:
                continue
            if not acted[seat]:
                acted[seat] = True
                if f[row] == 0:
                    result[row] = state
                else:
                    new = int(value[row])
                    if f[row] == 2:
                        value[row] = pairs.setdefault((state, new), len(pairs)) + plain + 1
                    state = new
                if inside:
                    continue
            end[row] = position
            position, done, is_open, open_by_seat[seat] = position + 1, done + 1, is_open - 1, -1
    for row, (verb, said, saw) in enumerate(((1, 1, 0), (1, 2, 0), (0, 0, 1))[:planted], began):
        f[row], value[row], result[row], start[row], end[row] = verb, said, saw, position, position + 1
        position += 2
    kinds = np.where(end == NEVER, INFO_CODE, OK_CODE).astype(np.int8)
    names: list[Any] = [None, *range(1, plain + 1), *((old or None, new) for old, new in pairs)]
    none = np.full(operations, -1, np.int64)
    return Columns(
        process, f.astype(np.int8), kinds, np.full(operations, -1, np.int32), value, result, start, end, none, none,
        ("read", "write", "cas"), (), tuple(names),
    )  # fmt: skip


def judge_register(columns: Columns) -> Verdict:
    """Linearizability of one key."""
    model = "cas-register" if bool(np.any(columns.f == 2)) else "register"
    return Linearizable(model, time_limit_s=CHECK_S).check_columns(columns)


def load_compiled() -> None:
    """Have the compiled searches ready, as any long check soon has."""
    decide_windowed(call_columns([]), fast, Budget())
    judge_register(register(2_000, 3, 5))


def lin(name: str, reach_s: float, reach_mb: int, *shape: Any, family: str = "", **more: Any) -> Row:
    """A row about one register."""
    return Row(name, lambda: register(*shape, **more), judge_register, reach_s, reach_mb, family)


def growth(family: str, sizes: Sequence[int], clients: int, values: int, **more: Any) -> list[Row]:
    """One shape at several sizes."""
    return [lin(f"{family} {n:,}", CHECK_S, 2048, n, clients, values, family=family, **more) for n in sizes]


REGISTERS = [
    lin("cas-register 10,000 ops, 5 values, c10", 0.1, 1024, 10_000, 10, 5),
    lin("cas-register 10,000 ops, 5 values, c50", 1.0, 1024, 10_000, 50, 5),
    lin("cas-register 10,000 ops, 5 values, c50, inside", 1.0, 1024, 10_000, 50, 5, inside=True),
    lin("cas-register 10,000 ops, 5 values, c10, stale", 0.1, 1024, 10_000, 10, 5, stale=True),
    lin("cas-register 10,000 ops, 5 values, c20, stale", 1.0, 1024, 10_000, 20, 5, stale=True),
    lin("cas-register 10,000 ops, 5 values, c50, stale", 1.0, 1024, 10_000, 50, 5, stale=True),
    lin("cas-register 30,000 ops, distinct values, c10", 0.3, 300, 30_000, 10, 0),
    lin("cas-register 1,000,000 ops, 5 values, c20", 10, 1024, 1_000_000, 20, 5),
    lin("cas-register 1,000,000 ops, 5 values, c50", 10, 1024, 1_000_000, 50, 5),
    lin("cas-register 1,000,000 ops, 5 values, c50, inside", 10, 1024, 1_000_000, 50, 5, inside=True),
    lin("cas-register 1,000,000 ops, distinct values, c20", 10, 1024, 1_000_000, 20, 0),
    lin("cas-register 1,000,000 ops, distinct values, c50", 10, 1024, 1_000_000, 50, 0),
    lin("register 10,000,000 ops, unique writes, c100", 15, 2048, 10_000_000, 100, 0, cas=False),
    lin("register 10,000 ops, 200 writes pending", 5, 1024, 10_000, 10, 5, unsure=200),
    lin("register 10,000 ops, 200 different writes pending", 5, 1024, 10_000, 10, 0, unsure=200),
    *growth("growth, 5 values, c20:", (10_000, 100_000, 1_000_000), 20, 5),
    *growth("growth, distinct values, c20:", (10_000, 100_000, 1_000_000), 20, 0),
    *growth("growth, unique writes, c100:", (100_000, 1_000_000, 10_000_000), 100, 0, cas=False),
]

ROWS: list[Row] = [*REGISTERS]
"""All rows; append a list of your own."""


# --- running ---------------------------------------------------------------------------------------------


def measure(row: Row) -> dict[str, Any]:
    """Check one row's history in this process."""
    load_compiled()
    history = row.make()
    gc.collect()
    began = time.perf_counter()
    verdict = row.check(history)
    seconds = time.perf_counter() - began
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return {"valid": str(verdict.valid), "seconds": seconds, "mb": megabytes, "cause": verdict.cause}


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """The slope of time over size on logarithmic scales, by least squares."""
    xs, ys = [math.log(size) for size in sizes], [math.log(second) for second in seconds]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / sum((x - mean_x) ** 2 for x in xs)


def of_folder(folder: Path) -> None:
    """Judge what the folder's ``expected.json`` names, and print seconds by kind of file."""
    kinds: dict[str, list[tuple[float, str, bool]]] = {}
    known = sorted(index(folder).items())
    histories = [
        recorded.source(str(folder / name), folder, judges.judge_of(facts["model"]).keyed) for name, facts in known
    ]
    for timed in (False, True):  # once to have everything loaded and read
        gc.collect()
        gc.freeze()
        for history, (name, facts) in zip(histories, known, strict=True):
            began = time.perf_counter()
            judged = recorded.check(history, facts["model"], recorded.Options(facts.get("initial")))
            seconds = time.perf_counter() - began
            right = judged.verdict.valid is (Valid.TRUE if facts["valid"] else Valid.FALSE)
            if timed:
                kinds.setdefault(name.split("/")[0], []).append((seconds, name, right))
    print(f"{'folder':<14} {'files':>6} {'right':>6} {'seconds':>8}   the slowest")
    for kind, files in kinds.items():
        slowest, name, _ = max(files)
        total, hits = sum(seconds for seconds, _, _ in files), sum(was_right for _, _, was_right in files)
        print(f"{kind:<14} {len(files):>6} {hits:>6} {total:>8.3f}   {name} {slowest:.3f} s")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--histories", type=Path, metavar="FOLDER")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.histories:
        of_folder(args.histories)
        return
    if args.one:
        print(json.dumps(measure(next(row for row in ROWS if row.name == args.one))))
        return
    print(f"{'history':<56} {'valid':<8} {'seconds':>8} {'reach':>7} {'MB':>6} {'reach':>6}")
    families: dict[str, list[tuple[int, float]]] = {}
    for row in ROWS:
        if args.rows and not any(row.name.startswith(name) for name in args.rows):
            continue
        said = subprocess.run([sys.executable, __file__, "--one", row.name], capture_output=True, text=True)
        if said.returncode:
            print(f"{row.name:<56} failed: {said.stderr.strip().splitlines()[-1]}")
            continue
        got = json.loads(said.stdout.splitlines()[-1])
        reached = "" if got["seconds"] <= row.reach_s and got["mb"] <= row.reach_mb else "  missed"
        print(
            f"{row.name:<56} {got['valid']:<8} {got['seconds']:>8.3f} {row.reach_s:>7.1f} {got['mb']:>6} "
            f"{row.reach_mb:>6}{reached}{'  ' + got['cause'] if got['cause'] else ''}",
            flush=True,
        )
        if row.family:
            size = int(row.name.removeprefix(row.family).replace(",", ""))
            families.setdefault(row.family, []).append((size, got["seconds"]))
    for family, points in families.items():
        if len(points) > 1:
            sizes, seconds = zip(*points, strict=True)
            print(f"{family + ' exponent':<56} {exponent(sizes, seconds):.2f}")


if __name__ == "__main__":
    main()
