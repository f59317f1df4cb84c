"""Takes usual events out of bytes: the loop behind large files, compiled for them, and plain Python in tests.

A usual event is a flat map whose value is nothing, a number, a plain text, or lists of such; what it says is written as
numbers into a row, and what is no number as a packed text (``harness.model.packed``). At anything else the scan stops
before the event, and a careful reader takes it from there; so nothing malformed is ever accepted here, nor read in
another way. Functions return the position after what they took, or ``NO``.
"""

from __future__ import annotations

from typing import Any, Final

from harness.formats._tape import FIELDS, TYPES
from harness.model.op import NEMESIS

NO: Final = -1
ROWS, BYTES, TEXTS = 0, 1, 2
"""What ``state`` counts: rows, bytes and texts written so far."""
STATE: Final = 16
"""How long ``state`` is: behind the counts lie positions of what an event holds besides."""
PROCESS, TYPE, F, KEY, VALUE, TIME, NOTE = range(len(FIELDS))
_REGION, _NODE, _INDEX, _OTHER = range(len(FIELDS), len(FIELDS) + 4)
_NEEDED: Final = 1 << TYPE | 1 << F
_SPANS: Final = 4
_OTHERS: Final = 4
_DEEP: Final = 50
_DIGITS: Final = 18
_LETTERS: Final = 7


def _name(word: bytes) -> int:
    """A short word as the number that :func:`_word` reads."""
    return int.from_bytes(word, "big")


_KINDS: Final = tuple(
    map(_name, (b"process", b"type", b"f", b"key", b"value", b"time", b"error", b"region", b"node", b"index"))
)
"""What the fields of an event are called, by their numbers."""
_TYPE_NAMES: Final = tuple(_name(each.encode()) for each in TYPES)
_NEMESIS, _TIME_NS = _name(b"nemesis"), _name(b"time_ns")
_NIL, _NULL, _TRUE, _FALSE = _name(b"nil"), _name(b"null"), _name(b"true"), _name(b"false")


def scan_edn(
    text: Any, at: int, rows: Any, packed: Any, ends: Any, fs: Any, f_ends: Any, notes: Any, note_ends: Any, state: Any
) -> int:
    """Take usual events of Jepsen's EDN from ``text[at:]`` until ``rows`` are full; the position after the last.

    A row has the ``FIELDS``, key and value as codes, f as a place among the words ``fs[f_ends[i]:f_ends[i + 1]]``, and
    note as a place among ``notes`` (an error as it is written), NO without one. ``packed`` and ``ends`` get the texts.
    """
    while state[ROWS] < len(rows):
        after = _edn_event(
            text, _edn_space(text, at), rows[state[ROWS]], packed, ends, fs, f_ends, notes, note_ends, state
        )
        if after == NO:
            break
        state[ROWS] += 1
        at = after
    return at


def scan_json(
    text: Any, at: int, rows: Any, packed: Any, ends: Any, fs: Any, f_ends: Any, notes: Any, note_ends: Any, state: Any
) -> int:
    """The same for lines of JSON. A note is an event's error, region and node with zeros between."""
    while state[ROWS] < len(rows):
        begin = at
        while begin < len(text) and (text[begin] == 10 or _is_json_space(text[begin])):
            begin += 1
        after = _json_event(text, begin, rows[state[ROWS]], packed, ends, fs, f_ends, notes, note_ends, state)
        if after == NO:
            break
        state[ROWS] += 1
        at = after
    return at


# --- tokens ----------------------------------------------------------------------------------------


def _is_digit(byte: int) -> bool:
    return 48 <= byte <= 57


def _is_letter(byte: int) -> bool:
    return 97 <= byte <= 122 or 65 <= byte <= 90


