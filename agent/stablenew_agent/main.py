"""``stablenew-agent``: the command line of an agent."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import re
import signal
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

import click
from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError

from stablenew_agent.agent import Agent, AgentOptions, Refused
from stablenew_agent.dial import address_from, check_address
from stablenew_agent.identity import Identity
from stablenew_agent.keeping import KEEP_AFTER
from stablenew_agent.outbox import Outbox
from stablenew_agent.pool.setup import WorkerSetup
from stablenew_agent.telemetry import choose_probes, host_name
from stablenew_api.datafolder import DATA_VARIABLE, DataFolder
from stablenew_api.errors import PluginError, UserError
from stablenew_api.host import PluginHost
from stablenew_api.jobs import JsonValue
from stablenew_api.jsonlog import log_to_file
from stablenew_api.memory import collect_rarely

EXIT_ERROR = 1
EXIT_USAGE = 2  # click's own
EXIT_IN_USE = 3
EXIT_REFUSED = 4

_EPILOG = """\b
Exit codes: 0 ended as asked (signal, drained, or --exit-after-lost); 1 something broke; 2 wrong options;
3 another agent uses the state folder; 4 the kernel refuses this agent, and trying again cannot help.

Ctrl-C: waiting jobs go back, running ones are finished. A second Ctrl-C, or SIGTERM, ends at once: running
jobs are stopped, and the kernel gives them to other nodes.
"""


class _Failed(click.ClickException):
    """An error with an exit code of its own."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        # click declares it for the class, but reads it from the instance.
        self.exit_code = exit_code  # type: ignore[misc]


@click.command(epilog=_EPILOG, context_settings={"max_content_width": 110})
@click.option("--kernel", metavar="HOST:PORT", help="Address of the kernel, on this machine.")
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Data folder; its kernel.json says where the kernel is.  "
    f"[default: {DATA_VARIABLE}, else the user's own]",
)
@click.option("--name", metavar="NAME", default=host_name, show_default="host name", help="Name of this node.")
@click.option(
    "--slots",
    metavar="N",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Jobs at the same time.",
)
@click.option("--backend", metavar="NAME", default="embedded", show_default=True, help="What makes the images.")
@click.option(
    "--backend-option", "backend_options", metavar="KEY=VALUE", multiple=True, help="Setting of the backend."
)
@click.option(
    "--probe",
    "probes",
    metavar="NAME",
    multiple=True,
    help="Where GPU figures come from. Default: every probe that works here; `fake` only if named.",
)
@click.option("--disable", "disabled", metavar="PLUGIN", multiple=True, help="Leave out a plugin.")
@click.option(
    "--disable-only",
    is_flag=True,
    help="Leave out those alone, and do not read which ones the settings of the data folder leave out.",
)
@click.option(
    "--state",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for this agent's id, outbox and files in the making.  [default: DATA/agents/NAME]",
)
@click.option(
    "--exit-after-lost",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    help="End when no kernel answered for so long and nothing runs.  [default: never]",
)
@click.option(
    "--keep-after",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=KEEP_AFTER,
    show_default=True,
    help="Work that is worth keeping between two stages, so that another node can go on with it.",
)
@click.version_option(package_name="stablenew")
def command(
    kernel: str | None,
    data: Path | None,
    name: str,
    slots: int,
    backend: str,
    backend_options: tuple[str, ...],
    probes: tuple[str, ...],
    disabled: tuple[str, ...],
    disable_only: bool,
    state: Path | None,
    exit_after_lost: float | None,
    keep_after: float,
) -> None:
    """Run an agent: takes jobs from the kernel and makes images with a backend of this machine."""
    try:
        folder = DataFolder.choose(data)
        if not re.fullmatch(r"[\w][\w .\-]{0,63}", name):
            raise UserError(f"--name {name!r}: up to 64 letters, digits, spaces, dots, - and _")
        address = check_address(kernel) if kernel else None
        where = state.expanduser().absolute() if state else folder.agent(name)
        _make(where)
        lock = FileLock(where / "agent.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise _Failed(
                f"another agent uses {where}; stop it, or give this one another --name or --state", EXIT_IN_USE
            ) from None
        with lock:
            _log(where)
            everyone = [*disabled, *([] if disable_only else _disabled_in(folder))]
            host = PluginHost.load(role="agent", plugin_folder=folder.plugins, disabled=everyone)
            options = _backend_options(host, backend, backend_options)
            chosen, complaints = choose_probes(list(host.probes.values()), probes)
            if complaints:
                raise UserError(f"--probe: {complaints[0]}")
            reason = asyncio.run(
                _run(
                    AgentOptions(
                        name=name,
                        slots=slots,
                        state=where,
                        address=(lambda: address) if address else address_from(folder.kernel_json),
                        where=address or str(folder.kernel_json),
                        shared=folder.agents if address is None else None,
                        setup=WorkerSetup(
                            backend=backend,
                            options=options,
                            version=version("stablenew"),
                            plugin_folder=folder.plugins,
                            disabled=tuple(everyone),
                            logs=where / "logs",
                            keep_after=keep_after,
                        ),
                        probes=tuple(chosen),
                        exit_after_lost=exit_after_lost,
                    ),
                    host,
                )
            )
            click.echo(f"ended: {reason}", err=True)
    except Refused as error:
        raise _Failed(str(error), EXIT_REFUSED) from error
    except (UserError, PluginError) as error:
        raise _Failed(str(error), EXIT_USAGE) from error


