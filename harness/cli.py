"""The command ``rift``. Exit codes: 0 every judged guarantee held, 1 at least one was violated, 2 unknown (not enough
evidence, or a limit was reached), 3 the harness or the environment failed, 4 wrong usage.

What machines read goes to standard output, what people read while waiting to standard error.
"""

# Engine modules are imported inside the commands: `rift --help` must not load numpy and a dozen plugins.

from __future__ import annotations

import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

import harness
from harness.errors import RiftError, UsageError

app = typer.Typer(
    name="rift",
    help="Decides whether a multi-region system keeps its promises.\n\nStart with `rift demo`, or `rift run`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

# click.ClickException: newer versions of typer carry a click of their own, where nobody else should look for it.
_WRONG_USAGE: Any = next(each for each in typer.BadParameter.__mro__ if each.__name__ == "ClickException")

_CTRL_C = 130
"""What typer makes of a KeyboardInterrupt."""

Store = Annotated[Path | None, typer.Option("--store", help="Where runs are kept. [default: ./store]")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


@app.command()
def run(
    target: Annotated[
        str, typer.Option(help="The system under test: a name from `rift list`, or a file of yours.")
    ] = "etcd",
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", help="An option of the target, name=value.")
    ] = None,
    topology: Annotated[str, typer.Option(help="A preset's name or a YAML file.")] = "three-regions",
    profile: Annotated[str | None, typer.Option(help="Latency: floor, typical or degraded.")] = None,
    testbed: Annotated[
        str, typer.Option(help="Where nodes live: local (processes on this machine) or compose (Docker).")
    ] = "local",
    workload: Annotated[str, typer.Option(help="What clients do.")] = "register",
    faults: Annotated[str, typer.Option(help="Names with commas between, or: default, all, none.")] = "default",
    seed: Annotated[
        int | None, typer.Option(help="Decides every choice of the harness. [default: a random one]")
    ] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds that clients and faults go on.")] = None,
    rate: Annotated[float | None, typer.Option(help="Operations per second over all clients; 0 for no limit.")] = None,
    clients: Annotated[int | None, typer.Option(help="Concurrent clients. [default: 6 per region]")] = None,
    keys: Annotated[int | None, typer.Option(help="How many objects are worked on at once.")] = None,
    op_timeout: Annotated[float | None, typer.Option(help="Seconds until an operation counts as unknown.")] = None,
    fault_every: Annotated[float | None, typer.Option(help="Seconds from one fault's start to the next one's.")] = None,
    fault_for: Annotated[float | None, typer.Option(help="Seconds that a fault lasts.")] = None,
    recovery_limit: Annotated[float | None, typer.Option(help="Seconds that recovery may take after the heal.")] = None,
    link_server: Annotated[
        str | None, typer.Option(help="toxiproxy, embedded, or the URL of a Toxiproxy of yours.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The run's name in the store. [default: target-workload]")] = None,
    store: Store = None,
    json: Json = False,
) -> int:
    """Start a system over several regions, drive it, break it, heal it, and judge what clients saw."""
    from harness.planning import plans
    from harness.running import execute
    from harness.testbeds import namespaces

    words: dict[str, Any] = {
        "target": target,
        "option": option,
        "testbed": None if testbed == "local" else testbed,
        "topology": topology,
        "profile": profile,
        "workload": workload,
    }
    words |= {"faults": faults, "time_limit": time_limit, "rate": rate, "clients": clients, "keys": keys}
    words |= {"op_timeout": op_timeout, "fault_every": fault_every, "fault_for": fault_for}
    words |= {"recovery_limit": recovery_limit, "link_server": link_server, "name": name}
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
        numbers={
            "time_limit_s": time_limit,
            "rate_hz": rate,
            "clients": clients,
            "keys": keys,
            "op_timeout_s": op_timeout,
            "fault_every_s": fault_every,
            "fault_for_s": fault_for,
            "recovery_limit_s": recovery_limit,
        },
        said=words,
    )
    if testbed == "local" and "packets" in plans.needs(plan) and not namespaces.inside():
        if link_server is not None and ":" in link_server:
            raise UsageError(
                "faults that act on packets need a link server that the run starts: leave out --link-server"
            )
        namespaces.enter(sys.argv[1:])
    finished = execute.run(plan, plans.store_root(store), link_server)
    return execute.show(finished, json)


