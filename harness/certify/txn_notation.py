"""Transactions that fit on a line: ``transactions("a: x+1 y?1,2 | b: x?1")``.

Transactions are separated by ``|``; each is ``WHO: MICRO MICRO ...``. WHO is a client's letter (``a`` is process 0),
with ``!`` when the transaction failed and ``~`` when nobody knows. Micro-operations:

    x+1      append 1 to x           x?1,2   read x as [1, 2]       x?    read x as []
    x=1      write 1 to register x   x:1     read register x as 1   x:_   read x as nothing

By default all transactions overlap. ``[`` before WHO says that this one begins only after all before it ended:
``a: x+1 | [b: x?``; ``a<c: x?`` says so only of the transaction of ``a``. A client's next transaction always begins
after its former one ended (``a: x+1 | a: x?``).
"""

from __future__ import annotations

import re
from typing import Any

from harness.model.history import History
from harness.model.op import FAIL, INFO, INVOKE, OK, Op

_WHO = re.compile(r"\s*(?P<late>\[?)(?:(?P<after>[a-z]+)<)?(?P<who>[a-z])(?P<how>[!~]?):(?P<rest>.*)")
_MICRO = re.compile(r"(?P<key>[a-z]\d*)(?P<f>[+?=:])(?P<value>\S*)")


def transactions(text: str) -> History:
    """Parse the notation above; raises ValueError at what it does not know."""
    events: list[dict[str, Any]] = []
    open_: dict[str, tuple[str, list[Any], list[Any]]] = {}
    for part in text.split("|"):
        match = _WHO.fullmatch(part.rstrip())
        if match is None:
            raise ValueError(f"{part!r} is no transaction; write WHO: MICRO MICRO, e.g. a: x+1")
        who = match["who"]
        for over in list(open_) if match["late"] else [*(match["after"] or ""), who]:
            if over in open_:
                events.append(_end(over, *open_.pop(over)))
        asked, answered = (
            map(list, zip(*map(_micro, match["rest"].split()), strict=True)) if match["rest"].split() else ([], [])
        )
        events.append({"type": INVOKE, "process": ord(who) - ord("a"), "value": asked})
        open_[who] = ({"!": FAIL, "~": INFO, "": OK}[match["how"]], asked, answered)
    events += [_end(who, *rest) for who, rest in open_.items()]
    return History(Op(f="txn", index=i, time_ns=i * 1_000_000, **event) for i, event in enumerate(events))


def _end(who: str, type_: str, asked: list[Any], answered: list[Any]) -> dict[str, Any]:
    return {"type": type_, "process": ord(who) - ord("a"), "value": answered if type_ == OK else asked}


def _micro(word: str) -> tuple[list[Any], list[Any]]:
    """The micro-operation as asked and as answered."""
    match = _MICRO.fullmatch(word)
    if match is None:
        raise ValueError(f"{word!r} is no micro-operation; see harness/certify/txn_notation.py")
    key, f, value = match["key"], match["f"], match["value"]
    if f == "?":
        return ["r", key, None], ["r", key, [int(item) for item in value.split(",") if item]]
    if f == ":":
        return ["r", key, None], ["r", key, None if value == "_" else int(value)]
    micro = ["append" if f == "+" else "w", key, int(value)]
    return micro, micro
