"""Reads a deployment tool's events and the plan that they are judged by. ``docs/rollouts.md`` describes both files.

A line is an event: ``{"time": "2026-01-31T09:00:00Z", "event": "started", "region": "north", "version": "2.4"}``.
Unknown names in it are ignored; an unknown word for an event is not, because what is misspelled would not be judged.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import yaml

from harness.errors import UsageError
from harness.model.clock import NS_PER_S
from harness.model.history import History
from harness.model.op import OK
from harness.model.rollout import OBSERVE
from harness.model.waves import ALARM, CLEARED, EVENTS, RUNNING, WORDS, WaveLog, WavePlan

_HINT: Final = "nothing was judged"
_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_NOWHERE: Final = frozenset({ALARM, CLEARED})
Duration = int | float | str
Column = npt.NDArray[Any]
Wrong = Callable[[int, str], UsageError]


class _Event(msgspec.Struct, gc=False, rename={"left": "from"}):
    time: datetime | float
    event: str
    region: str = ""
    version: str | int | float = ""
    service: str = ""
    left: str | int | float = ""
    alarm: str = ""


class _Rollback(msgspec.Struct, forbid_unknown_fields=True):
    to: str = "last-good"
    within: Duration | None = None
    never_below: dict[str, str] = {}


class _Plan(msgspec.Struct, forbid_unknown_fields=True):
    waves: list[str | list[str]]
    versions: list[str] = []
    initial: str = ""
    max_parallel: int = 0
    bake: Duration | list[Duration] = 0
    max_version_skew: int | None = None
    halt_on_alarm: bool = False
    halt_within: Duration = 0
    on_failure: str = ""
    rollback: _Rollback | None = None
    accept_first: bool = False
    in_order: bool = False
    wait_for_last: bool = False
    deadline: Duration | None = None
    clock_skew: Duration = 0
    words: dict[str, str] = {}
    ignore: list[str] = []


class Asked(msgspec.Struct, frozen=True):
    """A plan, the words that its tool uses for events, and those that mean nothing."""

    plan: WavePlan
    words: dict[str, str]
    ignored: frozenset[str]


# --- the plan ------------------------------------------------------------------------------------------


def load_plan(path: Path) -> Asked:
    """The plan in a YAML file. Raises UsageError, which names the file and the field."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: is no YAML: {' '.join(str(error).split())}") from None
    try:
        return plan_of(data)
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: {error}; {_HINT}") from None
    except ValueError as error:
        raise UsageError(f"{path}: {error}; {_HINT}") from None


def plan_of(data: Any) -> Asked:
    """The plan in data as YAML has it. Raises ValueError, which names the field."""
    return _asked(msgspec.convert(data, _Plan, strict=False))


def _asked(given: _Plan) -> Asked:
    waves = tuple((wave,) if isinstance(wave, str) else tuple(wave) for wave in given.waves)
    regions = [region for wave in waves for region in wave]
    if not regions or not all(waves):
        raise ValueError("`waves` names no region; write a list of regions, or of lists of regions")
    _no_twins("waves", regions)
    _no_twins("versions", given.versions)
    for name, number in (("max_parallel", given.max_parallel), ("max_version_skew", given.max_version_skew or 0)):
        if number < 0:
            raise ValueError(f"`{name}` is {number}; write 0 or more")
    _one_of("on_failure", given.on_failure, ("", "halt", "continue"))
    rollback = given.rollback
    if rollback is not None:
        _one_of("rollback.to", rollback.to, ("last-good", "any-good", "anything"))
    listed = [_ns("bake", each) for each in (given.bake if isinstance(given.bake, list) else [given.bake])]
    bakes = listed if isinstance(given.bake, list) else listed * (len(waves) - 1)
    if len(bakes) not in (len(waves), len(waves) - 1):
        raise ValueError(f"`bake` has {len(bakes)} entries for {len(waves)} waves; write one for each but the last")
    versions = tuple(given.versions)
    known = {*versions, given.initial} - {""}
    for version in [each for pair in (rollback.never_below if rollback else {}).items() for each in pair]:
        if versions and version not in known:
            raise ValueError(f"`rollback.never_below` names version {version!r}, which is not among `versions`")
    for word, meaning in given.words.items():
        _one_of(f"words.{word}", meaning, tuple(WORDS))
    within = rollback.within if rollback else None
    plan = WavePlan(
        waves=waves,
        versions=versions,
        initial=given.initial,
        max_parallel=given.max_parallel,
        bake_ns=tuple(bakes[: len(waves) - 1]),
        max_version_skew=given.max_version_skew,
        halt_on_alarm=given.halt_on_alarm,
        halt_within_ns=_ns("halt_within", given.halt_within),
        on_failure=given.on_failure,
        rollback_to=rollback.to if rollback else "anything",
        rollback_within_ns=None if within is None else _ns("rollback.within", within),
        never_below=rollback.never_below if rollback else {},
        accept_first=given.accept_first,
        in_order=given.in_order,
        wait_for_last=given.wait_for_last,
        deadline_ns=None if given.deadline is None else _ns("deadline", given.deadline),
        clock_skew_ns=_ns("clock_skew", given.clock_skew),
    )
    return Asked(plan, WORDS | {word: WORDS[meaning] for word, meaning in given.words.items()}, frozenset(given.ignore))


