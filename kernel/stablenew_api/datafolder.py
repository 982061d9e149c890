"""Where everything of one StableNew lives. Two data folders never meet."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from stablenew_api.errors import UserError
from stablenew_api.files import write_atomic

DATA_VARIABLE = "STABLENEW_DATA"
"""Environment variable that names the data folder."""


@dataclass(frozen=True, slots=True)
class KernelInfo:
    """How to reach the kernel that runs on a data folder; the content of ``kernel.json``."""

    address: str
    """host:port, for clients and agents."""
    token: str
    """Secret that clients show. The file is readable by its owner only, where the platform can say so."""
    pid: int
    started_at: str
    version: str


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths below a data folder. Nothing is created until :meth:`create` is called."""

    root: Path

    @staticmethod
    def choose(explicit: str | os.PathLike[str] | None = None) -> DataFolder:
        """``explicit`` (``--data``), else ``STABLENEW_DATA``, else the platform's place for user data."""
        chosen = (
            explicit
            or os.environ.get(DATA_VARIABLE)
            or platformdirs.user_data_dir("stablenew", appauthor=False)
        )
        return DataFolder(Path(chosen).expanduser().absolute())

    @property
    def lock(self) -> Path:
        """Held by the one kernel of this folder."""
        return self.root / "kernel.lock"

    @property
    def kernel_json(self) -> Path:
        """How to reach the running kernel; see :class:`KernelInfo`."""
        return self.root / "kernel.json"

    @property
    def database(self) -> Path:
        """Queue, history, outputs: SQLite."""
        return self.root / "stablenew.sqlite3"

    @property
    def settings(self) -> Path:
        """The person's settings, TOML; read, never written."""
        return self.root / "settings.toml"

    @property
    def artifacts(self) -> Path:
        """Images by content."""
        return self.root / "artifacts"

    @property
    def outputs(self) -> Path:
        """Default parent of run folders."""
        return self.root / "outputs"

    @property
    def presets(self) -> Path:
        """The person's presets, ``NAME.json``."""
        return self.root / "presets"

    @property
    def wildcards(self) -> Path:
        """The person's wildcard files, ``.txt``, ``.yaml`` and ``.json``, in folders as they like."""
        return self.root / "wildcards"

    @property
    def plugins(self) -> Path:
        """One-file plugins, ``NAME.py``."""
        return self.root / "plugins"

    @property
    def learning(self) -> Path:
        """Learning records and ratings, JSON lines."""
        return self.root / "learning" / "records.jsonl"

    @property
    def logs(self) -> Path:
        """Structured logs, JSON lines."""
        return self.root / "logs"

    @property
    def agents(self) -> Path:
        """State of the agents on this machine, a folder each."""
        return self.root / "agents"

    def agent(self, name: str) -> Path:
        """State of the agent called ``name``: node id, epoch, outbox, files in the making."""
        return self.agents / name

    def create(self) -> None:
        """Make the folder. Raises UserError, naming the folder, if that is not possible."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"data folder {self.root}: {error.strerror}; choose another with --data or {DATA_VARIABLE}"
            ) from error

    def read_kernel(self) -> KernelInfo | None:
        """How to reach the kernel, or None if none has left word here. It may be gone all the same."""
        try:
            data = json.loads(self.kernel_json.read_text(encoding="utf-8"))
            return KernelInfo(**data)
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write_kernel(self, info: KernelInfo) -> None:
        """Leave word. The file is made for its owner's eyes only, where the platform has such modes."""
        write_atomic(self.kernel_json, (json.dumps(asdict(info), indent=1) + "\n").encode("utf-8"), mode=0o600)
