"""What every command is handed, and the options that many of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError

if TYPE_CHECKING:
    from stablenew_client import KernelClient

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class App:
    """The data folder that this command line works on."""

    data: DataFolder

    def connect(self) -> KernelClient:
        """Attach to the running kernel. Raises KernelUnavailable if there is none."""
        from stablenew_client import KernelClient

        return KernelClient.connect(self.data)

    def connect_or_start(self) -> KernelClient:
        """Attach to the kernel, starting it first where none runs. Raises KernelUnavailable."""
        from stablenew_client import KernelClient

        return KernelClient.connect_or_start(self.data)


pass_app = click.make_pass_decorator(App)


def json_option(command: F) -> F:
    """``--json``, as the argument ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(command)


class DefaultGroup(click.Group):
    """A group that lists when nothing else is asked: ``queue --json`` is ``queue list --json``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``list`` in front unless a command (or help) is asked for."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def find_run(kernel: KernelClient, wanted: str) -> str:
    """The id of the run that ``wanted`` begins, or of the run called ``wanted`` if only one is.

    Raises UserError for none and for several.
    """
    runs = kernel.runs(limit=1000)
    matches = [run for run in runs if run.run_id.startswith(wanted)]
    matches = matches or [run for run in runs if run.name == wanted]
    if len(matches) == 1:
        return matches[0].run_id
    if not matches:
        raise UserError(f"run {wanted!r}: there is none; see: stablenew runs")
    several = ", ".join(run.run_id for run in matches[:3])
    raise UserError(f"run {wanted!r}: several match ({several}, ...); give more of the id")
