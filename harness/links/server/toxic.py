"""What a toxic is: how it treats the chunks of one direction of one connection.

A toxic's treatment of a chunk is a sequence of steps:

- an ``int`` waits until ``time.monotonic_ns()`` reaches it,
- ``bytes`` pass on,
- a :class:`Mark` ends the stream (or resets the connection).

What it does not pass on is dropped. All toxics are one file each in ``toxics/``; ``noop.py`` is the shortest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, NamedTuple, Protocol, TypeAlias

NS_PER_MS = 1_000_000
NEVER_NS = 1 << 62
"""A deadline that does not come: only removing or changing the toxic ends such a wait."""


class Mark(Enum):
    """How a stream ends."""

    EOF = "the sender has sent its last byte; the other direction may go on"
    CLOSE = "close the receiving socket"
    RESET = "end the whole connection with a TCP reset"


Step: TypeAlias = int | bytes | Mark


class Chunk(NamedTuple):
    """Bytes that arrived together, or the stream's end; ``at_ns`` is when they arrived where they are now."""

    data: bytes | Mark
    at_ns: int
    number: int = 0


class Spot(Protocol):
    """Where a toxic acts: its memory of one direction of one connection."""

    passed_bytes: int
    """Bytes passed on since the toxic began to act here; survives an update of the toxic."""
    clock_ns: int
    """The deadline last waited for."""

    def uniform(self, number: int, draw: int = 0) -> float:
        """The seeded draw ``draw`` for chunk ``number``, in ``[0, 1)``: the same in every run with this seed."""


@dataclass
class Toxic:
    """A toxic's attributes (its fields, all whole numbers unless said otherwise) and its treatment of a stream."""

    wire_name: ClassVar[str] = "NoopToxic"
    """Its name in the error bodies of the API."""
    room_chunks: ClassVar[int] = 1
    """How many chunks may wait before it; then the sender is held back."""
    closes_when_removed: ClassVar[bool] = False

    def treat(self, chunk: Chunk, data: bytes, spot: Spot) -> Iterator[Step]:
        """The steps for ``data``, which is ``chunk.data``."""
        yield data

    def hold_end_until(self, chunk: Chunk, spot: Spot) -> int:
        """When (ns) a stream's end, which arrived as ``chunk``, may pass."""
        return chunk.at_ns

    def fuse(self) -> tuple[int, Mark] | None:
        """``(after_ms, mark)``: what happens to a connection this long after the toxic took effect on it."""
        return None
