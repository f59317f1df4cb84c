"""Trouble that lasts as long as a context, and ends with it whatever happens inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from itertools import count
from typing import Final, TypeVar

T = TypeVar("T")
Act = Callable[[], Coroutine[None, None, None]]
_INJECTIONS: Final = count(1)


def owner_of(fault: str) -> str:
    """A name for one injection, so that links know whose trouble they have, and two that overlap heal apart."""
    return f"{fault}#{next(_INJECTIONS)}"


@asynccontextmanager
async def held(do: Act, undo: Act) -> AsyncIterator[None]:
    """``do`` now and ``undo`` at the end: also when ``do`` failed half-way, on errors and on cancellation."""
    try:
        await _finish(do())
        yield
    finally:
        await _finish(undo())


async def _finish(work: Coroutine[None, None, None]) -> None:
    """Await ``work`` to its end, even when this task is cancelled meanwhile.

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


async def each(things: Iterable[T], act: Callable[[T], Awaitable[None]]) -> None:
    """``act`` on all ``things`` at once. All are tried to the end; then the first error is raised."""
    results = await asyncio.gather(*(act(thing) for thing in things), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
