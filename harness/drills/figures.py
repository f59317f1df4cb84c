"""What drills measured: the numbers of one run, and their distribution over many. Nothing is started here. What is not
known is None, and counts nowhere.

Times are seconds. A group is one kind of operation in one region; polite and silent cuts, crashes and stalls are never
mixed, nor are groups that the fault itself cut off from all others with those that others could have served, nor those
that only the heal interrupted (their times count from it) with others.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from harness.model.op import INVOKE
from harness.model.run import Run
from harness.model.verdict import Valid

PHASES: Final = ("detected_s", "first_success_s", "steady_s")
ANOMALIES: Final = ("resurrected", "came back", "doubled", "reordered", "phantom")
"""What the checker of acknowledged writes finds besides lost ones."""
TOTALS: Final = ("promotion_s", "failback_s", "lost", "loss_s", "divided", "left_over", "split_brain_s")
"""One number for each drill."""


def measured(run: Run) -> dict[str, Any]:
    """The numbers of one drill. Phases are those of the slowest region that the fault does not itself cut off."""
    details = {verdict.checker: verdict.details for verdict in run.verdicts}
    rto, rpo, split = (details.get(name, {}) for name in ("rto", "rpo", "split-brain"))
    outage: dict[str, Any] = next(iter(rto.get("outages", ())), {})
    told: dict[str, Any] = {"manner": outage.get("manner", ""), "rto": {}}
    groups: dict[str, dict[str, dict[str, Any]]] = {}
    for region, kinds in outage.get("regions", {}).items():
        for f, seen in kinds.items():
            groups.setdefault(f, {})[region] = seen
    for f, regions in groups.items():
        told["rto"][f] = {"slowest": _slowest(regions), "regions": regions}
    told |= {name: rpo.get(name) for name in ("acknowledged", "lost", "loss_s", "after_fault", "divided", "unread")}
    if rpo.get("unread") or not rpo.get("acknowledged"):  # nobody knows what was lost: that is not nothing
        told |= {"lost": None, "loss_s": None, "after_fault": None}
    told |= {name: rpo.get(name, {}) for name in ("lacking", "divided_by_key")}
    told["anomalies"] = {kind: rpo["counts"].get(kind, 0) for kind in ANOMALIES} if "counts" in rpo else {}
    known = any(verdict.checker == "split-brain" and verdict.valid is not Valid.UNKNOWN for verdict in run.verdicts)
    told |= {"split_brain_s": split.get("window_s") if known else None, "left_over": split.get("left_over")}
    told["availability"] = {
        region: {name: row[name] for name in ("ok_share", "longest_gap_s")}
        for region, row in details.get("availability", {}).get("regions", {}).items()
    }
    told["unready"] = details.get("recovery", {}).get("unready", {})
    told["trouble"] = [
        {"node": str(op.key), "at_s": round(op.time_ns / 1e9, 3), "why": str(op.value["why"])}
        for op in run.history
        if op.is_nemesis and op.f == "trouble" and op.type == INVOKE and isinstance(op.value, dict)
    ]
    told["promotion_s"] = _promotion_s(run)
    told["failback_s"] = _failback_s(rto)
    told["verdicts"] = {
        verdict.checker: {"valid": str(verdict.valid), "judged": verdict.judged} for verdict in run.verdicts
    }
    told["why"] = [
        f"{verdict.checker}: {verdict.summary if verdict.valid is Valid.FALSE else verdict.cause or verdict.summary}"
        for verdict in run.verdicts
        if verdict.judged and verdict.valid is not Valid.TRUE
    ]
    return told


def _slowest(regions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    hit = {name: seen for name, seen in regions.items() if seen["interrupted"] and not seen["cut_off"]}
    hit = {name: seen for name, seen in hit.items() if not seen["after_heal"]} or hit
    if not hit:
        return None
    name = max(hit, key=lambda each: hit[each]["steady_s"] if hit[each]["steady_s"] is not None else math.inf)
    told = (*PHASES, "resolution_s", "steady_before_heal", "after_heal")
    return {"region": name, **{each: hit[name][each] for each in told}}


def _promotion_s(run: Run) -> float | None:
    """From the fault's start until a node of another region said that it leads; to about a tenth of a second."""
    if not run.history.faults:
        return None
    fault = run.history.faults[0]
    said = [op for op in run.history if op.is_nemesis and op.f == "leader" and op.time_ns > fault.start_ns and op.key]
    elsewhere = [op for op in said if isinstance(op.value, dict) and op.value.get("region") not in fault.regions]
    return round((elsewhere[0].time_ns - fault.start_ns) / 1e9, 3) if elsewhere else None


def _failback_s(rto: Mapping[str, Any]) -> float | None:
    """The longest interruption of a planned move; 0 when it interrupted nobody, None when there was none."""
    for moved in rto.get("failbacks", ()):
        if moved["done"]:
            seen = [kind for region in moved["regions"].values() for kind in region.values() if kind["interrupted"]]
            times = [kind["steady_s"] for kind in seen]
            return None if None in times else max(times, default=0.0)
    return None


# --- over many drills ------------------------------------------------------------------------------


def distribution(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``min``, ``median``, ``p95`` (nearest rank) and ``max`` of every number over the drills that have it (``n``):
    for each kind of operation in its slowest region, for the totals, and under ``rto`` for every group."""
    found: dict[str, Any] = {}
    for f in sorted({f for row in rows for f in row.get("rto", {})}):
        slowest = [row["rto"][f]["slowest"] for row in rows if row.get("rto", {}).get(f, {}).get("slowest")]
        found[f] = {phase: spread([each[phase] for each in slowest]) for phase in PHASES}
    found |= {name: spread([row.get(name) for row in rows]) for name in TOTALS}
    found["anomalies"] = {kind: spread([row.get("anomalies", {}).get(kind) for row in rows]) for kind in ANOMALIES}
    regions = {region: None for row in rows for region in row.get("availability", {})}
    found["availability"] = {
        region: spread([row.get("availability", {}).get(region, {}).get("ok_share") for row in rows])
        for region in regions
    }
    found["rto"] = list(_groups(rows))
    return found


def _groups(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Of every group: in how many drills it was watched and interrupted, and the spread of each phase over those; of
    these, a phase that has fewer never came in the others."""
    groups: dict[tuple[str, bool, bool, str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        for f, kinds in row.get("rto", {}).items():
            for region, seen in kinds["regions"].items():
                group = (row["manner"], seen["cut_off"], seen["after_heal"], region, f)
                groups.setdefault(group, []).append(seen)
    for (manner, cut_off, after_heal, region, f), seen in sorted(groups.items()):
        hit = [each for each in seen if each["interrupted"]]
        counted = {"drills": len(seen), "interrupted": len(hit), "unmeasured": sum(bool(s["cause"]) for s in seen)}
        phases = {phase: spread([each[phase] for each in hit]) for phase in PHASES}
        named = {"manner": manner, "region": region, "f": f, "cut_off": cut_off, "after_heal": after_heal}
        yield named | counted | phases


def spread(values: Sequence[float | None]) -> dict[str, float | int | None]:
    """The distribution of the values that are there."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return {"n": 0, "min": None, "median": None, "p95": None, "max": None}
    p95 = known[math.ceil(0.95 * len(known)) - 1]
    return {"n": len(known), "min": known[0], "median": statistics.median(known), "p95": p95, "max": known[-1]}
