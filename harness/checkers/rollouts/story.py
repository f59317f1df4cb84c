"""A rollout's record as one story: changes by group, what was asked for, what operators did, what was expected."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np

from harness.checkers.guarantees import Expectation, expectations
from harness.kernels.rollouts.statuses import ALL, ANY, CODE, LOCAL, Rollouts
from harness.model.clock import NS_PER_MS
from harness.model.history import History, Operation
from harness.model.op import FAIL, OK
from harness.model.rollout import (
    FAIL_ALL,
    FAIL_LOCAL,
    FAILED,
    OBSERVE,
    PEER_FAILED,
    ROLLING_BACK,
    Asked,
    Change,
    asked_of,
)

SKEW_NS: Final = 20 * NS_PER_MS
"""How far the regions' clocks may differ: on one machine there is one clock, and a change is stamped a few
milliseconds before it is decided."""
Group = tuple[str, int]
"""A job and a version of it."""


@dataclass(frozen=True)
class Story:
    """Everything that the rules look at. ``groups`` are multiregion versions whose request is known, in order of
    appearance; ``sorted_changes`` are their changes as the rows of ``columns``."""

    changes: tuple[Change, ...]
    allocs: tuple[Mapping[str, Any], ...]
    operations: tuple[Operation, ...]
    expectations: tuple[Expectation, ...]
    requests: tuple[tuple[int, Asked], ...]
    end_ns: int
    last_trouble_ns: int
    skew_ns: int = SKEW_NS
    groups: tuple[Group, ...] = ()
    asked: Mapping[Group, Asked] = field(default_factory=dict)

    @cached_property
    def sorted_changes(self) -> tuple[Change, ...]:
        """The groups' changes by group, region and index, without those that only repeat a status."""
        rank = {group: i for i, group in enumerate(self.groups)}
        mine = [change for change in self.changes if _is_in(change, self.asked)]
        place = {group: {r: i for i, r in enumerate(asked.regions)} for group, asked in self.asked.items()}
        ordered = sorted(
            mine, key=lambda c: (rank[c.job, c.version], place[c.job, c.version][c.region], c.index, CODE[c.status])
        )
        return tuple(
            change
            for i, change in enumerate(ordered)
            if i == 0 or _cell(ordered[i - 1]) != _cell(change) or ordered[i - 1].status != change.status
        )

    @cached_property
    def columns(self) -> Rollouts:
        """The same changes as columns."""
        rank = {group: i for i, group in enumerate(self.groups)}
        rows = self.sorted_changes
        asked = [self.asked[group] for group in self.groups]
        place = [{region: i for i, region in enumerate(each.regions)} for each in asked]
        group = np.array([rank[row.job, row.version] for row in rows], np.int32)
        policy = {FAIL_ALL: ALL, FAIL_LOCAL: LOCAL}
        return Rollouts(
            group=group,
            region=np.array([place[g][row.region] for g, row in zip(group, rows, strict=True)], np.int32),
            status=np.array([CODE[row.status] for row in rows], np.int8),
            time_ns=np.array([row.time_ns for row in rows], np.int64),
            gap=np.array([row.gap for row in rows], np.bool_),
            own_failure=np.array([failed_itself(row) for row in rows], np.bool_),
            multiregion=np.array([row.multiregion for row in rows], np.bool_),
            regions=np.array([len(each.regions) for each in asked], np.int32),
            limit=np.array([each.max_parallel for each in asked], np.int32),
            policy=np.array([LOCAL if a.kind == "system" else policy.get(a.on_failure, ANY) for a in asked], np.int8),
            skew_ns=self.skew_ns,
        )

    @cached_property
    def _newest(self) -> dict[tuple[str, str], tuple[list[int], list[int]]]:
        """Of each region and job: indexes, and the newest version that was there at each."""
        found: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
        for change in self.changes:  # by region and index
            indexes, versions = found.setdefault((change.region, change.job), ([], []))
            indexes.append(change.index)
            versions.append(max([change.version, *versions[-1:]]))
        return found

    def newest_version(self, change: Change) -> int:
        """The newest version of the job that its region had when ``change`` happened."""
        indexes, versions = self._newest[change.region, change.job]
        return versions[bisect_right(indexes, change.index) - 1]

    def verbs(self, *fs: str) -> list[Operation]:
        """The operations of these kinds, by start."""
        return [op for op in self.operations if op.f in fs]

    @cached_property
    def unblocked_by_hand(self) -> frozenset[str]:
        """The deployments that an operator asked to unblock, whatever the answer."""
        return frozenset(str(op.value["deployment"]) for op in self.verbs("unblock"))

    @cached_property
    def excused(self) -> Any:
        """``[group, position]``: whether an operator unblocked that region's deployment."""
        flags = np.zeros((len(self.groups), self.columns.width), np.bool_)
        for row, change in enumerate(self.sorted_changes):
            if change.id in self.unblocked_by_hand:
                flags[self.columns.group[row], self.columns.region[row]] = True
        return flags

    def of(self, group: Group, region: str) -> list[Change]:
        """One region's changes in one group, in order."""
        return [c for c in self.sorted_changes if (c.job, c.version, c.region) == (*group, region)]


