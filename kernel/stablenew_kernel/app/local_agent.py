"""The agent on the kernel's own machine, so that one machine and ten go through the same path."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from stablenew_kernel.app.core import Core
from stablenew_kernel.domain.link import DrainSet, NodeStatus
from stablenew_kernel.domain.settings import OF_THE_LOCAL_AGENT, Settings
from stablenew_kernel.store import meta

log = logging.getLogger(__name__)

AGENT_MODULE = "stablenew_agent.main"
"""Run as ``python -m``: the kernel knows the agent by name only."""

LOST_AFTER = 120
"""Seconds after which an agent that we left behind (kill -9) gives up waiting for the next kernel."""

RESTART_DELAY = 1.0
"""Seconds before an agent that ended is started again; twice as long each time, unless it ran for a while."""

IN_USE = 3
"""How an agent ends whose state folder another one uses."""

_NEW_GROUP: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # exists on Windows only


NAME = "local"
"""The node's."""

ANEW = "the local agent starts anew with other settings"
"""Why it is drained meanwhile."""


def _command(
    data: Path, slots: int, backend: str, options: Sequence[str], disabled: Sequence[str]
) -> list[str]:
    return [
        sys.executable,
        "-m",
        AGENT_MODULE,
        "--data",
        str(data),
        "--name",
        NAME,
        "--slots",
        str(slots),
        "--backend",
        backend,
        "--exit-after-lost",
        str(LOST_AFTER),
        *(word for option in options for word in ("--backend-option", option)),
        # By what the kernel runs with: a settings file that somebody is writing keeps no agent from starting.
        "--disable-only",
        *(word for name in disabled for word in ("--disable", name)),
    ]


class LocalAgent:
    """Keeps one agent process running while the kernel runs.

    An agent left over from a kernel that was killed goes on working and dials the new kernel. Ours then finds
    its state folder locked and exits; it is started again after a while, in case the other one goes.
    """

    def __init__(
        self,
        data: Path,
        slots: int,
        backend: str,
        options: Sequence[str] = (),
        disabled: Sequence[str] = (),
    ) -> None:
        """``disabled``: plugins that it leaves out."""
        self._data = data
        self._disabled = disabled
        self._command = _command(data, slots, backend, options, disabled)
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._wanted = True
        self._expected: Callable[[], None] | None = None
        """Called when the process that runs now has ended, as it was asked to."""
        self._hurry = asyncio.Event()

    def start(self) -> None:
        """Start it, and start it again whenever it ends."""
        self._task = asyncio.create_task(self._supervise(), name="local-agent")

    def anew(self, slots: int, backend: str, options: Sequence[str], then: Callable[[], None] | None) -> None:
        """The process that runs now is about to end; the next one gets these. ``then`` is called once it has
        ended; one that found its folder in use was not the one. None: there is none that is to end."""
        self._command = _command(self._data, slots, backend, options, self._disabled)
        self._expected = then
        self._hurry.set()

    def retire(self, then: Callable[[], None] | None) -> None:
        """As :meth:`anew`, and no other one is started."""
        self._wanted = False
        self._expected = then
        self._hurry.set()

    def _ended(self) -> bool:
        """Whether its end was expected."""
        then, self._expected = self._expected, None
        if then is not None:
            then()
        return then is not None

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None and self._process.returncode is None

    def terminate(self) -> None:
        """Ask the process to end now: nobody can tell it to finish first."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    async def _supervise(self) -> None:
        delay = RESTART_DELAY
        while self._wanted:
            self._hurry.clear()
            loop = asyncio.get_running_loop()
            begun = loop.time()
            # A group of its own: Ctrl-C in a terminal is for the kernel, which then stops the agent in order.
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                creationflags=_NEW_GROUP,
                start_new_session=sys.platform != "win32",
            )
            code = await self._process.wait()
            if code != IN_USE and self._ended():
                delay = RESTART_DELAY
                continue
            delay = RESTART_DELAY if loop.time() - begun > 60 else min(30.0, delay * 2)
            log.warning("the local agent ended with code %d; starting it again in %.0f s", code, delay)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._hurry.wait()

    async def stop(self, grace: float = 5.0) -> None:
        """Ask it to end, and end it after ``grace`` seconds."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(grace):
                await process.wait()
        except TimeoutError:
            log.warning("the local agent did not end within %.0f s and is killed", grace)
            with contextlib.suppress(ProcessLookupError):  # it ended at that very moment
                process.kill()
            await process.wait()


