"""An experiment is a value: everything that was decided before anything started."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.model.claims import Objectives


class Drill(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A failover exercise: instead of dealing faults, strike one region at ``at_s``, hold for ``hold_s``, heal, and
    ``failback_after_s`` later hand the leadership back to a node of that region (0: do not).

    ``region`` empty: where the leader is when the fault strikes.
    """

    fault: str
    region: str = ""
    at_s: float = 5.0
    hold_s: float = 8.0
    failback_after_s: float = 3.0


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run is going to do; saved as ``plan.json`` before the first process starts.

    ``topology`` is the whole topology as data, so that a moved file cannot change an old run.
    ``rate_hz`` is the clients' joint rate, 0 for as fast as they can. ``schedule_hash`` identifies the
    generated schedule: same seed, same hash. ``replay`` is the command that runs it again.
    ``claims`` are the target's consistency promises at that time, ``objectives`` its promises in numbers (or what the
    user set instead); an old run is judged by them. With a ``drill`` the faults strike by its steps.
    """

    test: str
    target: str
    workload: str
    topology: dict[str, Any]
    seed: int
    target_options: dict[str, str] = msgspec.field(default_factory=dict)
    testbed: str = "local"
    faults: tuple[str, ...] = ()
    clients: int = 6
    rate_hz: float = 200.0
    time_limit_s: float = 30.0
    recovery_limit_s: float = 30.0
    claims: tuple[str, ...] | None = None
    objectives: Objectives | None = None
    drill: Drill | None = None
    op_timeout_s: float = 2.0
    fault_every_s: float = 7.0
    fault_for_s: float = 4.0
    keys: int = 0
    schedule_hash: str = ""
    replay: str = ""
    rift_version: str = ""
    created_utc: str = ""

    @property
    def target_name(self) -> str:
        """What people call the target: its name, or its file's without folder and ending."""
        return self.target.rsplit("/", 1)[-1].removesuffix(".py")
