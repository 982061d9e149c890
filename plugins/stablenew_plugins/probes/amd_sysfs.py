"""amd_sysfs: AMD cards by the files of the Linux driver ``amdgpu``; needs no package.

Files, of ``/sys/class/drm/cardN/device`` (kernel documentation, "AMDGPU driver: miscellaneous"):
``mem_info_vram_total`` and ``mem_info_vram_used`` (bytes), ``gpu_busy_percent``, ``unique_id`` (newer cards),
``product_name`` (some cards), ``hwmon/hwmon*/temp1_input`` (millidegrees) and ``power1_average`` (microwatts).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from stablenew_api.probe import GpuReading, Probe

_CARD = re.compile(r"card\d+")


def _read(path: Path) -> str | None:
    """The content, or None: which files there are depends on card and kernel, and some answer EINVAL."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip() or None
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _read(path)
    return int(text) if text is not None and text.isdigit() else None


class AmdSysfsProbe(Probe):
    """Reads every card with VRAM figures below ``root``."""

    name, version, title = "amd_sysfs", "1.0", "AMD (Linux sysfs)"

    def __init__(self, root: Path = Path("/sys/class/drm")) -> None:
        self._root = root

    def _cards(self) -> list[Path]:
        try:
            found = [path for path in self._root.iterdir() if _CARD.fullmatch(path.name)]
        except OSError:
            return []
        devices = [path / "device" for path in sorted(found, key=lambda path: int(path.name[4:]))]
        return [device for device in devices if _number(device / "mem_info_vram_total")]

    def available(self) -> str | None:
        """None, or why not."""
        if not self._root.is_dir():
            return f"there is no {self._root.as_posix()}: not Linux, or no graphics driver"
        return None if self._cards() else f"no card below {self._root.as_posix()} has amdgpu's VRAM figures"

    def read(self) -> Sequence[GpuReading]:
        """The cards now. Figures a card does not tell are None."""
        readings = []
        for device in self._cards():
            total = _number(device / "mem_info_vram_total")
            if not total:
                continue  # unplugged since it was listed
            busy = _number(device / "gpu_busy_percent")
            sensors = sorted(device.glob("hwmon/hwmon*"))
            heat = _number(sensors[0] / "temp1_input") if sensors else None
            power = _number(sensors[0] / "power1_average") if sensors else None
            readings.append(
                GpuReading(
                    uuid=_read(device / "unique_id") or device.resolve().name,
                    name=_read(device / "product_name") or "AMD GPU",
                    vram_total_bytes=total,
                    vram_used_bytes=_number(device / "mem_info_vram_used") or 0,
                    utilization=None if busy is None else busy / 100,
                    temperature_c=None if heat is None else heat / 1000,
                    power_w=None if power is None else power / 1_000_000,
                )
            )
        return readings
