"""Packs in the sidebar: found, searched, selected, described, listed, brought in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.desktop.desk_kit import make_desk

from stablenew_api.errors import KernelUnavailable, StableNewError, UserError
from stablenew_client.examples import add_examples, shipped_packs
from stablenew_client.importing import ImportedPacks
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.packs.moved import renamed
from stablenew_plugins.desktop.models.packs.packdisk import bring, import_pack, new_pack
from stablenew_plugins.desktop.models.packs.packinfo import PackInfo, in_words
from stablenew_plugins.desktop.models.packs.packs import AT_ONCE, SCAN_EVERY, PacksModel
from stablenew_proto.v1 import kernel_pb2, packs_pb2


class Packs:
    """Describes every pack: a row a line, a wildcard a ``__``."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error: Exception | None = None

    def describe(
        self, run: kernel_pb2.RunRequest, *, check: bool = True, rows: int = 0
    ) -> packs_pb2.DescribePackResponse:
        self.asked.append(run.pack_name)
        if self.error is not None:
            raise self.error
        lines = [line for line in run.pack.decode("utf-8").splitlines() if line]
        problems = [
            packs_pb2.PackProblem(row=n, severity="error", reason="bad", fix="mend it")
            for n, line in enumerate(lines, 1)
            if "bad" in line
        ]
        slots = [
            packs_pb2.PackSlot(name=word, kind="wildcard", option_count=3)
            for line in lines
            for word in line.split()
            if word.startswith("__")
        ]
        made = [packs_pb2.PackRow(number=n, positive=line) for n, line in enumerate(lines, 1)]
        return packs_pb2.DescribePackResponse(
            rows=made[: rows or None], row_count=len(made), problems=problems, slots=slots
        )


class Kernel:
    """What the model asks of a kernel."""

    def __init__(self) -> None:
        self.packs = Packs()
        self.folders: Sequence[Path] | None = None
        self.changed: dict[str, Any] = {}

    def settings(self) -> kernel_pb2.GetSettingsResponse:
        if self.folders is None:
            raise StableNewError("Method not implemented!")
        import json

        value = json.dumps([str(folder) for folder in self.folders]).encode("utf-8")
        one = kernel_pb2.KernelSetting(name="pack_folders", value_json=value)
        return kernel_pb2.GetSettingsResponse(settings=[one])

    def change_settings(self, values: dict[str, Any]) -> kernel_pb2.ChangeSettingsResponse:
        self.changed.update(values)
        self.folders = [Path(folder) for folder in values["pack_folders"]]
        return kernel_pb2.ChangeSettingsResponse(settings=self.settings().settings)

    def close(self) -> None:
        """Nothing to close."""


def write(folder: Path, **packs: str) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, content in packs.items():
        paths[name] = folder / f"{name}.txt"
        paths[name].write_text(content, encoding="utf-8")
    return paths


def settle(model: PacksModel, desk: Desk, seconds: float = SCAN_EVERY) -> None:
    """Let the disk be looked at, and every pack be described."""
    desk.clock.move(seconds)  # type: ignore[attr-defined]
    for _ in range(50):
        model.tick()


def names(paths: Sequence[Path]) -> list[str]:
    return [path.stem for path in paths]


def three(tmp_path: Path) -> dict[str, Path]:
    return write(
        tmp_path / "packs",
        sea="a boat at sea\na __weather__ sky\n",
        city="neon city\n",
        forest="a bad tree\n",
    )


def test_packs_are_found_described_and_the_first_is_selected_the_first_time(tmp_path: Path) -> None:
    three(tmp_path)
    desk = make_desk(tmp_path, Kernel())
    model = PacksModel(desk)
    assert not model.is_scanned
    settle(model, desk)
    assert names(model.shown) == ["city", "forest", "sea"]
    assert names(model.selected) == ["city"]
    assert model.current == model.selected[0]
    assert model.look is not None
    assert model.look.rows[0].positive == "neon city"
    sea = model.entries[tmp_path / "packs" / "sea.txt"].info
    assert sea is not None
    assert sea.line == "2 prompts  ·  1 wildcard"
    forest = model.entries[tmp_path / "packs" / "forest.txt"].info
    assert forest is not None
    assert (forest.errors, list(forest.problems)) == (1, ["Row 1: bad. Mend it."])


