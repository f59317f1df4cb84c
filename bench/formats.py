"""Reading recorded histories: how many operations a second become columns, and what the shortest check costs.

    python bench/formats.py [--operations N] [ROW ...]

Every row runs in a process of its own, is the best of three readings, and goes by processor time (``CPU s``), which a
busy machine changes less; ``MB`` is the highest memory of the whole process. ROW is the beginning of a row's name.

Reach: Jepsen EDN at 200,000 operations a second or more; ten operations from command to verdict in at most 0.5 s.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import formats

CLIENTS = 10
REACH_PER_S, REACH_COLD_S = 200_000, 0.5
SMALL = 20_000
Answer = Callable[[Random, int], tuple[str, str, str]]


# --- what clients say: operation, argument, answer -------------------------------------------------------


def register(random: Random, number: int) -> tuple[str, str, str]:
    """A compare-and-set register with five values."""
    value = str(random.randrange(5))
    pair = f"[{random.randrange(5)} {value}]"
    return [("read", "nil", value), ("write", value, value), ("cas", pair, pair)][random.randrange(3)]


def unique(random: Random, number: int) -> tuple[str, str, str]:
    """A register whose values are all different."""
    return ("write", str(number), str(number)) if number % 2 else ("read", "nil", str(number))


def keyed(random: Random, number: int) -> tuple[str, str, str]:
    """Many registers: ``[key value]``."""
    f, asked, told = register(random, number)
    return f, f"[{number // 100} {asked}]", f"[{number // 100} {told}]"


def strings(random: Random, number: int) -> tuple[str, str, str]:
    """A register of texts."""
    return "write", f'"value {number}"', f'"value {number}"'


def list_append(random: Random, number: int) -> tuple[str, str, str]:
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


def rw_register(random: Random, number: int) -> tuple[str, str, str]:
    """A write and a read of registers."""
    key, other = random.randrange(9), random.randrange(9)
    return "txn", f"[[:w {key} {number}] [:r {other} nil]]", f"[[:w {key} {number}] [:r {other} {number - 1}]]"


def nested(random: Random, number: int) -> tuple[str, str, str]:
    """Lists inside lists, with keywords, texts and truth values."""
    value = f'[[:item {number} ["a" true [nil]]] [:item {number + 1} [[] [1 [2 [3]]]]]]'
    return "put", value, value


def sets(random: Random, number: int) -> tuple[str, str, str]:
    """Additions to a set, and reads of it."""
    if number % 20:
        return "add", str(number), str(number)
    return "read", "nil", f"#{{{' '.join(map(str, range(number % 50)))}}}"


def accounts(random: Random, number: int) -> tuple[str, str, str]:
    """Balances of a bank, each read another map."""
    return "read", "nil", f"{{{', '.join(f'{account} {random.randrange(100)}' for account in range(8))}}}"


SHAPES: Final[dict[str, Answer]] = {
    "five values": register,
    "unique values": unique,
    "keys and values": keyed,
    "texts": strings,
    "list-append": list_append,
    "rw-register": rw_register,
    "nested lists": nested,
    "sets": sets,
    "maps": accounts,
}


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


# --- measuring -------------------------------------------------------------------------------------------


def measure(path: Path, objects: bool) -> dict[str, float]:
    """Read ``path`` three times in this process; the first time loads the compiled code."""
    read: Callable[[Path], Any] = formats.read if objects else formats.read_columns
    took_s, cpu_s, peak_mb = [], [], 0.0
    for _ in range(3):
        began, began_cpu = time.perf_counter(), time.process_time()
        read(path)
        took_s.append(time.perf_counter() - began)
        cpu_s.append(time.process_time() - began_cpu)
        peak_mb = peak_mb or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": min(took_s), "cpu_s": min(cpu_s), "mb": peak_mb}


def row(what: str, path: Path, operations: int, objects: bool) -> None:
    """Print one row."""
    command = [sys.executable, __file__, "--one", str(path), *["--objects"] * objects]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    got = json.loads(said.stdout)
    rate = operations / got["cpu_s"]
    missed = "  missed" if what.startswith("EDN,") and rate < REACH_PER_S else ""
    size_mb = path.stat().st_size / 1e6
    print(
        f"{what:<40} {operations:>9,} {size_mb:>8.1f} {got['seconds']:>8.2f} {got['cpu_s']:>7.2f} {rate:>11,.0f}"
        f" {size_mb / got['cpu_s']:>6.0f} {got['mb']:>6,.0f}{missed}",
        flush=True,
    )


def written(folder: Path, name: str, operations: int, to: str = "edn") -> Path:
    """A file with so many operations of the shape ``name``."""
    path = folder / f"{name.replace(' ', '-')}-{operations}.edn"
    if not path.exists():
        with open(path, "w", encoding="utf-8") as out:
            out.writelines(lines(operations, SHAPES[name]))
    if to == "edn":
        return path
    converted = path.with_suffix(f".{to}")
    command = [sys.executable, "-m", "harness", "convert", str(path), str(converted)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return converted


def cold(folder: Path) -> None:
    """Print what the shortest check costs, from command to verdict."""
    path = folder / "ten.edn"
    path.write_text("".join(lines(10, lambda _, number: ("write", str(number), str(number)))))
    command = [sys.executable, "-m", "harness", "check", str(path), "--model", "cas-register"]
    took_s, cpu_s = [], []
    for _ in range(9):
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took_s.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    median_s, missed = statistics.median(took_s), "  missed" if statistics.median(took_s) > REACH_COLD_S else ""
    print(
        f"\nten operations, cold, from command to verdict: median {median_s:.2f} s, best {min(took_s):.2f} s; "
        f"CPU {statistics.median(cpu_s):.2f} s{missed}"
    )


def table(operations: int, wanted: list[str]) -> None:
    """Measure and print all rows that are wanted."""
    rows: list[tuple[str, str, int, str, bool]] = [(f"EDN, {name}", name, operations, "edn", False) for name in SHAPES]
    rows += [(f"small EDN, {name}", name, SMALL, "edn", False) for name in ("five values", "list-append")]
    rows += [(f"{to}, list-append", "list-append", operations, to, False) for to in ("jsonl", "arrow")]
    rows += [("EDN as objects, list-append", "list-append", operations, "edn", True)]
    with tempfile.TemporaryDirectory() as name:
        for what, shape, size, to, objects in rows:
            if not wanted or any(what.startswith(each) for each in wanted):
                path = written(Path(name), shape, size, to)
                row(what, path, size, objects)
        if not wanted or "cold" in wanted:
            cold(Path(name))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help='such as "EDN, list" or "cold"; without one all')
    parser.add_argument("--operations", type=int, default=200_000, metavar="N", help="in a large file [200000]")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--objects", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one, args.objects)))
        return
    print(f"load {os.getloadavg()[0]:.1f}; operations/s and MB/s are by processor time")
    print(f"{'':<40} {'ops':>9} {'file MB':>8} {'seconds':>8} {'CPU s':>7} {'ops/s':>11} {'MB/s':>6} {'MB':>6}")
    table(args.operations, args.rows)


if __name__ == "__main__":
    main()
