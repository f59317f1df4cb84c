"""A history that fits on a line: ``history("a:w1 b:r a:ok b:ok0")``.

The text is a list of events, separated by blanks, in the order in which they happened, one millisecond apart.
An event is ``WHO:WHAT``. WHO is a client's letter (``a`` is process 0, ``b`` process 1 ...) and may carry a key,
``a@x:w1``; without one the key is None. ``n`` is the nemesis. WHAT begins an operation:

    w1        write 1                      r         read
    c12       compare-and-set 1 to 2       c10,20    the same with longer numbers
    +5        add 5                        m         members
    stop/go   (nemesis) a partition begins, bites / is undone

or ends the operation that the client has open:

    ok        it happened; writes, cas and adds        ok7       a read answered 7
    ok_       a read answered None                     ok{1,2}   members answered [1, 2]
    fail      it certainly did not happen              info      nobody knows

``ok*``, ``fail*``, ``info*`` take ``!text`` at the end for an error: ``a:info!timeout``. A bare number moves the
clock: ``500`` means that the next event happens at 500 ms. Clients sit in region ``eu``, except for those
that ``regions`` names: ``history("a:r a:ok_", regions={"a": "us"})``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from harness.model.clock import NS_PER_MS
from harness.model.history import History
from harness.model.op import FAIL, INFO, INVOKE, NEMESIS, OK, Op

_EVENT = re.compile(r"(?P<who>[a-z])(@(?P<key>\w+))?:(?P<what>[^!\s]+)(!(?P<error>\S*))?")


def history(text: str, regions: Mapping[str, str] | None = None) -> History:
    """Parse the notation above; raises ValueError at an event that it does not know."""
    now_ms, window = 0, 0
    begun: dict[str, Op] = {}
    events: list[Op] = []
    for word in text.split():
        if word.isdigit():
            now_ms = int(word)
            continue
        match = _EVENT.fullmatch(word)
        if match is None:
            raise ValueError(f"{word!r} is no event; write WHO:WHAT, e.g. a:w1")
        who, what = match["who"], match["what"]
        time_ns, index = now_ms * NS_PER_MS, len(events)
        now_ms += 1
        if who == "n":
            window += what == "stop"
            events.extend(_nemesis(what, f"partition#{window}", time_ns, index))
        elif what.startswith((OK, FAIL, INFO)):
            events.append(_end(begun.pop(who), what, match["error"] or "", time_ns, index))
        else:
            f, value = _begin(what)
            process, region = ord(who) - ord("a"), (regions or {}).get(who, "eu")
            key: Any = match["key"]
            begun[who] = Op(
                type=INVOKE, f=f, process=process, key=key, value=value, region=region, time_ns=time_ns, index=index
            )
            events.append(begun[who])
    return History(events)


def _begin(what: str) -> tuple[str, Any]:
    if what == "r":
        return "read", None
    if what == "m":
        return "members", None
    if what[0] == "w":
        return "write", int(what[1:])
    if what[0] == "+":
        return "add", int(what[1:])
    if what[0] == "c":
        old, new = what[1:].split(",") if "," in what else (what[1], what[2])
        return "cas", [int(old), int(new)]
    raise ValueError(f"{what!r} begins no operation; see tests/notation.py")


def _end(begun: Op, what: str, error: str, time_ns: int, index: int) -> Op:
    kind = next(kind for kind in (OK, FAIL, INFO) if what.startswith(kind))
    value, answer = begun.value, what[len(kind) :]
    if answer.startswith("{"):
        value = [int(item) for item in answer[1:-1].split(",") if item]
    elif answer and answer != "_":
        value = int(answer)
    return Op(
        type=kind, f=begun.f, process=begun.process, key=begun.key, value=value,
        region=begun.region, error=error, time_ns=time_ns, index=index,
    )  # fmt: skip


def _nemesis(what: str, id_: str, time_ns: int, index: int) -> Iterable[Op]:
    """One fault's beginning or end with its attestation, both at one moment."""
    aim = {"id": id_, "aim": "eu", "regions": ["eu"], "nodes": []}
    f: str = "start" if what == "stop" else "stop"
    seen = {"effective": True} if what == "stop" else {"healed": True}
    common: dict[str, Any] = {"f": f, "process": NEMESIS, "key": "partition-region", "time_ns": time_ns}
    yield Op(type=INVOKE, value=aim, index=index, **common)
    yield Op(type=INFO, value={**aim, **seen}, index=index + 1, **common)


def notation(events: Iterable[Op]) -> str:
    """The register operations of a history as a line of this notation, so that a failing test prints one."""
    words = []
    for op in events:
        who = chr(ord("a") + op.process) + (f"@{op.key}" if op.key is not None else "")
        if op.type != INVOKE:
            answer = ("_" if op.value is None else op.value) if op.f == "read" and op.type == OK else ""
            words.append(f"{who[0]}:{op.type}{answer}")
        elif op.f == "cas":
            words.append(f"{who}:c{op.value[0]},{op.value[1]}")
        else:
            words.append(f"{who}:{op.f[0]}{'' if op.value is None else op.value}")
    return " ".join(words)
