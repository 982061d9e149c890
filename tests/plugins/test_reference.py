"""The pages of the docs that are made from the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from stablenew_api.backend import Backend, Feature
from stablenew_api.testing import FakeBackend
from stablenew_plugins.reference import answer, capabilities_page, cell, main, pages
from stablenew_plugins.stages import ADetailer, FaceRestore, Txt2Img, Upscale, stablenew_stages

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", ["capabilities.md", "stages-reference.md"])
def test_the_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "run: python3 dev.py docs"


class Little(FakeBackend):
    """A backend that can do little."""

    name = "little"
    offers = frozenset({Feature.TXT2IMG, Feature.IMG2IMG, Feature.INPAINT})


@pytest.mark.parametrize(
    ("stage", "setting", "backend", "text"),
    [
        (Txt2Img, "steps", Little, "yes"),
        (Txt2Img, "seed", Little, "yes"),
        (Txt2Img, "model", Little, "no"),
        (Txt2Img, "hr_scale", Little, "no"),
        (Txt2Img, "hr_checkpoint_name", FakeBackend, "yes"),
        (Txt2Img, "refiner_switch_at", Little, "no"),
        (Txt2Img, "subseed", Little, "no"),
        (Txt2Img, "face_restoration_model", Little, "no"),
        (Txt2Img, "hypernetwork_strength", Little, "no"),
        (ADetailer, "adetailer_model", Little, "yes [1]"),
        (ADetailer, "detector", Little, "`auto` [1], `own` [1]"),
        (ADetailer, "detector", FakeBackend, "yes"),
        (Upscale, "tile_size", Little, "yes [2]"),
        (Upscale, "codeformer_weight", Little, "no"),
        (FaceRestore, "model", Little, "no"),
        (FaceRestore, "model", FakeBackend, "yes"),
    ],
)
def test_cells(stage: type[Txt2Img], setting: str, backend: type[Backend], text: str) -> None:
    assert cell(stage, setting, backend) == text


def test_every_setting_of_a_stage_that_needs_a_backend_has_its_row() -> None:
    page = capabilities_page(stablenew_stages()[:5], [FakeBackend, Little])
    for stage in stablenew_stages()[:5]:
        for name in set(stage.Config.model_fields) - {"fault"}:
            assert f"\n| `{name}` |" in page
    assert "| setting | is | `fake` | `little` |" in page
    assert answer(frozenset({"inpaint", "magic"}), Little) == "no"


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(pages())
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "usage" in capsys.readouterr().err
