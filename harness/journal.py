"""The history on disk: one JSON object per line while the run goes on, columns once it has ended.

While a run goes on, events are appended to ``history.jsonl``. What was flushed survives ``kill -9`` of the harness,
because it lies in the kernel's page cache; a flush happens at least every second, and an fsync with it.
A lost tail cannot change a verdict: events are appended in the order in which they happened, invocations before their
requests are sent, so every prefix of the file is a history by itself.

Afterwards the events are compacted into ``history.arrow`` (Arrow IPC, zstd), one row per event, readable by any Arrow
library. ``value`` and ``key`` are JSON texts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from harness.errors import StoreError
from harness.model.history import History
from harness.model.op import INFO, INVOKE, NEMESIS, TYPES, Op

if TYPE_CHECKING:  # these take half a second to load, pandas more; only loading a stored run needs both
    import pandas as pd
    import pyarrow as pa

FLUSH_BYTES = 1 << 16


class Journal:
    """Appends events to a file; gives each its index.

    Not safe for several threads. Raises StoreError when the disk refuses, naming the file and what to do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._pending = bytearray()
        self._encode = msgspec.json.Encoder().encode
        try:
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise StoreError(f"{path}: cannot be written: {error}; choose another --store") from error

    def append(self, op: Op) -> None:
        """Add an event; it reaches the kernel with the next flush."""
        self._pending += self._encode(op)
        self._pending += b"\n"
        self.count += 1
        if len(self._pending) >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand everything appended to the kernel."""
        try:
            # What the disk refuses stays pending: a later flush goes on in the middle of the line, not after it.
            while self._pending:
                del self._pending[: self._file.write(self._pending) or 0]
        except OSError as error:
            raise StoreError(
                f"{self.path}: {error.strerror or error}; the history is kept up to here. "
                "Free some space, or choose another --store"
            ) from error

    def sync(self) -> None:
        """Wait until the disk has what was flushed; may run in another thread."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be synced: {error}") from error

    def close(self) -> None:
        """Sync and close; the file stays."""
        try:
            self.flush()
            self.sync()
        finally:
            self._file.close()


