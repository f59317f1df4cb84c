"""How fast transactions are judged, and in how much memory.

    python -m bench.transactions [NAME ...] [--repeat 2]

Histories are made here, of a store that is strict-serializable: each transaction takes effect at one moment between its
beginning and its end, three in a hundred fail and two end without an answer. The check alone is timed; each row runs in
a process of its own, whose largest size is printed (it includes the history and the libraries). The exponent tells how
the time grows from a tenth of the length. Reach: list-append, 1,000,000 transactions: 5 s and 1 GiB; rw-register,
100,000: 0.4 s, with linearizable keys 1 s.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.checkers.transactions.isolation import Transactions
from harness.kernels.transactions.columns import READ, UNKNOWN, WRITE, MicroOps
from harness.model.columns import FAIL_CODE, INFO_CODE, NEVER, OK_CODE, Ints, Longs

SLOTS, PER_KEY = 10, 32
"""So many keys are in use at a time, and so often each is written before the next one takes its place."""


@dataclass(frozen=True)
class Row:
    """One line of the table. ``reach_s`` is the time it should take."""

    name: str
    kind: str
    transactions: int
    clients: int
    reach_s: float
    linearizable_keys: bool = False


ROWS = (
    Row("append-c10", "list-append", 1_000_000, 10, 5.0),
    Row("append-c50", "list-append", 1_000_000, 50, 5.0),
    Row("register-c10", "rw-register", 100_000, 10, 0.4),
    Row("register-c50", "rw-register", 100_000, 50, 0.4),
    Row("register-linearizable-c10", "rw-register", 100_000, 10, 1.0, True),
    Row("register-linearizable-c50", "rw-register", 100_000, 50, 1.0, True),
)


def history(kind: str, transactions: int, clients: int, seed: int = 7) -> MicroOps:
    """A strict-serializable history; transaction ``i`` takes effect at moment ``i``."""
    rng = np.random.default_rng(seed)
    process, start, end = _times(rng, transactions, clients)
    type_ = rng.choice(np.array([OK_CODE, FAIL_CODE, INFO_CODE], np.int8), transactions, p=[0.95, 0.03, 0.02])
    # A client that got no answer goes on under another name, as clients of the harness do.
    process = process + clients * _crashes_before(process, type_ == INFO_CODE)
    end[type_ == INFO_CODE] = NEVER
    txn = np.repeat(np.arange(transactions, dtype=np.int32), rng.integers(1, 5, transactions))
    key, kind_of, before = _work(rng, type_[txn] != FAIL_CODE)
    by_start = np.argsort(start)
    new = np.empty(transactions, np.int32)
    new[by_start] = np.arange(transactions, dtype=np.int32)
    order = np.argsort(new[txn], kind="stable")
    txn, key, kind_of, before = new[txn][order], key[order], kind_of[order], before[order]
    type_, process, start, end = type_[by_start], process[by_start].astype(np.int32), start[by_start], end[by_start]
    silent = (kind_of == READ) & (type_[txn] != OK_CODE)
    common: dict[str, Any] = {
        "process": process,
        "type": type_,
        "start": start,
        "end": end,
        "txn": txn,
        "kind": kind_of,
        "key": key,
    }
    if kind == "rw-register":
        value = before + (kind_of == WRITE)
        # Failed writes get numbers that nobody else has.
        failed = (kind_of == WRITE) & (type_[txn] == FAIL_CODE)
        value[failed] = PER_KEY + 1 + np.arange(int(failed.sum()), dtype=np.int32)
        value[silent] = UNKNOWN
        return MicroOps(**common, value=value)
    return _lists(common, before, silent)


def _times(rng: np.random.Generator, transactions: int, clients: int) -> tuple[Ints, Longs, Longs]:
    """Clients, beginnings and ends: each client's transactions follow each other and lie around their moments."""
    process = rng.integers(0, clients, transactions).astype(np.int32)
    order = np.argsort(process, kind="stable")
    same = process[order][1:] == process[order][:-1]
    moment = order.astype(np.float64)
    cut = moment[:-1] + (moment[1:] - moment[:-1]) * rng.uniform(0.1, 0.9, transactions - 1)
    begin, finish = np.empty(transactions), np.empty(transactions)
    begin[order] = np.concatenate(([moment[0] - 0.5], np.where(same, cut + 1e-4, moment[1:] - rng.uniform(0.1, 5))))
    finish[order] = np.concatenate((np.where(same, cut - 1e-4, moment[:-1] + rng.uniform(0.1, 5)), [moment[-1] + 0.5]))
    rank = np.empty(2 * transactions, np.int64)
    rank[np.argsort(np.concatenate((begin, finish)), kind="stable")] = np.arange(2 * transactions)
    return process, rank[:transactions].copy(), rank[transactions:].copy()


