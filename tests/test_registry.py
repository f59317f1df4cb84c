"""Plugins are found by folder; a bad one is named, never dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import registry
from harness.errors import PluginError, UsageError


@pytest.mark.parametrize("kind", ["target", "workload", "fault", "renderer"])
def test_every_file_of_a_folder_loads_and_is_called_like_its_file(kind: str) -> None:
    names = registry.names(kind)
    assert names
    for name in names:
        if kind != "target":
            assert getattr(registry, kind)(name).name == name
        elif name != "composed":  # it is made of somebody's compose file
            assert registry.target(name).name == name


def test_a_target_that_cannot_do_without_options_names_them() -> None:
    with pytest.raises(UsageError, match=r"composed needs -o file=COMPOSE\.yaml and -o client="):
        registry.target("composed")


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown fault 'partition-regoin': did you mean 'partition-region'"):
        registry.fault("partition-regoin")


def test_a_target_of_ones_own_is_loaded_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from harness.model.claims import Claims\n"
        "class Mine:\n"
        "    name, claims, speaks, ports, needs_names = 'mine', Claims(), frozenset(), (), False\n"
        "    launch = ready = connect = None\n"
        "def make(colour='red'):\n"
        "    return Mine()\n"
    )
    assert registry.target(str(path)).name == "mine"
    with pytest.raises(UsageError, match="size"):
        registry.target(str(path), {"size": "1"})


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("import nonsense_that_is_not_there", "does not load: ModuleNotFoundError"),
        ("def make(:", "does not load: SyntaxError"),
        ("x = 1", "defines no make"),
        ("def make():\n    return object()", "lacks name, claims"),
    ],
)
def test_a_broken_plugin_is_an_error_that_names_the_file(tmp_path: Path, source: str, complaint: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(source)
    with pytest.raises(PluginError, match=complaint) as caught:
        registry.target(str(path))
    assert "broken.py" in str(caught.value)


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.py"):
        registry.target(str(tmp_path / "nowhere.py"))