async def _run(options: AgentOptions, host: PluginHost) -> str:
    identity = Identity(options.state / "node.json")
    outbox = Outbox(options.state / "outbox.sqlite3")
    # The system's randomness: agents that start together must not dial together.
    agent = Agent(options, identity, outbox, random.SystemRandom())
    restore = _on_signals(agent)
    host.started("agent")
    collect_rarely()
    try:
        return await agent.run()
    finally:
        host.stopping("agent")
        restore()


def _on_signals(agent: Agent) -> Any:
    """Ctrl-C: stop after what runs. SIGTERM (Windows: Ctrl-Break): stop now."""
    loop = asyncio.get_running_loop()

    def gently(number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(agent.ask_to_stop, signal.Signals(number).name)

    def now(number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(agent.stop_now, signal.Signals(number).name)

    # signal.signal and not loop.add_signal_handler, which Windows does not have.
    handlers = {signal.SIGINT: gently, signal.SIGTERM: now}
    if sys.platform == "win32":
        handlers[signal.SIGBREAK] = now
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    return restore


def _make(state: Path) -> None:
    try:
        state.mkdir(parents=True, exist_ok=True)
        if not os.access(state, os.W_OK):
            raise PermissionError(13, "not writable")
    except OSError as error:
        raise UserError(f"state folder {state}: {error.strerror}; choose another with --state") from error


def _log(state: Path) -> None:
    log_to_file(state / "logs" / "agent.jsonl")
    screen = logging.StreamHandler()
    screen.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logging.getLogger().addHandler(screen)


def _disabled_in(folder: DataFolder) -> list[str]:
    """``disabled_plugins`` of the data folder's settings, so that agent and kernel agree. The kernel judges the
    rest of that file."""
    try:
        names = tomllib.loads(folder.settings.read_text(encoding="utf-8")).get("disabled_plugins", [])
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise UserError(f"{folder.settings}: {error}") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{folder.settings}: disabled_plugins must be a list of names")
    return names


def _backend_options(host: PluginHost, name: str, pairs: tuple[str, ...]) -> dict[str, JsonValue]:
    """The backend's Config from ``KEY=VALUE`` pairs, complete, as JSON."""
    kind = host.backend(name)
    fields = kind.Config.model_fields
    given: dict[str, JsonValue] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UserError(f"--backend-option {pair!r}: must be KEY=VALUE")
        if key not in fields:
            raise UserError(
                f"--backend-option {key}: backend {name} has no such setting; it has: "
                f"{', '.join(fields) or 'none'}"
            )
        given[key] = value
    try:
        config: BaseModel = kind.Config.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise UserError(f"--backend-option {field}={given.get(field, '')}: {first['msg']}") from error
    return config.model_dump(mode="json")


def main() -> None:
    """Entry point of ``stablenew-agent`` and of ``python -m stablenew_agent.main``."""
    command.main(prog_name="stablenew-agent")


if __name__ == "__main__":
    main()