class LocalAgentKeeper:
    """Has the local agent run with the settings that count, from one to the next. Lives on the loop."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._agent: LocalAgent | None = None
        self._leaving: list[LocalAgent] = []
        """Told to end for good; they may still finish jobs."""
        self._back: Callable[[], None] | None = None
        """Takes the node back into service; None: it need not be."""
        self._disabled: Sequence[str] = ()
        """Plugins that the kernel was started without."""
        self._with: tuple[object, ...] | None = None
        """The settings that it runs with; None: not begun, so that nothing is started."""

    async def start(self, settings: Settings) -> None:
        """Begin, with an agent if the settings want one."""
        await self._forget_drain()
        self._with = _of(settings)
        self._disabled = settings.disabled_plugins
        if settings.local_agent:
            self._begin(settings)

    def apply(self, settings: Settings) -> str:
        """Go over to ``settings``: an agent that runs finishes its jobs first. Says what happens now, in plain
        words; nothing before :meth:`start`, and where nothing changed."""
        before, wanted = self._with, _of(settings)
        if before is None or before == wanted:
            return ""
        self._with = wanted
        if self._agent is None:
            if not settings.local_agent:
                return ""
            self._begin(settings)
            return f"the local agent starts with {settings.local_backend}"
        agent, linked = self._agent, self._status()
        back: Callable[[], None] | None = (lambda: None) if agent.running else None
        if linked is not None:
            # If it is about to end already, what is to come back is what the person wanted before that.
            back = self._back = self._back or self._undrain(linked.node_id, linked.draining)
        if settings.local_agent:
            agent.anew(settings.local_slots, settings.local_backend, settings.local_backend_options, then=back)
            note = f"the local agent starts anew with {settings.local_backend}"
        else:
            self._agent = None
            self._leaving.append(agent)
            agent.retire(then=back)
            note = "the local agent ends"
        if linked is None:
            agent.terminate()
            return note
        self._drain(linked.node_id)
        return f"{note} as soon as its jobs are done" if linked.leases else note

    async def stop(self) -> None:
        """End all of them."""
        self._with = None
        agents = [*self._leaving, *([self._agent] if self._agent is not None else [])]
        await asyncio.gather(*(agent.stop() for agent in agents))

    def _begin(self, settings: Settings) -> None:
        if self._back is not None:  # the one before never ended, as it was not ours
            self._back()
        self._agent = LocalAgent(
            self._core.data.root,
            settings.local_slots,
            settings.local_backend,
            settings.local_backend_options,
            self._disabled,
        )
        self._agent.start()

    def _status(self) -> NodeStatus | None:
        """The agent as the kernel knows it; None: it is not in touch."""
        nodes = self._core.dispatcher.coordinator.nodes(self._core.clock.monotonic())
        return next((node for node in nodes if node.name == NAME and node.connected), None)

    def _drain(self, node_id: str) -> None:
        # On disk too: a kernel that dies now must not leave a node that takes no work for ever.
        self._core.database.write(lambda connection: meta.put(connection, meta.DRAINED_BY_US, node_id))
        self._core.dispatcher.feed(DrainSet(node_id, True, ANEW, exit_when_idle=True))

    def _undrain(self, node_id: str, draining: bool) -> Callable[[], None]:
        """Gives the node back the state that the person gave it."""

        def back() -> None:
            self._back = None
            self._core.dispatcher.feed(DrainSet(node_id, draining, "drained before" if draining else ""))
            self._core.database.write(lambda connection: meta.put(connection, meta.DRAINED_BY_US, ""))

        return back

    async def _forget_drain(self) -> None:
        """Take the node back into service that the last kernel was about to."""
        node_id = await self._core.database.read_async(
            lambda connection: meta.get(connection, meta.DRAINED_BY_US)
        )
        if node_id:
            self._undrain(node_id, draining=False)()


def _of(settings: Settings) -> tuple[object, ...]:
    return tuple(getattr(settings, name) for name in OF_THE_LOCAL_AGENT)
