"""What a recorded history can be judged as: models by name, their options, and models in files of yours.

A model's options are the fields of its checker. A file of yours defines ``MODEL``: a function from an operation to its
``harness.kernels.models.Effect``, or a ``harness.kernels.objects.Object``; or ``CHECKER``, a class with ``check``.
"""

# A checker is imported when it is asked for: ten operations should be judged before other checkers have loaded.

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin, get_type_hints

import msgspec

from harness.errors import PluginError, UsageError
from harness.formats import jepsen_edn
from harness.kernels import models, objects

if TYPE_CHECKING:  # it loads the topology's validation, which no check needs
    from harness.contracts import Checker


@dataclass(frozen=True)
class Judge:
    """How a model is judged: ``checker()`` gives the class, ``fixed`` the fields that make it this model's.

    ``says`` is one line for lists; ``keyed`` says that values have the form ``[key value]``; ``verbs`` renames
    operations to the checker's words.
    """

    checker: Callable[[], Callable[..., Checker]]
    says: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    keyed: bool = False
    verbs: Mapping[str, str] = field(default_factory=dict)


def _named(module: str, name: str) -> Callable[[], Callable[..., Checker]]:
    """The checker class ``name`` of ``harness.checkers.<module>``, loaded when it is asked for."""

    def load() -> Callable[..., Checker]:
        found: Callable[..., Checker] = getattr(importlib.import_module(f"harness.checkers.{module}"), name)
        return found

    return load


_linearizable: Final = _named("objects.linearizable", "Linearizable")


def _kernel(says: str, **fixed: Any) -> Judge:
    return Judge(_linearizable, f"linearizable {says}", fixed)


_KERNEL_SAYS: Final = {
    "register": "register: read, write",
    "cas-register": "register: read, write, cas [expected new]",
    "mutex": "lock: acquire, release",
    "counter": "counter: add n, inc, dec, read",
    "set": "set: add, remove, read (all elements)",
    "unordered-queue": "queue in any order: enqueue, dequeue",
    "fifo-queue": "queue, first in first out: enqueue, dequeue",
    "multi-register": "registers written together: txn of [read k v], [write k v]",
    "kv-append": "strings by key: get, put, append",
}
_SESSION_GUARANTEES: Final = ("read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads")

MODELS: Final[dict[str, Judge]] = {
    # Every model of the linearizability kernels is one here, under its own name.
    **{name: _kernel(_KERNEL_SAYS.get(name, name), model=name) for name in (*models.MODELS, *objects.OBJECTS)},
    "kv": _kernel(_KERNEL_SAYS["kv-append"], model="kv-append"),
    "queue": _kernel(_KERNEL_SAYS["unordered-queue"], model="unordered-queue"),
    "list-append": Judge(
        _named("transactions.isolation", "Transactions"),
        "transactions on lists: txn of [append k v], [r k list]",
        {"kind": "list-append"},
    ),
    "rw-register": Judge(
        _named("transactions.isolation", "Transactions"),
        "transactions on registers: txn of [w k v], [r k v]",
        {"kind": "rw-register"},
    ),
    "sessions": Judge(_named("replicas.sessions", "Sessions"), "the four session guarantees: read, write, cas"),
    **{
        each: Judge(
            _named("replicas.sessions", "Sessions"), f"{each} within each client's session", {"guarantees": (each,)}
        )
        for each in _SESSION_GUARANTEES
    },
    "pram": Judge(_named("replicas.pram", "Pram"), "each client's writes are seen in their order"),
    "causal": Judge(
        _named("replicas.causal", "Causal"), "nobody sees an effect without its cause", {"convergent": False}
    ),
    "causal-convergence": Judge(
        _named("replicas.causal", "Causal"), "causal, and replicas agree on the order of writes", {"convergent": True}
    ),
    "staleness": Judge(_named("replicas.staleness", "Staleness"), "reads are at most so old, in time or in versions"),
    "convergence": Judge(
        _named("replicas.convergence", "Convergence"), "all places answer the same once everything is at rest"
    ),
    "last-write-wins": Judge(
        _named("replicas.last_write_wins", "LastWriteWins"), "the latest write is there in the end"
    ),
    "long-fork": Judge(_named("transactions.long_fork", "LongFork"), "no two reads saw two writes in opposite orders"),
    "counter-bounds": Judge(
        _named("objects.counter", "Counter"), "reads of a counter within what adds allow: add, read"
    ),
    "bank": Judge(_named("transactions.bank", "Bank"), "money moves, and its sum stays: transfer, read"),
    "unique-ids": Judge(_named("objects.unique_ids", "UniqueIds"), "no id is given twice: generate"),
    "total-queue": Judge(
        _named("objects.total_queue", "TotalQueue"), "what goes in comes out once: enqueue, dequeue, drain"
    ),
    "log": Judge(_named("objects.log", "Log"), "a partitioned log as in Kafka: send, poll, txn"),
    "set-full": Judge(
        _named("objects.set", "SetFull"),
        "no element lost, late or from nowhere: add, read (all elements)",
        verbs={"read": "members"},
    ),
    "pn-counter": Judge(_named("replicas.crdt", "PnCounter"), "a counter that merges, once at rest: add n, read"),
    "g-set": Judge(_named("replicas.crdt", "GSet"), "a set that only grows and merges, once at rest: add, read"),
    "or-set": Judge(_named("replicas.crdt", "OrSet"), "a set in which adds win, once at rest: add, remove, read"),
}