@app.command()
def drill(
    target: Annotated[
        str, typer.Option(help="The system under test: a name from `rift list`, or a file of yours.")
    ] = "postgres",
    mode: Annotated[str | None, typer.Option(help="The same as -o mode=NAME: how the target replicates.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", help="An option of the target, name=value.")
    ] = None,
    fault: Annotated[
        str, typer.Option(help="What strikes the region: kill-region, partition-region, blackhole-region ...")
    ] = "kill-region",
    region: Annotated[str, typer.Option(help="The region to strike. [default: where the leader is then]")] = "",
    topology: Annotated[str, typer.Option(help="A preset's name or a YAML file.")] = "three-regions",
    profile: Annotated[str | None, typer.Option(help="Latency: floor, typical or degraded.")] = None,
    testbed: Annotated[
        str, typer.Option(help="Where nodes live: local (processes on this machine) or compose (Docker).")
    ] = "local",
    repeat: Annotated[int, typer.Option(min=1, help="How many drills; seeds count up from --seed.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Decides every choice of the first drill. [default: random]")] = None,
    hold: Annotated[float, typer.Option(min=1.0, help="Seconds that the fault lasts.")] = 8.0,
    failback: Annotated[bool, typer.Option(help="Hand the leadership back after the heal.")] = True,
    rto: Annotated[str | None, typer.Option(help="Judge by this recovery time, e.g. 30s. [default: the claim]")] = None,
    rpo: Annotated[str | None, typer.Option(help="Judge by this loss, e.g. 5s; 0: none. [default: the claim]")] = None,
    availability: Annotated[str | None, typer.Option(help="Judge each region by this share of successes.")] = None,
    rate: Annotated[float | None, typer.Option(help="Operations per second over all clients. [default: 300]")] = None,
    clients: Annotated[int | None, typer.Option(help="Concurrent clients. [default: 15 per region]")] = None,
    op_timeout: Annotated[float | None, typer.Option(help="Seconds until an operation counts as unknown.")] = None,
    recovery_limit: Annotated[float | None, typer.Option(help="Seconds that recovery may take after the heal.")] = None,
    link_server: Annotated[
        str | None, typer.Option(help="toxiproxy, embedded, or the URL of a Toxiproxy of yours.")
    ] = None,
    store: Store = None,
    json: Json = False,
) -> int:
    """Fail a region over, again and again, and measure RTO and RPO from what clients saw.

    Every drill strikes the leader's region, holds, heals and hands the leadership back, and is a run in the store. A
    page beside the runs, drills-<utc>.html, sums them up.
    Example: rift drill --target postgres --mode async --fault partition-region --repeat 10 --seed 1
    """
    from harness.drills import repeated
    from harness.planning import plans

    words: dict[str, Any] = {"target": target, "option": option, "mode": mode, "fault": fault}
    words |= {"region": region or None}
    words |= {"topology": topology, "profile": profile, "testbed": None if testbed == "local" else testbed}
    words |= {"hold": hold, "no-failback": not failback, "rto": rto, "rpo": rpo, "availability": availability}
    words |= {"rate": rate, "clients": clients, "op-timeout": op_timeout, "recovery-limit": recovery_limit}
    asked = repeated.Asked(
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
        said=words | {"link-server": link_server},
    )
    found = repeated.drill(asked, plans.store_root(store))
    _tell(found.as_data(), lambda _: repeated.as_text(found), json)
    return found.exit_code


