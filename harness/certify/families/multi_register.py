"""Several registers that are read and written at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final

from harness.certify import laws
from harness.certify.families import _linearizable as common
from harness.certify.plants import scene
from harness.certify.systems.store import Deed
from harness.certify.tape import Asked, Did
from harness.model.history import History
from harness.model.op import Op


def choose(random: Random, _: int) -> Asked:
    """Two registers, two values."""
    steps = [[random.choice(("read", "write")), random.choice("kl")] for _ in range(random.randint(1, 2))]
    return Asked("txn", [[f, key, None if f == "read" else random.randrange(2)] for f, key in steps])


def answer(random: Random, op: Op, _: Sequence[Op]) -> object:
    """Any value."""
    return [[f, key, random.choice((None, 0, 1)) if f == "read" else value] for f, key, value in op.value]


def plan(random: Random, number: int) -> Deed:
    """What clients do."""
    names = random.sample("klm", 2)
    if random.random() < 0.5:
        return Deed("txn", "look", [["read", name, None] for name in names])
    return Deed("txn", "many", [["write", names[0], number], ["read", names[1], None]])


def txn(process: int, text: str, type_: str = "ok") -> Did:
    """``k=1 l:2`` writes 1 to k and reads 2 from l."""
    steps = [("write", *step.split("=")) if "=" in step else ("read", *step.split(":")) for step in text.split()]
    asked = [[f, f"planted {key}", None if f == "read" else int(value)] for f, key, value in steps]
    return Did(process, "txn", asked, [[f, f"planted {key}", int(value)] for f, key, value in steps], type=type_)


def other_registers(history: History, _: Random) -> History:
    """Registers and their values get other names."""

    def renamed(value: Any) -> Any:
        return [[f, f"<{key}>", laws.renamed(new)] for f, key, new in value]

    return laws.changed(history, value=renamed)


_BOTH: Final = txn(0, "k=1 l=1")
FAMILY: Final = common.Objects(
    model="multi-register",
    choose=(choose,),
    answer=answer,
    plan=plan,
    plants={
        "stale": scene(_BOTH, txn(1, "k=2"), txn(2, "k:1"), key=None),
        "half a write": scene(_BOTH, txn(1, "k=2 l=2"), txn(2, "k:2 l:1"), key=None, together=2),
        "seen in two orders": scene(
            _BOTH, txn(1, "k=2"), txn(2, "l=2"), txn(3, "k:2 l:1"), txn(4, "k:1 l:2"), key=None, together=4
        ),
        "phantom": scene(_BOTH, txn(2, "k:3"), key=None),
        "there though it failed": scene(_BOTH, txn(1, "k=2", "fail"), txn(2, "k:2"), key=None),
        "future": scene(txn(2, "k:1"), _BOTH, key=None),
    },
    first=(),
    values=False,
    most=6,
    untouched=("txn", [["write", "q", 1]], [["write", "q", 1]]),
    laws={"other registers": other_registers},
).family()
