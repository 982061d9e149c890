"""The randomizer against dynamicprompts (https://github.com/adieyal/dynamicprompts): 6 slots of 10 options.

Ours is what a plan does, less the jobs: the picks of many images at once, and the texts from them, a few
hundred at a time. ``combinatorial`` is a fanout from the first combination on, against the library's
combinatorial generator. ``random`` is ``--sample``: as many of the 1,000,000 combinations drawn, none twice,
against the library's random generator, which repeats itself. Both count what they made. Memory is Python's own
count of what was held at most while 10,000 and while 100,000 variants streamed.

The library runs in a process of its own, which may be another interpreter (``--peer-python``).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.common import (
    at_least,
    at_most,
    describe_machine,
    emit,
    emit_median,
    interleave,
    options,
    parser,
    ratios,
)
from stablenew_api.shuffle import key_of, permute
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.plan import Plan, PlanRequest, plan_run
from stablenew_kernel.domain.planned import AT_ONCE
from stablenew_kernel.domain.randomizer.axes import Axes
from stablenew_kernel.domain.randomizer.settings import parse_randomization
from stablenew_kernel.domain.randomizer.variants import Variants
from stablenew_plugins import randomizers, stages

STAGES = {stage.name: stage for stage in stages.stablenew_stages()}
STRATEGIES = {strategy.name: strategy for strategy in randomizers.stablenew_randomizers()}


def prompt(slots: int, sign: str) -> str:
    """``slots`` choices of 10 options."""
    return ", ".join(
        f"{{{sign}{'|'.join(f'{chr(97 + slot)}{n}' for n in range(10))}}}" for slot in range(slots)
    )


class Row:
    """A row of a plan, compiled."""

    def __init__(self, slots: int) -> None:
        randomization = parse_randomization({}, "", STRATEGIES)
        self._variants = Variants(Axes((), randomization), STRATEGIES, 1, {})
        self._space = self._variants.space([(prompt(slots, "!"), "")])
        self._row = self._variants.row(1, self._space)
        self.combinations = self._row.combinations

    def texts(self, images: Sequence[int]) -> Iterator[str]:
        """The positive prompts of these images, as the plan's JobMaker asks for them."""
        for start in range(0, len(images), AT_ONCE):
            some = images[start : start + AT_ONCE]
            for positive, _ in self._space.columns(self._row.columns(some, 1), len(some)):
                yield positive

    def sample(self, count: int, seed: int) -> Iterator[str]:
        """``count`` drawn from all, none twice: as plan_run chooses them."""
        key = key_of("sample", seed)
        return self.texts(sorted(permute(index, self.combinations, key) for index in range(count)))


def plan(text: str, **request: int) -> Plan:
    """A real plan of one row."""
    asked = PlanRequest(parse_pack("bench.txt", text.encode()), seed=1, **request)
    return plan_run(asked, STAGES, rng=Random(1), randomizers=STRATEGIES)


