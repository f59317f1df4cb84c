"""What became of every acknowledged write to a list: kept, lost, or kept in some regions only.

``append`` adds a value that is unique in its key, ``entries`` answers all values in the system's order. A read is final
when it began after every append had ended and every fault was undone; of each region the last one counts. A value that
no region's final read shows is *lost*, one that only some show is *divided*. Without a final read it is *unread*: while
a fault may still act, no read is final, for what seems to be gone may come back with the heal. Neither is anything lost
while a node does not serve as it should: it may have what the others lack, or have answered for all of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.checkers.every_run.recovery import unready
from harness.checkers.settled import final_reads, rest
from harness.kernels.models import freeze
from harness.model.history import History, Operation
from harness.model.op import OK

APPEND: Final = "append"
ENTRIES: Final = "entries"


@dataclass(frozen=True)
class Story:
    """One key: its appends and answered reads by start, the last final read of each region, and the fates of the
    acknowledged appends."""

    key: Any
    appends: tuple[Operation, ...]
    reads: tuple[Operation, ...]
    finals: tuple[Operation, ...]
    kept: tuple[Operation, ...]
    lost: tuple[Operation, ...]
    divided: tuple[Operation, ...]
    unread: tuple[Operation, ...]


def stories(history: History) -> tuple[list[Story], str]:
    """Every key's story, and why nothing can be called final (empty when it can)."""
    at_rest = rest(history, (APPEND,))
    whole = not unready(history)
    found = []
    for key, operations in history.by_key().items():
        appends = tuple(op for op in operations if op.f == APPEND)
        reads = tuple(op for op in operations if op.f == ENTRIES and op.type == OK and op.result is not None)
        if appends or reads:
            last = {op.region: op for op in final_reads(reads, (ENTRIES,), at_rest)} if not at_rest.cause else {}
            found.append(_story(key, appends, reads, tuple(last.values()), whole))
    return found, at_rest.cause


def _story(
    key: Any, appends: tuple[Operation, ...], reads: tuple[Operation, ...], finals: tuple[Operation, ...], whole: bool
) -> Story:
    fates: dict[str, list[Operation]] = {fate: [] for fate in ("kept", "lost", "divided", "unread")}
    contents = [set(values(read)) for read in finals]
    for op in appends:
        if op.type == OK:
            shown = sum(freeze(op.value) in content for content in contents)
            nowhere = "lost" if whole else "unread"
            fate = "unread" if not contents else {0: nowhere, len(contents): "kept"}.get(shown, "divided")
            fates[fate].append(op)
    return Story(key, appends, reads, finals, **{fate: tuple(ops) for fate, ops in fates.items()})


def values(read: Operation) -> list[Hashable]:
    """What a read answered, in its order."""
    return [freeze(value) for value in read.result or ()]


def once(appends: Sequence[Operation]) -> dict[Hashable, Operation]:
    """The append of every value that was appended by one operation only."""
    found: dict[Hashable, Operation] = {}
    twice = set()
    for op in appends:
        value = freeze(op.value)
        twice |= {value} & found.keys()
        found[value] = op
    return {value: op for value, op in found.items() if value not in twice}
