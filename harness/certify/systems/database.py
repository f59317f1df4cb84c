"""Databases in memory with a chosen isolation, driven by clients that take turns at random: what a checker must tell
apart.

``run("snapshot-isolation", "list-append", Rng(7))`` gives a history. The isolations, from strong to none:

    strict-serializable   a transaction happens at one moment
    serializable          the same, but one that only reads may see an old state
    snapshot-isolation    reads see the state at the beginning; of two that write one key, the first to commit wins
    read-committed        reads see what is committed; writes are locked until the end
    read-uncommitted      reads see everything; writes are locked until the end, and undone by an abort
    none                  reads see everything, nothing is locked
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from harness.model.history import History
from harness.model.op import FAIL, INFO, INVOKE, OK, Op

Versions = dict[str, list[Any]]


@dataclass
class _Txn:
    process: int
    todo: list[list[Any]]
    snapshot: int
    asked: list[list[Any]] = field(default_factory=list)
    answered: list[list[Any]] = field(default_factory=list)
    wrote: list[list[Any]] = field(default_factory=list)
    doomed: bool = False


class Database:
    """Every key is a list of writes; a register's value is the last one."""

    def __init__(self, isolation: str, random: Random) -> None:
        self.isolation = isolation
        self.random = random
        self.states: list[Versions] = [{}]
        self.dirty: Versions = {}
        self.locks: dict[str, int] = {}

    def begin(self, txn: _Txn) -> None:
        """Fix what the transaction sees."""
        last = len(self.states) - 1
        reads_only = all(f == "r" for f, _, _ in txn.todo)
        old = self.isolation == "serializable" and reads_only and self.random.random() < 0.5
        txn.snapshot = self.random.randint(max(0, last - 10), last) if old else last

    def step(self, txn: _Txn) -> None:
        """Do the next micro-operation."""
        f, key, value = txn.todo.pop(0)
        if f == "r":
            txn.answered.append([f, key, self._seen(txn, key)])
            return
        if self.isolation.startswith("read-") and self.locks.setdefault(key, txn.process) != txn.process:
            txn.doomed = True
        if not txn.doomed:
            self.dirty.setdefault(key, []).append(value)
            txn.wrote.append([f, key, value])
        txn.answered.append([f, key, value])

    def _seen(self, txn: _Txn, key: str) -> list[Any]:
        if self.isolation in ("read-uncommitted", "none"):
            return list(self.dirty.get(key, []))
        state = self.states[-1 if self.isolation == "read-committed" else txn.snapshot]
        return state.get(key, []) + [value for _, k, value in txn.wrote if k == key]

    def end(self, txn: _Txn, abort: bool) -> bool:
        """Commit, or undo; whether it was committed."""
        keys = {key for _, key, _ in txn.wrote}
        conflict = self.isolation == "snapshot-isolation" and any(
            self.states[-1].get(key) != self.states[txn.snapshot].get(key) for key in keys
        )
        commits = not (abort or txn.doomed or conflict)
        if commits and keys:
            state = dict(self.states[-1])
            for _, key, value in txn.wrote:
                state[key] = [*state.get(key, []), value]
            self.states.append(state)
        if not commits and self.isolation != "none":
            for _, key, value in txn.wrote:
                self.dirty[key] = [item for item in self.dirty[key] if item != value]
        self.locks = {key: owner for key, owner in self.locks.items() if owner != txn.process}
        return commits


def run(isolation: str, kind: str, seed: int, transactions: int = 300, clients: int = 6, keys: int = 4) -> History:
    """A history of ``kind`` list-append or rw-register; a few transactions abort, a few end without an answer."""
    random, events, values = Random(seed), [], iter(range(1, 1 << 30))
    database = Database(isolation, random)
    atomic = isolation.endswith("serializable")
    open_: dict[int, _Txn] = {}
    names = list(range(clients))
    left = transactions
    while left or open_:
        client = random.randrange(clients)
        txn = open_.get(client)
        if txn is None:
            if left:
                left -= 1
                open_[client] = _begun(names[client], kind, random, values, keys)
                events.append((INVOKE, open_[client].process, [list(micro) for micro in open_[client].todo]))
                if not atomic:
                    database.begin(open_[client])
        elif txn.todo:
            if atomic:
                database.begin(txn)
            for _ in range(len(txn.todo) if atomic else 1):
                database.step(txn)
            if atomic:
                txn.doomed = not database.end(txn, random.random() < 0.05)
        else:
            del open_[client]
            committed = not txn.doomed if atomic else database.end(txn, random.random() < 0.05)
            silent = random.random() < 0.04
            names[client] += clients if silent else 0
            answer = [_shown(micro, kind) for micro in txn.answered]
            asked = [[f, key, None if f == "r" else value] for f, key, value in txn.answered]
            type_ = INFO if silent else OK if committed else FAIL
            events.append((type_, txn.process, answer if type_ == OK else asked))
    return History(
        Op(f="txn", type=type_, process=process, value=value, index=i, time_ns=i * 1_000_000)
        for i, (type_, process, value) in enumerate(events)
    )


def _begun(process: int, kind: str, random: Random, values: Any, keys: int) -> _Txn:
    verb = "append" if kind == "list-append" else "w"
    micros = []
    for _ in range(random.randint(1, 4)):
        key = "xyzuvw"[random.randrange(keys)]
        micros.append(["r", key, None] if random.random() < 0.5 else [verb, key, next(values)])
    return _Txn(process, micros, 0)


def _shown(micro: list[Any], kind: str) -> list[Any]:
    f, key, value = micro
    return [f, key, (value[-1] if value else None)] if f == "r" and kind == "rw-register" else micro
