"""Topologies from files: a preset's name or a path, and errors that say where the file is wrong and what to write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from harness.errors import UsageError
from harness.model.topology import LATENCY_CLASSES, Between, Profile, Region, Role, Topology

_SUFFIXES = (".yaml", ".yml")


def presets(folder: Path) -> list[str]:
    """The names of the topologies in ``folder``."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load(name_or_path: str, folder: Path) -> Topology:
    """The topology ``name_or_path``: a preset in ``folder`` by name, else a YAML file.

    Raises UsageError that names the file, the field and its value, and ends with what to write instead.
    """
    path = Path(name_or_path)
    if path.suffix not in _SUFFIXES and "/" not in name_or_path:
        path = folder / f"{name_or_path}.yaml"
        if not path.is_file():
            known = presets(folder)
            raise UsageError(
                f"topology {name_or_path!r} is unknown{_nearest(name_or_path, known)}; "
                f"write one of {', '.join(known)}, or the path of a .yaml file"
            )
    data = _parse(path)
    try:
        return Topology.model_validate(data)
    except ValidationError as error:
        problems = [f"{path}: {_explain(dict(problem), data)}" for problem in error.errors(include_url=False)]
        raise UsageError("\n".join(problems)) from None


def _parse(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give the path of a topology file") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 text ({error.reason}); save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        what = getattr(error, "problem", None) or str(error)
        raise UsageError(f"{path}:{where} is not YAML ({what}); correct that line") from None


def _explain(problem: dict[str, Any], data: Any) -> str:
    """One validation problem as `field value: what is wrong; what to write`."""
    location: tuple[str | int, ...] = problem["loc"]
    field, kind, value = _path(location), problem["type"], problem["input"]
    last = str(location[-1]) if location else ""
    if not isinstance(data, dict):
        return f"holds {_show(data)}; a topology is a mapping with name, regions and links"
    if kind == "extra_forbidden":
        known = _fields(_model_at(location))
        return f"{field}: there is no such field{_nearest(last, known)}; write one of {', '.join(known)}"
    if kind == "missing":
        return f"{field} is missing; {_what_to_write(location)}"
    if kind == "value_error":
        return _own_words(field, problem["ctx"]["error"])
    return f"{field}: {_show(value)} is wrong ({_reason(problem)}); {_what_to_write(location, value)}"


def _own_words(field: str, error: object) -> str:
    """Our own validators already say what to do; a latency class gets its nearest name."""
    words = str(error)
    if words.startswith("latency "):
        bad = words.split("'")[1]
        words = words.replace("is no class;", f"is no class{_nearest(bad, LATENCY_CLASSES)};")
        field = f"{field}.latency"
    return f"{field}: {words}" if field else words


def _what_to_write(location: Sequence[str | int], value: Any = None) -> str:
    last = str(location[-1]) if location else ""
    names = {"role": [role.value for role in Role], "profile": [profile.value for profile in Profile]}.get(last)
    if names is not None:
        near = _nearest(value, names) if isinstance(value, str) else ""
        return f"write one of {', '.join(names)}{near}"
    return _ADVICE.get(last) or _ADVICE.get(str(location[0]) if location else "", "see the shipped topologies")


_ADVICE = {
    "name": "write a lower-case name such as `three-regions`",
    "id": "write a lower-case id such as `us-east-1` (letters, digits and dashes)",
    "regions": "write a list such as `- {id: us-east-1, role: primary, nodes: 1}`",
    "links": "write a list such as `- {from: us-east-1, to: eu-west-1, latency: cross-atlantic}`",
    "nodes": "write a whole number from 0 to 50",
    "zones": "write a list of names such as `[a, b]`",
    "from": "write the id of a region",
    "to": "write the id of a region",
    "rtt_ms": "write milliseconds from 0 to 60000",
    "jitter_ms": "write milliseconds from 0 to 60000",
    "bandwidth_kbps": "write whole KB/s, 0 for unlimited",
    "one_way": "write true or false",
}


def _reason(problem: dict[str, Any]) -> str:
    message = str(problem["msg"])
    return message[:1].lower() + message[1:]


def _path(location: Iterable[str | int]) -> str:
    """``("regions", 1, "role")`` as ``regions[1].role``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _model_at(location: Sequence[str | int]) -> type[BaseModel]:
    if len(location) < 3:
        return Topology
    return Region if location[0] == "regions" else Between


def _fields(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _nearest(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""
