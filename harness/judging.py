"""Judges a recorded history by a model: the work of ``rift check FILE --model NAME``, and of ``rift convert``."""

# A checker is imported when it is asked for: ten operations should be judged before other checkers have loaded.

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from harness import formats, journal, store
from harness.checkers.judge import judge
from harness.checkers.wording import count
from harness.errors import RiftError, StoreError, UsageError
from harness.formats import jepsen_edn, jepsen_log, json_lines
from harness.kernels import models, objects
from harness.model.columns import Columns, columns_of
from harness.model.history import History
from harness.model.op import Op
from harness.model.verdict import Valid, Verdict

if TYPE_CHECKING:  # it loads the topology's validation, which no check needs
    from harness.contracts import Checker

_LONG_S: Final = 0.1
"""People are told how long reading took from so many seconds on."""
NIL_READ_IS_INITIAL, NIL_READ_IS_UNKNOWN = "initial", "unknown"
FAILED_CAS_CONSTRAINS, FAILED_CAS_IS_ABSENT = "constrains", "absent"


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
        return "the last line was torn off and is left out" if self._loaded[1] else ""


# --- models ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judge:
    """How a model is judged: ``checker()`` gives the class, ``fixed`` what makes it this model's.

    ``keyed`` says that values have the form ``[key value]``; ``verbs`` renames operations to the checker's words.
    """

    checker: Callable[[], Callable[..., Checker]]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    keyed: bool = False
    verbs: Mapping[str, str] = field(default_factory=dict)


def _linearizable() -> Callable[..., Checker]:
    from harness.checkers.linearizable import Linearizable

    return Linearizable


def _set_full() -> Callable[..., Checker]:
    from harness.checkers.set import SetFull

    return SetFull


def _transactions() -> Callable[..., Checker]:
    from harness.checkers.transactions import Transactions

    return Transactions


def _named(module: str, name: str) -> Callable[[], Callable[..., Checker]]:
    """The checker class ``name`` of ``harness/checkers/<module>.py``, loaded when it is asked for."""

    def load() -> Callable[..., Checker]:
        found: Callable[..., Checker] = getattr(importlib.import_module(f"harness.checkers.{module}"), name)
        return found

    return load


_SESSION_GUARANTEES: Final = ("read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads")

MODELS: Final[dict[str, Judge]] = {
    "list-append": Judge(_transactions, {"kind": "list-append"}),
    "rw-register": Judge(_transactions, {"kind": "rw-register"}),
    "set-full": Judge(_set_full, verbs={"read": "members"}),
    "sessions": Judge(_named("sessions", "Sessions")),
    **{each: Judge(_named("sessions", "Sessions"), {"guarantees": (each,)}) for each in _SESSION_GUARANTEES},
    "pram": Judge(_named("pram", "Pram")),
    "causal": Judge(_named("causal", "Causal")),
    "causal-convergence": Judge(_named("causal", "Causal"), {"convergent": True}),
    "staleness": Judge(_named("staleness", "Staleness")),
    "convergence": Judge(_named("convergence", "Convergence")),
    "last-write-wins": Judge(_named("last_write_wins", "LastWriteWins")),
    "long-fork": Judge(_named("long_fork", "LongFork")),
    "counter-bounds": Judge(_named("counter", "Counter")),
    "bank": Judge(_named("bank", "Bank")),
    "unique-ids": Judge(_named("unique_ids", "UniqueIds")),
    "total-queue": Judge(_named("total_queue", "TotalQueue")),
    "log": Judge(_named("log", "Log")),
    "pn-counter": Judge(_named("crdt", "PnCounter")),
    "g-set": Judge(_named("crdt", "GSet")),
    "or-set": Judge(_named("crdt", "OrSet")),
    # Every model of the linearizability kernels is one here, under its own name.
    **{name: Judge(_linearizable, {"model": name}) for name in (*models.MODELS, *objects.OBJECTS)},
    "kv": Judge(_linearizable, {"model": "kv-append"}),
    "queue": Judge(_linearizable, {"model": "unordered-queue"}),
}


@dataclass(frozen=True)
class Options:
    """What was asked for besides the model; None and empty leave the checker its own choice."""

    initial: Any = None
    consistency: tuple[str, ...] = ()
    time_limit_s: float | None = None
    memory_mb: int | None = None
    keyed: bool = False


