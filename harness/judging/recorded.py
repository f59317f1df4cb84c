"""Judges a recorded history by a model: the work of ``rift check FILE --model NAME``, and of ``rift convert``."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from harness import formats, journal, store
from harness.checkers.judge import LIMIT_S, judge
from harness.checkers.wording import count
from harness.errors import RiftError, StoreError, UsageError
from harness.formats import jepsen_edn, jepsen_log, json_lines
from harness.judging import judges
from harness.judging.judges import Judge
from harness.model.columns import OK_CODE, Columns, columns_of
from harness.model.history import FaultWindow, History
from harness.model.op import OK, Op
from harness.model.run import Recorded
from harness.model.verdict import Valid, Verdict

if TYPE_CHECKING:  # it loads the topology's validation, which no check needs
    from harness.contracts import Checker

_LONG_S: Final = 0.1
"""People are told how long reading took from so many seconds on."""
NIL_READ_IS_INITIAL, NIL_READ_IS_UNKNOWN = "initial", "unknown"
FAILED_CAS_CONSTRAINS, FAILED_CAS_IS_ABSENT = "constrains", "absent"
SLACK_S: Final = 10.0
"""A checker that keeps the time limit by itself may take so much longer to explain what it found."""


class Source(Protocol):
    """A history from wherever it was kept."""

    @property
    def format(self) -> str: ...

    @property
    def note(self) -> str: ...

    @property
    def placed(self) -> bool: ...

    @property
    def read_s(self) -> float: ...

    @property
    def history(self) -> History: ...

    @property
    def columns(self) -> Columns: ...


@dataclass(frozen=True)
class Stored:
    """The history of a run in the store."""

    folder: store.RunFolder
    format: str = "run"
    placed: bool = True
    read_s: float = 0.0

    @cached_property
    def _loaded(self) -> tuple[History, bool]:
        return store.load_history(self.folder)

    @property
    def history(self) -> History:
        return self._loaded[0]

    @cached_property
    def columns(self) -> Columns:
        return columns_of(self.history)

    @property
    def note(self) -> str:
        from harness.testbeds import leases  # only a run has one

        history, torn = self._loaded
        if leases.is_running(self.folder.path):
            return f"the run is still going on; these are its first {count(len(history), 'event')}"
        return "the last line was torn off and is left out" if torn else ""


@dataclass(frozen=True)
class Options:
    """What was asked for besides the model; None and empty leave the checker its own choice.

    ``settings`` are the model's options by name, see ``judges.settings``; ``initial`` and ``consistency`` are
    two of them.
    """

    initial: Any = None
    consistency: tuple[str, ...] = ()
    time_limit_s: float | None = None
    memory_mb: int | None = None
    keyed: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> dict[str, Any]:
        """All settings by name."""
        told = {"initial": self.initial} if self.initial is not None else {}
        return {**told, **({"consistency": self.consistency} if self.consistency else {}), **self.settings}


def asked(
    model: str | None, given: Mapping[str, str], time_limit_s: float | None, memory_mb: int | None, keyed: bool
) -> Options:
    """What a command line asks for. Raises UsageError for an option that the model does not have or that is wrong."""
    settings = judges.settings(model, judges.judge_of(model), given) if model is not None and given else {}
    return Options(settings=settings, time_limit_s=time_limit_s, memory_mb=memory_mb, keyed=keyed)


def _checker(model: str, judge: Judge, options: Options, format_: str) -> Checker:
    """The model's checker. Raises UsageError for an option that means nothing to it."""
    known = judges.options_of(judge)
    for name, given in options.asked.items():
        if name not in known:
            raise UsageError(judges.no_option(model, name, known) + f" (given: {given!r})")
    if options.memory_mb is not None and "memory_mb" not in judges.limits_of(judge):
        raise UsageError(f"--memory {options.memory_mb}: the model {model!r} keeps no such limit; leave it out")
    meaning: dict[str, Any] = {
        # Who asks about a file asks whether anything in it contradicts the model; a run must have shown something.
        "needs_evidence": False,
        # A register that begins with a value can never be without one: a read of nil then tells nothing.
        "nil_read": NIL_READ_IS_INITIAL if options.asked.get("initial") is None else NIL_READ_IS_UNKNOWN,
        "failed_cas": FAILED_CAS_CONSTRAINS if format_ == jepsen_log.NAME else FAILED_CAS_IS_ABSENT,
    }
    limits = {"time_limit_s": options.time_limit_s, "memory_mb": options.memory_mb}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return judges.checker_of(judge, **{**meaning, **given, **options.asked})


