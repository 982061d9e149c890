"""nvidia: NVIDIA cards by NVML, through the optional package ``nvidia-ml-py``."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from stablenew_api.probe import GpuReading, Probe


def _text(value: str | bytes) -> str:
    """NVML's Python binding gave bytes until version 11.5."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


class NvidiaProbe(Probe):
    """Reads every NVIDIA card that NVML shows. ``load`` gives the ``pynvml`` module (tests pass a fake)."""

    name, version, title = "nvidia", "1.0", "NVIDIA (NVML)"

    def __init__(self, load: Callable[[], Any] = lambda: importlib.import_module("pynvml")) -> None:
        self._load = load
        self._nvml: Any = None

    def available(self) -> str | None:
        """None, or why not: package missing, driver missing, no card."""
        try:
            nvml = self._load()
        except ImportError:
            return "the package nvidia-ml-py is not installed (pip install 'stablenew[nvidia]')"
        try:
            nvml.nvmlInit()
            count = nvml.nvmlDeviceGetCount()
        except (nvml.NVMLError, OSError) as error:
            return f"no NVIDIA driver answers: {error}"
        if not count:
            return "the NVIDIA driver shows no card"
        self._nvml = nvml
        return None

    def read(self) -> Sequence[GpuReading]:
        """The cards now. Figures a card does not tell are None. Raises NVMLError when the driver is gone."""
        if self._nvml is None and (reason := self.available()) is not None:
            raise RuntimeError(reason)
        nvml = self._nvml
        readings = []
        for index in range(nvml.nvmlDeviceGetCount()):
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            readings.append(
                GpuReading(
                    uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
                    name=_text(nvml.nvmlDeviceGetName(handle)),
                    vram_total_bytes=int(memory.total),
                    vram_used_bytes=int(memory.used),
                    utilization=self._maybe(partial(self._load_of, handle)),
                    temperature_c=self._maybe(
                        partial(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
                    ),
                    power_w=self._maybe(partial(nvml.nvmlDeviceGetPowerUsage, handle), 1000),
                )
            )
        return readings

    def _load_of(self, handle: Any) -> float:
        return float(self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu) / 100

    def _maybe(self, figure: Callable[[], float], divisor: float = 1.0) -> float | None:
        """A figure, or None where this card or driver does not have it (laptops, vGPUs)."""
        try:
            return float(figure()) / divisor
        except self._nvml.NVMLError:
            return None
