"""How much memory this process holds, as the operating system counts it."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Final

_NOW: Final = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Resident memory now; where the system does not tell (there is no /proc), the most there ever was."""
    try:
        return int(_NOW.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak << 10
