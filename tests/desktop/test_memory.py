"""Memory that many threads have used in turn goes back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import psutil
from stablenew_plugins.desktop.memory import give_back

if "give" in sys.argv:
    assert give_back()

def decode(number):
    pieces = [np.ones(200_000 + 1_000 * number, np.float32) for _ in range(40)]
    return sum(float(piece[0]) for piece in pieces)

with ThreadPoolExecutor(6) as pool:
    total = sum(pool.map(decode, range(60)))
    print(psutil.Process().memory_info().rss / 1e6)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has to be told")
def test_what_threads_have_freed_is_given_back():
    done = subprocess.run([sys.executable, "-c", SCRIPT, "give"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 90
