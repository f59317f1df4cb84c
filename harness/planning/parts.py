"""A plan's parts: the plugins that it names, checked against each other, and the schedule that its seed decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final

import msgspec

import harness
from harness import registry
from harness.contracts import Fault, Shape, Target, Workload
from harness.errors import MissingPower
from harness.failovers import Paced
from harness.generators import Generator, any_of, clients, stagger, time_limit
from harness.generators.simulate import schedule_hash
from harness.model.clock import NS_PER_S
from harness.model.op import Op
from harness.model.plan import Plan
from harness.model.seeds import Rng
from harness.model.topology import Topology
from harness.nemesis import Timeline, schedule
from harness.planning.runbooks import steps
from harness.planning.traits import TRAITS, lacking
from harness.scenarios import Drives
from harness.testbeds.opening import lacks, offers

AS_FAST_AS_POSSIBLE_S: Final = 1e-9


class Parts:
    """The plugins that a plan names, loaded and checked against each other.

    Raises UsageError for an unknown name, and MissingPower when the target lacks a verb or a fault finds no victim.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.topology: Topology = Topology.model_validate(plan.topology)
        self.target: Target = registry.target(plan.target, plan.target_options)
        self.workload: Workload = registry.workload(plan.workload)
        self.faults: dict[str, Fault] = {name: registry.fault(name) for name in plan.faults}
        missing = sorted(self.workload.needs - self.target.speaks)
        if missing:
            raise MissingPower(f"target {plan.target} does not speak {', '.join(missing)}, which {plan.workload} needs")
        for fault in self.faults.values():
            if reason := lacking(fault.needs, self.target, plan.target):
                raise MissingPower(f"fault {fault.name} {reason}")
            if not fault.aims(self.topology):
                raise MissingPower(f"fault {fault.name} finds no victim in topology {self.topology.name}")
        self.shape = Shape(plan.clients, plan.rate_hz, plan.time_limit_s, self.topology.region_ids, plan.keys)
        self._root = root = Rng(plan.seed)
        self.timeline = Timeline(self._strikes(root.child("nemesis")), until_ns=round(plan.time_limit_s * NS_PER_S))
        self.main: Generator
        if isinstance(self.workload, Drives):
            return  # it hands out no schedule
        gap_s = 1.0 / plan.rate_hz if plan.rate_hz else AS_FAST_AS_POSSIBLE_S
        work = self.workload.generator(root.child("workload"), self.shape)
        if plan.rate_hz and not isinstance(self.workload, Paced):
            work = stagger(root.child("stagger"), gap_s, work)
        self.main = any_of(clients(time_limit(plan.time_limit_s, work)), self.timeline)

    def _strikes(self, rng: Rng) -> tuple[Op, ...]:
        """What the nemesis does and when: the steps of a drill, or faults dealt from a deck."""
        plan = self.plan
        if plan.drill is not None:
            return steps(plan.drill, self.faults[plan.drill.fault], self.topology, rng)
        return schedule(
            list(self.faults.values()),
            self.topology,
            rng,
            every_s=plan.fault_every_s,
            for_s=plan.fault_for_s,
            time_limit_s=plan.time_limit_s,
        )

    def final(self, done: int) -> Generator | None:
        """What clients do after everything healed, when they did ``done`` operations before."""
        return self.workload.final(self._root.child("final"), replace(self.shape, done=done))

    def hash(self) -> str:
        """Identifies the schedule that the seed decides: operations and their planned times as far as they are
        simulated, every fault with its victim and times, however late, and how long it all goes on."""
        if isinstance(self.workload, Drives):
            text = f"{self.plan.test}/{self.plan.seed}"
        else:
            text = schedule_hash(self.main, clients=self.plan.clients)
        digest = blake2b(text.encode(), digest_size=16)
        digest.update(msgspec.json.encode([self.timeline.ops, self.shape]))
        return digest.hexdigest()


def complete(plan: Plan) -> Plan:
    """The plan with its schedule hash, version and time of creation filled in.

    Raises UsageError and MissingPower like :class:`Parts`, and MissingPower for a fault whose powers nobody has here.
    """
    for name in plan.faults:
        missing = sorted(registry.fault(name).needs - TRAITS - offers(plan.testbed))
        if missing:
            raise MissingPower(
                f"fault {name} needs {', '.join(missing)}, which testbed {plan.testbed} does not offer here; "
                f"{lacks(missing)}"
            )
    return msgspec.structs.replace(
        plan,
        schedule_hash=Parts(plan).hash(),
        rift_version=harness.__version__,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
    )
