"""Counters, banks, ids, queues, logs and replicated types: exact cases, simulated good systems, planted trouble."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from harness.checkers.bank import Bank
from harness.checkers.convergence import Convergence
from harness.checkers.counter import Counter
from harness.checkers.crdt import GSet, OrSet, PnCounter
from harness.checkers.last_write_wins import LastWriteWins
from harness.checkers.log import Log
from harness.checkers.long_fork import LongFork
from harness.checkers.set import SetFull
from harness.checkers.total_queue import TotalQueue
from harness.checkers.unique_ids import UniqueIds
from harness.contracts import Checker
from harness.model.clock import NS_PER_MS
from harness.model.history import History
from harness.model.op import FAIL, INFO, INVOKE, NEMESIS, OK, Op
from harness.model.verdict import Valid

# --- histories -------------------------------------------------------------------------------------------------

Did = tuple[Any, ...]
"""``(process, f, value, answer)``, and after it the type (ok) and the key (None)."""


def told(*did: Did) -> History:
    """Operations one after the other, each of two events a millisecond apart."""
    tape = Tape()
    for process, f, value, answer, *rest in did:
        tape.begin(process, f, value, rest[1] if len(rest) > 1 else None)
        tape.end(process, answer, rest[0] if rest else OK)
    return History(tape.events)


@dataclass
class Tape:
    """Events as they happen, a millisecond apart; client p asks node p modulo 3."""

    events: list[Op] = field(default_factory=list)
    begun: dict[int, Op] = field(default_factory=dict)

    def begin(self, process: int, f: str, value: Any, key: Any = None) -> None:
        self.begun[process] = Op(type=INVOKE, f=f, process=process, key=key, value=value, node=f"n{process % 3}")
        self._add(self.begun[process])

    def end(self, process: int, answer: Any, type_: str = OK) -> None:
        value = answer if type_ == OK and answer is not None else self.begun[process].value
        self._add(msgspec.structs.replace(self.begun.pop(process), type=type_, value=value))

    def _add(self, op: Op) -> None:
        at = len(self.events)
        self.events.append(msgspec.structs.replace(op, time_ns=at * NS_PER_MS, index=at))


class System:
    """One honest copy of everything; every operation takes effect at one moment between its events."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.count = 0
        self.number = 0
        self.members: set[int] = set()
        self.balances = {0: 30, 1: 30, 2: 40}
        self.queue: list[int] = []
        self.logs: dict[str, list[int]] = {"x": [], "y": []}
        self.positions: dict[int, dict[str, int]] = {}
        self.registers: dict[Any, Any] = {}

    def do(self, process: int, f: str, value: Any, key: Any) -> Any:
        """Take effect and answer."""
        return getattr(self, f)(process, value, key)

    def add(self, _: int, value: Any, key: Any) -> None:
        self.number += value
        self.members.add(value)

    def remove(self, _: int, value: Any, key: Any) -> None:
        self.members.discard(value)

    def total(self, *_: Any) -> int:
        return self.number

    def listed(self, *_: Any) -> list[int]:
        return sorted(self.members)

    def transfer(self, _: int, value: Any, key: Any) -> None:
        amount = min(value["amount"], self.balances[value["from"]])
        self.balances[value["from"]] -= amount
        self.balances[value["to"]] += amount

    def accounts(self, *_: Any) -> dict[int, int]:
        return dict(self.balances)

    def generate(self, *_: Any) -> int:
        self.count += 1
        return self.count

    def enqueue(self, _: int, value: Any, key: Any) -> None:
        self.queue.append(value)

    def dequeue(self, *_: Any) -> Any:
        return self.queue.pop(0) if self.queue else None

    def drain(self, *_: Any) -> list[int]:
        taken, self.queue = self.queue, []
        return taken

    def write(self, _: int, value: Any, key: Any) -> None:
        self.registers[key] = value

    def read(self, _: int, value: Any, key: Any) -> Any:
        return self.registers.get(key)

    def fork(self, _: int, value: Any, key: Any) -> Any:
        for verb, name, new in value:
            if verb == "w":
                self.registers[name] = new
        return [[verb, name, self.registers.get(name)] for verb, name, _new in value]

    def send(self, _: int, value: Any, key: Any) -> Any:
        [[verb, name, record]] = value
        self.logs[name].append(record)
        return [[verb, name, [2 * len(self.logs[name]), record]]]

    def poll(self, process: int, *_: Any) -> Any:
        at = self.positions.setdefault(process, {"x": 0, "y": 0})
        batch = {}
        for name, log in self.logs.items():
            upto = min(len(log), at[name] + self.rng.randint(0, 3))
            batch[name] = [[2 * (n + 1), log[n]] for n in range(at[name], upto)]
            at[name] = upto
        return [["poll", batch]]