def _no_twins(name: str, items: Sequence[str]) -> None:
    twice = [item for item in dict.fromkeys(items) if items.count(item) > 1]
    if twice:
        raise ValueError(f"`{name}` names {twice[0]!r} twice")


def _one_of(name: str, found: str, known: Sequence[str]) -> None:
    if found not in known:
        near = get_close_matches(found, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"`{name}` is {found!r}; {hint}Write one of {', '.join(filter(None, known))}")


def _ns(name: str, given: Duration) -> int:
    """A duration: a number of seconds, or ``1h30m``."""
    if isinstance(given, str) and not _DURATION.fullmatch(given.replace(" ", "")):
        raise ValueError(f"`{name}` is {given!r}, which is no duration; write seconds, or like 90s, 10m, 1h30m")
    parts = _PART.findall(given) if isinstance(given, str) else [(given, "s")]
    ns = sum(round(float(number) * _UNITS_S[unit] * NS_PER_S) for number, unit in parts)
    if ns < 0:
        raise ValueError(f"`{name}` is {given}; write 0 or more")
    return ns


# --- the events ------------------------------------------------------------------------------------------


def load_log(path: Path, asked: Asked) -> WaveLog:
    """The events of a file, one JSON object a line. Raises UsageError, which names file and line."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None
    collecting = gc.isenabled()
    gc.disable()  # a million small objects that refer to nothing
    try:
        return _columns(path, *_events(path, data, asked.ignored), asked)
    finally:
        if collecting:
            gc.enable()


def told(events: Iterable[Mapping[str, Any]], asked: Asked) -> WaveLog:
    """Events that are data already, one for each line. Raises UsageError, which names the line."""
    read = msgspec.convert(list(events), list[_Event])
    return _columns(Path("events"), read, np.arange(1, len(read) + 1), asked)


def log_of(history: History, asked: Asked, name: str) -> WaveLog:
    """The rollouts that a run's observers saw: every job is a service. Raises UsageError when the plan does not know a
    region."""
    changes = [
        change
        for op in history
        if op.f == OBSERVE and op.type == OK
        for change in op.value or ()
        if change["kind"] == "deployment"
    ]
    seen: dict[tuple[Any, ...], _Event] = {}
    gaps: dict[tuple[Any, ...], bool] = {}  # the observer may have missed something before
    for change in sorted(changes, key=lambda change: (change["region"], change["index"])):
        cell = (change["region"], change["id"])
        if cell in seen and seen[cell].event == change["status"]:
            continue
        seconds = change["time_ns"] / NS_PER_S
        event = _Event(seconds, change["status"], change["region"], str(change["version"]), change["job"])
        seen[cell] = seen[(*cell, change["index"])] = event
        gaps[(*cell, change["index"])] = bool(change.get("gap"))
    events = [event for cell, event in seen.items() if len(cell) > 2]
    log = _columns(Path(name), events, np.arange(1, len(events) + 1), asked)
    return replace(log, gap=np.array(list(gaps.values()), np.bool_))


def _events(path: Path, data: bytes, ignored: frozenset[str]) -> tuple[list[_Event], Column]:
    """The events that matter, and the line of each."""
    decoder = msgspec.json.Decoder(_Event)
    try:
        events = decoder.decode_lines(data)
        if data.count(b"\n") + (not data.endswith(b"\n")) == len(events):
            lines = np.arange(1, len(events) + 1)
        else:
            lines = np.array([i for i, line in enumerate(data.split(b"\n"), 1) if line.strip()], np.int64)
    except (msgspec.DecodeError, UnicodeDecodeError):
        for number, line in enumerate(data.split(b"\n"), 1):
            try:
                if line.strip():
                    decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise UsageError(f"{path}:{number}: {error}; {_HINT}") from None
        raise
    if ignored:
        kept = [i for i, event in enumerate(events) if event.event not in ignored]
        events, lines = [events[i] for i in kept], lines[kept]
    return events, lines


def _columns(path: Path, events: list[_Event], lines: Column, asked: Asked) -> WaveLog:
    def wrong(row: int, says: str) -> UsageError:
        return UsageError(f"{path}:{int(lines[row])}: {says}; {_HINT}")

    plan = asked.plan
    kinds = _kinds(events, asked, wrong)
    times, calendar = _times(events, wrong)
    placed = ~np.isin(kinds, [EVENTS.index(event) for event in _NOWHERE])
    regions, names = _numbered(events, "region", ("", *plan.regions))
    for row in np.flatnonzero((regions > len(plan.regions)) | ((regions == 0) & placed))[:1].tolist():
        given = names[regions[row]]
        raise wrong(row, f"region {given!r} is in no wave of the plan" if given else "the event names no region")
    versions, named = _numbered(events, "version", ("",))
    for row in np.flatnonzero((versions == 0) & placed)[:1].tolist():
        raise wrong(row, "the event names no version")
    order = tuple(plan.versions) or _by_first_start(named, versions, kinds, times, plan.initial)
    order = order if plan.initial in order or not plan.initial else (plan.initial, *order)
    rank = {version: i for i, version in enumerate(order)}
    for row in np.flatnonzero([each not in rank for each in named][1:])[:1].tolist():
        row = int((versions == row + 1).argmax())
        raise wrong(row, f"version {events[row].version!r} is not among the plan's `versions`")
    left, leaving = _numbered(events, "left", ("",))
    services, service_names = _numbered(events, "service", ("",))
    alarms, alarm_names = _numbered(events, "alarm", ("",))
    return WaveLog(
        service=services,
        version=np.array([rank.get(version, -1) for version in named], np.int32)[versions],
        left=np.array([rank.get(version, -1) for version in leaving], np.int32)[left],
        region=regions - 1,
        event=kinds,
        alarm=alarms,
        time_ns=times,
        line=lines.astype(np.int64),
        services=service_names,
        versions=order,
        regions=plan.regions,
        alarms=alarm_names,
        calendar=calendar,
    )


def _kinds(events: list[_Event], asked: Asked, wrong: Wrong) -> Column:
    """What each event means."""
    code = {word: EVENTS.index(meaning) for word, meaning in asked.words.items()}
    try:
        return np.fromiter(map(code.__getitem__, map(attrgetter("event"), events)), np.int8, len(events))
    except KeyError:
        row = next(i for i, event in enumerate(events) if event.event not in code)
    near = get_close_matches(events[row].event, code, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    known = f"Write one of {', '.join(code)}, or name it under `words` or `ignore`"
    raise wrong(row, f"{events[row].event!r} is no event; {hint}{known}")


def _times(events: list[_Event], wrong: Wrong) -> tuple[Column, bool]:
    """Nanoseconds, and whether they count from 1970: all times are dates, or all are seconds."""
    times: list[Any] = list(map(attrgetter("time"), events))
    kinds = set(map(type, times))
    if datetime in kinds and len(kinds) > 1:
        row = next(i for i, time in enumerate(times) if type(time) is not type(times[0]))
        raise wrong(row, "times are dates in some lines and numbers in others; use one kind")
    if datetime not in kinds:
        return np.round(np.array(times, np.float64) * NS_PER_S).astype(np.int64), False
    if any(time.tzinfo is None for time in times):
        times = [time if time.tzinfo else time.replace(tzinfo=UTC) for time in times]
    stamps = np.fromiter(map(datetime.timestamp, times), np.float64, len(times))
    whole = np.floor(stamps)
    micros = np.round((stamps - whole) * 1e6).astype(np.int64)
    return whole.astype(np.int64) * NS_PER_S + micros * 1000, True


class _Numbers(dict[str, int]):
    """A number for every different text, in order of appearance."""

    def __missing__(self, text: str) -> int:
        self[text] = number = len(self)
        return number


def _numbered(events: list[_Event], name: str, first: Iterable[str]) -> tuple[Column, tuple[str, ...]]:
    """The texts in the field ``name`` as numbers, and the texts; those in ``first`` have the first numbers."""
    known = _Numbers((text, i) for i, text in enumerate(first))
    texts = map(str, map(attrgetter(name), events))
    codes = np.fromiter(map(known.__getitem__, texts), np.int32, len(events))
    return codes, tuple(known)


def _by_first_start(
    named: Sequence[str], versions: Column, kinds: Column, times: Column, initial: str
) -> tuple[str, ...]:
    """The versions in the order in which they were first started; those that never were (they ran before) in front, and
    ``initial`` after them, whatever was started of it later."""
    first = np.full(len(named), np.iinfo(np.int64).min)
    started = kinds == EVENTS.index(RUNNING)
    first[np.unique(versions[started])] = np.iinfo(np.int64).max
    np.minimum.at(first, versions[started], times[started])
    order = [i for i in np.argsort(first, kind="stable").tolist() if named[i] and named[i] != initial]
    before = [named[i] for i in order if first[i] == np.iinfo(np.int64).min]
    return (*before, *([initial] if initial else []), *(named[i] for i in order if named[i] not in before))
