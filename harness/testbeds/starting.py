"""Bringing nodes up: all or none, each until it serves, while the links between them are measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from harness.contracts import Seat, Target
from harness.errors import NotReady, TestbedError
from harness.links.control import LinkFleet

READY_LIMIT_S: Final = 30.0
_POLL_S: Final = 0.05
_ANSWER_LIMIT_S: Final = 3.0
_VERIFY_TRIES: Final = 4


async def all_or_none(*work: Coroutine[Any, Any, None]) -> None:
    """Run everything at once. The first failure ends the rest and is raised as it is, not in a group."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until_ready(
    target: Target, seat: Seat, limit_s: float, ended: Callable[[], str], log_end: Callable[[], Awaitable[str]]
) -> None:
    """Ask the node until it serves. Raises NotReady, with the end of the node's log, when it ``ended`` (how, in words;
    empty while it runs) or the limit is over."""
    started, missing = time.monotonic(), "it was not asked yet"
    while time.monotonic() - started < limit_s:
        if how := ended():
            raise NotReady(await _blame(seat, f"{how} before it was ready", log_end))
        if not (missing := await _missing(target, seat)):
            return
        await asyncio.sleep(_POLL_S)
    raise NotReady(await _blame(seat, f"was not ready within {limit_s:g} s ({missing})", log_end))


async def _missing(target: Target, seat: Seat) -> str:
    try:
        async with asyncio.timeout(_ANSWER_LIMIT_S):
            return await target.ready(seat)
    except TimeoutError:
        return f"no answer within {_ANSWER_LIMIT_S:g} s"
    except Exception as error:  # a target's probe may fail in any way; all mean "not yet"
        return f"{type(error).__name__}: {error}"


async def _blame(seat: Seat, what: str, log_end: Callable[[], Awaitable[str]]) -> str:
    return (
        f"node {seat.node.id} in {seat.region} {what}; the end of its log, {await log_end()}\n"
        "correct what it complains about, or give it more time"
    )


async def verified_while(
    starting: Coroutine[Any, Any, None], links: LinkFleet, say: Callable[[str], None], exact: bool = True
) -> dict[str, dict[str, float]]:
    """Let the nodes start, and measure every pair of regions meanwhile. Starting nodes or neighbours may keep the
    machine busy: one failure decides nothing. Raises the first node's error, or that of the last measurement.
    Without ``exact`` one failure is enough, and nothing is raised for it: what was measured is empty then."""
    found: dict[str, dict[str, float]] = {}

    async def measure(tries: int) -> None:
        for _ in range(tries):
            try:
                found.update(await links.verify())
                return
            except TestbedError as error:
                say(f"{error} Measuring again.")

    await all_or_none(starting, measure(tries=1))
    if not exact:
        return found
    if not found:
        await measure(tries=_VERIFY_TRIES)
    return found or await links.verify()
