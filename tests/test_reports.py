"""Every renderer on every ending of a run, with hostile text; the HTML page is sound, small and self-contained."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from msgspec.structs import replace

from harness import registry
from harness.model.clock import NS_PER_S
from harness.model.history import History
from harness.model.op import Op
from harness.model.run import Run
from harness.model.verdict import Excerpt, Marked, Valid, Verdict
from tests.sample_run import CUT, KINDS, sample_run, stale_read

HOSTILE = "</script><img src=x onerror=alert(1)>\x00\x1b[31m\udc80\u202e&\"'"
VOID = {"meta", "br"}
every_kind = pytest.mark.parametrize("kind", KINDS)


class Page(HTMLParser):
    """Parses strictly: what is opened is closed, in order. Remembers tags, attributes and text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"{tag} has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data))

    @property
    def words(self) -> str:
        return "".join(text for tag, text in self.texts if tag not in ("style", "script"))


def rendered(run: Run, name: str = "html") -> str:
    out = registry.renderer(name).render(run)
    return out if isinstance(out, str) else out.read_text(encoding="utf-8")


def hostile(run: Run) -> Run:
    """The run with hostile text in every place that a system under test or a checker can fill."""

    def spoil(op: Op) -> Op:
        if op.is_nemesis:
            return op
        return replace(op, error=HOSTILE, value=HOSTILE, region=op.region + HOSTILE, node=HOSTILE)

    operations = tuple(
        replace(m, note=HOSTILE, operation=replace(m.operation, value=HOSTILE, error=HOSTILE))
        for m in stale_read().operations
    )
    excerpt = Excerpt(title=HOSTILE, operations=operations, steps=(HOSTILE,), key=HOSTILE)
    verdict = Verdict(
        checker=HOSTILE,
        valid=Valid.FALSE,
        summary=HOSTILE,
        cause=HOSTILE,
        excerpts=(excerpt,),
        details={HOSTILE: HOSTILE},
    )
    fault = {**run.ledger[0], "aim": HOSTILE, "why": HOSTILE, "during": [{"thing": HOSTILE, "seen": HOSTILE}]}
    return replace(
        run,
        history=History([spoil(op) for op in run.history]),
        verdicts=(verdict, replace(verdict, valid=Valid.UNKNOWN)),
        ledger=(fault,),
        measurements={"links": {HOSTILE: {"rtt_ms": HOSTILE}}, "link_server": HOSTILE},
        problem=HOSTILE,
        state="failed",
    )


# --- every renderer, every ending -------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("name", registry.names("renderer"))
def test_every_renderer_renders_every_ending_of_a_run(name: str, kind: str, tmp_path: Path) -> None:
    out = registry.renderer(name).render(sample_run(tmp_path, kind, 600))
    assert isinstance(out, str) or out.parent == tmp_path
    assert out if isinstance(out, str) else out.exists()


@pytest.mark.parametrize("name", registry.names("renderer"))
def test_every_renderer_survives_a_history_that_does_not_pair(name: str, tmp_path: Path) -> None:
    run = sample_run(tmp_path, "torn", 600)
    orphan = Op(type="ok", f="read", process=77, time_ns=1)
    run = replace(run, history=History([orphan, *run.history]))
    assert registry.renderer(name).render(run)


@pytest.mark.parametrize("name", registry.names("renderer"))
def test_every_renderer_survives_a_ledger_and_measurements_of_the_wrong_shape(name: str, tmp_path: Path) -> None:
    ledger: tuple[dict[str, Any], ...] = ({"id": 3}, {"id": "f9", "during": "?", "start_ns": None, "regions": None})
    odd = {"links": 4, "traffic": {"a>n1": None}, "scheduler_lag_ms": {"p99": "late"}, "startup_s": None}
    run = replace(sample_run(tmp_path, "held", 60), ledger=ledger, measurements=odd)
    assert registry.renderer(name).render(run)


