"""The picture of a rollout: a lane per region, every status in its colour, faults shaded, what broke a rule marked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from harness.model.op import OK
from harness.model.rollout import STATUSES
from harness.model.verdict import Valid

from ._axis import Linear
from ._facts import Facts, FaultFact
from ._markup import Html, el, join
from ._tables import fold
from ._words import count, moment, short

WIDTH, LEFT, RIGHT = 1040.0, 110.0, 14.0
ROW, BAR, PAD, TOP, BOTTOM = 26.0, 16.0, 7.0, 34.0, 26.0
CHARACTER_PX: Final = 6.0
SHOWN_ROLLOUTS: Final = 2
MOST_ROLLOUTS: Final = 8
MARGIN: Final = 0.04
"""The part of the time shown before the first change and after the last one."""


class Span(msgspec.Struct, frozen=True):
    """A region's deployment of one version in one status; an ``end_ns`` of 0 is the end of the picture."""

    region: str
    version: int
    deployment: str
    status: str
    start_ns: int
    end_ns: int
    description: str


class Story(msgspec.Struct, frozen=True):
    """What became of one job."""

    job: str
    spans: tuple[Span, ...]
    marks: tuple[Mapping[str, Any], ...]


def stories(facts: Facts) -> list[Story]:
    """The jobs of a run that had deployments, those in which a rule was broken first."""
    changes: dict[tuple[str, str, str], dict[int, Mapping[str, Any]]] = {}
    for op in facts.observed:
        for change in op.result if op.type == OK and isinstance(op.result, list) else ():
            if change.get("kind") == "deployment":
                cell = (str(change["job"]), str(change["region"]), str(change["id"]))
                changes.setdefault(cell, {})[int(change["index"])] = change
    spans: dict[str, list[Span]] = {}
    for (job, _, _), found in changes.items():
        spans.setdefault(job, []).extend(_spans([found[index] for index in sorted(found)]))
    marks = _marks(facts)
    told = [Story(job, tuple(each), tuple(m for m in marks if m.get("job") == job)) for job, each in spans.items()]
    return sorted(told, key=lambda story: (not story.marks, min(span.start_ns for span in story.spans)))


def _spans(changes: Sequence[Mapping[str, Any]]) -> Iterator[Span]:
    """One deployment's statuses; what only repeats a status is part of the same span."""
    kept = [c for i, c in enumerate(changes) if i == 0 or c["status"] != changes[i - 1]["status"]]
    for i, change in enumerate(kept):
        end_ns = int(kept[i + 1]["time_ns"]) if i + 1 < len(kept) else 0
        yield Span(
            str(change["region"]), int(change["version"]), str(change["id"]), str(change["status"]),
            int(change["time_ns"]), end_ns, str(change.get("description", "")),
        )  # fmt: skip


def _marks(facts: Facts) -> list[Mapping[str, Any]]:
    return [
        {**mark, "rule": verdict.checker}
        for verdict in facts.run.verdicts
        if verdict.valid is Valid.FALSE
        for mark in verdict.details.get("marks", ())
    ]


def draw(story: Story, facts: Facts) -> Html:
    """The picture as SVG."""
    time = _axis(story)
    parts, y = [], TOP
    for region in [region for region in facts.regions if any(span.region == region for span in story.spans)]:
        mine = [span for span in story.spans if span.region == region]
        rows = _rows(mine)
        height = (max(rows.values()) + 1) * ROW + PAD
        swatch = facts.regions.index(region) % 8
        parts.append(el("rect", x=0.0, y=y, width=WIDTH, height=height, class_="lane"))
        parts.append(el("rect", x=0.0, y=y, width=4.0, height=height, class_=f"r{swatch}"))
        parts.append(el("text", region, x=14.0, y=y + height / 2 + 4, class_="region"))
        parts += [_bar(span, story, y + PAD / 2 + rows[span.deployment] * ROW, time) for span in mine]
        y += height + 6
    spoken = f"Rollout of {story.job} in {count(len({span.region for span in story.spans}), 'region')}"
    return el(
        "svg",
        el("title", spoken),
        _bands(facts, time, y),
        _ticks(time, y),
        *parts,
        *(_mark(mark, y, time) for mark in story.marks if mark.get("culprit")),
        viewBox=f"0 0 {WIDTH:.0f} {y + BOTTOM:.0f}",
        class_="rollout",
        role="img",
        tabindex="0",
        aria_label=spoken,
    )


def _axis(story: Story) -> Linear:
    first = min(span.start_ns for span in story.spans)
    last = max(max(span.start_ns, span.end_ns) for span in story.spans)
    margin = max((last - first) * MARGIN, 20_000_000)
    return Linear(max(first - margin, 0), last + margin, LEFT, WIDTH - RIGHT)