# --- checking --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """A verdict on a recorded history, and what it was about.

    ``kinds`` counts its operations by name (``f``); ``read_s`` is how many seconds reading it took.
    """

    model: str
    format: str
    operations: int
    note: str
    verdict: Verdict
    acknowledged: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[FaultWindow, ...] = ()
    read_s: float = 0.0
    noun: str = "operation"

    def as_data(self) -> dict[str, Any]:
        """For machines, see docs/histories.md; ``seconds`` is the time of the check alone."""
        verdict = self.verdict
        told: dict[str, Any] = {
            "valid": {Valid.TRUE: True, Valid.FALSE: False}.get(verdict.valid, "unknown"),
            "model": self.model,
            f"{self.noun}s": self.operations,
            "acknowledged": self.acknowledged,
            "seconds": round(verdict.seconds, 6),
            "read_seconds": round(self.read_s, 6),
            "explanation": explained(verdict),
        }
        told |= {"cause": verdict.cause} if verdict.cause else {}
        told |= {name: verdict.details[name] for name in ("anomalies", "not", "also_not") if name in verdict.details}
        told |= {"note": self.note} if self.note else {}
        return told | {"format": self.format, "details": verdict.details}

    def as_text(self) -> str:
        """For people."""
        word = {Valid.TRUE: "VALID", Valid.FALSE: "INVALID"}.get(self.verdict.valid, "UNKNOWN")
        size = f"{self.model}, {count(self.operations, self.noun)}, {self.verdict.seconds:.3f} s, {self.format}"
        size += f" read in {self.read_s:.1f} s" if self.read_s >= _LONG_S else ""
        lines = [f"{word}  ({size})", explained(self.verdict)]
        if self.verdict.valid is Valid.UNKNOWN and self.kinds:
            kinds = ", ".join(f"{number:,} {name}" for name, number in self.kinds.items())
            lines.append(f"the history holds: {kinds}; {self.acknowledged:,} acknowledged")
        lines += [str(self.verdict.details[name]).rstrip() for name in ("traceback",) if name in self.verdict.details]
        return "\n".join([*lines, *([f"note: {self.note}"] if self.note else [])])


def check_file(name: str, root: Path, model: str | None, options: Options) -> Judged:
    """Judge the history that ``name`` stands for, in a process of its own that ends in time. Raises UsageError when no
    or an unknown ``model`` is given."""
    if model is None:
        known = ", ".join(judges.NAMES)
        raise UsageError(f"{name} is a history: say by what to judge it, --model NAME, of {known}")
    found = source(name, root, options.keyed or judges.judge_of(model).keyed)
    return check(found, model, options, confined=True)


def check(source: Source, model: str, options: Options, confined: bool = False) -> Judged:
    """Judge ``source`` by ``model``. Raises UsageError when the model is unknown or the history contradicts itself.

    ``confined``: in a process of its own, which is stopped when it goes far beyond the time limit.
    """
    judge_ = judges.judge_of(model)
    checker = _checker(model, judge_, options, source.format)
    by_columns, began = getattr(checker, "check_columns", None), perf_counter()
    # Columns are faster, but know neither regions nor faults, which a story of our own runs should name.
    if by_columns is not None and not judge_.verbs and not source.placed:
        columns, history = source.columns, History(())
        names, acknowledged = columns.fs, int((columns.type == OK_CODE).sum())
        kinds = {name: int((columns.f == number).sum()) for number, name in enumerate(names)}
        checker = _ByColumns(checker.name, columns, by_columns)
    else:
        history = _renamed(source.history, judge_.verbs)
        operations = _operations(history)
        kinds, acknowledged = Counter(op.f for op in operations), sum(op.type == OK for op in operations)
    told = {name: number for name, number in kinds.items() if number}
    read_s = source.read_s + perf_counter() - began
    made = partial(
        Judged,
        model,
        source.format,
        sum(told.values()),
        source.note,
        acknowledged=acknowledged,
        kinds=told,
        read_s=read_s,
    )
    if not told:
        return made(_empty(checker.name))
    [verdict] = judge(history, [checker], _limit_s(judge_, options) if confined else None)
    if "traceback" in verdict.details:  # a bug of the checker, or operations that are none of this model's
        from harness.judging import shapes  # only a checker that stumbled needs it

        misfit = shapes.misfit(model, source.history.operations)
        if misfit:
            raise UsageError(f"{misfit}, to be judged as {model}; nothing was judged")
    return made(_without_bound(verdict), faults=history.faults)


def _limit_s(judge_: Judge, options: Options) -> float:
    if options.time_limit_s is None:
        return LIMIT_S
    return options.time_limit_s + (SLACK_S if "time_limit_s" in judges.limits_of(judge_) else 0.0)


def _without_bound(verdict: Verdict) -> Verdict:
    """A checker that only reports, e.g. how stale reads were, does not call a history valid."""
    if verdict.judged or verdict.valid is not Valid.TRUE:
        return verdict
    cause = f"nothing to judge by: give the model a bound with -o (see `rift list models`); {verdict.summary}"
    return msgspec.structs.replace(verdict, valid=Valid.UNKNOWN, summary=cause, cause=cause)


@dataclass(frozen=True)
class _ByColumns:
    """A checker that reads columns, in the place of one that reads a history."""

    name: str
    columns: Columns
    of_columns: Callable[[Columns], Verdict]

    def check(self, _: History) -> Verdict:
        return self.of_columns(self.columns)


def _operations(history: History) -> tuple[Any, ...]:
    try:
        return history.operations
    except ValueError as error:
        raise UsageError(f"{error}; nothing was judged") from None


def _renamed(history: History, verbs: Mapping[str, str]) -> History:
    if not verbs:
        return history
    return History(msgspec.structs.replace(op, f=verbs.get(op.f, op.f)) for op in history)


def _empty(name: str) -> Verdict:
    cause = "the history is empty: it holds no operation of a client"
    return Verdict(checker=name, valid=Valid.UNKNOWN, summary=cause, cause=cause)


def explained(verdict: Verdict) -> str:
    """The verdict in words, an argument per line."""
    lines = [verdict.summary]
    for excerpt in verdict.excerpts:
        lines += [f"{excerpt.title}:"] * (excerpt.title not in verdict.summary)
        lines += [f"  {step}" for step in excerpt.steps]
    return "\n".join(lines)


def source(name: str, root: Path, keyed: bool = False) -> Source:
    """The history that ``name`` stands for: a file in any known format, a run's folder, or a run under ``root``.

    Raises UsageError when it is nothing of that, or when the file is malformed.
    """
    if Path(name).is_file():
        return formats.load(Path(name), keyed)
    try:
        return Stored(store.find(root, name))
    except StoreError:
        if Path(name).is_dir():
            raise UsageError(
                f"{name}: is a folder and no run: there is no plan.json in it; name a history file"
            ) from None
        if Path(name).exists():
            raise UsageError(f"{name}: is no file that can be read twice; save it to a file first") from None
        raise UsageError(f"{name}: there is no such file, and no such run in {root}; name a history file") from None


def write_page(judged: Judged, name: str, page: Path, given: Mapping[str, str], command: Sequence[str]) -> None:
    """Write the interactive page about a verdict. Raises RiftError when the disk refuses."""
    from harness import __version__, registry
    from harness.contracts import Explains

    renderer = registry.renderer("html")
    assert isinstance(renderer, Explains)
    told = Recorded(
        name=name,
        model=judged.model,
        format=judged.format,
        operations=judged.operations,
        acknowledged=judged.acknowledged,
        verdict=judged.verdict,
        note=judged.note,
        options=dict(given),
        command=shlex.join(command),
        faults=judged.faults,
        rift_version=__version__,
    )
    _whole(page, lambda part: part.write_text(renderer.explain(told), encoding="utf-8"))


def place(out: Path, history: str) -> None:
    """Raises UsageError when ``out`` cannot become a file, or is the ``history`` itself: asked before long work."""
    if out.is_dir() or not out.parent.is_dir():
        why = "is a folder" if out.is_dir() else f"there is no folder {out.parent}"
        raise UsageError(f"{out}: cannot be written: {why}; name a file")
    if out.exists() and Path(history).is_file() and out.samefile(history):
        raise UsageError(f"{out}: is the history itself and would be lost; choose another name")


def _whole(out: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file that gets its name when it is complete."""
    temporary = out.with_name(f".{out.name}.part")
    try:
        write(temporary)
        temporary.replace(out)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RiftError(f"{out}: cannot be written: {error.strerror or error}; choose another place") from None


# --- converting ------------------------------------------------------------------------------------

WRITERS: Final[dict[str, Callable[[Iterable[Op], Path], None]]] = {
    "edn": jepsen_edn.write,
    "jsonl": json_lines.write,
    "arrow": journal.compact,
}


def convert(found: Source, out: Path, to: str = "") -> int:
    """Write the history to ``out`` in the format ``to`` (default: by the name's ending), whole or not at all; how
    many events it has. Raises UsageError for an unknown format, RiftError when the disk refuses."""
    write = WRITERS[judges.known("format", to or out.suffix.lstrip("."), WRITERS)]
    history = found.history
    _whole(out, partial(write, history))
    return len(history)
