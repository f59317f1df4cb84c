"""``python -m harness`` is ``rift``."""

from harness.cli import main

main()
