"""What is loaded before there is something to see. Each of these takes longer to load than all our own code."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "asyncio",
    "fontTools",
    "google.protobuf",
    "grpc",
    "numpy",
    "PIL",
    "pydantic",
    "rich",
    "sqlite3",
    "ssl",
)

SCRIPT = """
import os, sys
import dearpygui.dearpygui as dpg
from stablenew_kernel.cli.main import main

draw = dpg.render_dearpygui_frame

def first() -> None:
    draw()
    print(*sorted(sys.modules), sep="\\n", flush=True)
    os._exit(0)

dpg.render_dearpygui_frame = first
main(["--data", sys.argv[1]])
"""


def test_nothing_heavy_is_loaded_before_the_first_frame(screen, tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "data")]
    done = subprocess.run(command, env=screen.environment(), capture_output=True, text=True, timeout=120)
    loaded = set(done.stdout.split())
    assert "stablenew_plugins.desktop.app" in loaded, done.stderr
    assert sorted(loaded.intersection(HEAVY)) == []
