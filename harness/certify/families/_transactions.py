"""What the families of transactions have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, Final

import msgspec

from harness.certify import laws, txn_random
from harness.certify.contract import Change, Check, Draw, Expected, Family, Oracle, Question, System
from harness.certify.oracles import transactions as oracle
from harness.certify.plants import mixed
from harness.certify.systems import database
from harness.certify.txn_notation import transactions
from harness.checkers.transactions.isolation import Transactions
from harness.model.history import History
from harness.model.op import OK
from harness.model.verdict import Valid, Verdict

JUDGES: Final[dict[str, Callable[[Any], bool]]] = {
    "strict-serializable": partial(oracle.serializable, strict=True),
    "serializable": oracle.serializable,
    "snapshot-isolation": oracle.snapshot_isolated,
}
STRONGER: Final = {
    "serializable": "strict-serializable",
    "snapshot-isolation": "serializable",
    "read-committed": "snapshot-isolation",
    "read-uncommitted": "read-committed",
    "none": "read-uncommitted",
}
"""What each simulated database does not provide, though it provides nearly as much."""
SHOWN: Final = 2
"""The micro-operations of the last transaction of a history whose order of writes is known: it reads both keys."""


def family(kind: str, anomalies: Mapping[str, Collection[str]], texts: Mapping[str, str], complete: bool) -> Family:
    """The family of ``kind``. ``anomalies`` are those that each of ``texts``, a few transactions, shows. ``complete``:
    where the order of writes was read, every violation is found."""
    check = Transactions(kind=kind).check

    def names(verdict: Verdict) -> list[str]:
        found = set(verdict.details["anomalies"])
        return [name for name, wanted in anomalies.items() if found.issuperset(wanted)]

    return Family(
        name=kind,
        draw=partial(draw, kind=kind),
        questions=tuple(_questions(kind, check, complete)),
        sound=lambda random: database.run("strict-serializable", kind, random.getrandbits(32), random.choice((10, 60))),
        plants={name: _plant(text) for name, text in texts.items()},
        laws={
            "other processes": laws.other_processes,
            "other times": laws.other_times,
            "other names": other_names,
            "a look at the beginning": laws.begun_with("txn", [["r", "z", None]], [["r", "z", None]]),
            "repeated reads": laws.echoed("txn", only=lambda op: all(f == "r" for f, _, _ in op.value)),
        },
        systems=tuple(_systems(kind)),
        names=names,
    )


def draw(random: Random, kind: str) -> History:
    """At most three transactions, and mostly one that reads everything at the end; sometimes one read is spoiled."""
    history = txn_random.history(random, kind, 3, random.random() < 0.7, chaos=random.choice([0, 0.2, 0.4, 0.8]))
    return txn_random.spoiled(random, history) if random.random() < 0.3 else history


def _questions(kind: str, check: Check, complete: bool) -> list[Question]:
    """Each model, apart for histories that show the order of all writes."""
    found = []
    for model, judge in JUDGES.items():
        whole = Question(
            model, check, _oracle(judge, True), _answer(model), replay=f"--model {kind} --consistency {model}"
        )
        partly = replace(whole, name=f"{model}, partly read", oracle=_oracle(judge, False), missed_share=0.1)
        found += [whole, partly] if complete else [replace(whole, oracle=_oracle(judge, None), missed_share=0.15)]
    return found if complete else found + _with_keys(kind)


def _with_keys(kind: str) -> list[Question]:
    """What is known of single keys lets more be concluded; where all is strictly serializable, their being sequential
    and linearizable is true, so nothing that is may be accused."""
    strict = _oracle(JUDGES["strict-serializable"], None)
    linearizable = Transactions(kind=kind, linearizable_keys=True).check
    sequential = Transactions(kind=kind, sequential_keys=True).check
    return [
        Question("linearizable keys", linearizable, strict, missed_share=0.15, every=4),
        Question("sequential keys", sequential, strict, missed_share=0.15, every=4),
    ]


def _oracle(judge: Callable[[Any], bool], only_shown: bool | None) -> Oracle:
    def judged(history: History) -> Expected | None:
        if only_shown is not None and only_shown is not shown(history):
            return None
        if not any(op.type == OK for op in history.operations):
            return Expected.OPEN
        return Expected.HOLDS if judge(history.operations) else Expected.BROKEN

    return judged


def shown(history: History) -> bool:
    """Whether the last transaction began after all others and read every key."""
    operations = history.operations
    last = operations[-1] if operations else None
    if last is None or last.type != OK or [f for f, _, _ in last.value] != ["r"] * SHOWN:
        return False
    keys = {key for op in operations for _, key, _ in op.value}
    over = all(op.end_index < last.start_index or op.type != OK for op in operations[:-1])
    return over and keys == {key for _, key, _ in last.value}


def _answer(model: str) -> Callable[[Verdict], Valid]:
    """What a verdict on all models says of one."""

    def answer(verdict: Verdict) -> Valid:
        if verdict.valid is not Valid.FALSE:
            return verdict.valid
        falls = model in (*verdict.details["not"], *verdict.details["also_not"])
        return Valid.FALSE if falls else Valid.TRUE

    return answer


def _plant(text: str) -> Change:
    """The transactions happen among others, on keys of their own."""
    mine = transactions(text)

    def plant(history: History, random: Random) -> History:
        renamed = laws.changed(mine, value=lambda value: [[f, f"planted {key}", item] for f, key, item in value])
        return mixed(history, renamed, random)

    return plant


def _systems(kind: str) -> list[System]:
    def running(isolation: str) -> Draw:
        return lambda random: database.run(isolation, kind, random.getrandbits(32))

    def checking(model: str) -> Check:
        return Transactions(kind=kind, consistency=(model,)).check

    found = [System("strict-serializable", running("strict-serializable"), True, checking("strict-serializable"))]
    for isolation, stronger in STRONGER.items():
        if isolation != "none":
            found.append(System(isolation, running(isolation), True, checking(isolation)))
        if kind == "list-append":
            caught = f"{isolation}, said to be {stronger}"
            found.append(System(caught, running(isolation), False, checking(stronger), 0.9))
    if kind == "rw-register":
        caught = "read-committed, said to be strict-serializable"
        found.append(System(caught, running("read-committed"), False, checking("strict-serializable"), 0.9))
    return found


def other_names(history: History, random: Random) -> History:
    """Keys and values get other names, in another order."""
    keys: dict[Any, Any] = {}
    numbers: dict[Any, Any] = {}

    def named(names: dict[Any, Any], old: Any) -> Any:
        if old not in names:
            names[old] = random.choice((len(names), f"é{len(names)}")) if random.random() < 0.5 else len(names) + 50
        return names[old]

    def micro(f: str, key: Any, value: Any) -> list[Any]:
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [f, named(keys, key), [named(numbers, item) for item in value]]
        return [f, named(keys, key), None if value is None else named(numbers, value)]

    return History(msgspec.structs.replace(op, value=[micro(*each) for each in op.value]) for op in history)
