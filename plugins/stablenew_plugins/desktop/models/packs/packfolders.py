"""The folders whose packs are shown: the data folder's own, those of the kernel's settings, others."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.core.desk import Desk

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import kernel_pb2

log = logging.getLogger(__name__)

SETTING = "pack_folders"


class PackFolders:
    """See above. While the kernel has no such setting, folders that are added are remembered by the window."""

    def __init__(self, desk: Desk, changed: Callable[[], None]) -> None:
        """``changed``: called when there are others."""
        self._desk, self._changed = desk, changed
        self._told: Sequence[Path] | None = None
        """Of the kernel's settings; None: it has no such setting, or did not answer yet."""
        self._own = [Path(path) for path in desk.remembered.get("pack_folders", []) if isinstance(path, str)]

    @property
    def all(self) -> Sequence[Path]:
        """Each once, the data folder's own first."""
        return list(dict.fromkeys([self._desk.data.packs, *(self._told or ()), *self._own]))

    def ask(self) -> None:
        """Ask the kernel for its setting."""
        self._desk.ask(lambda kernel: kernel.settings(), self._answered, self._refused, key="packs.folders")

    def add(self, folder: Path) -> None:
        """Show the packs of ``folder``, too."""
        if folder in self.all:
            return
        if self._told is None:
            self._own.append(folder)
            self._desk.remembered.set("pack_folders", [str(path) for path in self._own])
            self._changed()
            return
        wanted = [str(path) for path in (*self._told, folder)]

        def work(kernel: KernelClient) -> Sequence[kernel_pb2.KernelSetting]:
            return kernel.change_settings({SETTING: wanted}).settings

        self._desk.order(work, self._read)

    def _answered(self, answer: kernel_pb2.GetSettingsResponse) -> None:
        self._read(answer.settings)

    def _refused(self, error: Exception) -> None:
        # A kernel that has no settings to tell: the data folder and what was added here are all there is.
        log.info("no %s from the kernel: %s", SETTING, error)

    def _read(self, settings: Sequence[kernel_pb2.KernelSetting]) -> None:
        for setting in settings:
            if setting.name == SETTING:
                folders = json.loads(setting.value_json or b"[]") or []
                self._told = [Path(str(folder)).expanduser() for folder in folders]
                self._changed()
