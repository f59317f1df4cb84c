"""What tests of targets share: a target by its file, its real servers over regions, and what every one must do."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness import registry
from harness.contracts import Client, Seat
from harness.errors import OperationError, Refused
from harness.model.op import Op, invoke
from harness.model.topology import Topology
from harness.testbeds.local import LocalTestbed

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


def loaded(name: str) -> ModuleType:
    """The module of a target, ``etcd``, or what several of them share: ``etcd_server`` after a target was loaded."""
    if name in registry.names("target"):
        registry.target(name)
        return sys.modules[f"rift_fixtures.{name}"]
    return sys.modules[f"rift_fixtures._{name}"]


@asynccontextmanager
async def cluster(target: Any, topology: Topology, folder: Path) -> AsyncIterator[LocalTestbed]:
    async with LocalTestbed(topology, target, folder, f"{target.name}-{secrets.token_hex(4)}", seed=7) as lab:
        yield lab


@asynccontextmanager
async def client_at(target: Any, seat: Seat) -> AsyncIterator[Client]:
    client = await target.connect(seat)
    try:
        yield client
    finally:
        await client.close()


def verb(op: Op) -> str:
    """The name of a test's case."""
    return op.f


async def registers_work(here: Client, far: Client) -> None:
    assert await here.invoke(invoke("read", key=1)) is None
    assert await here.invoke(invoke("write", 5, key=1)) == 5
    assert await far.invoke(invoke("read", key=1)) == 5
    assert await far.invoke(invoke("cas", [5, 6], key=1)) == [5, 6]
    with pytest.raises(Refused):
        await here.invoke(invoke("cas", [5, 7], key=1))
    assert await here.invoke(invoke("cas", [None, 1], key=2)) == [None, 1]
    with pytest.raises(Refused):
        await here.invoke(invoke("cas", [None, 2], key=2))
    assert await far.invoke(invoke("read", key=1)) == 6


async def sets_work(here: Client, far: Client) -> None:
    assert await here.invoke(invoke("members", key="s")) == []
    for element in (10, 9, 100):
        await here.invoke(invoke("add", element, key="s"))
    await here.invoke(invoke("add", 7, key="s2"))
    assert await far.invoke(invoke("members", key="s")) == [9, 10, 100]


async def lists_work(here: Client, far: Client) -> None:
    assert await here.invoke(invoke("entries", key="l")) == []
    for value in (10, 9, 100):
        await here.invoke(invoke("append", value, key="l"))
    await far.invoke(invoke("append", 7, key="l2"))
    assert await here.invoke(invoke("entries", key="l")) == [10, 9, 100]


async def a_killed_leader_is_replaced(lab: Any, patience_s: float = 40.0) -> str:
    """Kill whoever leads and wait for another; the killed node."""
    old: str | None = await lab.leader()
    assert old is not None
    await lab.nodes.kill(old)
    await leads(lab, lambda node: node not in (None, old), patience_s)
    return old


async def leads(lab: Any, wanted: Callable[[str | None], bool], patience_s: float = 40.0) -> None:
    """Wait until whom the lab calls the leader is ``wanted``."""
    for _ in range(round(patience_s / 0.1)):
        if wanted(found := await lab.leader()):
            break
        await asyncio.sleep(0.1)
    assert wanted(found)


async def until_done(client: Client, op: Op) -> None:
    """Until the system confirms it: right after a start or an election it may refuse for a moment."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OperationError):
                await client.invoke(op)
                return
            await asyncio.sleep(0.2)
