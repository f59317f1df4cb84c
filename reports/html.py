"""One self-contained page per run: the verdict first, then the evidence. Works from a file, without a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.model.run import Recorded, Run

from ._drill import drill
from ._evidence import evidence
from ._facts import Facts
from ._markup import Html, el, join
from ._page import document, fact_list, section
from ._recorded import recorded_page
from ._rollout import rollouts
from ._story import caveats, check_command, headline, replay_command
from ._summary import summary_page
from ._tables import (
    fault_table,
    guarantee_table,
    harness_sentences,
    link_table,
    operation_table,
    traffic_table,
    verdict_table,
)
from ._timeline import draw_timeline
from ._words import count, lasting


class HtmlReport:
    """Writes ``report.html`` into the run's folder."""

    name = "html"
    help = "one self-contained HTML page, report.html in the run's folder"

    def render(self, run: Run) -> Path:
        path = run.folder / "report.html"
        path.write_text(page(run), encoding="utf-8")
        return path

    def explain(self, told: Recorded) -> str:
        """The page about a verdict on a recorded history."""
        return recorded_page(told)

    def sum_up(self, told: Mapping[str, Any]) -> str:
        """The page about repeated drills."""
        return summary_page(told)


def page(run: Run) -> str:
    """The whole document about a run."""
    facts = Facts(run)
    return document(str(headline(facts)), el("main", _top(facts), *_sections(facts)), _foot(run))


def _sections(facts: Facts) -> Iterator[Html]:
    if facts.run.plan.drill is not None:
        yield section("The drill", *drill(facts))
    yield evidence(facts.excerpts, facts)
    yield section("The rollout", *rollouts(facts))
    yield section("Guarantees", guarantee_table(facts))
    if not facts.observed:  # a scenario's few operations have no rhythm to show
        yield section("Over time", *_over_time(facts))
    yield section("Verdicts", verdict_table(facts))
    yield section("Faults", fault_table(facts))
    yield section("Operations", operation_table(facts))
    measured = el("div", link_table(facts), traffic_table(facts), class_="pair")
    sentences = [el("p", sentence) for sentence in harness_sentences(facts)]
    if sentences or "<table" in measured:
        yield section("Network and harness", *sentences, measured)
    yield section("Run it again", *_again(facts.run))


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
        ("Clients", f"{facts.clients} in {count(len(facts.regions), 'region')}"),
        ("Faults that bit", bit),
        ("Lasted", lasting(facts.end_ns)),
        ("Seed", str(plan.seed)),
    )
    return fact_list(*pairs)


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
