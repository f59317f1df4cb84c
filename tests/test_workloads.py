"""What the workloads ask clients to do."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

import pytest

from harness.contracts import Shape, Workload
from harness.generators import Cluster, clients, completion, schedule_hash, simulate, stagger, time_limit
from harness.generators import Generator as Schedule
from harness.model.clock import NS_PER_MS, NS_PER_S
from harness.model.op import FAIL, INFO, INVOKE, OK, Op
from harness.model.seeds import Rng
from harness.workloads.failover import PATIENCE_S
from harness.workloads.failover import WORKLOAD as FAILOVER
from harness.workloads.register import FINAL_BY_ALL, OPS_PER_KEY
from harness.workloads.register import WORKLOAD as REGISTER
from harness.workloads.set import READS_MAX
from harness.workloads.set import WORKLOAD as SET

SHAPE = Shape(clients=9, rate_hz=100, time_limit_s=60, regions=("a", "b", "c"))


def main_phase(workload: Workload, shape: Shape = SHAPE, seed: int = 1) -> Schedule:
    """As the runner wraps it."""
    gen: Any = workload.generator(Rng(seed), shape)
    return time_limit(shape.time_limit_s, clients(stagger(Rng(seed).child("pace"), 1 / shape.rate_hz, gen)))


def invocations(gen: Any, shape: Shape = SHAPE, cluster: Cluster | None = None) -> list[Op]:
    return [op for op in simulate(gen, shape.clients, cluster=cluster, limit=100_000) if op.type == INVOKE]


def registers() -> Cluster:
    """Real registers: operations take effect at once, answers take 30 ms."""
    held: dict[Any, Any] = {}

    def respond(op: Op) -> Op:
        if op.f == "cas":
            old, new = op.value
            if held.get(op.key) != old:
                return completion(op, FAIL, 30 * NS_PER_MS)
            held[op.key] = new
        elif op.f == "write":
            held[op.key] = op.value
        return completion(op, OK, 30 * NS_PER_MS, value=held.get(op.key) if op.f == "read" else None)

    return respond


@pytest.mark.parametrize("workload", [REGISTER, SET], ids=lambda workload: workload.name)
def test_a_workload_uses_the_verbs_it_needs_and_no_other(workload: Workload) -> None:
    assert {op.f for op in invocations(main_phase(workload))} == workload.needs
    assert workload.checkers()


@pytest.mark.parametrize("workload", [REGISTER, SET], ids=lambda workload: workload.name)
def test_a_schedule_depends_on_the_seed_only(workload: Workload) -> None:
    assert schedule_hash(main_phase(workload, seed=4), 9) == schedule_hash(main_phase(workload, seed=4), 9)
    assert schedule_hash(main_phase(workload, seed=4), 9) != schedule_hash(main_phase(workload, seed=5), 9)


def test_register_values_are_unique() -> None:
    ops = invocations(main_phase(REGISTER))
    values = [op.value if op.f == "write" else op.value[1] for op in ops if op.f in ("write", "cas")]
    assert len(set(values)) == len(values) > 2000


@pytest.mark.parametrize("rate_hz", [20, 100, 1000])
def test_register_keys_have_short_histories(rate_hz: float) -> None:
    shape = Shape(clients=9, rate_hz=rate_hz, time_limit_s=12_000 / rate_hz, regions=("a",))
    per_key = Counter(op.key for op in invocations(main_phase(REGISTER, shape), shape))
    last = max(per_key)
    full = [n for key, n in per_key.items() if 24 < key < last - 24]  # the window fills and drains at the ends
    assert len(full) > 8
    assert all(0.75 * OPS_PER_KEY < n < 1.5 * OPS_PER_KEY for n in full)
    assert max(per_key.values()) < 400


def test_a_register_key_is_used_throughout_a_fault_window() -> None:
    at_s = defaultdict(list)
    for op in invocations(main_phase(REGISTER)):
        at_s[op.key].append(op.time_ns / NS_PER_S)
    for begin_s in (3.0, 13.0, 23.0, 33.0, 43.0):
        busiest = max(sum(begin_s <= t < begin_s + 5 for t in times) for times in at_s.values())
        spanning = [k for k, times in at_s.items() if min(times) < begin_s and max(times) > begin_s + 5]
        assert busiest >= 80
        assert spanning


def test_register_keys_can_be_set() -> None:
    shape = Shape(clients=9, rate_hz=100, time_limit_s=1.5, regions=("a",), keys=7)
    assert {op.key for op in invocations(main_phase(REGISTER, shape), shape)} == set(range(7))


def test_old_register_keys_are_read_again() -> None:
    ops = invocations(main_phase(REGISTER))
    revisits = [op for i, op in enumerate(ops) if op.key < i // OPS_PER_KEY]
    assert {op.f for op in revisits} == {"read"}
    assert 0.02 * len(ops) < len(revisits) < 0.06 * len(ops)


def test_cas_hits_and_misses_a_fair_share() -> None:
    events = simulate(main_phase(REGISTER), SHAPE.clients, cluster=registers(), limit=100_000)
    ended = Counter(op.type for op in events if op.f == "cas" and op.type != INVOKE)
    assert ended[OK] / ended.total() > 0.2
    assert ended[FAIL] / ended.total() > 0.2


def test_every_region_finally_reads_every_register_key_that_was_used_lately() -> None:
    ops = invocations(main_phase(REGISTER))
    used = {op.key for op in ops}
    final = invocations(REGISTER.final(Rng(2), replace(SHAPE, done=len(ops))), cluster=registers())
    assert {op.f for op in final} == {"read"}
    readers = defaultdict(set)
    for op in final:
        readers[op.key].add(op.process % len(SHAPE.regions))
    assert used <= set(readers)
    recent = sorted(readers)[-FINAL_BY_ALL:]
    assert all(len(readers[key]) == len(SHAPE.regions) for key in recent)
    assert all(readers.values())


def test_the_final_reads_follow_what_was_done_and_not_what_was_planned() -> None:
    slow, fast = (
        {op.key for op in invocations(REGISTER.final(Rng(2), replace(SHAPE, done=done)), cluster=registers())}
        for done in (OPS_PER_KEY, 100 * OPS_PER_KEY)
    )
    assert max(fast) - max(slow) == 99


def test_set_elements_are_unique_and_reads_stay_few() -> None:
    ops = invocations(main_phase(SET))
    added = [op.value for op in ops if op.f == "add"]
    assert added == list(range(1, len(added) + 1))
    assert 0.5 * READS_MAX < len(ops) - len(added) < 1.5 * READS_MAX


def test_short_set_runs_read_too() -> None:
    shape = Shape(clients=3, rate_hz=50, time_limit_s=5, regions=("a",))
    assert Counter(op.f for op in invocations(main_phase(SET, shape), shape))["members"] >= 5


def test_every_client_finally_reads_all_members() -> None:
    final = invocations(SET.final(Rng(2), SHAPE))
    assert [(op.f, op.process) for op in sorted(final, key=lambda op: op.process)] == [
        ("members", process) for process in range(SHAPE.clients)
    ]


@pytest.mark.parametrize(("slow_s", "answers"), [(0.0, 1), (PATIENCE_S / 2, 1), (2 * PATIENCE_S, 0)])
def test_a_list_that_a_busy_node_does_not_give_is_finally_read_again(slow_s: float, answers: int) -> None:
    def respond(op: Op) -> Op:
        lost = op.key == 2 and op.time_ns < (1 + slow_s) * NS_PER_S
        return completion(op, INFO, NS_PER_S, error="timeout") if lost else completion(op, OK, 30 * NS_PER_MS)

    ops = simulate(FAILOVER.final(Rng(1), SHAPE), SHAPE.clients, cluster=respond)
    given = Counter(op.key for op in ops if op.type == OK)
    assert given == Counter({key: 3 for key in range(6)} | {2: 3 * answers})
    tried = Counter(op.key for op in ops if op.type == INVOKE)
    assert {tried[key] for key in (0, 1, 3, 4, 5)} == {3}, "what was answered is not read again"
    assert ops[-1].time_ns < (1 + 2 * PATIENCE_S) * NS_PER_S
