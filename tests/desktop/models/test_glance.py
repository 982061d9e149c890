"""What the tab Pipeline tells of the randomizer."""

from __future__ import annotations

from pathlib import Path

from bench_kit import Bench, FakeKernel, slot, write
from desk_kit import make_desk

from stablenew_plugins.desktop.models.pipeline.glance import SHOWN, glance


def test_what_varies_is_told_in_a_few_lines(tmp_path: Path) -> None:
    kernel = FakeKernel()
    bench = Bench(make_desk(tmp_path, kernel), kernel)
    assert not glance(bench.randomizer, 0).is_on
    kernel.slots["a.txt"] = [
        slot("style", ["oil", "ink"]),
        slot("still", ["one"], mode="off"),
        *(slot(f"more{number}", ["x", "y"]) for number in range(SHOWN)),
    ]
    bench.select(write(tmp_path, "a.txt"))
    found = glance(bench.randomizer, 24)
    assert found.summary == "5 things vary  ·  24 images"
    assert [line.title for line in found.lines][:2] == ["[[style]]", "[[more0]]"]
    first = found.lines[0]
    assert (list(first.options), first.count, first.mode) == (["oil", "ink"], 2, "Rotate")
    assert (len(found.lines), found.more) == (SHOWN, "and 1 more")
    bench.randomizer.add_axis("txt2img.cfg_scale", "5, 7")
    assert glance(bench.randomizer, 0).lines[0].is_setting
    bench.randomizer.enable(False)
    off = glance(bench.randomizer, 24)
    assert (off.is_on, off.lines, off.summary) == (False, (), bench.randomizer.summary)