# --- the headline -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "begins"),
    [
        ("held", "Held: etcd stayed linearizable: "),
        ("violated", "Violated: refstore is not linearizable: client 4 in eu-west-1 read 7, "),
        ("unknown", "Unknown: could not decide whether etcd stayed linearizable: TypeError"),
        ("interrupted", "Unknown: the run was interrupted before anything was judged. "),
        ("failed", "Unknown: the run failed and nothing was judged. n3 in ap-southeast-1 is not ready"),
        ("torn", "Unknown: the harness was killed before anything was judged. "),
        ("empty", "Unknown: could not decide whether etcd stayed linearizable: no operation was recorded."),
    ],
)
def test_the_headline_says_the_outcome_in_one_sentence(kind: str, begins: str, tmp_path: Path) -> None:
    run = sample_run(tmp_path, kind, 600)
    page = Page(rendered(run))
    assert page.words.partition("UTC")[2].lstrip(" ✓✗?").startswith(begins)
    assert rendered(run, "terminal").replace("\n  ", " ").lstrip("✓✗? ").startswith(begins)


def test_the_headline_of_a_violation_names_the_fault_during_which_it_happened(tmp_path: Path) -> None:
    assert "with eu-west-1 cut off." in rendered(sample_run(tmp_path, "violated", 300), "json")


def test_the_headline_counts_operations_clients_regions_and_faults_that_bit(tmp_path: Path) -> None:
    run = sample_run(tmp_path, "held", 600)
    told = msgspec.json.decode(rendered(run, "json"))["headline"]
    assert f"{len(run.history.operations):,} operations by 9 clients in 3 regions while 3 faults bit" in told


def test_a_run_in_which_nobody_claims_anything_is_unknown(tmp_path: Path) -> None:
    run = sample_run(tmp_path, "held", 300)
    run = replace(run, verdicts=tuple(replace(verdict, judged=False) for verdict in run.verdicts))
    assert "claims none of what the checkers looked at" in Page(rendered(run)).words


def test_a_fault_without_effect_is_called_so_everywhere(tmp_path: Path) -> None:
    run = sample_run(tmp_path, "unknown", 300)
    assert "Without effect: f2 kill-leader" in rendered(run)
    assert "f2 kill-leader (no effect)" in rendered(run), "the picture's label"
    assert "no effect" in rendered(run, "terminal")
    assert msgspec.json.decode(rendered(run, "json"))["faults"][1]["effective"] is False


# --- the HTML page ----------------------------------------------------------------------------------


@every_kind
def test_the_page_is_well_formed_and_needs_no_network(kind: str, tmp_path: Path) -> None:
    page = Page(rendered(sample_run(tmp_path, kind, 600)))
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "img", "object")
        assert not {"src", "href", "style", "onclick", "onload"} & attributes.keys(), (tag, attributes)
    css = next(text for tag, text in page.texts if tag == "style")
    assert "url(" not in css
    assert "@import" not in css


def test_the_verdict_comes_first_with_a_symbol_and_a_word_beside_the_colour(tmp_path: Path) -> None:
    markup = rendered(sample_run(tmp_path, "violated", 300))
    places = [markup.index(part) for part in ("✗", "Violated: ", "What went wrong", "Over time", "Run it again")]
    assert places[1:] == sorted(places[1:])


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    run = hostile(sample_run(tmp_path, "violated", 300))
    page = Page(rendered(run))
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not [tag for tag, attributes in page.tags if tag == "img" or "onerror" in attributes]
    assert "<img src=x onerror=alert(1)>" in page.words
    assert not re.search("[\x00\x1b\u202e]", rendered(run))


