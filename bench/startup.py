"""How long a three-region etcd takes until it is up and its links are verified; and how fast ``rift --help`` is.

    python bench/startup.py [TIMES]

Reach: at most 8 s until up and verified.
"""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import registry
from harness.planning import plans
from harness.testbeds.local import LocalTestbed


async def up(target: str) -> tuple[float, float]:
    """Seconds until up and verified, and until everything is gone again."""
    with tempfile.TemporaryDirectory() as folder:
        testbed = LocalTestbed(
            plans.topology("three-regions"), registry.target(target), Path(folder), secrets.token_hex(4), seed=7
        )
        began = time.perf_counter()
        async with testbed:
            up_s = time.perf_counter() - began
            began = time.perf_counter()
        return up_s, time.perf_counter() - began


def main() -> None:
    """Print the table."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(f"{'':<36}  {'best s':>7}  {'worst s':>7}")
    for target in ("etcd", "refstore"):
        found = [asyncio.run(up(target)) for _ in range(times)]
        for i, what in enumerate(("up and verified", "down and clean")):
            seconds = sorted(each[i] for each in found)
            print(f"{f'three-region {target}, {what}':<36}  {seconds[0]:7.2f}  {seconds[-1]:7.2f}")
    helped = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "harness", "--help"], stdout=subprocess.DEVNULL, check=True)
        helped.append(time.perf_counter() - began)
    print(f"{'rift --help':<36}  {min(helped):7.2f}  {max(helped):7.2f}")


if __name__ == "__main__":
    main()
