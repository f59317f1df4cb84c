"""Short-lived containers of our own: a program that has to run where a node's data or network is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.testbeds.containers import labels
from harness.testbeds.containers.engine import Engine


@dataclass(frozen=True)
class Helpers:
    """Runs programs of the tools image for one run."""

    engine: Engine
    run_id: str
    image: str

    async def run(self, argv: Sequence[str], **options: Any) -> str:
        """Run ``argv`` in a fresh container and return its output. ``options`` are the SDK's. Raises TestbedError when
        it fails."""
        options = {"network_mode": "none", "labels": labels.of_run(self.run_id, "helper"), **options}
        run = self.engine.client.containers.run
        said: bytes = await self.engine.run(run, self.image, list(argv), remove=True, **options)
        return said.decode(errors="replace")
