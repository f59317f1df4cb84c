"""The store: ``store/<test>/<utc>/`` holds everything that a run decided, did and found.

    plan.json           before anything starts        ledger.jsonl     before each fault acts
    history.jsonl       while it runs                 history.arrow    the same, compacted, at the end
    measurements.json   what was measured of links and harness
    verdicts.json       what the checkers said        state.json       running, finished, interrupted, failed
    nodes/<id>/log      the nodes' own words          run.log          the harness's own words

``store/<test>/latest`` and ``store/latest`` point to the newest run.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import StoreError
from harness.journal import compact, history_of, read_columns, read_journal
from harness.ledger import read_ledger
from harness.model.history import History
from harness.model.plan import Plan
from harness.model.run import Run
from harness.model.verdict import Verdict


class RunFolder:
    """The folder of one run and its files."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.plan = self.path / "plan.json"
        self.state = self.path / "state.json"
        self.journal = self.path / "history.jsonl"
        self.columns = self.path / "history.arrow"
        self.ledger = self.path / "ledger.jsonl"
        self.measurements = self.path / "measurements.json"
        self.verdicts = self.path / "verdicts.json"
        self.log = self.path / "run.log"

    def write(self, file: Path, data: Any) -> None:
        """Replace ``file`` by ``data`` as JSON: whole or not at all. Raises StoreError when the disk refuses."""
        temporary = file.with_suffix(".tmp")
        try:
            with open(temporary, "wb") as out:
                out.write(msgspec.json.format(msgspec.json.encode(data), indent=1))
                out.flush()
                os.fsync(out.fileno())
            temporary.replace(file)
        except OSError as error:
            raise StoreError(
                f"{file}: {error.strerror or error}; free some space, or choose another --store"
            ) from error

    def note(self, line: str) -> None:
        """Add a line to the run's log; a full disk must not stop a run that is cleaning up."""
        with contextlib.suppress(OSError), open(self.log, "a", encoding="utf-8") as out:
            out.write(f"{datetime.now(UTC):%H:%M:%S.%f} {line}\n")

    def set_state(self, state: str, problem: str = "") -> None:
        self.write(self.state, {"state": state, "problem": problem})

    def is_finished(self) -> bool:
        """Whether the run is known to have come to its last read."""
        with contextlib.suppress(StoreError):
            return bool(_read(self.state, default={}).get("state") == "finished")
        return False

    def has_failed(self) -> bool:
        """Whether the run is known to have given up."""
        with contextlib.suppress(StoreError):
            return bool(_read(self.state, default={}).get("state") == "failed")
        return False

    def finish_history(self) -> None:
        """Compact the journal; the line-based file goes once the columns are safe."""
        history, _torn = read_journal(self.journal)
        compact(history, self.columns)
        self.journal.unlink()


def create(root: Path, plan: Plan) -> RunFolder:
    """A new run's folder, with a name of its own even when two begin in the same second.

    The plan is in it before the ``latest`` links move, so that they always lead to a run. Raises StoreError when
    ``root`` cannot be written.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    parent = root / plan.test
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = RunFolder(_claim(parent, stamp))
        folder.write(folder.plan, plan)
        _point(parent / "latest", Path(folder.path.name))
        _point(root / "latest", Path(plan.test) / folder.path.name)
    except OSError as error:
        raise StoreError(f"{root}: cannot keep a run here: {error}; choose another --store") from error
    return folder


def _claim(parent: Path, stamp: str) -> Path:
    for attempt in range(1000):
        folder = parent / (f"{stamp}Z" if attempt == 0 else f"{stamp}-{attempt}Z")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise StoreError(f"{parent}: a thousand runs began at {stamp}; something starts them in a loop")


def _point(link: Path, target: Path) -> None:
    temporary = link.with_name(f".{link.name}-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)


def find(root: Path, run: str) -> RunFolder:
    """The run that ``run`` names: a folder, ``latest``, ``<test>``, or ``<test>/<utc>`` under ``root``.

    Raises StoreError when there is none.
    """
    for path in (Path(run), root / run, root / run / "latest"):
        if (path / "plan.json").is_file():
            return RunFolder(path)
    known = ", ".join(sorted(path.parent.name for path in root.glob("*/latest"))) or "nothing"
    raise StoreError(f"{run!r} is no run: no plan.json in it, nor in {root / run}; {root} holds {known}")


def load(folder: RunFolder, with_verdicts: bool = True) -> Run:
    """A run as it lies on disk, also one whose harness was killed at any moment after its plan was saved.

    Who judges anew does without the old verdicts: damaged ones must not stand in the way.
    """
    state = _read(folder.state, default={"state": "running", "problem": ""})
    history, torn = load_history(folder)
    return Run(
        folder=folder.path,
        plan=_plan(folder),
        history=history,
        verdicts=_verdicts(folder) if with_verdicts else (),
        ledger=read_ledger(folder.ledger),
        measurements=_read(folder.measurements, default={}),
        state="torn" if torn or state["state"] == "running" else state["state"],
        problem=state["problem"],
    )


def load_history(folder: RunFolder) -> tuple[History, bool]:
    """The run's history, and whether its last line was torn off."""
    if folder.columns.exists():
        return history_of(read_columns(folder.columns)), False
    if folder.journal.exists():
        return read_journal(folder.journal)
    return History(()), False


def save_verdicts(folder: RunFolder, verdicts: Iterable[Verdict]) -> None:
    """Write what the checkers said, replacing what an earlier judgement said."""
    folder.write(folder.verdicts, list(verdicts))


def _plan(folder: RunFolder) -> Plan:
    try:
        return msgspec.json.decode(folder.plan.read_bytes(), type=Plan)
    except OSError as error:
        raise StoreError(f"{folder.plan}: cannot be read: {error}") from error
    except msgspec.MsgspecError as error:
        raise StoreError(f"{folder.plan}: is no plan: {error}") from error


def _verdicts(folder: RunFolder) -> tuple[Verdict, ...]:
    try:
        return tuple(msgspec.convert(_read(folder.verdicts, default=[]), type=list[Verdict]))
    except (msgspec.ValidationError, StoreError) as error:
        raise StoreError(f"{folder.verdicts}: {error}; judge again: rift check {folder.path}") from error


def _read(file: Path, default: Any) -> Any:
    try:
        return msgspec.json.decode(file.read_bytes())
    except FileNotFoundError:
        return default
    except (OSError, msgspec.MsgspecError) as error:
        raise StoreError(f"{file}: cannot be read: {error}") from error
