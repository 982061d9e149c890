"""No-op jobs a second, and the latency of one, against Dask distributed and Ray tasks in the same run.

Ours: a kernel and two agents with one slot each, every state change on disk (synchronous=FULL) before it is
acknowledged. What is timed is one run, from submit until a watching client sees that it is over. Theirs: two
workers, nothing on disk. In each round each system is started, runs the same once to be warm, is measured, and
is stopped: idle processes of the others (heartbeats, schedulers) take no part of the machine.

The floor is the same chain of processes with next to nothing in it (:mod:`benchmarks.chain`).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chain import Chain
from benchmarks.common import (
    NOOP_PRESET,
    Cluster,
    Watch,
    at_least,
    at_most,
    describe_machine,
    emit,
    emit_median,
    interleave,
    options,
    parser,
    ratios,
    request,
    timed_run,
)
from benchmarks.peers import PEERS, Peer, PeerMissing
from stablenew_proto.v1 import kernel_pb2 as pb

TARGET_RATIO = {"dask": 4.0, "ray": 1.5}
TARGET_LATENCY_MS = 5.0
TARGET_LATENCY_RATIO_DASK = 0.25

PAUSE = 0.006
"""Seconds between two jobs of the floor: so long a run of ours takes from its result to its end."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one contestant did in one round."""

    per_second: float
    latency: float
    """Milliseconds."""
    version: str = ""


def latency(cluster: Cluster, watch: Watch, jobs: int) -> float:
    """Median seconds from submit until a watching client sees the job's result, one run after the other."""
    seconds = []
    for number in range(jobs):
        # A name of its own each: folders of one name and second are told apart by trying -2, -3, ... in turn.
        asked = request(1, NOOP_PRESET, name=f"bench{number}")
        asked.preset_name = "noop"  # the same preset each time, as people do
        begun = time.perf_counter()
        run_id = cluster.client.submit(asked).run_id
        ended: list[float] = []

        def over(
            message: pb.WatchResponse, run_id: str = run_id, begun: float = begun, ended: list[float] = ended
        ) -> bool:
            if not ended and any(job.run_id == run_id and job.state == "done" for job in message.jobs):
                ended.append(time.perf_counter() - begun)
            return any(run.run_id == run_id and run.state != "running" for run in message.runs)

        # The run's end (its reports, its last commit) is waited for, so that it does not disturb the next one.
        watch.until(over)
        seconds.append(ended[0])
    return statistics.median(seconds)


def ours(chosen: argparse.Namespace) -> Turn:
    """One turn of ours: start, warm up, measure, stop."""
    with Cluster(agents=chosen.agents, slots=chosen.slots, folder=chosen.folder) as cluster:
        asked = request(chosen.jobs, NOOP_PRESET)
        with Watch(cluster.client) as watch:
            timed_run(cluster, watch, asked)
            per_second = chosen.jobs / timed_run(cluster, watch, asked)
        with Watch(cluster.client, jobs=True) as watch:
            latency(cluster, watch, 3)
            return Turn(per_second, latency(cluster, watch, chosen.latencies) * 1000)


def theirs(chosen: argparse.Namespace, name: str) -> Turn:
    """One turn of a peer: the same. Raises PeerMissing."""
    with Peer(name, chosen.peer_python) as peer:
        peer.throughput(chosen.jobs)
        per_second = peer.throughput(chosen.jobs)
        peer.latency(3)
        return Turn(per_second, peer.latency(chosen.latencies) * 1000, peer.version)


def floor(chosen: argparse.Namespace) -> float:
    """One turn of the bare chain: its latency in milliseconds."""
    place = tempfile.TemporaryDirectory(prefix="stablenew-bench-", dir=chosen.folder)
    with place as folder, Chain(Path(folder)) as chain:
        chain.latency(3, PAUSE)
        return chain.latency(chosen.latencies, PAUSE) * 1000


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    made = parser(
        __doc__,
        jobs=(2000, 40, "no-op jobs a round"),
        rounds=(5, 1, "rounds"),
        latencies=(100, 5, "jobs a round of the latency figure"),
        agents=(2, 2, "agent processes"),
        slots=(4, 1, "slots an agent"),
    )
    made.add_argument("--peers", default=",".join(PEERS), help="which to compare with; empty: none")
    made.add_argument("--peer-python", default=sys.executable, help="interpreter (3.11 or later) that has them")
    chosen = options(made, argv)
    describe_machine(Path(chosen.folder))
    turns: dict[str, list[Turn]] = {"ours": []}
    for name in filter(None, chosen.peers.split(",")):
        try:
            with Peer(name, chosen.peer_python):
                turns[name] = []
        except PeerMissing as error:
            emit(f"dispatch.ratio_vs_{name}", None, "x", skipped=str(error))
    floors: list[float] = []
    contestants: list[Callable[[], None]] = [
        lambda: turns["ours"].append(ours(chosen)),
        lambda: floors.append(floor(chosen)),
    ]
    for name in list(turns)[1:]:
        contestants.append(lambda name=name: turns[name].append(theirs(chosen, name)))  # type: ignore[misc]
    interleave(chosen.rounds, contestants)
    _report(turns, floors, chosen)
    return 0


def _report(turns: dict[str, list[Turn]], floors: list[float], chosen: argparse.Namespace) -> None:
    mine = turns.pop("ours")
    speed, delay = [turn.per_second for turn in mine], [turn.latency for turn in mine]
    emit_median("dispatch.jobs_per_second", speed, "jobs/s", jobs=chosen.jobs, durable="synchronous=FULL")
    target = at_most(statistics.median(delay), TARGET_LATENCY_MS)
    emit_median("dispatch.latency", delay, "ms", jobs=chosen.latencies, **target)
    emit_median("dispatch.latency_floor", floors, "ms", jobs=chosen.latencies)
    emit_median("dispatch.latency_ratio_vs_floor", ratios(delay, floors), "x")
    for name, other in turns.items():
        their_speed, their_delay = [turn.per_second for turn in other], [turn.latency for turn in other]
        version = other[0].version
        emit_median(
            f"dispatch.{name}_jobs_per_second", their_speed, "jobs/s", jobs=chosen.jobs, version=version
        )
        faster = ratios(speed, their_speed)
        target = at_least(statistics.median(faster), TARGET_RATIO[name])
        emit_median(f"dispatch.ratio_vs_{name}", faster, "x", **target)
        emit_median(f"dispatch.{name}_latency", their_delay, "ms", jobs=chosen.latencies)
        longer = ratios(delay, their_delay)
        target = at_most(statistics.median(longer), TARGET_LATENCY_RATIO_DASK) if name == "dask" else {}
        emit_median(f"dispatch.latency_ratio_vs_{name}", longer, "x", **target)


if __name__ == "__main__":
    sys.exit(main())