def read_journal(path: Path) -> tuple[History, bool]:
    """The events of a journal, and whether its last line was torn off (the harness was killed while writing).

    Raises StoreError for a broken line that is not the last one: that is damage, not a torn tail.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
    lines = data.split(b"\n")
    tail = lines.pop()
    decode = msgspec.json.Decoder(Op).decode
    events: list[Op] = []
    for number, line in enumerate(lines, 1):
        try:
            events.append(decode(line))
        except msgspec.MsgspecError as error:
            raise StoreError(f"{path}:{number}: is no event: {error}; the file was changed after the run") from error
    return History(events), bool(tail)


# --- columns ---------------------------------------------------------------------------------------


def compact(history: Iterable[Op], path: Path) -> None:
    """Write the events as columns to ``path`` (Arrow IPC with zstd), atomically."""
    import pyarrow as pa

    temporary = path.with_suffix(".tmp")
    columns = _columns(list(history))
    table = pa.Table.from_arrays(list(columns.values()), names=list(columns))
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=9))
    with pa.ipc.new_file(str(temporary), table.schema, options=options) as out:
        out.write_table(table)
    with open(temporary, "rb") as written:  # on disk before the line-based history goes
        os.fsync(written.fileno())
    temporary.replace(path)


def _columns(events: Sequence[Op]) -> dict[str, pa.Array]:
    import pyarrow as pa

    encode = msgspec.json.Encoder().encode
    return {
        "index": _numbers((op.index for op in events), len(events), pa.int64()),
        "time_ns": _numbers((op.time_ns for op in events), len(events), pa.int64()),
        "process": _numbers((op.process for op in events), len(events), pa.int32()),
        "type": _texts(op.type.encode() for op in events).dictionary_encode(),
        "f": _texts(op.f.encode() for op in events).dictionary_encode(),
        "key": _texts(None if op.key is None else encode(op.key) for op in events).dictionary_encode(),
        "value": _texts(None if op.value is None else encode(op.value) for op in events),
        "region": _texts(op.region.encode() for op in events).dictionary_encode(),
        "node": _texts(op.node.encode() for op in events).dictionary_encode(),
        "error": _texts(op.error.encode() for op in events).dictionary_encode(),
    }


# pa.array() would load pandas to find out that a list is none of its series: half a second at the end of every run.


def _numbers(values: Iterable[int], count: int, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(np.fromiter(values, kind.to_pandas_dtype(), count))])


def _texts(values: Iterable[bytes | None]) -> pa.Array:
    """UTF-8 texts; None is missing."""
    import pyarrow as pa

    texts = list(values)
    ends = np.cumsum([0, *(len(text or b"") for text in texts)], dtype=np.int64)
    known = np.packbits(np.array([text is not None for text in texts], bool), bitorder="little")
    data = b"".join(text or b"" for text in texts)
    buffers = [pa.py_buffer(known), pa.py_buffer(ends), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_string(), len(texts), buffers)


def read_columns(path: Path) -> pd.DataFrame:
    """The events of a compacted history, one row each, as they were journaled."""
    from pyarrow import feather

    try:
        frame: pd.DataFrame = feather.read_feather(str(path))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
    return frame


def history_of(frame: pd.DataFrame) -> History:
    """The history that ``read_columns`` gave, as events."""
    decode = msgspec.json.Decoder().decode
    cache: dict[str, Any] = {}

    def value(text: Any) -> Any:
        if not isinstance(text, str):  # missing, as None or NaN
            return None
        if text not in cache:
            cache[text] = decode(text)
        return cache[text]

    columns = [frame[name].tolist() for name in frame.columns]
    return History(
        Op(
            index=index,
            time_ns=time_ns,
            process=process,
            type=type_,
            f=f,
            key=value(key),
            value=value(value_),
            region=region,
            node=node,
            error=error,
        )
        for index, time_ns, process, type_, f, key, value_, region, node, error in zip(*columns, strict=True)
    )


def operations_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Pair the events of ``read_columns`` into one row per client operation, in order of invocation.

    Columns: ``process f type key value result start_ns end_ns region node error``; ``type`` is ``info`` and
    ``end_ns`` missing where no completion was recorded. Values are JSON texts.
    """
    import pandas as pd

    process = frame["process"].to_numpy()
    clients = np.flatnonzero(process != NEMESIS)
    order = clients[np.argsort(process[clients], kind="stable")]  # per process, events alternate
    type_codes = pd.Categorical(frame["type"], categories=list(TYPES)).codes
    invoked = type_codes[order] == TYPES.index(INVOKE)
    starts = order[invoked]
    positions = np.flatnonzero(invoked)
    following = np.minimum(positions + 1, len(order) - 1) if len(order) else positions
    ended = (positions + 1 < len(order)) & (process[order[following]] == process[starts]) & ~invoked[following]
    ends = order[following]
    back = np.argsort(starts, kind="stable")
    starts, ends, ended = starts[back], ends[back], ended[back]

    begun, done = frame.iloc[starts].reset_index(drop=True), frame.iloc[ends].reset_index(drop=True)
    return pd.DataFrame(
        {
            "process": begun["process"],
            "f": begun["f"],
            "type": done["type"].astype(str).where(ended, INFO).astype("category"),
            "key": begun["key"],
            "value": begun["value"],
            "result": done["value"].where(ended & (done["type"] == "ok").to_numpy()),
            "start_ns": begun["time_ns"],
            "end_ns": done["time_ns"].astype("Int64").where(ended),
            "region": begun["region"],
            "node": begun["node"],
            "error": done["error"].astype(str).where(ended, "").astype("category"),
        }
    )
