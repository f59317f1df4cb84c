"""``rift heal``: everything that dead runs of this user left on this machine and on its Docker engine."""

from __future__ import annotations

import asyncio
import sys

from harness.errors import TestbedError
from harness.testbeds import leftovers


async def heal() -> list[str]:
    """Remove what dead runs left, and return it in words. Tries everything; then raises TestbedError."""
    # Containers first: a dead run's lease, which the other half removes, says whose they are.
    problems: list[str] = []
    healed = await asyncio.to_thread(_heal_engine, problems)
    found = leftovers.find()
    try:
        await leftovers.remove(found)
    except TestbedError as error:
        problems.append(str(error))
    if problems:
        raise TestbedError("; ".join(problems))
    return [*healed, *map(str, found)]


def _heal_engine(problems: list[str]) -> list[str]:
    """Containers, networks and volumes. Where there is no engine, or no library for it, there is nothing to heal."""
    try:
        from harness.testbeds.containers import sweeping
        from harness.testbeds.containers.engine import Engine

        engine = Engine.open()
    except (ImportError, TestbedError) as error:
        print(f"rift: containers were not looked at: {error}", file=sys.stderr)
        return []
    healed = []
    try:
        for left in sweeping.leftovers(engine):
            try:
                sweeping.remove(engine, left.run_id)
                healed.append(str(left))
            except TestbedError as error:
                problems.append(str(error))
    finally:
        engine.close()
    return healed
