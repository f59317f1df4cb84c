"""Transactions: every anomaly by hand with a near miss, and the parts of the checker."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.certify.systems import database
from harness.certify.txn_anomalies import LISTS, REGISTERS
from harness.certify.txn_notation import transactions
from harness.checkers.transactions.isolation import Transactions
from harness.checkers.transactions.models import (
    ALIASES,
    RULED_OUT_BY,
    WEAKER,
    forbidden,
    order_needed,
    violated,
    weakest,
)
from harness.checkers.transactions.reading import micro_ops
from harness.kernels.transactions import graph as txn_graph
from harness.kernels.transactions.graph import bridged, components
from harness.kernels.transactions.zones import covers
from harness.model.history import History
from harness.model.op import INVOKE, OK, Op
from harness.model.verdict import Valid, Verdict

APPEND, REGISTER = "list-append", "rw-register"


def judged(text: str, kind: str = APPEND, consistency: str = "strict-serializable", **how: Any) -> Verdict:
    return Transactions(kind=kind, consistency=(consistency,), **how).check(transactions(text))


# --- lists, by hand --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LISTS)
def test_each_anomaly_of_lists_is_found_and_called_by_its_name(name: str) -> None:
    text, anomalies, falls = LISTS[name]
    verdict = judged(text)
    assert verdict.valid is Valid.FALSE
    assert verdict.details["anomalies"] == sorted(anomalies)
    assert verdict.details["not"] == weakest(falls)


NEAR_MISSES = (
    "a: x+1 y+1 | b: x+2 y+2 | [c: x?1,2 y?1,2",  # G0
    "a: x+1 | b: x+2 | [c: x?2,1",  # overlapping appends may happen in any order
    "a!: x+1 | b: x?",
    "a~: x+1 | b: x?1",  # an indeterminate append may have happened
    "a~: x+1 | [b: x? | [c: x?1",  # even after others began
    "a: x+1 x+2 | b: x?1,2",
    "a: x+1 x?1 x+2 | b: x?1,2",  # one may read one's own intermediate state
    "a: x+1 y? | b: x?1 y+1",
    "a: x? | a: x+1",
    "a: x+1 y+1 | b: x?1 y?1",
    "a: x+1 y+1 | b: x? y?",
    "a: x+1 | b: y+1 | c: x?1 y? | d: x?1 y?1",  # no fork
    "a: x? y+1 | b: y?1 x+1 | [c: x?1 y?1",
    "a: x+1 | [b: x?1 x+2 x?1,2 | [c: x?1,2",
    "a: x? x+1 | b: x?1 x+2 | [c: x?1,2",
    "a: x? x+1 | b: x+2 | [c: x?1,2",  # only one of them read
    "a: x? x+1 | b!: x? x+2",
    "a: x+1 | [b: x+2 | [c: x+3 | [d: x?1,2,3",
    "a: x+1 | b: x?",  # overlapping: the read may come first
    "a!: x+1 | b: x+1 | c: x?1",  # a failed append that was tried again
    "a: ",
)


@pytest.mark.parametrize("text", NEAR_MISSES)
def test_what_only_looks_like_an_anomaly_of_lists_is_none(text: str) -> None:
    verdict = judged(text)
    assert verdict.details["anomalies"] == []
    assert verdict.valid is Valid.TRUE
    assert verdict.details["not"] == verdict.details["also_not"] == []


# --- registers, by hand ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", REGISTERS)
def test_each_anomaly_of_registers_is_found_and_called_by_its_name(name: str) -> None:
    text, anomalies = REGISTERS[name]
    verdict = judged(text, REGISTER)
    assert verdict.valid is Valid.FALSE
    assert verdict.details["anomalies"] == sorted(anomalies)


@pytest.mark.parametrize(
    "text",
    [
        "a: x=1 | b: x=2 | c: x:1 | d: x:2 | e: x:1 | f: x:2",  # all overlap
        "a: x=1 | [b: x=2 | c: x:1 | [d: x:2",
        "a: x:_ x=1 y=1 | b: x:_ y:_",
        "a~: x=1 | [b: x:_ | [c: x:1",
        "a: x=1 x=2 x:2 | b: x:2",
        "a: x=1 | [b: x:1 x=2 | [c: x:2 x=3 | [d: x:3",
        "a!: x=1 | b: x=1 | c: x:1",
    ],
)
def test_what_only_looks_like_an_anomaly_of_registers_is_none(text: str) -> None:
    for sequential in (False, True):
        verdict = judged(text, REGISTER, sequential_keys=sequential)
        assert (verdict.valid, verdict.details["anomalies"]) == (Valid.TRUE, [])


def test_what_is_known_of_single_keys_lets_more_be_concluded() -> None:
    back_and_forth = "a: x=1 | b: x=2 | [c: x:1 | [d: x:2 | [e: x:1"
    assert judged(back_and_forth, REGISTER).valid is Valid.TRUE
    assert judged(back_and_forth, REGISTER, linearizable_keys=True).details["anomalies"] == ["cyclic-versions"]
    one_client = "a: x=1 | b: x=2 | c: x:1 | c: x:2 | c: x:1"
    assert judged(one_client, REGISTER).valid is Valid.TRUE
    assert judged(one_client, REGISTER, sequential_keys=True).details["anomalies"] == ["cyclic-versions"]
    skewed = "a: x=1 | [b: x=2 y=1 | d: y:_ z=1 | c: x:1 z:1"
    assert judged(skewed, REGISTER, consistency="serializable").valid is Valid.TRUE


def test_a_key_whose_versions_are_circular_says_nothing_about_other_keys() -> None:
    """The circle is named, and what other keys show is still found."""
    verdict = judged("a: x:2 x=1 | b: x:1 x=2 | c: y=1 | [d: y:_", REGISTER)
    assert verdict.details["anomalies"] == ["G-single-realtime", "G1c", "cyclic-versions"]
    told = next(
        excerpt for excerpt in verdict.excerpts if "circle" in excerpt.title and "cyclic-versions" in excerpt.title
    )
    assert re.search(r"versions of x .*: (1 < 2 < 1|2 < 1 < 2)", told.title)


# Liu, Gu, Wei and Basin, "Plume" (OOPSLA 2024), name patterns whose absence characterizes weak isolation.
PATTERNS = {
    "thin air read": "a: x:9",
    "aborted read": "a!: x=1 | b: x:1",
    "future read": "a: x:1 x=1",
    "not my last write": "a: x=1 x=2 x:1",
    "not my own write": "a: x=1 x:2 | b: x=2",
    "intermediate read": "a: x=1 x=2 | b: x:1",
    "cyclic causality": "a: x=1 y:1 | b: y=1 x:1",
    "non-repeatable read": "a: x=1 | b: x:1 x=2 | c: x:1 x:2",
    "non-monotonic read along causality": "a: x=1 | b: x:1 x=2 y=2 | c: y:2 x:1",
    "non-monotonic read along commits": "a: x=1 | b: x:1 x=2 | c: x:2 y=3 | d: y:3 x:1",
    "fractured read along causality": "a: x=1 | b: x:1 x=2 y=2 | c: x:1 y:2",
    "fractured read along commits": "a: x=1 y=1 | b: x:1 x=2 y:1 y=2 | c: x:2 y:1",
    "conflict with causality": "a: x=1 | b: x:1 x=2 | c: x:2 y=3 | d: y:3 | d: x:1",
    "conflict of commits": "a: x=1 | b: x:1 x=2 | b: z=1 | d: z:1 | d: x:1",
}


@pytest.mark.parametrize("name", PATTERNS)
def test_the_patterns_of_weak_isolation_are_found(name: str) -> None:
    assert judged(PATTERNS[name], REGISTER, consistency="strong-session-snapshot-isolation").valid is Valid.FALSE


# --- models ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", WEAKER)
def test_a_stronger_model_falls_with_a_weaker_one(model: str) -> None:
    for anomaly in [name for names in RULED_OUT_BY.values() for name in names]:
        if model in violated([anomaly]):
            assert all(other in violated([anomaly]) for other, weaker in WEAKER.items() if model in weaker)


def test_the_lattice_has_no_circles_and_one_strongest_model() -> None:
    assert weakest(WEAKER) == ["read-uncommitted"]
    everything = violated(["G0"])
    assert everything == frozenset(WEAKER)
    assert violated(["G2-item-realtime"]) == {"strict-serializable"}
    assert violated(["G2-item"]) == {
        "repeatable-read",
        "serializable",
        "strong-session-serializable",
        "strict-serializable",
    }


def test_only_what_the_models_forbid_counts() -> None:
    skew = LISTS["G2-item, write skew"][0]
    verdict = judged(skew, consistency="snapshot-isolation")
    assert verdict.valid is Valid.TRUE
    assert verdict.details["tolerated"] == ["G2-item"]
    assert judged(skew, consistency="PL-3").valid is Valid.FALSE
    falls = ["serializable", "strict-serializable", "strong-session-serializable"]
    assert judged(skew, consistency="repeatable-read").details["also_not"] == falls
    for stale in (LISTS["G-single-realtime"][0], LISTS["G-single-process"][0]):
        assert judged(stale, consistency="serializable").valid is Valid.TRUE


def test_orders_are_looked_for_only_where_a_model_needs_them() -> None:
    assert order_needed(["serializable", "snapshot-isolation"]) == ""
    assert order_needed(["strong-session-snapshot-isolation"]) == "process"
    assert order_needed(["read-committed", "strict-serializable"]) == "realtime"
    assert all(forbidden("G0", [name]) for name in (*WEAKER, *ALIASES))


def test_an_unknown_model_or_kind_is_named() -> None:
    assert (
        "no consistency model is called 'serialisable'; there are" in judged("a: x+1", consistency="serialisable").cause
    )
    assert "no kind of transaction is called 'sets'" in judged("a: x+1", kind="sets").cause


# --- what cannot be judged ---------------------------------------------------------------------------


def events(*values: Any) -> History:
    """One client's acknowledged transactions, answered as asked."""
    made = [(type_, value) for value in values for type_ in (INVOKE, OK)]
    return History(
        Op(type=type_, f="txn", process=0, value=value, index=i, time_ns=i) for i, (type_, value) in enumerate(made)
    )


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("x", r"event 0: its value is 'x'; it must be a list"),
        ([["append", "x"]], r"event 0: \['append', 'x'\] is no micro-operation"),
        ([["w", "x", 1]], r"event 0: \['w', 'x', 1\] is neither a read"),
        ([["r", "x", 7]], r"event 0: a read answered 7; of a list, it must be a list"),
    ],
)
def test_a_transaction_that_cannot_be_read_is_named(value: Any, says: str) -> None:
    verdict = Transactions().check(events(value))
    assert verdict.valid is Valid.UNKNOWN
    assert re.search(says, verdict.cause)


