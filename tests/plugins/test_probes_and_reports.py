"""Probes against fake drivers and trees; the contact sheet against real files."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from stablenew_api.report import RunImage
from stablenew_api.testing import host_of, sample_image
from stablenew_plugins import probes, reports
from stablenew_plugins.probes import AmdSysfsProbe, FakeProbe, NvidiaProbe
from stablenew_plugins.reports import ContactSheet
from stablenew_plugins.reports.contact_sheet import PAGE_WIDTH

GIB = 1024**3


def test_the_plugins_load() -> None:
    for module in (probes, reports):
        (plugin,) = host_of(module).plugins
        assert plugin.state == "active", plugin.reason


class FakeNvml:
    """The part of pynvml that the probe uses; one card."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        pass

    def __init__(self, count: int = 1, broken: bool = False, silent: bool = False) -> None:
        self.count, self.broken, self.silent = count, broken, silent

    def nvmlInit(self) -> None:
        if self.broken:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetCount(self) -> int:
        return self.count

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(total=24 * GIB, used=2 * GIB)

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return f"GPU-{handle}"

    def nvmlDeviceGetName(self, handle: int) -> bytes:
        return b"NVIDIA GeForce RTX 4090"

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        if self.silent:
            raise self.NVMLError("Not Supported")
        return SimpleNamespace(gpu=37)

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:
        return 61

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        if self.silent:
            raise self.NVMLError("Not Supported")
        return 220_500


def test_nvidia_reads_a_card() -> None:
    probe = NvidiaProbe(FakeNvml)
    assert probe.available() is None
    (card,) = probe.read()
    assert (card.uuid, card.name) == ("GPU-0", "NVIDIA GeForce RTX 4090")
    assert (card.vram_total_bytes, card.vram_used_bytes) == (24 * GIB, 2 * GIB)
    assert (card.utilization, card.temperature_c, card.power_w) == (0.37, 61.0, 220.5)


def test_nvidia_leaves_out_what_a_card_does_not_tell() -> None:
    probe = NvidiaProbe(lambda: FakeNvml(silent=True))
    (card,) = probe.read()
    assert (card.utilization, card.temperature_c, card.power_w) == (None, 61.0, None)


def test_nvidia_says_why_not() -> None:
    def missing() -> Any:
        raise ImportError("no module")

    assert "not installed" in str(NvidiaProbe(missing).available())
    assert "Driver Not Loaded" in str(NvidiaProbe(lambda: FakeNvml(broken=True)).available())
    assert "no card" in str(NvidiaProbe(lambda: FakeNvml(count=0)).available())
    with pytest.raises(RuntimeError, match="not installed"):
        NvidiaProbe(missing).read()


def test_nvidia_here_never_raises() -> None:
    reason = NvidiaProbe().available()
    assert reason is None or reason.strip()


