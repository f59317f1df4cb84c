"""Finds plugins: a folder is the registry, and a file that does not load is an error that names it.

Targets and renderers lie outside the engine and are loaded by path, under package names of our own, because
``fixtures`` and ``reports`` are also other people's packages.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar

import harness
from harness.contracts import Fault, Renderer, Target, Workload
from harness.errors import PluginError, RiftError, UsageError

_ENGINE: Final = Path(harness.__file__).resolve().parent
_CHECKOUT: Final = _ENGINE.parent
_PACKAGES: Final = {
    "target": "rift_fixtures",
    "workload": "harness.workloads",
    "fault": "harness.faults",
    "renderer": "rift_reports",
}
T = TypeVar("T")


def home(folder: str) -> Path:
    """Where ``suites``, ``fixtures``, ``compose`` or ``reports`` lies: in the checkout, else inside the wheel."""
    beside = _CHECKOUT / folder
    if (_CHECKOUT / "pyproject.toml").exists() and beside.is_dir():
        return beside
    return _ENGINE / "_carried" / folder


def names(kind: str) -> list[str]:
    """The names of every ``target``, ``workload``, ``fault`` or ``renderer`` there is."""
    return [path.stem.replace("_", "-") for path in sorted(_folder(kind).glob("[!_]*.py"))]


def _folder(kind: str) -> Path:
    engine = {"workload": "workloads", "fault": "faults"}
    return _ENGINE / engine[kind] if kind in engine else home({"target": "fixtures", "renderer": "reports"}[kind])


def target(name: str, options: dict[str, str] | None = None) -> Target:
    """The target called ``name`` (``etcd``), or defined by a file of yours (``./mine.py``)."""
    made = _attribute(_module(name, "target"), "make")
    try:
        found: Target = made(**(options or {}))
    except TypeError as error:
        raise UsageError(f"target {name}: options {options}: {error}") from error
    return _shaped(found, ("name", "claims", "speaks", "ports", "needs_names", "launch", "ready", "connect"), name)


def sentence(kind: str, name: str) -> str:
    """The first sentence of the plugin's own file, for lists; loading it starts nothing and needs no server."""
    text = " ".join((_module(name, kind).__doc__ or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".").replace("``", "")


def workload(name: str) -> Workload:
    """The workload called ``name``."""
    found: Workload = _attribute(_module(name, "workload"), "WORKLOAD")
    return _shaped(found, ("name", "needs", "promise", "generator", "final", "checkers"), name)


def fault(name: str) -> Fault:
    """The fault called ``name`` (``partition-region``)."""
    found: Fault = _attribute(_module(name, "fault"), "FAULT")
    return _shaped(found, ("name", "needs", "aims", "apply", "symptoms"), name)


def renderer(name: str) -> Renderer:
    """The renderer called ``name`` (``html``)."""
    found: Renderer = _attribute(_module(name, "renderer"), "RENDERER")
    return _shaped(found, ("name", "help", "render"), name)


def own_file(kind: str, path: str) -> ModuleType:
    """The module in a file of yours. Raises UsageError when there is none, PluginError when it does not load."""
    return _module(path, kind)


def pick(kind: str, name: str, known: Iterable[str]) -> str:
    """``name`` when it is known; otherwise a UsageError that suggests the nearest."""
    names = sorted(known)
    if name in names:
        return name
    raise UsageError(f"unknown {kind} {name!r}: {nearest(name, names)}Known: {', '.join(names)}")


def nearest(name: str, names: Iterable[str]) -> str:
    """``did you mean 'x'? ``, or nothing when no name is near."""
    near = get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}? " if near else ""


def _module(name: str, kind: str) -> ModuleType:
    if name.endswith(".py"):
        path = Path(name).resolve()
        if not path.is_file():
            raise UsageError(f"{kind} file {name!r} does not exist")
        return _load_file(path, f"rift_own_{path.stem}")
    folder, package = _folder(kind), _PACKAGES[kind]
    path = folder / (pick(kind, name, names(kind)).replace("-", "_") + ".py")
    if package not in sys.modules and not package.startswith("harness."):
        holder = ModuleType(package)
        holder.__path__ = [str(folder)]
        sys.modules[package] = holder
    with _naming(path):
        return importlib.import_module(f"{package}.{path.stem}")


def _load_file(path: Path, module_name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    with _naming(path):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turns whatever a plugin file raises while it loads into a PluginError with its path."""
    try:
        yield
    except RiftError:
        raise
    except Exception as error:
        raise PluginError(f"{path}: does not load: {type(error).__name__}: {error}") from error


def _attribute(module: ModuleType, name: str) -> Any:
    if not hasattr(module, name):
        raise PluginError(f"{module.__file__}: defines no {name}; see docs/ for what such a file must have")
    return getattr(module, name)


def _shaped(plugin: T, wanted: tuple[str, ...], name: str) -> T:
    missing = [attribute for attribute in wanted if not hasattr(plugin, attribute)]
    if missing:
        raise PluginError(f"{name}: {type(plugin).__name__} lacks {', '.join(missing)}; see harness/contracts.py")
    return plugin
