"""Session guarantees, causality and staleness: exact cases, judges that try every order, simulated replicas."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import permutations, product
from typing import Any

import msgspec
import pytest

from harness.checkers.causal import Causal
from harness.checkers.pram import Pram
from harness.checkers.sessions import ASSUMED, GUARANTEES, MR, MW, RYW, WFR, Sessions
from harness.checkers.staleness import Staleness
from harness.contracts import Checker
from harness.kernels.orders import components
from harness.model.clock import NS_PER_MS
from harness.model.history import History, Operation
from harness.model.op import INFO, INVOKE, OK, Op
from harness.model.verdict import Valid
from tests.notation import history, notation

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


# --- against judges that try every order ---------------------------------------------------------------------


def small(seed: int) -> History:
    """Six to nine operations of three sessions on two keys, with answers picked from what was written."""
    rng = random.Random(seed)
    events: list[Op] = []
    free = list(range(3))
    values: dict[str, list[int | None]] = {"x": [None], "y": [None]}
    for number in range(rng.randint(6, 9)):
        key, process = rng.choice("xy" if seed % 2 else "x"), rng.choice(free)
        type_, asked, answer = OK, None, rng.choice(values[key][-3:])
        f = "write" if rng.random() < 0.45 else "read"
        if f == "write":
            values[key].append(number + 1)
            asked = answer = number + 1
            type_ = INFO if rng.random() < 0.1 else OK
        for kind, value in ((INVOKE, asked), (type_, answer)):
            at = len(events)
            events.append(Op(type=kind, f=f, process=process, key=key, value=value, time_ns=at * NS_PER_MS, index=at))
    return History(events)


def happened(events: History) -> list[Operation]:
    """Operations without those indeterminate writes that nobody read."""
    seen = {op.result for op in events.operations if op.f == "read"}
    return [op for op in events.operations if op.type == OK or op.value in seen]


def orders(ops: Sequence[Operation], edges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, ...]]:
    """Every order of the positions in ``ops`` that respects ``edges``."""
    pairs = list(edges)
    for order in permutations(range(len(ops))):
        place = {at: rank for rank, at in enumerate(order)}
        if all(place[first] < place[then] for first, then in pairs):
            yield order


def sessions_hold(events: History, guarantees: set[str]) -> bool:
    """By definition: is there an order of each key's versions that satisfies all the guarantees?"""
    ops = happened(events)
    return all(
        any(
            _order_suits(["nothing", *order], [op for op in ops if op.key == key], guarantees)
            for order in permutations([op.value for op in ops if op.key == key and op.f == "write"])
        )
        for key in "xy"
    )


def _order_suits(order: list[Any], ops: Sequence[Operation], guarantees: set[str]) -> bool:
    def age(op: Operation) -> int:
        value = op.value if op.f == "write" else op.result
        return order.index("nothing" if value is None else value)

    rules = {("write", "read"): RYW, ("read", "read"): MR, ("write", "write"): MW, ("read", "write"): WFR}
    return not any(
        first.process == then.process and first.type == OK and rules[first.f, then.f] in guarantees
        and (age(first) > age(then))
        for at, first in enumerate(ops) for then in ops[at + 1 :]
    )  # fmt: skip


def causally(events: History) -> tuple[bool, bool]:
    """By definition: is the history causally consistent (CC), and convergent as well (CCv)?"""
    ops = happened(events)
    size = range(len(ops))
    before = {
        (i, j) for i, j in product(size, size) if i < j and ops[i].process == ops[j].process and ops[i].type == OK
    }
    before |= {
        (i, j) for i, j in product(size, size) if ops[i].f == "write" and ops[j].f == "read" and _same(ops, i, j)
    }
    for k, i, j in product(size, size, size):
        if (i, k) in before and (k, j) in before:
            before.add((i, j))
    if any((i, i) in before for i in size):
        return False, False
    writes = [i for i in size if ops[i].f == "write"]
    among = [(writes.index(i), writes.index(j)) for i, j in before if i in writes and j in writes]
    choices = [[writes[at] for at in order] for order in orders([ops[i] for i in writes], among)]
    reads = [i for i in size if ops[i].f == "read"]
    fits = [{i for i in reads if _explains(ops, order, i, before)} for order in choices]
    return all(any(i in fit for fit in fits) for i in reads), any(len(fit) == len(reads) for fit in fits)


def _same(ops: Sequence[Operation], i: int, j: int) -> bool:
    return bool(ops[i].key == ops[j].key and ops[i].value == ops[j].result)


def _explains(ops: Sequence[Operation], order: Sequence[int], read: int, before: set[tuple[int, int]]) -> bool:
    """Whether the last write of the key in the read's past is the one it saw, when writes come in this order."""
    past = [ops[i].value for i in order if (i, read) in before and ops[i].key == ops[read].key]
    return bool((past[-1] if past else None) == ops[read].result)


def test_sessions_agree_with_a_judge_that_tries_every_order() -> None:
    wrong = 0
    for seed in range(600):
        events = small(seed)
        for judged in [(each,) for each in GUARANTEES] + [GUARANTEES]:
            used = {*judged, *(ASSUMED[each] for each in judged)}
            verdict = Sessions(judged).check(events)
            holds = sessions_hold(events, used)
            wrong += not holds
            if verdict.valid is Valid.FALSE:
                assert not holds, notation(events)
            elif verdict.valid is Valid.TRUE:
                assert holds, notation(events)
            elif "assumed" in verdict.cause:
                assert not holds, notation(events)
    assert wrong > 150