Choice = tuple[str, str, Any, Any]
"""The operation's name in the history, what the system does for it, value, key."""


def simulated(seed: int, choose: Callable[[random.Random, int], Choice], final: Sequence[Choice]) -> list[Op]:
    """Five clients at a time; some operations fail, and of some nobody hears again. At the end four clients in turn
    do ``final``."""
    rng, system, tape = random.Random(seed), System(seed), Tape()
    open_: dict[int, tuple[Choice, Any, bool]] = {}
    clients, fresh = list(range(5)), 5
    for number in range(160):
        if len(open_) < 5 and rng.random() < 0.6:
            process = rng.choice([each for each in clients if each not in open_])
            choice = choose(rng, number)
            tape.begin(process, choice[0], choice[2], choice[3])
            early = rng.random() < 0.5
            open_[process] = choice, system.do(process, *choice[1:]) if early else None, early
        elif open_:
            process = rng.choice(sorted(open_))
            choice, answer, early = open_.pop(process)
            fate = rng.random()
            if fate < 0.06 and not early:
                tape.end(process, None, FAIL)
                continue
            answer = answer if early or fate < 0.08 else system.do(process, *choice[1:])
            tape.end(process, answer, INFO if fate < 0.12 else OK)
            if fate < 0.12:
                clients[clients.index(process)], fresh = fresh, fresh + 1
    for process in sorted(open_):
        choice, answer, early = open_[process]
        tape.end(process, answer if early else system.do(process, *choice[1:]))
    for process in range(fresh, fresh + 4):
        for choice in final:
            tape.begin(process, choice[0], choice[2], choice[3])
            tape.end(process, system.do(process, *choice[1:]))
    return tape.events


# --- one case per checker: a good run, and every way to spoil it ---------------------------------------------------


def counter_run(rng: random.Random, _: int) -> Choice:
    return ("add", "add", rng.randint(1, 5), None) if rng.random() < 0.6 else ("read", "total", None, None)


def pn_run(rng: random.Random, _: int) -> Choice:
    return ("add", "add", rng.choice((-2, 3, 7)), None) if rng.random() < 0.8 else ("read", "total", None, None)


def set_run(rng: random.Random, number: int) -> Choice:
    return ("add", "add", number, None) if rng.random() < 0.8 else ("members", "listed", None, None)


def or_set_run(rng: random.Random, number: int) -> Choice:
    value = rng.randrange(12)
    return ("add", "add", value, None) if rng.random() < 0.6 else ("remove", "remove", value, None)


def bank_run(rng: random.Random, _: int) -> Choice:
    order = {"from": rng.randrange(3), "to": rng.randrange(3), "amount": rng.randint(1, 9)}
    return ("transfer", "transfer", order, None) if rng.random() < 0.6 else ("read", "accounts", None, None)


def ids_run(_: random.Random, __: int) -> Choice:
    return "generate", "generate", None, None


def queue_run(rng: random.Random, number: int) -> Choice:
    return ("enqueue", "enqueue", number, None) if rng.random() < 0.85 else ("dequeue", "dequeue", None, None)


def log_run(rng: random.Random, number: int) -> Choice:
    if rng.random() < 0.6:
        return "send", "send", [["send", rng.choice("xy"), number]], None
    return "poll", "poll", [["poll"]], None