def _checker(model: str, options: Options, format_: str) -> Checker:
    """The model's checker. Raises UsageError for an option that means nothing to it."""
    make = MODELS[model].checker()
    known: set[str] = {each.name for each in dataclasses.fields(make)} if dataclasses.is_dataclass(make) else set()
    asked = {
        "--initial": ("initial", options.initial),
        "--consistency": ("consistency", options.consistency or None),
        "--time-limit": ("time_limit_s", options.time_limit_s),
        "--memory": ("memory_mb", options.memory_mb),
    }
    for option, (name, value) in asked.items():
        if value is not None and name not in known:
            raise UsageError(f"{option} {value}: means nothing to the model {model!r}; leave it out")
    given = {name: value for name, value in asked.values() if value is not None}
    meaning: dict[str, Any] = {
        # Who asks about a file asks whether anything in it contradicts the model; a run must have shown something.
        "needs_evidence": False,
        # A register that begins with a value can never be without one: a read of nil then tells nothing.
        "nil_read": NIL_READ_IS_INITIAL if options.initial is None else NIL_READ_IS_UNKNOWN,
        "failed_cas": FAILED_CAS_CONSTRAINS if format_ == jepsen_log.NAME else FAILED_CAS_IS_ABSENT,
    }
    return make(**MODELS[model].fixed, **given, **{name: value for name, value in meaning.items() if name in known})


# --- checking --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """A verdict on a recorded history, and what it was about; ``read_s`` is how many seconds reading it took."""

    model: str
    format: str
    operations: int
    note: str
    verdict: Verdict
    read_s: float = 0.0

    def as_data(self) -> dict[str, Any]:
        """For machines: ``valid`` is true, false or "unknown"; ``seconds`` is the time of the check alone."""
        verdict = self.verdict
        told: dict[str, Any] = {
            "valid": {Valid.TRUE: True, Valid.FALSE: False}.get(verdict.valid, "unknown"),
            "model": self.model,
            "operations": self.operations,
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
        size = f"{self.model}, {count(self.operations, 'operation')}, {self.verdict.seconds:.3f} s, {self.format}"
        size += f" read in {self.read_s:.1f} s" if self.read_s >= _LONG_S else ""
        note = f"\nnote: {self.note}" if self.note else ""
        return f"{word}  ({size})\n{explained(self.verdict)}{note}"


def check_file(name: str, root: Path, model: str | None, options: Options) -> Judged:
    """Judge the history that ``name`` stands for. Raises UsageError when no or an unknown ``model`` is given."""
    if model is None:
        raise UsageError(f"{name} is a history: say by what to judge it, --model NAME, of {', '.join(sorted(MODELS))}")
    _known("model", model, MODELS)
    return check(source(name, root, options.keyed or MODELS[model].keyed), model, options)


def check(source: Source, model: str, options: Options) -> Judged:
    """Judge ``source`` by ``model``. Raises UsageError when the model is unknown or the history contradicts itself."""
    _known("model", model, MODELS)
    checker = _checker(model, options, source.format)
    by_columns, began = getattr(checker, "check_columns", None), perf_counter()
    # Columns are faster, but know neither regions nor faults, which a story of our own runs should name.
    if by_columns is not None and not MODELS[model].verbs and not source.placed:
        operations = len(source.columns)
    else:
        by_columns, history = None, _renamed(source.history, MODELS[model].verbs)
        operations = len(_operations(history))
    read_s = source.read_s + perf_counter() - began
    if not operations:
        return Judged(model, source.format, 0, source.note, _empty(checker.name), read_s)
    if by_columns is not None:
        checker, history = _ByColumns(checker.name, source.columns, by_columns), History(())
    [verdict] = judge(history, [checker])
    return Judged(model, source.format, operations, source.note, verdict, read_s)


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
        raise UsageError(f"{name}: there is no such file, and no such run in {root}; name a history file") from None


def _known(kind: str, name: str, names: Iterable[str]) -> str:
    if name not in names:
        from harness.registry import pick  # knows the nearest name; only a wrong one needs it

        pick(kind, name, names)
    return name


def value(text: str) -> Any:
    """A value from the command line, in JSON or EDN: ``0``, ``null`` or ``nil``, ``"x"``, ``x``, ``[1, 2]``."""
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return jepsen_edn.value(text)


# --- converting ------------------------------------------------------------------------------------

WRITERS: Final[dict[str, Callable[[Iterable[Op], Path], None]]] = {
    "edn": jepsen_edn.write,
    "jsonl": json_lines.write,
    "arrow": journal.compact,
}


def convert(found: Source, out: Path, to: str = "") -> int:
    """Write the history to ``out`` in the format ``to`` (default: by the name's ending), whole or not at all; how
    many events it has. Raises UsageError for an unknown format, RiftError when the disk refuses."""
    write = WRITERS[_known("format", to or out.suffix.lstrip("."), WRITERS)]
    history = found.history
    temporary = out.with_name(f".{out.name}.part")
    try:
        write(history, temporary)
        temporary.replace(out)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RiftError(f"{out}: cannot be written: {error.strerror or error}; choose another place") from None
    return len(history)
