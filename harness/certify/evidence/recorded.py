"""Histories of real systems with known verdicts, from a folder that the user names.

The folder holds ``expected.json``: for the path of each history its ``model``, whether it is ``valid``, and the
``initial`` value when there is one. They are judged as ``rift check`` judges them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from harness.certify.contract import Family, Settings
from harness.certify.tally import Disagreement, Tally
from harness.errors import RiftError, UsageError
from harness.judging import recorded
from harness.model.verdict import Valid

NAME: Final = "recorded"
INDEX: Final = "expected.json"
_OTHER_NAMES: Final = {"kv": "kv-append", "queue": "unordered-queue", "linearizable": "cas-register"}


def size(family: Family, settings: Settings) -> int:
    """As many as the folder has of the family's model."""
    return len(_of(family.name, settings.folder)) if settings.folder else 0


def gather(family: Family, settings: Settings, numbers: range) -> Tally:
    """Judge the files with these numbers, in order of their names."""
    tally = Tally(family.name, NAME)
    assert settings.folder is not None
    every = _of(family.name, settings.folder)
    for number in numbers:
        name, facts = every[number]
        tally.histories += 1
        tally.invalid += not facts["valid"]
        tally.part(facts["model"])["holds" if facts["valid"] else "broken"] += 1
        found, says = _judged(settings.folder / name, facts)
        if found is Valid.UNKNOWN:
            tally.part(facts["model"])["unknown"] += 1
        elif (found is Valid.TRUE) is not facts["valid"]:
            told = f"{name}: rift check says {found} ({says}), and it is {'valid' if facts['valid'] else 'invalid'}"
            tally.wrong(Disagreement(family.name, NAME, facts["model"], number, told))
    return tally


def smaller(_: Family, __: Settings, found: Disagreement) -> Disagreement:
    """As it is: only the whole history is known to be what it is."""
    return found


def gaps(family: Family, tally: Tally) -> list[str]:
    """Histories without a verdict."""
    unknown = tally.total("unknown")
    return [f"{unknown} of {tally.histories} got no verdict"] if unknown else []


def index(folder: Path) -> dict[str, dict[str, Any]]:
    """What the folder says of its histories. Raises UsageError when it says nothing."""
    try:
        found: dict[str, dict[str, Any]] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{folder / INDEX}: {error.strerror}; name a folder with histories and their verdicts"
        ) from None
    except ValueError as error:
        raise UsageError(f"{folder / INDEX}: is no JSON: {error}; write {{path: {{model, valid, initial}}}}") from None
    for name, facts in found.items():
        if not isinstance(facts, dict) or not isinstance(facts.get("valid"), bool) or "model" not in facts:
            raise UsageError(f"{folder / INDEX}: {name}: {facts!r}; it must say its model, and whether it is valid")
    return found


def _of(family: str, folder: Path) -> list[tuple[str, dict[str, Any]]]:
    every = sorted(index(folder).items())
    return [(name, facts) for name, facts in every if _OTHER_NAMES.get(facts["model"], facts["model"]) == family]


def _judged(path: Path, facts: dict[str, Any]) -> tuple[Valid, str]:
    try:
        judged = recorded.check_file(str(path), path.parent, facts["model"], recorded.Options(facts.get("initial")))
    except RiftError as error:
        return Valid.UNKNOWN, str(error)
    return judged.verdict.valid, judged.verdict.summary


def strangers(folder: Path, families: Iterable[str]) -> list[str]:
    """Models of the folder that no family has, so that nobody judges them."""
    models = {facts["model"] for facts in index(folder).values()}
    return sorted(model for model in models if _OTHER_NAMES.get(model, model) not in set(families))
