"""``stablenew preset`` and ``stablenew profile``: the command line against the real library."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_library import FakeLibrary
from PIL import Image

from stablenew_api.jobs import JobSpec, StageSpec
from stablenew_api.png import STABLENEW, with_text
from stablenew_kernel.domain.infotext import CHUNK_FORMAT


@pytest.fixture
def library(data, kernel):
    """A kernel with a library."""
    kernel.stop()
    kernel.library = FakeLibrary(data)
    kernel.start()
    return kernel.library


@pytest.fixture
def mine(library, call):
    """A preset of the person's own, called mine."""
    result = call("preset", "save", "mine", "--set", "txt2img.steps=41", "--description", "for cats")
    assert (result.code, result.err) == (0, "")
    return "mine"


class TestPreset:
    def test_lists_what_there_is_and_what_is_broken(self, data, mine, call):
        (data.presets / "broken.json").write_text("{,}", encoding="utf-8")
        result = call("preset")
        assert result.code == 0
        lines = [line.split()[:2] for line in result.out.splitlines()]
        assert ["full", "shipped"] in lines
        assert ["mine", "own"] in lines
        assert "for cats" in result.out
        assert result.err.startswith("cannot be read: preset broken.json, line 1, column 2: ")
        listed = call("preset", "list", "--json").json
        assert {entry["name"] for entry in listed["entries"]} >= {"full", "mine"}
        assert len(listed["problems"]) == 1

    def test_shows_what_stands_in_it(self, mine, call):
        out = call("preset", "show", mine).out
        assert "for cats\n" in out
        assert "txt2img.steps  41\n" in out
        shown = call("preset", "show", mine, "--json").json
        assert shown["settings"] == {"txt2img": {"steps": 41}, "description": "for cats"}

    def test_explains_each_value(self, mine, call, pack):
        pack.with_suffix(".json").write_text('{\n"txt2img": {"width": 640}}', encoding="utf-8")
        given = ("preset", "show", mine, "--explain", "--pack", pack, "--set", "txt2img.height=448")
        rows = {line.split("  ")[0]: line for line in call(*given).out.splitlines()}
        assert "preset mine.json, line 3, column 5" in rows["txt2img.steps"]
        assert "default: 20" in rows["txt2img.steps"]
        assert "sidecar demo.json, line 2, column 13" in rows["txt2img.width"]
        assert "--set" in rows["txt2img.height"]
        found = call(*given, "--json").json
        assert found["stages"] == ["txt2img"]
        [steps] = [setting for setting in found["settings"] if setting["name"] == "txt2img.steps"]
        assert (steps["value"], steps["source"], steps["place"], steps["used"]) == (
            41,
            "preset mine.json",
            "line 3, column 5",
            True,
        )
        assert steps["below"] == [{"source": "default", "value": 20}]

    def test_explains_a_file_and_the_last_run(self, library, call, tmp_path):
        file = tmp_path / "other.json"
        file.write_text('{"txt2img": {"steps": 5}}', encoding="utf-8")
        found = call("preset", "show", file, "--explain", "--like-last", "--json").json
        [steps] = [setting for setting in found["settings"] if setting["name"] == "txt2img.steps"]
        assert (steps["value"], steps["source"]) == (33, "last run")
        assert steps["below"][0] == {"source": "preset other.json", "value": 5}

    def test_options_of_explain_alone_do_not_work_in_silence(self, mine, call):
        result = call("preset", "show", mine, "--set", "txt2img.steps=3")
        assert (result.code, "add --explain" in result.err) == (2, True)

    def test_saving_never_writes_over_without_being_told(self, data, mine, call):
        refused = call("preset", "save", mine, "--set", "txt2img.steps=42")
        assert refused.code == 2
        assert "add --replace (the old one goes to the trash)" in refused.err
        saved = call("preset", "save", mine, "--set", "txt2img.steps=42", "--replace")
        assert (saved.code, "the one of that name is now in the trash: " in saved.out) == (0, True)
        assert json.loads((data.presets / "mine.json").read_text(encoding="utf-8"))["txt2img"]["steps"] == 42

    def test_saves_from_a_preset_and_from_a_run(self, data, library, kernel, call):
        assert call("preset", "save", "a", "--from", "full", "--unset", "txt2img.steps").code == 0
        assert "steps" not in json.loads((data.presets / "a.json").read_text(encoding="utf-8"))["txt2img"]
        kernel.add_run()
        assert call("preset", "save", "b", "--from-run", "demo").code == 0
        assert json.loads((data.presets / "b.json").read_text(encoding="utf-8"))["txt2img"] == {"steps": 33}
        assert call("preset", "save", "c", "--from", "a", "--from-run", "demo").code == 2

    def test_warns_of_what_has_no_effect(self, library, call, tmp_path):
        file = tmp_path / "old.json"
        file.write_text('{"txt2img": {"stepz": 3}}', encoding="utf-8")
        out = call("preset", "import", file).out
        assert "warning: preset old.json: unknown settings, ignored: txt2img.stepz (line 1, column 14;" in out

    def test_diff_of_presets_packs_and_files(self, library, mine, call, pack, tmp_path):
        out = call("preset", "diff", "quick", mine).out
        assert "txt2img.steps" in out
        assert "(not set)" in out
        assert "different" in out
        missing = call("preset", "diff", mine, pack)
        assert (missing.code, "there is no demo.json beside it" in missing.err) == (2, True)
        pack.with_suffix(".json").write_text('{"txt2img": {"steps": 41}}', encoding="utf-8")
        assert call("preset", "diff", mine, pack, "--json").json == {"differences": [], "equal": 1}

    def test_diff_with_an_image(self, library, mine, call, tmp_path):
        spec = JobSpec((StageSpec("txt2img", "1.0", "a", "", 1, {"steps": 40}),))
        chunk = {"format": CHUNK_FORMAT, "spec": spec.to_json(), "spec_sha256": spec.sha256}
        path = tmp_path / "image.png"
        Image.new("RGB", (2, 2)).save(path)
        path.write_bytes(with_text(path.read_bytes(), {STABLENEW: json.dumps(chunk)}))
        found = call("preset", "diff", mine, path, "--json").json["differences"]
        assert {"name": "txt2img.steps", "left": 41, "right": 40} in found

    def test_copy_rename_delete_restore(self, data, mine, call):
        assert call("preset", "copy", mine, "second").code == 0
        assert call("preset", "rename", "second", "third").code == 0
        assert call("preset", "rename", mine, "third").code == 2
        deleted = call("preset", "delete", "third")
        assert "take it back with: stablenew preset restore third" in deleted.out
        assert "third" in call("preset", "list", "--trash").out
        assert call("preset", "restore", "third", "--as", "fourth").code == 0
        assert sorted(path.name for path in data.presets.iterdir()) == ["fourth.json", "mine.json"]
        assert "no preset is in the trash" in call("preset", "list", "--trash").out
        assert call("preset", "delete", "full").code == 2

    def test_export_and_import_keep_every_byte(self, data, library, call, tmp_path):
        odd = tmp_path / "odd one.json"
        odd.write_bytes(b'\xef\xbb\xbf{"x": [1 ,2],\r\n "txt2img":{}}')
        assert call("preset", "import", odd).code == 0
        folder = tmp_path / "out"
        folder.mkdir()
        assert call("preset", "export", "odd one", folder).code == 0
        assert (folder / "odd one.json").read_bytes() == odd.read_bytes()
        again = call("preset", "export", "odd one", folder)
        assert (again.code, "is there already" in again.err) == (2, True)
        assert call("preset", "export", "odd one", folder, "--replace").code == 0
        assert call("preset", "import", odd).code == 2
        assert call("preset", "import", odd, "--name", "con").code == 2
        assert call("preset", "import", tmp_path / "nothing.json").code == 2

    def test_json_of_changes(self, mine, call):
        saved = call("preset", "save", "other", "--from", mine, "--json").json
        assert saved["entry"]["name"] == "other"
        assert call("preset", "copy", mine, "x", "--json").json["entry"]["name"] == "x"
        assert Path(call("preset", "delete", "x", "--json").json["trash_path"]).exists()