def test_each_content_is_described_once_and_again_when_it_changed(tmp_path: Path) -> None:
    paths = three(tmp_path)
    kernel = Kernel()
    desk = make_desk(tmp_path, kernel)
    model = PacksModel(desk)
    settle(model, desk)
    asked = len(kernel.packs.asked)
    settle(model, desk)
    assert len(kernel.packs.asked) == asked
    before = model.plan_revision
    paths["sea"].write_text("three\nrows\nnow\n", encoding="utf-8")
    settle(model, desk)
    info = model.entries[paths["sea"]].info
    assert info is not None
    assert info.rows == 3
    assert model.plan_revision == before  # it is not selected
    paths["city"].write_text("another city\n", encoding="utf-8")
    settle(model, desk)
    assert model.plan_revision == before + 1
    assert model.look is not None
    assert model.look.rows[0].positive == "another city"


def test_never_more_than_a_few_are_asked_about_at_a_time(tmp_path: Path) -> None:
    write(tmp_path / "packs", **{f"p{n:02}": "row\n" for n in range(20)})
    kernel = Kernel()
    desk = make_desk(tmp_path, kernel)
    model = PacksModel(desk)
    settle(model, desk)
    desk.background.held = True  # type: ignore[attr-defined]
    for path in model.entries:
        path.write_text("other\nrows\n", encoding="utf-8")
    model.rescan()
    desk.background.release()  # type: ignore[attr-defined]
    for _ in range(5):
        model.tick()
    waiting = desk.background.waiting  # type: ignore[attr-defined]
    assert sum(key is None for key, _job in waiting) == AT_ONCE


def test_what_is_in_a_pack_comes_too_late_when_nobody_looks_at_it_any_more(tmp_path: Path) -> None:
    paths = three(tmp_path)
    desk = make_desk(tmp_path, Kernel())
    model = PacksModel(desk)
    settle(model, desk)
    desk.background.held = True  # type: ignore[attr-defined]
    model.look_at(paths["sea"])
    model.look_at(None)
    desk.background.release()  # type: ignore[attr-defined]
    assert (model.current, model.look) == (None, None)


def test_those_that_are_to_be_seen_are_asked_about_first(tmp_path: Path) -> None:
    paths = write(tmp_path / "packs", **{f"p{n:02}": "row\n" for n in range(20)})
    kernel = Kernel()
    desk = make_desk(tmp_path)
    model = PacksModel(desk)
    settle(model, desk)
    model.want([paths["p17"], paths["p18"]])
    desk.state.connected(kernel, kernel_pb2.GetStatusResponse())  # type: ignore[arg-type]
    kernel.packs.asked.clear()
    model.tick()
    assert kernel.packs.asked[:2] == ["p17.txt", "p18.txt"]


def test_a_pack_that_the_kernel_refuses_says_why_and_one_that_was_not_answered_is_asked_again(
    tmp_path: Path,
) -> None:
    paths = write(tmp_path / "packs", one="row\n")
    kernel = Kernel()
    kernel.packs.error = KernelUnavailable("gone")
    desk = make_desk(tmp_path, kernel)
    model = PacksModel(desk)
    settle(model, desk)
    assert model.entries[paths["one"]].info is None
    kernel.packs.error = UserError("pack one.txt: is no UTF-8; save it as UTF-8")
    desk.state.connected(kernel, kernel_pb2.GetStatusResponse())  # type: ignore[arg-type]
    settle(model, desk, 0)
    info = model.entries[paths["one"]].info
    assert info is not None
    assert info.errors == 1
    assert "UTF-8" in info.problems[0]


