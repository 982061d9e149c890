"""Packs: how long it takes to read many small ones, and to read and check a large one.

Nothing is started: the parser and the checker are functions of bytes.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.common import at_most, describe_machine, emit_median, options, parser
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.packs.check import check_pack
from stablenew_plugins.stages.txt2img import Txt2Img

ROW = (
    "a castle on a hill, (golden light:1.2), number {}, detailed,\n"
    "sharp focus <lora:stone:0.8>\nneg: people, text\n"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; 0 in the end."""
    chosen = options(
        parser(
            __doc__,
            packs=(1_000, 20, "packs that are read"),
            rows=(50, 5, "rows of each"),
            large=(100_000, 200, "rows of the large pack"),
            rounds=(5, 1, "rounds"),
        ),
        argv,
    )
    describe_machine(Path(chosen.folder))
    small = [_pack(chosen.rows, pack * chosen.rows) for pack in range(chosen.packs)]
    large = _pack(chosen.large, 0)

    def read_small() -> None:
        for data in small:
            parse_pack("pack.txt", data)

    reading = _rounds(chosen.rounds, read_small)
    emit_median(
        "packs.parse",
        reading,
        "s",
        packs=len(small),
        rows=chosen.rows,
        **at_most(statistics.median(reading), 1),
    )
    size = len(large) / 2**20
    reading = _rounds(chosen.rounds, lambda: parse_pack("pack.txt", large))
    emit_median("packs.parse_large", reading, "s", rows=chosen.large, mebibytes=size)
    checking = _rounds(chosen.rounds, lambda: check_pack("pack.txt", large, {"txt2img": Txt2Img}))
    emit_median(
        "packs.check_large",
        checking,
        "s",
        rows=chosen.large,
        mebibytes=size,
        **at_most(statistics.median(checking), 1),
    )
    return 0


def _pack(rows: int, first: int) -> bytes:
    return "\n".join(ROW.format(first + row) for row in range(rows)).encode("utf-8")


def _rounds(rounds: int, work: Callable[[], object]) -> list[float]:
    """Seconds of each round."""
    spent = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        spent.append(time.perf_counter() - begun)
    return spent


if __name__ == "__main__":
    sys.exit(main())