def tree(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root.joinpath(*name.split("__"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii", newline="\n")
    return root


def test_amd_reads_sysfs(tmp_path: Path) -> None:
    tree(
        tmp_path,
        card1__device__mem_info_vram_total=f"{16 * GIB}\n",
        card1__device__mem_info_vram_used=f"{3 * GIB}\n",
        card1__device__gpu_busy_percent="42\n",
        card1__device__unique_id="9f8e7d\n",
        card1__device__product_name="Radeon RX 7900 XT\n",
        card1__device__hwmon__hwmon3__temp1_input="55000\n",
        card1__device__hwmon__hwmon3__power1_average="187000000\n",
        card0__device__vendor="0x8086\n",
        card12__device__mem_info_vram_total=f"{8 * GIB}\n",
        card12__device__gpu_busy_percent="broken\n",
    )
    (tmp_path / "card1-DP-1").mkdir()
    probe = AmdSysfsProbe(tmp_path)
    assert probe.available() is None
    first, second = probe.read()
    assert (first.uuid, first.name) == ("9f8e7d", "Radeon RX 7900 XT")
    assert (first.vram_total_bytes, first.vram_used_bytes) == (16 * GIB, 3 * GIB)
    assert (first.utilization, first.temperature_c, first.power_w) == (0.42, 55.0, 187.0)
    assert (second.vram_total_bytes, second.vram_used_bytes) == (8 * GIB, 0)
    assert (second.utilization, second.temperature_c, second.power_w) == (None, None, None)


def test_amd_says_why_not(tmp_path: Path) -> None:
    assert "not Linux" in str(AmdSysfsProbe(tmp_path / "none").available())
    tree(tmp_path, card0__device__vendor="0x8086\n")
    assert "amdgpu" in str(AmdSysfsProbe(tmp_path).available())
    assert list(AmdSysfsProbe(tmp_path).read()) == []


def test_the_fake_card_follows_what_it_is_told() -> None:
    used = [GIB]
    probe = FakeProbe(12 * GIB, used=lambda: used[0], utilization=lambda: 0.5, count=2)
    assert probe.available() is None
    assert [card.vram_used_bytes for card in probe.read()] == [GIB, GIB]
    used[0] = 99 * GIB
    assert probe.read()[0].vram_used_bytes == 12 * GIB
    assert len({card.uuid for card in probe.read()}) == 2
    assert FakeProbe().read()[0].vram_total_bytes == 8 * GIB


# --- contact sheet ------------------------------------------------------------------------------------------


def build(images: list[RunImage], title: str = "demo") -> dict[str, Image.Image]:
    files: dict[str, Image.Image] = {}

    def write(name: str, data: bytes) -> Path:
        files[name] = Image.open(io.BytesIO(data))
        files[name].load()
        return Path(name)

    ContactSheet().build(title, images, write)
    return files


def saved(folder: Path, count: int, size: tuple[int, int] = (48, 32)) -> list[RunImage]:
    path = folder / "image.png"
    sample_image(*size).save(path)
    return [
        RunImage(path, f"{number:05d} a caption that says something, seed {number}", {})
        for number in range(count)
    ]


def test_it_is_on_by_default() -> None:
    assert ContactSheet.default_enabled


@pytest.mark.parametrize(
    ("count", "names"),
    [
        (0, []),
        (1, ["contact-sheet.jpg"]),
        (7, ["contact-sheet.jpg"]),
        (100, ["contact-sheet.jpg"]),
        (101, ["contact-sheet.jpg", "contact-sheet-2.jpg"]),
    ],
)
def test_pages(tmp_path: Path, count: int, names: list[str]) -> None:
    files = build(saved(tmp_path, count))
    assert list(files) == names
    for page in files.values():
        assert page.format == "JPEG"
        assert page.width <= PAGE_WIDTH + 200
        assert page.height < 4000


def test_large_images_are_shrunk_and_small_ones_are_not_enlarged(tmp_path: Path) -> None:
    (large,) = build(saved(tmp_path, 4, (1600, 900))).values()
    (small,) = build(saved(tmp_path, 4, (16, 9))).values()
    assert small.height < large.height < 1400


def test_the_images_are_on_it_in_order(tmp_path: Path) -> None:
    images = []
    for index, colour in enumerate(("#c02020", "#20a020", "#2020c0")):
        path = tmp_path / f"{index}.png"
        Image.new("RGB", (300, 300), colour).save(path)
        images.append(RunImage(path, colour, {}))
    (page,) = build(images).values()
    pixels = page.convert("RGB")
    centres = []
    for wanted in ((0xC0, 0x20, 0x20), (0x20, 0xA0, 0x20), (0x20, 0x20, 0xC0)):
        hits = [
            (x, y)
            for x in range(0, page.width, 8)
            for y in range(0, page.height, 8)
            if max(abs(a - b) for a, b in zip(pixels.getpixel((x, y)), wanted, strict=True)) < 24  # type: ignore[arg-type]
        ]
        assert len(hits) > 1000
        centres.append((sum(y for _, y in hits) // len(hits) // 200, sum(x for x, _ in hits) // len(hits)))
    assert centres == sorted(centres)


def test_a_broken_or_missing_file_leaves_an_empty_card(tmp_path: Path) -> None:
    images = saved(tmp_path, 2)
    broken = tmp_path / "broken.png"
    broken.write_bytes((tmp_path / "image.png").read_bytes()[:60])
    images += [RunImage(broken, "broken", {}), RunImage(tmp_path / "gone.png", "gone", {})]
    (page,) = build(images).values()
    assert page.width > 100


def test_long_titles_and_captions_stay_on_the_page(tmp_path: Path) -> None:
    image = saved(tmp_path, 1)[0]
    (page,) = build([RunImage(image.path, "unbreakable" * 40, {})], title="a very long title " * 30).values()
    right = page.crop((page.width - 40, 0, page.width, page.height)).convert("L")
    assert right.getextrema()[0] > 150, "nothing dark runs over the right edge"  # type: ignore[operator]
