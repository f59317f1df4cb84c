"""Tells nodes that run with libfaketime how far their clocks are off: ``clocks.py FOLDER NODE=SECONDS ...``.

Each node reads the file of its name in ``FOLDER`` whenever it looks at its clock, so that a file is never seen half
written. Uses nothing but Python itself.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def tell(folder: Path, offset_s: Mapping[str, float]) -> None:
    """Write every node's offset in seconds; takes effect at once. Raises OSError."""
    for node, seconds in offset_s.items():
        fresh = folder / f".{node}"
        fresh.write_text(f"{seconds:+.3f}\n")
        fresh.chmod(0o644)
        os.replace(fresh, folder / node)


if __name__ == "__main__":
    tell(Path(sys.argv[1]), {node: float(seconds) for node, seconds in (each.split("=") for each in sys.argv[2:])})
