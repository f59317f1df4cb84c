"""The linearizability checker: exact cases, agreement with a slow exact judge, anomalies planted in clean histories."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest

from harness.certify.families.cas_register import FAMILY
from harness.certify.oracles import orders as oracle
from harness.checkers.objects.linearizable import Linearizable
from harness.checkers.objects.register_story import SHOWN
from harness.kernels.linear.linearize import ANY, KEEP, NEVER, Budget, Call, decide
from harness.kernels.linear.reduce import reduced
from harness.kernels.models import Effect, cas_register, compiled
from harness.model.history import History, Operation
from harness.model.op import FAIL, INFO, INVOKE, OK, Op
from harness.model.verdict import Valid, Verdict
from tests.notation import history, notation


def check(text: str, **regions: str) -> Verdict:
    return Linearizable().check(history(text, regions))


# --- exact cases ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a:w1 a:ok b:r b:ok1",
        "a:r a:ok_ b:w1 b:ok",
        "a:w1 b:r b:ok_ a:ok",  # a read during a write may see either value
        "a:w1 b:r b:ok1 a:ok",
        "a:w1 b:w2 c:r a:ok b:ok c:ok1 d:r d:ok2",
        "a:w1 a:info b:r b:ok_ b:r b:ok1",  # an indeterminate write may come late
        "a:w1 a:info b:r b:ok_",  # or never
        "a:w1 a:info b:w2 b:ok b:r b:ok1",
        "a:w1 a:fail b:r b:ok_",
        "a:w1 a:ok a:c1,2 a:ok a:r a:ok2",
        "a:w1 a:ok a:c2,3 a:fail a:r a:ok1",
        "a:w1 a:ok a:c1,2 a:info b:r b:ok1 b:r b:ok2",
        "a:w1 a:ok b:r c:c1,1 c:ok b:info d:r d:ok1",
        "b:c0,1 b:info b:r a:w0 b:ok1 b:c1,1 a:ok a:r b:ok a:ok1",
        "b:w2 a:c2,3 a:info d:c3,2 d:ok b:ok",
        "b:w3 a:w3 a:ok d:w0 e:w0 b:ok d:ok b:w2 a:r e:info a:ok3 b:ok",
        "d:w3 a:w3 b:w0 c:w2 a:ok a:w1 b:ok b:c1,2 c:ok d:ok a:ok d:r b:info a:r b:w0 b:ok a:ok3 d:ok0",
        "a@x:w1 b@y:w2 a:ok b:ok a@y:r a:ok2 b@x:r b:ok1",
        "a:w1 a:ok b:r",  # a read that nobody saw end says nothing
    ],
)
def test_a_history_with_a_valid_order_holds(text: str) -> None:
    verdict = check(text)
    assert verdict.valid is Valid.TRUE, verdict.summary
    assert not verdict.excerpts


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (
            "a:w7 a:ok b:w9 b:ok c:r c:ok7 d:r d:ok9",
            "stale",
            "read 7, 1.0 ms after client 1's write of 9 was acknowledged",
        ),
        (
            "a:w7 a:ok b:w9 b:ok c:r c:ok7 d:r d:ok7",
            "lost",
            "read 7, 1.0 ms after client 1's write of 9 was acknowledged",
        ),
        ("a:w1 a:ok b:r b:ok_", "stale", "read nothing, 1.0 ms after client 0's write of 1 was acknowledged"),
        ("a:r a:ok5", "phantom", "read 5, a value that nobody ever wrote"),
        ("a:w1 a:fail b:r b:ok1", "dirty", "read 1, but client 0's write of 1 had failed"),
        ("b:r b:ok1 a:w1 a:ok", "future", "read 1, 1.0 ms before client 0 in eu began to write 1"),
        ("a:w1 a:ok b:w2 b:info c:r c:ok2 d:r d:ok1", "stale", "1.0 ms after client 2 in eu had read the newer 2"),
        ("a:w3 a:ok a:w9 a:ok b:c3,4 b:ok", "stale", "compare-and-set from 3 to 4 succeeded, 1.0 ms after client 0's"),
        ("a:c3,4 a:ok", "phantom", "succeeded, but nobody ever wrote 3"),
        ("a:w1 a:ok b:c1,2 c:c1,3 b:ok c:ok", "disorder", "but in every order"),
    ],
)
def test_a_violation_is_told_in_plain_words(text: str, kind: str, said: str) -> None:
    verdict = check(text)
    assert verdict.valid is Valid.FALSE
    assert verdict.details["violations"][0]["kind"] == kind
    assert said in verdict.summary
    assert [marked.mark for marked in verdict.excerpts[0].operations].count("culprit") == 1


def test_the_sentence_names_key_region_and_the_fault() -> None:
    verdict = check(
        "a@4:w7 a:ok 9000 b@4:w9 b:ok 12000 n:stop 12100 c@4:r 12101 c:ok7 17100 n:go", b="us-east-1", c="eu-west-1"
    )
    assert verdict.excerpts[0].title == (
        "client 2 in eu-west-1 read 7 of key 4, 3.1 s after client 1's write of 9 was acknowledged, "
        "while eu was cut off (partition-region, 12.0-17.1 s)"
    )


def test_a_fault_that_ended_shortly_before_is_mentioned() -> None:
    verdict = check("a:w7 a:ok n:stop b:w9 b:ok 800 n:go 1000 c:r c:ok7")
    assert "200 ms after the end of a fault on eu (partition-region, 0.0-0.8 s)" in verdict.summary


def test_equal_times_are_ordered_by_event() -> None:
    still = [msgspec.structs.replace(op, time_ns=0) for op in history("a:w1 a:ok b:r b:ok_")]
    assert Linearizable().check(History(still)).valid is Valid.FALSE


def test_true_is_not_one_and_lists_are_values() -> None:
    assert _rewritten("a:w1 a:ok b:r b:ok1", lambda op: True if op.f == "write" else op.value).valid is Valid.FALSE
    assert _rewritten("a:w1 a:ok b:r b:ok1", lambda op: op.value and [op.value]).valid is Valid.TRUE


def _rewritten(text: str, value: Callable[[Op], Any]) -> Verdict:
    return Linearizable().check(History(msgspec.structs.replace(op, value=value(op)) for op in history(text)))


# --- unknown -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "a:w1 a:info", "a:w1 a:fail b:r b:info"])
def test_without_any_acknowledged_operation_nothing_is_known(text: str) -> None:
    verdict = check(text)
    assert verdict.valid is Valid.UNKNOWN
    assert "nothing to judge" in verdict.cause


def test_an_operation_that_the_model_does_not_know_is_unknown_unless_ignored() -> None:
    events = history("a:w1 a:ok b:+1 b:ok b:r b:ok1")
    assert "no operation 'add'" in Linearizable().check(events).cause
    assert Linearizable(ignore=("add",)).check(events).valid is Valid.TRUE


def test_over_budget_says_how_far_it_got() -> None:
    events = simulated(random.Random(1), 300, 10, values=5)
    verdict = Linearizable(configurations=100).check(events)
    assert verdict.valid is Valid.UNKNOWN
    progress = verdict.details["undecided"][0]
    assert 0 < progress["decided_operations"] < progress["operations"]
    assert "more than 100 configurations; the first" in verdict.cause


def test_a_hard_key_does_not_hide_a_violation_on_another() -> None:
    hard = list(simulated(random.Random(1), 300, 10, values=5, key="hard"))
    easy = [
        msgspec.structs.replace(op, process=op.process + 1000, index=op.index + len(hard))
        for op in history("a@easy:w1 a:ok b@easy:r b:ok_")
    ]
    verdict = Linearizable(configurations=100).check(History([*hard, *easy]))
    assert verdict.valid is Valid.FALSE
    assert verdict.details["bad_keys"] == ["easy"]
    assert [progress["key"] for progress in verdict.details["undecided"]] == ["hard"]


# --- against the slow judge ----------------------------------------------------------------------------


def test_the_culprit_ends_the_shortest_failing_prefix() -> None:
    rng, seen = random.Random(5), 0
    for _ in range(3000):
        events = FAMILY.draw(rng)
        object_ = compiled(events.operations, cas_register, None)
        found = decide(object_.calls)
        if found.culprit is None:
            continue
        seen += 1
        end = object_.operations[found.culprit].end_index
        assert not oracle.linearizable(_until(end, events)), notation(events)
        assert oracle.linearizable(_until(end - 1, events)), notation(events)
    assert seen > 500


def _until(index: int, events: History) -> list[Operation]:
    """The operations as they stood at an event; those that failed in the end are left out from the beginning."""
    return [
        op if op.end_index <= index else msgspec.structs.replace(op, type=INFO, end_index=NEVER)
        for op in events.operations
        if op.type != FAIL and op.start_index <= index
    ]


def test_a_reduced_history_still_fails_and_every_violation_is_told() -> None:
    rng, seen = random.Random(6), 0
    for _ in range(3000):
        events = FAMILY.draw(rng)
        object_ = compiled(events.operations, cas_register, None)
        culprit = decide(object_.calls).culprit
        verdict = Linearizable().check(events)
        assert (verdict.valid is Valid.FALSE) == (culprit is not None), notation(events)
        if culprit is not None:
            seen += 1
            assert culprit in reduced(object_.calls, culprit)
            assert verdict.excerpts[0].title
            assert verdict.excerpts[0].steps
    assert seen > 500


# --- a real register with known anomalies planted --------------------------------------------------------


def simulated(
    rng: random.Random, operations: int, clients: int, values: int = 0, unsure: float = 0.1, key: Any = None
) -> History:
    """What clients of a true register see: each operation acts at one moment while it is open. ``values`` 0: every
    written value is new. With chance ``unsure`` a client never learns; half of those act later, or never."""
    events: list[Op] = []
    state: Any = None
    late: list[Op] = []
    is_open: dict[int, tuple[Op, Op | None]] = {}
    process_of, fresh, left = list(range(clients)), 0, operations

    def act(op: Op) -> Op:
        nonlocal state
        if op.f == "read":
            return msgspec.structs.replace(op, type=OK, value=state)
        if op.f == "cas" and state != op.value[0]:
            return msgspec.structs.replace(op, type=FAIL)
        state = op.value[1] if op.f == "cas" else op.value
        return msgspec.structs.replace(op, type=OK)

    def note(op: Op) -> Op:
        events.append(msgspec.structs.replace(op, index=len(events), time_ns=len(events) * 1_000_000))
        return events[-1]

    while left or is_open:
        if late and rng.random() < 0.05:
            act(late.pop(rng.randrange(len(late))))
        seat = rng.randrange(clients)
        begun, answer = is_open.get(seat, (None, None))
        if begun is None and left:
            left, fresh = left - 1, fresh + 1
            f = rng.choice(("read", "read", "write", "cas"))
            new = rng.randrange(values) if values else fresh
            old = rng.randrange(values) if values else state
            argument = {"read": None, "write": new, "cas": [old, new]}[f]
            is_open[seat] = (note(Op(type=INVOKE, f=f, process=process_of[seat], key=key, value=argument)), None)
        elif begun is not None and answer is None and begun.f != "read" and rng.random() < unsure:
            late += [begun] * (rng.random() < 0.5)
            note(msgspec.structs.replace(begun, type=INFO))
            del is_open[seat]
            process_of[seat] += clients
        elif begun is not None and answer is None:
            is_open[seat] = (begun, act(begun))
        elif answer is not None:
            note(answer)
            del is_open[seat]
    return History(events)


def replaced(events: History, index: int, value: Any) -> History:
    return History(msgspec.structs.replace(op, value=value) if op.index == index else op for op in events)


@pytest.mark.parametrize("values", [0, 2, 5, 20])
def test_a_true_register_is_never_accused(values: int) -> None:
    for seed in range(12):
        verdict = Linearizable().check(simulated(random.Random(seed), 200, 8, values, unsure=0.15))
        assert verdict.valid is Valid.TRUE, f"seed {seed}: {verdict.summary}"


@pytest.mark.parametrize("seed", range(10))
def test_one_planted_stale_read_is_found_and_shown_small(seed: int) -> None:
    events = simulated(random.Random(seed), 200, 6)
    clean = events.operations
    stale = next((read, old) for read in clean[60:] for old in clean if _outdates(clean, old, read))
    verdict = Linearizable().check(replaced(events, stale[0].end_index, stale[1].value))
    assert verdict.valid is Valid.FALSE
    assert verdict.details["violations"][0]["event"] == stale[0].end_index
    assert len(verdict.excerpts[0].operations) <= SHOWN
    assert f"read {stale[1].value}" in verdict.summary
    assert "after client" in verdict.summary


def _outdates(operations: Iterable[Operation], old: Operation, read: Operation) -> bool:
    """Whether ``read`` may not see ``old`` any more: another write lies certainly between the two."""
    return (read.f, read.type, old.f, old.type) == ("read", OK, "write", OK) and any(
        op.f == "write" and op.type == OK and old.end_index < op.start_index and op.end_index < read.start_index
        for op in operations
    )


@pytest.mark.parametrize("seed", range(10))
def test_one_planted_phantom_value_is_found(seed: int) -> None:
    events = simulated(random.Random(seed), 200, 6)
    read = [op for op in events.operations if op.f == "read" and op.type == OK][40]
    verdict = Linearizable().check(replaced(events, read.end_index, 100_000))
    assert verdict.details["violations"][0]["kind"] == "phantom"
    assert "read 100000" in verdict.summary


@pytest.mark.parametrize("seed", range(10))
def test_one_lost_write_is_found(seed: int) -> None:
    events = simulated(random.Random(seed), 120, 6)
    lost = "z:w9999 z:ok z:r z:ok_"
    end = [msgspec.structs.replace(op, index=op.index + len(events)) for op in history(lost)]
    last = next(op for op in reversed(events.operations) if op.f == "read" and op.type == OK)
    end[-1] = msgspec.structs.replace(end[-1], value=last.result)
    verdict = Linearizable().check(History([*events, *end]))
    assert verdict.valid is Valid.FALSE
    assert "after client 25's write of 9999 was acknowledged" in verdict.summary


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("broken", [False, True])
def test_names_times_and_harmless_reads_do_not_change_the_verdict(seed: int, broken: bool) -> None:
    rng = random.Random(seed)
    events = simulated(rng, 120, 6, values=4, key="k")
    if broken:
        read = [op for op in events.operations if op.f == "read" and op.type == OK][20]
        events = replaced(events, read.end_index, 77)
    renamed = list(range(1 + max(op.process for op in events)))
    rng.shuffle(renamed)
    twins = [
        [msgspec.structs.replace(op, process=renamed[op.process]) for op in events],
        [msgspec.structs.replace(op, key="other") for op in events],
        [msgspec.structs.replace(op, time_ns=op.time_ns + 10**12) for op in events],
        [msgspec.structs.replace(op, index=op.index * 3 + 7) for op in events],
        [msgspec.structs.replace(op, value=_renumbered(op.value)) for op in events],
        [*events, Op(type=INVOKE, f="read", process=9999, key="k", index=len(events))],
        [*history("z@k:r z:ok_"), *(msgspec.structs.replace(op, index=op.index + 2) for op in events)],
    ]
    for twin in twins:
        assert Linearizable().check(History(twin)).valid is (Valid.FALSE if broken else Valid.TRUE)


def _renumbered(value: Any) -> Any:
    return [_renumbered(item) for item in value] if isinstance(value, list) else value if value is None else 100 - value


# --- parts and sizes -----------------------------------------------------------------------------------


def test_a_new_model_is_one_function() -> None:
    def mutex(op: Operation) -> Effect:
        return Effect(needs=None, leaves="held") if op.f == "add" else Effect(needs="held", leaves=None)

    twice = history("a:+1 a:ok b:+1 b:ok").operations
    given_back = history("a:+1 a:ok a:w1 a:ok b:+1 b:ok").operations
    assert decide(compiled(twice, mutex, None).calls).valid is False
    assert decide(compiled(given_back, mutex, None).calls).valid is True


def test_a_value_nobody_wrote_needs_no_search() -> None:
    hard = compiled(simulated(random.Random(1), 300, 10, values=5).operations, cas_register, None).calls
    found = decide([*hard, Call(99, KEEP, 10_000, 10_001)], budget=Budget(configurations=1))
    assert found.valid is False
    assert found.culprit == len(hard)


def test_the_deadline_ends_a_search() -> None:
    calls = [Call(ANY, number + 1, number, NEVER) for number in range(40)]
    calls += [Call(number % 40 + 1, KEEP, 100 + 2 * number, 101 + 2 * number) for number in range(40)]
    calls += [Call(number % 40 + 1, number * 7 % 40 + 1, 50 + number, 10_000 + number) for number in range(40)]
    calls += [Call(5, 6, 20_000, 20_001), Call(5, 6, 20_002, 20_003)]
    found = decide(calls, budget=Budget(deadline_s=time.monotonic()))
    assert (found.valid, found.limit) == (None, "time limit")


def test_many_keys_are_judged_in_reasonable_time() -> None:
    events: list[Op] = []
    for key in range(40):
        events += [
            msgspec.structs.replace(op, process=op.process + key * 10_000, index=op.index + len(events))
            for op in simulated(random.Random(key), 300, 10, key=key)
        ]
    started = time.perf_counter()
    verdict = Linearizable().check(History(events))
    assert verdict.summary == "linearizable: 12,000 operations on 40 keys"
    assert time.perf_counter() - started < 20, "an order of magnitude above the usual second or two"
