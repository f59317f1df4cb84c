"""The packet filter of a network namespace of ours (see ``namespaces``), for the local testbed."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from harness.errors import TestbedError
from harness.testbeds.processes import Process, Supervisor, last_lines

_INSIDE: Final = Path(__file__).parent / "inside"
_START_LIMIT_S: Final = 10.0


async def serve(supervisor: Supervisor, name: str, words: Sequence[str], log: Path) -> Process:
    """Start ``inside/<name>.py serve``. Raises TestbedError with its last words when it does not start."""
    program = str(_INSIDE / f"{name}.py")
    process = await supervisor.start(name, (sys.executable, "-u", program, "serve", *words), log)
    deadline = time.monotonic() + _START_LIMIT_S
    while "serving" not in last_lines(log):
        if process.state() == "dead" or time.monotonic() > deadline:
            raise TestbedError(f"inside/{name}.py did not start ({process.exit or 'too slow'}):\n{last_lines(log)}")
        await asyncio.sleep(0.02)
    return process


async def tell(*words: str) -> str:
    """Run ``inside/packets.py`` and return what it prints. Raises TestbedError."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(_INSIDE / "packets.py"), *words,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said = (await process.communicate())[0].decode(errors="replace").strip()
    if process.returncode:
        raise TestbedError(f"the packet filter refused ({process.returncode}): {said}")
    return said
