"""How scenarios wait for what they cannot be told of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


async def until_true(look: Callable[[], Any], limit_s: float) -> bool:
    """Ask again and again until ``look`` answers true, at most ``limit_s``; it may be a coroutine function."""
    deadline = asyncio.get_running_loop().time() + limit_s
    while True:
        found = look()
        if asyncio.iscoroutine(found):
            found = await found
        if found or asyncio.get_running_loop().time() > deadline:
            return bool(found)
        await asyncio.sleep(0.1)
