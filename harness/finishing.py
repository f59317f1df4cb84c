"""Finishing what was begun: an action that is on its way cannot be called back, only waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def finish(work: Coroutine[Any, Any, None]) -> None:
    """Await ``work`` to its end, even when this task is cancelled meanwhile; the cancellation is raised afterwards.

    Half an action must not go on behind the back of its undoing: a cut still on its way to the link server
    would arrive after the heal and stay.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # asked for, so that asyncio does not complain; the cancellation wins
        raise