def timed(work: Callable[[], object]) -> float:
    """Seconds of CPU that ``work`` takes: nothing here waits, and other processes are no part of it."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


# --- the library ----------------------------------------------------------------------------------------------


class Peer:
    """dynamicprompts in a process of its own: ``prompt_peer.py``."""

    def __init__(self, python: str) -> None:
        self._process = subprocess.Popen(
            [python, "-P", str(Path(__file__).with_name("prompt_peer.py")), prompt(6, "")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        try:
            self.version = str(self._answer()["version"])
        except BaseException:
            self.close()
            raise

    def make(self, mode: str, count: int) -> tuple[float, int]:
        """CPU seconds for ``count`` prompts, and how many of them differ."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"mode": mode, "count": count}) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        return float(str(answer["seconds"])), int(str(answer["distinct"]))

    def close(self) -> None:
        """End it; it ends by itself when its input does."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()

    def _answer(self) -> dict[str, object]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer: dict[str, object] = json.loads(line) if line else {"error": "its process ended"}
        if "error" in answer:
            raise LookupError(str(answer["error"]))
        return answer


# --- figures --------------------------------------------------------------------------------------------------


def _turn(make: Callable[[], object], times: list[float]) -> None:
    times.append(timed(make))


def _peer_turn(peer: Peer, mode: str, count: int, times: list[float]) -> None:
    times.append(peer.make(mode, count)[0])


def measure_variants(chosen: argparse.Namespace) -> None:
    """Variants a second, ours and theirs, turn by turn."""
    row, count = Row(6), chosen.variants
    work: dict[str, Callable[[], list[str]]] = {
        "combinatorial": lambda: list(row.texts(range(count))),
        "random": lambda: list(row.sample(count, 1)),
    }
    try:
        peer: Peer | None = Peer(chosen.peer_python)
        why = ""
    except LookupError as error:
        peer, why = None, str(error)
    targets = {"combinatorial": 10.0, "random": 20.0}
    try:
        for mode, make in work.items():
            ours: list[float] = []
            theirs: list[float] = []
            turns: list[Callable[[], None]] = [partial(_turn, make, ours)]
            if peer is not None:
                turns.append(
                    lambda theirs=theirs, mode=mode, peer=peer: theirs.append(peer.make(mode, count)[0])
                )
            interleave(chosen.rounds, turns)
            per = 1e6 / count
            distinct = len(set(make()))
            emit_median(
                f"randomizer.{mode}", [s * per for s in ours], "us/variant", variants=count, distinct=distinct
            )
            name = f"randomizer.{mode}_ratio_vs_dynamicprompts"
            if peer is None:
                emit(name, None, "x", skipped=why)
                continue
            emit_median(
                f"randomizer.{mode}_dynamicprompts",
                [s * per for s in theirs],
                "us/variant",
                variants=count,
                distinct=peer.make(mode, count)[1],
                version=peer.version,
            )
            by_round = ratios(theirs, ours)
            median = sorted(by_round)[len(by_round) // 2]
            emit(
                name, median, "x", min=min(by_round), max=max(by_round), rounds=len(by_round),
                **at_least(median, targets[mode]),
            )  # fmt: skip
    finally:
        if peer is not None:
            peer.close()


def measure_memory(chosen: argparse.Namespace) -> None:
    """What is held at most while variants stream: the same for ten times as many."""

    def peak(count: int) -> float:
        row = Row(6)
        tracemalloc.start()
        for _ in row.texts(range(count)):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most / 1e6

    few, many = peak(chosen.variants), peak(10 * chosen.variants)
    emit("randomizer.memory_peak", few, "MB", variants=chosen.variants)
    emit("randomizer.memory_growth", many / few, "x", variants=10 * chosen.variants, **at_most(many / few, 1.5))


def measure_first(chosen: argparse.Namespace) -> None:
    """Counting, and the first job of a real plan, from the text on. No prompt comes twice: nothing is known."""
    counts, previews = [], []
    for number in range(chosen.plans):
        twelve, nine = f"count {number} {prompt(12, '!')}", f"preview {number} {prompt(9, '!')}"
        counts.append(1000 * timed(lambda text=twelve: count(text)))
        previews.append(1000 * timed(lambda text=nine: next(iter(plan(text, limit=1).jobs))))
    median = sorted(counts)[len(counts) // 2]
    emit_median("randomizer.count", counts, "ms", combinations=10**12, **at_most(median, 1))
    median = sorted(previews)[len(previews) // 2]
    emit_median("randomizer.first_preview", previews, "ms", combinations=10**9, **at_most(median, 5))


def count(text: str) -> int:
    """How many combinations ``text`` has, from the text on."""
    variants = Variants(Axes((), parse_randomization({}, "", STRATEGIES)), STRATEGIES, 1, {})
    return variants.row(1, variants.space([(text, "")])).combinations


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    made = parser(
        __doc__,
        variants=(10_000, 300, "variants a round"),
        rounds=(7, 1, "rounds"),
        plans=(21, 2, "plans of the count and preview figures"),
    )
    made.add_argument("--peer-python", default=sys.executable, help="interpreter that has dynamicprompts")
    chosen = options(made, argv)
    describe_machine(Path(chosen.folder))
    measure_variants(chosen)
    measure_memory(chosen)
    measure_first(chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
