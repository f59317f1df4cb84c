"""The kernels of linearizability: each against a slow exact judge, against each other, and on planted faults."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest

from harness.checkers.objects.linearizable import Linearizable
from harness.kernels.calls import ANY, KEEP, NEVER, Budget, Call, CallColumns, Decision, but, call_columns, fits
from harness.kernels.compiling import fast
from harness.kernels.linear import decide as choice
from harness.kernels.linear.decide import decide_calls
from harness.kernels.linear.excerpt import excerpt
from harness.kernels.linear.linearize import decide
from harness.kernels.linear.windowed import decide_windowed
from harness.kernels.linear.zones import decide_zones, has_zones
from harness.kernels.memory import resident_bytes
from harness.model.columns import columns_of
from harness.model.history import History
from harness.model.verdict import Valid
from tests.notation import history


def plainly(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The interpreted form of a kernel."""
    return kernel


def some_order(calls: Sequence[Call]) -> bool:
    """The slow judge of calls: every order, one by one."""
    never = frozenset(i for i, call in enumerate(calls) if call.end == NEVER)

    @cache
    def possible(left: frozenset[int], state: int) -> bool:
        if left <= never:
            return True
        return any(
            fits(calls[i].needs, state)
            and all(calls[i].start < calls[j].end for j in left)
            and possible(left - {i}, state if calls[i].leaves == KEEP else calls[i].leaves)
            for i in left
        )

    return possible(frozenset(range(len(calls))), 0)


def random_calls(rng: random.Random) -> list[Call]:
    """Up to nine calls with arbitrary guards and effects, in order of start."""
    left, clients, values = rng.randint(1, 9), rng.randint(1, 6), rng.randint(1, 4)
    unsure, excluding, fresh = rng.choice((0, 0.3, 0.5)), rng.choice((0, 0, 0.3)), rng.random() < 0.5
    verbs = rng.choice(("rwwcc", "rw", "rrwc"))
    calls: list[Call] = []
    is_open: dict[int, tuple[int, int, int]] = {}
    position = written = 0
    while left or (is_open and rng.random() > 0.1):
        client = rng.randrange(clients)
        if client in is_open:
            needs, leaves, start = is_open.pop(client)
            if rng.random() >= unsure or needs < ANY:
                calls.append(Call(needs, leaves, start, position))
                position += 1
            else:
                calls.append(Call(needs, leaves, start, NEVER))
        elif left:
            left, verb = left - 1, rng.choice(verbs)
            written += verb != "r"
            needs = ANY if verb == "w" else rng.randrange(values)
            leaves = KEEP if verb == "r" else written if fresh else rng.randrange(values)
            is_open[client] = (but(needs) if verb == "r" and rng.random() < excluding else needs, leaves, position)
            position += 1
    calls += [Call(*begun, NEVER) for begun in is_open.values() if begun[0] >= ANY]
    return sorted(calls, key=lambda call: call.start)


def prefix(calls: Sequence[Call], position: int) -> list[Call]:
    """What had started at a position; what returned later is indeterminate, or left out if it only looks."""
    return [
        call if call.end <= position else call._replace(end=NEVER)
        for call in calls
        if call.start <= position and (call.end <= position or call.leaves not in (KEEP, call.needs))
    ]


def verdicts(calls: list[Call], make: Callable[..., Any]) -> Iterator[tuple[str, Decision]]:
    """What every kernel says that can decide these calls."""
    columns = call_columns(calls)
    yield "plain", decide(calls)
    yield "windowed", decide_windowed(columns, make, Budget())
    if has_zones(columns):
        yield "zones", decide_zones(columns)
    yield "chosen", decide_calls(columns, Budget())


def agree(seed: int, times: int, make: Callable[..., Any]) -> tuple[int, int]:
    """Compare all kernels with the slow judge; how many histories held, and how many did not."""
    rng, held = random.Random(seed), 0
    for _ in range(times):
        calls = random_calls(rng)
        if not calls:
            continue
        expected = some_order(calls)
        held += expected
        for kernel, found in verdicts(calls, make):
            assert found.valid is expected, (kernel, calls)
            if found.culprit is not None:
                end = calls[found.culprit].end
                assert not some_order(prefix(calls, end)), (kernel, calls)
                assert some_order(prefix(calls, end - 1)), (kernel, calls)
    return held, times - held


def test_interpreted_kernels_agree_with_the_slow_judge() -> None:
    held, failed = agree(1, 1_500, plainly)
    assert min(held, failed) > 300, "the histories must be of both kinds"


def test_compiled_kernels_agree_with_the_slow_judge() -> None:
    held, failed = agree(2, 6_000, fast)
    assert min(held, failed) > 1_000


@pytest.mark.parametrize("make", [plainly, fast])
def test_the_compiled_culprit_is_the_shortest_failing_prefix(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "fast", make)
    rng, seen = random.Random(3), 0
    for _ in range(1_000 if make is plainly else 4_000):
        calls = random_calls(rng)
        found = decide_calls(call_columns(calls), Budget(), small=False) if calls else Decision(True)
        if found.valid is False:
            assert found.culprit is not None
            end = calls[found.culprit].end
            assert not some_order(prefix(calls, end)), calls
            assert some_order(prefix(calls, end - 1)), calls
            seen += 1
    assert seen > 200


