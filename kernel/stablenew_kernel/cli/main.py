"""``stablenew``: finds the command, runs it, and turns what went wrong into one line and an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from stablenew_api.datafolder import DATA_VARIABLE, DataFolder
from stablenew_kernel.cli import plugin_commands
from stablenew_kernel.cli.commands import NAMES
from stablenew_kernel.cli.context import App
from stablenew_kernel.cli.exits import ExitCode, exit_code_for, one_line
from stablenew_kernel.cli.output import ReaderGone, warn

DEBUG_VARIABLE = "STABLENEW_DEBUG"
"""Set to 1, errors show their traceback."""


class LazyGroup(click.Group):
    """Loads the module of a command when it is asked for. Plugins come second: our own names are taken."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Ours in the order of :data:`NAMES`, then those of plugins."""
        plugin_commands.add_if_any(self, _data(ctx))
        return [*NAMES, *sorted(name for name in self.commands if name not in NAMES)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Ours, else a plugin's, else None."""
        if cmd_name in NAMES:
            command = import_module(f"stablenew_kernel.cli.commands.{cmd_name}").command
            assert isinstance(command, click.Command)
            return command
        if cmd_name not in self.commands:
            plugin_commands.add(self, _data(ctx), cmd_name)
        return self.commands.get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a better text for a name that nobody knows."""
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            close = get_close_matches(args[0], [*NAMES, *self.commands], n=1)
            hint = f"did you mean: stablenew {close[0]}" if close else "see: stablenew --help"
            raise click.UsageError(f"no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)


def _data(ctx: click.Context) -> DataFolder:
    return DataFolder.choose(ctx.params.get("data"))


def _show_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"stablenew {version('stablenew')}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="A kernel process does the work; commands that need it start it. Exit codes are in docs/cli.md.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False),
    is_eager=True,  # before --help, which lists the commands of the plugins in that folder
    help=f"Data folder: queue, history, settings. Default: {DATA_VARIABLE}, else your platform's place.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
@click.pass_context
def cli(ctx: click.Context, data: str | None) -> int:
    """Prompt packs in, finished images out: on this machine or on every GPU in the house.

    Without a command the desktop opens.
    """
    ctx.obj = App(DataFolder.choose(data))
    return _open(ctx) if ctx.invoked_subcommand is None else ExitCode.OK


def _open(ctx: click.Context) -> int:
    """The front end; where it can't be shown, why, and the help."""
    from stablenew_kernel.cli.frontends import chosen_frontend

    frontend = chosen_frontend(ctx.obj.data)
    if reason := frontend.missing():
        click.echo(ctx.get_help())
        warn(f"stablenew: the {frontend.title.lower()} can't open here: {reason}")
        return ExitCode.FAILED
    return frontend().run(ctx.obj.data)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code. Never raises, except with ``STABLENEW_DEBUG=1``."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a code page without 蝶 must not end the command
            stream.reconfigure(errors="backslashreplace")
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = cli.main(arguments, prog_name="stablenew", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else ExitCode.OK
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except (click.Abort, KeyboardInterrupt):
        warn("stablenew: stopped")
        return ExitCode.CANCELLED
    except click.ClickException as error:
        return _complain(_with_help(error), ExitCode.BAD_INPUT, error)
    except ReaderGone:
        # What is still buffered has nowhere to go; without this the interpreter complains at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Exception as error:
        return _complain(one_line(error), exit_code_for(error), error)


def _with_help(error: click.ClickException) -> str:
    text = error.format_message().rstrip(".")
    ctx: Any = getattr(error, "ctx", None)
    return f"{text} (see: {ctx.command_path} --help)" if ctx is not None and ctx.parent is not None else text


def _complain(text: str, code: ExitCode, error: BaseException) -> int:
    if os.environ.get(DEBUG_VARIABLE, "") not in ("", "0"):
        raise error
    warn(f"stablenew: error: {text}")
    return code
