"""Records ``embedded_times.json``: what runs really took, on two nodes of different speed. By hand:

``PYTHONPATH=tests/cluster .venv/bin/python tests/kernel/domain/record_times.py``
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from dataclasses import asdict
from pathlib import Path
from random import Random

from house import House

from stablenew_api.jobs import JobSpec
from stablenew_kernel.domain.estimate import made
from stablenew_proto.v1 import kernel_pb2 as pb

SPEEDS = {"fast": 2.0, "slow": 1.0}
RUNS = 32
KINDS = 12


def main() -> None:
    """Two agents, three dozen runs of many kinds, one after the other."""
    rng = Random(4)
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        try:
            client = house.start_kernel("confirm_above=0")
            for name, speed in SPEEDS.items():
                options = (f"speed={speed}", "seconds_per_step=0.02", "load_seconds=0.6")
                house.start_agent(name, *(word for option in options for word in ("--backend-option", option)))
            house.wait_online(client, len(SPEEDS))
            models = list(client.nodes()[0].info.backend.models)
            kinds = [_kind(rng, models) for _ in range(KINDS)]
            runs = []
            for _ in range(RUNS):
                sets = rng.choice(kinds)
                request = pb.RunRequest(
                    pack_name="t.txt", pack=b"a lighthouse", sets=sets, count=rng.randint(6, 36)
                )
                ended = house.wait_run(client.submit(request).run_id, 300)
                runs.append((ended.run_id, ended.created_at))
            house.kill_kernel()
            trace = [_run(house.data.database, *run) for run in runs]
        finally:
            house.close()
    out = Path(__file__).with_name("embedded_times.json")
    lines = ",\n".join(json.dumps(run, separators=(",", ":")) for run in trace)
    out.write_text(f"[\n{lines}\n]\n", encoding="utf-8", newline="\n")


def _kind(rng: Random, models: list[str]) -> list[str]:
    side = rng.choice([256, 384, 512, 512, 640, 768])
    return [
        f"txt2img.width={side}",
        f"txt2img.height={rng.choice([side, 512])}",
        f"txt2img.steps={rng.choice([8, 12, 20, 20, 30])}",
        f"txt2img.sampler_name={rng.choice(['Euler a', 'Euler a', 'DPM++ 2M', 'Heun'])}",
        f"txt2img.model={rng.choice(['', '', '', rng.choice(models)])}",
        f"upscale.enabled={rng.choice(['false', 'false', 'true'])}",
    ]


def _run(database: Path, run_id: str, created_at: str) -> dict[str, object]:
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "SELECT job.node_name, job.ended_at, job_spec.spec, job.report, job.run_time FROM run"
            " JOIN job ON job.run_seq = run.seq JOIN job_spec ON job_spec.job_seq = job.seq"
            " WHERE run.run_id = ? ORDER BY job.idx",
            (run_id,),
        ).fetchall()
    connection.close()
    images = [
        made(node, ended_at, JobSpec.from_json(json.loads(spec)), json.loads(report), run_time)
        for node, ended_at, spec, report, run_time in rows
    ]
    [work] = {image.work for image in images if image is not None}  # the jobs of such a run are alike
    return {
        "created_at": created_at,
        "work": asdict(work),
        "jobs": [
            [image.node, image.ended_at, [round(one, 4) for one in image.seconds]]
            for image in images
            if image is not None
        ],
    }


if __name__ == "__main__":
    main()
