"""Values that need not be objects: small numbers stand for themselves, and lists are kept as bytes until asked for.

A history of a million transactions holds many millions of small objects, of which a verdict looks at a handful. A
value here is a *code*, a number of 64 bits: odd for a whole number of at most 18 digits (twice it, and 1), otherwise
four times a place: among the :class:`Texts` when 2 is added, else among the objects, of which the first is None.
A packed text is JSON without spaces, of such numbers, null, true, false, strings of plain characters, and lists; a
value has only one such text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

BELOW: Final = 10**18
"""Whole numbers of a smaller size are packed."""
NOTHING: Final = 0
"""The code of None, the first object."""
PACKED: Final = re.compile(
    rb'(?>(?:"[ !#-\[\]-~]*+"|(?:-(?!0))?(?:0(?!\d)|[1-9]\d{0,17}+)(?![\d.eE])|null|true|false|[\[\],])+)'
)
"""What JSON must be made of to be a packed text, if it is not a number alone, or null."""
_DENSE: Final = 4
"""Numbers that lie so many times wider than they are many are counted in a table of all that lie between them."""
_PIECE: Final = 1 << 20
_PLAIN: Final = re.compile(r"[ !#-\[\]-~]*+\Z")

Longs = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
_Number = TypeVar("_Number", bound=np.generic)

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


def code_of(number: int) -> int:
    """The code of a whole number below ``BELOW`` in size."""
    return number << 1 | 1


def packed(value: Any) -> bytes | None:
    """The packed text of a truth value, string or tuple; None when it has none."""
    return _encode(value) if _packable(value) else None


def _packable(value: Any) -> bool:
    kind = type(value)
    if kind is tuple:
        return all(map(_packable, value))
    if kind is int:
        return bool(-BELOW < value < BELOW)
    if kind is str:
        return _PLAIN.match(value) is not None
    return value is None or kind is bool


def unpacked(text: bytes) -> Any:
    """The value of a packed text."""
    return tuples(_decode(text))


def tuples(value: Any) -> Any:
    """``value`` with lists as tuples, all the way down."""
    if isinstance(value, list):
        return tuple(map(tuples, value))
    return {key: tuples(item) for key, item in value.items()} if isinstance(value, dict) else value


def ranked(*parts: Longs) -> tuple[Longs, list[npt.NDArray[np.int32]]]:
    """The different values of all ``parts`` in order, and for each part its values' places among them."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return np.zeros(0, np.int64), [np.zeros(0, np.int32) for _ in parts]
    low, high = min(int(part.min()) for part in filled), max(int(part.max()) for part in filled)
    if high - low > _DENSE * sum(map(len, parts)) + 1024:
        different = np.unique(np.concatenate([np.unique(part) for part in filled]))
        return different, [np.searchsorted(different, part).astype(np.int32) for part in parts]
    there = np.zeros(high - low + 1, np.bool_)
    for piece in _pieces(parts):
        there[piece - low] = True
    place = np.cumsum(there, dtype=np.int32) - np.int32(1)
    found = [np.empty(len(part), np.int32) for part in parts]
    for piece, out in zip(_pieces(parts), _pieces(found), strict=True):
        out[:] = place[piece - low]
    return np.flatnonzero(there) + low, found


def _pieces(parts: Iterable[npt.NDArray[Any]]) -> Iterator[npt.NDArray[Any]]:
    """Pieces small enough that what is made of them in passing takes little memory."""
    return (part[at : at + _PIECE] for part in parts for at in range(0, len(part), _PIECE))


class Growing(Generic[_Number]):
    """An array that grows in place, without ever being there twice."""

    def __init__(self, dtype: type[_Number]) -> None:
        self._array: npt.NDArray[_Number] = np.empty(1024, dtype)
        self.count = 0

    def reserve(self, more: int) -> npt.NDArray[_Number]:
        """The whole array, with room for ``more`` items after the first ``count``; valid until the next call."""
        if self.count + more > len(self._array):
            self._array.resize(self.count + max(more, self.count // 4), refcheck=False)
        return self._array

    def extend(self, items: npt.ArrayLike) -> None:
        """Add ``items``."""
        new = np.asarray(items)
        self.reserve(len(new))[self.count : self.count + len(new)] = new
        self.count += len(new)

    @property
    def taken(self) -> npt.NDArray[_Number]:
        """What was added so far; valid until more is added."""
        return self._array[: self.count]


class Texts:
    """Packed texts, one after the other: text ``i`` is ``text.taken[ends.taken[i]:ends.taken[i + 1]]``."""

    def __init__(self) -> None:
        self._text, self._ends = Growing(np.uint8), Growing(np.int64)
        self._ends.extend([0])
        self._new: list[bytes] = []

    def add(self, text: bytes) -> int:
        """Keep ``text``; its code. The same text may be kept more than once."""
        self._new.append(text)
        return self._ends.count + len(self._new) - 2 << 2 | 2

    @property
    def text(self) -> Growing[np.uint8]:
        """All bytes."""
        self._write()
        return self._text

    @property
    def ends(self) -> Growing[np.int64]:
        """Where each text ends, after a 0."""
        self._write()
        return self._ends

    def _write(self) -> None:
        if self._new:
            new, self._new = self._new, []
            ends = np.cumsum([len(text) for text in new]) + self._text.count
            self._text.extend(np.frombuffer(b"".join(new), np.uint8))
            self._ends.extend(ends)

    def __getitem__(self, place: int) -> bytes:
        begin, end = self.ends.taken[place : place + 2].tolist()
        return self.text.taken[begin:end].tobytes()


class Values(Sequence[Any]):
    """What numbers stand for: first the objects, then the whole numbers, then the packed texts at ``places``."""

    def __init__(self, objects: Sequence[Any], numbers: Sequence[int] | Longs, texts: Texts, places: Longs) -> None:
        self._objects, self._numbers, self.texts, self.places = objects, numbers, texts, places
        self.first_number = len(objects)
        self.first_text = len(objects) + len(numbers)

    def __len__(self) -> int:
        return self.first_text + len(self.places)

    def __getitem__(self, number: Any) -> Any:
        if number < self.first_number:
            return self._objects[number]
        if number < self.first_text:
            return int(self._numbers[number - self.first_number])
        return unpacked(self.texts[self.places[number - self.first_text]])

    def __iter__(self) -> Iterator[Any]:
        yield from self._objects
        yield from map(int, self._numbers)
        yield from (unpacked(self.texts[place]) for place in self.places.tolist())
