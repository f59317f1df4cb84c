"""Acknowledged writes that a failover lost, counted and measured in seconds (RPO), and what else went wrong with them.

Besides *lost* (see ``fates``), with whatever the clients were told:

    resurrected   a write was read of which its client had been told that it did not happen
    came back     a write that a region's copy did not have any more, though it had what was written later, was there
                  again: the region's reads went from one history to another
    doubled       one write shows more than once in a read
    reordered     one of two acknowledged writes began after the other was acknowledged, and stands before it at the end
    phantom       a read shows what nobody wrote, or had begun to write when it ended

The loss in seconds reaches from the oldest lost acknowledgement to the fault's start, or to the newest lost
acknowledgement where writes were still acknowledged after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from harness.checkers.failovers.fates import Story, once, stories, values
from harness.checkers.findings import Finding, verdict_of
from harness.checkers.wording import client, count, moment, span, thing
from harness.kernels.models import freeze
from harness.model.claims import Objectives
from harness.model.clock import NS_PER_S
from harness.model.history import History, Operation
from harness.model.op import FAIL, OK
from harness.model.verdict import Valid, Verdict

LISTED: Final = 1000
"""So many lost writes are listed, and so many divided ones."""


@dataclass(frozen=True)
class Rpo:
    """False when more was lost than ``objective_s`` seconds of acknowledged writes (0: any), or the list shows what it
    must not; unknown when nothing is final or regions disagree at the end. Only a report without an objective."""

    objective_s: float | None = None
    name: str = "rpo"

    def against(self, objectives: Objectives) -> Rpo:
        return replace(self, objective_s=objectives.rpo_s)

    def check(self, history: History) -> Verdict:
        told, cause = stories(history)
        lost = sorted((op for story in told for op in story.lost), key=lambda op: op.end_index)
        acknowledged = sum(op.type == OK for story in told for op in story.appends)
        loss = _loss(lost, history)
        findings = [finding for story in told for finding in _wrong(story)]
        if lost and (self.objective_s is None or self.objective_s == 0 or loss["loss_s"] > self.objective_s):
            findings += [_lost(story, op) for story in told for op in story.lost]
        divided, unread = (sum(len(getattr(story, fate)) for story in told) for fate in ("divided", "unread"))
        details = {"objective_s": self.objective_s, "acknowledged": acknowledged, "divided": divided, "unread": unread}
        details |= loss | _divided(told) | {"unacknowledged_kept": _unacknowledged(told)}
        told_lost = f"{len(lost)} lost, of the last {span(round(loss['loss_s'] * NS_PER_S))}" if lost else "none lost"
        verdict = verdict_of(
            self.name,
            findings,
            held=f"{count(acknowledged, 'acknowledged write')}, {told_lost}",
            cause=cause or _weak(told, acknowledged),
            details=details,
            faults=history.faults,
        )
        summary = verdict.summary
        if lost and verdict.valid is Valid.FALSE:
            summary = f"{count(acknowledged, 'acknowledged write')}, {told_lost}; {summary}"
        return msgspec.structs.replace(verdict, judged=self.objective_s is not None, summary=summary)


def _weak(told: Sequence[Story], acknowledged: int) -> str:
    """Why nobody can say what was kept; empty when anybody can."""
    if not acknowledged:
        return "no write was acknowledged"
    if lacking := _lacking(told):
        each = ", ".join(f"{region or 'one read'} lacks {number:,}" for region, number in sorted(lacking.items()))
        return f"regions disagree at the end about acknowledged writes, so whose copy counts? {each} that others have"
    unread = sum(len(story.unread) for story in told)
    return f"{count(unread, 'acknowledged write')} could not be read at the end" if unread else ""


def _lacking(told: Sequence[Story]) -> Counter[str]:
    """By region, how many acknowledged writes its final reads lack that another region's show."""
    return Counter(
        read.region
        for story in told
        for read in story.finals
        for shown in (set(values(read)),)
        for op in story.divided
        if freeze(op.value) not in shown
    )


def _divided(told: Sequence[Story]) -> dict[str, Any]:
    """The acknowledged writes that regions disagree about at the end, and which region has them."""
    rows = []
    for story in told:
        contents = {read.region: set(values(read)) for read in story.finals}
        for op in story.divided:
            places: dict[str, list[str]] = {"shown_in": [], "missing_in": []}
            for region, shown in sorted(contents.items()):
                places["shown_in" if freeze(op.value) in shown else "missing_in"].append(region)
            rows.append((op.end_index, _row(op) | places))
    listed = [row for _, row in sorted(rows, key=lambda each: each[0])[:LISTED]]
    by_key = {str(story.key): len(story.divided) for story in told if story.divided}
    return {"divided_writes": listed, "divided_by_key": by_key, "lacking": dict(sorted(_lacking(told).items()))}


def _row(op: Operation) -> dict[str, Any]:
    """An acknowledged write as it is listed."""
    where = {"key": op.key, "value": op.value, "client": op.process, "region": op.region}
    return where | {"acked_s": op.end_ns / NS_PER_S}


