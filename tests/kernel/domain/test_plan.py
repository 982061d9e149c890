"""Plans: what is previewed is what is queued, seeds, needs, provenance, replay."""

from __future__ import annotations

import copy
import hashlib
import json
import time
import tracemalloc
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_stages import STAGES, Txt2Img

from stablenew_api.errors import PluginError, UserError
from stablenew_api.jobs import JobSpec, Needs
from stablenew_kernel.domain.packs import Pack, parse_pack
from stablenew_kernel.domain.plan import (
    Plan,
    PlanRequest,
    advance_seed,
    draw_seed,
    plan_run,
)
from stablenew_kernel.domain.replay import replay_plan

PACK = parse_pack("demo.txt", b"# demo\nred <embedding:deep>\nneg: blue\n\ngreen\n\nyellow\n")


def plan(pack: Pack = PACK, rng: int = 1, **request: Any) -> Plan:
    return plan_run(PlanRequest(pack, **request), STAGES, rng=Random(rng))


def seeds(made: Plan) -> list[int]:
    return [job.spec.stages[0].seed for job in made.jobs]


def test_a_job_is_resolved_to_the_end() -> None:
    made = plan(
        preset={
            "txt2img": {"model_name": "dream", "negative_prompt": "ugly"},
            "img2img": {"prompt_adjust": "soft"},
        },
        preset_name="soft.json",
        sets=["img2img.enabled=true", "txt2img.steps=30"],
        rows="1",
        seed=7,
        count=2,
        run_timeout=90.0,
    )
    job = made.jobs[1]
    assert (job.index, job.row, made.name, made.line) == (1, 1, "demo", "2 seeds = 2 images")
    first, second = job.spec.stages
    assert (first.name, first.version, first.prompt, first.negative_prompt, first.seed) == (
        "txt2img",
        "1.0",
        "red deep",
        "blue, ugly",
        8,
    )
    assert (second.name, second.version, second.prompt, second.seed) == ("img2img", "1.1", "red deep soft", 8)
    assert first.config == {
        "model": "dream",
        "sampler_name": "Euler a",
        "steps": 30,
        "cfg_scale": 7.0,
        "width": 512,
        "height": 512,
        "negative_prompt": "ugly",
        "seed": 8,
        "batch_size": 1,
        "styles": [],
        "tiling": False,
        "enable_hr": False,
        "hr_second_pass_steps": 0,
    }
    features, names = frozenset({"txt2img", "img2img"}), frozenset({"embeddings:deep"})
    assert job.spec.needs == Needs("dream", 512 * 512, features, names)
    assert job.spec.run_timeout == 90.0
    assert job.spec.provenance == {
        "pack": "demo.txt",
        "pack_sha256": PACK.sha256,
        "row": 1,
        "line": 2,
        "template": "red <embedding:deep>\nneg: blue",
        "choices": [],
        "preset": "soft.json",
        "sidecar": "",
        "image": 1,
        "images": 2,
        "base_seed": 7,
        "seed_mode": "per_image",
        "plan_seed": made.plan_seed,
    }
    assert JobSpec.from_json(json.loads(job.spec.canonical())).canonical() == job.spec.canonical()


def test_a_given_seed_counts_up_and_is_the_same_in_each_row() -> None:
    assert seeds(plan(seed=100, count=3, rows="1,3")) == [100, 101, 102, 100, 101, 102]
    assert seeds(plan(sets=["txt2img.seed=5"], rows="1-2")) == [5, 5]
    assert seeds(plan(sets=["txt2img.seed=5"], seed=6, rows="1")) == [6]
    assert min(seeds(plan(sets=["txt2img.seed=5"], seed=-1, rows="1"))) != 5


def test_seeds_stay_inside_the_range_of_their_base() -> None:
    assert [advance_seed(2**32 - 1, i) for i in (0, 1, 2)] == [2**32 - 1, 0, 1]
    assert [advance_seed(2**32, i) for i in (0, 1)] == [2**32, 2**32 + 1]
    assert [advance_seed(2**64 - 1, i) for i in (0, 1)] == [2**64 - 1, 0]


def test_a_stage_may_have_a_seed_of_its_own() -> None:
    made = plan(seed=10, count=2, rows="1", sets=["img2img.enabled=1", "img2img.seed=50", "frame.enabled=1"])
    assert [[stage.seed for stage in job.spec.stages] for job in made.jobs] == [[10, 50, 10], [11, 51, 11]]


