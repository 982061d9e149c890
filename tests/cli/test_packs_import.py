"""``stablenew packs import``: what is written where, what is refused, what is said."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stablenew_api.datafolder import DataFolder
from stablenew_api.png import with_text

Call = Callable[..., Any]
STYLES = "name,prompt,negative_prompt\nNeon,neon streets,fog\n"
INFOTEXT = "a cat\nNegative prompt: fog\nSteps: 30, Sampler: Euler a, CFG scale: 6.5, Seed: 5, Size: 512x768"


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def png(infotext: str = INFOTEXT, size: int = 64) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size)).save(buffer, "PNG")
    return with_text(buffer.getvalue(), {"parameters": infotext} if infotext else {})


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_styles_go_into_the_data_folders_packs(call: Call, data: DataFolder, tmp_path: Path) -> None:
    result = call("packs", "import", write(tmp_path / "styles.csv", STYLES))
    assert (result.code, result.err) == (0, "")
    assert everything(data.packs) == {"styles.txt": b"# Neon\nneon streets\nneg: fog\n"}
    assert "styles.csv: Styles of A1111 (styles.csv)" in result.out
    assert f"wrote {data.packs / 'styles.txt'} (1 row)" in result.out


def test_a_dry_run_writes_nothing_and_shows_the_same(call: Call, data: DataFolder, tmp_path: Path) -> None:
    given = write(tmp_path / "cat.png", png())
    before = everything(data.root)
    result = call("packs", "import", given, "--dry-run")
    assert result.code == 0
    assert everything(data.root) == before
    assert f"would write {data.packs / 'cat.json'} (settings)" in result.out
    assert "2 files would be written; nothing was (--dry-run)" in result.out
    assert "    | a cat\n    | neg: fog\n" in result.out
    assert '    |     "steps": 30,\n' in result.out
    (planned,) = call("packs", "import", given, "--dry-run", "--json").json["imports"]
    (done,) = call("packs", "import", given, "--json").json["imports"]
    assert planned == done
    assert sorted(done["files"]) == [str(data.packs / "cat.json"), str(data.packs / "cat.txt")]


def test_json_says_everything(call: Call, data: DataFolder, tmp_path: Path) -> None:
    given = write(tmp_path / "cat.png", png())
    assert call("packs", "import", given, "--json").json == {
        "dry_run": False,
        "imports": [
            {
                "source": str(given),
                "format": "a1111_image",
                "files": [str(data.packs / "cat.json"), str(data.packs / "cat.txt")],
                "unchanged": [],
                "notes": [],
                "settings": {
                    "txt2img": {
                        "sampler_name": "Euler a",
                        "steps": 30,
                        "cfg_scale": 6.5,
                        "seed": 5,
                        "width": 512,
                        "height": 768,
                    }
                },
                "prompt": "a cat",
                "negative_prompt": "fog",
            }
        ],
        "skipped": [],
        "refused": [],
    }


def test_a_name_that_is_taken_gets_a_number_sidecar_and_all(call: Call, tmp_path: Path) -> None:
    given, out = write(tmp_path / "cat.png", png()), tmp_path / "out"
    write(out / "cat.json", "{}")  # a sidecar of somebody's, which must never meet the new pack
    write(out / "CAT-2.TXT", "mine\n")  # the same name on Windows and macOS, where a number is used once
    first = call("packs", "import", given, "--to", out)
    assert first.code == 0
    assert "cat is taken" in first.out
    assert (out / "cat.json").read_bytes() == b"{}"
    assert (out / "CAT-2.TXT").read_bytes() == b"mine\n"
    assert not (out / "cat.txt").exists()
    new = {name for name in everything(out) if name not in ("cat.json", "CAT-2.TXT")}
    (stem,) = {name.rpartition(".")[0] for name in new}
    assert new == {f"{stem}.txt", f"{stem}.json"}


def test_two_files_of_one_name_in_one_go(call: Call, tmp_path: Path) -> None:
    one, two = (
        write(tmp_path / "a" / "cat.png", png()),
        write(tmp_path / "b" / "Cat.png", png("a dog" + INFOTEXT)),
    )
    assert call("packs", "import", one, two, "--to", tmp_path / "out").code == 0
    assert len(everything(tmp_path / "out")) == 4


def test_the_name_can_be_chosen(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = write(tmp_path / "cat.png", png())
    assert call("packs", "import", given, "--to", out, "--name", "mine").code == 0
    assert set(everything(out)) == {"mine.txt", "mine.json"}
    for name in ("a/b", "../x", "con", "x?"):
        result = call("packs", "import", given, "--to", out, "--name", name)
        assert result.code == 2
        assert f"--name {name}" in result.err
    both = call("packs", "import", given, write(tmp_path / "s.csv", STYLES), "--to", out, "--name", "mine")
    assert both.code == 2
    assert "these are 2 packs" in both.err
    assert set(everything(out)) == {"mine.txt", "mine.json"}


def test_a_folder_of_wildcards(call: Call, data: DataFolder, tmp_path: Path) -> None:
    folder = tmp_path / "wildcards"
    write(folder / "hair.txt", "red\nblond\n")
    write(folder / "tone" / "skin.txt", "<random:dark, light>\n")
    write(folder / "more.yaml", "eyes:\n  - green\n")
    write(folder / "readme.md", "hello")
    write(folder / ".git" / "x.txt", "hidden")
    result = call("packs", "import", folder)
    assert (result.code, result.err) == (0, "")
    assert everything(data.wildcards) == {
        "hair.txt": b"red\nblond\n",
        "more.yaml": b"eyes:\n  - green\n",
        "tone/skin.txt": b"{dark|light}\n",
    }
    assert "skipped: wildcards/readme.md: no importer reads .md files" in result.out
    again = call("packs", "import", folder)
    assert again.code == 0
    assert again.out.count("is there already, the same") == 3
    assert "0 files written" in again.out


def test_a_wildcard_file_that_differs_is_refused_and_the_others_are_written(
    call: Call, data: DataFolder, tmp_path: Path
) -> None:
    write(data.wildcards / "hair.txt", "mine\n")
    folder = tmp_path / "wildcards"
    write(folder / "hair.txt", "red\n")
    write(folder / "eyes.txt", "green\n")
    result = call("packs", "import", folder)
    assert result.code == 1
    assert (
        f"not written: {data.wildcards / 'hair.txt'} exists with another content; rename or remove"
        in result.err
    )
    assert everything(data.wildcards) == {"hair.txt": b"mine\n", "eyes.txt": b"green\n"}


def test_a_folder_of_another_name_needs_the_format(call: Call, tmp_path: Path) -> None:
    folder, out = tmp_path / "cards", tmp_path / "out"
    write(folder / "hair.txt", "red\n")
    refused = call("packs", "import", folder, "--to", out)
    assert refused.code == 2
    assert "nothing in it says what it is" in refused.err
    assert "wildcards" in refused.err
    assert call("packs", "import", folder, "--to", out, "--as", "wildcards").code == 0
    assert everything(out) == {"wildcards/hair.txt": b"red\n"}


def test_a_folder_of_images_skips_what_says_nothing(call: Call, tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out"
    write(folder / "a.png", png())
    write(folder / "b.png", png(""))
    write(folder / "c.png", png()[:40])
    result = call("packs", "import", folder, "--to", out)
    assert result.code == 0
    assert set(everything(out)) == {"a.txt", "a.json"}
    assert result.out.count("skipped: ") == 2
    assert "pictures/b.png" in result.out


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.csv", None, "no such file"),
        ("plain.txt", "a cat\n", "say so with --as"),
        ("x.doc", "a cat\n", "no importer reads .doc files"),
        ("styles.csv", b"name,prompt\na,\xe9\n", "line 2: byte 0xe9 is not UTF-8"),
        ("bare.png", png(""), "say so with --as"),
    ],
)
def test_a_file_that_cannot_be_imported_stops_everything(
    call: Call, data: DataFolder, tmp_path: Path, name: str, content: str | bytes | None, words: str
) -> None:
    good = write(tmp_path / "good.csv", STYLES)
    path = write(tmp_path / name, content) if content is not None else tmp_path / name
    result = call("packs", "import", good, path)
    assert result.code == 2
    assert words in result.err
    assert name in result.err
    assert result.err.count("\n") == 1
    assert not data.packs.exists()


def test_an_unknown_format_lists_those_there_are(call: Call, tmp_path: Path) -> None:
    result = call("packs", "import", write(tmp_path / "s.csv", STYLES), "--as", "gif")
    assert result.code == 2
    assert "known: a1111_image, comfyui, dream_factory" in result.err


PLUGIN = """
from stablenew_api import hookimpl
from stablenew_api.importer import Imported, Importer

