"""Laws of the generators: what each one promises, whatever it is combined with."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import count, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from harness import generators
from harness.errors import UsageError
from harness.generators import (
    NOTHING,
    PENDING,
    Answer,
    Cluster,
    Context,
    Generator,
    Liftable,
    any_of,
    ask,
    clients,
    completion,
    concat,
    cycle,
    delay,
    each_thread,
    each_thread_from,
    f_map,
    filter_ops,
    flip_flop,
    independent,
    independent_concurrent,
    lift,
    limit,
    map_ops,
    mix,
    nemesis,
    once,
    perfect,
    phases,
    repeat,
    reserve,
    schedule_hash,
    simulate,
    sleep,
    stagger,
    synchronize,
    then,
    time_limit,
    unfold,
    until_ok,
)
from harness.generators.context import lowest_threads, threads
from harness.generators.draws import below, word
from harness.model.clock import NS_PER_MS, NS_PER_S
from harness.model.op import FAIL, INFO, INVOKE, NEMESIS, OK, Op, invoke
from harness.model.seeds import Rng

READ = invoke("read")


def invocations(gen: Liftable, n: int = 3, cluster: Cluster | None = None, limit: int = 10_000) -> list[Op]:
    return [op for op in simulate(gen, n, cluster=cluster, limit=limit) if op.type == INVOKE]


def names(gen: Liftable, n: int = 3, cluster: Cluster | None = None, limit: int = 10_000) -> list[str]:
    return [op.f for op in invocations(gen, n, cluster, limit)]


def numbered(f: str = "write") -> Generator:
    """Operations without end: values 0, 1, 2 ..."""
    return unfold(lambda n: (f, None, n, n + 1), 0)


def times_ms(ops: list[Op]) -> list[float]:
    return [op.time_ns / NS_PER_MS for op in ops]


# --- lifting ------------------------------------------------------------------------------------------


def test_an_op_is_emitted_once_with_process_and_time() -> None:
    (op,) = invocations(invoke("write", 3, key="k"))
    assert (op.f, op.value, op.key, op.time_ns) == ("write", 3, "k", 0)
    assert op.process in (0, 1, 2, NEMESIS)


def test_a_dict_is_an_op() -> None:
    (op,) = invocations({"f": "write", "value": 3, "key": 9})
    assert (op.f, op.value, op.key) == ("write", 3, 9)


def test_a_list_runs_in_order() -> None:
    assert names([{"f": "a"}, [{"f": "b"}, {"f": "c"}], None, {"f": "d"}]) == ["a", "b", "c", "d"]


def test_a_function_is_called_for_each_operation_until_it_answers_none() -> None:
    def tick(ctx: Context) -> Op | None:
        return invoke("tick", ctx.time_ns) if ctx.time_ns < 30 * NS_PER_MS else None

    assert set(names(tick, 1)) == {"tick"}
    assert max(op.time_ns for op in invocations(tick, 1)) == 20 * NS_PER_MS


def test_a_function_is_not_called_when_no_thread_is_free() -> None:
    def never(ctx: Context) -> Op:
        raise AssertionError("called without a free thread")

    ctx = Context.start(0).dispatched(0, 0)
    gen = lift(never)
    assert gen.op(ctx) == (PENDING, gen)


def test_nothing_else_can_be_lifted() -> None:
    with pytest.raises(TypeError, match=r"5 \(int\) is no generator"):
        lift(5)  # type: ignore[arg-type]


# --- bounds -------------------------------------------------------------------------------------------


@given(n=st.integers(0, 50), available=st.integers(0, 50))
def test_limit_gives_at_most_n(n: int, available: int) -> None:
    assert len(invocations(limit(n, repeat(READ, available)))) == min(n, available)


def test_once_gives_the_first() -> None:
    assert [op.value for op in invocations(once(numbered()))] == [0]


def test_repeat_gives_the_same_again() -> None:
    assert [op.value for op in invocations(repeat(numbered(), 4))] == [0, 0, 0, 0]


def test_cycle_starts_over() -> None:
    assert names(cycle({"f": "a"}, {"f": "b"}, times=2)) == ["a", "b", "a", "b"]
    assert names(cycle({"f": "a"}, {"f": "b"}), limit=5) == ["a", "b", "a", "b", "a"]
    assert names(cycle({"f": "a"}, times=0)) == []


def test_a_cycle_of_nothing_ends() -> None:
    assert names(cycle(NOTHING, [], None)) == []


def test_time_limit_cuts_what_is_due_later() -> None:
    ops = invocations(time_limit(1.0, delay(0.1, repeat(READ))))
    assert times_ms(ops) == pytest.approx([100.0 * i for i in range(10)])


def test_time_limit_counts_from_its_own_start() -> None:
    ops = invocations(concat(sleep(5), time_limit(0.25, delay(0.1, repeat(READ)))))
    assert times_ms(ops) == pytest.approx([5000, 5100, 5200])


def test_time_limit_ends_a_generator_that_waits() -> None:
    events = simulate([clients(READ), time_limit(0.005, synchronize(READ))], 1, cluster=perfect(NS_PER_S))
    assert [op.type for op in events] == [INVOKE, OK]


def failing(first_ok: int, latency_ns: int = NS_PER_MS) -> Cluster:
    """Everything fails, except for values from ``first_ok`` on."""
    return lambda op: completion(op, OK if op.value >= first_ok else FAIL, latency_ns)


def test_until_ok_ends_with_the_first_success() -> None:
    assert [op.value for op in invocations(clients(until_ok(numbered())), 1, failing(4))] == [0, 1, 2, 3, 4]


def test_until_ok_ignores_the_success_of_others() -> None:
    both = nemesis(limit(3, delay(0.002, numbered("start"))), time_limit(0.05, until_ok(delay(0.01, numbered()))))

    def cluster(op: Op) -> Op:
        return completion(op, OK if op.process == NEMESIS else FAIL, NS_PER_MS)

    assert Counter(names(both, 2, cluster)) == {"start": 3, "write": 5}


# --- order --------------------------------------------------------------------------------------------


def test_phases_wait_for_all_operations_of_the_former_one() -> None:
    parts = [clients(limit(4, delay(0.001, repeat({"f": f})))) for f in "abc"]
    events = simulate(phases(*parts), 4, cluster=perfect(50 * NS_PER_MS))
    order = [(op.f, op.type) for op in events]
    for f in "ab":
        last_end = max(i for i, event in enumerate(order) if event == (f, OK))
        assert last_end < order.index((chr(ord(f) + 1), INVOKE))
    assert Counter(order) == {(f, t): 4 for f in "abc" for t in (INVOKE, OK)}


def test_concat_does_not_wait() -> None:
    events = simulate(clients(concat({"f": "a"}, {"f": "b"})), 2, cluster=perfect(NS_PER_S))
    assert [(op.f, op.type) for op in events] == [("a", INVOKE), ("b", INVOKE), ("a", OK), ("b", OK)]


def test_then_waits() -> None:
    events = simulate(clients(then({"f": "a"}, {"f": "b"})), 2, cluster=perfect(NS_PER_S))
    assert [(op.f, op.type) for op in events] == [("a", INVOKE), ("a", OK), ("b", INVOKE), ("b", OK)]


def test_flip_flop_alternates_until_either_ends() -> None:
    assert names(flip_flop(repeat({"f": "a"}), repeat({"f": "b"}, 2))) == ["a", "b", "a", "b", "a"]


def test_sleep_plans_the_next_operation_exactly() -> None:
    ops = invocations(nemesis([sleep(2), {"f": "start"}, sleep(3), {"f": "stop"}]))
    assert [(op.f, op.time_ns) for op in ops] == [("start", 2 * NS_PER_S), ("stop", 5 * NS_PER_S + 10 * NS_PER_MS)]


def test_two_sleeps_add_up() -> None:
    assert times_ms(invocations([sleep(1), sleep(2), READ])) == [3000]


def test_a_sleep_between_phases_counts_from_the_barrier() -> None:
    ops = invocations(phases(clients(READ), sleep(1), clients(READ)), cluster=perfect(500 * NS_PER_MS))
    assert times_ms(ops) == [0, 1500]


def test_a_sleep_beside_a_busy_generator_is_not_forgotten() -> None:
    rhythm = cycle(sleep(1), {"f": "start"}, sleep(0.5), {"f": "stop"})
    both = time_limit(4.95, clients(stagger(Rng(1), 0.005, repeat(READ)), rhythm))
    faults = [op for op in invocations(both) if op.is_nemesis]
    assert [op.f for op in faults] == ["start", "stop"] * 3
    assert times_ms(faults) == pytest.approx([1000, 1510, 2520, 3030, 4040, 4550], abs=60)


def test_all_clocks_of_any_of_start_at_once() -> None:
    both = time_limit(1.5, clients(delay(0.1, repeat(READ)), [sleep(1), {"f": "start"}]))
    assert times_ms([op for op in invocations(both) if op.is_nemesis]) == [1000]


def test_waiting_for_ever_is_an_error() -> None:
    class Stuck:
        def op(self, ctx: Context) -> tuple[object, Generator]:
            return PENDING, self  # type: ignore[return-value]

        def update(self, ctx: Context, event: Op) -> Generator:
            return self  # type: ignore[return-value]

    with pytest.raises(RuntimeError, match="waits for ever"):
        simulate(Stuck(), 1)  # type: ignore[arg-type]


# --- pace ---------------------------------------------------------------------------------------------


def test_stagger_keeps_its_mean_rate_over_all_threads() -> None:
    ops = invocations(clients(stagger(Rng(5), 0.01, repeat(READ))), 50, limit=10_001)
    mean_ms = ops[-1].time_ns / NS_PER_MS / (len(ops) - 1)
    # Uniform gaps up to 20 ms: their standard deviation is 20 / sqrt(12) = 5.8 ms, that of the mean 0.058 ms.
    assert mean_ms == pytest.approx(10, abs=0.2)
    gaps = [b - a for a, b in pairwise(times_ms(ops))]
    assert min(gaps) >= 0
    assert max(gaps) <= 20


def test_stagger_makes_up_for_hiccups_but_not_for_stalls() -> None:
    gen: Generator = clients(stagger(Rng(1), 0.001, repeat(READ)))
    ctx, planned = Context.start(1000), []
    for i in range(400):
        now_ns = max(ctx.time_ns, 1 * NS_PER_S if i == 200 else 0)  # a stall of almost a second
        answer = gen.op(ctx.at(now_ns))
        assert answer is not None
        op, gen = answer
        assert op is not PENDING
        planned.append(op.time_ns)
        ctx = ctx.dispatched(ctx.thread_of(op.process), op.time_ns)
    burst = [at_ns for at_ns in planned if at_ns == 1 * NS_PER_S]
    assert 2 < len(burst) < 60  # about 20 ms' worth, not 800


def test_delay_spaces_evenly() -> None:
    assert times_ms(invocations(limit(4, delay(0.25, repeat(READ))))) == [0, 250, 500, 750]


# --- choice -------------------------------------------------------------------------------------------


def letters(seed: int) -> str:
    return "".join(names(limit(60, mix(Rng(seed), [repeat({"f": f}) for f in "abc"]))))


def test_mix_draws_by_seed() -> None:
    assert letters(1) == letters(1)
    assert letters(1) != letters(2)
    assert min(Counter(letters(1)).values()) >= 8


def test_mix_weighs() -> None:
    drawn = Counter(names(limit(4000, mix(Rng(1), [repeat({"f": "a"}), repeat({"f": "b"})], [3, 1])), limit=4000))
    assert drawn["a"] / 4000 == pytest.approx(0.75, abs=0.03)


def test_mix_goes_on_without_the_exhausted() -> None:
    gen = mix(Rng(1), [repeat({"f": "a"}, 5), repeat({"f": "b"}, 50), NOTHING], [1, 2, 3])
    assert Counter(names(gen)) == {"a": 5, "b": 50}


def test_mix_refuses_weights_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"mix of 1 generators got weights \[1, 2\]"):
        mix(Rng(1), [READ], [1, 2])
    with pytest.raises(ValueError, match="positive integer"):
        mix(Rng(1), [READ], [0])


def test_any_of_takes_the_soonest() -> None:
    slow, fast = delay(0.3, repeat({"f": "slow"})), delay(0.1, repeat({"f": "fast"}))
    ops = invocations(time_limit(0.95, any_of(slow, fast)), 5, perfect(0))
    assert times_ms([op for op in ops if op.f == "slow"]) == [0, 300, 600, 900]
    assert times_ms([op for op in ops if op.f == "fast"]) == [100.0 * i for i in range(10)]


def test_any_of_takes_turns_between_equals() -> None:
    assert Counter(names(limit(40, any_of(repeat({"f": "a"}), repeat({"f": "b"}))))) == {"a": 20, "b": 20}


def test_any_of_lasts_as_long_as_the_longest() -> None:
    assert Counter(names(any_of(repeat({"f": "a"}, 1), repeat({"f": "b"}, 5)))) == {"a": 1, "b": 5}


# --- threads ------------------------------------------------------------------------------------------


def test_clients_and_nemesis_are_kept_apart() -> None:
    ops = invocations(clients(repeat({"f": "read"}, 20), repeat({"f": "start"}, 5)), 3)
    assert {op.f for op in ops if op.process == NEMESIS} == {"start"}
    assert Counter(op.f for op in ops) == {"read": 20, "start": 5}


class UntilTold(Struct, frozen=True):
    """Operations until ``left`` completions were told."""

    f: str
    left: int

    def op(self, ctx: Context) -> Answer:
        if self.left <= 0:
            return None
        return (ctx.invoke(self.f), self) if ctx.free else (PENDING, self)

    def update(self, ctx: Context, event: Op) -> Generator:
        assert event.f == self.f, "told of somebody else's operation"
        return UntilTold(self.f, self.left - 1)


def test_completions_are_told_to_whom_they_concern() -> None:
    gen = clients(UntilTold("read", 7), UntilTold("start", 3))
    ended = Counter(op.f for op in simulate(gen, 1) if op.type == OK)
    assert ended == {"read": 7, "start": 3}
    gen = clients(reserve(1, UntilTold("a", 3), 1, UntilTold("b", 5), each_thread(UntilTold("c", 2))))
    ended = Counter(op.f for op in simulate(gen, 4) if op.type == OK)
    assert ended == {"a": 3, "b": 5, "c": 4}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda gen: limit(100, gen),
        lambda gen: time_limit(100, gen),
        lambda gen: stagger(Rng(1), 0.001, gen),
        lambda gen: delay(0.001, gen),
        lambda gen: mix(Rng(1), [gen]),
        lambda gen: any_of(gen),
        lambda gen: concat(gen),
        lambda gen: synchronize(gen),
        lambda gen: until_ok(f_map({"?": "!"}, map_ops(lambda op: op, gen))),
        lambda gen: filter_ops(lambda op: True, gen),
        lambda gen: repeat(gen),
        lambda gen: flip_flop(gen, gen),
        lambda gen: independent([1], lambda key: gen),
        lambda gen: independent_concurrent(1, [1], lambda key: gen),
    ],
)
def test_every_combinator_passes_completions_on(wrap: Callable[[Generator], Generator]) -> None:
    ops = invocations(clients(wrap(UntilTold("read", 4))), 1, lambda op: completion(op, FAIL, NS_PER_MS))
    assert len(ops) == 4


def test_reserve_routes_by_thread() -> None:
    gen = clients(limit(60, reserve(2, repeat({"f": "write"}), 1, repeat({"f": "cas"}), repeat({"f": "read"}))))
    seen: dict[str, set[int]] = {}
    for op in invocations(gen, 6):
        seen.setdefault(op.f, set()).add(op.process)
    assert seen == {"write": {0, 1}, "cas": {2}, "read": {3, 4, 5}}


def test_reserve_may_reserve_all() -> None:
    assert Counter(names(clients(reserve(2, repeat({"f": "a"}, 3), {"f": "rest"})), 2)) == {"a": 3}


def test_reserve_names_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="give count, generator"):
        reserve(2, READ)
    with pytest.raises(UsageError, match=r"reserve\(5,\) needs 5 threads"):
        invocations(clients(reserve(5, READ, READ)), 3)


def test_each_thread_has_its_own_copy() -> None:
    ops = invocations(clients(each_thread(limit(3, numbered()))), 4)
    by_process: dict[int, list[int]] = {}
    for op in ops:
        by_process.setdefault(op.process, []).append(op.value)
    assert by_process == {process: [0, 1, 2] for process in range(4)}


def test_each_thread_can_be_given_different_generators() -> None:
    ops = invocations(clients(each_thread_from(lambda thread: invoke("read", thread))), 4)
    assert {op.process: op.value for op in ops} == {0: 0, 1: 1, 2: 2, 3: 3}


def test_threads_are_used_evenly_also_within_groups() -> None:
    gen = limit(900, any_of(stagger(Rng(1), 0.02, repeat(READ)), stagger(Rng(2), 0.02, repeat(READ))))
    alone = Counter(op.process for op in invocations(clients(gen), 9))
    assert 70 <= min(alone.values()) <= max(alone.values()) <= 130
    grouped = clients(limit(900, stagger(Rng(1), 0.02, reserve(3, repeat(READ), 3, repeat(READ), repeat(READ)))))
    counts = Counter(op.process for op in invocations(grouped, 9))
    assert 70 <= min(counts.values()) <= max(counts.values()) <= 130


@given(mask=st.integers(1, (1 << 200) - 1), turn=st.integers(0, 10**6))
def test_a_picked_thread_is_free(mask: int, turn: int) -> None:
    ctx = Context(0, mask, mask, (), turn=turn)
    assert mask >> ctx.pick() & 1


@given(mask=st.integers(1, (1 << 200) - 1))
def test_every_free_thread_is_picked_some_time(mask: int) -> None:
    picked = {Context(0, mask, mask, (), turn=turn).pick() for turn in range(8 * mask.bit_count())}
    assert picked == set(threads(mask))


def test_picking_from_no_thread_is_an_error() -> None:
    with pytest.raises(ValueError, match="must answer PENDING"):
        Context(0, 0, 7, (0, 1, NEMESIS)).pick()


@given(mask=st.integers(0, (1 << 40) - 1), n=st.integers(0, 50))
def test_lowest_threads_are_the_lowest(mask: int, n: int) -> None:
    assert list(threads(lowest_threads(mask, n))) == list(threads(mask))[:n]


def test_a_crashed_process_is_renumbered() -> None:
    def crashing(op: Op) -> Op:
        return completion(op, INFO if op.value % 2 else OK, NS_PER_MS)

    ops = invocations(clients(limit(6, numbered())), 1, crashing)
    assert [op.process for op in ops] == [0, 0, 1, 1, 2, 2]
    ops = invocations(clients(limit(40, numbered())), 3, lambda op: completion(op, INFO, NS_PER_MS))
    assert len({op.process for op in ops}) == 40
    assert all(Context.start(3).thread_of(op.process) == op.process % 3 for op in ops)


def test_the_nemesis_keeps_its_process() -> None:
    ops = invocations(nemesis(limit(4, numbered())), 2, lambda op: completion(op, INFO, NS_PER_MS))
    assert [op.process for op in ops] == [NEMESIS] * 4


# --- keys ---------------------------------------------------------------------------------------------


def test_independent_works_on_one_key_after_the_other() -> None:
    ops = invocations(independent("xyz", lambda key: repeat(READ, 2)))
    assert [op.key for op in ops] == ["x", "x", "y", "y", "z", "z"]


def test_independent_concurrent_gives_each_group_a_key_and_then_the_next() -> None:
    ops = invocations(clients(independent_concurrent(2, range(5), lambda key: limit(6, numbered()))), 4)
    by_key: dict[int, list[Op]] = {}
    for op in ops:
        by_key.setdefault(op.key, []).append(op)
    assert sorted(by_key) == [0, 1, 2, 3, 4]
    assert all([op.value for op in key_ops] == list(range(6)) for key_ops in by_key.values())
    assert all({op.process for op in key_ops} in ({0, 1}, {2, 3}) for key_ops in by_key.values())
    assert {op.key for op in ops[:4]} == {0, 1}


def test_independent_concurrent_skips_keys_without_operations() -> None:
    gen = independent_concurrent(1, [7, 7, 8, 9], lambda key: NOTHING if key == 7 else READ)
    assert sorted(op.key for op in invocations(clients(gen), 2)) == [8, 9]


def test_independent_concurrent_takes_huge_key_ranges() -> None:
    ops = invocations(clients(independent_concurrent(1, range(10**12), lambda key: READ)), 3, limit=30)
    assert {op.key for op in ops} == set(range(30))


def test_independent_concurrent_tells_events_to_the_key_they_belong_to() -> None:
    gen = independent_concurrent(1, range(2), lambda key: until_ok(numbered()))

    def cluster(op: Op) -> Op:
        return completion(op, OK if op.value >= 2 + op.key else FAIL, NS_PER_MS)

    assert Counter(op.key for op in invocations(clients(gen), 2, cluster)) == {0: 3, 1: 4}


def test_independent_concurrent_names_threads_that_do_not_divide() -> None:
    with pytest.raises(UsageError, match="5 threads do not divide into groups of 2"):
        invocations(clients(independent_concurrent(2, range(9), lambda key: READ)), 5)


# --- transformations ----------------------------------------------------------------------------------


def test_f_map_renames() -> None:
    assert names(f_map({"a": "x"}, [{"f": "a"}, {"f": "b"}])) == ["x", "b"]


def test_map_and_filter() -> None:
    even = filter_ops(lambda op: op.value % 2 == 0, limit(7, numbered()))
    assert [op.value for op in invocations(even)] == [0, 2, 4, 6]
    assert names(map_ops(lambda op: invoke_as("seen", op), limit(2, numbered()))) == ["seen", "seen"]


def invoke_as(f: str, op: Op) -> Op:
    return Op(type=INVOKE, f=f, value=op.value, process=op.process, time_ns=op.time_ns)


# --- randomness ---------------------------------------------------------------------------------------


def drawing(seed: int) -> Generator:
    """A stack in which everything that draws takes part."""

    def of_key(key: int) -> Generator:
        return limit(12, mix(Rng(seed).child(key), [numbered("write"), repeat(READ), numbered("cas")], [3, 2, 1]))

    return clients(stagger(Rng(seed).child("pace"), 0.002, independent(range(5), of_key)))


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**48),
    latencies_ms=st.lists(st.integers(0, 400), min_size=1, max_size=40),
    kinds=st.lists(st.sampled_from([OK, FAIL, INFO]), min_size=1, max_size=40),
    n=st.integers(1, 8),
)
def test_the_nth_operation_does_not_depend_on_how_fast_or_how_others_end(
    seed: int, latencies_ms: list[int], kinds: list[str], n: int
) -> None:
    turn = count()

    def moody(op: Op) -> Op:
        i = next(turn)
        return completion(op, kinds[i % len(kinds)], latencies_ms[i % len(latencies_ms)] * NS_PER_MS)

    def stream(cluster: Cluster, threads: int) -> list[tuple[str, object, object]]:
        return [(op.f, op.key, op.value) for op in invocations(drawing(seed), threads, cluster)]

    assert stream(moody, n) == stream(perfect(0), 4)


@settings(deadline=None)
@given(seed=st.integers(0, 2**48), asked=st.integers(1, 4))
def test_asking_changes_nothing_and_waiting_draws_nothing(seed: int, asked: int) -> None:
    gen: Generator = drawing(seed)
    ctx = busy = Context.start(4)
    for thread in range(4):
        busy = busy.dispatched(thread, 0)
    delayed = gen  # the same generator, but it had to wait before each operation
    while (answer := ask(gen, ctx)) is not None:
        again = ask(gen, ctx)
        assert again is not None
        assert again[0] == answer[0]
        for _ in range(asked):
            pending = ask(delayed, busy)
            assert pending is not None
            assert pending[0] is PENDING
            delayed = pending[1]
        after = ask(delayed, ctx)
        assert after is not None
        assert after[0] == answer[0]
        gen, delayed = answer[1], after[1]


def shifted_hash(seed: int = 1, mean_s: float = 0.002, f: str = "start") -> str:
    gen = clients(stagger(Rng(seed), mean_s, limit(300, numbered())), delay(0.1, [{"f": f}, {"f": "stop"}]))
    return schedule_hash(gen, 5)


def test_the_same_seed_has_the_same_schedule_hash() -> None:
    assert shifted_hash() == shifted_hash()
    # Written down, so that no change of the drawing goes unnoticed: old replay commands would mean something else.
    assert shifted_hash() == "82ed97e5eb28ed7d469700e76b3d0b72"


@pytest.mark.parametrize("other", [{"seed": 2}, {"mean_s": 0.003}, {"f": "kill"}])
def test_another_schedule_has_another_hash(other: dict[str, object]) -> None:
    change: Callable[..., str] = shifted_hash
    assert change(**other) != shifted_hash()


def test_the_hash_tells_the_nemesis_from_clients() -> None:
    assert schedule_hash(nemesis(READ), 1) != schedule_hash(clients(READ), 1)


def test_words_are_spread_evenly() -> None:
    drawn = Counter(below(7, n, 10) for n in range(10_000))
    assert set(drawn) == set(range(10))
    assert max(abs(hits - 1000) for hits in drawn.values()) < 160  # over five standard deviations
    assert len({word(1, n) for n in range(1000)} | {word(2, n) for n in range(1000)}) == 2000


# --- the simulator ------------------------------------------------------------------------------------


def test_simulated_events_are_in_order_and_pair_up() -> None:
    events = simulate(clients(limit(100, stagger(Rng(1), 0.001, numbered()))), 3)
    assert times_ms(events) == sorted(times_ms(events))
    open_: dict[int, Op] = {}
    for op in events:
        if op.type == INVOKE:
            assert op.process not in open_
            open_[op.process] = op
        else:
            begun = open_.pop(op.process)
            assert (op.f, op.value, op.time_ns - begun.time_ns) == (begun.f, begun.value, 10 * NS_PER_MS)
    assert not open_


def test_a_slow_cluster_holds_the_clients_back() -> None:
    ops = invocations(time_limit(10, clients(repeat(READ))), 2, perfect(NS_PER_S))
    assert len(ops) == 20


def test_simulation_stops_at_its_limit() -> None:
    assert len(invocations(repeat(READ), 2, limit=17)) == 17


# --- the page that teaches them -----------------------------------------------------------------------


def test_the_examples_of_the_page_about_generators_hold() -> None:
    page = Path(__file__).parents[1] / "docs" / "generators.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) > 10
    exec(compile("\n".join(blocks), str(page), "exec", dont_inherit=True), {"__name__": "page"})


def test_the_page_about_generators_names_all_of_them() -> None:
    page = (Path(__file__).parents[1] / "docs" / "generators.md").read_text()
    protocol = {"NOTHING", "Answer", "Cluster", "Context", "Generator", "Liftable", "ask"}
    words = set(re.findall(r"\w+", page))
    assert set(generators.__all__) - words - protocol == set()
