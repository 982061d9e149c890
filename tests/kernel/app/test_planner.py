"""From a client's request to a plan: where presets come from, and whose fault it is when there is none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from kernel_kit import Basics

from stablenew_api import hookimpl
from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import PluginError, UserError
from stablenew_api.jobs import JobSpec
from stablenew_api.testing import host_of
from stablenew_kernel.app import planning
from stablenew_kernel.app.planning import Planner
from stablenew_kernel.domain.pipeline import Resolver
from stablenew_kernel.domain.profiles import ENDING
from stablenew_kernel.domain.settings import Settings
from stablenew_proto.v1 import kernel_pb2 as pb


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The person's presets and the shipped ones."""
    shipped, own = tmp_path / "shipped", tmp_path / "presets"
    (shipped / "presets").mkdir(parents=True)
    own.mkdir()
    monkeypatch.setattr(planning, "SHIPPED", (tmp_path / "not there", shipped))
    return own, shipped / "presets"


def write_preset(folder: Path, name: str, steps: int) -> None:
    (folder / f"{name}.json").write_text(json.dumps({"txt2img": {"steps": steps}}), encoding="utf-8")


def planner(own: Path, *plugins: object) -> Planner:
    return Planner(host_of(Basics(), *plugins), DataFolder(own.parent), Settings(), Random(3))


def steps_of(own: Path, **request: object) -> int:
    run = pb.RunRequest(pack_name="p.txt", pack=b"a house", **request)  # type: ignore[arg-type]
    [job] = planner(own).plan(run).jobs
    return int(job.spec.stages[0].config["steps"])


def test_the_persons_preset_wins_over_the_shipped_one(places: tuple[Path, Path]) -> None:
    own, shipped = places
    write_preset(shipped, "portrait", 11)
    write_preset(shipped, "landscape", 22)
    assert steps_of(own, preset="portrait") == 11
    write_preset(own, "portrait", 33)
    assert steps_of(own, preset="portrait") == 33
    assert steps_of(own, preset="landscape") == 22
    assert steps_of(own) == 1


def test_a_preset_by_content_wins_over_a_name(places: tuple[Path, Path]) -> None:
    own, _ = places
    write_preset(own, "portrait", 33)
    assert steps_of(own, preset="portrait", preset_json=b'{"txt2img": {"steps": 44}}') == 44


def test_an_unknown_preset_is_told_its_neighbour(places: tuple[Path, Path]) -> None:
    own, shipped = places
    write_preset(shipped, "portrait", 11)
    with pytest.raises(UserError, match=r"no preset is called 'portait'; .*portrait"):
        steps_of(own, preset="portait")


def test_a_name_is_no_path(places: tuple[Path, Path]) -> None:
    own, _ = places
    write_preset(own.parent, "secret", 1)
    with pytest.raises(UserError, match=r"no preset is called '\.\./secret'"):
        steps_of(own, preset="../secret")


def test_a_preset_that_cannot_be_read_is_named(places: tuple[Path, Path]) -> None:
    own, _ = places
    (own / "portrait.json").mkdir()
    with pytest.raises(UserError, match=r"preset .*portrait\.json: .*; check the file and its permissions"):
        steps_of(own, preset="portrait")