def _word(text: Any, at: int) -> tuple[int, int]:
    """Letters, digits, ``_`` and ``-`` from a letter on: as a number (NO when it is long), and the end."""
    name, end = 0, at
    while end < len(text):
        byte = int(text[end])
        if not (_is_letter(byte) or (end > at and (_is_digit(byte) or byte == 45 or byte == 95))):
            break
        name = (name << 8 | byte) if end - at < _LETTERS else NO
        end += 1
    return name, end


def _int(text: Any, at: int) -> tuple[int, int]:
    """A whole number as both notations write it, of at most 18 digits."""
    minus = at < len(text) and text[at] == 45
    first = at + 1 if minus else at
    end, value = first, 0
    while end < len(text) and _is_digit(text[end]) and end - first <= _DIGITS:
        value = value * 10 + (int(text[end]) - 48)
        end += 1
    size = end - first
    if size == 0 or size > _DIGITS or (text[first] == 48 and (size > 1 or minus)):
        return 0, NO
    return (-value if minus else value), end


def _string(text: Any, at: int) -> int:
    """A string of plain characters, which begins with the quotation mark at ``at``."""
    end = at + 1
    while end < len(text) and 32 <= text[end] <= 126 and text[end] != 34 and text[end] != 92:
        end += 1
    return end + 1 if end < len(text) and text[end] == 34 else NO


def _find(words: Any, ends: Any, text: Any, begin: int, end: int) -> int:
    """The place of ``text[begin:end]`` among ``words``."""
    size = end - begin
    for i in range(len(ends) - 1):
        if ends[i + 1] - ends[i] == size:
            same = 0
            while same < size and words[ends[i] + same] == text[begin + same]:
                same += 1
            if same == size:
                return i
    return NO


def _copied(text: Any, begin: int, end: int, packed: Any, used: int) -> int:
    for i in range(begin, end):
        packed[used + i - begin] = text[i]
    return used + end - begin


def _among(names: Any, name: int) -> int:
    for i in range(len(names)):
        if names[i] == name:
            return i
    return NO


def _constant(name: int, packed: Any, used: int) -> int:
    """``true``, ``false`` or ``null``, packed."""
    long = 5 if name == _FALSE else 4
    for i in range(long):
        packed[used + i] = name >> (8 * (long - 1 - i)) & 255
    return used + long


def _kept(end: int, used: int, new: int, row: Any, field: int, ends: Any, texts: int) -> tuple[int, int, int]:
    """Make the packed text that was written up to ``new`` the row's code; nothing when ``end`` is NO."""
    if end == NO:
        return NO, used, texts
    row[field] = texts << 2 | 2
    ends[texts + 1] = new
    return end, new, texts + 1


# --- EDN -------------------------------------------------------------------------------------------


def _edn_space(text: Any, at: int) -> int:
    while at < len(text) and (text[at] == 32 or text[at] == 44 or text[at] == 10 or text[at] == 13 or text[at] == 9):
        at += 1
    return at


def _edn_event(
    text: Any, at: int, row: Any, packed: Any, ends: Any, fs: Any, f_ends: Any, notes: Any, note_ends: Any, state: Any
) -> int:
    if at < len(text) and text[at] == 35:  # a tag like #jepsen.history.Op
        end = _edn_symbol(text, at + 1)
        at = _edn_space(text, end) if end > at + 1 else len(text)
    if at >= len(text) or text[at] != 123:
        return NO
    row[KEY], row[VALUE], row[TIME], row[NOTE] = 0, 0, -1, NO
    at, seen, others, used, texts = _edn_space(text, at + 1), 0, 0, state[BYTES], state[TEXTS]
    while at < len(text) and text[at] != 125:
        name, end = _word(text, at + 1)
        begin, kind = _edn_space(text, end), _among(_KINDS, name)
        kind = _OTHER if kind in (NO, _REGION, _NODE) else kind
        if text[at] != 58 or begin == end or begin == len(text) or (kind != _OTHER and seen >> kind & 1):
            return NO
        if kind == _OTHER and not _noted(text, at, end, state, others):
            return NO
        others += kind == _OTHER
        seen |= 1 << kind
        end, used, texts = _edn_field(text, begin, kind, row, packed, ends, fs, f_ends, notes, note_ends, used, texts)
        at = _edn_space(text, end)
        if end == NO or at == len(text) or (at == end and text[at] != 125):
            return NO
    if at >= len(text) or seen & _NEEDED != _NEEDED or not seen >> PROCESS & 1:
        return NO
    state[BYTES], state[TEXTS] = used, texts
    return at + 1