def test_only_the_reports_own_script_and_style_may_run(tmp_path: Path) -> None:
    page = Page(rendered(sample_run(tmp_path, "held", 60)))
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_every_picture_has_words_for_who_cannot_see_it(tmp_path: Path) -> None:
    page = Page(rendered(sample_run(tmp_path, "violated", 600)))
    pictures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(pictures) == 4
    assert all(picture["aria-label"] and picture["role"] for picture in pictures)
    heads = [attributes for tag, attributes in page.tags if tag == "th"]
    assert heads
    assert all(attributes["scope"] in ("row", "col") for attributes in heads)


def test_the_picture_marks_the_culprit_the_witnesses_and_the_open_end(tmp_path: Path) -> None:
    page = Page(rendered(sample_run(tmp_path, "violated", 300)))
    bars = [a["class"] or "" for tag, a in page.tags if tag == "g" and "bar" in (a.get("class") or "")]
    assert sorted(bar.split()[2] for bar in bars) == ["context"] * 3 + ["culprit"] + ["witness"] * 2
    assert sum(a.get("class") == "open" for tag, a in page.tags if tag == "path") == 1


def test_a_missing_measurement_hides_its_section(tmp_path: Path) -> None:
    run = sample_run(tmp_path, "held", 300)
    assert "Network and harness" in rendered(run)
    assert "1.2 ms (p99)" in rendered(run)
    assert "Link server: embedded 0.1.0." in rendered(run)
    assert "Network and harness" not in rendered(replace(run, measurements={}))


def test_a_traceback_is_folded_away(tmp_path: Path) -> None:
    markup = rendered(sample_run(tmp_path, "unknown", 300))
    folded = re.search(r"<details><summary>Traceback</summary><pre>(.*?)</pre>", markup, re.DOTALL)
    assert folded
    assert "line 3, in check" in folded[1]


def test_a_big_run_is_sampled_says_so_and_keeps_its_extremes(tmp_path: Path) -> None:
    run = sample_run(tmp_path, "held", 200_000)
    slowest = Op(type="invoke", f="read", process=900_001, time_ns=50 * NS_PER_S, region="us-east-1")
    done = replace(slowest, type="ok", time_ns=slowest.time_ns + 77 * NS_PER_S)
    run = replace(run, history=History([*run.history, slowest, done]))
    assert len(run.history.operations) > 100_000
    markup = rendered(run)
    assert len(markup) < 3_000_000
    assert "Sampled: " in markup
    assert "slowest 77.00 s" in markup
    ys = [
        float(y)
        for d in re.findall(r'<path d="([^"]+)" class="points ok"', markup)
        for y in re.findall(r" ([\d.]+)h0", d)
    ]
    assert min(ys) < sorted(ys)[1] - 5, "the slowest operation's point stands alone above all others"


def test_a_small_run_draws_every_operation(tmp_path: Path) -> None:
    run = sample_run(tmp_path, "held", 900)
    markup = rendered(run)
    oks = sum(op.type == "ok" for op in run.history.operations)
    assert sum(d.count("h0") for d in re.findall(r'<path d="([^"]+)" class="points ok"', markup)) == oks
    assert "Sampled: " not in markup


# --- axes -------------------------------------------------------------------------------------------


@pytest.fixture
def broken() -> Callable[..., Any]:
    """The broken time axis; the reports' parts are loaded by path like every renderer."""
    registry.renderer("html")
    made: Callable[..., Any] = sys.modules["rift_reports._axis"].Broken
    return made


def test_a_broken_axis_cuts_long_idle_stretches_and_keeps_order(broken: Callable[..., Any]) -> None:
    axis = broken([(0, 100), (150, 250), (90_000_000, 90_000_100)], 0.0, 1000.0, 40.0, patience=8)
    assert len(axis.gaps) == 1
    places = [axis(t) for t in (0, 100, 150, 250, 90_000_000, 90_000_100)]
    assert all(a < b for a, b in pairwise(places))
    assert places[-1] <= 1000.5
    assert axis(100) - axis(0) == pytest.approx(axis(90_000_100) - axis(90_000_000))