ROLLOUT: Final = "rollout"
"""The one model that is not about operations: ``releases`` judges by it."""
ROLLOUT_SAYS: Final = "a release over regions, from a deployment tool's events and its plan (--spec PLAN.yaml)"
NAMES: Final = tuple(sorted((*MODELS, ROLLOUT)))
"""What ``rift check --model`` takes, besides files."""


def judge_of(name: str) -> Judge:
    """The model called ``name``, or defined by a file of yours (``./stack.py``). Raises UsageError, PluginError."""
    if name.endswith(".py"):
        return _own(name)
    known("model", name, NAMES)
    return MODELS[name]


def _own(path: str) -> Judge:
    from harness import registry  # only a file of yours needs it

    module = registry.own_file("model", path)
    name, says = Path(path).stem.replace("_", "-"), " ".join((module.__doc__ or "").split("\n\n")[0].split())
    checker, model = getattr(module, "CHECKER", None), getattr(module, "MODEL", None)
    if isinstance(checker, type):
        if not callable(getattr(checker, "check", None)):
            raise PluginError(f"{path}: CHECKER has no method check(history) -> Verdict; see docs/checkers.md")
        return Judge(lambda: checker, says)
    if callable(model) or isinstance(model, objects.Object):
        return Judge(_linearizable, says, {"model": name, "own": model})
    raise UsageError(
        f"{path}: defines neither MODEL, a function from an operation to an Effect or an Object, nor CHECKER, a class; "
        "see docs/checkers.md"
    )


# --- options ---------------------------------------------------------------------------------------

OPTIONS: Final[dict[str, str]] = {
    "initial": "the value that an object begins with, in JSON or EDN; a set, queue or list as a list",
    "consistency": "the models that transactions must keep, with commas between, e.g. serializable,read-atomic",
    "ignore": "operations (f) that say nothing about the model, with commas between",
    "needs_evidence": "true: a history that acknowledges nothing is unknown; false: it is valid and says so",
    "nil_read": "a read of nil saw the `initial` value, or is `unknown`; by default initial, unknown if one is given",
    "failed_cas": "a failed cas is `absent`, or `constrains`: the register held something else; by default absent, "
    "constrains in the old log",
    "configurations": "so many configurations a search may hold for each object; beyond, the verdict is unknown",
    "linearizable_keys": "true: each register by itself is linearizable, from which more follows",
    "sequential_keys": "true: each client sees each register move forward only, from which more follows",
    "guarantees": f"of {', '.join(_SESSION_GUARANTEES)}: those to judge, with commas between",
    "max_ms": "milliseconds that a read may be behind",
    "max_versions": "versions that a read may be behind",
    "skew_ms": "milliseconds that the clocks which stamp the writes may differ",
    "within_ms": "milliseconds that replicas may take to agree after the last update and the last heal",
    "total": "the sum of all balances; by default that of the first read",
    "negative": "true: a balance may be below zero",
}
"""What each option means. The checkers' fields decide which model has which."""

LIMITS: Final = ("time_limit_s", "memory_mb")
"""Fields that are no question of meaning; they have switches of their own."""

_FIRST: Final[dict[str, Any]] = {
    "counter": int,
    "set": list[Any],
    "unordered-queue": list[Any],
    "fifo-queue": list[Any],
    "multi-register": dict[Any, Any],
    "kv-append": str,
}
"""What ``initial`` must be for objects that are no plain value."""


_OF_REGISTERS: Final = {"nil_read": ("register", "cas-register"), "failed_cas": ("cas-register",)}
"""Options of the linearizability checker that mean something to few models."""


def options_of(judge: Judge) -> dict[str, Any]:
    """The options of a model: name to type."""
    make = judge.checker()
    if not dataclasses.is_dataclass(make):
        return {}
    hidden = {"name", "model", "own", "kind", *LIMITS, *judge.fixed}
    if "model" in judge.fixed:
        hidden |= _OF_REGISTERS.keys() - {name for name, has in _OF_REGISTERS.items() if judge.fixed["model"] in has}
    hints = get_type_hints(make)
    return {each.name: hints[each.name] for each in dataclasses.fields(make) if each.init and each.name not in hidden}


