"""The labels that everything of ours on an engine carries, and by which alone it is found again."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Final

from harness.testbeds import procfs
from harness.testbeds.leases import runtime_folder

RUN: Final = "rift.run"
"""The run's id; nothing without this label is ever touched."""
ROLE: Final = "rift.role"
"""``node``, ``links``, ``wires``, ``reaper`` or ``helper``."""
NODE: Final = "rift.node"
REGION: Final = "rift.region"
HOST: Final = "rift.host"
"""Which machine, and which boot of it, runs the harness: only there can a lease tell whether the run lives."""
LEASES: Final = "rift.leases"
"""In which folder of that machine the run's lease lies."""
RECIPE: Final = "rift.recipe"
"""On images that were built here: the hash of what they were built from."""


def of_run(run_id: str, role: str = "") -> dict[str, str]:
    """The labels of one object of a run."""
    labels = {RUN: run_id, HOST: this_host(), LEASES: str(runtime_folder())}
    return labels | ({ROLE: role} if role else {})


def this_host() -> str:
    """This machine in words that no other machine uses."""
    try:
        machine = Path("/etc/machine-id").read_text().strip()
    except OSError:
        machine = ""
    return ":".join((platform.node(), machine or procfs.boot_id(), str(os.getuid())))