def test_causal_agrees_with_a_judge_that_tries_every_order() -> None:
    seen = {(False, False): 0, (True, False): 0, (True, True): 0}
    for seed in range(1000):
        events = small(seed)
        expected = causally(events)
        verdicts = Causal().check(events), Causal(convergent=True).check(events)
        for verdict, holds in zip(verdicts, expected, strict=True):
            if verdict.valid is not Valid.UNKNOWN:
                assert (verdict.valid is Valid.TRUE) == holds, notation(events)
        seen[expected] += 1
        if Pram().check(events).valid is Valid.FALSE:
            assert not expected[1], notation(events)  # convergence forbids what PRAM forbids, plain CC does not
    assert min(seen.values()) > 10, seen


# --- simulated replicas --------------------------------------------------------------------------------------

Breaks = Callable[[random.Random], bool]


def never(_: random.Random) -> bool:
    return False


def replicated(seed: int, operations: int = 300, stray: Breaks = never, hasty: Breaks = never) -> History:
    """Three replicas that keep the newest write by a Lamport clock and deliver writes in causal order.

    Sessions stay with their replica, so that all models hold. When ``stray`` says so, a session asks another replica;
    when ``hasty`` does, the first replica's writes are late at the last, which does not wait for them.
    """
    rng = random.Random(seed)
    logs: list[list[tuple[int, int]]] = [[] for _ in range(3)]  # own writes of each replica: key, stamp
    known = [[0, 0, 0] for _ in range(3)]
    needs: dict[tuple[int, int], list[int]] = {}
    stores: list[dict[int, tuple[int, int]]] = [{} for _ in range(3)]
    clocks, events = [0, 0, 0], list[Op]()

    def deliver(to: int, origin: int) -> None:
        at = known[to][origin]
        if origin == to or at >= len(logs[origin]):
            return
        if any(known[to][other] < needs[origin, at][other] for other in range(3)) and not hasty(rng):
            return
        if (origin, to) == (0, 2) and hasty(rng) and rng.random() < 0.9:
            return
        key, stamp = logs[origin][at]
        known[to][origin] += 1
        clocks[to] = max(clocks[to], stamp)
        stores[to][key] = max(stores[to].get(key, (-1, -1)), (stamp, origin))

    for _ in range(operations):
        for _ in range(rng.randint(0, 2)):
            deliver(rng.randrange(3), rng.randrange(3))
        process, key = rng.randrange(6), rng.randrange(4)
        at = rng.randrange(3) if stray(rng) else process % 3
        if rng.random() < 0.4:
            clocks[at] += 1
            key += (at - key) % 3 if hasty(rng) else 0  # writers of their own keys leave no doubt about what is newer
            needs[at, len(logs[at])] = list(known[at])
            logs[at].append((key, clocks[at]))
            known[at][at] += 1
            stores[at][key] = (clocks[at], at)
            _record(events, process, "write", key, clocks[at] * 3 + at, clocks[at] * 3 + at)
        else:
            stamp = stores[at].get(key)
            _record(events, process, "read", key, None, stamp and stamp[0] * 3 + stamp[1])
    return History(events)


def _record(events: list[Op], process: int, f: str, key: Any, asked: Any, answer: Any) -> None:
    for kind, value in ((INVOKE, asked), (OK, answer)):
        at = len(events)
        events.append(Op(type=kind, f=f, process=process, key=key, value=value, time_ns=at * NS_PER_MS, index=at))


MODELS: tuple[Checker, ...] = (*(Sessions((each,)) for each in GUARANTEES), *ALL[:4])


def test_causal_replicas_satisfy_every_model_under_every_seed() -> None:
    for seed in range(25):
        for checker in MODELS:
            verdict = checker.check(replicated(seed))
            assert verdict.valid is Valid.TRUE, (seed, verdict.summary)


def test_sessions_that_stray_to_other_replicas_are_caught() -> None:
    caught = {number: 0 for number in range(len(MODELS))}
    for seed in range(20):
        events = replicated(seed, stray=lambda rng: rng.random() < 0.3)
        for number, checker in enumerate(MODELS):
            caught[number] += checker.check(events).valid is Valid.FALSE
    assert min(caught[number] for number, each in enumerate(MODELS) if getattr(each, "guarantees", 0) != (WFR,)) > 10


def test_writes_that_overtake_their_causes_are_caught() -> None:
    events = [replicated(seed, hasty=lambda rng: True) for seed in range(20)]
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


def changed(events: Iterable[Op], **how: Callable[[Any], Any]) -> History:
    """The history with some fields of every event replaced."""
    return History(
        msgspec.structs.replace(op, **{name: change(getattr(op, name)) for name, change in how.items()})
        for op in events
    )


@pytest.mark.parametrize("seed", range(12))
def test_names_and_the_time_of_day_do_not_matter(seed: int) -> None:
    events = replicated(seed, stray=(lambda rng: rng.random() < 0.02) if seed % 2 else never)
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
        verdict = checker.check(replicated(3, stray=lambda rng: rng.random() < 0.3))
        assert msgspec.json.decode(msgspec.json.encode(verdict.details)) == verdict.details