def test_drawn_seeds_follow_from_the_plan_seed_and_the_row_alone() -> None:
    made = plan(rng=3, count=2)
    bases = [draw_seed(made.plan_seed, row) for row in (1, 2, 3)]
    assert seeds(made) == [seed for base in bases for seed in (base, advance_seed(base, 1))]
    assert len(set(bases)) == 3
    assert [job.spec.provenance["base_seed"] for job in made.jobs[::2]] == bases
    longer = parse_pack("demo.txt", b"red\n\ngreen\n\nyellow\n\nmore\n")
    assert seeds(plan(longer, rng=3, count=2))[:6] == seeds(made)
    assert seeds(plan(rng=3, count=2, rows="3")) == seeds(made)[4:]
    assert seeds(plan(rng=4, count=2)) != seeds(made)
    # Pinned: a change of this number would change what an old record with this plan seed means.
    assert draw_seed(12345, 1) == int(hashlib.sha256(b"stablenew seed 12345 row 1").hexdigest()[:8], 16)


@given(
    st.integers(1, 12),
    st.integers(1, 4),
    st.integers(-1, 2**64 - 1),
    st.lists(st.sampled_from(["img2img.enabled=1", "frame.enabled=1", "txt2img.steps=9", "upscale.enabled=1"])),
    st.integers(0, 9),
)
@settings(max_examples=100, deadline=None)
def test_preview_is_the_run(rows: int, count: int, seed: int, sets: list[str], rng: int) -> None:
    """Counting, indexing, slicing and iterating, twice over, tell of the very same jobs."""
    pack = parse_pack("p.txt", "\n\n".join(f"row {n}" for n in range(rows)).encode())
    request = PlanRequest(pack, sets=sets, count=count, seed=seed)
    made = plan_run(request, STAGES, rng=Random(rng))
    again = plan_run(request, STAGES, rng=Random(rng))
    listed = list(made.jobs)
    assert len(made.jobs) == len(listed) == rows * count
    assert listed == [made.jobs[i] for i in range(len(listed))] == list(made.jobs[:]) == list(again.jobs)
    assert made.jobs[-1] == listed[-1]
    assert [job.index for job in listed] == list(range(rows * count))
    filtered = plan_run(request, STAGES, rng=Random(rng), filter_jobs=lambda jobs: jobs)
    assert [job.spec.sha256 for job in filtered.jobs] == [job.spec.sha256 for job in listed]
    with pytest.raises(IndexError):
        made.jobs[rows * count]


def test_planning_changes_none_of_its_input_and_jobs_share_no_config() -> None:
    preset = {"txt2img": {"styles": ["a"], "model_name": "m"}, "pipeline": {"post_processors": ["frame"]}}
    sidecar = {"txt2img": {"steps": 3, "enabled": True}}
    before = copy.deepcopy((preset, sidecar))
    made = plan(preset=preset, sidecar=sidecar, sets=["txt2img.steps=4"])
    first, second = made.jobs[0].spec, made.jobs[1].spec
    assert isinstance(first.stages[0].config, dict)
    first.stages[0].config["steps"] = 99
    assert second.stages[0].config["steps"] == 4
    assert (preset, sidecar) == before


def test_count_overrides_the_batch() -> None:
    preset = {"txt2img": {"batch_size": 3}, "pipeline": {"images_per_prompt": 2}}
    made = plan(preset=preset, rows="1")
    assert len(made.jobs) == 6
    assert made.jobs[5].spec.stages[0].config["batch_size"] == 1
    assert len(plan(preset=preset, rows="1", count=4).jobs) == 4