def _crashes_before(process: Ints, crashed: Ints) -> Ints:
    order = np.argsort(process, kind="stable")
    total = np.cumsum(crashed[order]) - crashed[order]
    first = np.searchsorted(process[order], process[order])
    out = np.empty(len(process), np.int32)
    out[order] = total - total[first]
    return out


def _work(rng: np.random.Generator, happens: Ints) -> tuple[Ints, Ints, Ints]:
    """For micro-operations in the order of effect: key, kind, and how many writes its key has seen before."""
    count = len(happens)
    slot = rng.integers(0, SLOTS, count).astype(np.int32)
    kind = rng.choice(np.array([READ, WRITE], np.int8), count)
    order = np.argsort(slot, kind="stable")
    writes = ((kind == WRITE) & happens)[order]
    total = np.cumsum(writes) - writes
    first = np.searchsorted(slot[order], slot[order])
    before = np.empty(count, np.int64)
    before[order] = total - total[first]
    return (slot + SLOTS * (before // PER_KEY)).astype(np.int32), kind, (before % PER_KEY).astype(np.int32)


def _lists(common: dict[str, Any], before: Ints, silent: Ints) -> MicroOps:
    """Reads return what was appended before; the i-th element of key k is ``1 + (5 i + k) % 32``."""
    kind, key, type_, txn = common["kind"], common["key"], common["type"], common["txn"]
    is_read = (kind == READ) & ~silent
    length = np.where(is_read, before, 0).astype(np.int32)
    value = (1 + (5 * before + key) % PER_KEY).astype(np.int32)
    failed = (kind == WRITE) & (type_[txn] == FAIL_CODE)
    value[failed] += PER_KEY
    begins = np.cumsum(length) - length
    position = np.arange(int(length.sum()), dtype=np.int32) - np.repeat(begins.astype(np.int32), length)
    elements = (1 + (5 * position + np.repeat(key, length)) % PER_KEY).astype(np.int32)
    value[is_read] = begins[is_read]
    value[silent] = UNKNOWN
    return MicroOps(**common, value=value, length=length, elements=elements)


def measure(row: Row, transactions: int, repeat: int) -> dict[str, float | str]:
    """The best of ``repeat`` checks of one history, with the process's size before and at its largest, in MiB."""
    ops = history(row.kind, transactions, row.clients)
    before = _resident_mib()
    checker = Transactions(kind=row.kind, linearizable_keys=row.linearizable_keys)
    verdicts = [checker.check_micro_ops(ops) for _ in range(repeat)]
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": min(verdict.seconds for verdict in verdicts),
        "valid": verdicts[0].valid.value,
        "found": " ".join(verdicts[0].details.get("anomalies", ())),
        "micro_ops": len(ops.txn),
        "history_mib": before,
        "largest_mib": largest,
    }


def _resident_mib() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def apart(row: Row, transactions: int, repeat: int) -> dict[str, float]:
    """:func:`measure` in a process of its own."""
    code = f"from bench.transactions import *; print(json.dumps(measure({row!r}, {transactions}, {repeat})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--repeat", type=int, default=2)
    given = parser.parse_args()
    print(
        f"{'history':<28} {'transactions':>12} {'seconds':>8} {'reach':>6} {'exponent':>8} "
        f"{'MiB before':>10} {'largest':>8}  verdict"
    )
    for row in ROWS:
        if given.names and row.name not in given.names:
            continue
        small, large = (apart(row, size, given.repeat) for size in (row.transactions // 10, row.transactions))
        exponent = math.log10(large["seconds"] / small["seconds"])
        print(
            f"{row.name:<28} {row.transactions:>12,} {large['seconds']:>8.2f} {row.reach_s:>6.1f} {exponent:>8.2f} "
            f"{large['history_mib']:>10.0f} {large['largest_mib']:>8.0f}  {large['valid']} {large['found']}",
            flush=True,
        )


if __name__ == "__main__":
    main()