def test_nothing_acknowledged_is_no_evidence() -> None:
    for text in ("a!: x+1", "a~: x+1"):
        assert judged(text).valid is Valid.UNKNOWN
    assert Transactions().check(History([])).valid is Valid.UNKNOWN


def test_a_value_that_was_written_twice_makes_its_key_unknown_and_no_other() -> None:
    verdict = judged("a: x+1 | [b: x+1 | [c: x?")
    assert verdict.valid is Valid.UNKNOWN
    assert "1 to x (by the transactions that begin at events 0 and 2)" in verdict.cause
    assert judged("a: x+1 y+1 | [b: x+1 | [c: y?").details["anomalies"] == ["G-single-realtime"]
    assert judged("a: x=1 | [b: x=1 | [c: x:1", REGISTER).valid is Valid.UNKNOWN


def test_keys_and_values_of_any_kind_are_told_apart() -> None:
    mixed = events([["append", "1", True]], [["append", 1, 1]], [["r", "1", [True]], ["r", 1, [1]], ["r", None, []]])
    assert Transactions().check(mixed).valid is Valid.TRUE
    confused = events([["append", "1", True]], [["append", 1, 1]], [["r", "1", [1]]])
    assert "garbage-read" in Transactions().check(confused).details["anomalies"]


# --- explanations ------------------------------------------------------------------------------------


