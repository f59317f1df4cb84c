"""Counters, banks, ids, queues, logs and replicated types: exact cases."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.certify import tape
from harness.checkers.objects.counter import Counter
from harness.checkers.objects.log import Log
from harness.checkers.objects.set import SetFull
from harness.checkers.objects.total_queue import TotalQueue
from harness.checkers.objects.unique_ids import UniqueIds
from harness.checkers.replicas.convergence import Convergence
from harness.checkers.replicas.crdt import GSet, OrSet, PnCounter
from harness.checkers.replicas.last_write_wins import LastWriteWins
from harness.checkers.transactions.bank import Bank
from harness.checkers.transactions.long_fork import LongFork
from harness.contracts import Checker
from harness.model.history import History
from harness.model.op import FAIL, INFO, INVOKE, NEMESIS, OK, Op
from harness.model.verdict import Valid

Did = tuple[Any, ...]
"""``(process, f, value, answer)``, and after it the type (ok) and the key (None)."""


def told(*did: Did) -> History:
    """Operations one after the other."""
    done = []
    for process, f, value, answer, *rest in did:
        type_, key = [*rest, OK, None][0], [*rest[1:], None][0]
        done.append(tape.Did(process, f, value, answer, key, type_))
    return tape.told(done)


CHECKERS: tuple[Checker, ...] = (
    Counter(), PnCounter(), GSet(), OrSet(), Convergence(), Bank(), UniqueIds(), TotalQueue(), Log(), LastWriteWins(),
    LongFork(),
)  # fmt: skip


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: checker.name)
def test_without_evidence_nothing_passes(checker: Checker) -> None:
    for history in (
        told(),
        told((0, "nothing", None, None)),
        told((0, "add", 1, None, INFO), (1, "read", None, None, INFO)),
    ):
        verdict = checker.check(history)
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
    (OrSet(), ((0, ADD, 2, None), (1, ADD, 2, None), (0, "remove", 2, None), (1, "remove", 2, None),
     (2, READ, None, [2])), "resurrected"),
    (OrSet(), ((0, ADD, 2, None), (1, ADD, 2, None), (0, "remove", 2, None), (2, READ, None, [2])), "true"),
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
    (TotalQueue(), ((0, "enqueue", 1, None), (1, "dequeue", None, 1), (1, "dequeue", None, 1),
     (0, "enqueue", 1, None), (2, "drain", None, [])), "duplicated"),
    (TotalQueue(), ((0, "enqueue", 1, None, INFO), (1, "dequeue", None, 1), (2, "enqueue", 1, None),
     (2, "drain", None, [])), "lost"),
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


def test_what_clients_read_before_the_final_reads_began_accuses_nobody() -> None:
    """An eventual store that was still at it when the load ended; nobody had given it any time until then."""
    early = told((0, "write", 1, None), (1, "read", None, 1), (2, "read", None, 7), (1, "read", None, 1),
                 (2, "read", None, 1))  # fmt: skip
    assert Convergence().check(tape.with_final(early, 6)).valid is Valid.TRUE
    assert Convergence().check(tape.with_final(early, 4)).valid is Valid.FALSE
    assert Convergence().check(tape.with_final(early, 1)).valid is Valid.FALSE  # something was written after it
    assert Convergence(1).check(tape.with_final(early, 6)).valid is Valid.FALSE  # a time to settle is a promise


def test_how_long_elements_of_a_set_stayed_unseen_is_told() -> None:
    events = told(
        (0, "add", 1, None), (0, "add", 2, None), (1, "members", None, [2]), (1, "members", None, [2]),
        (1, "members", None, [1, 2]),
    )  # fmt: skip
    assert SetFull().check(events).details["stable_latency_ms"] == {"0.5": 0.0, "0.95": 5.0, "0.99": 5.0, "1": 5.0}


def test_keys_of_a_log_may_be_numbers_or_the_texts_that_json_makes_of_them() -> None:
    send: Did = (0, "send", [["send", 3, 7]], [["send", 3, [0, 7]]])
    assert Log().check(told(send, (1, "poll", POLL, [["poll", {"3": [[0, 7]]}]]))).valid is Valid.TRUE
