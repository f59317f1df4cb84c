"""``rift run``: one run, from what the user asks for to its outcome."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.commands._words import (
    Json,
    LinkServer,
    OpTimeout,
    ProfileName,
    RecoveryLimit,
    Store,
    TargetName,
    TargetOptions,
    TestbedName,
    TopologyName,
    store_root,
)
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.model.plan import Plan


def command(
    target: TargetName = "etcd",
    option: TargetOptions = None,
    topology: TopologyName = "three-regions",
    profile: ProfileName = None,
    testbed: TestbedName = "local",
    workload: Annotated[str, typer.Option(help="What clients do.")] = "register",
    faults: Annotated[str, typer.Option(help="Names with commas between, or: default, all, none.")] = "default",
    seed: Annotated[
        int | None, typer.Option(help="Decides every choice of the harness. [default: a random one]")
    ] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds that clients and faults go on.")] = None,
    rate: Annotated[float | None, typer.Option(help="Operations per second over all clients; 0 for no limit.")] = None,
    clients: Annotated[int | None, typer.Option(help="Concurrent clients. [default: 6 per region]")] = None,
    keys: Annotated[int | None, typer.Option(help="How many objects are worked on at once.")] = None,
    op_timeout: OpTimeout = None,
    fault_every: Annotated[float | None, typer.Option(help="Seconds from one fault's start to the next one's.")] = None,
    fault_for: Annotated[float | None, typer.Option(help="Seconds that a fault lasts.")] = None,
    recovery_limit: RecoveryLimit = None,
    link_server: LinkServer = None,
    name: Annotated[str | None, typer.Option(help="The run's name in the store. [default: target-workload]")] = None,
    store: Store = None,
    json: Json = False,
) -> int:
    """Start a system over several regions, drive it, break it, heal it, and judge what clients saw."""
    from harness.planning import plans
    from harness.running import execute

    said: dict[str, Any] = {"target": target, "option": option, "testbed": None if testbed == "local" else testbed}
    said |= {"topology": topology, "profile": profile, "workload": workload, "faults": faults}
    said |= {"time_limit": time_limit, "rate": rate, "clients": clients, "keys": keys, "op_timeout": op_timeout}
    said |= {"fault_every": fault_every, "fault_for": fault_for, "recovery_limit": recovery_limit}
    said |= {"link_server": link_server, "name": name}
    numbers = {"time_limit_s": time_limit, "rate_hz": rate, "clients": clients, "keys": keys}
    numbers |= {"op_timeout_s": op_timeout, "fault_every_s": fault_every, "fault_for_s": fault_for}
    numbers |= {"recovery_limit_s": recovery_limit}
    plan = plans.plan(
        target=target,
        target_options=plans.options(option or []),
        topology_name=topology,
        profile=profile,
        testbed=testbed,
        workload=workload,
        faults=faults,
        seed=seed,
        name=name,
        numbers=numbers,
        said=said,
    )
    _where_packets_can_be_filtered(plan, link_server)
    return execute.show(execute.run(plan, store_root(store), link_server), json)


def _where_packets_can_be_filtered(plan: Plan, link_server: str | None) -> None:
    """Begin again in a network namespace of the run's own, when its faults need one and it is not there yet."""
    from harness.planning import plans
    from harness.testbeds import namespaces

    if plan.testbed != "local" or "packets" not in plans.needs(plan) or namespaces.inside():
        return
    if link_server is not None and ":" in link_server:
        raise UsageError("faults that act on packets need a link server that the run starts: leave out --link-server")
    namespaces.enter(sys.argv[1:])
