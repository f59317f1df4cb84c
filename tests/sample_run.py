"""Makes stored runs that look like real ones: a register over three regions, faults that bite, verdicts that fit."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from harness.model.clock import NS_PER_MS, NS_PER_S
from harness.model.history import NEVER_NS, History, Operation
from harness.model.op import FAIL, INFO, INVOKE, OK, Op
from harness.model.plan import Plan
from harness.model.run import Run
from harness.model.verdict import Excerpt, Marked, Valid, Verdict

REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-1")
KINDS = ("held", "violated", "unknown", "interrupted", "failed", "torn", "empty")
ISOLATED, CUT = "eu-west-1", (9.2, 14.3)

_RTT_MS = {"us-east-1": 91.0, "eu-west-1": 90.0, "ap-southeast-1": 224.0}
_SLOW = {"us-east-1": 1.0, "eu-west-1": 0.6, "ap-southeast-1": 1.1}
_HOSTILE = "</script><img src=x onerror=alert(1)>"


def sample_run(folder: Path, kind: str = "held", operations: int = 3000, seed: int = 7) -> Run:
    """A run of one of ``KINDS`` in ``folder`` with up to ``operations`` operations, 100 a second; fewer where clients
    still wait for an answer."""
    assert kind in KINDS, kind
    target = "refstore" if kind == "violated" else "etcd"
    run = Run(
        folder=folder,
        plan=_plan(target, seed),
        history=History(_events(operations, seed)),
        ledger=_ledger(bite=kind != "unknown"),
        measurements=_measurements(),
    )
    ending = {
        "interrupted": {"state": "interrupted", "problem": "stopped by the user"},
        "failed": {"state": "failed", "problem": "n3 in ap-southeast-1 is not ready after 30 s; its log ends: in use"},
        "torn": {"state": "torn"},
    }.get(kind, {})
    if kind == "torn":
        begun = run.ledger[0] | {"state": "active", "end_ns": None, "healed": None, "after": []}
        run = replace(run, history=History(run.history[: len(run.history) * 2 // 5]), ledger=(begun,))
    if kind in ("failed", "empty"):
        run = replace(run, history=History(()), ledger=(), measurements={})
    return replace(run, verdicts=_verdicts(kind, len(run.history) // 2), **ending)


def _plan(target: str, seed: int) -> Plan:
    return Plan(
        test=f"{target}-register",
        target=target,
        workload="register",
        topology={"name": "three-regions", "regions": [{"id": region, "nodes": 1} for region in REGIONS]},
        seed=seed,
        faults=("partition-region", "kill-leader", "latency-degraded"),
        clients=9,
        schedule_hash="b3a1f07c9d2e",
        replay=f"rift run --target {target} --topology three-regions --workload register --seed {seed}",
        rift_version="0.1.0",
        created_utc="2026-03-14T02:10:07+00:00",
    )


def _events(operations: int, seed: int) -> list[Op]:
    """Clients of three regions, round robin; in the isolated region answers stop while it is cut off."""
    dice = random.Random(seed)
    free_ns = {thread: 0 for thread in range(9)}
    process = {thread: thread for thread in range(9)}
    events: list[Op] = list(_nemesis())
    step_ns = max(30 * NS_PER_S // max(operations, 1), 10 * NS_PER_MS)
    for i in range(operations):
        thread = i % 9
        region = REGIONS[thread % 3]
        start_ns = int(i * step_ns)
        if start_ns < free_ns[thread]:
            continue
        op, end = _operation(dice, i, process[thread], region, start_ns)
        events += [op, end]
        free_ns[thread] = end.time_ns + 1000
        if end.type == INFO:
            process[thread] += 9
    return sorted(events, key=lambda op: op.time_ns)


def _operation(dice: random.Random, i: int, process: int, region: str, start_ns: int) -> tuple[Op, Op]:
    f = dice.choice(("read", "read", "write", "cas"))
    value: Any = {"read": None, "write": i % 10, "cas": [i % 10, (i + 3) % 10]}[f]
    node = f"n{REGIONS.index(region) + 1}"
    who: dict[str, Any] = {"f": f, "process": process, "key": f"k{i % 5}", "region": region, "node": node}
    start = Op(type=INVOKE, value=value, time_ns=start_ns, **who)
    wait_ms = dice.lognormvariate(0, 0.18) * _RTT_MS[region] * _SLOW[region]
    cut = region == ISOLATED and CUT[0] < start_ns / NS_PER_S < CUT[1]
    kind, error, answer = OK, "", value if f != "read" else i % 10
    if cut:
        kind, error = dice.choices(
            ((FAIL, "connection refused"), (INFO, "no answer within 2 s"), (INFO, _HOSTILE)), weights=(40, 2, 1)
        )[0]
        wait_ms, answer = (0.4 + dice.random() if kind == FAIL else 2000.0), value
    elif 18.5 < start_ns / NS_PER_S < 20.0 and dice.random() < 0.75:
        wait_ms += 1000 * (20.0 - start_ns / NS_PER_S)
    elif region == "ap-southeast-1" and 24.0 < start_ns / NS_PER_S < 28.2:
        wait_ms *= 2.2
    elif f == "cas" and dice.random() < 0.4:
        kind, error = FAIL, "compare failed"
    end = Op(type=kind, value=answer, error=error, time_ns=start_ns + int(wait_ms * NS_PER_MS), **who)
    return start, end


_FAULTS: tuple[tuple[str, str, str, tuple[str, ...], tuple[str, ...], float, float], ...] = (
    ("f1", "partition-region", "eu-west-1 cut off (refused)", ("eu-west-1",), (), *CUT),
    ("f2", "kill-leader", "leader (n1 in us-east-1) killed", ("us-east-1",), ("n1",), 18.4, 20.1),
    ("f3", "latency-degraded", "ap-southeast-1 at its degraded latency", ("ap-southeast-1",), (), 24.0, 28.2),
)


def _nemesis() -> list[Op]:
    events: list[Op] = []
    for id_, fault, aim, regions, nodes, start_s, end_s in _FAULTS:
        says = {"id": id_, "aim": aim, "regions": list(regions), "nodes": list(nodes)}
        at, lifted = int(start_s * NS_PER_S), int(end_s * NS_PER_S)
        steps: tuple[tuple[str, str, int, dict[str, bool]], ...] = (
            ("start", INVOKE, at, {}),
            ("start", INFO, at + 1000, {"effective": True}),
            ("stop", INVOKE, lifted - 1000, {}),
            ("stop", INFO, lifted, {"healed": True}),
        )
        events += [Op(type=t, f=f, key=fault, value=says | more, time_ns=ns) for f, t, ns, more in steps]
    return events


def _ledger(bite: bool) -> tuple[dict[str, Any], ...]:
    """Every fault with what probes saw; when ``bite`` is False the second one had no effect."""
    entries = []
    for id_, fault, aim, regions, nodes, start_s, end_s in _FAULTS:
        things = [f"{a}>n{REGIONS.index(b) + 1}" for a in REGIONS for b in REGIONS if a != b and regions[0] in (a, b)]
        things = list(nodes) or things
        well, sick = {
            "partition-region": ("open, 91 ms", "refused"),
            "kill-leader": ("running", "dead"),
            "latency-degraded": ("225 ms", "498 ms"),
        }[fault]
        bit = bite or id_ != "f2"
        entry = {
            "id": id_,
            "fault": fault,
            "aim": aim,
            "regions": list(regions),
            "nodes": list(nodes),
            "state": "healed",
            "start_ns": int(start_s * NS_PER_S),
            "end_ns": int(end_s * NS_PER_S),
            "effective": bit,
            "healed": True,
            "why": "" if bit else "1 of 1 show no effect: n1 running",
        }
        for phase, hurt in (("before", False), ("during", bit), ("after", False)):
            entry[phase] = [{"thing": thing, "bitten": hurt, "seen": sick if hurt else well} for thing in things]
        entries.append(entry)
    return tuple(entries)


def _measurements() -> dict[str, Any]:
    preset = {
        ("us-east-1", "eu-west-1"): 90.0,
        ("eu-west-1", "ap-southeast-1"): 135.0,
        ("us-east-1", "ap-southeast-1"): 225.0,
    }
    links = {}
    for (a, b), rtt in preset.items():
        links[f"{a}>{b}"] = {"rtt_ms": rtt + 0.4, "preset_ms": rtt}
        links[f"{b}>{a}"] = {"rtt_ms": rtt + 0.7, "preset_ms": rtt}
    traffic = {
        f"{a}>n{i + 1}": {"connections": 3 + i, "bytes_up": 812_345 + 1000 * i, "bytes_down": 645_210}
        for a in REGIONS
        for i, b in enumerate(REGIONS)
        if a != b
    }
    return {
        "links": links,
        "traffic": traffic,
        "scheduler_lag_ms": {"p50": 0.11, "p99": 1.2, "max": 4.8},
        "startup_s": 3.2,
        "link_server": {"kind": "embedded", "version": "0.1.0", "url": "127.0.0.1:8474"},
    }


def _verdicts(kind: str, operations: int) -> tuple[Verdict, ...]:
    if kind in ("interrupted", "failed", "torn"):
        return ()
    linearizable = _said("linearizable", Valid.TRUE, "All 5 keys have an order that explains every answer.", 0.84)
    stats = _said("stats", Valid.TRUE, f"{operations:,} operations; every kind succeeded somewhere.", 0.02)
    attested = _said("attested", Valid.TRUE, "3 of 3 faults had the effect they were meant to have.")
    told = "eu-west-1 answered 12 % of its operations during f1 partition-region, and 100 % outside faults."
    availability = replace(_said("availability", Valid.FALSE, told, 0.03), judged=False)
    if kind == "violated":
        told = "1 of 5 keys has no order that explains every answer: k2."
        linearizable = replace(linearizable, valid=Valid.FALSE, summary=told, excerpts=(stale_read(),))
    if kind == "unknown":
        crash = "TypeError: unhashable type: 'list'"
        trace = f'{crash}\nTraceback (most recent call last):\n  File "x.py", line 3, in check\n{crash} {_HOSTILE}'
        linearizable = replace(linearizable, valid=Valid.UNKNOWN, summary="The checker crashed.", cause=trace)
        attested = _said("attested", Valid.UNKNOWN, "1 of 3 faults had no effect.")
        attested = replace(attested, cause="f2 kill-leader: n1 running")
    if kind == "empty":
        cause = "no operation was recorded"
        return (replace(linearizable, valid=Valid.UNKNOWN, summary="Nothing to judge.", cause=cause),)
    return (linearizable, stats, attested, availability)


def _said(checker: str, valid: Valid, summary: str, seconds: float = 0.0) -> Verdict:
    return Verdict(checker=checker, valid=valid, summary=summary, seconds=seconds)


def stale_read() -> Excerpt:
    """A read in the isolated region that misses a write which was acknowledged before it began."""
    return Excerpt(
        title="client 4 in eu-west-1 read 7, 812 ms after 9 was acknowledged",
        key="k2",
        operations=(
            _marked(0, "write", 7, 10_020, 92, "context", "the value that was read"),
            _marked(4, "read", None, 10_190, 61, "context", "still right", result=7),
            _marked(3, "write", 9, 10_302, 97, "witness", "acknowledged before the read began"),
            _marked(5, "cas", [9, 4], 10_340, None, "context", "nobody knows whether it happened"),
            _marked(6, "read", None, 10_560, 94, "witness", "saw 9", result=9),
            _marked(4, "read", None, 11_211, 58, "culprit", "read 7 although 9 had replaced it", result=7),
        ),
        steps=(
            "client 3 in us-east-1 wrote 9 to k2; the store acknowledged it at 10.399 s.",
            "client 6 in us-east-1 read 9 at 10.654 s, so the write had taken effect.",
            "client 4 in eu-west-1 began to read k2 at 11.211 s, 812 ms later, and got 7.",
            "No order of these operations explains 7: the write of 9 comes after the write of 7 and before this read.",
        ),
    )


def _marked(
    process: int, f: str, value: Any, start_ms: int, took_ms: int | None, mark: str, note: str, result: Any = None
) -> Marked:
    end_ns = NEVER_NS if took_ms is None else (start_ms + took_ms) * NS_PER_MS
    operation = Operation(
        process=process, f=f, type=INFO if took_ms is None else OK, key="k2", value=value, result=result,
        start_ns=start_ms * NS_PER_MS, end_ns=end_ns, start_index=start_ms, end_index=end_ns,
        seen_end_ns=(start_ms + 2000) * NS_PER_MS if took_ms is None else end_ns,
        region=REGIONS[process % 3], node=f"n{process % 3 + 1}", error="" if took_ms else "no answer within 2 s",
    )  # fmt: skip
    return Marked(operation=operation, mark=mark, note=note)
