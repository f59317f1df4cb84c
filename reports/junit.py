"""JUnit XML for CI systems: one test case per judged verdict, and one for the run itself when it did not finish.

``violated`` is a failure; ``unknown`` is an error, because no evidence must never look like a pass.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml

from harness.model.run import Run
from harness.model.verdict import Excerpt, Valid, Verdict

from ._facts import Facts
from ._story import check_command, fault_sentence, headline, replay_command, verdict_sentence
from ._words import clean


class JunitReport:
    """Writes ``junit.xml`` into the run's folder."""

    name = "junit"
    help = "JUnit XML for CI systems, junit.xml in the run's folder"

    def render(self, run: Run) -> Path:
        path = run.folder / "junit.xml"
        tree = Xml.ElementTree(document(run))
        Xml.indent(tree)
        tree.write(path, encoding="utf-8", xml_declaration=True)
        return path


def document(run: Run) -> Xml.Element:
    """The ``testsuites`` element."""
    facts = Facts(run)
    cases = [_case(run, verdict) for verdict in run.verdicts if verdict.judged]
    if run.state != "finished" or not cases:
        cases.append(_unfinished(facts))
    suite = Xml.Element(
        "testsuite",
        name=clean(run.plan.test),
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped="0",
        time=f"{sum(verdict.seconds for verdict in run.verdicts):.3f}",
    )
    if run.plan.created_utc:
        suite.set("timestamp", clean(run.plan.created_utc[:19]))
    properties = Xml.SubElement(suite, "properties")
    pairs = (("seed", run.plan.seed), ("schedule", run.plan.schedule_hash), ("replay", replay_command(run)))
    for name, value in (*pairs, ("folder", run.folder)):
        Xml.SubElement(properties, "property", name=name, value=clean(value))
    suite.extend(cases)
    Xml.SubElement(suite, "system-out").text = _told(facts)
    root = Xml.Element("testsuites")
    root.append(suite)
    return root


def _case(run: Run, verdict: Verdict) -> Xml.Element:
    case = Xml.Element(
        "testcase",
        classname=_class(run),
        name=clean(verdict.checker),
        time=f"{verdict.seconds:.3f}",
    )
    if verdict.valid is Valid.FALSE:
        failure = Xml.SubElement(case, "failure", type="violated", message=clean(verdict.summary))
        failure.text = clean("\n\n".join(_argument(excerpt) for excerpt in verdict.excerpts) or verdict.summary)
    elif verdict.valid is Valid.UNKNOWN:
        error = Xml.SubElement(case, "error", type="unknown", message=verdict_sentence(verdict))
        error.text = clean(verdict.cause)
    return case


def _unfinished(facts: Facts) -> Xml.Element:
    run = facts.run
    case = Xml.Element("testcase", classname=_class(run), name="the run itself")
    kind = run.state if run.state != "finished" else "unknown"
    message = clean(run.problem) or headline(facts).sentence
    Xml.SubElement(case, "error", type=kind, message=message).text = clean(f"judge it again: {check_command(run)}")
    return case


def _class(run: Run) -> str:
    return clean(f"rift.{run.plan.target_name}.{run.plan.workload}")


def _argument(excerpt: Excerpt) -> str:
    return "\n".join([excerpt.title, *(f"  {number}. {step}" for number, step in enumerate(excerpt.steps, 1))])


def _told(facts: Facts) -> str:
    return "\n".join([str(headline(facts)), *(fault_sentence(fault) for fault in facts.faults)])


RENDERER = JunitReport()
