"""Allure 2 result files in ``allure/`` of the run's folder: one result per verdict, with the fault timeline as steps.

For ``rift report RUN --format allure``; under pytest the plugin attaches evidence itself. The files are written
directly, so that no Allure package is needed. Names follow from the run, so rendering again replaces them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from harness.model.clock import NS_PER_MS
from harness.model.run import Run
from harness.model.verdict import Excerpt, Valid, Verdict

from ._facts import Facts
from ._lanetext import draw_lanes
from ._story import caveats, check_command, fault_sentence, headline, replay_command, verdict_sentence
from .html import page
from .json import harmless

_STATUS = {Valid.TRUE: "passed", Valid.FALSE: "failed", Valid.UNKNOWN: "broken"}
TEXT_WIDTH = 110


class AllureReport:
    """Fills the folder ``allure``."""

    name = "allure"
    help = "Allure 2 result files, folder allure in the run's folder"

    def render(self, run: Run) -> Path:
        folder = run.folder / "allure"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        facts = Facts(run)
        report = f"{_uuid(run, 'report')}-attachment.html"
        (folder / report).write_text(page(run), encoding="utf-8")
        attached = [{"name": "report", "source": report, "type": "text/html"}]
        for verdict in (*run.verdicts, *_unfinished(facts)):
            result = _result(facts, verdict, [*attached, *_explained(folder, facts, verdict)])
            _write(folder / f"{result['uuid']}-result.json", result)
        pairs = {"target": run.plan.target_name, "seed": run.plan.seed, "testbed": run.plan.testbed}
        lines = [f"{name}={value}" for name, value in harmless(pairs).items()]
        (folder / "environment.properties").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder


def _unfinished(facts: Facts) -> Iterator[Verdict]:
    """A result of its own for a run that did not finish, or judged nothing: it must not look like a pass."""
    run = facts.run
    if run.state != "finished" or not any(verdict.judged for verdict in run.verdicts):
        problem = run.problem or headline(facts).sentence
        yield Verdict(checker="the run itself", valid=Valid.UNKNOWN, summary=f"{run.state}: {problem}")


def _result(facts: Facts, verdict: Verdict, attachments: list[dict[str, str]]) -> dict[str, Any]:
    plan, name = facts.run.plan, f"{facts.run.plan.target_name}: {verdict.checker}"
    start, stop = _milliseconds(facts, 0), _milliseconds(facts, facts.end_ns)
    labels = {"suite": plan.test, "feature": verdict.checker, "framework": "rift", "host": plan.testbed}
    return {
        "uuid": _uuid(facts.run, verdict.checker),
        "historyId": md5(f"{plan.test}/{verdict.checker}".encode(), usedforsecurity=False).hexdigest(),
        "fullName": f"rift.{plan.target_name}.{plan.workload}.{verdict.checker}",
        "name": name,
        "status": _STATUS[verdict.valid] if verdict.judged else "skipped",
        "statusDetails": {
            "message": verdict_sentence(verdict) + ("" if verdict.judged else " (only reported: nobody claims it)"),
            "trace": verdict.cause or "\n\n".join(_argument(excerpt) for excerpt in verdict.excerpts),
        },
        "stage": "finished",
        "description": "\n\n".join([str(headline(facts)), *caveats(facts)]),
        "steps": [_step(facts, fault_sentence(fault), fault) for fault in facts.faults],
        "attachments": attachments,
        "parameters": [
            {"name": "seed", "value": str(plan.seed)},
            {"name": "replay", "value": replay_command(facts.run), "excluded": True},
            {"name": "judge again", "value": check_command(facts.run), "excluded": True},
        ],
        "labels": [{"name": label, "value": value} for label, value in labels.items()],
        "start": start,
        "stop": stop,
    }


def _step(facts: Facts, sentence: str, fault: Any) -> dict[str, Any]:
    start = fault.start_ns or 0
    fine = fault.effective is not False and fault.healed is not False
    return {
        "name": sentence,
        "status": "passed" if fine else "broken",
        "stage": "finished",
        "start": _milliseconds(facts, start),
        "stop": _milliseconds(facts, facts.end_ns if fault.end_ns is None else fault.end_ns),
        "steps": [],
        "attachments": [],
        "parameters": [],
    }


def _explained(folder: Path, facts: Facts, verdict: Verdict) -> Iterator[dict[str, str]]:
    """The argument as text with its picture, and the operations of the excerpts as JSON."""
    if not verdict.excerpts:
        return
    id_ = _uuid(facts.run, f"{verdict.checker}/excerpt")
    pictures = []
    for excerpt in verdict.excerpts:
        lanes = [line for line, _ in draw_lanes(excerpt, facts, TEXT_WIDTH)] if excerpt.operations else []
        pictures.append("\n".join([_argument(excerpt), "", *lanes]))
    (folder / f"{id_}-attachment.txt").write_text(harmless("\n\n\n".join(pictures)), encoding="utf-8")
    yield {"name": "explanation", "source": f"{id_}-attachment.txt", "type": "text/plain"}
    _write(folder / f"{id_}-attachment.json", msgspec.to_builtins(verdict.excerpts))
    yield {"name": "history excerpt", "source": f"{id_}-attachment.json", "type": "application/json"}


def _argument(excerpt: Excerpt) -> str:
    return "\n".join([excerpt.title, *(f"  {number}. {step}" for number, step in enumerate(excerpt.steps, 1))])


def _write(path: Path, data: Any) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(harmless(data)), indent=1))


def _uuid(run: Run, part: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"{run.folder}/{part}"))


def _milliseconds(facts: Facts, ns: int) -> int:
    """Wall-clock time in ms since 1970, which is what Allure sorts by."""
    try:
        began = datetime.fromisoformat(facts.run.plan.created_utc)
    except ValueError:
        began = datetime.fromtimestamp(0, tz=UTC)
    began = began if began.tzinfo else began.replace(tzinfo=UTC)
    return int(began.timestamp() * 1000) + ns // NS_PER_MS


RENDERER = AllureReport()
