"""Money that moves and is neither made nor lost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any, Final

from harness.certify import laws
from harness.certify.contract import Expected, Family, Question, System
from harness.certify.plants import spoiled
from harness.certify.systems import store
from harness.certify.systems.store import Deed
from harness.certify.tape import Asked, scattered
from harness.checkers.transactions.bank import Bank
from harness.model.history import History
from harness.model.op import FAIL, OK, Op

CHECK: Final = Bank().check
_HELD: Final = ([5, 5, 0], [3, 7, 0], [0, 0, 10], [4, 4, 2], [10, 0, 0], [1, 2, 7])
_ODD: Final = ([5, 6, 0], [-1, 11, 0], [5, None, 5], [5, 5], [11, 0, 0])


def choose(random: Random, _: int) -> Asked:
    """Transfers among three accounts, and reads."""
    order = {"from": 0, "to": 1, "amount": 1}
    return Asked("read") if random.random() < 0.6 else Asked("transfer", order)


def answer(random: Random, op: Op, _: Sequence[Op]) -> object:
    """Mostly balances that sum to ten."""
    if op.f == "transfer":
        return op.value
    return dict(enumerate(random.choice(_HELD if random.random() < 0.85 else _ODD)))


def judge(history: History) -> Expected:
    """Every two reads show the same accounts and the same sum; no balance is missing or below zero."""
    reads = [op.result for op in history.operations if op.f == "read" and op.type == OK]
    for balances in reads:
        if any(amount is None or amount < 0 for amount in balances.values()):
            return Expected.BROKEN
    if any(set(a) != set(b) or sum(a.values()) != sum(b.values()) for a in reads for b in reads):
        return Expected.BROKEN
    moved = any(op.f == "transfer" and op.type != FAIL for op in history.operations)
    return Expected.HOLDS if len(reads) > 1 and moved else Expected.OPEN


def plan(random: Random, _: int) -> Deed:
    """What clients do."""
    order = {"from": random.randrange(3), "to": random.randrange(3), "amount": random.randint(1, 9)}
    return Deed("transfer", "transfer", order) if random.random() < 0.6 else Deed("read", "accounts")


def torn(random: Random) -> History:
    """Read committed: a read sees each account at another moment."""

    class Torn(store.Store):
        def accounts(self, now: store.State, *_: Any) -> dict[int, int]:
            return {name: random.choice([*self.past[-3:], now]).balances[name] for name in now.balances}

    return History(store.Run(random, Torn(random, store.EVENTUAL, 0.0), 0.04).events(plan, (), 160))


def other_accounts(history: History, _: Random) -> History:
    """Accounts get other names."""

    def renamed(value: Any) -> Any:
        if not isinstance(value, dict) or "amount" in value:
            return value
        return {f"account {name}": amount for name, amount in value.items()}

    return laws.changed(history, value=renamed)


FAMILY: Final = Family(
    name="bank",
    draw=partial(scattered, choose=choose, answer=answer, most=8),
    questions=(Question("bank", CHECK, judge),),
    sound=store.running(plan, steps=60),
    plants={
        "wrong-total": spoiled("read", lambda b: {**b, 0: b[0] + 1}),
        "negative-balance": spoiled("read", lambda b: {**b, 0: -1, 1: b[1] + b[0] + 1}),
        "nil-balance": spoiled("read", lambda b: {**b, 0: None}),
        "other-accounts": spoiled("read", lambda b: {**b, 9: 0}),
    },
    laws={
        "other processes": laws.other_processes,
        "other times": laws.other_times,
        "other accounts": other_accounts,
        "repeated reads": laws.echoed("read"),
    },
    systems=(
        System("snapshot", store.running(plan), True, CHECK),
        System("read committed", torn, False, CHECK),
    ),
)