def register_run(rng: random.Random, number: int) -> Choice:
    key = rng.randrange(3)
    return ("write", "write", number, key) if rng.random() < 0.5 else ("read", "read", None, key)


def fork_run(rng: random.Random, number: int) -> Choice:
    group = number // 8
    if rng.random() < 0.5:
        return "txn", "fork", [["w", f"{group}-{number}", 1]], None
    return "txn", "fork", [["r", f"{group}-{each}", None] for each in range(group * 8, group * 8 + 8)], None


def answers(events: Sequence[Op], *names: str) -> list[int]:
    """Positions of the acknowledged ends of the named operations."""
    return [at for at, op in enumerate(events) if op.type == OK and op.f in names]


def spoil(events: Sequence[Op], at: int, change: Callable[[Any], Any]) -> list[Op]:
    """The history with another answer at one place."""
    value = change(events[at].value)
    return [msgspec.structs.replace(op, value=value) if n == at else op for n, op in enumerate(events)]


def without(events: Sequence[Op], element: Any) -> list[Op]:
    """The history in which an element never came out of the queue."""
    changed = []
    for op in events:
        if op.type == OK and op.f == "drain":
            op = msgspec.structs.replace(op, value=[each for each in op.value if each != element])
        elif op.type == OK and op.f == "dequeue" and op.value == element:
            op = msgspec.structs.replace(op, value=None)
        changed.append(op)
    return changed


@dataclass(frozen=True)
class Case:
    """A checker, a workload and ways to spoil its history: what to change in the last answers of an operation."""

    checker: Checker
    choose: Callable[[random.Random, int], Choice]
    final: tuple[Choice, ...]
    reads: str
    spoils: dict[str, Callable[[Any], Any]]


TOTAL: Choice = ("read", "total", None, None)
LISTED: Choice = ("members", "listed", None, None)
FINAL_READS = tuple(("read", "read", None, key) for key in range(3))
CASES = {
    "counter": Case(
        Counter(), counter_run, (TOTAL,), "read", {"too-low": lambda n: n - 900, "too-high": lambda n: n + 900}
    ),
    "pn-counter": Case(PnCounter(), pn_run, (TOTAL,), "read", {"wrong-total": lambda n: n + 900}),
    "g-set": Case(
        GSet(), set_run, (LISTED,), "members", {"phantom": lambda items: [*items, -5], "lost": lambda items: []}
    ),
    "or-set": Case(OrSet(), or_set_run, (LISTED,), "members", {"phantom": lambda items: [*items, -5]}),
    "convergence": Case(Convergence(), set_run, (LISTED,), "members", {"diverged": lambda items: [*items, -5]}),
    "bank": Case(
        Bank(), bank_run, (("read", "accounts", None, None),), "read",
        {
            "wrong-total": lambda b: {**b, 0: b[0] + 1},
            "negative-balance": lambda b: {**b, 0: -1, 1: b[1] + b[0] + 1},
            "nil-balance": lambda b: {**b, 0: None},
            "other-accounts": lambda b: {**b, 9: 0},
        },
    ),
    "unique-ids": Case(
        UniqueIds(), ids_run, (ids_run(random.Random(), 0),), "generate",
        {"duplicate": lambda n: n - 1},
    ),
    "total-queue": Case(
        TotalQueue(), queue_run, (("drain", "drain", None, None),), "drain", {"unexpected": lambda items: [*items, -5]}
    ),
    "log": Case(
        Log(), log_run, (("poll", "poll", [["poll"]], None),) * 60, "send",
        {
            "duplicate": lambda v: [["send", v[0][1], [9999, v[0][2][1]]]],
            "inconsistent-offset": lambda v: [["send", v[0][1], [2, v[0][2][1]]]],
        },
    ),
    "last-write-wins": Case(
        LastWriteWins(skew_ms=500), register_run, FINAL_READS, "read",
        {"thin-air": lambda n: -5, "lost": lambda n: None},
    ),
    "long-fork": Case(LongFork(), fork_run, (), "", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_good_system_raises_no_alarm_under_any_seed(name: str) -> None:
    case, passed = CASES[name], 0
    for seed in range(80):
        verdict = case.checker.check(History(simulated(seed, case.choose, case.final)))
        assert verdict.valid is not Valid.FALSE, (seed, verdict.summary)
        passed += verdict.valid is Valid.TRUE
    assert passed > (15 if name == "total-queue" else 60)  # an indeterminate dequeue leaves elements in doubt


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, case in CASES.items() for kind in case.spoils])
def test_planted_trouble_is_found_under_every_seed(name: str, kind: str) -> None:
    case = CASES[name]
    for seed in range(40):
        events = simulated(seed, case.choose, case.final)
        bad = History(spoil(events, answers(events, case.reads)[-1], case.spoils[kind]))
        verdict = case.checker.check(bad)
        assert verdict.valid is Valid.FALSE, (seed, verdict.summary)
        assert kind in verdict.details["anomalies"]
        assert verdict.excerpts[0].title in verdict.summary
        assert verdict.excerpts[0].operations


