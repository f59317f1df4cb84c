"""How often a bug planted into the reference orchestrator is found by the guarantee that it breaks, over many seeds.

    python bench/detect_rollout.py [--seeds 20] [--jobs 2] [--keep FILE] [NAME ...]

Every run is the rollout suites' scenarios of that guarantee on real servers, up to the first violation; it counts when
that guarantee's verdict is false, not another's. ``good`` plays the random scenarios without any bug: there nothing
may be violated. Reach: each bug in at least 19 of 20 seeds, and no false alarm. It takes one or two hours; with
``--keep`` results stand in a file, and a bench that was stopped goes on where it was.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # this file is run as a script

from bench.planted import GOOD, ROOT, Row, table


def rows() -> list[Row]:
    """All bugs, and the good system."""
    bugs: dict[str, Any] = runpy.run_path(str(ROOT / "fixtures/servers/refrollout/bugs.py"))["BUGS"]
    found = [Row(GOOD, ("suites/rollout", "-k", "random"))]
    for name, bug in bugs.items():
        number = int(bug.guarantee.removeprefix("NOM-"))
        found.append(Row(name, ("suites/rollout", "-k", f"nom_{number:02}"), bug.guarantee))
    return found


if __name__ == "__main__":
    table(str(__doc__), "refrollout", rows)
