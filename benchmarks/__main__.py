"""Runs every benchmark, one after the other, each in a process of its own (memory is one of the figures)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

NAMES = (
    "dispatch",
    "transfer",
    "overhead",
    "webui",
    "queue",
    "packs",
    "randomizer",
    "desktop_start",
    "desktop_frame",
    "desktop_panels",
    "desktop_memory",
    "desktop_latency",
)


def main(argv: Sequence[str]) -> int:
    """Run all; options (``--quick``, ``--folder DIR``) go to each. 0 if all could be measured."""
    codes = [
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *argv], check=False).returncode
        for name in NAMES
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