@given(words=st.lists(st.sampled_from(["boat", "sea", "neon", "__weather__", "CITY", "xyz"]), max_size=3))
def test_a_search_finds_the_packs_that_have_all_words(
    tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    tmp_path = tmp_path_factory.mktemp("search")
    three(tmp_path)
    desk = make_desk(tmp_path, Kernel())
    model = PacksModel(desk)
    settle(model, desk)
    texts = {path: f"{path.stem} {path.read_text(encoding='utf-8')}".lower() for path in model.entries}
    model.look_for(" ".join(words))
    wanted = [path for path, text in texts.items() if all(word.lower() in text for word in words)]
    assert list(model.shown) == wanted


def test_filters(tmp_path: Path) -> None:
    paths = three(tmp_path)
    desk = make_desk(tmp_path, Kernel())
    model = PacksModel(desk)
    settle(model, desk)
    model.toggle(paths["sea"])
    model.choose_filter("selected")
    assert names(model.shown) == ["city", "sea"]
    model.choose_filter("recent")
    assert names(model.shown) == ["sea"]
    model.click(paths["forest"])
    assert names(model.shown) == ["forest", "sea"]


@given(
    clicks=st.lists(
        st.tuples(st.integers(0, 7), st.sampled_from(["plain", "ctrl", "shift", "box"])), max_size=12
    )
)
def test_clicks_select_like_anywhere(
    tmp_path_factory: pytest.TempPathFactory, clicks: list[tuple[int, str]]
) -> None:
    tmp_path = tmp_path_factory.mktemp("clicks")
    write(tmp_path / "packs", **{f"p{n}": "row\n" for n in range(8)})
    desk = make_desk(tmp_path)
    model = PacksModel(desk)
    settle(model, desk)
    wanted = {0}
    anchor: int | None = None
    for at, how in clicks:
        path = model.shown[at]
        before, revision = set(wanted), model.plan_revision
        if how == "box":
            model.toggle(path)
        else:
            model.click(path, ctrl=how == "ctrl", shift=how == "shift")
            assert model.current == path
        if how in ("ctrl", "box"):
            wanted ^= {at}
        elif how == "shift" and anchor is not None:
            wanted |= set(range(min(anchor, at), max(anchor, at) + 1))
        anchor = at if how != "shift" else anchor
        assert {model.shown.index(one) for one in model.selected} == wanted
        assert len(model.selected) == len(wanted)
        assert (model.plan_revision > revision) >= (before != wanted)


def test_what_was_selected_is_remembered_and_comes_back_with_its_folder(tmp_path: Path) -> None:
    paths = three(tmp_path)
    elsewhere = write(tmp_path / "more", space="stars\n")
    kernel = Kernel()
    kernel.folders = [tmp_path / "more"]
    desk = make_desk(tmp_path, kernel)
    model = PacksModel(desk)
    settle(model, desk)
    model.folders.ask()
    settle(model, desk)
    model.toggle(elsewhere["space"])
    model.toggle(paths["city"])
    assert names(model.selected) == ["space"]
    desk.remembered.save()
    # The next time the kernel tells of the folder only when the disk was looked at already.
    later = make_desk(tmp_path)
    again = PacksModel(later)
    settle(again, later)
    assert list(again.selected) == []
    later.state.connected(kernel, kernel_pb2.GetStatusResponse())  # type: ignore[arg-type]
    settle(again, later)
    assert names(again.selected) == ["space"]
    elsewhere["space"].unlink()
    before = again.plan_revision
    settle(again, later)
    assert list(again.selected) == []
    assert again.plan_revision == before + 1


def test_a_selected_pack_that_is_renamed_stays_selected_and_is_looked_at(tmp_path: Path) -> None:
    paths = three(tmp_path)
    desk = make_desk(tmp_path, Kernel())
    model = PacksModel(desk)
    settle(model, desk)
    model.toggle(paths["sea"])
    before = model.plan_revision
    town = paths["city"].rename(paths["city"].with_name("town.txt"))
    settle(model, desk)
    assert names(model.selected) == ["town", "sea"]
    assert model.plan_revision > before
    assert desk.remembered.get("packs_selected", []) == [str(town), str(paths["sea"])]
    assert [toast.text for toast in desk.toasts.shown] == ["city is called town now, and stays selected."]
    model.look_at(town)
    paths["forest"].rename(paths["forest"].with_name("wood.txt"))  # nobody selected it: no word
    again = town.rename(town.with_name("city.txt"))
    settle(model, desk)
    assert model.current == again
    assert model.look is not None
    assert len(desk.toasts.shown) == 2


def test_a_selected_pack_that_is_gone_for_good_is_told_of(tmp_path: Path) -> None:
    paths = three(tmp_path)
    desk = make_desk(tmp_path, Kernel())
    model = PacksModel(desk)
    settle(model, desk)
    content = paths["city"].read_bytes()
    paths["city"].unlink()
    settle(model, desk)
    paths["city"].write_bytes(content)  # a program wrote it anew
    settle(model, desk)
    assert names(model.selected) == ["city"]
    assert not desk.toasts.shown
    paths["city"].unlink()
    for _look in range(3):
        settle(model, desk)
    assert [toast.text for toast in desk.toasts.shown] == ["city is not there any more, so it does not run."]
    paths["city"].write_bytes(content)
    settle(model, desk)
    assert names(model.selected) == ["city"]


_STAMPS = st.tuples(st.integers(0, 2), st.integers(0, 2), st.just(7))


@given(
    gone=st.dictionaries(st.sampled_from("abcd"), _STAMPS, max_size=4),
    came=st.dictionaries(st.sampled_from("wxyz"), _STAMPS, max_size=4),
)
def test_only_what_can_be_told_apart_counts_as_renamed(
    gone: dict[str, tuple[int, ...]], came: dict[str, tuple[int, ...]]
) -> None:
    before = {Path(f"{name}.txt"): stamp for name, stamp in gone.items()}
    now = {Path(f"{name}.txt"): stamp for name, stamp in came.items()}
    found = renamed(before, now)
    assert len(set(found.values())) == len(found)
    for old, stamp in before.items():
        sure = list(before.values()).count(stamp) == list(now.values()).count(stamp) == 1
        assert (old in found) == sure
        assert not sure or now[found[old]] == stamp


def test_a_row_of_the_list_says_all_that_varies_in_one_number() -> None:
    assert PackInfo(rows=1).short == "1 prompt"
    assert PackInfo(rows=3, wildcards=1).short == "3 prompts  ·  1 wildcard"
    both = PackInfo(rows=3, wildcards=1, slots=2, choices=1)
    assert both.short == "3 prompts  ·  4 slots"
    assert both.line == "3 prompts  ·  1 wildcard  ·  2 slots  ·  1 choice"


def test_a_folder_is_added_to_the_settings_of_a_kernel_that_has_them_else_remembered(tmp_path: Path) -> None:
    three(tmp_path)
    write(tmp_path / "more", space="stars\n")
    desk = make_desk(tmp_path)
    model = PacksModel(desk)
    model.bring(str(tmp_path / "more"))
    settle(model, desk)
    assert names(model.shown) == ["city", "forest", "sea", "space"]
    assert desk.remembered.get("pack_folders", []) == [str(tmp_path / "more")]
    kernel = Kernel()
    kernel.folders = []
    write(tmp_path / "most", moon="craters\n")
    desk.state.connected(kernel, kernel_pb2.GetStatusResponse())  # type: ignore[arg-type]
    model.bring(str(tmp_path / "most"))
    settle(model, desk)
    assert kernel.changed == {"pack_folders": [str(tmp_path / "most")]}
    assert "moon" in names(model.shown)


def test_lists_are_saved_chosen_changed_and_forgotten(tmp_path: Path) -> None:
    paths = three(tmp_path)
    desk = make_desk(tmp_path, Kernel())
    model = PacksModel(desk)
    settle(model, desk)
    model.toggle(paths["sea"])
    model.save_list("evening")
    settle(model, desk)
    assert model.filter == "list:evening"
    assert names(model.shown) == ["city", "sea"]
    model.add_to_list("evening", [paths["forest"]])
    assert names(model.shown) == ["city", "forest", "sea"]
    model.remove_from_list("evening", [paths["city"]])
    assert names(model.shown) == ["forest", "sea"]
    model.select_list("evening")
    assert sorted(names(model.selected)) == ["forest", "sea"]
    model.drop_list("evening")
    assert model.filter == "all"
    assert not model.lists
    assert all(path.exists() for path in paths.values())


def test_a_spoilt_file_of_lists_is_told_and_the_packs_are_there(tmp_path: Path) -> None:
    three(tmp_path)
    (tmp_path / "pack-lists.json").write_text("{", encoding="utf-8")
    desk = make_desk(tmp_path)
    model = PacksModel(desk)
    settle(model, desk)
    assert len(model.shown) == 3
    assert "pack-lists.json" in model.problems[0]
    settle(model, desk)
    assert [toast.times for toast in desk.toasts.shown] == [1]  # said once, not every few seconds


def test_rows_are_turned_through(tmp_path: Path) -> None:
    paths = three(tmp_path)
    desk = make_desk(tmp_path, Kernel())
    model = PacksModel(desk)
    settle(model, desk)
    model.click(paths["sea"])
    model.turn(1)
    assert model.row == 1
    model.turn(1)
    assert model.row == 0
    model.turn(-1)
    assert model.row == 1
    model.move(-1)
    assert (model.current, model.row) == (paths["forest"], 0)


def test_examples_are_added_selected_and_never_overwrite(tmp_path: Path) -> None:
    folder = shipped_packs()
    assert folder is not None
    desk = make_desk(tmp_path)
    model = PacksModel(desk)
    settle(model, desk)
    assert not model.shown
    write(tmp_path / "packs", demo="my own\n")
    model.add_examples()
    settle(model, desk)
    assert "demo" in names(model.selected)
    assert (tmp_path / "packs" / "demo.txt").read_text(encoding="utf-8") == "my own\n"
    assert (tmp_path / "packs" / "demo.json").read_bytes() == (folder / "demo.json").read_bytes()
    fresh = add_examples(tmp_path / "fresh")
    assert [path.read_bytes() for path in fresh] == [(folder / path.name).read_bytes() for path in fresh]


def test_a_new_pack_is_made_selected_and_opened(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    model = PacksModel(desk)
    opened: list[str] = []
    model.open = opened.append
    model.new(" harbour.txt ")
    settle(model, desk)
    assert opened == ["editor"]
    assert model.current == tmp_path / "packs" / "harbour.txt"
    assert names(model.selected) == ["harbour"]
    model.new("harbour")
    assert "already" in desk.toasts.shown[0].text


@pytest.mark.parametrize("name", ["", "  ", "a/b", "..", "a\nb", "c:d"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="no name for a pack"):
        new_pack(tmp_path, name)


def test_an_imported_pack_takes_its_sidecar_along_and_another_name_if_need_be(tmp_path: Path) -> None:
    given = write(tmp_path / "from", sea="waves\n")["sea"]
    given.with_suffix(".json").write_text("{}", encoding="utf-8")
    to = tmp_path / "packs"
    first = import_pack(to, str(given))
    assert (first.name, first.with_suffix(".json").read_text(encoding="utf-8")) == ("sea.txt", "{}")
    assert import_pack(to, str(given)) == first
    given.write_text("other waves\n", encoding="utf-8")
    second = import_pack(to, str(given))
    assert second.name == "sea-2.txt"
    assert first.read_text(encoding="utf-8") == "waves\n"
    assert import_pack(to, str(second)) == second
    with pytest.raises(UserError, match="no such file"):
        import_pack(to, str(tmp_path / "nothing.txt"))


def test_a_problem_in_words() -> None:
    problem = packs_pb2.PackProblem(row=3, reason="bracket is never closed", fix="add a )")
    assert in_words(problem) == "Row 3: bracket is never closed. Add a )."
    of_file = packs_pb2.PackProblem(file="demo.json", line=4, reason="no such stage")
    assert in_words(of_file) == "Demo.json, line 4: no such stage."


def test_the_first_pack_that_ever_comes_is_selected_unless_somebody_chose_none(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    model = PacksModel(desk)
    settle(model, desk)
    revision = model.plan_revision
    settle(model, desk)
    assert model.plan_revision == revision
    paths = three(tmp_path)
    settle(model, desk)
    assert names(model.selected) == ["city"]
    model.toggle(paths["city"])
    settle(model, desk)
    assert list(model.selected) == []


def test_all_that_are_shown_are_selected_and_let_go_again(tmp_path: Path) -> None:
    three(tmp_path)
    desk = make_desk(tmp_path, Kernel())
    model = PacksModel(desk)
    settle(model, desk)
    model.look_for("tree")
    model.toggle_shown()
    assert names(model.selected) == ["city", "forest"]
    model.toggle_shown()
    assert names(model.selected) == ["city"]
    model.look_for("")
    model.toggle_shown()
    assert sorted(names(model.selected)) == ["city", "forest", "sea"]


def test_files_of_other_programs_become_packs_and_nothing_is_lost_without_a_word(tmp_path: Path) -> None:
    desk = make_desk(tmp_path / "data")
    model = PacksModel(desk)
    styles = tmp_path / "styles.csv"
    styles.write_text(
        "name,prompt,negative_prompt\nfilm,film grain of {prompt},blurry\nplain,a house,\n", encoding="utf-8"
    )
    settle(model, desk)
    model.bring(str(styles))
    settle(model, desk)
    [toast] = desk.toasts.shown
    assert (toast.text, toast.level) == ("1 pack imported.", "warning")
    assert "[[prompt]]" in toast.hint
    [path] = model.selected
    assert desk.data.packs in path.parents
    assert "a house" in path.read_text(encoding="utf-8")
    found = bring(desk.data, str(styles))
    assert found.packs  # once more: the same again, or beside it


def test_wildcards_and_what_cannot_be_read_are_told(tmp_path: Path) -> None:
    desk = make_desk(tmp_path / "data")
    folder = tmp_path / "wildcards"
    folder.mkdir()
    (folder / "hair.txt").write_text("red\nblond\n", encoding="utf-8")
    (folder / "photo.bin").write_bytes(bytes(range(256)))
    model = PacksModel(desk)
    model.bring(str(folder))
    [toast] = desk.toasts.shown
    assert (toast.text, toast.level) == ("1 wildcard file imported.", "warning")
    assert "photo.bin" in toast.hint
    with pytest.raises(UserError, match=r"photo\.bin"):
        bring(desk.data, str(folder / "photo.bin"))
    with pytest.raises(UserError, match="nothing"):
        bring(desk.data, str(tmp_path / "nothing.csv"))


def test_a_text_that_no_importer_knows_is_a_pack(tmp_path: Path) -> None:
    data = make_desk(tmp_path / "data").data
    pack = tmp_path / "sea.txt"
    pack.write_text("a boat\n", encoding="utf-8")

    def knows_nothing(_data: object, given: str) -> ImportedPacks:
        raise UserError(f"{given}: nothing in it says what it is")

    found = bring(data, str(pack), knows_nothing)
    assert [path.name for path in found.packs] == ["sea.txt"]
    (tmp_path / "sea.csv").write_text("a,b\n", encoding="utf-8")
    with pytest.raises(UserError, match="nothing in it says"):
        bring(data, str(tmp_path / "sea.csv"), knows_nothing)