def test_a_cycle_is_explained_step_by_step() -> None:
    (excerpt,) = judged("a: x+1 | [b: x? | c: x?1").excerpts
    assert excerpt.title == "T2 read x = [] and missed T1's 1, but T1 ended 1.0 ms before T2 began (G-single-realtime)"
    assert [marked.operation.process for marked in excerpt.operations] == [0, 1]
    assert [marked.mark for marked in excerpt.operations] == ["witness", "culprit"]
    assert excerpt.key == "x"
    assert excerpt.steps[0].startswith("T1, client 0: appended 1 to x (0.000 to 0.001 s)")
    assert "T1 before T2: T1 ended 1.0 ms before T2 began." in excerpt.steps
    assert excerpt.steps[-1] == (
        "Every one of them would have to come before itself: G-single-realtime, one missed write (read skew), "
        "with what had ended before."
    )


def test_of_two_cycles_the_smaller_one_is_shown() -> None:
    text = "a: x+1 y?1 | b: x?1 y+1 | c: z?1 | d: z+1 | e: u?1 v+1 | f: v?1 w+1 | g: w?1 u+1 | " + "h: x? u?1"
    verdict = judged(text)
    assert [len(cycle["transactions"]) for cycle in verdict.details["cycles"] if cycle["type"] == "G1c"] == [2, 3]


