"""Session guarantees, causality and staleness: exact cases, simulated replicas."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from harness.certify.laws import changed
from harness.certify.systems import replicas
from harness.certify.tape import Tape
from harness.checkers.replicas.causal import Causal
from harness.checkers.replicas.pram import Pram
from harness.checkers.replicas.sessions import GUARANTEES, MR, MW, RYW, WFR, Sessions
from harness.checkers.replicas.staleness import Staleness
from harness.contracts import Checker
from harness.kernels.orders import components
from harness.model.history import History
from harness.model.op import Op
from harness.model.verdict import Valid
from tests.notation import history

ALL: tuple[Checker, ...] = (Sessions(), Pram(), Causal(), Causal(convergent=True), Staleness(max_ms=1, max_versions=1))


# --- exact cases -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guarantee", "bad", "near"),
    [
        (RYW, "a:w1 a:ok a:r a:ok_", "a:w1 a:ok b:r b:ok_"),
        (RYW, "a:w1 a:ok a:w2 a:ok a:r a:ok1", "a:w1 a:ok a:w2 a:info c:r c:ok2 a:r a:ok1"),
        (RYW, "a:w1 a:ok a:c1,2 a:ok a:r a:ok1", "a:w1 a:ok b:w2 b:ok a:r a:ok2 a:r a:ok2"),
        (MR, "a:w1 a:ok b:r b:ok1 b:r b:ok_", "a:w1 a:ok b:r b:ok_ b:r b:ok1 c:r c:ok_"),
        (MR, "a:w1 a:ok a:w2 a:ok b:r b:ok2 b:r b:ok1", "a:w1 a:ok c:w2 c:ok b:r b:ok2 b:r b:ok1"),
        (MW, "a:w1 a:ok a:w2 a:ok b:r b:ok2 b:r b:ok1", "a:w1 a:ok a:w2 a:ok b:r b:ok2 c:r c:ok1"),
        (WFR, "a:w1 a:ok b:r b:ok1 b:w2 b:ok c:r c:ok2 c:r c:ok1", "a:w1 a:ok b:w2 b:ok c:r c:ok2 c:r c:ok1"),
    ],
)
def test_each_guarantee_is_broken_and_nearly_so(guarantee: str, bad: str, near: str) -> None:
    verdict = Sessions((guarantee,)).check(history(bad))
    assert (verdict.valid, verdict.details["anomalies"]) == (Valid.FALSE, [guarantee]), verdict.summary
    assert Sessions((guarantee,)).check(history(near)).valid is Valid.TRUE
    assert verdict.excerpts[0].operations[-1].mark in ("culprit", "witness")


def test_a_broken_guarantee_is_told_in_a_sentence_with_the_fault_that_was_on() -> None:
    verdict = Sessions().check(history("a:w1 a:ok n:stop a:r a:ok_ n:go"))
    assert verdict.summary.startswith("client 0 in eu read nothing, ")
    assert "after its own write of 1 was acknowledged, while eu was cut off" in verdict.summary
    assert [marked.operation.f for marked in verdict.excerpts[0].operations] == ["write", "read"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a@x:w1 a:ok a@y:w2 a:ok b@y:r b:ok2 b@x:r b:ok_", "initial-after-write"),
        ("a@x:w1 a:ok a@x:w3 a:ok a@y:w2 a:ok b@y:r b:ok2 b@x:r b:ok1", "overwritten"),
        ("a:w1 a:ok b:w2 b:ok c:r c:ok1 c:r c:ok2 c:r c:ok1", "went-back"),
        ("a@x:w1 a:ok b@x:w2 b:ok a@y:w3 a:ok c@y:r c:ok3 c@x:r c:ok2 c@x:r c:ok1", "went-back"),
    ],
)
def test_pram_sees_a_writer_s_order_from_every_reader(text: str, kind: str) -> None:
    verdict = Pram().check(history(text))
    assert (verdict.valid, verdict.details["anomalies"]) == (Valid.FALSE, [kind])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a@x:w1 a:ok b@x:r b:ok1 b@y:w2 b:ok c@y:r c:ok2 c@x:r c:ok_", "initial-after-write"),
        ("a@x:w1 a:ok b@x:r b:ok1 b@x:w3 b:ok b@y:w2 b:ok c@y:r c:ok2 c@x:r c:ok1", "overwritten"),
        ("a@x:r b@y:r b:ok1 b@x:w2 a:ok2 a@y:w1 a:ok b:ok", "cyclic-causality"),
    ],
)
def test_causality_is_followed_through_others(text: str, kind: str) -> None:
    text = text.replace("b@y:r b:ok1 b@x:w2 a:ok2 a@y:w1 a:ok b:ok", "b@y:r a:ok2 a@y:w1 b:ok1 b@x:w2 a:ok b:ok")
    verdict = Causal().check(history(text))
    if kind == "cyclic-causality":  # a read that ends before the write began is told as thin air
        assert verdict.details["anomalies"] == ["thin-air"]
        return
    assert (verdict.valid, verdict.details["anomalies"]) == (Valid.FALSE, [kind])
    assert Pram().check(history(text)).valid is Valid.TRUE


def test_causality_in_a_circle_is_found_among_operations_that_overlap() -> None:
    text = "a@x:c2,1 b@x:c1,2 a:ok b:ok"
    assert Causal().check(history(text)).details["anomalies"] == ["cyclic-causality"]


def test_readers_that_disagree_on_the_last_write_are_causal_but_do_not_converge() -> None:
    text = "a:w1 b:w2 a:ok b:ok a:r a:ok2 b:r b:ok1"
    assert Causal().check(history(text)).valid is Valid.TRUE
    verdict = Causal(convergent=True).check(history(text))
    assert (verdict.valid, verdict.details["anomalies"]) == (Valid.FALSE, ["cyclic-conflict"])


@pytest.mark.parametrize("checker", ALL, ids=lambda checker: type(checker).__name__)
def test_without_evidence_nothing_passes(checker: Checker) -> None:
    for text in ("", "a:w1 a:ok", "a:r a:ok_", "a:w1 a:info b:r b:info", "a:w1 a:ok b:w1 b:ok c:r c:ok1"):
        verdict = checker.check(history(text))
        assert verdict.valid is Valid.UNKNOWN, text
        assert verdict.cause, text


@pytest.mark.parametrize("checker", ALL, ids=lambda checker: type(checker).__name__)
def test_values_from_nowhere_are_wrong_under_every_model(checker: Checker) -> None:
    for text in ("a:w1 a:ok b:r b:ok7", "a:w1 a:ok a:w2 a:fail b:r b:ok2", "a:r a:ok1 b:w1 b:ok"):
        assert checker.check(history(text)).details["anomalies"] == ["thin-air"], text


@pytest.mark.parametrize("checker", ALL, ids=lambda checker: type(checker).__name__)
def test_indeterminate_writes_accuse_nobody(checker: Checker) -> None:
    for text in (
        "a:w1 a:ok b:r b:ok1 a:w2 a:info a:r a:ok1 b:r b:ok2",
        "a:w1 a:ok b:r b:ok1 a:w2 a:info b:r b:ok1",
        "a:w1 a:ok b:c1,2 b:info c:r c:ok1 b:r b:ok1 c:r c:ok2",
    ):
        assert checker.check(history(text)).valid is Valid.TRUE, text


def test_the_age_of_a_read_is_measured_in_time_and_versions() -> None:
    events = history("a:w1 a:ok a:w2 a:ok a:w3 a:ok 100 b:r b:ok1 b:r b:ok3")
    free = Staleness().check(events)
    assert (free.valid, free.judged) == (Valid.TRUE, False)
    assert (free.details["max_ms"], free.details["max_versions"], free.details["stale_reads"]) == (97.0, 2, 1)
    assert Staleness(max_ms=97, max_versions=2).check(events).valid is Valid.TRUE
    assert Staleness(max_ms=96).check(events).details["anomalies"] == ["too-old"]
    assert Staleness(max_versions=1).check(events).details["anomalies"] == ["too-far-behind"]


def test_writes_that_overlap_make_nothing_stale() -> None:
    assert Staleness(max_ms=0, max_versions=0).check(history("a:w1 b:w2 a:ok b:ok c:r c:ok1")).valid is Valid.TRUE
    read_early = history("a:w1 c:r c:ok1 b:w2 b:ok 50 c:r c:ok1 a:info")  # 1 was there before 2 began
    assert Staleness(max_ms=10).check(read_early).valid is Valid.FALSE


def test_components_are_those_of_a_graph_with_two_circles() -> None:
    labels = components(6, [0, 1, 2, 2, 3, 4], [1, 2, 0, 3, 4, 3])
    assert labels[0] == labels[1] == labels[2] != labels[3] == labels[4] != labels[5]


# --- simulated replicas --------------------------------------------------------------------------------------


def replicated(seed: int, kind: str = replicas.CAUSAL) -> History:
    return replicas.run(random.Random(seed), kind)


def _record(events: list[Op], process: int, f: str, key: Any, asked: Any, answer: Any) -> None:
    tape = Tape(events)
    tape.begin(process, f, asked, key)
    tape.end(process, answer)


MODELS: tuple[Checker, ...] = (*(Sessions((each,)) for each in GUARANTEES), *ALL[:4])


def test_causal_replicas_satisfy_every_model_under_every_seed() -> None:
    for seed in range(25):
        for checker in MODELS:
            verdict = checker.check(replicated(seed))
            assert verdict.valid is Valid.TRUE, (seed, verdict.summary)


def test_sessions_that_stray_to_other_replicas_are_caught() -> None:
    caught = {number: 0 for number in range(len(MODELS))}
    for seed in range(20):
        events = replicated(seed, replicas.STRAYING)
        for number, checker in enumerate(MODELS):
            caught[number] += checker.check(events).valid is Valid.FALSE
    assert min(caught[number] for number, each in enumerate(MODELS) if getattr(each, "guarantees", 0) != (WFR,)) > 10


def test_writes_that_overtake_their_causes_are_caught() -> None:
    events = [replicated(seed, replicas.HASTY) for seed in range(20)]
    assert sum(Causal().check(each).valid is Valid.FALSE for each in events) > 15
    assert all(Pram().check(each).valid is Valid.TRUE for each in events), "each writer's order was kept"


@pytest.mark.parametrize("seed", range(30))
def test_a_planted_read_of_the_past_is_found(seed: int) -> None:
    """At the end of a good history, a session reads again what it knows to be replaced."""
    events = list(replicated(seed))
    _record(events, 0, "write", "new", "first", "first")
    _record(events, 0, "write", "new", "second", "second")
    _record(events, 1, "read", "new", None, "second")
    good = History(events)
    assert all(checker.check(good).valid is Valid.TRUE for checker in MODELS)
    _record(events, 1, "read", "new", None, "first")
    bad = History(events)
    for checker in (Sessions((MR,)), Sessions((MW,)), Pram(), Causal(), Staleness(max_ms=0)):
        assert checker.check(bad).valid is Valid.FALSE, checker


# --- what must not matter ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_names_and_the_time_of_day_do_not_matter(seed: int) -> None:
    events = replicated(seed, replicas.STRAYING if seed % 2 else replicas.CAUSAL)
    variants = [
        changed(events, process=lambda process: 1000 - 7 * process),
        changed(events, key=lambda key: f"key {key}"),
        changed(events, value=lambda value: None if value is None else f"v{value}"),
        changed(events, value=lambda value: None if value is None else [value, True]),
        changed(events, time_ns=lambda time_ns: time_ns + 10**12),
    ]
    for checker in (*MODELS, Staleness(max_ms=20, max_versions=3)):
        expected = checker.check(events)
        for variant in variants:
            got = checker.check(variant)
            assert (got.valid, got.details["counts"]) == (expected.valid, expected.details["counts"])


def test_details_are_plain_data() -> None:
    for checker in MODELS:
        verdict = checker.check(replicated(3, replicas.STRAYING))
        assert msgspec.json.decode(msgspec.json.encode(verdict.details)) == verdict.details
