"""From a client's request to a plan: where presets come from, and whose fault it is when there is none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from kernel_kit import Basics

from stablenew_api import hookimpl
from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import PluginError, UserError
from stablenew_api.jobs import JobSpec
from stablenew_api.testing import host_of
from stablenew_kernel.app import planning
from stablenew_kernel.app.planning import Planner
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
