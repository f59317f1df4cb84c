"""Finds families and kinds of evidence: their folders are the registries."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.certify.contract import Evidence, Family
from harness.errors import PluginError, UsageError
from harness.registry import pick

_HERE = Path(__file__).parent


def family_names() -> list[str]:
    """Every family, by its file's name."""
    return [path.stem.replace("_", "-") for path in sorted((_HERE / "families").glob("[!_]*.py"))]


@cache
def family(name: str) -> Family:
    """The family called ``name``. Raises UsageError for an unknown one, PluginError when its file is wrong."""
    module = _module("families", pick("family", name, family_names()).replace("-", "_"))
    found: Any = getattr(module, "FAMILY", None)
    if not isinstance(found, Family) or found.name != name:
        raise PluginError(f"{module.__file__}: must define FAMILY, a Family with the name {name!r}")
    return found


def evidence_names() -> list[str]:
    """Every kind of evidence; the oracle comes first."""
    found = {path.stem for path in (_HERE / "evidence").glob("[!_]*.py")}
    order = ("oracle", "mutation", "laws", "simulated", "recorded")
    return [name for name in order if name in found] + sorted(found.difference(order))


def evidence(name: str) -> Evidence:
    """The kind of evidence called ``name``. Raises UsageError for an unknown one."""
    module: Any = _module("evidence", pick("kind of evidence", name, evidence_names()))
    found: Evidence = module
    return found


def chosen(names: Iterable[str], known: list[str], kind: str) -> list[str]:
    """The names asked for, in the folder's order; all when none is. Raises UsageError for an unknown one."""
    asked = [pick(kind, name, known) for name in names]
    return [name for name in known if name in asked or not asked]


def _module(folder: str, stem: str) -> ModuleType:
    try:
        return importlib.import_module(f"harness.certify.{folder}.{stem}")
    except UsageError:
        raise
    except Exception as error:
        raise PluginError(f"{_HERE / folder / stem}.py: does not load: {type(error).__name__}: {error}") from error
