"""Taking a testbed down: every step, whatever the others do and however often we are cancelled meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack


async def undo_all(undo: AsyncExitStack, error: BaseException | None) -> None:
    """Run every undoing step of ``undo``. What fails here is raised, or added to ``error`` as a note: it must not hide
    what went wrong first."""
    closing = asyncio.ensure_future(undo.aclose())
    cancelled = False
    while not closing.done():
        try:
            await asyncio.wait([closing])
        except asyncio.CancelledError:
            cancelled = True
    # The loop itself cancels every task when Ctrl-C comes twice; the steps after the interrupted one still ran.
    cancelled = cancelled or closing.cancelled()
    failure = None if closing.cancelled() else closing.exception()
    if failure is not None and error is not None:
        error.add_note(f"cleaning up failed, too: {failure}; run `rift heal`")
    elif failure is not None:
        raise failure
    if cancelled and not isinstance(error, asyncio.CancelledError):
        raise asyncio.CancelledError
