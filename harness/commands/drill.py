"""``rift drill``: the same failover again and again, and what it measured."""

from __future__ import annotations

from typing import Annotated, Any

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
    tell,
)


def command(
    target: TargetName = "postgres",
    mode: Annotated[str | None, typer.Option(help="The same as -o mode=NAME: how the target replicates.")] = None,
    option: TargetOptions = None,
    fault: Annotated[
        str, typer.Option(help="What strikes the region: kill-region, partition-region, blackhole-region ...")
    ] = "kill-region",
    region: Annotated[str, typer.Option(help="The region to strike. [default: where the leader is then]")] = "",
    topology: TopologyName = "three-regions",
    profile: ProfileName = None,
    testbed: TestbedName = "local",
    repeat: Annotated[int, typer.Option(min=1, help="How many drills; seeds count up from --seed.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Decides every choice of the first drill. [default: random]")] = None,
    hold: Annotated[float, typer.Option(min=1.0, help="Seconds that the fault lasts.")] = 8.0,
    failback: Annotated[bool, typer.Option(help="Hand the leadership back after the heal.")] = True,
    rto: Annotated[str | None, typer.Option(help="Judge by this recovery time, e.g. 30s. [default: the claim]")] = None,
    rpo: Annotated[str | None, typer.Option(help="Judge by this loss, e.g. 5s; 0: none. [default: the claim]")] = None,
    availability: Annotated[str | None, typer.Option(help="Judge each region by this share of successes.")] = None,
    rate: Annotated[float | None, typer.Option(help="Operations per second over all clients. [default: 300]")] = None,
    clients: Annotated[int | None, typer.Option(help="Concurrent clients. [default: 15 per region]")] = None,
    op_timeout: OpTimeout = None,
    recovery_limit: RecoveryLimit = None,
    link_server: LinkServer = None,
    store: Store = None,
    json: Json = False,
) -> int:
    """Fail a region over, again and again, and measure RTO and RPO from what clients saw.

    Every drill strikes the leader's region, holds, heals and hands the leadership back, and is a run in the store. A
    page beside the runs, drills-<utc>.html, sums them up.
    Example: rift drill --target postgres --mode async --fault partition-region --repeat 10 --seed 1
    """
    from harness.drills import planned, repeated, told
    from harness.planning import plans

    said: dict[str, Any] = {"target": target, "option": option, "mode": mode, "fault": fault, "region": region or None}
    said |= {"topology": topology, "profile": profile, "testbed": None if testbed == "local" else testbed}
    said |= {"hold": hold, "no-failback": not failback, "rto": rto, "rpo": rpo, "availability": availability}
    said |= {"rate": rate, "clients": clients, "op-timeout": op_timeout, "recovery-limit": recovery_limit}
    asked = planned.Asked(
        target=target,
        options=plans.options([*([f"mode={mode}"] if mode else []), *(option or [])]),
        fault=fault,
        region=region,
        topology=topology,
        profile=profile,
        testbed=testbed,
        hold_s=hold,
        failback=failback,
        repeat=repeat,
        seed=seed,
        rate_hz=rate,
        clients=clients,
        op_timeout_s=op_timeout,
        recovery_limit_s=recovery_limit,
        objectives={"rto": rto, "rpo": rpo, "availability": availability},
        link_server=link_server,
        said=said | {"link-server": link_server},
    )
    found = repeated.drill(asked, store_root(store))
    tell(found.as_data(), lambda _: told.as_text(found), json)
    return found.exit_code
