"""What an operation did, in the few words that every explanation uses: ``read 4``, ``compare-and-set 1 to 2``."""

from __future__ import annotations

from typing import Any, Final

from harness.checkers.wording import client, during, thing
from harness.kernels.models import freeze
from harness.model.history import Operation
from harness.model.op import OK

_ASKS: Final = ("read", "get", "members", "dequeue", "drain", "generate")
"""Operations whose answer is the point."""
_TELLS: Final = ("write", "put", "append", "add", "remove", "enqueue")
"""Operations whose argument is the point, even when it is nothing."""
_READS: Final = ("r", "read", ":r", ":read")
_WRITES: Final = ("w", "write", ":w", ":write")
_MICRO: Final = (*_READS, *_WRITES, "append", ":append", "send", "poll")


def deed(op: Operation, most: int = 160) -> str:
    """``write 7``, ``dequeue nothing``, ``transfer 5 from a to b``, ``txn read x = 1, write 2 to y``; cut where it is
    longer than ``most`` characters."""
    text = _deed(op)
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def tell(op: Operation) -> str:
    """``client 3 in eu-west-1: write 7 to key x (2.822 to 2.824 s)``"""
    of = "" if op.key is None else f" {'to' if op.f in _TELLS else 'of'} key {op.key}"
    return f"{client(op)}: {deed(op)}{of} ({during(op)})"


def whose(op: Operation) -> str:
    """``client 3's write 7``"""
    return f"client {op.process}'s {deed(op)}"


def _deed(op: Operation) -> str:
    value, answered = op.value, op.type == OK
    if op.f == "cas" and isinstance(value, list | tuple) and len(value) == 2:
        return f"compare-and-set {thing(value[0])} to {thing(value[1])}"
    if op.f == "transfer" and isinstance(value, dict) and {"from", "to", "amount"} <= value.keys():
        return f"transfer {thing(value['amount'])} from {thing(value['from'])} to {thing(value['to'])}"
    steps = op.result if answered and op.result is not None else value
    if isinstance(steps, list | tuple) and steps and all(map(_is_micro, steps)):
        told = ", ".join(_micro(step, answered) for step in steps)
        return told if op.f in ("send", "poll") else f"{op.f} {told}"
    if op.f in _ASKS:
        return f"{op.f} {thing(op.result)}" if answered else op.f if value is None else f"{op.f} {thing(value)}"
    argument = "" if value is None and op.f not in _TELLS else f" {thing(value)}"
    news = answered and op.result is not None and freeze(op.result) != freeze(value)
    return f"{op.f}{argument}{f' -> {thing(op.result)}' if news else ''}"


def _is_micro(step: Any) -> bool:
    return isinstance(step, list | tuple) and 0 < len(step) <= 3 and step[0] in _MICRO


def _micro(step: Any, answered: bool) -> str:
    f, key, value = (*step, None, None)[:3]
    name = str(f).lstrip(":")
    if name == "poll":
        return f"poll {_polled(key)}" if answered else "poll"
    if name == "send" and isinstance(value, list | tuple) and len(value) == 2:
        return f"send {thing(value[1])} to {thing(key)} (offset {thing(value[0])})"
    if f in _READS:
        return f"read {thing(key)} = {thing(value)}" if answered else f"read {thing(key)}"
    return f"{'write' if f in _WRITES else name} {thing(value)} to {thing(key)}"


def _polled(records: Any) -> str:
    if not isinstance(records, dict):
        return thing(records)
    told = [
        f"{thing(key)}: {', '.join(map(_record, some))}"
        for key, some in records.items()
        if isinstance(some, list | tuple)
    ]
    return "; ".join(told) or "nothing"


def _record(record: Any) -> str:
    if isinstance(record, list | tuple) and len(record) == 2:
        return f"{thing(record[1])} at offset {thing(record[0])}"
    return thing(record)