def test_a_row_that_cannot_be_read_is_refused_if_it_would_run() -> None:
    pack = parse_pack("wild.txt", b"fine\n\na\n{open\n\n{2$$}\n")
    with pytest.raises(UserError, match=r"pack wild\.txt, row 2, line 4, column 1: this \{ .*\(and 1 more\)"):
        plan(pack)
    assert len(plan(pack, rows="1").jobs) == 1


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"rows": "9"}, "no row 9; pack demo.txt has 3 rows"),
        ({"count": 0}, "--count 0: must be 1 or more"),
        ({"seed": 2**64}, "--seed 18446744073709551616: must be -1"),
        ({"sets": ["txt2img.steps=0"]}, "out of range (1 to 150)"),
        (
            {"preset": {"txt2img": {"steps": 0}}, "preset_name": "a.json"},
            "preset a.json: txt2img.steps: 0 is out of",
        ),
        (
            {"sidecar": {"txt2img": {"steps": 0}}, "sidecar_name": "d.json"},
            "sidecar d.json: txt2img.steps: 0 is out",
        ),
    ],
)
def test_a_wrong_request(request_: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as error:
        plan(**request_)
    assert words in str(error.value)


def test_warnings_reach_the_plan() -> None:
    assert plan(preset={"pipeline": {"output_dir": "x"}}, preset_name="p.json").warnings == (
        "preset p.json: no stage does this yet, ignored: pipeline.output_dir",
    )


# --- filters -------------------------------------------------------------------------------------------------


def test_a_filter_may_change_drop_and_add() -> None:
    def filter_jobs(jobs: Sequence[JobSpec]) -> list[JobSpec]:
        return [jobs[2], jobs[0], JobSpec(jobs[0].stages)]

    made = plan_run(PlanRequest(PACK), STAGES, rng=Random(1), filter_jobs=filter_jobs)
    assert [(job.index, job.row) for job in made.jobs] == [(0, 3), (1, 1), (2, 0)]
    assert made.line == "3 rows = 3 images"
    fewer = plan_run(PlanRequest(PACK), STAGES, rng=Random(1), filter_jobs=lambda jobs: jobs[:1])
    assert fewer.line == "3 rows = 3 images; plugins made it 1 image"


@pytest.mark.parametrize(("result", "error"), [([], UserError), (["x"], PluginError), (None, PluginError)])
def test_a_filter_that_breaks_its_contract(result: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="plugin"):
        plan_run(PlanRequest(PACK), STAGES, rng=Random(1), filter_jobs=lambda jobs: result)


def test_a_stage_that_raises_is_named() -> None:
    class Broken(Txt2Img):
        @classmethod
        def resolve_prompts(cls, config: Any, prompt: str, negative_prompt: str) -> tuple[str, str]:
            raise ZeroDivisionError("oops")

    with pytest.raises(PluginError, match=r"stage txt2img 1\.0: resolve_prompts failed: ZeroDivisionError"):
        plan_run(PlanRequest(PACK), {"txt2img": Broken}, rng=Random(1))


# --- replay --------------------------------------------------------------------------------------------------


def test_replay_is_the_same_job_to_the_byte() -> None:
    spec = plan(seed=2**64 - 1, sets=["img2img.enabled=1"]).jobs[0].spec
    again = replay_plan(spec.canonical(), "00001.png", STAGES)
    (job,) = again.jobs
    assert (job.spec.canonical(), job.spec.sha256, job.row, again.name) == (
        spec.canonical(),
        spec.sha256,
        1,
        "00001",
    )
    assert again.warnings == ()


def stored(**changes: Any) -> bytes:
    data = json.loads(plan().jobs[0].spec.canonical())
    data["stages"][0].update(changes)
    return json.dumps(data).encode("utf-8")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (b"not json", "cannot be read"),
        (b"[]", "cannot be read"),
        (b"{}", "cannot be read"),
        (stored(name="crystal"), "stage 'crystal', which no plugin provides"),
        (stored(name="txt2im"), "did you mean txt2img?"),
        (stored(config={"steps": "x"}), "does not take the settings it was made with (by version 1.0)"),
        (stored(config=3), "not complete"),
        (stored(seed=-1), "not complete"),
        (stored(seed=True), "not complete"),
        (stored(prompt=None), "not complete"),
        (
            b'{"stages":[],"needs":{"model":"","vram_bytes":0,"features":[]},"inputs":[],"run_timeout":1,"provenance":{}}',
            "not complete",
        ),
    ],
)
def test_what_cannot_be_replayed(spec: bytes, words: str) -> None:
    with pytest.raises(UserError) as error:
        replay_plan(spec, "00001.png", STAGES)
    assert words in str(error.value)
    assert "00001.png" in str(error.value)


def test_replay_with_another_version_warns() -> None:
    assert replay_plan(stored(version="0.9"), "a.png", STAGES).warnings == (
        "a.png: made with txt2img 0.9, this is 1.0; pixels may differ",
    )


# --- size ----------------------------------------------------------------------------------------------------


def test_ten_thousand_rows_in_a_second_and_in_constant_memory() -> None:
    pack = parse_pack("big.txt", b"\n\n".join(b"a landscape, number %d" % n for n in range(10_000)))
    start = time.thread_time()
    made = plan(pack, sets=["img2img.enabled=1", "upscale.enabled=1", "frame.enabled=1"])
    assert sum(1 for _ in made.jobs) == 10_000
    assert time.thread_time() - start < 2.0  # of this process; 0.2 s on a quiet machine
    tracemalloc.start()
    try:
        for _ in zip(made.jobs, range(2_000), strict=False):
            pass
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()
