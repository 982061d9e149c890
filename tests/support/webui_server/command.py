"""The command line."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from tests.support.webui_server.flavours import OOM_TEXTS
from tests.support.webui_server.server import FakeWebUI
from tests.support.webui_server.settings import FakeSettings
from tests.support.webui_server.traps import TRAPS


def _pixels(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def main(arguments: Iterable[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="fake_webui", description="An A1111-API server that draws gradients.")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--flavour", choices=sorted(OOM_TEXTS), default="a1111")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for an image")
    parser.add_argument("--start-seconds", type=float, default=0.0, help="time until the API is there")
    parser.add_argument("--auth", default="", metavar="USER:PASSWORD")
    parser.add_argument("--trap", action="append", default=[], choices=sorted(TRAPS), metavar="NAME")
    parser.add_argument(
        "--without", action="append", default=[], metavar="NAME", help="a usual trap, switched off"
    )
    parser.add_argument("--no-detailer", action="store_true", help="ADetailer is not installed")
    parser.add_argument("--reply-bytes", type=int, default=0, help="PNGs of so many bytes, premade")
    parser.add_argument(
        "--reply-size", type=_pixels, default=(1024, 1024), metavar="WxH", help="their size in pixels"
    )
    parser.add_argument("--list-traps", action="store_true")
    parser.add_argument("--ready-file", type=Path, help="written once it listens; holds the port")
    chosen = parser.parse_args(None if arguments is None else list(arguments))
    if chosen.list_traps:
        for name, trap in TRAPS.items():
            number = f"trap {trap.number}" if trap.number else "fault"
            print(f"{name:20} {number:8} {'usual' if trap.usual else '':6} {trap.text}")
        return 0
    settings = FakeSettings(
        flavour=chosen.flavour,
        port=chosen.port,
        auth=chosen.auth,
        seconds=chosen.seconds,
        reply_bytes=chosen.reply_bytes,
        reply_size=chosen.reply_size,
        also=tuple(chosen.trap),
        without=tuple(chosen.without),
        detailer=not chosen.no_detailer,
    )
    fake = FakeWebUI(settings)
    if chosen.start_seconds:
        fake.traps.add("still_starting")
        timer = threading.Timer(chosen.start_seconds, fake.traps.discard, ("still_starting",))
        timer.daemon = True
        timer.start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"a fake WebUI ({chosen.flavour}) at {fake.url}", flush=True)
    if chosen.ready_file is not None:
        chosen.ready_file.write_text(str(fake.port), encoding="utf-8")
    try:
        fake.serve_forever()
    except KeyboardInterrupt:
        return 0
    return 0