def settings(name: str, judge: Judge, given: Mapping[str, str]) -> dict[str, Any]:
    """The values of options given as text. Raises UsageError for a wrong name (with the nearest) or a wrong value."""
    possible = options_of(judge)
    found: dict[str, Any] = {}
    for said, text in given.items():
        option = said.replace("-", "_")
        if option not in possible:
            raise UsageError(no_option(name, option, possible))
        wanted = _FIRST.get(judge.fixed.get("model", "")) if option == "initial" else None
        wanted = possible[option] if wanted is None else wanted
        found[option] = _parsed(option, text, wanted)
    return found


def _parsed(option: str, text: str, wanted: Any) -> Any:
    if get_args(wanted) == (str, ...):
        names = tuple(filter(None, (each.strip() for each in text.split(","))))
        return tuple(_chosen(option, each) for each in names)
    if wanted is str and option in _CHOICES:
        return _chosen(option, text)
    parsed = text if wanted is str and option != "initial" else value(text)
    try:
        found = parsed if wanted is Any else msgspec.convert(parsed, wanted)
    except (msgspec.ValidationError, TypeError) as error:
        kind = next(
            (name for type_, name in _KINDS.items() if type_ in (wanted, get_origin(wanted), *get_args(wanted))), ""
        )
        raise _wrong(option, text, f"expected {kind or error}") from None
    if isinstance(found, int | float) and found < 0 and option not in ("initial", "total"):
        raise _wrong(option, text, "must not be below 0")
    return found


_KINDS: Final = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    str: "a text",
    list: "a list, like [1, 2]",
    dict: 'a map, like {x 1} or {"x": 1}',
}


def _wrong(option: str, text: str, why: str) -> UsageError:
    meaning = f"; its meaning: {OPTIONS[option]}" if option in OPTIONS else ""
    return UsageError(f"option {option}={text}: {why}{meaning}")


def _consistency_models() -> Iterable[str]:
    from harness.checkers.transactions import models as consistency

    return (*consistency.WEAKER, *consistency.ALIASES)


_CHOICES: Final[dict[str, Callable[[], Iterable[str]]]] = {
    "consistency": _consistency_models,
    "guarantees": lambda: _SESSION_GUARANTEES,
    "nil_read": lambda: ("initial", "unknown"),
    "failed_cas": lambda: ("absent", "constrains"),
}


def _chosen(option: str, text: str) -> str:
    return known(f"value of {option},", text, tuple(_CHOICES[option]())) if option in _CHOICES else text


def value(text: str) -> Any:
    """A value from the command line, in JSON or EDN: ``0``, ``null`` or ``nil``, ``"x"``, ``x``, ``[1, 2]``."""
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return jepsen_edn.value(text)


def no_option(model: str, option: str, possible: Iterable[str]) -> str:
    """What to tell somebody who gave a model an option that it does not have."""
    from harness.registry import nearest

    names = sorted(possible)
    its = f"its options are {', '.join(names)}" if names else "it has none"
    return f"option {option}: the model {model!r} has no such option; {nearest(option, names)}{its}"


def known(kind: str, name: str, names: Iterable[str]) -> str:
    """``name`` when it is one of ``names``. Raises UsageError with the nearest otherwise."""
    if name not in names:
        from harness.registry import pick  # knows the nearest name; only a wrong one needs it

        pick(kind, name, names)
    return name


# --- the checker -----------------------------------------------------------------------------------


def checker_of(judge: Judge, **wanted: Any) -> Checker:
    """The model's checker with those of ``wanted`` that it has. Raises PluginError for one of yours that cannot be
    made."""
    make = judge.checker()
    given = {**judge.fixed, **{name: each for name, each in wanted.items() if name in _fields(make)}}
    try:
        checker = make(**given)
    except TypeError as error:
        raise PluginError(f"no checker can be made: {error}; give a field a default, or its value with -o") from error
    if not isinstance(getattr(checker, "name", None), str):
        raise PluginError(f"the checker {make!r} has no name; give it one: name = 'stack'")
    return checker


def limits_of(judge: Judge) -> frozenset[str]:
    """Those of ``LIMITS`` that the model's checker keeps by itself."""
    return _fields(judge.checker()).intersection(LIMITS)


def _fields(make: Any) -> frozenset[str]:
    return frozenset(each.name for each in dataclasses.fields(make)) if dataclasses.is_dataclass(make) else frozenset()
