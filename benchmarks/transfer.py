"""2 MB images moved from agents to the kernel, hashed and committed, against a bare socket in the same run.

Ours: kernel and agents as always; only the workers are replaced by ones that write a ready picture, so that the
transfer is what is measured (``transfer.with_generation`` has the real worker, which also draws noise and packs
it as PNG). An agent on the kernel's own machine hands its files over; ``transfer.streamed`` has agents that do
not know where they are, and send every byte. Two times are taken of each run: when the last image is committed
to the kernel's store, and when the last one also stands in the run's folder with its metadata. And what each
kind of process used until then (``transfer.cpu_kernel``, ``cpu_agents``, ``cpu_workers``), which says more than
the times where others use the machine, too.

Theirs: a process that receives the same bytes on as many TCP connections, checks the sha256, writes the file,
syncs it and answers; no queue, no database. And a plain copy of files, synced, on one thread.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

from benchmarks.common import (
    NOOP_PRESET,
    Cluster,
    Watch,
    at_least,
    describe_machine,
    emit_median,
    first_line,
    interleave,
    options,
    parser,
    ratios,
    request,
    timed_images,
)

TARGET = 80.0
_HEAD = struct.Struct(">Q32s")


# --- baselines ------------------------------------------------------------------------------------------------


def serve(folder: str) -> int:
    """The other end of the socket baseline, in a process of its own: prints its port, then receives."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        Thread(target=_until_input_ends, daemon=True).start()
        while True:
            connection, _ = server.accept()
            Thread(target=_receive, args=(connection, folder), daemon=True).start()


def _until_input_ends() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _receive(connection: socket.socket, folder: str) -> None:
    with connection, connection.makefile("rb", buffering=1 << 18) as stream:
        while head := stream.read(_HEAD.size):
            size, digest = _HEAD.unpack(head)
            path = os.path.join(folder, digest.hex())
            hashed = hashlib.sha256()
            with open(path, "wb") as file:
                left = size
                while left:
                    data = stream.read(min(left, 1 << 18))
                    hashed.update(data)
                    file.write(data)
                    left -= len(data)
                file.flush()
                os.fsync(file.fileno())
            os.unlink(path)
            connection.sendall(b"\1" if hashed.digest() == digest else b"\0")


def _send(port: int, image: bytes, digest: bytes, count: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(count):
            connection.sendall(_HEAD.pack(len(image), digest) + image)
            if connection.recv(1) != b"\1":
                raise RuntimeError("the socket baseline received other bytes than were sent")


def timed_socket(port: int, size: int, images: int, connections: int) -> float:
    """Seconds for ``images`` images on ``connections`` connections."""
    blobs = [os.urandom(size) for _ in range(connections)]
    digests = [hashlib.sha256(blob).digest() for blob in blobs]
    begun = time.perf_counter()
    threads = [
        Thread(target=_send, args=(port, blob, digest, images // connections))
        for blob, digest in zip(blobs, digests, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun


def timed_copy(folder: Path, size: int, images: int) -> float:
    """Seconds for copying a file ``images`` times, each copy synced."""
    source, copy = folder / "source.bin", folder / "copy.bin"
    source.write_bytes(os.urandom(size))
    begun = time.perf_counter()
    for _ in range(images):
        shutil.copyfile(source, copy)
        with copy.open("rb+") as file:
            os.fsync(file.fileno())
    return time.perf_counter() - begun


# --- all of it ------------------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    made = parser(
        __doc__,
        images=(100, 4, "images a round"),
        rounds=(5, 1, "rounds"),
        size=(2_000_000, 50_000, "bytes of an image"),
        agents=(2, 1, "agent processes, and connections of the baseline"),
    )
    chosen = options(made, argv)
    describe_machine(Path(chosen.folder))
    preset = {**NOOP_PRESET, "noop": {"payload_bytes": chosen.size}}
    images, size, agents = chosen.images - chosen.images % chosen.agents, chosen.size, chosen.agents
    committed: list[float] = []
    saved: list[float] = []
    streamed: list[float] = []
    sockets: list[float] = []
    copies: list[float] = []
    generated: list[float] = []
    used: dict[str, list[float]] = {}
    os.environ["STABLENEW_BENCH_IMAGE_BYTES"] = str(size)
    with (
        tempfile.TemporaryDirectory(prefix="stablenew-bench-", dir=chosen.folder) as scratch,
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.transfer", "--serve", scratch],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as server,
        Cluster(agents=agents, folder=chosen.folder, agent_module="benchmarks.premade_agent") as cluster,
        Cluster(
            agents=agents, folder=chosen.folder, agent_module="benchmarks.premade_agent", far=True
        ) as remote,
        Cluster(agents=agents, folder=chosen.folder) as whole,
        Watch(cluster.client) as watch,
        Watch(remote.client) as remote_watch,
        Watch(whole.client) as whole_watch,
    ):
        port = int(first_line(server, 10.0))

        def ours() -> None:
            timed = timed_images(cluster, watch, request(images, preset), images)
            committed.append(images / timed.committed)
            saved.append(images / timed.saved)
            for who, seconds in timed.cpu.items():
                used.setdefault(who, []).append(seconds * 1000 / images)

        def from_afar() -> None:
            timed = timed_images(remote, remote_watch, request(images, preset), images)
            streamed.append(images / timed.committed)

        def with_generation() -> None:
            timed = timed_images(whole, whole_watch, request(images, preset), images)
            generated.append(images / timed.committed)

        timed_images(cluster, watch, request(agents * 2, preset), agents * 2)
        timed_images(remote, remote_watch, request(agents * 2, preset), agents * 2)
        timed_images(whole, whole_watch, request(agents * 2, preset), agents * 2)
        timed_socket(port, size, agents * 2, agents)
        interleave(
            chosen.rounds,
            [
                ours,
                from_afar,
                lambda: sockets.append(images / timed_socket(port, size, images, agents)),
                lambda: copies.append(images / timed_copy(Path(scratch), size, images)),
                with_generation,
            ],
        )
        server.communicate()
    megabytes = size / 1e6
    target = at_least(statistics.median(committed), TARGET)
    emit_median("transfer.committed", committed, "images/s", images=images, megabytes=megabytes, **target)
    emit_median("transfer.saved", saved, "images/s", images=images)
    for who, milliseconds in used.items():
        emit_median(f"transfer.cpu_{who}", milliseconds, "ms of a core", images=images)
    emit_median("transfer.streamed", streamed, "images/s", images=images)
    emit_median("transfer.with_generation", generated, "images/s", images=images)
    emit_median("transfer.socket", sockets, "images/s", images=images, durable="fsync a file")
    emit_median("transfer.copy", copies, "images/s", images=images, durable="fsync a file")
    emit_median("transfer.ratio_vs_socket", ratios(streamed, sockets), "x")
    emit_median("transfer.ratio_vs_copy", ratios(committed, copies), "x")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        sys.exit(serve(sys.argv[2]))
    sys.exit(main())