def test_an_axis_without_long_idle_stretches_is_not_broken(broken: Callable[..., Any]) -> None:
    assert broken([(0, 100), (150, 250)], 0.0, 100.0, 40.0).gaps == []
    assert broken([], 0.0, 100.0, 40.0).gaps == []


def test_a_gap_in_the_excerpt_is_told_in_picture_and_text(tmp_path: Path) -> None:
    run, excerpt = sample_run(tmp_path, "violated", 300), stale_read()
    late = excerpt.operations[-1].operation
    late = replace(late, start_ns=late.start_ns + 100 * NS_PER_S, end_ns=late.end_ns + 100 * NS_PER_S)
    marks = (*excerpt.operations[:-1], Marked(operation=late, mark="culprit"))
    verdict = replace(run.verdicts[0], excerpts=(replace(excerpt, operations=marks),))
    run = replace(run, verdicts=(verdict,))
    assert "without any of these operations, not drawn to scale" in rendered(run)
    assert "⋯ stands for 100" in rendered(run, "terminal")


# --- the terminal -----------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [40, 72, 110])
def test_the_text_is_plain_when_piped_and_as_wide_as_the_terminal(
    columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    text = rendered(sample_run(tmp_path, "violated", 300), "terminal")
    assert "\x1b" not in text
    lines = text.splitlines()
    wide = [line for line in lines if len(line) > max(columns, 62) and "it again:" not in line]
    assert wide == [line for line in wide if line.startswith("  █ cannot")]


def test_the_replay_command_stays_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    run = sample_run(tmp_path, "violated", 300)
    assert f"Run it again:    {run.plan.replay}\n" in rendered(run, "terminal")


def test_hostile_text_cannot_steer_the_terminal(tmp_path: Path) -> None:
    assert not re.search("[\x00\x1b\u202e\udc80]", rendered(hostile(sample_run(tmp_path, "violated", 300)), "terminal"))


# --- JSON, JUnit, Allure ----------------------------------------------------------------------------


@every_kind
def test_the_json_object_keeps_its_shape(kind: str, tmp_path: Path) -> None:
    data = msgspec.json.decode(rendered(sample_run(tmp_path, kind, 600), "json"))
    assert list(data) == [
        "schema", "valid", "headline", "state", "problem", "caveats", "test", "target", "workload", "testbed", "seed",
        "schedule_hash", "replay", "folder", "verdicts", "faults", "counts", "measurements",
    ]  # fmt: skip
    assert data["schema"] == 1
    assert data["valid"] == {"held": True, "violated": False}.get(kind, "unknown")
    for verdict in data["verdicts"]:
        assert set(verdict) == {"checker", "valid", "judged", "summary", "cause", "seconds", "details", "excerpts"}
    for fault in data["faults"]:
        assert fault["start_s"] >= CUT[0]


def test_the_json_counts_add_up(tmp_path: Path) -> None:
    run = sample_run(tmp_path, "held", 600)
    counts = msgspec.json.decode(rendered(run, "json"))["counts"]
    total = len(run.history.operations)
    assert counts["operations"] == total == sum(counts["by_type"].values())
    assert total == sum(n for by_type in counts["by_region"].values() for n in by_type.values())


@pytest.mark.parametrize(
    ("kind", "tests", "failures", "errors"),
    [
        ("held", 3, 0, 0),
        ("violated", 3, 1, 0),
        ("unknown", 3, 0, 2),
        ("interrupted", 1, 0, 1),
        ("failed", 1, 0, 1),
        ("torn", 1, 0, 1),
        ("empty", 1, 0, 1),
    ],
)
def test_junit_counts_violations_as_failures_and_unknowns_as_errors(
    kind: str, tests: int, failures: int, errors: int, tmp_path: Path
) -> None:
    suite = ElementTree.fromstring(rendered(sample_run(tmp_path, kind, 300), "junit").encode()).find("testsuite")
    assert suite is not None
    assert [suite.get(name) for name in ("tests", "failures", "errors")] == [str(tests), str(failures), str(errors)]
    assert len(suite.findall("testcase")) == tests


def test_a_run_that_failed_after_its_verdicts_is_no_pass_in_junit(tmp_path: Path) -> None:
    run = replace(sample_run(tmp_path, "held", 300), state="failed", problem="the testbed fell over")
    suite = ElementTree.fromstring(rendered(run, "junit").encode()).find("testsuite")
    assert suite is not None
    assert suite.get("errors") == "1"


def test_junit_parses_with_hostile_text(tmp_path: Path) -> None:
    root = ElementTree.fromstring(rendered(hostile(sample_run(tmp_path, "violated", 300)), "junit").encode())
    failure = root.find(".//failure")
    assert failure is not None
    assert "<img src=x onerror=alert(1)>" in (failure.text or "")


def test_allure_results_carry_steps_explanation_and_the_report(tmp_path: Path) -> None:
    folder = registry.renderer("allure").render(sample_run(tmp_path, "violated", 300))
    assert isinstance(folder, Path)
    results = {r["fullName"].split(".")[-1]: r for r in map(_decoded, folder.glob("*-result.json"))}
    assert {name: r["status"] for name, r in results.items()} == {
        "linearizable": "failed", "stats": "passed", "attested": "passed", "availability": "skipped",
    }  # fmt: skip
    broken = results["linearizable"]
    assert [step["name"].split(",")[0] for step in broken["steps"]] == [
        "f1 partition-region", "f2 kill-leader", "f3 latency-degraded",
    ]  # fmt: skip
    assert broken["steps"][0]["start"] - broken["start"] == CUT[0] * 1000
    assert [each["name"] for each in broken["attachments"]] == ["report", "explanation", "history excerpt"]
    assert all((folder / each["source"]).stat().st_size for each in broken["attachments"])
    assert "████" in (folder / broken["attachments"][1]["source"]).read_text(encoding="utf-8")


def test_allure_rendered_twice_leaves_one_set_of_results(tmp_path: Path) -> None:
    for kind in ("violated", "held"):
        folder = registry.renderer("allure").render(sample_run(tmp_path, kind, 300))
    assert isinstance(folder, Path)
    assert len(list(folder.glob("*-result.json"))) == 4
    assert not [r for r in map(_decoded, folder.glob("*-result.json")) if r["status"] == "failed"]


def test_an_unfinished_run_is_broken_in_allure(tmp_path: Path) -> None:
    folder = registry.renderer("allure").render(sample_run(tmp_path, "interrupted", 300))
    assert isinstance(folder, Path)
    assert [r["status"] for r in map(_decoded, folder.glob("*-result.json"))] == ["broken"]


def _decoded(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    return data


# --- in a browser -----------------------------------------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on PATH (apt-get install chromium)")
@pytest.mark.parametrize("kind", ["held", "violated", "unknown"])
def test_a_browser_shows_the_page_and_its_script_runs_without_complaint(kind: str, tmp_path: Path) -> None:
    path = registry.renderer("html").render(sample_run(tmp_path, kind, 600))
    shot = tmp_path / "shot.png"
    flags = ["--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}"]
    flags += ["--no-sandbox"] if os.geteuid() == 0 else []
    argv = [str(CHROMIUM), *flags, "--enable-logging=stderr", "--window-size=1200,2400"]
    seen = subprocess.run(
        [*argv, "--dump-dom", f"file://{path}"], capture_output=True, text=True, timeout=60, check=True
    )
    assert 'id="tip"' in seen.stdout, "the script has added its tooltip"
    assert "CONSOLE" not in seen.stderr, "no script error, nothing refused by the page's own policy"
    subprocess.run([*argv, f"--screenshot={shot}", f"file://{path}"], capture_output=True, timeout=60, check=True)
    assert shot.stat().st_size > 20_000
