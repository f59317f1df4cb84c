"""The folder is the registry: each file here defines one toxic as ``TOXIC``; the file's name is its type."""

from __future__ import annotations

import importlib
import pkgutil

from harness.errors import PluginError
from harness.links.server.toxic import Toxic


def load() -> dict[str, type[Toxic]]:
    """Every toxic by its type; PluginError names a file that does not load or has no ``TOXIC``."""
    found: dict[str, type[Toxic]] = {}
    for info in pkgutil.iter_modules(__path__):
        where = f"{__path__[0]}/{info.name}.py"
        try:
            toxic = importlib.import_module(f"{__name__}.{info.name}").TOXIC
        except Exception as error:
            raise PluginError(f"{where} does not load: {error!r}; a toxic's file defines TOXIC, see noop.py") from error
        if not (isinstance(toxic, type) and issubclass(toxic, Toxic)):
            raise PluginError(f"{where}: TOXIC is {toxic!r}; make it a subclass of Toxic, see noop.py")
        found[info.name] = toxic
    return found
