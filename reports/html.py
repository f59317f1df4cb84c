"""One self-contained page per run: the verdict first, then the evidence. Works from a file, without a network."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from harness.model.run import Run
from harness.model.verdict import Excerpt, Verdict

from ._facts import Facts
from ._lanes import draw_lanes
from ._markup import Child, Html, el, join
from ._story import caveats, check_command, headline, replay_command
from ._tables import (
    excerpt_table,
    fault_table,
    fold,
    harness_sentences,
    link_table,
    operation_table,
    traffic_table,
    verdict_table,
)
from ._timeline import draw_timeline
from ._words import count, lasting

ASSETS = Path(__file__).parent / "assets"
SHOWN_EXCERPTS = 2
"""Violations drawn openly; further ones are folded."""
MOST_EXCERPTS = 12


class HtmlReport:
    """Writes ``report.html`` into the run's folder."""

    name = "html"
    help = "one self-contained HTML page, report.html in the run's folder"

    def render(self, run: Run) -> Path:
        path = run.folder / "report.html"
        path.write_text(page(run), encoding="utf-8")
        return path


def page(run: Run) -> str:
    """The whole document."""
    facts = Facts(run)
    style = (ASSETS / "report.css").read_text(encoding="utf-8")
    script = (ASSETS / "report.js").read_text(encoding="utf-8")
    # Only these two texts may style or run: whatever a system under test put into a value stays dead text.
    policy = f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}"
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", str(headline(facts))),
        el("style", Html(style)),
    )
    body = el("body", el("main", _top(facts), *_sections(facts)), _foot(run), el("script", Html(script)))
    return f"<!DOCTYPE html>\n{el('html', head, body, lang='en')}\n"


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _sections(facts: Facts) -> Iterator[Html]:
    yield _evidence(facts)
    yield _section("Over time", *_over_time(facts))
    yield _section("Verdicts", verdict_table(facts))
    yield _section("Faults", fault_table(facts))
    yield _section("Operations", operation_table(facts))
    measured = el("div", link_table(facts), traffic_table(facts), class_="pair")
    sentences = [el("p", sentence) for sentence in harness_sentences(facts)]
    if sentences or "<table" in measured:
        yield _section("Network and harness", *sentences, measured)
    yield _section("Run it again", *_again(facts.run))


def _section(title: str, *children: Child) -> Html:
    filled = [child for child in children if child]
    return el("section", el("h2", title), *filled) if filled else Html()


def _top(facts: Facts) -> Html:
    run, head = facts.run, headline(facts)
    notes = [el("li", sentence) for sentence in caveats(facts)]
    when = run.plan.created_utc[:19].replace("T", " ")
    return el(
        "header",
        el("p", f"Rift · {run.plan.test}", el("span", f" {when} UTC" if when else "", class_="quiet"), class_="brand"),
        el(
            "div",
            el("span", head.symbol, class_="symbol", aria_hidden="true"),
            el("h1", el("strong", f"{head.word}: "), head.sentence),
            el("ul", *notes) if notes else None,
            class_=f"verdict {head.valid.value}",
        ),
        _key_facts(facts),
    )


def _key_facts(facts: Facts) -> Html:
    plan = facts.run.plan
    bit = f"{facts.bitten} of {len(facts.faults)}" if facts.faults else "none"
    pairs = (
        ("Target", plan.target_name),
        ("Workload", plan.workload),
        ("Operations", count(len(facts.operations))),
        ("Clients", f"{plan.clients} in {count(len(facts.regions), 'region')}"),
        ("Faults that bit", bit),
        ("Lasted", lasting(facts.end_ns)),
        ("Seed", str(plan.seed)),
    )
    return el("dl", *(el("div", el("dt", name), el("dd", value)) for name, value in pairs), class_="facts")


