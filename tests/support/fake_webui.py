"""A server with the A1111 API on a real socket, that draws gradients: for tests, benchmarks and people.

It behaves as A1111 1.10, Forge and SD.Next are documented and were seen to behave, silent fallbacks included,
and has a switch for each trap (:data:`TRAPS`). Its pictures follow the settings: another seed, prompt,
checkpoint or sampler is another picture. It is no AI model.

From the root of a clone::

    python -m tests.support.fake_webui --port 7860 --seconds 3 --trap grid_first

In a test::

    with FakeWebUI(FakeSettings(flavour="forge")) as fake:
        backend = WebUIBackend(WebUIConfig(url=fake.url))
        fake.traps.add("oom")

Its parts are in the package ``webui_server`` beside this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # started as a file: Python searches only the folder of it
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.webui_server.command import main
from tests.support.webui_server.server import FakeWebUI
from tests.support.webui_server.settings import FakeSettings
from tests.support.webui_server.traps import TRAPS

__all__ = ["TRAPS", "FakeSettings", "FakeWebUI", "main"]

if __name__ == "__main__":
    sys.exit(main())
