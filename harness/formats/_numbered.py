"""From codes of values to small numbers that count up from 0, the same for equal values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from harness.kernels.compiling import fast
from harness.model.columns import Ints, Longs
from harness.model.packed import Texts, Values, ranked

FEW: Final = 20_000
"""Up to so many texts are compared in Python: loading compiled code would take longer."""


def numbered(codes: Sequence[Longs], objects: Sequence[Any], texts: Texts) -> tuple[Values, list[Ints]]:
    """Numbers for the values of ``codes``, and the same arrays with numbers in the place of codes."""
    every = np.concatenate(codes)
    out = (every >> 2).astype(np.int32)  # right for objects
    whole = np.flatnonzero(every & 1)
    numbers, [at] = ranked(every[whole] >> 1)
    out[whole] = at + len(objects)
    text = np.flatnonzero(every & 3 == 2)
    kept, [at] = ranked(every[text] >> 2)
    places, same = _different(texts, kept)
    out[text] = same[at] + (len(objects) + len(numbers))
    values = Values(tuple(objects), numbers, texts, places)
    return values, np.split(out, np.cumsum([len(each) for each in codes])[:-1])


def _different(texts: Texts, places: Longs) -> tuple[Longs, Ints]:
    """The places of texts that differ from all before them, and for each text the number of the equal one."""
    if len(places) <= FEW:
        numbers: dict[bytes, int] = {}
        same = [numbers.setdefault(texts[place], len(numbers)) for place in places.tolist()]
        found = np.array(same, np.int32)
        return places[np.unique(found, return_index=True)[1]], found
    found, firsts = np.empty(len(places), np.int32), np.empty(len(places), np.int64)
    table = np.full(1 << (2 * len(places)).bit_length(), -1, np.int32)
    count = fast(number_texts)(texts.text.taken, texts.ends.taken, places, table, found, firsts)
    return firsts[:count].copy(), found


def number_texts(text: Any, ends: Any, places: Any, table: Any, found: Any, firsts: Any) -> int:
    """Number the texts at ``places`` in order of appearance; how many differ.

    ``table`` is filled with -1 and longer than twice the places, a power of two: open addressing with steps of one.
    """
    count, last = 0, len(table) - 1
    for i in range(len(places)):
        begin, end = ends[places[i]], ends[places[i] + 1]
        mixed = end - begin
        for at in range(begin, end):
            mixed = ((mixed ^ text[at]) * 1000003) & 0xFFFFFFFFFF
        slot = (mixed ^ mixed >> 20) & last
        while table[slot] >= 0 and not _same(
            text, begin, end, ends[firsts[table[slot]]], ends[firsts[table[slot]] + 1]
        ):
            slot = (slot + 1) & last
        if table[slot] < 0:
            table[slot], firsts[count] = count, places[i]
            count += 1
        found[i] = table[slot]
    return count


def _same(text: Any, begin: int, end: int, other: int, other_end: int) -> bool:
    if end - begin != other_end - other:
        return False
    for step in range(end - begin):  # noqa: SIM110 - compiled code makes no generators
        if text[begin + step] != text[other + step]:
            return False
    return True
