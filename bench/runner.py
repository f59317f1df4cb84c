"""Generator and runner with a client that does nothing: operations per second, and how late operations are sent.

    python bench/runner.py

Reach: 20,000 operations/s on one core; scheduler lag p99 below 5 ms at 2,000 operations/s.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from harness import registry
from harness.contracts import Shape
from harness.generators import clients, stagger, time_limit
from harness.journal import Journal
from harness.model.clock import MonotonicClock
from harness.model.op import Op
from harness.model.seeds import Rng
from harness.runner import Runner, lag_ms

SECONDS = 5.0
CLIENTS = 12


class Nothing:
    """A client that answers at once."""

    async def invoke(self, op: Op) -> Any:
        return op.value

    async def close(self) -> None:
        pass


async def connect(thread: int) -> Nothing:
    """Nothing to connect to."""
    return Nothing()


async def measure(rate_hz: float, seconds: float = SECONDS) -> tuple[float, dict[str, float]]:
    """Operations per second and the lag, at ``rate_hz`` (0: as fast as possible)."""
    with tempfile.TemporaryDirectory() as folder:
        journal, clock = Journal(Path(folder) / "history.jsonl"), MonotonicClock()
        places = [(f"region-{i % 3}", f"n{i % 3 + 1}") for i in range(CLIENTS)]
        runner = Runner(journal=journal, clock=clock, connect=connect, places=places, op_timeout_s=2.0)
        shape = Shape(CLIENTS, rate_hz, seconds, ("region-0", "region-1", "region-2"))
        work = registry.workload("register").generator(Rng(7), shape)
        work = stagger(Rng(8), 1 / rate_hz, work) if rate_hz else work
        began = time.perf_counter()
        await runner.run(clients(time_limit(seconds, work)))
        took_s = time.perf_counter() - began
        journal.close()
    return sum(runner.counts.values()) / took_s, lag_ms(runner.lag_ns)


def main() -> None:
    """Print the table."""
    print(f"{'rate asked for':>16}  {'operations/s':>12}  {'lag p50 ms':>10}  {'lag p99 ms':>10}  {'lag max ms':>10}")
    for rate_hz in (0, 2_000, 10_000):
        done_hz, lag = uvloop.run(measure(rate_hz))
        asked = f"{rate_hz:,}/s" if rate_hz else "unlimited"
        late = [f"{lag[name]:10.2f}" if lag else f"{'-':>10}" for name in ("p50", "p99", "max")]
        print(f"{asked:>16}  {done_hz:12,.0f}  {'  '.join(late)}")


if __name__ == "__main__":
    main()
