"""What certification leaves out, and why: most of them judge the run and not what clients saw of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LEFT_OUT: Final[Mapping[str, str]] = {
    "Assumptions": "says whether the record itself is sound, which every oracle takes for granted",
    "Attested": "repeats what the faults themselves measured",
    "Availability": "counts answers; there is no slower way to count",
    "Died": "says which nodes ended, as the testbed saw it",
    "Errors": "counts what clients raised unexpectedly",
    "Guarantee": "compares what an orchestrator answered with its specification, a rule for each guarantee",
    "Recovery": "says which regions answered after the last fault was undone",
    "Stats": "counts operations, and says when they are too few",
}
"""By class in ``harness.checkers``. A rule of one step leaves nothing to be compared with a slower judge."""
