"""Judges a deployment tool's event log by a release plan: waves, bake time, how many at once, versions apart, alarms,
failures and rollbacks. One verdict; ``details["rules"]`` has every rule with its outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np

from harness.checkers.wording import and_more, count
from harness.kernels.rollouts import statuses, trouble, versions, waves
from harness.kernels.rollouts.statuses import NEVER
from harness.kernels.rollouts.waves import Waves
from harness.model.clock import NS_PER_S
from harness.model.rollout import BLOCKED, RUNNING, SUCCESSFUL, UNBLOCKING
from harness.model.verdict import Excerpt, Valid, Verdict
from harness.model.waves import EVENTS, FAILED, HALT, WaveLog, WavePlan

NAME: Final = "rollout"
SHOWN: Final = 3


class Finding(NamedTuple):
    """What a rule found: how many times it was broken, the first few as sentences with the log's lines behind them,
    how much put it to the test, and why it cannot be decided."""

    rule: str
    broken: int
    says: tuple[str, ...]
    lines: tuple[tuple[int, ...], ...]
    played: int
    doubt: str = ""

    @property
    def outcome(self) -> str:
        if self.broken:
            return "fail"
        return "unknown" if self.doubt else "pass" if self.played else "untested"


Sentence = tuple[str, tuple[int, ...]]


def check(log: WaveLog, plan: WavePlan) -> Verdict:
    """The verdict on a log: false when a rule that the plan asks for is broken, unknown when nothing was put to the
    test or the log ends too early to say."""
    told = _Teller(Waves(log, plan))
    findings = [rule(told) for asked, rule in _RULES if asked(plan)] if len(told.waves.rows) else []
    broken = [each for each in findings if each.broken]
    doubts = [each for each in findings if each.doubt]
    details: dict[str, Any] = {
        "rules": {
            each.rule: {"outcome": each.outcome, "broken": each.broken, "tested": each.played} for each in findings
        },
        "anomalies": [each.rule for each in broken],
    }
    if broken:
        names = ", ".join(each.rule for each in broken)
        says = broken[0].says[0] if len(broken) == 1 else f"{count(len(broken), 'rule')} of the plan broken: {names}"
        excerpts = tuple(
            Excerpt(title=f"{each.rule}, broken {count(each.broken, 'time')}", operations=(), steps=_steps(each))
            for each in broken
        )
        return _verdict(Valid.FALSE, says, details, excerpts)
    if not any(each.played for each in findings):
        cause = "no event puts a rule of the plan to the test"
        return _verdict(Valid.UNKNOWN, cause, details, cause=cause)
    if doubts:
        return _verdict(Valid.UNKNOWN, doubts[0].doubt, details, cause=doubts[0].doubt)
    kept = [f"{each.rule} ({each.played:,})" for each in findings if each.played]
    idle = [each.rule for each in findings if not each.played]
    rest = f"; nothing put to the test: {', '.join(idle)}" if idle else ""
    return _verdict(Valid.TRUE, f"kept: {', '.join(kept)}{rest}", details)


def _verdict(
    valid: Valid, summary: str, details: dict[str, Any], excerpts: tuple[Excerpt, ...] = (), cause: str = ""
) -> Verdict:
    return Verdict(checker=NAME, valid=valid, summary=summary, cause=cause, details=details, excerpts=excerpts)


def _steps(found: Finding) -> tuple[str, ...]:
    steps = []
    for says, lines in zip(found.says, found.lines, strict=True):
        where = f" (line{'s' * (len(lines) > 1)} {', '.join(map(str, lines))})" if lines else ""
        steps.append(f"{says}{where}")
    return (*steps, *([f"and {found.broken - len(steps):,} more"] if found.broken > len(steps) else []))


class _Teller:
    """Turns rows into sentences."""

    def __init__(self, waves: Waves) -> None:
        self.waves = waves
        self.log, self.plan = waves.log, waves.plan

    def finding(self, rule: str, number: int, sentences: Iterable[Sentence], played: int, doubt: str = "") -> Finding:
        first = list(zip(sentences, range(SHOWN), strict=False))
        return Finding(
            rule, number, tuple(s for (s, _), _ in first), tuple(lines for (_, lines), _ in first), played, doubt
        )

    # --- names and times -----------------------------------------------------------------------------

    def line(self, row: int) -> int:
        return int(self.log.line[self.waves.rows[row]])

    def at(self, ns: int) -> str:
        if not self.log.calendar:
            return f"{ns / NS_PER_S:g} s"
        moment = datetime.fromtimestamp(ns // NS_PER_S, UTC)
        fraction = f".{ns % NS_PER_S // 1_000_000:03}" if ns % NS_PER_S else ""
        return f"{moment:%Y-%m-%d %H:%M:%S}{fraction}Z"

    def when(self, row: int) -> str:
        return self.at(int(self.waves.time_ns[row]))

    def region(self, row: int) -> str:
        return self.log.regions[int(self.waves.region[row])]

    def version(self, rank: int) -> str:
        return self.log.versions[rank] if rank >= 0 else "another version"

    def subject(self, row: int, rank: int | None = None) -> str:
        service = self.log.services[int(self.waves.service[row])]
        rank = int(self.waves.version[row]) if rank is None else rank
        return f"{self.version(rank)}{f' of {service}' if service else ''}"

    def group_row(self, group: int, region: int, *events: str) -> int:
        """The first row of a version in a region with one of ``events``; -1 when there is none."""
        found, order = self.waves.rollouts
        codes = [EVENTS.index(event) for event in events]
        low, high = np.searchsorted(found.group, [group, group + 1])
        mine = (found.region[low:high] == region) & np.isin(found.status[low:high], codes)
        return int(order[low + int(mine.argmax())]) if mine.any() else -1

    def started(self, group: int, region: int) -> int:
        row = int(self.waves.first_row(self.waves.starts)[group, region])
        return row if row >= 0 else self.group_row(group, region, RUNNING)

    def done(self, group: int, region: int) -> tuple[str, tuple[int, ...]]:
        """``done at ...`` or that it never was, and the line that says so."""
        row = self.group_row(group, region, SUCCESSFUL, BLOCKED)
        return (f"was done only at {self.when(row)}", (self.line(row),)) if row >= 0 else ("never was done", ())


# --- the rules ---------------------------------------------------------------------------------------------


def _steps_legal(told: _Teller) -> Finding:
    rows = waves.illegal(told.waves)

    def sentence(row: int) -> Sentence:
        event = EVENTS[int(told.waves.event[row])]
        return f"{told.region(row)} reported {told.subject(row)} {event} at {told.when(row)}, which cannot follow", (
            told.line(row),
        )

    return told.finding("legal steps", len(rows), map(sentence, rows.tolist()), waves.steps(told.waves))


def _wave_order(told: _Teller) -> Finding:
    rows, waiting, gone = waves.too_early(told.waves)

    def sentence(row: int, w: int, back: int) -> Sentence:
        then, lines = told.done(int(told.waves.groups[0][row]), w)
        if back >= 0:
            then, lines = f"had gone back from it at {told.when(back)}", (told.line(back),)
        wave = int(told.plan.wave_of[told.waves.region[row]]) + 1
        says = (
            f"{told.region(row)} (wave {wave}) started {told.subject(row)} at {told.when(row)}; {told.log.regions[w]}"
        )
        return f"{says} of an earlier wave {then}", (told.line(row), *lines)

    return told.finding("wave order", len(rows), _each(sentence, rows, waiting, gone), _later_starts(told))


def _later_starts(told: _Teller) -> int:
    start = told.waves.started_ns
    return int((start[:, told.plan.wave_of > 0] < NEVER).sum())


def _bake(told: _Teller) -> Finding:
    rows, before = waves.unbaked(told.waves)

    def sentence(row: int, done: int) -> Sentence:
        waited = _span(int(told.waves.time_ns[row] - told.waves.time_ns[done]))
        wanted = _span(told.plan.bake_ns[int(told.plan.wave_of[told.waves.region[row]]) - 1])
        says = f"{told.region(row)} started {told.subject(row)} {waited} after {told.region(done)} was done"
        return f"{says}; the wave before it bakes for {wanted}", (told.line(row), told.line(done))

    return told.finding("bake time", len(rows), _each(sentence, rows, before), _later_starts(told))


def _max_parallel(told: _Teller) -> Finding:
    found, _ = told.waves.rollouts
    groups, numbers, times = statuses.too_many_running(found)

    def sentence(g: int, number: int, at: int) -> Sentence:
        mine = [told.started(g, region) for region in range(len(told.plan.regions))]
        rows = [row for row in mine if row >= 0]
        says = f"{count(number, 'region')} ran {told.subject(rows[0])} at once from {told.at(at)}"
        return f"{says}; max_parallel is {told.plan.max_parallel}", tuple(told.line(row) for row in rows)

    ran = found.first_ns(RUNNING) < NEVER
    played = int((ran.sum(axis=1) > told.plan.max_parallel).sum())
    return told.finding("max_parallel", len(groups), _each(sentence, groups, numbers, times), played)


def _skew(told: _Teller) -> Finding:
    rows, spans = versions.too_far_apart(told.waves)

    def sentence(row: int, span: int) -> Sentence:
        says = (
            f"with {told.subject(row)} {EVENTS[int(told.waves.event[row])]} in {told.region(row)} at {told.when(row)}"
        )
        most = told.plan.max_version_skew
        return f"{says} regions were {count(span, 'version')} apart; {most} at most is asked for", (told.line(row),)

    played = int(told.waves.entered(RUNNING).sum())
    return told.finding("version skew", len(rows), _each(sentence, rows, spans), played)


def _halt(told: _Teller) -> Finding:
    rows, causes = trouble.started_in_alarm(told.waves)

    def sentence(row: int, alarm: int) -> Sentence:
        name = told.log.alarms[int(told.log.alarm[alarm])]
        what = f"alarm {name}" if name else "an alarm"
        says = f"{told.region(row)} started {told.subject(row)} at {told.when(row)}, while {what} was on"
        return f"{says} since {told.at(int(told.log.time_ns[alarm]))}", (told.line(row), int(told.log.line[alarm]))

    played = len(trouble.alarms(told.log)[0])
    return told.finding("halt on alarm", len(rows), _each(sentence, rows, causes), played)


def _halt_on_failure(told: _Teller) -> Finding:
    rows, failed = trouble.started_after_failure(told.waves)

    def sentence(row: int, failure: int) -> Sentence:
        says = f"{told.region(row)} started {told.subject(row)} at {told.when(row)}; it had failed in"
        return f"{says} {told.region(failure)} at {told.when(failure)}", (told.line(row), told.line(failure))

    played = int(told.waves.entered(FAILED).sum())
    return told.finding("halt on failure", len(rows), _each(sentence, rows, failed), played)


def _goes_back(told: _Teller) -> Finding:
    rows, undecided = trouble.not_rolled_back(told.waves)
    within = _span(told.plan.rollback_within_ns or 0)

    def sentence(row: int) -> Sentence:
        says = f"{told.region(row)} failed {told.subject(row)} at {told.when(row)}"
        return f"{says} and had not gone back {within} later", (told.line(row),)

    doubt = ""
    if len(undecided):
        row = int(undecided[0])
        doubt = f"the log ends before {told.region(row)}, which failed at {told.when(row)}, has to be back"
    played = len(trouble.failures(told.waves))
    return told.finding("rollback in time", len(rows), map(sentence, rows.tolist()), played, doubt)


def _safe_target(told: _Teller) -> Finding:
    rows = versions.unsafe_target(told.waves)
    wanted = "its last good version" if told.plan.rollback_to == "last-good" else "a version that was good there"

    def sentence(row: int) -> Sentence:
        says = f"{told.region(row)} went back to {told.subject(row)} at {told.when(row)}"
        return f"{says}, which is not {wanted}", (told.line(row),)

    return told.finding("rollback safety", len(rows), map(sentence, rows.tolist()), int(told.waves.goes_back.sum()))


def _floor(told: _Teller) -> Finding:
    early, back, pairs, unsure = versions.below_floor(told.waves)
    listed = list(told.plan.never_below.items())

    def sentence(place: int) -> Sentence:
        row = int(early[place]) if place < len(early) else int(back[place - len(early)])
        version, floor = listed[int(pairs[place])]
        if place < len(early):
            says = f"{told.region(row)} started {version} at {told.when(row)}, while not every region had {floor}"
        else:
            says = f"{told.region(row)} went back to {told.subject(row)} at {told.when(row)}; beside {version} nothing"
            says += f" older than {floor} is safe"
        return says, (told.line(row),)

    doubt = ""
    if len(unsure):
        row = int(unsure[0])
        doubt = f"the log does not say what every region had when {told.region(row)} started {told.subject(row)} at"
        doubt += f" {told.when(row)}; name `initial`, and in `versions` all that there are"
    number = len(early) + len(back)
    played = sum(int(versions.needing(told.waves, version).sum()) for version, _ in listed)
    return told.finding("version floor", number, map(sentence, range(number)), played, doubt)


def _deadline(told: _Teller) -> Finding:
    groups, undecided = trouble.unfinished(told.waves)
    wanted = _span(told.plan.deadline_ns or 0)

    def sentence(g: int) -> Sentence:
        done = told.waves.done_ns[g]
        missing = [told.log.regions[r] for r in np.flatnonzero(done == done.max()).tolist()]
        row = int(told.waves.groups[1][g])
        subject = told.subject(row, int(told.waves.about[row]))
        return f"{subject} was not done in {and_more(missing)} {wanted} after it first started", (told.line(row),)

    doubt = ""
    if len(undecided):
        row = int(told.waves.groups[1][undecided[0]])
        doubt = f"the log ends before {told.subject(row, int(told.waves.about[row]))} has to be done everywhere"
    played = int((told.waves.started_ns < NEVER).any(axis=1).sum())
    return told.finding("deadline", len(groups), map(sentence, groups.tolist()), played, doubt)


def _accepted(told: _Teller) -> Finding:
    found, _ = told.waves.rollouts
    groups, regions, missing = statuses.started_unaccepted(found)

    def sentence(g: int, r: int, m: int) -> Sentence:
        row = told.started(g, r)
        says = f"{told.region(row)} started {told.subject(row)} at {told.when(row)}, before {told.log.regions[m]}"
        return f"{says} had accepted it", (told.line(row),)

    played = int((told.waves.started_ns < NEVER).any(axis=1).sum())
    return told.finding("accepted first", len(groups), _each(sentence, groups, regions, missing), played)


def _list_order(told: _Teller) -> Finding:
    found, _ = told.waves.rollouts
    groups, regions, earlier = statuses.out_of_order(found)

    def sentence(g: int, r: int, e: int) -> Sentence:
        row = told.started(g, r)
        says = f"{told.region(row)} started {told.subject(row)} at {told.when(row)}, before {told.log.regions[e]}"
        return f"{says}, which comes earlier in the plan", (told.line(row),)

    played = int(((told.waves.started_ns < NEVER).sum(axis=1) > 1).sum())
    return told.finding("list order", len(groups), _each(sentence, groups, regions, earlier), played)


def _last_one(told: _Teller) -> Finding:
    found, _ = told.waves.rollouts
    back = told.waves.first_row(told.waves.entered(SUCCESSFUL, UNBLOCKING))
    excused = (back >= 0) & told.waves.going_back[back]  # what a region has gone back to is final
    groups, regions, waiting = statuses.unblocked_early(found, excused)

    def sentence(g: int, r: int, w: int) -> Sentence:
        row = told.group_row(g, r, SUCCESSFUL, UNBLOCKING)
        then, lines = told.done(g, w)
        says = f"{told.region(row)} made {told.subject(row)} final at {told.when(row)}; {told.log.regions[w]} {then}"
        return says, (told.line(row), *lines)

    played = int((found.first_ns(SUCCESSFUL) < NEVER).any(axis=1).sum())
    return told.finding("waits for the last", len(groups), _each(sentence, groups, regions, waiting), played)


_RULES: Final[tuple[tuple[Callable[[WavePlan], bool], Callable[[_Teller], Finding]], ...]] = (
    (lambda plan: True, _steps_legal),
    (lambda plan: plan.accept_first, _accepted),
    (lambda plan: len(plan.waves) > 1, _wave_order),
    (lambda plan: any(plan.bake_ns), _bake),
    (lambda plan: plan.in_order, _list_order),
    (lambda plan: plan.max_parallel > 0, _max_parallel),
    (lambda plan: plan.max_version_skew is not None, _skew),
    (lambda plan: plan.halt_on_alarm, _halt),
    (lambda plan: plan.on_failure == HALT, _halt_on_failure),
    (lambda plan: plan.wait_for_last, _last_one),
    (lambda plan: plan.rollback_within_ns is not None, _goes_back),
    (lambda plan: plan.rollback_to != "anything", _safe_target),
    (lambda plan: bool(plan.never_below), _floor),
    (lambda plan: plan.deadline_ns is not None, _deadline),
)
"""Every rule, and whether a plan asks for it."""


def _each(sentence: Callable[..., Sentence], *columns: Any) -> Iterable[Sentence]:
    return (sentence(*row) for row in zip(*(column.tolist() for column in columns), strict=True))


def _span(ns: int) -> str:
    """A length of time as a plan writes it: ``1h30m``, ``45s``, ``0.2s``."""
    seconds = ns / NS_PER_S
    if seconds < 60:
        return f"{seconds:.3g}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return "".join(f"{number}{unit}" for number, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if number)