def failed_itself(change: Change) -> bool:
    """Whether the change is a failure that no other region caused."""
    return change.status == FAILED and not change.description.startswith(PEER_FAILED)


def story_of(history: History, skew_ns: int = SKEW_NS) -> Story:
    """Read a run's history. Raises ValueError as ``History.operations`` does."""
    operations = tuple(op for op in history.operations if op.f != OBSERVE)
    changes, allocs = observed(history.operations)
    registered = [op for op in operations if op.f == "register" and op.value]
    requests = tuple((op.start_ns, asked_of(op.value["job"])) for op in registered)
    groups = _groups(changes, requests, frozenset(i for i, op in enumerate(registered) if op.type == FAIL))
    acted = [op.seen_end_ns for op in operations if op.type == OK and op.f not in ("job", "versions", "allocs")]
    return Story(
        changes=changes,
        allocs=allocs,
        operations=operations,
        expectations=expectations(history),
        requests=requests,
        end_ns=history.end_ns,
        last_trouble_ns=max([fault.end_ns for fault in history.faults] + acted, default=0),
        skew_ns=skew_ns,
        groups=tuple(groups),
        asked=groups,
    )


def observed(operations: Sequence[Operation]) -> tuple[tuple[Change, ...], tuple[Mapping[str, Any], ...]]:
    """What observers saw, each change once, in the order of a region's index."""
    changes: dict[tuple[str, str, int, str], Change] = {}
    allocs: dict[tuple[str, str, int], Mapping[str, Any]] = {}
    for op in operations:
        if op.f != OBSERVE or op.type != OK:
            continue
        for told in op.result:
            if told["kind"] == "deployment":
                change = msgspec.convert(told, Change, strict=False)
                cell = (change.region, change.id, change.index, change.status)
                if cell not in changes or changes[cell].gap:
                    changes[cell] = change
            elif told["kind"] == "alloc":
                allocs.setdefault((told["region"], told["id"], told["index"]), told)
    ordered = sorted(changes.values(), key=lambda change: (change.region, change.index))
    return tuple(ordered), tuple(allocs.values())


def _groups(
    changes: Sequence[Change], requests: Sequence[tuple[int, Asked]], refused: frozenset[int]
) -> dict[Group, Asked]:
    """The request behind every multiregion version: the last one for that job before the version appeared. One that was
    ``refused`` is meant only where no other is left."""
    first: dict[Group, int] = {}
    back = _rollbacks(changes)
    for change in changes:
        if change.multiregion and (change.region, change.id) not in back:
            group = (change.job, change.version)
            first[group] = min(first.get(group, change.time_ns), change.time_ns)
    found: dict[Group, Asked] = {}
    taken: set[int] = set()
    for group, at_ns in sorted(first.items(), key=lambda item: item[1]):
        mine = [
            i for i, (start_ns, asked) in enumerate(requests) if asked.job == group[0] and start_ns <= at_ns + SKEW_NS
        ]
        left = [i for i in mine if i not in refused and i not in taken]
        chosen = left[-1] if left and mine[-1] in refused else mine[-1] if mine else -1
        taken.add(chosen)
        if chosen >= 0 and requests[chosen][1].regions:
            found[group] = requests[chosen][1]
    return found


def _rollbacks(changes: Sequence[Change]) -> set[tuple[str, str]]:
    """Deployments ``(region, id)`` that a region began by itself, going back after a failure."""
    came_from = {(c.region, c.job, c.version + 1): c for c in changes if ROLLING_BACK in c.description}
    return {(c.region, c.id) for c in changes if (c.region, c.job, c.version) in came_from}


def _is_in(change: Change, asked: Mapping[Group, Asked]) -> bool:
    group = (change.job, change.version)
    return change.multiregion and group in asked and change.region in asked[group].regions


def _cell(change: Change) -> tuple[str, int, str]:
    return change.job, change.version, change.region
