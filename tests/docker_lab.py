"""Composed labs for tests, and what they must never leave behind. Skips loudly where no engine can be had."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.contracts import Target
from harness.errors import TestbedError
from harness.model.topology import Topology

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "compose"


def open_engine() -> Any:
    """The engine for tests. Without one: skipped, or failed where ``RIFT_NEEDS_DOCKER`` is set."""
    try:
        from harness.testbeds.containers.engine import Engine

        return Engine.open()
    except (ImportError, TestbedError) as error:
        if os.environ.get("RIFT_NEEDS_DOCKER"):
            pytest.fail(f"RIFT_NEEDS_DOCKER is set, but: {error}")
        pytest.skip(f"no Docker: {error}")


@contextmanager
def engine_for_tests() -> Iterator[Any]:
    """The same, closed at the end."""
    engine = open_engine()
    yield engine
    engine.close()


def composed(topology: Topology, target: Target, folder: Path, say: Callable[[str], None] = print, **more: Any) -> Any:
    """A composed lab with an id of its own, not yet up."""
    from harness.testbeds.compose import ComposeTestbed

    run_id = more.pop("run_id", "") or f"test-{secrets.token_hex(4)}"
    return ComposeTestbed(topology, target, folder / run_id, run_id, 7, HOME, say=say, **more)


def left_of(engine: Any, run_id: str) -> list[str]:
    """Everything that carries the run's label, in words."""
    from harness.testbeds.containers import sweeping

    found = sweeping.objects(engine, run_id)
    return [str(found)] if found else []


def in_container(engine: Any, container: Any, *argv: str) -> tuple[int, str]:
    """Run a program in a container: exit code and output."""
    code, output = engine.call(container.exec_run, list(argv))
    return code, output.decode(errors="replace")