def test_settings_are_read_once_and_anew_when_anything_of_them_changed(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, _ = places
    made = 0
    resolver_of = planning.resolver_of

    def counted(*arguments: Any) -> Resolver:
        nonlocal made
        made += 1
        return resolver_of(*arguments)

    monkeypatch.setattr(planning, "resolver_of", counted)
    ours = planner(own)

    def planned(**request: Any) -> tuple[object, int]:
        before = made
        [job] = ours.plan(pb.RunRequest(pack_name="p.txt", pack=b"a house", seed=1, **request)).jobs
        fresh = planner(own).plan(pb.RunRequest(pack_name="p.txt", pack=b"a house", seed=1, **request))
        assert [job] == list(fresh.jobs), "not what a planner makes that has kept nothing"
        return job.spec.stages[0].config["steps"], made - before - 1

    write_preset(own, "portrait", 3)
    assert planned(preset="portrait") == (3, 1)
    assert planned(preset="portrait") == (3, 0)
    assert planned(preset="portrait", sets=["txt2img.steps=4"]) == (4, 1)
    assert planned(preset="portrait", sidecar=b'{"txt2img": {"steps": 5}}') == (5, 1)
    assert planned(preset="portrait") == (3, 0)
    write_preset(own, "portrait", 6)
    assert planned(preset="portrait") == (6, 1)
    (own / "global_negative.txt").write_text("blurry", encoding="utf-8")
    asks = ["pipeline.apply_global_negative_txt2img=true"]
    assert planned(preset="portrait", sets=asks) == (6, 1)
    (own / "global_negative.txt").write_text("grey", encoding="utf-8")
    assert planned(preset="portrait", sets=asks) == (6, 1)
    profile = own.parent / "profiles"
    profile.mkdir()
    assert planned(preset="portrait", sets=asks) == (6, 0)
    (profile / f"m{ENDING}").write_text('{"model": "m"}', encoding="utf-8")
    assert planned(preset="portrait", sets=asks) == (6, 1)


class Raising:
    plugin_name = "half_baked"

    @hookimpl
    def stablenew_filter_jobs(self, jobs: Sequence[JobSpec]) -> Sequence[JobSpec]:
        raise ZeroDivisionError("a bug in a plugin")


class EveryOther:
    plugin_name = "every_other"

    @hookimpl
    def stablenew_filter_jobs(self, jobs: Sequence[JobSpec]) -> Sequence[JobSpec]:
        return jobs[::2]


def test_a_filter_that_raises_is_named(places: tuple[Path, Path]) -> None:
    run = pb.RunRequest(pack_name="p.txt", pack=b"a house", count=4)
    with pytest.raises(PluginError, match=r"half_baked.*ZeroDivisionError"):
        planner(places[0], Raising()).plan(run)


def test_a_filter_drops_jobs(places: tuple[Path, Path]) -> None:
    run = pb.RunRequest(pack_name="p.txt", pack=b"a house", count=4, seed=10)
    jobs = planner(places[0], EveryOther()).plan(run).jobs
    assert [job.spec.stages[0].seed for job in jobs] == [10, 12]


def test_who_queues_several_packs_gets_of_each_what_was_shown(places: tuple[Path, Path]) -> None:
    own, _ = places
    ours = planner(own)
    runs = [pb.RunRequest(pack_name="p.txt", pack_path=f"{n}/p.txt", pack=b"a house") for n in range(3)]

    def drawn(run: pb.RunRequest) -> list[JobSpec]:
        return [job.spec for job in ours.plan(run).jobs]

    shown = [drawn(run) for run in runs]
    assert len({specs[0].stages[0].seed for specs in shown}) == 3
    queued = []
    for run in runs:
        with ours.turn():
            queued.append(drawn(run))
            ours.draw_anew(planning.pack_of(run))
    assert queued == shown
    again = [drawn(run) for run in runs]
    assert all(one != other for one, other in zip(again, shown, strict=True))
    assert again == [drawn(run) for run in runs]


def test_packs_that_are_forgotten_do_not_draw_what_they_drew_first(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, _ = places
    monkeypatch.setattr(planning, "DRAWS_KEPT", 2)
    ours = planner(own)
    run = pb.RunRequest(pack_name="p.txt", pack=b"a house")
    seeds = {ours.plan(run).plan_seed}
    for other in ("p.txt", "q.txt", "r.txt"):
        ours.draw_anew(other)
        seeds.add(ours.plan(run).plan_seed)
    assert len(seeds) == 3  # the first, the one behind its run, and the one behind being forgotten
