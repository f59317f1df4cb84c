"""How often a bug planted into the reference regional store is found by the guarantee that it breaks, over many seeds.

    python bench/detect_region.py [--seeds 20] [--jobs 2] [--keep FILE] [NAME ...]

Every run is the suites' scenarios of that guarantee on real servers, up to the first violation; it counts when that
guarantee's verdict is false, not another's. ``good`` plays everything without any bug: there nothing may be violated.
Reach: each bug in at least 19 of 20 seeds, and no false alarm.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # this file is run as a script

from bench.planted import GOOD, ROOT, Row, table

SUITES: Final = ("suites/failover", "suites/replication", "suites/residency", "suites/routing")


def rows() -> list[Row]:
    """All bugs, and the good system."""
    bugs: dict[str, Any] = runpy.run_path(str(ROOT / "fixtures/servers/refregion/bugs.py"))["BUGS"]
    found = [Row(GOOD, SUITES)]
    for name, bug in bugs.items():
        number = int(bug.guarantee.removeprefix("MRA-"))
        found.append(Row(name, (*SUITES, "-k", f"mra_{number:02}"), bug.guarantee))
    return found


if __name__ == "__main__":
    table(str(__doc__), "refregion", rows)