def test_witnesses_of_zones_fail_by_themselves() -> None:
    rng, seen = random.Random(4), 0
    while seen < 500:
        calls = random_calls(rng)
        columns = call_columns(calls) if calls else None
        found = decide_zones(columns) if columns is not None and has_zones(columns) else Decision(True)
        if found.valid is False and found.culprit is not None:
            end = calls[found.culprit].end
            few = [call if call.end <= end else call._replace(end=NEVER) for call in calls]
            assert not some_order([few[i] for i in found.few]), calls
            seen += 1


# --- sizes that the slow judge cannot do -----------------------------------------------------------------


def true_register(
    seed: int, operations: int, clients: int, values: int = 0, unsure: float = 0.0, verbs: Sequence[str] = "rwc"
) -> list[Call]:
    """Calls of clients of a true register. ``values`` 0: every written value is new."""
    rng, state, fresh, position, left = random.Random(seed), 0, 0, 0, operations
    seats: list[list[Any] | None] = [None] * clients
    late: list[list[Any]] = []
    calls: list[Call] = []
    while left or any(seats):
        if late and rng.random() < 0.05:
            act = late.pop(rng.randrange(len(late)))
            state = act[1] if act[0] in (ANY, state) else state
        seat = rng.randrange(clients)
        begun = seats[seat]
        if begun is None:
            if left:
                left, fresh, verb = left - 1, fresh + 1, rng.choice(verbs)
                new, old = (rng.randrange(values) + 1, rng.randrange(values) + 1) if values else (fresh, state)
                guard = ANY if verb in "rw" else old
                seats[seat] = [guard, KEEP if verb == "r" else new, position, verb, "open"]
                position += 1
        elif begun[4] == "open" and begun[3] != "r" and rng.random() < unsure:
            late += [begun] * (rng.random() < 0.5)
            calls.append(Call(begun[0], begun[1], begun[2], NEVER))
            seats[seat] = None
        elif begun[4] == "open":
            begun[4] = "failed" if begun[0] not in (ANY, state) else "done"
            if begun[3] == "r":
                begun[0] = state
            elif begun[4] == "done":
                state = begun[1]
        else:
            calls += [Call(begun[0], begun[1], begun[2], position)] * (begun[4] == "done")
            position += 1
            seats[seat] = None
    return sorted(calls, key=lambda call: call.start)


def with_stale_read(calls: list[Call], seed: int) -> list[Call]:
    """One late read answers what was overwritten long before: a value that nobody writes near it, if there is one."""
    rng = random.Random(seed)
    reads = [i for i, call in enumerate(calls) if call.leaves == KEEP and call.end != NEVER and i > len(calls) // 2]
    which = rng.choice(reads)
    near = {call.leaves for call in calls[max(0, which - 200) : which + 200]}
    far = sorted({call.leaves for call in calls[: which - 200]} - near - {KEEP}) or [10**6]
    return [call._replace(needs=rng.choice(far)) if i == which else call for i, call in enumerate(calls)]


SHAPES: list[dict[str, Any]] = [
    {"operations": 3_000, "clients": 10, "values": 5},
    {"operations": 3_000, "clients": 30, "values": 5},
    {"operations": 3_000, "clients": 10, "values": 5, "unsure": 0.05},
    {"operations": 3_000, "clients": 20},
    {"operations": 3_000, "clients": 10, "unsure": 0.05},
    {"operations": 1_000, "clients": 100, "verbs": "rw"},
    {"operations": 3_000, "clients": 10, "values": 300, "verbs": "rw"},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_true_register_of_any_shape_holds(shape: dict[str, Any]) -> None:
    for seed in range(3):
        calls = call_columns(true_register(seed, **shape))
        assert decide_windowed(calls, fast, Budget(2_000_000)).valid is True
        assert decide_calls(calls, Budget(2_000_000)).valid is True


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape["clients"] <= 20], ids=str)
def test_a_stale_read_is_found_where_it_is_and_shown_small(shape: dict[str, Any]) -> None:
    calls = with_stale_read(true_register(7, **shape), 7)
    columns = call_columns(calls)
    found = decide_calls(columns, Budget(5_000_000), small=False)
    assert found.valid is False
    assert found.culprit is not None
    plain = decide(calls, budget=Budget(2_000_000))
    assert plain.valid is False
    part = excerpt(columns, found)
    assert found.culprit in part.at
    assert len(part.at) <= 2_000


def test_more_than_a_word_of_open_calls() -> None:
    writes = [Call(ANY, 1 + i % 7, i, 10_000 + i) for i in range(150)]
    reads = [Call(1 + i % 7, KEEP, 1_000 + 2 * i, 1_001 + 2 * i) for i in range(150)]
    assert decide_windowed(call_columns(writes + reads), fast, Budget()).valid is True
    too_late = [*writes, *reads, Call(1, KEEP, 20_000, 20_001), Call(2, KEEP, 20_002, 20_003)]
    assert decide_windowed(call_columns(too_late), fast, Budget()).valid is False