def _rows(spans: Sequence[Span]) -> dict[str, int]:
    """A row for each deployment; one takes the row of another that had ended when it began."""
    free_at: list[int] = []
    rows: dict[str, int] = {}
    for id_ in dict.fromkeys(span.deployment for span in sorted(spans, key=lambda span: span.start_ns)):
        mine = [span for span in spans if span.deployment == id_]
        begin, end = min(span.start_ns for span in mine), max(span.start_ns for span in mine)
        row = next((i for i, at in enumerate(free_at) if at <= begin), len(free_at))
        free_at[row:] = [end, *free_at[row + 1 :]]
        rows[id_] = row
    return rows


def _bar(span: Span, story: Story, y: float, time: Linear) -> Html:
    others = [other for other in story.spans if other.region == span.region and other.version != span.version]
    end_ns = span.end_ns or min((o.start_ns for o in others if o.start_ns > span.start_ns), default=time.high)
    x0, x1 = time(span.start_ns), time(min(end_ns, time.high))
    place = (span.region, span.version, span.start_ns)
    guilty = any((mark["region"], mark["version"], mark["at_ns"]) == place for mark in story.marks)
    status = span.status if span.status in STATUSES else "unknown"
    texts = (f"v{span.version} {status}", f"v{span.version}")
    label = next((text for text in texts if len(text) * CHARACTER_PX + 6 <= x1 - x0), "")
    tip = f"{span.region}: version {span.version} {span.status} from {moment(span.start_ns)}"
    tip += f" to {moment(span.end_ns)}" if span.end_ns else ""
    return el(
        "g",
        el("title", f"{tip}\n{span.description}"),
        el("rect", x=x0, y=y + 4, width=max(x1 - x0, 1.5), height=BAR, rx=2.0, class_=f"s-{status}"),
        el("text", label, x=x0 + 4, y=y + 16) if label else None,
        class_="hit state" + " culprit" * guilty,
    )


def _mark(mark: Mapping[str, Any], bottom: float, time: Linear) -> Html:
    x, rule = time(int(mark["at_ns"])), str(mark["rule"])
    side = "end" if x > WIDTH - 120 else None
    return el(
        "g",
        el("line", x1=x, x2=x, y1=TOP - 6, y2=bottom - 4, class_="broken"),
        el("text", rule, x=x + (-4.0 if side else 4.0), y=TOP - 10, class_=f"broken {side or ''}".strip()),
    )


def _bands(facts: Facts, time: Linear, bottom: float) -> Html:
    parts: list[Html] = []
    for fault in facts.faults:
        if fault.window is None or not fault.overlaps(int(time.low), int(time.high)):
            continue
        x0, x1 = (time(min(max(at, time.low), time.high)) for at in fault.window)
        parts.append(_band(fault, x0, x1, bottom))
    return join(*parts)


def _band(fault: FaultFact, x0: float, x1: float, bottom: float) -> Html:
    kind = "idle" if fault.effective is False else "touch"
    name = short(f"{fault.label}: {fault.aim}", 60)
    return el(
        "g",
        el("title", f"{fault.label}: {fault.aim}"),
        el("rect", x=x0, y=16.0, width=max(x1 - x0, 2.0), height=bottom - 16, class_=f"fault {kind}"),
        el("text", name, x=min(x0 + 2, WIDTH - RIGHT - len(name) * CHARACTER_PX), y=12.0, class_="fault-name touch"),
        class_="hit",
    )


def _ticks(time: Linear, bottom: float) -> Html:
    seconds = Linear(time.low / 1e9, time.high / 1e9, LEFT, WIDTH - RIGHT)
    marks: list[Html] = []
    for tick in seconds.ticks(10):
        x = seconds(tick)
        marks.append(el("line", x1=x, x2=x, y1=TOP - 4, y2=bottom, class_="grid"))
        marks.append(el("text", f"{tick:g} s", x=min(x, WIDTH - 16), y=bottom + 16, class_="tick middle"))
    return join(*marks)


def legend() -> Html:
    """What the colours mean."""
    named = ("pending", "running", "paused", "blocked", "unblocking", "successful", "failed", "cancelled")
    keys = (el("span", el("i", class_=f"key s-{status}"), status) for status in named)
    fault = el("span", el("i", class_="key fault touch"), "fault")
    return el("figcaption", *keys, fault, el("span", el("i", class_="key broken"), "breaks a rule"), class_="legend")


def rollouts(facts: Facts) -> Iterator[Html]:
    """A picture per job, those with a violation first; further ones are folded."""
    told = stories(facts) if facts.observed else []
    if not told:
        return
    yield el("p", "Each region's deployments by status, as its own events tell; hover for the region's words.")
    drawn = [
        el("figure", el("h3", story.job), el("div", draw(story, facts), class_="scroll"))
        for story in told[:MOST_ROLLOUTS]
    ]
    yield join(legend(), *drawn[:SHOWN_ROLLOUTS])
    if len(drawn) > SHOWN_ROLLOUTS:
        yield fold(count(len(drawn) - SHOWN_ROLLOUTS, "further job"), *drawn[SHOWN_ROLLOUTS:])
    if len(told) > len(drawn):
        yield el("p", f"{count(len(told) - len(drawn), 'further job')} not drawn.", class_="quiet")
