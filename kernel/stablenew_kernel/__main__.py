"""``python -m stablenew_kernel``: run a kernel in this process. People use ``stablenew kernel``."""

from __future__ import annotations

import argparse
import sys

from stablenew_api.datafolder import DataFolder
from stablenew_api.memory import begin_loading


def main() -> int:
    """Parse the arguments and serve. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stablenew_kernel", description="Run a StableNew kernel.")
    parser.add_argument("--data", help="data folder; default: STABLENEW_DATA, else the platform's")
    parser.add_argument(
        "--announce", action="store_true", help="say one line of JSON when ready, then be quiet"
    )
    parser.add_argument(
        "--setting",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override settings.toml; VALUE is TOML, e.g. local_slots=2",
    )
    arguments = parser.parse_args()

    begin_loading()
    from stablenew_kernel.app.serve import serve

    return serve(DataFolder.choose(arguments.data), announce=arguments.announce, overrides=arguments.setting)


if __name__ == "__main__":
    sys.exit(main())
