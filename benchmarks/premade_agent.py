"""A real agent whose workers take no time to make a picture: :mod:`benchmarks.premade_worker`. Same options."""

from __future__ import annotations

import sys

from stablenew_agent import main
from stablenew_agent.pool import process

if __name__ == "__main__":
    process.WORKER_COMMAND = (sys.executable, "-m", "benchmarks.premade_worker")
    main.main()
