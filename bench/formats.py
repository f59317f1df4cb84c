"""Reading recorded histories: how many operations a second become columns, and what the shortest check costs.

    python bench/formats.py [OPERATIONS]

Reach: Jepsen EDN at 200,000 operations a second or more; ten operations from command to verdict in at most 0.5 s.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from harness import formats, judging
from harness.model.history import History

CLIENTS = 10
Answer = Callable[[Random, int], tuple[str, str, str]]


def register(random: Random, number: int) -> tuple[str, str, str]:
    """A compare-and-set register with five values: operation, argument, answer."""
    value = str(random.randrange(5))
    pair = f"[{random.randrange(5)} {value}]"
    return [("read", "nil", value), ("write", value, value), ("cas", pair, pair)][random.randrange(3)]


def unique(random: Random, number: int) -> tuple[str, str, str]:
    """A register whose values are all different."""
    return ("write", str(number), str(number)) if number % 2 else ("read", "nil", str(number))


def transaction(random: Random, number: int) -> tuple[str, str, str]:
    """Appends to lists and reads of them, one to four at a time."""
    asked, told = [], []
    for step in range(random.randrange(1, 5)):
        key = number // 20 + random.randrange(5)
        if random.random() < 0.5:
            asked.append(f"[:append {key} {4 * number + step}]")
            told.append(asked[-1])
        else:
            asked.append(f"[:r {key} nil]")
            told.append(f"[:r {key} [{' '.join(str(4 * number - back) for back in range(random.randrange(8)))}]]")
    return "txn", f"[{' '.join(asked)}]", f"[{' '.join(told)}]"


def lines(operations: int, answer: Answer) -> Iterator[str]:
    """Jepsen EDN as Jepsen writes it, with ``CLIENTS`` operations open at any time."""
    random, time_ns = Random(7), 0
    open_by_process: dict[int, tuple[str, str, str]] = {}
    for event in range(2 * operations):  # each process invokes and completes in turn
        process = event % CLIENTS
        time_ns += random.randrange(100_000)
        if process in open_by_process:
            f, _, value = open_by_process.pop(process)
            type_ = "ok"
        else:
            f, value, _ = open_by_process[process] = answer(random, event)
            type_ = "invoke"
        head = f"{{:index {event}, :time {time_ns}, :type :{type_}, :process {process}, :f :{f}, :value "
        yield f"{head}{value}}}\n"


def timed(what: str, path: Path, read: Callable[[Path], object], operations: int) -> None:
    """Print a row: the best of three readings."""
    took_s = []
    for _ in range(3):
        began = time.perf_counter()
        read(path)
        took_s.append(time.perf_counter() - began)
    size_mb = path.stat().st_size / 1e6
    print(f"{what:<44}  {min(took_s):8.2f}  {operations / min(took_s):14,.0f}  {size_mb / min(took_s):7.0f}")


def cold(folder: Path) -> None:
    """Print what the shortest check costs, from command to verdict."""
    path = folder / "ten.edn"
    path.write_text("".join(lines(10, lambda _, number: ("write", str(number), str(number)))))
    command = [sys.executable, "-m", "harness", "check", str(path), "--model", "cas-register"]
    took_s = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took_s.append(time.perf_counter() - began)
    print(f"\nten operations, cold, from command to verdict: {min(took_s):.2f} s (median {sorted(took_s)[2]:.2f} s)")


def main() -> None:
    """Print the table."""
    operations = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    formats.every()
    print(f"{operations:,} operations; best of three")
    print(f"{'':<44}  {'seconds':>8}  {'operations/s':>14}  {'MB/s':>7}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what, answer in (("five values", register), ("unique values", unique), ("list-append", transaction)):
            path = folder / "history.edn"
            path.write_text("".join(lines(operations, answer)))
            timed(f"EDN, {what}, to columns", path, formats.read_columns, operations)
        history: History = formats.read(path)
        for to in ("jsonl", "arrow"):
            judging.WRITERS[to](history, folder / f"history.{to}")
            timed(f"{to}, list-append, to columns", folder / f"history.{to}", formats.read_columns, operations)
        timed("EDN, list-append, to objects", path, formats.read, operations)
        cold(folder)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main()
