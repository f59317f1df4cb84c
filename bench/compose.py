"""How long composed regions take: ``python bench/compose.py``. Needs a Docker engine.

Reach: images that are here already <= 10 s; three regions of etcd ready and verified <= 20 s; down and clean <= 10 s;
the partition of a region, from the call to its attested effect, <= 0.5 s. Images from nothing (<= 6 min) are timed by
``rift images`` on an engine that has none.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import registry
from harness.contracts import Lab
from harness.model.attestation import effective
from harness.planning import plans
from harness.testbeds import opening

FAULTS = ("partition-region", "blackhole-region", "drop-region", "disconnect-region")


def row(what: str, reach: str, took_s: float) -> None:
    """Print one line of the table."""
    print(f"{what:<52} {reach:>8} {took_s:>9.2f} s", flush=True)


async def attested_s(lab: Lab, name: str) -> float:
    """From the call of a fault until probes have seen it on everything that it aims at."""
    fault = registry.fault(name)
    aim = fault.aims(lab.topology)[0]
    before = await fault.symptoms(lab, aim)
    began = time.monotonic()
    async with fault.apply(lab, aim):
        why = effective(before, await fault.symptoms(lab, aim))
        took_s = time.monotonic() - began
    if why:
        sys.exit(f"{name} did not bite: {why}")
    return took_s


async def main() -> None:
    """Print the table."""
    home = registry.home("compose")
    began = time.monotonic()
    opening.images(home, lambda line: print(line, file=sys.stderr), build=True)
    row("images, the second time", "10 s", time.monotonic() - began)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        testbed = opening.open_testbed(
            "compose", plans.topology("three-regions"), registry.target("etcd"), Path(folder),
            run_id=f"bench-{secrets.token_hex(3)}", seed=1, link_server=None, home=home, say=lambda line: None,
        )  # fmt: skip
        async with testbed as lab:
            row("three regions of etcd, ready and verified", "20 s", time.monotonic() - began)
            for name in FAULTS:
                row(f"{name}, from call to attested effect", "0.5 s", await attested_s(lab, name))
            began = time.monotonic()
        row("down and clean", "10 s", time.monotonic() - began)


if __name__ == "__main__":
    asyncio.run(main())
