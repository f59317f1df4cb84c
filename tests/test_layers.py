"""Imports point one way. Every import counts, also those inside functions and under TYPE_CHECKING."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LAYERS = (
    {"errors"},
    {"model", "finishing"},
    {"lab"},
    {"contracts", "scenarios"},
    {"generators", "kernels", "links", "wire", "failovers"},
    {"formats"},
    {"testbeds", "checkers", "faults", "journal", "ledger"},
    {"workloads", "registry", "store"},
    {"runner", "nemesis"},
    {"planning"},
    {"judging"},
    {"running", "certify"},
    {"drills"},
    {"commands"},
    {"cli", "plugin"},
    {"__main__"},
)
INSIDE = {  # rooms with an order of their own, from the ground up; a name is a module or a room in that room
    "kernels": (
        {"calls", "compiling", "intervals", "memory", "orders"},
        {"models"},
        {"objects"},
        {"linear", "transactions", "rollouts"},
    ),
    "checkers": (
        {"apart", "settled", "wording"},
        {"deeds", "guarantees", "judge"},
        {"findings"},
        {"every_run", "objects", "replicas", "transactions", "rollouts"},
        {"failovers"},
        {"regions"},
    ),
    "planning": ({"topologies", "traits", "runbooks"}, {"plans", "parts"}),
    "judging": ({"runs", "judges", "shapes", "tally"}, {"recorded"}, {"releases"}),
    "running": ({"console", "guard", "recovering", "stage"}, {"watching"}, {"experiment"}, {"execute"}, {"playing"}),
    "drills": ({"figures", "planned"}, {"outcomes"}, {"told"}, {"repeated"}),
}
RANK = {room: rank for rank, layer in enumerate(LAYERS) for room in layer}
OUTSIDE = {  # folders that are found by path, and what of the engine they may know
    "fixtures": {"errors", "model", "contracts", "wire"},
    "reports": {"errors", "model", "contracts"},
    "suites": {"errors", "model", "contracts", "scenarios", "workloads", "faults", "checkers"},
}


def modules(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "_carried" not in path.parts)


def imports(path: Path) -> Iterator[str]:
    """Every module that ``path`` imports, wherever in the file, as absolute names."""
    package = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: -node.level]) if node.level else ""
            module = ".".join(filter(None, (base, node.module or "")))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


ENGINE = {name_of(path): path for path in modules("harness")}


def edges(path: Path) -> set[str]:
    """The engine's modules that ``path`` imports: the longest name that is a module."""
    return {name for name in imports(path) if name in ENGINE and name != name_of(path)}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("module", sorted(ENGINE))
def test_an_engine_module_imports_only_from_below(module: str) -> None:
    """A room may use rooms below it, and its own modules."""
    if not room(module):
        return
    assert room(module) in RANK, f"harness/{room(module)} has no place in the layers; give it one"
    for used in edges(ENGINE[module]):
        if room(used) in ("", room(module)):
            continue
        assert RANK[room(used)] < RANK[room(module)], f"{module} imports {used}, which is not below it"


@pytest.mark.parametrize("name", sorted(INSIDE))
def test_the_modules_of_a_room_have_an_order_too(name: str) -> None:
    """Every module has its place, and uses those below it; the room itself is a name, so that one loads no other."""
    rank = {place: i for i, layer in enumerate(INSIDE[name]) for place in layer}
    place = {module: module.split(".")[2] for module in ENGINE if module.startswith(f"harness.{name}.")}
    assert set(rank) == set(place.values())
    assert not edges(ENGINE[f"harness.{name}"])
    for module, own in place.items():
        for used in edges(ENGINE[module]) & set(place):
            if place[used] != own:
                assert rank[place[used]] < rank[own], f"{module} imports {used}, which is not below it"


def test_no_command_uses_another_one() -> None:
    """A subcommand is a file of its own; what several share, or what is heavy, has an underscore."""
    commands = {module for module in ENGINE if module.startswith("harness.commands.")}
    shared = {module for module in commands if module.split(".")[-1].startswith("_")}
    for module in commands:
        assert edges(ENGINE[module]) & commands <= shared, module


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Depth-first: a module that is met again while it is being visited closes a circle."""
    graph = {module: edges(path) for module, path in ENGINE.items()}
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way[way.index(module) :], module))
        if module in done:
            return
        for used in graph[module]:
            # A package's own __init__ runs before its modules; importing a sibling is no circle through it.
            if not module.startswith(used + "."):
                visit(used, (*way, module))
        done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("path", [path for folder in OUTSIDE for path in modules(folder)], ids=lambda p: name_of(p))
def test_a_folder_outside_the_engine_knows_only_the_borders(path: Path) -> None:
    """Targets, reports and suites meet the engine at its contracts."""
    allowed = OUTSIDE[path.relative_to(ROOT).parts[0]]
    for used in imports(path):
        if used.startswith("harness."):
            assert room(used) in allowed, f"{name_of(path)} imports {used}"


@pytest.mark.parametrize("module", sorted(ENGINE))
def test_the_engine_never_imports_what_it_finds_by_folder(module: str) -> None:
    """``fixtures`` and ``reports`` are other people's packages, too."""
    for used in imports(ENGINE[module]):
        assert used.split(".")[0] not in ("suites", "fixtures", "reports", "compose", "tests", "bench")


def test_only_the_plugin_imports_pytest() -> None:
    for module, path in ENGINE.items():
        assert module == "harness.plugin" or not any(used.split(".")[0] == "pytest" for used in imports(path)), module


def test_the_layer_test_sees_hidden_imports(tmp_path: Path) -> None:
    """The tester is tested: an import inside a function counts."""
    path = ROOT / "tests" / "test_layers.py"
    source = "def f():\n    if TYPE_CHECKING:\n        from harness.cli import main\n"
    found = {
        node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom)
    }  # fmt: skip
    assert found == {"harness.cli"}
    assert "pathlib" in set(imports(path))
