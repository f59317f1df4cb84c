"""The stored history: bytes per operation on disk, and how fast a million operations load.

    python bench/journal.py [OPERATIONS]

Reach: at most 60 bytes per operation once compacted; 1,000,000 operations load in at most 2 s.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.journal import Journal, compact, operations_of, read_columns
from harness.model.op import INVOKE, OK, Op
from harness.model.seeds import Rng

CLIENTS = 12


def events(operations: int) -> Iterator[Op]:
    """A plausible history: registers, unique values, gaps and latencies that do not compress away."""
    rng, time_ns = Rng(7), 0
    for i in range(operations):
        bits, rng = rng.bits()
        time_ns += 30_000 + bits % 40_000
        common: dict[str, Any] = {"process": i % CLIENTS, "key": i // 200}
        common |= {"region": f"region-{i % 3}", "node": f"n{i % 3 + 1}"}
        f = "write" if i % 2 else "read"
        yield Op(type=INVOKE, f=f, value=i if i % 2 else None, time_ns=time_ns, index=2 * i, **common)
        yield Op(type=OK, f=f, value=i, time_ns=time_ns + bits % 400_000, index=2 * i + 1, **common)


def timed(what: str, work: Callable[[], object], size: Path, operations: int) -> None:
    """Run ``work`` and print a row: seconds, and the size of the file it wrote or read."""
    began = time.perf_counter()
    work()
    took_s = time.perf_counter() - began
    print(f"{what:<28}  {took_s:8.2f}  {operations / took_s:14,.0f}  {size.stat().st_size / operations:9.1f}")


def main() -> None:
    """Print the table."""
    operations = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    history = list(events(operations))
    with tempfile.TemporaryDirectory() as folder:
        lines, columns = Path(folder) / "history.jsonl", Path(folder) / "history.arrow"

        def write() -> None:
            journal = Journal(lines)
            for event in history:
                journal.append(event)
            journal.close()

        print(f"{operations:,} operations")
        print(f"{'':<28}  {'seconds':>8}  {'operations/s':>14}  {'bytes/op':>9}")
        timed("append to the journal", write, lines, operations)
        timed("compact", lambda: compact(history, columns), columns, operations)
        timed("load as a frame of operations", lambda: operations_of(read_columns(columns)), columns, operations)


if __name__ == "__main__":
    main()
