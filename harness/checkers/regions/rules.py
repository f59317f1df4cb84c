"""What failover over regions must keep, rule by rule, from what regions told and what clients saw.

The window of detection is ``guarantees`` 5.2: with a check every I seconds and F misses, a region cannot be marked
before a loss can have made F checks in a row fail.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

from harness.checkers.guarantees import Found
from harness.checkers.regions.story import Story
from harness.checkers.wording import client, count, moment, span
from harness.model.clock import NS_PER_MS, NS_PER_S
from harness.model.history import FaultWindow, Operation
from harness.model.op import FAIL, OK
from harness.model.regions import JOINED, MARKED, MISSED, PROMOTED, ROUTED, WRITES, Event

SLACK_NS: Final = 30 * NS_PER_MS
"""A fault's time and an event's come from different processes of one machine."""
Rule = Callable[[Story], Found]


def rules() -> dict[str, Rule]:
    """Every rule by its guarantee."""
    return {"MRA-5": marked_after_misses, "MRA-6": in_order, "MRA-7": one_primary, "MRA-8": comes_back_as_secondary}


def _at(event: Event) -> str:
    return f"{event.region} {event.kind} at {moment(event.time_ns)}"


def marked_after_misses(story: Story) -> Found:
    """MRA-5: a region is marked only when that many checks in a row failed, and a loss lasted long enough for it."""
    marks = story.agreed(MARKED)
    threshold, interval_s = int(story.subject.get("threshold", 0)), float(story.subject.get("interval_s", 0.0))
    if not threshold:
        return Found()
    broken, doubts = [], []
    for mark in marks:
        if 0 < mark.misses < threshold:
            broken.append(f"{_at(mark)} after {count(mark.misses, 'missed check')}, not {threshold}")
            continue
        if gap := _interrupted(story, mark, threshold):
            broken.append(f"{_at(mark)}, although {gap}")
            continue
        losses = [fault for fault in story.faults if _hides(fault, mark)]
        if not losses:
            doubts.append(f"{_at(mark)}, and no fault of ours explains it: the machine may have been too slow")
        elif not any(_long_enough(fault, mark, threshold, interval_s) for fault in losses):
            last = losses[-1]
            if _missed_before(story, mark, threshold, last):
                doubts.append(f"{_at(mark)}, which missed checks before the loss already: the machine may be too slow")
                continue
            told = span(min(last.end_ns, mark.time_ns) - last.start_ns)
            broken.append(f"{_at(mark)} after a loss of only {told}, with a check every {interval_s:g} s")
    quiet = [fault for fault in story.faults if not any(_hides(fault, mark) for mark in marks)]
    quiet = [fault for fault in quiet if not _past_patience(fault, threshold, interval_s)]
    held = f"{count(len(marks), 'mark')} after {threshold} misses, {count(len(quiet), 'shorter fault')} without one"
    return Found(tuple(broken), played=len(marks) + len(quiet), held=held, doubt=doubts[0] if doubts else "")


def _misses(story: Story, mark: Event, threshold: int) -> list[Event]:
    """The last checks that failed before a mark, by what the region that marked says; fewer than ``threshold`` are
    none."""
    own = [e for e in story.seen(MISSED) if (e.by, e.region) == (mark.by, mark.region) and e.time_ns <= mark.time_ns]
    return own[-threshold:] if len(own) >= threshold else []


def _in_a_row(story: Story, row: list[Event]) -> bool:
    """Whether no check can have succeeded between these."""
    steps = [after.time_ns - before.time_ns for before, after in pairwise(row)]
    return max(steps, default=0) <= 1.8 * float(story.subject["interval_s"]) * NS_PER_S


def _interrupted(story: Story, mark: Event, threshold: int) -> str:
    """What speaks against so many misses in a row."""
    row = _misses(story, mark, threshold)
    ends = [f.end_ns for f in story.faults if mark.region in f.regions and f.healed and f.end_ns < mark.time_ns]
    between = [end for end in ends if row and row[0].time_ns + SLACK_NS < end < row[-1].time_ns - SLACK_NS]
    if between and not _in_a_row(story, row):
        return f"it answered in between, after {moment(between[-1])}"
    return ""


def _missed_before(story: Story, mark: Event, threshold: int, loss: FaultWindow) -> bool:
    """Whether the misses were in a row and began before the loss, as on a machine that is too busy to answer."""
    row = _misses(story, mark, threshold)
    return bool(row) and row[0].time_ns < loss.start_ns and _in_a_row(story, row)


def _hides(fault: FaultWindow, mark: Event) -> bool:
    touched = mark.region in fault.regions or mark.by in fault.regions
    return touched and fault.start_ns <= mark.time_ns + SLACK_NS and fault.end_ns >= mark.time_ns - 5 * NS_PER_S


def _long_enough(fault: FaultWindow, mark: Event, threshold: int, interval_s: float) -> bool:
    """Whether so many checks, one an interval, can have failed; one may have been under way when the fault began."""
    lasted_ns = min(fault.end_ns, mark.time_ns) - fault.start_ns
    patience_s = interval_s / 2
    return lasted_ns + SLACK_NS >= ((threshold - 1) * interval_s - patience_s) * NS_PER_S


def _past_patience(fault: FaultWindow, threshold: int, interval_s: float) -> bool:
    """Whether a fault lasted longer than a loss can go unmarked (guarantees, 5.2): that nobody was marked for it shows
    no patience."""
    return fault.end_ns - fault.start_ns > (threshold + 1) * interval_s * NS_PER_S


def in_order(story: Story) -> Found:
    """MRA-6: marked, then promoted, then routed; requests are never led to a region that is not yet primary."""
    every = story.agreed(MARKED, PROMOTED, ROUTED)
    broken, promoted = [], 0
    primary: str | None = None
    for i, event in enumerate(every):
        if event.kind == PROMOTED:
            primary, promoted = event.region, promoted + 1
            reign = _since_its_promotion(every[:i], event.former)
            marked = any(e.kind == MARKED and e.region == event.former for e in reign)
            if not marked and not _asked_for(story, event, every[:i]):
                broken.append(f"{_at(event)}, although {event.former} was not marked before")
        elif event.kind == ROUTED:
            later = [e for e in every[i:] if e.kind == PROMOTED and e.region == event.region]
            if event.region != primary and (primary is not None or later):
                broken.append(f"{_at(event)}, before it was promoted")
    return Found(tuple(broken), played=promoted, held=f"{count(promoted, 'failover')}: marked, promoted, routed")


def _since_its_promotion(before: list[Event], region: str) -> list[Event]:
    """What came after a region last became primary."""
    began = [i for i, event in enumerate(before) if event.kind == PROMOTED and event.region == region]
    return before[began[-1] + 1 :] if began else before


def _asked_for(story: Story, promotion: Event, before: list[Event]) -> bool:
    """Whether an operator may have asked for a promotion: by something begun before it, and not over before the one
    before it."""
    since_ns = max((event.time_ns for event in before if event.kind == PROMOTED), default=0)
    asked = [op for op in story.history.operations if op.f == "switch" and op.type != FAIL]
    return any(op.start_ns <= promotion.time_ns + SLACK_NS and op.seen_end_ns + SLACK_NS >= since_ns for op in asked)


def one_primary(story: Story) -> Found:
    """MRA-7: no two regions acknowledge writes in overlapping terms."""
    acked = [op for op in story.operations if op.f in WRITES and op.type == OK and _epoch(op) > 0]
    broken, excerpted = [], 0
    owner: dict[int, Operation] = {}
    for op in sorted(acked, key=lambda op: op.end_ns):
        first = owner.setdefault(_epoch(op), op)
        if _server(first) != _server(op):
            broken.append(f"{_server(first)} and {_server(op)} both acknowledged writes in term {_epoch(op)}")
    firsts = sorted(owner.items())
    for op in acked:
        later = next((o for term, o in firsts if term > _epoch(op) and o.end_ns < op.start_ns), None)
        if later is not None:
            excerpted += 1
            broken.append(
                f"{_server(op)} acknowledged {client(op)}'s write at {moment(op.end_ns)} in term {_epoch(op)}, after "
                f"{_server(later)} had acknowledged one at {moment(later.end_ns)} in term {_epoch(later)}"
            )
    terms = count(len(owner), "term")
    return Found(tuple(broken), played=len(acked), held=f"{count(len(acked), 'acknowledged write')} in {terms}")


def _epoch(op: Operation) -> int:
    found: Any = op.result.get("epoch") if isinstance(op.result, dict) else None
    return int(found or 0)


def _server(op: Operation) -> str:
    return str(op.result.get("served_by")) if isinstance(op.result, dict) else ""


def comes_back_as_secondary(story: Story) -> Found:
    """MRA-8: a region that comes back is a secondary, until somebody asks for a change or its primary is lost."""
    every = story.agreed(MARKED, PROMOTED, JOINED)
    broken: list[str] = []
    came: dict[str, int] = {}
    for i, event in enumerate(every):
        if event.kind == JOINED:
            came[event.region] = i
            if event.role not in ("", "secondary") and _lost_its_place(every[:i], event.region):
                broken.append(f"{_at(event)} as {event.role}")
        elif event.kind == PROMOTED and event.region in came:
            lost = _marked(every[:i], event.former, came[event.region])
            if not lost and not _asked_for(story, event, every[:i]):
                broken.append(f"{_at(event)} although {event.former} was there and nobody had asked for it")
    return Found(tuple(broken), played=len(came), held=f"{count(len(came), 'region')} came back as secondary")


def _marked(before: list[Event], region: str, since: int) -> bool:
    """Whether a region is marked at the end of ``before``, or was so after the event number ``since``."""
    marks = [i for i, event in enumerate(before) if event.kind == MARKED and event.region == region]
    joins = [i for i, event in enumerate(before) if event.kind == JOINED and event.region == region]
    return bool(marks) and (marks[-1] > since or not joins or marks[-1] > joins[-1])


def _lost_its_place(before: list[Event], region: str) -> bool:
    return any(event.kind == PROMOTED and event.former == region for event in before)