def _edn_symbol(text: Any, at: int) -> int:
    """Where a tag's name or a keyword's name ends; ``at`` itself when there is none."""
    end = at
    while end < len(text):
        byte = text[end]
        if not (_is_letter(byte) or (end > at and (45 <= byte <= 57 or byte == 95))):  # - . / and digits
            break
        end += 1
    return end


def _noted(text: Any, begin: int, end: int, state: Any, others: int) -> bool:
    """Remember the name of another key; whether it is new."""
    if others == _OTHERS:
        return False
    for i in range(others):
        first, last = state[_SPANS + 2 * i], state[_SPANS + 2 * i + 1]
        same = last - first == end - begin
        for j in range(end - begin):
            same = same and text[first + j] == text[begin + j]
        if same:
            return False
    state[_SPANS + 2 * others], state[_SPANS + 2 * others + 1] = begin, end
    return True


def _edn_field(
    text: Any, at: int, kind: int, row: Any, packed: Any, ends: Any,
    fs: Any, f_ends: Any, notes: Any, note_ends: Any, used: int, texts: int,
) -> tuple[int, int, int]:  # fmt: skip
    """One field's value into the row: its end, and the new counts of bytes and texts."""
    if kind in (VALUE, KEY):
        number, end = _int(text, at)
        if end != NO:
            row[kind] = number << 1 | 1
            return end, used, texts
        name, end = _word(text, at)
        if name == _NIL:
            return end, used, texts
        end, new = _edn_packed(text, at, packed, used)
        return _kept(end, used, new, row, kind, ends, texts)
    if kind in (TYPE, F):
        name, end = _word(text, at + 1)
        number = _among(_TYPE_NAMES, name) if kind == TYPE else _find(fs, f_ends, text, at + 1, end)
        row[kind] = number
        return (end if text[at] == 58 and number != NO else NO), used, texts
    if kind == PROCESS and text[at] == 58:
        name, end = _word(text, at + 1)
        row[PROCESS] = NEMESIS
        return (end if name == _NEMESIS else NO), used, texts
    if kind in (_OTHER, NOTE):
        end, _ = _edn_packed(text, at, packed, used)
        if kind == NOTE and end != NO:
            row[NOTE] = _find(notes, note_ends, text, at, end)
        return (NO if kind == NOTE and row[NOTE] == NO else end), used, texts
    number, end = _int(text, at)
    if kind != _INDEX:
        row[kind] = number
    return (end if number >= 0 and (kind != PROCESS or number < 1 << 31) else NO), used, texts


def _edn_packed(text: Any, at: int, packed: Any, used: int) -> tuple[int, int]:
    """A form written packed from ``used`` on: its end, and the end of the packed text."""
    depth, kinds, first = 0, 0, True
    while at < len(text):
        byte = text[at]
        if byte == 93 or byte == 41:  # ] )
            if depth == 0 or (kinds & 1) != (byte == 41):
                return NO, used
            packed[used] = 93
            used, at, depth, kinds, first = used + 1, at + 1, depth - 1, kinds >> 1, False
        else:
            if not first:
                packed[used] = 44
                used += 1
            first = byte == 91 or byte == 40  # [ (
            if first:
                packed[used] = 91
                used, at, depth, kinds = used + 1, at + 1, depth + 1, kinds << 1 | (byte == 40)
            else:
                at, used = _edn_atom(text, at, packed, used)
            if at == NO or depth == _DEEP:
                return NO, used
        if depth == 0:
            return at, used
        after = _edn_space(text, at)
        if after == at and not first and at < len(text) and text[at] != 93 and text[at] != 41:
            return NO, used
        at = after
    return NO, used