class TestRun:
    def test_explain_of_a_run_counts_its_options(self, library, call, pack):
        found = call("run", pack, "--preset", "quick", "--seed", 5, "--count", 3, "--explain", "--json").json
        values = {setting["name"]: (setting["value"], setting["source"]) for setting in found["settings"]}
        assert values["txt2img.seed"] == (5, "--seed")
        assert values["pipeline.images_per_prompt"] == (3, "--count")

    def test_like_last_is_asked_for(self, kernel, call, pack):
        call("run", pack, "--like-last", "--detach")
        call("run", pack, "--detach")
        assert [request.run.like_last for request in kernel.requests("SubmitRun")] == [True, False]


class TestProfile:
    def test_new_set_show_delete_restore(self, data, library, call):
        made = call("profile", "new", "XL", "--set", "txt2img.steps=30", "--set", "hash=dd08fa32f9")
        assert (made.code, made.err) == (0, "")
        assert call("profile", "new", "XL").code == 2
        changed = call("profile", "set", "XL", "txt2img.cfg_scale=4.5", "trigger_words=a, b", "--unset", "hash")
        assert (changed.code, "in the trash" in changed.out) == (0, True)
        assert json.loads((data.profiles / "XL.profile.json").read_text(encoding="utf-8")) == {
            "kind": "model",
            "txt2img": {"steps": 30, "cfg_scale": 4.5},
            "trigger_words": ["a", "b"],
        }
        out = call("profile", "show", "XL").out
        assert "about a:" in out
        assert "txt2img.cfg_scale  4.5" in out
        assert call("profile", "show", "XL", "--json").json["content"]["kind"] == "model"
        assert call("profile", "delete", "XL").code == 0
        assert call("profile", "restore", "XL", "--json").json["entry"]["subject"] == "model"

    def test_lora_and_list(self, library, call):
        assert "there is no profile yet" in call("profile").out
        assert (
            call("profile", "new", "detail", "--lora", "--set", "weight=0.7", "--description", "fine").code == 0
        )
        [entry] = call("profile", "--json").json["entries"]
        assert (entry["name"], entry["subject"], entry["description"]) == ("detail", "lora", "fine")

    def test_what_is_wrong_changes_nothing(self, library, call):
        assert call("profile", "new", "x", "--set", "weight=heavy").code == 2
        result = call("profile", "set", "nobody", "weight=1")
        assert (result.code, result.err) == (
            2,
            "stablenew: error: no profile is called 'nobody'; known: none\n",
        )