@pytest.mark.parametrize("text", [case[0] for case in (*LISTS.values(),)] + [case[0] for case in REGISTERS.values()])
def test_every_anomaly_has_an_excerpt_with_its_transactions(text: str) -> None:
    verdict = judged(text, APPEND if re.search(r"[+?]", text) else REGISTER)
    assert len(verdict.excerpts) == len(verdict.details["anomalies"])
    titles = " ".join(excerpt.title for excerpt in verdict.excerpts)
    assert all(f"({name})" in titles for name in verdict.details["anomalies"])
    assert all(excerpt.operations and excerpt.steps for excerpt in verdict.excerpts)
    assert msgspec.json.encode(verdict.details)


# --- databases of chosen isolation -----------------------------------------------------------------------


@pytest.mark.parametrize("linearizable", [False, True])
def test_strict_serializable_registers_keep_what_is_assumed_of_single_keys(linearizable: bool) -> None:
    for seed in range(8):
        history = database.run("strict-serializable", REGISTER, seed, keys=1 + seed % 4)
        checker = Transactions(kind=REGISTER, linearizable_keys=linearizable, sequential_keys=not linearizable)
        assert checker.check(history).valid is Valid.TRUE


# --- parts -----------------------------------------------------------------------------------------------


def test_columns_give_the_same_verdict_as_the_history() -> None:
    for isolation in ("strict-serializable", "read-committed"):
        history = database.run(isolation, APPEND, 3)
        ops = micro_ops(history.operations, APPEND)
        whole, columns = Transactions().check(history), Transactions().check_micro_ops(ops)
        assert whole.details == columns.details
        assert [excerpt.title for excerpt in whole.excerpts] == [excerpt.title for excerpt in columns.excerpts]


def test_both_searches_for_components_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where edges are repeated, which one of them does not survive by itself."""
    random = np.random.default_rng(5)
    for _ in range(100):
        nodes = int(random.integers(1, 12))
        source, target = random.integers(0, nodes, (2, int(random.integers(0, 30)))).astype(np.int32)
        monkeypatch.setattr(txn_graph, "SMALL", 0)
        compiled = components(source, target, nodes)
        monkeypatch.setattr(txn_graph, "SMALL", 1000)
        plain = components(source, target, nodes)
        assert np.array_equal(compiled[:, None] == compiled, plain[:, None] == plain)


def closure(relation: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    for k in range(len(relation)):
        relation = relation | (relation[:, [k]] & relation[[k], :])
    return relation


def test_few_pairs_say_the_whole_order_by_the_clock() -> None:
    random = np.random.default_rng(1)
    for round_ in range(500):
        count = int(random.integers(1, 9))
        key = random.integers(0, 2, count).astype(np.int32)
        base = random.permutation(count) * 6 if round_ % 2 else np.zeros(count, np.int64)
        end, start = (base + random.integers(0, 8 if round_ % 2 else 30, count) for _ in range(2))
        whole = (end[:, None] < start) & (key[:, None] == key) & ~np.eye(count, dtype=bool)
        few = np.zeros((count, count), bool)
        few[covers(key, end, start)] = True
        assert not (few & ~whole).any()
        for number in range(2):
            mine = np.ix_(key == number, key == number)
            right, got = closure(whole)[mine], closure(few)[mine]
            assert got.diagonal().any() if right.diagonal().any() else np.array_equal(right, got)


def test_readers_and_writers_of_a_crowded_version_share_a_virtual_node() -> None:
    """Everyone misses every writer but himself, whether the edges are direct or go through the node."""
    readers, writers = np.arange(100, dtype=np.int32), np.arange(50, 150, dtype=np.int32)
    group = np.zeros(100, np.int32)
    found, hubs = bridged(group, readers, group, writers, np.zeros(1, np.int32), 150)
    assert hubs == 1
    assert found.size < 500
    labels = components(found.source, found.target, 151)
    ring = set(labels[50:100].tolist())  # those who both read and wrote miss each other
    assert len(ring) == 1
    assert len(set(labels.tolist())) == 151 - 50 + 1
    alone, _ = bridged(group[:1], readers[:1], group[:1], readers[:1], np.zeros(1, np.int32), 150)
    assert alone.size == 0


def test_importing_the_checkers_loads_no_heavy_library() -> None:
    code = "import sys, harness.checkers.transactions.isolation; print('scipy' in sys.modules, 'numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
