"""The kernel process: lock the data folder, open the store, listen, work, stop in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from random import Random

import grpc.aio

from stablenew_api.clock import SystemClock
from stablenew_api.datafolder import DataFolder, KernelInfo
from stablenew_api.errors import StableNewError, UserError
from stablenew_api.host import PluginHost
from stablenew_api.jsonlog import log_to_file
from stablenew_api.memory import collect_rarely
from stablenew_kernel.app.kernel import Kernel
from stablenew_kernel.domain.settings import Settings, parse_settings_toml
from stablenew_kernel.hub.artifacts import ArtifactStoreServicer
from stablenew_kernel.hub.gallery import GalleryServicer
from stablenew_kernel.hub.library import LibraryServicer
from stablenew_kernel.hub.link import AgentLinkServicer
from stablenew_kernel.hub.packs import PackServicer
from stablenew_kernel.hub.server import bind, make_server
from stablenew_kernel.hub.service import KernelServicer
from stablenew_kernel.store import meta
from stablenew_kernel.store.artifacts import ArtifactStore
from stablenew_kernel.store.database import Database
from stablenew_kernel.store.lock import KernelLock
from stablenew_proto.v1 import (
    agent_link_pb2_grpc,
    artifact_store_pb2_grpc,
    gallery_pb2_grpc,
    kernel_pb2_grpc,
    library_pb2_grpc,
    packs_pb2_grpc,
)

log = logging.getLogger(__name__)

STOP_GRACE = 3.0
"""Seconds that open calls get when the kernel stops."""

SWITCH_INTERVAL = 0.001
"""Seconds a thread may keep the interpreter while others want it. By default they wait 5 ms each time for one
that plans a long run."""

EXIT_OK = 0
EXIT_CANNOT_START = 3


def serve(data: DataFolder, *, announce: bool = False, overrides: Sequence[str] = ()) -> int:
    """Run a kernel on ``data`` until it is told to stop. Returns the exit code.

    ``announce``: say one line of JSON on standard output when ready (``{"address": ...}``) or when that is not
    possible (``{"error": ...}``), and nothing more. ``overrides`` are ``key=value`` on top of settings.toml.
    """
    try:
        data.create()
        settings = read_settings(data, overrides)
        with KernelLock(data):
            log_to_file(data.logs / "kernel.jsonl")
            asyncio.run(_serve(data, settings, announce))
    except StableNewError as error:
        _say({"error": str(error)} if announce else f"stablenew: error: {error}", failed=not announce)
        return EXIT_CANNOT_START
    return EXIT_OK


def read_settings(data: DataFolder, overrides: Sequence[str] = ()) -> Settings:
    """settings.toml of the data folder, if there is one, with ``key=value`` overrides (values are TOML).

    Raises UserError naming the file or the override.
    """
    try:
        content = data.settings.read_bytes()
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise UserError(f"{data.settings}: {error.strerror}; check its permissions") from error
    settings = parse_settings_toml(str(data.settings), content)
    for override in overrides:
        changed = parse_settings_toml(f"--setting {override}", override.encode("utf-8"))
        settings = settings.model_copy(update=changed.model_dump(exclude_unset=True))
    return settings


async def _serve(data: DataFolder, settings: Settings, announce: bool) -> None:
    clock = SystemClock()
    database = Database.open(data.database, clock)
    threads = ThreadPoolExecutor(4, thread_name_prefix="stablenew-files")
    try:
        left = await database.write_async(meta.begin)
        host = PluginHost.load(role="kernel", plugin_folder=data.plugins, disabled=settings.disabled_plugins)
        if settings.local_agent:
            # Its agent would end at once, and the jobs would wait for a reason that nobody sees.
            host.backend(settings.local_backend)
        token = secrets.token_urlsafe(32)
        server = make_server(token)
        port = _bind(server, settings.port, left.port)
        artifacts = ArtifactStore(data.artifacts, data.agents)
        await asyncio.get_running_loop().run_in_executor(threads, artifacts.clean_partials)
        kernel = Kernel(
            data=data,
            settings=settings,
            host=host,
            database=database,
            artifacts=artifacts,
            clock=clock,
            rng=Random(secrets.randbits(128)),  # noqa: S311  seeds of images, no secrets
            threads=threads,
        )
        agent_link_pb2_grpc.add_AgentLinkServiceServicer_to_server(
            AgentLinkServicer(lambda: kernel.dispatcher), server
        )
        artifact_store_pb2_grpc.add_ArtifactStoreServiceServicer_to_server(
            ArtifactStoreServicer(artifacts, threads), server
        )
        kernel_pb2_grpc.add_KernelServiceServicer_to_server(KernelServicer(kernel), server)
        library_pb2_grpc.add_LibraryServiceServicer_to_server(LibraryServicer(kernel.library), server)
        gallery_pb2_grpc.add_GalleryServiceServicer_to_server(GalleryServicer(kernel.gallery), server)
        packs_pb2_grpc.add_PackServiceServicer_to_server(PackServicer(kernel.packs), server)
        info = KernelInfo(
            f"127.0.0.1:{port}",
            token,
            os.getpid(),
            clock.now().isoformat(timespec="seconds"),
            version("stablenew"),
        )
        await database.write_async(lambda connection: meta.put(connection, meta.LAST_PORT, str(port)))
        await kernel.start(info, clean=left.clean, agent_comes=settings.local_agent)
        await server.start()
        data.write_kernel(info)
        await kernel.local.start(settings)
        host.started("kernel")
        collect_rarely()
        sys.setswitchinterval(SWITCH_INTERVAL)
        log.info("serving at %s", info.address)
        if announce:
            with contextlib.suppress(BrokenPipeError):  # whoever started us has gone: we serve others
                _say({"address": info.address, "pid": info.pid})
            _detach_output()
        else:
            _say(f"StableNew kernel {info.version} serves {data.root} at {info.address}; Ctrl-C stops it")
        with _signals(kernel.request_stop):
            await kernel.stop_requested()
        log.info("stopping")
        host.stopping("kernel")
        await kernel.local.stop()
        await kernel.stop()
        await server.stop(STOP_GRACE)
        await database.write_async(meta.end)
        log.info("stopped; %d changes went to disk in %d commits", database.writes, database.commits)
        data.kernel_json.unlink(missing_ok=True)
    finally:
        threads.shutdown()
        database.close()


def _bind(server: grpc.aio.Server, wanted: int, last: int) -> int:
    """The port of the settings or, if they leave it open, the last one, so that agents find the kernel again;
    if somebody else took that meanwhile, any free one."""
    if wanted:
        return bind(server, wanted)
    try:
        return bind(server, last)
    except UserError as error:
        log.warning("%s; taking another one", error)
        return bind(server, 0)


@contextlib.contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` on the loop at Ctrl-C or a polite kill."""
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":
        numbers.append(signal.SIGBREAK)
    before = {number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(what: dict[str, object] | str, *, failed: bool = False) -> None:
    stream = sys.stderr if failed else sys.stdout
    stream.write((what if isinstance(what, str) else json.dumps(what)) + "\n")
    stream.flush()


def _detach_output() -> None:
    """Let go of the pipe to whoever started us: it may be gone soon."""
    with open(os.devnull, "r+b") as null:
        for descriptor in (0, 1, 2):
            os.dup2(null.fileno(), descriptor)
