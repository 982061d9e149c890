"""Wildcard files on disk, and their way into a plan: whose go first, and what is told when one is broken."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest
from kernel_kit import Basics

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError
from stablenew_api.testing import host_of
from stablenew_client import wildcardfolder as module
from stablenew_client.wildcardfolder import WildcardFolder
from stablenew_kernel.app.planning import Planner
from stablenew_kernel.domain.settings import Settings
from stablenew_plugins import randomizers
from stablenew_proto.v1 import kernel_pb2 as pb


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def test_a_folder_is_read_when_asked_and_again_when_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hair = write(tmp_path, "people/hair.txt", "blond")
    write(tmp_path, "all.YAML", "a: [b]")
    write(tmp_path, "notes.md", "no wildcards")
    write(tmp_path, ".git/x.txt", "nor these")
    folder = WildcardFolder(tmp_path)
    files = folder.files()
    assert sorted(files) == ["all.YAML", "people/hair.txt"]
    assert files["people/hair.txt"] == b"blond"
    opened: list[Path] = []
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: (opened.append(self), real(self, *a, **k))[1])
    assert folder.files()["people/hair.txt"] == b"blond"
    assert opened == []
    write(tmp_path, "people/hair.txt", "black and brown")
    assert folder.files()["people/hair.txt"] == b"black and brown"
    hair.unlink()
    with pytest.raises(UserError, match=r"hair\.txt: cannot be read .* check the file"):
        files["people/hair.txt"]
    assert list(folder.files()) == ["all.YAML"]


def test_no_folder_is_no_wildcards_and_the_wrong_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dict(WildcardFolder(tmp_path / "none").files()) == {}
    monkeypatch.setattr(module, "MAX_FILES", 2)
    for name in "abc":
        write(tmp_path, f"{name}.txt", name)
    with pytest.raises(UserError, match="more than 2 files; is this the right folder"):
        WildcardFolder(tmp_path).files()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_that_leads_back_ends(tmp_path: Path) -> None:
    write(tmp_path, "a/b.txt", "x")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert list(WildcardFolder(tmp_path).files()) == ["a/b.txt"]


def prompts(root: Path, pack: str, **more: object) -> list[str]:
    planner = Planner(host_of(Basics(), randomizers), DataFolder(root), Settings(), Random(3))
    run = pb.RunRequest(pack_name="p.txt", pack=pack.encode(), **more)  # type: ignore[arg-type]
    return [job.spec.stages[0].prompt for job in planner.plan(run).jobs]


def test_settings_go_before_sent_files_and_these_before_the_kernels_own(tmp_path: Path) -> None:
    write(tmp_path, "wildcards/hair.txt", "own")
    write(tmp_path, "wildcards/skin.txt", "own")
    write(tmp_path, "wildcards/tone.txt", "own")
    sent = [pb.NamedFile(name="hair.txt", content=b"sent"), pb.NamedFile(name="skin.txt", content=b"sent")]
    sidecar = b'{"randomization": {"wildcards": {"raw_text": "hair: settings"}}}'
    made = prompts(tmp_path, "__hair__ __skin__ __tone__", wildcards=sent, sidecar=sidecar)
    assert made == ["settings sent own"]


def test_versions_are_recorded_and_a_broken_file_is_told_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, "wildcards/hair.txt", "__tone__\n")
    write(tmp_path, "wildcards/tone.txt", "x\n{y\n")
    with pytest.raises(
        UserError, match=r"column 3: wildcard file tone\.txt, line 2, column 1: this \{ is never"
    ):
        prompts(tmp_path, "a __hair__")
    write(tmp_path, "wildcards/tone.txt", "x\n{y|z}\n")
    planner = Planner(host_of(Basics(), randomizers), DataFolder(tmp_path), Settings(), Random(3))
    (job,) = planner.plan(pb.RunRequest(pack_name="p.txt", pack=b"a __hair__")).jobs
    assert sorted(job.spec.provenance["wildcards"]) == ["hair", "tone"]