def test_a_lost_element_of_a_queue_is_found_unless_a_dequeue_may_have_taken_it() -> None:
    found = 0
    for seed in range(60):
        events = simulated(seed, queue_run, (("drain", "drain", None, None),))
        verdict = TotalQueue().check(History(without(events, events[answers(events, "enqueue")[0]].value)))
        unsure = sum(op.f == "dequeue" and op.type == INFO for op in events)
        assert verdict.details["missing"] >= 1
        assert (verdict.valid is Valid.FALSE) == (verdict.details["missing"] > unsure), (seed, verdict.summary)
        found += "lost" in verdict.details["anomalies"]
    assert found > 15


def test_a_planted_long_fork_is_found_under_every_seed() -> None:
    for seed in range(40):
        events = simulated(seed, fork_run, ())
        tape = Tape(events=list(events))
        for process, seen in ((70, (1, None)), (71, (None, 1))):
            tape.begin(process, "txn", [["r", "p", None], ["r", "q", None]])
            tape.end(process, [["r", "p", seen[0]], ["r", "q", seen[1]]])
        verdict = LongFork().check(History(tape.events))
        assert verdict.details["anomalies"] == ["long-fork"]
        assert len(verdict.excerpts[0].operations) == 2


@pytest.mark.parametrize("name", CASES)
def test_names_and_the_time_of_day_do_not_matter(name: str) -> None:
    case = CASES[name]
    for seed in range(6):
        events: Sequence[Op] = simulated(seed, case.choose, case.final)
        if seed % 2 and case.spoils:
            events = spoil(events, answers(events, case.reads)[-1], next(iter(case.spoils.values())))
        expected = case.checker.check(History(events))
        variants: list[Iterable[Op]] = [
            [msgspec.structs.replace(op, process=1000 - op.process) for op in events],
            [msgspec.structs.replace(op, key=f"key {op.key}") for op in events],
            [msgspec.structs.replace(op, time_ns=op.time_ns + 10**12) for op in events],
        ]
        for variant in variants:
            verdict = case.checker.check(History(variant))
            assert (verdict.valid, verdict.details["counts"]) == (expected.valid, expected.details["counts"])
        assert msgspec.json.decode(msgspec.json.encode(expected.details)) == expected.details


@pytest.mark.parametrize("name", CASES)
def test_without_evidence_nothing_passes(name: str) -> None:
    for history in (
        told(),
        told((0, "nothing", None, None)),
        told((0, "add", 1, None, INFO), (1, "read", None, None, INFO)),
    ):
        verdict = CASES[name].checker.check(history)
        assert verdict.valid is Valid.UNKNOWN
        assert verdict.cause


# --- exact cases -----------------------------------------------------------------------------------------------

SEND, POLL = "send", [["poll"]]


def sent(process: int, offset: int, value: int, type_: str = OK) -> Did:
    return process, "send", [["send", "x", value]], [["send", "x", [offset, value]]], type_