def _edn_atom(text: Any, at: int, packed: Any, used: int) -> tuple[int, int]:
    if text[at] == 34:
        end = _string(text, at)
        return end, _copied(text, at, end, packed, used)
    if text[at] == 58:
        end = _edn_symbol(text, at + 1)
        packed[used] = 34
        used = _copied(text, at + 1, end, packed, used + 1)
        packed[used] = 34
        return (end if end > at + 1 else NO), used + 1
    name, end = _word(text, at)
    if name in (_TRUE, _FALSE):
        return end, _constant(name, packed, used)
    if name == _NIL:
        return end, _constant(_NULL, packed, used)
    _, end = _int(text, at)
    return end, _copied(text, at, end, packed, used)


# --- JSON ------------------------------------------------------------------------------------------


def _is_json_space(byte: int) -> bool:
    return byte == 32 or byte == 9 or byte == 13


def _json_space(text: Any, at: int) -> int:
    while at < len(text) and _is_json_space(text[at]):
        at += 1
    return at


def _json_event(
    text: Any, at: int, row: Any, packed: Any, ends: Any, fs: Any, f_ends: Any, notes: Any, note_ends: Any, state: Any
) -> int:
    if at >= len(text) or text[at] != 123:
        return NO
    row[PROCESS], row[KEY], row[VALUE], row[TIME], row[NOTE] = NEMESIS, 0, 0, -1, NO
    at, seen, used, texts = _json_space(text, at + 1), 0, state[BYTES], state[TEXTS]
    while at < len(text) and text[at] == 34:
        name, end = _word(text, at + 1)
        kind, after = TIME if name == _TIME_NS else _among(_KINDS, name), _string(text, at)
        colon = _json_space(text, after)
        begin = _json_space(text, colon + 1)
        if after == NO or begin >= len(text) or text[colon] != 58:
            return NO
        if kind in (NO, _INDEX) or end + 1 != after:  # a longer name than the word in it
            kind = _OTHER
        if kind != _OTHER and seen >> kind & 1:
            return NO
        seen |= 1 << kind
        end, used, texts = _json_field(text, begin, kind, row, packed, ends, fs, f_ends, used, texts, state)
        at = _json_space(text, end)
        if end == NO or at == len(text) or (text[at] != 44 and text[at] != 125):
            return NO
        if text[at] == 44:
            at = _json_space(text, at + 1)
            if at == len(text) or text[at] != 34:
                return NO
    if at >= len(text) or text[at] != 125 or seen & _NEEDED != _NEEDED:
        return NO
    end = _json_space(text, at + 1)
    if end == len(text) or text[end] != 10 or not _json_note(text, row, seen, packed, used, notes, note_ends, state):
        return NO
    state[BYTES], state[TEXTS] = used, texts
    return end + 1


def _json_note(text: Any, row: Any, seen: int, packed: Any, used: int, notes: Any, note_ends: Any, state: Any) -> bool:
    """Put the place of error, region and node into the row; whether it is known."""
    if seen >> NOTE & 7 == 0:
        return True
    end = used
    for kind in range(NOTE, _NODE + 1):
        if kind > NOTE:
            packed[end] = 0
            end += 1
        if seen >> kind & 1:
            span = _SPANS + 2 * (kind - NOTE)
            end = _copied(text, state[span], state[span + 1], packed, end)
    row[NOTE] = _find(notes, note_ends, packed, used, end)
    return bool(row[NOTE] != NO)