@app.command()
def check(
    history: Annotated[
        str, typer.Argument(metavar="FILE|RUN", help="A history file; or a run: its folder, its name, or `latest`.")
    ] = "latest",
    model: Annotated[
        str | None,
        typer.Option(help="What a recorded history is judged as: a name from `rift list models`, or a file of yours."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", help="An option of the model, name=value; see `rift list models`."),
    ] = None,
    initial: Annotated[str | None, typer.Option(help="The same as -o initial=V: the first value, JSON or EDN.")] = None,
    consistency: Annotated[
        str | None, typer.Option(help="The same as -o consistency=A,B: what transactions must keep.")
    ] = None,
    keyed: Annotated[bool, typer.Option("--keyed", help="Values have the form [key value].")] = False,
    time_limit: Annotated[
        float | None,
        typer.Option(min=0.001, max=1e6, help="Seconds for each checker; beyond, it says unknown. [default: 300]"),
    ] = None,
    memory: Annotated[int | None, typer.Option(min=1, help="Megabytes of a search; beyond, it says unknown.")] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Also write the explanation as an interactive page.")
    ] = None,
    spec: Annotated[
        Path | None, typer.Option(metavar="PLAN", help="For the model `rollout`: the release plan, a YAML file.")
    ] = None,
    store: Store = None,
    json: Json = False,
) -> int:
    """Judge a recorded history by a model, or an old run again; nothing is started.

    A history: `rift check ops.jsonl --model list-append`. A deployment tool's events: `rift check events.jsonl --model
    rollout --spec plan.yaml`. An old run: `rift check latest`. A file of yours as model: `--model ./stack.py`.

    Exit codes: 0 valid, 1 invalid, 2 unknown, 3 the harness failed, 4 wrong usage or a malformed file.
    """
    root = store or Path("store")
    given: dict[str, str] = {}
    if option:
        from harness.planning import plans  # loads targets' contracts, which no history needs

        given |= plans.options(option)
    given |= {name: text for name, text in (("initial", initial), ("consistency", consistency)) if text is not None}
    if model is None and not Path(history).is_file():
        from harness import store as runs
        from harness.running import execute

        if given or keyed or memory or html or spec:
            raise UsageError("a run is judged by its own workload: give --model to judge it in another way")
        return execute.check(runs.find(root, history), json, time_limit)
    if model == "rollout" or spec is not None:
        from harness.judging import releases

        meaningless = {
            "--option": given,
            "--keyed": keyed,
            "--time-limit": time_limit,
            "--memory": memory,
            "--html": html,
        }
        released = releases.check_file(history, root, model, spec, [each for each, on in meaningless.items() if on])
        _tell(released.as_data(), lambda _: released.as_text(), json)
        return released.verdict.valid.exit_code
    from harness.judging import recorded

    if html is not None:
        recorded.place(html, history)
    judged = recorded.check_file(history, root, model, recorded.asked(model, given, time_limit, memory, keyed))
    if html is not None:
        recorded.write_page(judged, history, html, given, ["rift", *sys.argv[1:]])
        print(f"the explanation as a page: {html}", file=sys.stderr)
    _tell(judged.as_data(), lambda _: judged.as_text(), json)
    return judged.verdict.valid.exit_code


@app.command()
def convert(
    history: Annotated[str, typer.Argument(metavar="FILE|RUN", help="A history in any known format, or a run.")],
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    to: Annotated[str, typer.Option(help="edn, jsonl or arrow. [default: as OUT's name ends]")] = "",
    store: Store = None,
) -> int:
    """Write a recorded history in another format."""
    from harness.judging import recorded

    recorded.place(out, history)
    events = recorded.convert(recorded.source(history, store or Path("store")), out, to)
    print(f"{events:,} events in {out}", file=sys.stderr)
    return 0


@app.command()
def certify(
    families: Annotated[
        list[str] | None, typer.Argument(metavar="[FAMILY]...", help="Checkers, by their model. [default: all]")
    ] = None,
    count: Annotated[
        int | None, typer.Option(help="Small random histories per family, and other evidence in proportion.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A hundredth of it: 1000 histories per family.")] = False,
    seed: Annotated[int, typer.Option(help="Decides every history.")] = 1,
    kind: Annotated[
        list[str] | None, typer.Option(help="oracle, mutation, laws, simulated or recorded. [default: all]")
    ] = None,
    histories: Annotated[
        Path | None, typer.Option(help="A folder of recorded histories with their verdicts in expected.json.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Processes. [default: one per core]")] = None,
    json: Json = False,
) -> int:
    """Show that the checkers are right: against slow judges, planted anomalies, laws, and simulated systems.

    By default 100000 histories per family, which takes the better part of an hour on two cores; --quick a minute or
    two. Every mistake is printed as small as it can be made, to be judged again with `rift check`.

    Ends with 0 when no checker was ever wrong, 1 when one was, 2 when the evidence is not enough.
    """
    from harness.certify import command, table

    found = command.run(families or [], kind or [], command.size(count, quick), seed, histories, jobs)
    _tell(table.as_data(found), lambda _: table.as_text(found), json)
    return found.exit_code


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="A run's folder, or its name in the store; `latest`.")] = "latest",
    format: Annotated[str, typer.Option("--format", "-f", help="html, terminal, json, junit or allure.")] = "html",
    store: Store = None,
) -> int:
    """Turn a stored run into a report; prints it, or where it lies."""
    from harness import registry
    from harness import store as runs
    from harness.planning import plans

    print(registry.renderer(format).render(runs.load(runs.find(plans.store_root(store), run))))
    return 0


