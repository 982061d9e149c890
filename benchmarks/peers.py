"""Dask distributed and Ray, each driven in a process of its own. ``python -m benchmarks.peers dask|ray``.

The child reads one JSON object a line (``{"op": "throughput"|"latency", "jobs": N}``) and answers with one. It
imports the peer and the standard library only, so it may be another interpreter than ours (``--peer-python``),
one where the peer is installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PEERS = ("dask", "ray")
WORKERS = 2


def noop(_: int = 0) -> None:
    """The job."""


class PeerMissing(Exception):
    """The peer cannot be used; the text says why."""


class Peer:
    """The child process of one peer."""

    def __init__(self, name: str, python: str) -> None:
        self.name = name
        environment = dict(os.environ)
        environment.update(RAY_DEDUP_LOGS="0", RAY_USAGE_STATS_ENABLED="0", PYTHONWARNINGS="ignore")
        self._process = subprocess.Popen(
            # -P: the folder of this file is not searched for modules, or `queue` would be ours.
            [python, "-P", str(Path(__file__).resolve()), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=environment,
        )
        try:
            answer = self._answer()
        except BaseException:
            self.close()
            raise
        self.version: str = answer["version"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def throughput(self, jobs: int) -> float:
        """Jobs a second: ``jobs`` no-ops submitted in one go, all results gathered."""
        return float(self._ask({"op": "throughput", "jobs": jobs})["per_second"])

    def latency(self, jobs: int) -> float:
        """Median seconds from submit to result, one no-op after the other."""
        times: list[float] = self._ask({"op": "latency", "jobs": jobs})["seconds"]
        return sorted(times)[len(times) // 2]

    def close(self) -> None:
        """End it. It ends by itself when its input does."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "its process ended"}
        if "error" in answer:
            raise PeerMissing(f"{self.name}: {answer['error']}")
        return answer


# --- in the child ---------------------------------------------------------------------------------------------


def _dask() -> tuple[str, Callable[[int], object], Callable[[], object], Callable[[], None]]:
    import distributed

    cluster = distributed.LocalCluster(
        n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None
    )
    client = distributed.Client(cluster)

    def close() -> None:
        client.close()
        cluster.close()

    # pure=False: equal calls are separate jobs, as ours are.
    return (
        distributed.__version__,
        lambda jobs: client.gather(client.map(noop, range(jobs), pure=False)),
        lambda: client.submit(noop, pure=False).result(),
        close,
    )


def _ray() -> tuple[str, Callable[[int], object], Callable[[], object], Callable[[], None]]:
    import ray

    ray.init(num_cpus=WORKERS, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    remote = ray.remote(noop)
    return (
        ray.__version__,
        lambda jobs: ray.get([remote.remote(number) for number in range(jobs)]),
        lambda: ray.get(remote.remote()),
        ray.shutdown,
    )


def main() -> int:
    """Serve one peer until the input ends."""
    # Peers print what they like: what we say goes to a private copy of standard output.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)

        def say(what: dict[str, Any]) -> None:
            out.write(json.dumps(what) + "\n")
            out.flush()

        try:
            version, many, one, close = {"dask": _dask, "ray": _ray}[sys.argv[1]]()
        except Exception as error:  # whatever keeps it from starting is the answer
            say({"error": f"{type(error).__name__}: {error}".splitlines()[0]})
            return 1
        try:
            say({"version": version})
            for line in sys.stdin:
                question = json.loads(line)
                if question["op"] == "throughput":
                    begun = time.perf_counter()
                    many(question["jobs"])
                    say({"per_second": question["jobs"] / (time.perf_counter() - begun)})
                else:
                    seconds = []
                    for _ in range(question["jobs"]):
                        begun = time.perf_counter()
                        one()
                        seconds.append(time.perf_counter() - begun)
                    say({"seconds": seconds})
        finally:
            close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
