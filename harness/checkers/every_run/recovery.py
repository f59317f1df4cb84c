"""Did every region come back after the last fault was undone? "Never came back" is not "lost data"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harness.checkers.wording import count, span
from harness.model.clock import NS_PER_S
from harness.model.history import History, Operation
from harness.model.op import INVOKE, OK
from harness.model.verdict import Valid, Verdict

UNREADY: Final = "unready"
"""The nemesis notes a node that, when everything was healed and the time to recover was over, did not serve as it
should; ``why`` is what it lacked, in its own words."""


@dataclass(frozen=True)
class Recovery:
    """False when a region was tried for at least ``patience_s`` after the last heal and nothing succeeded there;
    unknown when nothing was tried, or not for so long, while a fault may still have acted, or in a region that was not
    served before either. Unknown also when a region came back and was not served for that long in the end; and when a
    node that had answered never did again, or says itself that it is not what it should be, although its region went
    on: nobody promises when it will be, and a limit was reached."""

    patience_s: float = 5.0
    name: str = "recovery"

    def check(self, history: History) -> Verdict:
        left = unready(history)
        if not (history.faults or left):
            return Verdict(checker=self.name, valid=Valid.TRUE, summary="no fault, so nothing to recover from")
        healed_ns = max((fault.end_ns for fault in history.faults), default=0)
        after: dict[str, list[Operation]] = {op.region: [] for op in history.operations}
        for op in history.operations:
            if op.start_ns >= healed_ns or (op.end_ns >= healed_ns and op.type == OK):
                after[op.region].append(op)
        back_s = {region: _back_s(ops, healed_ns) for region, ops in after.items()}
        silent = [region for region, seconds in back_s.items() if seconds is None]
        tried_s = {region: _tried_s(after[region], healed_ns, history.end_ns) for region in silent}
        served = {op.region for op in history.operations if op.type == OK}
        dead = [region for region in silent if tried_s[region] >= self.patience_s and region in served]
        details = {"back_after_s": back_s, "tried_s": tried_s, "unready": left}
        acting = [f"{fault.id} {fault.fault}" for fault in history.faults if not fault.healed]
        if dead and acting:
            cause = f"{', '.join(dead)} never came back, but {', '.join(acting)} was not shown to be healed"
            return Verdict(checker=self.name, valid=Valid.UNKNOWN, summary=cause, cause=cause, details=details)
        if dead:
            told = ", ".join(
                f"{region or 'the system'} never came back: {count(len(after[region]), 'operation')} tried over "
                f"{tried_s[region]:.1f} s after the last heal, none succeeded"
                for region in dead
            )
            return Verdict(checker=self.name, valid=Valid.FALSE, summary=told, details=details)
        if left:
            cause = "; ".join(f"{node} did not recover: {why}" for node, why in left.items())
            return Verdict(checker=self.name, valid=Valid.UNKNOWN, summary=cause, cause=cause, details=details)
        if silent or not back_s:
            never = [region for region in silent if region not in served]
            cause = f"after the last heal nobody tried long enough in {', '.join(silent) or 'any region'}"
            cause = f"nothing ever succeeded in {', '.join(never)}, also not before the faults" if never else cause
            return Verdict(checker=self.name, valid=Valid.UNKNOWN, summary=cause, cause=cause, details=details)
        if gone := _gone_again(after, history, self.patience_s):
            return Verdict(checker=self.name, valid=Valid.UNKNOWN, summary=gone, cause=gone, details=details)
        if mute := _mute(history.operations, healed_ns):
            cause = f"{', '.join(mute)} answered before the last heal and never again after it"
            return Verdict(checker=self.name, valid=Valid.UNKNOWN, summary=cause, cause=cause, details=details)
        slowest = max(back_s.values(), key=lambda seconds: seconds or 0.0) or 0.0
        within = span(round(slowest * NS_PER_S))
        summary = f"{count(len(back_s), 'region')} served again at most {within} after the last heal"
        return Verdict(checker=self.name, valid=Valid.TRUE, summary=summary, details=details)


def unready(history: History) -> dict[str, str]:
    """By node, what it lacked when the time to recover was over."""
    noted = [op for op in history if op.is_nemesis and op.f == UNREADY and op.type == INVOKE]
    return {str(op.key): str(op.value["why"]) for op in noted if isinstance(op.value, dict) and "why" in op.value}


def _back_s(operations: list[Operation], healed_ns: int) -> float | None:
    return min((round((op.end_ns - healed_ns) / NS_PER_S, 3) for op in operations if op.type == OK), default=None)


def _gone_again(after: Mapping[str, Sequence[Operation]], history: History, patience_s: float) -> str:
    """A region in which at least half of what was tried before the first fault succeeded, and of what was tried last,
    for ``patience_s``, nothing; empty when there is none."""
    struck_ns = min((fault.start_ns for fault in history.faults), default=0)
    for region, operations in after.items():
        before = [op.type == OK for op in history.operations if op.region == region and op.start_ns < struck_ns]
        served_ns = max((op.end_ns for op in operations if op.type == OK), default=0)
        late = [op for op in operations if op.start_ns >= served_ns]
        silent_s = max((min(op.seen_end_ns, history.end_ns) - served_ns for op in late), default=0) / NS_PER_S
        if silent_s >= patience_s and 2 * sum(before) >= len(before) > 0:
            return f"{region or 'the system'} served again after the last heal, and not in its last {silent_s:.1f} s"
    return ""


def _mute(operations: Sequence[Operation], healed_ns: int) -> list[str]:
    """Nodes that answered before the heal, were asked after it, and did not answer any more."""
    answers = [op for op in operations if op.type == OK]
    before = {op.node for op in answers if op.end_ns < healed_ns}
    asked = {op.node for op in operations if op.start_ns >= healed_ns}
    return sorted((before & asked) - {op.node for op in answers if op.end_ns >= healed_ns})


def _tried_s(operations: list[Operation], healed_ns: int, end_ns: int) -> float:
    """From the heal to the end of the last attempt; an attempt nobody saw end lasts as long as the history."""
    last_ns = max((min(op.seen_end_ns, end_ns) for op in operations), default=healed_ns)
    return round((last_ns - healed_ns) / NS_PER_S, 3)
