"""The command ``rift``. Exit codes: 0 every judged guarantee held, 1 at least one was violated, 2 unknown (not enough
evidence, or a limit was reached), 3 the harness or the environment failed, 4 wrong usage.

What machines read goes to standard output, what people read while waiting to standard error.
"""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer

import harness
from harness import commands
from harness.errors import RiftError

FIRST: Final = (
    "run", "drill", "check", "convert", "certify", "report",
    "list", "doctor", "heal", "images", "serve", "demo",
)  # fmt: skip
"""The order of ``rift --help``; any other subcommand comes after these."""

app = typer.Typer(
    name="rift",
    help="Decides whether a multi-region system keeps its promises.\n\nStart with `rift demo`, or `rift run`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

# click.ClickException: newer versions of typer carry a click of their own, where nobody else should look for it.
_WRONG_USAGE: Any = next(each for each in typer.BadParameter.__mro__ if each.__name__ == "ClickException")

_CTRL_C = 130
"""What typer makes of a KeyboardInterrupt."""


def _version(wanted: bool) -> None:
    if wanted:
        print(f"rift {harness.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def _assemble() -> None:
    """Take in every subcommand: a file of ``harness/commands`` each."""
    names = sorted(path.stem for path in Path(commands.__path__[0]).glob("[!_]*.py"))
    for name in sorted(names, key=lambda each: FIRST.index(each) if each in FIRST else len(FIRST)):
        app.command(name)(import_module(f"harness.commands.{name}").command)


_assemble()


def main() -> None:
    """Run the command line and exit with the documented codes."""
    sys.exit(_exit_code(sys.argv[1:]))


def _exit_code(arguments: list[str]) -> int:
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="rift", standalone_mode=False)
        if code == _CTRL_C:
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except _WRONG_USAGE as error:
        error.show()
        return 4
    except RiftError as error:
        print(f"rift: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("rift: stopped", file=sys.stderr)
        return 3
    except BrokenPipeError:  # `rift list | head`
        return 0
    except Exception:  # a bug of ours: say so, in full, with the code that promises nothing about the target
        traceback.print_exc()
        print("rift: this is a bug in Rift; the lines above say where", file=sys.stderr)
        return 3