class Twin(Importer):
    name, title, endings = "twin", "Also styles", (".csv", ".bad", ".out")
    def sniff(self, name, data):
        return True
    def read(self, name, data):
        if name.endswith(".bad"):
            raise KeyError("oops")
        return Imported({"../escape.txt": b"a"})

@hookimpl
def stablenew_importers():
    return [Twin]
"""


def test_an_importer_of_a_plugin(call: Call, data: DataFolder, tmp_path: Path) -> None:
    """Two that say yes: the person chooses. One that breaks is named, and nothing leaves the folder."""
    write(data.plugins / "twin.py", PLUGIN)
    styles = write(tmp_path / "s.csv", STYLES)
    asked = call("packs", "import", styles)
    assert asked.code == 2
    assert "s.csv: may be styles_csv or twin; say which with --as" in asked.err
    assert call("packs", "import", styles, "--as", "styles_csv").code == 0
    broken = call("packs", "import", write(tmp_path / "x.bad", "x"))
    assert broken.code == 4
    assert "importer twin: read failed on x.bad: KeyError('oops')" in broken.err
    escaping = call("packs", "import", write(tmp_path / "x.out", "x"))
    assert escaping.code == 4
    assert "no relative path" in escaping.err
    assert not list(tmp_path.rglob("escape.txt"))


def test_problems_of_the_new_pack_are_said(call: Call, tmp_path: Path) -> None:
    """A choice that the randomizer does not take is noted with its place; the rest of the pack is there."""
    given = write(tmp_path / "s.csv", "name,prompt\nOne,{3-2$$a|b}\nTwo,fine\n")
    result = call("packs", "import", given, "--to", tmp_path / "out")
    assert result.code == 0
    assert "note: s.txt, row 1, line 2, column 1: the range 3-2 runs backwards" in result.out


def test_sidecars_are_json_that_runs(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "out"
    call("packs", "import", write(tmp_path / "cat.png", png()), "--to", out)
    assert json.loads((out / "cat.json").read_text(encoding="utf-8"))["txt2img"]["steps"] == 30