def polled(process: int, *records: tuple[int, int], type_: str = OK) -> Did:
    return process, "poll", POLL, [["poll", {"x": [list(record) for record in records]}]], type_


ADD, READ = "add", "read"
EXACT: list[tuple[Checker, tuple[Did, ...], str]] = [
    (Counter(), ((0, ADD, 2, None), (1, READ, None, 1)), "too-low"),
    (Counter(), ((0, ADD, 2, None), (0, ADD, 3, None, INFO), (1, READ, None, 5), (1, READ, None, 2)), "went-back"),
    (Counter(), ((0, ADD, 2, None), (0, ADD, -1, None, INFO), (1, READ, None, 2), (1, READ, None, 1)), "true"),
    (Counter(), ((0, ADD, 2, None), (0, ADD, 3, None, FAIL), (1, READ, None, 5)), "too-high"),
    (PnCounter(), ((0, ADD, 2, None), (0, ADD, 5, None, INFO), (1, READ, None, 4)), "wrong-total"),
    (PnCounter(), ((0, ADD, 2, None), (0, ADD, -5, None, INFO), (1, READ, None, -3)), "true"),
    (PnCounter(), ((0, ADD, 2, None), (1, READ, None, 2), (0, ADD, 2, None)), "unknown"),
    (GSet(), ((0, ADD, 2, None), (0, ADD, 3, None, INFO), (1, READ, None, [2])), "true"),
    (GSet(), ((0, ADD, 2, None), (0, ADD, 3, None, FAIL), (1, READ, None, [2, 3])), "phantom"),
    (OrSet(), ((0, ADD, 2, None), (0, "remove", 2, None), (1, READ, None, [2])), "resurrected"),
    (OrSet(), ((0, ADD, 2, None), (1, "remove", 2, None), (2, READ, None, [2])), "true"),  # it had not observed it
    (OrSet(), ((0, "remove", 2, None), (0, ADD, 2, None), (1, READ, None, [1])), "lost"),
    (OrSet(), ((0, "remove", 2, None, INFO), (3, ADD, 2, None), (1, READ, None, [])), "true"),
    (LastWriteWins(), ((0, "write", 1, None), (1, "write", 2, None), (2, READ, None, 1)), "older-write-won"),
    (LastWriteWins(5), ((0, "write", 1, None), (1, "write", 2, None), (2, READ, None, 1)), "true"),
    (LastWriteWins(5), ((0, "write", 1, None), (2, READ, None, None)), "lost"),
    (LastWriteWins(5), ((0, "write", 1, None), (0, "write", 2, None), (2, READ, None, 1), (1, READ, None, 2)),
     "diverged"),
    (LastWriteWins(), ((0, "write", 1, None), (0, "write", 2, None, INFO), (2, READ, None, 1), (1, READ, None, 2)),
     "true"),
    (Convergence(), ((0, "write", 1, None), (1, READ, None, 1), (2, READ, None, 7)), "diverged"),
    (Convergence(), ((0, "write", 1, None), (1, READ, None, 1), (1, READ, None, 1)), "unknown"),
    (Convergence(), ((0, "write", 1, None), (0, "write", 7, None, INFO), (1, READ, None, 1), (2, READ, None, 7)),
     "unknown"),
    (Convergence(100), ((0, "write", 1, None), (1, READ, None, 1), (2, READ, None, 7)), "unknown"),
    (UniqueIds(), ((0, "generate", None, 1), (1, "generate", None, "1")), "true"),
    (UniqueIds(), ((0, "generate", None, [1]), (1, "generate", None, [1])), "duplicate"),
    (TotalQueue(), ((0, "enqueue", 1, None), (1, "drain", None, [])), "lost"),
    (TotalQueue(), ((0, "enqueue", 1, None), (1, "dequeue", None, 2)), "unexpected"),
    (TotalQueue(), ((0, "enqueue", 1, None), (1, "dequeue", None, 1)), "unknown"),
    (TotalQueue(), ((0, "enqueue", 1, None), (1, "dequeue", None, None, INFO), (2, "drain", None, [])), "unknown"),
    (TotalQueue(), ((0, "enqueue", 1, None), (1, "dequeue", None, 1), (2, "drain", None, [1])), "duplicated"),
    (TotalQueue(), ((0, "enqueue", 1, None, INFO), (1, "enqueue", 2, None), (2, "drain", None, [1, 2])), "true"),
    (Log(), (sent(0, 0, 7), sent(0, 1, 8), polled(1, (0, 7), (1, 8))), "true"),
    (Log(), (sent(0, 0, 7), sent(0, 1, 8), sent(0, 2, 9), polled(1, (0, 7), (2, 9))), "lost"),
    (Log(), (sent(0, 0, 7), sent(0, 1, 8), sent(0, 2, 9), polled(2, (1, 8)), polled(1, (0, 7), (2, 9))), "skipped"),
    (Log(), (sent(0, 0, 7), sent(0, 4, 9), polled(1, (0, 7)), polled(1, (4, 9))), "true"),
    (Log(), (sent(0, 0, 7), sent(0, 1, 8), polled(1, (0, 7), (1, 8)), polled(1, (0, 7))), "poll-went-back"),
    (Log(), (sent(0, 0, 7), sent(0, 1, 8), polled(1, (0, 7)), polled(1, type_=INFO), polled(1, (1, 8))), "true"),
    (Log(), (sent(0, 0, 7), polled(1, (0, 7)), (1, "seek", None, None), polled(1, (0, 7))), "true"),
    (Log(), (sent(0, 3, 7), sent(0, 1, 8), polled(1, (1, 8), (3, 7))), "send-went-back"),
    (Log(), (sent(0, 0, 7), sent(0, 1, 8, FAIL), polled(1, (0, 7), (1, 8))), "phantom"),
    (Log(), (sent(0, 0, 7), sent(0, 1, 8), polled(1, (0, 7))), "unknown"),
    (Bank(total=5), ((0, "transfer", {"from": 0, "to": 1, "amount": 1}, None), (1, READ, None, {0: 1, 1: 3})),
     "wrong-total"),
    (Bank(), ((0, "transfer", {"from": 0, "to": 1, "amount": 1}, None), (1, READ, None, {0: 1})), "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("checker", "did", "expected"), EXACT)
def test_what_a_checker_says_of_a_small_history(checker: Checker, did: tuple[Did, ...], expected: str) -> None:
    verdict = checker.check(told(*did))
    said = verdict.details["anomalies"][0] if verdict.valid is Valid.FALSE else verdict.valid.value
    assert said == expected, verdict.summary


def test_nothing_is_final_while_a_fault_was_not_shown_to_be_healed() -> None:
    events = list(told((0, "write", 1, None), (1, "read", None, 1), (2, "read", None, 7)))
    start = Op(type=INVOKE, f="start", process=NEMESIS, key="partition", value={"id": "partition#1"}, time_ns=0)
    for checker in (Convergence(), LastWriteWins(), GSet()):
        verdict = checker.check(History([start, *(msgspec.structs.replace(op, index=-1) for op in events[:4])]))
        assert verdict.valid is Valid.UNKNOWN
        assert "partition#1" in verdict.cause


def test_how_long_elements_of_a_set_stayed_unseen_is_told() -> None:
    events = told(
        (0, "add", 1, None), (0, "add", 2, None), (1, "members", None, [2]), (1, "members", None, [2]),
        (1, "members", None, [1, 2]),
    )  # fmt: skip
    assert SetFull().check(events).details["stable_latency_ms"] == {"0.5": 0.0, "0.95": 5.0, "0.99": 5.0, "1": 5.0}


def test_keys_of_a_log_may_be_numbers_or_the_texts_that_json_makes_of_them() -> None:
    send: Did = (0, "send", [["send", 3, 7]], [["send", 3, [0, 7]]])
    assert Log().check(told(send, (1, "poll", POLL, [["poll", {"3": [[0, 7]]}]]))).valid is Valid.TRUE
