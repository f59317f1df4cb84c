"""Which testbed a plan means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.contracts import Target, Testbed
from harness.errors import MissingPower, UsageError
from harness.links.choose import PREFERENCES
from harness.model.topology import Topology
from harness.testbeds import faketime, namespaces
from harness.testbeds.local import LocalTestbed


def offers(name: str) -> frozenset[str]:
    """The powers that faults find on the testbed called ``name``, here and now."""
    found = {"links", "processes"}
    if name == "compose":
        found |= {"packets", "containers"}
    elif namespaces.inside():
        found |= {"packets"}
    if not (faketime.missing() if name == "compose" else faketime.refused()):
        found |= {"clocks"}
    return frozenset(found)


def lacks(missing: list[str]) -> str:
    """What to do where these powers are not offered."""
    if "clocks" in missing:
        return f"{faketime.missing() or faketime.refused()}; {faketime.ADVICE}"
    if missing == ["packets"]:
        return "use --testbed compose, or `rift run`, which makes a network of its own"
    return "use --testbed compose"


def open_testbed(
    name: str,
    topology: Topology,
    target: Target,
    folder: Path,
    run_id: str,
    seed: int,
    link_server: str | None,
    home: Path,
    say: Callable[[str], None],
    clocks: bool = False,
) -> Testbed:
    """The testbed called ``name`` (``local`` or ``compose``), not yet up. ``home`` is the folder ``compose``;
    ``link_server`` is ``auto``, ``toxiproxy``, ``embedded``, or the URL of one that runs (local only).
    With ``clocks`` the nodes run so that their clocks can be moved.

    Raises MissingPower when this installation or the target cannot do it.
    """
    if name == "local":
        prefer, url = (link_server, None) if link_server in PREFERENCES else ("auto", link_server)
        return LocalTestbed(topology, target, folder, run_id, seed, url, say, prefer=prefer, clocks=clocks)
    try:
        # Here and not above: the local testbed needs neither Docker nor the library that speaks with it.
        from harness.testbeds.compose import ComposeTestbed
    except ImportError as error:
        raise MissingPower(
            f"--testbed compose: {error}; install it with pip install 'rift-harness[compose]'"
        ) from error
    return ComposeTestbed(topology, target, folder, run_id, seed, home, link_server, say, clocks=clocks)


def images(home: Path, say: Callable[[str], None], build: bool, names: Sequence[str] = ()) -> list[dict[str, str]]:
    """Every image that has a recipe below ``home``, and where it stands; with ``build``, after having made what is
    missing, of the recipes with these ``names`` or of all. Raises MissingPower without the library, TestbedError
    without an engine, UsageError for a name without a recipe."""
    with _library():
        from harness.testbeds.containers import images as recipes
        from harness.testbeds.containers.engine import Engine
    engine = Engine.open()
    try:
        known = recipes.recipes(home / "images")
        by_name = {recipe.folder.name: image for image, recipe in known.items()}
        if unknown := sorted(set(names) - set(by_name)):
            raise UsageError(f"no recipe {unknown[0]!r} in {home / 'images'}; write some of {', '.join(by_name)}")
        if build:
            recipes.have(engine, [by_name[name] for name in names] or known, home / "images", say)
        return recipes.listed(engine, home / "images")
    finally:
        engine.close()


@contextmanager
def _library() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingPower(f"--testbed compose: {error}; pip install 'rift-harness[compose]'") from error