def _loss(lost: Sequence[Operation], history: History) -> dict[str, Any]:
    """How much was lost, where and of which time."""
    rows = [_row(op) for op in lost[:LISTED]]
    found: dict[str, Any] = {"lost": len(lost), "loss_s": 0.0, "window_s": 0.0, "after_fault": 0, "lost_writes": rows}
    found["lost_by_key"] = dict(Counter(str(op.key) for op in lost))
    found["lost_by_region"] = dict(Counter(op.region for op in lost))
    if not lost:
        return found
    oldest_ns, newest_ns = lost[0].end_ns, lost[-1].end_ns
    fault_ns = max((f.start_ns for f in history.faults if f.start_ns <= newest_ns), default=None)
    if fault_ns is None:  # everything lost is older than every fault
        fault_ns = min((f.start_ns for f in history.faults), default=newest_ns)
    found["window_s"] = round((newest_ns - oldest_ns) / NS_PER_S, 4)
    found["loss_s"] = round((max(fault_ns, newest_ns) - oldest_ns) / NS_PER_S, 4)
    found["after_fault"] = sum(op.end_ns > fault_ns for op in lost)
    return found


def _lost(story: Story, op: Operation) -> Finding:
    where = ", ".join(sorted({read.region for read in story.finals} - {""})) or "any region"
    says = f"{thing(op.value)} in {story.key}, acknowledged to {client(op)} at {moment(op.end_ns)}, is not in {where}"
    return Finding("lost", says, op, story.finals)


def _unacknowledged(told: Sequence[Story]) -> int:
    """Writes whose clients never learned that they happened, and that are there at the end."""
    kept = 0
    for story in told:
        shown = set().union(*(values(read) for read in story.finals))
        kept += sum(op.type not in (OK, FAIL) and freeze(op.value) in shown for op in story.appends)
    return kept


# --- what else can be wrong ----------------------------------------------------------------------


def _wrong(story: Story) -> Iterator[Finding]:
    writers = once(story.appends)
    begun: dict[Hashable, int] = {}
    for op in story.appends:
        begun.setdefault(freeze(op.value), op.start_index)
    seen: set[tuple[str, Hashable]] = set()
    for read in story.reads:
        shown = values(read)
        twice = {value for value, n in Counter(shown).items() if n > 1 and value in writers}
        denied = {value for value in shown if value in writers and writers[value].type == FAIL}
        unborn = {value for value in shown if begun.get(value, read.end_index) >= read.end_index}
        for kind, odd in (("doubled", twice), ("resurrected", denied), ("phantom", unborn)):
            for value in sorted(odd, key=repr):
                if (kind, value) not in seen:
                    seen.add((kind, value))
                    witnesses = (writers[value],) if value in writers else ()
                    yield Finding(kind, _SAYS[kind].format(client(read), thing(value), story.key), read, witnesses)
    yield from _back_again(story, writers)
    yield from _reordered(story, writers)


_SAYS: Final = {
    "doubled": "{} read {} more than once in {}",
    "resurrected": "{} read {} in {}, of which its writer was told that it did not happen",
    "phantom": "{} read {} in {}, which nobody had written",
}


def _back_again(story: Story, writers: dict[Hashable, Operation]) -> Iterator[Finding]:
    """Values that a region's copy lacked, although it had what was written later, and that were read there again. A
    copy that only lags lacks the newest values, never one in the middle. Regions are not compared: while two
    histories grow, each has what the other lacks."""
    found: set[Hashable] = set()
    gone: dict[tuple[str, Hashable], Operation] = {}
    for read in story.reads:
        shown = set(values(read))
        latest = max((writers[value].start_index for value in shown if value in writers), default=-1)
        for value, op in writers.items():
            place = (read.region, value)
            if value not in shown:
                if op.type == OK and op.end_index < latest:
                    gone[place] = min(gone.get(place, read), read, key=lambda each: each.end_index)
            elif value not in found and place in gone and gone[place].end_index < read.start_index:
                found.add(value)
                says = f"{client(read)} read {thing(value)} in {story.key}, which had gone before: it came back"
                yield Finding("came back", says, read, (op, gone[place]))


def _reordered(story: Story, writers: dict[Hashable, Operation]) -> Iterator[Finding]:
    """Each write that stands behind a later one at the end, once, wherever that is seen first."""
    found: set[Hashable] = set()
    for read in story.finals:
        last: Operation | None = None
        for value in dict.fromkeys(values(read)):
            op = writers.get(value)
            if op is None or op.type != OK:
                continue
            if last is not None and op.end_index < last.start_index and value not in found:
                found.add(value)
                says = f"{thing(value)} was acknowledged before {thing(last.value)} began, and stands after it"
                says += f" in {story.key}"
                yield Finding("reordered", says, read, (op, last))
            if last is None or op.start_index > last.start_index:
                last = op
