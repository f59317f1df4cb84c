"""The repository checks itself: sizes, leftovers, broken maps."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("harness", "suites", "fixtures", "reports", "tests", "bench")
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")) if "_carried" not in path.parts]
MODULE_LINES, BODY_LINES, PLUGIN_LINES = 500, 60, 150


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [path for path in SOURCES if "tests" not in path.parts], ids=label)
def test_a_module_fits_in_a_head(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES


@pytest.mark.parametrize(
    "path", [*(ROOT / "harness/faults").glob("[!_]*.py"), *(ROOT / "harness/workloads").glob("[!_]*.py")], ids=label
)
def test_a_plugin_is_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= PLUGIN_LINES


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body and body[-1].end_lineno else 0
            assert lines <= BODY_LINES, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_nothing_unfinished_is_left(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    marks = re.findall(r"\b(?:FIX" r"ME|TO" r"DO|XX" r"X)\b", text)
    assert not marks
    assert not re.search(r"except\s*:", text), "a bare except hides Ctrl-C"


def test_the_map_leads_to_files_that_exist() -> None:
    """Every link of the documents that points into the repository has something at its end."""
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_layer_room_is_on_the_map() -> None:
    """ARCHITECTURE.md leads to every room of the engine, and to each module of those that a run passes through."""
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    folders = ["harness", *(f"harness/{room}" for room in ("planning", "running", "judging", "drills"))]
    rooms = [path for folder in folders for path in sorted((ROOT / folder).iterdir()) if path.name[0] not in "_."]
    assert not [label(path) for path in rooms if f"]({label(path)})" not in page]