@app.command("list")
def list_(
    kind: Annotated[
        str | None, typer.Argument(help="targets, workloads, faults, topologies, reports or models. [default: all]")
    ] = None,
    json: Json = False,
) -> int:
    """Show every target, workload, fault, topology, report format and model, or one kind of them."""
    from harness.commands import _catalogue

    return _tell(_catalogue.everything(kind), _catalogue.as_text, json)


@app.command()
def doctor(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A compose file of yours: what is missing in it for a run?")
    ] = None,
    json: Json = False,
) -> int:
    """Show what this machine offers and what to install for the rest; with FILE, whether that can be run."""
    from harness.commands import _catalogue

    if file is not None:
        found, text, ready = _catalogue.compose_file(file)
        _tell(found, lambda _: text, json)
        return 0 if ready else 4
    from harness.testbeds import powers

    return _tell([*powers.powers(), *_catalogue.servers()], _as_lines, json)


@app.command()
def heal(json: Json = False) -> int:
    """Remove what killed runs left behind: processes, proxies, locks, containers. Touches nothing else."""
    import asyncio

    from harness.testbeds import healing

    return _tell(asyncio.run(healing.heal()), lambda all_: "\n".join(all_) or "Nothing was left behind.", json)


@app.command()
def images(
    names: Annotated[list[str] | None, typer.Argument(help="Recipes in compose/images. [default: all]")] = None,
    show: Annotated[bool, typer.Option("--list", help="Only show which are here.")] = False,
    json: Json = False,
) -> int:
    """Build or fetch every image that --testbed compose needs; no registry has to be reachable. What is here stays."""
    from harness import registry
    from harness.testbeds import opening

    say = partial(print, file=sys.stderr)
    found = opening.images(registry.home("compose"), say, build=not show, names=names or ())
    return _tell(found, lambda rows: "\n".join(f"{row['state']:<8} {row['image']}" for row in rows), json)


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="Port on the loopback address.")] = 8420,
    store: Store = None,
) -> int:
    """Browse the store at http://127.0.0.1:8420; ends with Ctrl-C."""
    from harness.commands import _serving
    from harness.planning import plans

    return _serving.serve(plans.store_root(store), port)


@app.command()
def demo(store: Store = None) -> int:
    """Two runs: a real etcd that keeps its promise, and a store with a planted bug that does not."""
    from harness.planning import plans
    from harness.running import execute

    return execute.demo(plans.store_root(store))


def _as_lines(found: Any) -> str:
    return "\n".join(
        f"{'yes' if power.present else 'no ':<4} {power.name:<22} {power.says}"
        + (f"\n{'':<28}{power.advice}" if power.advice else "")
        for power in found
    )


def _version(wanted: bool) -> None:
    if wanted:
        print(f"rift {harness.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def _tell(data: Any, as_text: Any, json: bool) -> int:
    import msgspec

    print(msgspec.json.encode(data).decode() if json else as_text(data))
    return 0


def main() -> None:
    """Run the command line and exit with the documented codes."""
    sys.exit(_exit_code(sys.argv[1:]))


def _exit_code(arguments: list[str]) -> int:
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="rift", standalone_mode=False)
        if code == _CTRL_C:
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except _WRONG_USAGE as error:
        error.show()
        return 4
    except RiftError as error:
        print(f"rift: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("rift: stopped", file=sys.stderr)
        return 3
    except BrokenPipeError:  # `rift list | head`
        return 0
    except Exception:  # a bug of ours: say so, in full, with the code that promises nothing about the target
        traceback.print_exc()
        print("rift: this is a bug in Rift; the lines above say where", file=sys.stderr)
        return 3
