"""Which testbed a plan means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.contracts import Target, Testbed
from harness.errors import MissingPower
from harness.model.topology import Topology
from harness.testbeds.local import LocalTestbed


def open_testbed(
    name: str,
    topology: Topology,
    target: Target,
    folder: Path,
    run_id: str,
    seed: int,
    link_server: str | None,
    home: Path,
    say: Callable[[str], None],
) -> Testbed:
    """The testbed called ``name`` (``local`` or ``compose``), not yet up. ``home`` is the folder ``compose``.

    Raises MissingPower when this installation or the target cannot do it.
    """
    if name == "local":
        return LocalTestbed(topology, target, folder, run_id, seed, link_server, say)
    try:
        # Here and not above: the local testbed needs neither Docker nor the library that speaks with it.
        from harness.testbeds.compose import ComposeTestbed
    except ImportError as error:
        raise MissingPower(
            f"--testbed compose: {error}; install it with pip install 'rift-harness[compose]'"
        ) from error
    return ComposeTestbed(topology, target, folder, run_id, seed, home, link_server, say)
