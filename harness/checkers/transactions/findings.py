"""Anomalies that are no cycles, each in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from harness.checkers.transactions.words import Words
from harness.kernels.transactions.columns import READ, Finding


def told(finding: Finding, words: Words) -> str:
    """One sentence that names the transactions, what they did and why that cannot be."""
    return _TOLD[finding.name](finding, words)


def _aborted(finding: Finding, words: Words) -> str:
    reader, writer = finding.txns[:2]
    verb = "appended" if words.lists else "written"
    value = words.value(finding.values[0])
    read, failed = words.read(finding.rows[0]), words.name(writer)
    return f"{words.name(reader)} {read}, but {value} had been {verb} by {failed}, which failed"


def _intermediate(finding: Finding, words: Words) -> str:
    reader, writer = finding.txns
    key, wrote = finding.key, finding.rows[1]
    rows = [
        row
        for row in words.ops.rows(writer)
        if row > wrote and words.ops.key[row] == key and words.ops.kind[row] != READ
    ]
    return (
        f"{words.name(reader)} {words.read(finding.rows[0])}, a state that never was committed: "
        f"{words.name(writer)} {words.did(wrote)} and then {words.did(rows[0])}"
    )


def _internal(finding: Finding, words: Words) -> str:
    before, row = finding.rows
    had = _had(words.did(before))
    return f"{words.name(finding.txns[0])} {words.read(row)}, although the same transaction had just {had}"


def _had(did: str) -> str:
    return "written " + did.removeprefix("wrote ") if did.startswith("wrote ") else did


def _future(finding: Finding, words: Words) -> str:
    read, write = finding.rows
    return f"{words.name(finding.txns[0])} {words.read(read)} before it {words.did(write)} itself"


def _lost(finding: Finding, words: Words) -> str:
    one, other = (words.name(txn) for txn in finding.txns)
    verb = "appended to" if words.lists else "wrote"
    return (
        f"{one} and {other} both {words.read(finding.rows[0])} and then {verb} it: neither knows of the other's update"
    )


def _duplicate(finding: Finding, words: Words) -> str:
    value = words.value(finding.values[0])
    return f"{words.name(finding.txns[0])} {words.read(finding.rows[0])}, where {value} occurs twice"


def _incompatible(finding: Finding, words: Words) -> str:
    one, other = finding.txns
    row, longest = finding.rows
    if words.ops.kind[longest] != READ:
        did = words.did(longest)
        return f"{words.name(one)} {words.read(row)}, although {words.name(other)} {did} before its later elements"
    return (
        f"{words.name(one)} {words.read(row)}, but {words.name(other)} {words.read(longest)}: "
        "no order of the appends gives both"
    )


def _dirty(finding: Finding, words: Words) -> str:
    heir, witness = finding.txns[:2]
    value = words.value(finding.values[0])
    did, failed = words.did(finding.rows[0]), words.name(witness)
    return f"{words.name(heir)} {did} on top of {value}, which had been appended by {failed}, which failed"


def _garbage(finding: Finding, words: Words) -> str:
    verb = "appended" if words.lists else "wrote"
    value = words.value(finding.values[0])
    return f"{words.name(finding.txns[0])} {words.read(finding.rows[0])}, but nobody {verb} {value}"


def _circular(finding: Finding, words: Words) -> str:
    values = [words.value(value) for value in finding.values]
    return f"the versions of {words.key(finding.key)} follow each other in a circle: {' < '.join([*values, values[0]])}"


_TOLD: Final[dict[str, Callable[[Finding, Words], str]]] = {
    "G1a": _aborted,
    "G1b": _intermediate,
    "internal": _internal,
    "future-read": _future,
    "lost-update": _lost,
    "duplicate-elements": _duplicate,
    "incompatible-order": _incompatible,
    "dirty-update": _dirty,
    "garbage-read": _garbage,
    "cyclic-versions": _circular,
}
