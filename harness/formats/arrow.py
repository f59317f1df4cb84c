"""The history of a finished run in our own store: Arrow IPC, one row per event, values and keys as JSON texts."""

# pyarrow takes a third of a second to load, and nobody needs it for the other formats.

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any, Final

import msgspec

from harness.formats._tape import NO_KEY, TYPE_CODES, Malformed, Tape
from harness.formats.json_lines import _tuples

NAME: Final = "arrow"
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
    except (pa.ArrowInvalid, OSError) as error:
        raise Malformed(f"expected an Arrow file: {error}") from None


def _add(batch: Any, tape: Tape) -> None:
    missing = [name for name in _COLUMNS if name not in batch.schema.names]
    if missing:
        raise Malformed(f"expected the columns of a stored history, found none called {', '.join(missing)}")

    def numbers(name: str, number: Callable[[Any], int]) -> list[int]:
        column = batch.column(name)
        encoded = column if hasattr(column, "dictionary") else column.dictionary_encode()
        known = [number(value) for value in encoded.dictionary.to_pylist()]
        return [known[at] if at is not None else number(None) for at in encoded.indices.to_pylist()]

    decode = msgspec.json.Decoder().decode
    types = numbers("type", lambda name: TYPE_CODES[name])
    fs = numbers("f", tape.fs.number)
    keys = numbers("key", lambda text: NO_KEY if text is None else tape.keys.number(_tuples(decode(text))))
    values = numbers("value", lambda text: 0 if text is None else tape.values.number(_tuples(decode(text))))
    places = zip(*(batch.column(name).to_pylist() for name in ("region", "node", "error")), strict=True)
    notes = [tape.notes.number(place) for place in places]
    times = batch.column("time_ns").to_numpy()
    if tape.stop_at is not None:  # there is no better place to name than the row
        raise Malformed("here it is", line=tape.stop_at + 1)
    tape.extend(batch.column("process").to_numpy(), types, fs, keys, values, times, notes)