@pytest.mark.parametrize("values", [1, 5, 200])
def test_hundreds_of_pending_writes_do_not_explode(values: int) -> None:
    pending = [Call(ANY, 1 + i % values, i, NEVER) for i in range(200)]
    rest = [
        call._replace(start=call.start + 1_000, end=call.end + 1_000 if call.end != NEVER else NEVER)
        for call in true_register(5, 2_000, 10, 5)
    ]
    calls = call_columns(pending + rest)
    assert decide_windowed(calls, fast, Budget(1_000_000)).valid is True


def test_over_budget_the_prefix_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = call_columns(true_register(1, 3_000, 20, 5))
    found = decide_windowed(calls, fast, Budget(configurations=500))
    assert (found.valid, found.limit) == (None, "more than 500 configurations")
    assert 0 < found.decided_to < int(calls.start[-1])
    by_time = decide_windowed(calls, fast, Budget(deadline_s=0.0))
    assert by_time.valid is not False
    monkeypatch.setattr("harness.kernels.linear.windowed._SLICE", 100)
    no_memory = decide_windowed(calls, fast, Budget(memory_mb=0))
    assert (no_memory.valid, no_memory.limit[:12]) == (None, "memory limit")


def test_memory_is_what_the_process_really_grew_by(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = call_columns(true_register(1, 3_000, 20, 5))
    monkeypatch.setattr("harness.kernels.linear.windowed._SLICE", 100)
    assert decide_windowed(calls, fast, Budget(memory_mb=64)).valid is True
    held = iter([1 << 30, *[(1 << 30) + (65 << 20)] * 100])
    monkeypatch.setattr("harness.kernels.linear.windowed.resident_bytes", lambda: next(held))
    found = decide_windowed(calls, fast, Budget(memory_mb=64))
    assert (found.valid, found.limit[:21]) == (None, "memory limit of 64 MB")


def test_resident_memory_follows_what_is_held() -> None:
    before = resident_bytes()
    held = np.ones(8 << 20, np.int64)
    assert resident_bytes() - before > held.nbytes // 2


# --- a kernel that is made wrong is found out ------------------------------------------------------------


def test_a_zone_kernel_without_backward_zones_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    real = np.searchsorted
    monkeypatch.setattr("harness.kernels.linear.zones.np.searchsorted", lambda a, v: real(a, v) * 0)
    with pytest.raises(AssertionError):
        agree(2, 3_000, plainly)


def test_a_search_that_drops_too_much_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.kernels.linear.window_room.dominates", lambda *_: True)
    with pytest.raises(AssertionError):
        agree(2, 3_000, plainly)


# --- what answers mean -----------------------------------------------------------------------------------


def judged(events: History, **options: Any) -> Valid:
    """By columns and by events: they must say the same."""
    checker = Linearizable(**options)
    by_columns, by_events = checker.check_columns(columns_of(events)).valid, checker.check(events).valid
    assert by_columns is by_events
    return by_events


def test_a_failed_compare_and_set_is_absent_or_says_what_was_not_there() -> None:
    events = history("a:w1 a:ok b:c12 b:fail a:r a:ok1")
    assert judged(events) is Valid.TRUE
    assert judged(events, failed_cas="constrains") is Valid.FALSE
    assert judged(history("a:w1 b:c12 b:fail a:ok a:r a:ok1"), failed_cas="constrains") is Valid.TRUE


def test_a_contradicted_failure_is_told() -> None:
    verdict = Linearizable(failed_cas="constrains").check(history("a:w1 a:ok b:c12 b:fail a:r a:ok1"))
    assert "compare-and-set from 1 to 2 failed" in verdict.summary
    assert verdict.excerpts[0].operations


def test_a_read_of_nothing_saw_the_initial_value_or_says_nothing() -> None:
    events = history("a:w1 a:ok b:r b:ok_")
    assert judged(events, initial=0) is Valid.FALSE
    assert judged(events, initial=0, nil_read="unknown") is Valid.TRUE
    assert judged(history("b:r b:ok_ a:w1 a:ok"), initial=0) is Valid.TRUE
    assert judged(history("b:r b:ok0 a:w1 a:ok"), initial=0) is Valid.TRUE
    assert judged(history("b:r b:ok0 a:w1 a:ok"), initial=5) is Valid.FALSE


def test_columns_split_by_key_like_events() -> None:
    events = history("a@x:w1 b@y:w2 a:ok b:ok a@y:r a:ok2 b@x:r b:ok1 c@x:r c:ok2")
    assert judged(events) is Valid.FALSE
    assert Linearizable().check_columns(columns_of(events)).details["bad_keys"] == ["x"]


def test_an_empty_list_of_calls_holds() -> None:
    nothing = np.array([], np.int32)
    none = CallColumns(nothing, nothing, nothing.astype(np.int64), nothing.astype(np.int64), 1)
    assert decide_calls(none, Budget()).valid is True
    assert decide_windowed(none, plainly, Budget()).valid is True
