"""Trouble that lasts as long as a context, and ends with it whatever happens inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from itertools import count
from typing import Final, TypeVar

from harness.finishing import finish

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
        await finish(do())
        yield
    finally:
        await finish(undo())


async def each(things: Iterable[T], act: Callable[[T], Awaitable[None]]) -> None:
    """``act`` on all ``things`` at once. All are tried to the end; then the first error is raised."""
    results = await asyncio.gather(*(act(thing) for thing in things), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
