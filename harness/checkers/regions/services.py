"""What all regions depend on, and how much each can carry: logins with a home lost, and capacity under load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, Final

from harness.checkers.guarantees import Found
from harness.checkers.regions.story import Story, losses
from harness.checkers.wording import client, count, moment
from harness.model.history import Operation
from harness.model.op import FAIL, OK
from harness.model.regions import Judge

ENROL: Final = "enrol"
LOGIN: Final = "login"
MORE: Final = 1.5
"""So many times more load is more, whatever a slow machine made of it."""


def logins(story: Story, judge: Judge) -> Found:
    """MRA-36: while one of the ``homes`` is left, everybody who enters at a region that is left is let in. With all of
    them lost nobody is who enters elsewhere (a home that is only cut off has its own users), and how far that reaches
    is told. A wrong password opens nothing, whatever is lost."""
    homes = [str(home) for home in judge.options["homes"]]
    tried = [op for op in _about(story, judge, LOGIN)]
    enrolled = [op for op in _about(story, judge, ENROL) if op.type != FAIL]
    broken, refused, asked = [], dict[str, int](), dict[str, int]()
    for op in tried:
        user = op.value["user"]
        right, possible = _right(op, enrolled), any(_same(op, account) for account in enrolled)
        orphaned = _all_lost(story, op, homes)
        if op.type == OK and not possible:
            broken.append(f"{client(op)} was let in as {user} at {moment(op.end_ns)} with a wrong password")
        elif op.type == OK and orphaned:
            broken.append(f"{client(op)} was let in as {user} at {moment(op.end_ns)} with {' and '.join(homes)} lost")
        elif op.type != OK and right and _some_left(story, op, homes):
            left = ", ".join(home for home in homes if not _touched(story, op, home))
            broken.append(f"{client(op)} was refused at {moment(op.start_ns)}, although {left} was there: {op.error}")
        if orphaned and right:
            asked[op.region] = asked.get(op.region, 0) + 1
            refused[op.region] = refused.get(op.region, 0) + (op.type != OK)
    touched = any(_touched(story, op, home) for op in tried for home in homes)
    doubt = "" if touched else f"nobody logged in while {' or '.join(homes)} was lost"
    held = f"{count(len(tried), 'login')}{_radius(homes, asked, refused)}"
    return Found(tuple(broken), played=len(tried), held=held, doubt=doubt)


def _same(login: Operation, account: Operation) -> bool:
    return all(login.value[name] == account.value[name] for name in ("user", "password"))


def _right(login: Operation, enrolled: Sequence[Operation]) -> bool:
    """Whether a login must be let in: its account was acknowledged before, and no other of its user may count."""
    mine = [account for account in enrolled if account.value["user"] == login.value["user"]]
    known = any(account.type == OK and account.end_ns <= login.start_ns for account in mine)
    return known and all(_same(login, account) for account in mine)


def _radius(homes: Sequence[str], asked: dict[str, int], refused: dict[str, int]) -> str:
    if not asked:
        return ", none lost while a home was left"
    reach = ", ".join(f"{region} {refused[region]} of {asked[region]}" for region in sorted(asked))
    return f"; with {' and '.join(homes)} lost, refused: {reach}"


def _about(story: Story, judge: Judge, verb: str) -> Iterator[Operation]:
    for op in story.history.operations:
        if op.f == verb and str(op.value["user"]).startswith(judge.prefix):
            yield op


def _touched(story: Story, op: Operation, region: str) -> bool:
    """Whether any fault can have touched a region while the operation was under way."""
    return any(region in f.regions and f.start_ns <= op.seen_end_ns and op.start_ns <= f.end_ns for f in story.faults)


def _some_left(story: Story, op: Operation, homes: Sequence[str]) -> bool:
    return not _touched(story, op, op.region) and any(not _touched(story, op, home) for home in homes)


def _all_lost(story: Story, op: Operation, homes: Sequence[str]) -> bool:
    """Whether it entered elsewhere, and every home was certainly lost all the time."""
    gone = [loss for loss in losses(story.history) if loss.start_ns <= op.start_ns and op.seen_end_ns <= loss.end_ns]
    return op.region not in homes and all(any(home in loss.regions for loss in gone) for home in homes)


def capacity(story: Story, judge: Judge) -> Found:
    """MRA-29: clearly more load has more capacity, and no request is lost. ``steps`` are lists of start, end (ns) and
    the capacity at the end; how much load there was is counted (by Little's law: the operations that were under way, on
    average, in the second half)."""
    steps: list[tuple[int, int, float]] = [tuple(each) for each in judge.options["steps"]]
    own = [op for op in story.operations if str(op.key).startswith(judge.prefix)]
    lost = [op for op in own if op.type != OK and not any(_touched(story, op, r) for r in _regions(story, op))]
    broken = [f"{client(op)}'s {op.f} at {moment(op.start_ns)} was lost: {op.error}" for op in lost]
    loads = [_under_way(own, (start + end) // 2, end) for start, end, _ in steps]
    compared = 0
    for (load, step), (other_load, other) in combinations(zip(loads, steps, strict=True), 2):
        (low, less), (high, more) = sorted(((load, step[2]), (other_load, other[2])))
        if high < MORE * low or not low:
            continue
        compared += 1
        if more <= less:
            broken.append(f"capacity was {less:g} for {low:.1f} operations at once, and {more:g} for {high:.1f}")
    shown = ", ".join(f"{step[2]:g} for {load:.1f}" for load, step in zip(loads, steps, strict=True))
    doubt = "" if compared else f"the load did not change enough to tell ({shown})"
    told = f"capacity {shown} operations at once; all of {count(len(own), 'request')} answered"
    return Found(tuple(broken), played=compared, held=told, doubt=doubt)


def _regions(story: Story, op: Operation) -> set[str]:
    told: Any = op.result
    return {op.region, *([told["served_by"]] if isinstance(told, dict) and "served_by" in told else [])}


def _under_way(operations: Sequence[Operation], start_ns: int, end_ns: int) -> float:
    inside = sum(max(0, min(op.seen_end_ns, end_ns) - max(op.start_ns, start_ns)) for op in operations)
    return inside / max(1, end_ns - start_ns)
