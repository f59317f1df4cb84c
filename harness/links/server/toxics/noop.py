"""noop: everything passes as it is. The shortest toxic, and the one to copy for a new one."""

from __future__ import annotations

from dataclasses import dataclass

from harness.links.server.toxic import Toxic


@dataclass
class Noop(Toxic):
    """Does nothing."""


TOXIC = Noop
