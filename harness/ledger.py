"""The fault ledger: every injected fault is on disk before it acts.

One JSON object per line; an entry with the same ``id`` as an earlier one adds to it. After a killed run the
ledger tells what was broken at that moment.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import StoreError


class Ledger:
    """Appends entries and waits until the disk has each. Raises StoreError when it cannot be opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise StoreError(f"{path}: cannot be written: {error}; choose another --store") from error

    def write(self, id_: str, **fields: Any) -> None:
        """Add ``fields`` to the fault ``id_``; on disk when this returns. Raises StoreError when it is not."""
        try:
            self._file.write(msgspec.json.encode({"id": id_, **fields}) + b"\n")
            os.fsync(self._file.fileno())
        except OSError as error:
            raise StoreError(f"{self.path}: {error}; no fault is injected without its entry") from error

    def close(self) -> None:
        self._file.close()


def read_ledger(path: Path) -> tuple[dict[str, Any], ...]:
    """The faults of a run, each with all that was written about it, in order of injection."""
    entries: dict[str, dict[str, Any]] = {}
    if not path.exists():
        return ()
    for line in path.read_bytes().split(b"\n"):
        try:
            entry = msgspec.json.decode(line)
        except msgspec.MsgspecError:  # empty, or torn by a kill
            continue
        entries.setdefault(entry["id"], {}).update(entry)
    return tuple(entries.values())