def _json_field(
    text: Any, at: int, kind: int, row: Any, packed: Any, ends: Any,
    fs: Any, f_ends: Any, used: int, texts: int, state: Any,
) -> tuple[int, int, int]:  # fmt: skip
    """One field's value into the row: its end, and the new counts of bytes and texts."""
    number, end = _int(text, at)
    if end != NO and kind in (VALUE, KEY):
        row[kind] = number << 1 | 1
    elif end != NO and kind in (TIME, PROCESS):
        row[kind] = number
        end = end if number >= -1 and (kind == TIME or number < 1 << 31) else NO
    elif end != NO and kind == _OTHER:
        return end, used, texts
    elif text[at] == 34 and kind != VALUE and kind != KEY and kind != _OTHER:
        return _json_words(text, at, kind, row, fs, f_ends, state), used, texts
    elif kind in (VALUE, KEY, _OTHER):
        name, end = _word(text, at)
        if name == _NULL:
            return end, used, texts
        end, new = _json_packed(text, at, packed, used)
        if kind != _OTHER:
            return _kept(end, used, new, row, kind, ends, texts)
    else:
        end = NO
    return end, used, texts


def _json_words(text: Any, at: int, kind: int, row: Any, fs: Any, f_ends: Any, state: Any) -> int:
    """A string where a word is expected."""
    end = _string(text, at)
    if end == NO:
        return NO
    if kind >= NOTE:
        state[_SPANS + 2 * (kind - NOTE)], state[_SPANS + 2 * (kind - NOTE) + 1] = at + 1, end - 1
        return end
    name, after = _word(text, at + 1)
    if kind == F:
        row[F] = _find(fs, f_ends, text, at + 1, end - 1)
        return end if row[F] != NO else NO
    if after + 1 != end:
        return NO
    if kind == TYPE:
        row[TYPE] = _among(_TYPE_NAMES, name)
        return end if row[TYPE] != NO else NO
    return end if kind == PROCESS and name == _NEMESIS else NO


def _json_packed(text: Any, at: int, packed: Any, used: int) -> tuple[int, int]:
    """A value written packed from ``used`` on: its end, and the end of the packed text."""
    depth = 0
    while at < len(text):
        if text[at] == 91 and depth < _DEEP:
            packed[used] = 91
            used, depth, at = used + 1, depth + 1, _json_space(text, at + 1)
            if at == len(text) or text[at] != 93:
                continue
        else:
            at, used = _json_atom(text, at, packed, used)
            if at == NO:
                return NO, used
        while depth:
            at = _json_space(text, at)
            if at == len(text) or (text[at] != 93 and text[at] != 44):
                return NO, used
            packed[used] = text[at]
            used, at = used + 1, at + 1
            if text[at - 1] == 44:
                at = _json_space(text, at)
                break
            depth -= 1
        if depth == 0:
            return at, used
    return NO, used


def _json_atom(text: Any, at: int, packed: Any, used: int) -> tuple[int, int]:
    if text[at] == 34:
        end = _string(text, at)
        return end, _copied(text, at, end, packed, used)
    name, end = _word(text, at)
    if name in (_TRUE, _FALSE, _NULL):
        return end, _constant(name, packed, used)
    _, end = _int(text, at)
    return end, _copied(text, at, end, packed, used)


def code_json(text: Any, begins: Any, codes: Any, packed: Any, ends: Any, state: Any) -> None:
    """The codes of the values in the lines ``text[begins[i]:begins[i + 1]]``: NO where a careful reader must look.

    An empty line is nothing. ``packed``, ``ends`` and ``state`` are as in the scans.
    """
    for i in range(len(codes)):
        at, end, used, texts = begins[i], begins[i + 1] - 1, state[BYTES], state[TEXTS]
        number, after = _int(text, at)
        if at == end or _word(text, at) == (_NULL, end):
            codes[i] = 0
        elif after == end:
            codes[i] = number << 1 | 1
        else:
            after, used = _json_packed(text, at, packed, used)
            codes[i] = NO
            if after == end:
                codes[i] = texts << 2 | 2
                ends[texts + 1] = used
                state[BYTES], state[TEXTS] = used, texts + 1
