"""The history of a finished run in our own store: Arrow IPC, one row per event, values and keys as JSON texts."""

# pyarrow takes a third of a second to load, and nobody needs it for the other formats.

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any, Final

import numpy as np

from harness.formats import _scan
from harness.formats._scanner import LARGE_BYTES
from harness.formats._tape import TYPE_CODES, Malformed, Tape
from harness.formats.json_lines import WRONG_JSON, code
from harness.kernels.compiling import fast
from harness.model.columns import Ints, Longs
from harness.model.packed import NOTHING, ranked

NAME: Final = "arrow"
_LARGE_BYTES: Final = LARGE_BYTES >> 3
"""Stored histories are compressed."""
_COLUMNS: Final = ("process", "type", "f", "key", "value", "time_ns", "region", "node", "error")


def recognises(head: bytes) -> bool:
    """Whether the file begins as Arrow files do."""
    return head.startswith(b"ARROW1")


def fill(source: IO[bytes], tape: Tape) -> None:
    """Put every row on the ``tape``. Raises Malformed; a file of columns has no lines, so line 0."""
    import pyarrow as pa
    from pyarrow import ipc

    try:
        with ipc.open_file(source) as reader:
            for number in range(reader.num_record_batches):
                _add(reader.get_batch(number), tape)
    except (pa.ArrowException, OSError) as error:
        raise Malformed(f"expected an Arrow file: {error}") from None
    except (*WRONG_JSON, KeyError) as error:
        raise Malformed(f"expected the columns of a stored history: {error}") from None


def _add(batch: Any, tape: Tape) -> None:
    missing = [name for name in _COLUMNS if name not in batch.schema.names]
    if missing:
        raise Malformed(f"expected the columns of a stored history, found none called {', '.join(missing)}")

    def numbers(name: str, number: Callable[[Any], int]) -> Longs:
        texts, places = _encoded(batch.column(name))
        return np.array(list(map(number, texts)), np.int64)[places]

    def read(text: str | None) -> int:
        return NOTHING if text is None else code(text.encode(), tape)

    if tape.stop_at is not None:  # there is no better place to name than the row
        raise Malformed("here it is", line=tape.stop_at + 1)
    tape.extend(
        batch.column("process").to_numpy(),
        numbers("type", lambda name: TYPE_CODES[name]),
        numbers("f", tape.fs.number),
        numbers("key", read),
        _codes(batch.column("value"), tape) if tape.size_bytes >= _LARGE_BYTES else numbers("value", read),
        batch.column("time_ns").to_numpy(),
        _notes(batch, tape),
    )


def _encoded(column: Any) -> tuple[list[str | None], Ints]:
    """The different texts of a column, and which each row has."""
    encoded = column if hasattr(column, "dictionary") else column.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    places = encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
    return [*texts, *[None] * bool(encoded.null_count)], places


def _notes(batch: Any, tape: Tape) -> Ints:
    """The numbers of the notes: what region, node and error are together."""
    parts = [_encoded(batch.column(name)) for name in ("region", "node", "error")]
    (regions, region), (nodes, node), (errors, error) = parts
    different, [at] = ranked((region.astype(np.int64) * len(nodes) + node) * len(errors) + error)
    numbers = []
    for each in different.tolist():
        place, last = divmod(each, len(errors))
        place, middle = divmod(place, len(nodes))
        note = regions[place], nodes[middle], errors[last]
        numbers.append(tape.notes.number(tuple(text or "" for text in note)))
    return np.array(numbers, np.int32)[at]


def _codes(column: Any, tape: Tape) -> Longs:
    """The codes of many values at once. Their texts are put in lines, for a number ends where its text does."""
    size = len(column)
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + size + 1]
    text = np.frombuffer(column.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    begins = offsets.astype(np.int64) - offsets[0] + np.arange(size + 1)
    lines = np.full(begins[-1], 10, np.uint8)
    lines[np.arange(len(text)) + np.repeat(np.arange(size), np.diff(offsets))] = text
    texts, state, codes = tape.texts, np.zeros(_scan.STATE, np.int64), np.empty(size, np.int64)
    packed, ends = texts.text.reserve(2 * len(text) + 64), texts.ends.reserve(size)
    state[_scan.BYTES], state[_scan.TEXTS] = texts.text.count, texts.ends.count - 1
    fast(_scan.code_json)(lines, begins, codes, packed, ends, state)
    texts.text.count, texts.ends.count = int(state[_scan.BYTES]), int(state[_scan.TEXTS]) + 1
    for row in np.flatnonzero(codes == _scan.NO).tolist():
        codes[row] = code(lines[begins[row] : begins[row + 1]].tobytes(), tape)
    return codes
