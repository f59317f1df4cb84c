"""``rift check``: judges what is recorded already, by a model, by a release plan, or as the run that it was."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.commands._words import Json, Store, store_root, tell
from harness.errors import UsageError


def command(
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
    root, given = store_root(store), _options(option, initial, consistency)
    if model is None and not Path(history).is_file():
        if given or keyed or memory or html or spec:
            raise UsageError("a run is judged by its own workload: give --model to judge it in another way")
        return _run(history, root, json, time_limit)
    if model == "rollout" or spec is not None:
        refused = {"--option": given, "--keyed": keyed, "--time-limit": time_limit, "--memory": memory, "--html": html}
        return _events(history, root, model, spec, [each for each, on in refused.items() if on], json)
    from harness.judging import recorded

    if html is not None:
        recorded.place(html, history)
    judged = recorded.check_file(history, root, model, recorded.asked(model, given, time_limit, memory, keyed))
    if html is not None:
        recorded.write_page(judged, history, html, given, ["rift", *sys.argv[1:]])
        print(f"the explanation as a page: {html}", file=sys.stderr)
    tell(judged.as_data(), lambda _: judged.as_text(), json)
    return judged.verdict.valid.exit_code


def _options(option: list[str] | None, initial: str | None, consistency: str | None) -> dict[str, str]:
    given: dict[str, str] = {}
    if option:
        from harness.planning import plans  # loads targets' contracts, which no history needs

        given |= plans.options(option)
    return given | {
        name: text for name, text in (("initial", initial), ("consistency", consistency)) if text is not None
    }


def _events(history: str, root: Path, model: str | None, spec: Path | None, meaningless: list[str], json: bool) -> int:
    """Judge a deployment tool's events by a release plan."""
    from harness.judging import releases

    released = releases.check_file(history, root, model, spec, meaningless)
    tell(released.as_data(), lambda _: released.as_text(), json)
    return released.verdict.valid.exit_code


def _run(name: str, root: Path, json: bool, limit_s: float | None) -> int:
    """Judge a stored run again, write its reports and show the outcome. One that still goes on is left alone: its
    verdicts are its own to write."""
    from harness import store
    from harness.checkers.judge import LIMIT_S
    from harness.judging import runs
    from harness.model.verdict import Valid
    from harness.running import execute
    from harness.testbeds import leases

    folder = store.find(root, name)
    if leases.is_running(folder.path):
        cause = f"the run {folder.path} is still going on; it is judged when it ends"
        text = f"UNKNOWN\n{cause}. Its history so far, by a model:\n  rift check {folder.path} --model NAME"
        tell({"valid": Valid.UNKNOWN, "cause": cause, "folder": str(folder.path)}, lambda _: text, json)
        return Valid.UNKNOWN.exit_code
    return execute.show(execute.reported(runs.judged(folder, limit_s or LIMIT_S)), json)