def _evidence(facts: Facts) -> Html:
    found = facts.excerpts
    if not found:
        return Html()
    drawn = [_excerpt(facts, verdict, excerpt) for verdict, excerpt in found[:SHOWN_EXCERPTS]]
    more = [_excerpt(facts, verdict, excerpt) for verdict, excerpt in found[SHOWN_EXCERPTS:MOST_EXCERPTS]]
    hidden = len(found) - MOST_EXCERPTS
    return _section(
        "What went wrong",
        *drawn,
        fold(f"{count(len(more), 'more violation')}", *more) if more else None,
        el("p", f"{count(hidden, 'further violation')} not drawn; see `rift check`.") if hidden > 0 else None,
    )


def _excerpt(facts: Facts, verdict: Verdict, excerpt: Excerpt) -> Html:
    key = "" if excerpt.key is None else f" · key {excerpt.key}"
    reported = "" if verdict.judged else " · only reported"
    if not excerpt.operations:
        return el("article", el("h3", excerpt.title), _steps(excerpt))
    return el(
        "article",
        el("h3", excerpt.title, el("span", f"{verdict.checker}{key}{reported}", class_="quiet")),
        el("figure", el("div", draw_lanes(excerpt, facts), class_="scroll"), _lane_legend()),
        _steps(excerpt),
        fold(f"The {count(len(excerpt.operations), 'operation')} as a table", excerpt_table(excerpt)),
    )


def _steps(excerpt: Excerpt) -> Html:
    return el("ol", *(el("li", step) for step in excerpt.steps), class_="steps") if excerpt.steps else Html()


def _lane_legend() -> Html:
    keys = (("culprit", "cannot be explained"), ("witness", "contradicts it"), ("context", "other operations"))
    marks = (el("span", el("i", class_=f"key {kind}"), label) for kind, label in keys)
    return el(
        "figcaption",
        *marks,
        el("span", el("i", class_="key open"), "open end: may take effect at any later time"),
        el("span", el("i", class_="key fault"), "fault"),
        class_="legend",
    )


def _over_time(facts: Facts) -> Iterator[Html]:
    if not facts.operations:
        return
    panels = draw_timeline(facts)
    kinds = (("ok", "ok"), ("fail", "fail: did not happen"), ("info", "info: nobody knows (time until given up)"))
    keys = (el("span", el("i", class_=f"dot {kind}"), label) for kind, label in kinds)
    yield el("p", "Each operation by when it began and how long it took; below, operations begun per second.")
    yield el(
        "p",
        *keys,
        el("span", el("i", class_="key fault touch"), "fault in this region"),
        el("span", el("i", class_="key fault"), "fault elsewhere"),
        class_="legend",
    )
    for region, chart in panels.charts:
        swatch = facts.regions.index(region) % 8 if region in facts.regions else 0
        total = sum(n for (_, _, where), n in facts.tally.items() if where == region)
        title = el(
            "h3",
            el("i", class_=f"swatch r{swatch}"),
            region or "no region",
            el("span", count(total, "operation"), class_="quiet"),
        )
        yield el("figure", title, el("div", chart, class_="scroll"))
    if panels.drawn < panels.total:
        yield el(
            "p",
            f"Sampled: {count(panels.drawn)} points stand for {count(panels.total)} operations; the fastest "
            "and slowest of every moment are kept. Rates count all of them.",
            class_="quiet",
        )


def _again(run: Run) -> Iterator[Html]:
    yield el("p", "The same plan, with the same seed and schedule:")
    yield el("pre", replay_command(run))
    yield el("p", "The same history, judged again with nothing started:")
    yield el("pre", check_command(run))
    plan = run.plan
    hashed = f" · schedule {plan.schedule_hash}" if plan.schedule_hash else ""
    yield el(
        "p",
        f"seed {plan.seed}{hashed} · testbed {plan.testbed} · faults {', '.join(plan.faults) or 'none'}",
        class_="quiet",
    )


def _foot(run: Run) -> Html:
    version = f"Rift {run.plan.rift_version}".strip()
    return el("footer", join(version, f" · {run.folder}"))


RENDERER = HtmlReport()
