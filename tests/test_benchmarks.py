"""Each benchmark runs with its smallest numbers and prints figures as JSON lines; these are not judged here."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(300)]


def figures(
    name: str, *arguments: str, folder: Path, environment: dict[str, str] | None = None
) -> dict[str, Any]:
    """Run ``python -m benchmarks.NAME --quick`` and return its lines by name."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--folder", str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for line in lines:
        assert line["unit"]
        assert "skipped" in line or math.isfinite(line["value"])
    assert not list(folder.iterdir()), "a benchmark leaves nothing behind"
    found = {line["name"]: line for line in lines}
    assert len(found) == len(lines), "every figure has one line"
    assert found.pop("machine.fsync")["value"] > 0
    return found


def test_dispatch(tmp_path: Path) -> None:
    """A peer that is not installed is skipped, with the reason."""
    folder, broken = tmp_path / "data", tmp_path / "modules"
    folder.mkdir()
    broken.mkdir()
    (broken / "distributed.py").write_text('raise ImportError("not installed here")\n', encoding="utf-8")
    found = figures("dispatch", "--peers", "dask", folder=folder, environment={"PYTHONPATH": str(broken)})
    assert found["dispatch.jobs_per_second"]["value"] > 0
    assert found["dispatch.latency"]["value"] > 0
    assert found["dispatch.latency_floor"]["value"] > 0
    line = found["dispatch.ratio_vs_dask"]
    assert line["value"] is None
    assert "not installed here" in line["skipped"]


def test_transfer(tmp_path: Path) -> None:
    found = figures("transfer", folder=tmp_path)
    for name in ("committed", "saved", "with_generation", "socket", "copy", "ratio_vs_socket", "ratio_vs_copy"):
        assert found[f"transfer.{name}"]["value"] > 0
    assert {f"transfer.cpu_{who}" for who in ("kernel", "agents", "workers")} <= found.keys()
    # Committed comes before saved, in the very same run.
    assert found["transfer.committed"]["value"] >= found["transfer.saved"]["value"]


def test_overhead(tmp_path: Path) -> None:
    found = figures("overhead", folder=tmp_path)
    kernel, agents = (found[f"overhead.cpu_{who}"]["value"] for who in ("kernel", "agents"))
    assert found["overhead.outside_worker"]["value"] == pytest.approx(kernel + agents, rel=0.01)
    assert kernel > 0
    assert found["overhead.direct"]["value"] > found["overhead.direct_without_png"]["value"] > 0
    assert {"value", "target", "met"} <= found["overhead.per_job"].keys()


def test_webui(tmp_path: Path) -> None:
    found = figures("webui", folder=tmp_path)
    assert found["webui.ratio_vs_loop"]["value"] > 0
    assert found["webui.gap"]["overlaps"] == 0, "one request at a time is at the server"
    assert sum(found["webui.makespan_over_ideal"]["images_by_node"]) >= 14
    assert found["webui.polling_cpu"]["questions"] > 0
    assert found["webui.worker_memory"]["value"] > 0


def test_packs(tmp_path: Path) -> None:
    found = figures("packs", folder=tmp_path)
    assert found.keys() == {"packs.parse", "packs.parse_large", "packs.check_large"}
    assert found["packs.parse"]["packs"] == 20
    assert found["packs.check_large"]["value"] > found["packs.parse_large"]["value"] > 0


def test_queue(tmp_path: Path) -> None:
    found = figures("queue", folder=tmp_path)
    memory, peak = found["queue.kernel_memory"], found["queue.kernel_memory_peak"]
    assert memory["jobs"] == 300, "every row of the pack was queued"
    assert found["queue.plan"]["jobs"] == 100
    assert found["queue.commit_while_planning"]["commits"] >= 0
    assert peak["value"] >= memory["idle"] > 0
    assert found["queue.claim_ratio"]["value"] > 0


def test_randomizer(tmp_path: Path) -> None:
    found = figures("randomizer", folder=tmp_path)
    for mode in ("combinatorial", "random"):
        assert found[f"randomizer.{mode}"]["distinct"] == 300, "ours never repeats"
        ratio = found[f"randomizer.{mode}_ratio_vs_dynamicprompts"]
        assert "skipped" in ratio or ratio["value"] > 0
    assert found["randomizer.memory_growth"]["met"], "streaming holds nothing"
    assert found["randomizer.count"]["value"] > 0
    assert found["randomizer.first_preview"]["value"] > 0
