"""The prompt editor: rows and texts of a pack, as the kernel's own code reads and writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.desktop.desk_kit import make_desk
from tests.desktop.models.packs_kit import apply

from stablenew_api.errors import UserError
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.packs.check import check_prompt, prompt_pack
from stablenew_kernel.domain.packs.spans import estimated_tokens, spans_of
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.packs.editor import EditorModel
from stablenew_plugins.desktop.models.packs.highlight import pieces
from stablenew_plugins.desktop.models.packs.packs import SCAN_EVERY, PacksModel
from stablenew_plugins.desktop.models.packs.readings import PATIENCE, QUIET
from stablenew_plugins.desktop.models.packs.samples import QUIET as PREVIEW_QUIET
from stablenew_plugins.desktop.models.packs.samples import SHOWN, Expanded
from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
from stablenew_plugins.desktop.models.prompt.randomizer import RandomizerModel
from stablenew_proto.v1 import agent_link_pb2, kernel_pb2, packs_pb2


class Packs:
    """What the kernel says about packs, by its own code, without presets and wildcards."""

    def __init__(self) -> None:
        self.edits = 0
        self.read: list[str] = []

    def describe(
        self, run: kernel_pb2.RunRequest, *, check: bool = True, rows: int = 0
    ) -> packs_pb2.DescribePackResponse:
        found = parse_pack(run.pack_name, run.pack).rows
        made = [
            packs_pb2.PackRow(number=row.number, positive=row.positive, negative=row.negative) for row in found
        ]
        slots = [
            packs_pb2.PackSlot(name="time", kind="slot"),
            packs_pb2.PackSlot(name="__sky__", kind="wildcard"),
        ]
        return packs_pb2.DescribePackResponse(rows=made[: rows or None], row_count=len(made), slots=slots)

    def edit(self, name: str, content: bytes, edits: Sequence[packs_pb2.PackEdit]) -> bytes:
        self.edits += 1
        return apply(name, content, list(edits)).to_bytes()

    def prompt(self, prompt: str, run: kernel_pb2.RunRequest | None = None) -> packs_pb2.ReadPromptResponse:
        self.read.append(prompt)
        spans = [packs_pb2.Span(start=s.start, end=s.end, kind=s.kind, name=s.name) for s in spans_of(prompt)]
        problems = [
            packs_pb2.PackProblem(column=p.column, severity=p.severity, reason=p.reason, fix=p.fix)
            for p in check_prompt(prompt_pack(prompt), None, None)
        ]
        return packs_pb2.ReadPromptResponse(spans=spans, problems=problems, tokens=estimated_tokens(prompt))

    def wildcards(self) -> Sequence[packs_pb2.WildcardInfo]:
        hair = packs_pb2.WildcardInfo(
            name="people/hair", values=60, first=["blond", "dark  red", "grey", "white"]
        )
        return [packs_pb2.WildcardInfo(name="city"), hair]


class Kernel:
    """What the editor asks of a kernel."""

    def __init__(self) -> None:
        self.packs = Packs()
        self.previewed: list[kernel_pb2.RunRequest] = []

    def preview(self, run: kernel_pb2.RunRequest, show: int = 0) -> Iterator[kernel_pb2.PreviewRunResponse]:
        self.previewed.append(run)
        if "[[nobody]]" in run.pack.decode():
            raise UserError("nobody defines the matrix slot [[nobody]]")
        if run.seed > 9:
            raise UserError("--seed 10: an axis varies the seed; leave one out")
        row = parse_pack(run.pack_name, run.pack).rows[int(run.rows) - 1]
        if run.seed:
            yield kernel_pb2.PreviewRunResponse(jobs=[kernel_pb2.PlannedJob(prompt=f"drawn {run.seed}")])
            return
        yield kernel_pb2.PreviewRunResponse(jobs=[kernel_pb2.PlannedJob(prompt=row.positive)] * 2)
        yield kernel_pb2.PreviewRunResponse(summary=kernel_pb2.PlanSummary(jobs=2, line="2 images"))

    def settings(self) -> kernel_pb2.GetSettingsResponse:
        return kernel_pb2.GetSettingsResponse()

    def close(self) -> None:
        """Nothing to close."""


PACK = (
    b"\xef\xbb\xbf# a pack \r\n\r\na boat,   \r\n  at sea\r\nneg: text\r\n\r\n"
    b"# second\r\n__sky__ over the hills\r\n\r\n[[time]] light\r\n"
)


class Bench:
    """An open editor."""

    def __init__(self, folder: Path, content: bytes = PACK, name: str = "sea.txt") -> None:
        self.path = folder / "packs" / name
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(content)
        self.kernel = Kernel()
        self.desk: Desk = make_desk(folder, self.kernel)
        self.packs = PacksModel(self.desk)
        pipeline = PipelineModel(self.desk)
        self.editor = EditorModel(
            self.desk, self.packs, pipeline, RandomizerModel(self.desk, self.packs, pipeline)
        )
        self.closed = 0
        self.editor.is_open = lambda: True
        self.editor.close_view = self._close
        self.wait(SCAN_EVERY)
        self.editor.open_pack(self.path)

    def _close(self) -> None:
        self.closed += 1

    def wait(self, seconds: float) -> None:
        self.desk.clock.move(seconds)  # type: ignore[attr-defined]
        for model in (self.packs, self.editor):
            model.tick()
        self.editor.tick()

    @property
    def texts(self) -> list[tuple[str, str]]:
        return [row.texts for row in self.editor.rows]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_pack_is_opened_and_a_row_chosen(bench: Bench) -> None:
    editor = bench.editor
    assert bench.texts == [
        ("a boat, at sea", "text"),
        ("__sky__ over the hills", ""),
        ("[[time]] light", ""),
    ]
    assert not editor.is_dirty
    editor.choose(1)
    assert editor.texts["positive"].text == "__sky__ over the hills"
    editor.choose(99)
    assert editor.at == 2


def test_it_begins_at_the_row_that_was_asked_for(bench: Bench, tmp_path: Path) -> None:
    editor = bench.editor
    editor.begin_at(bench.path, 2)
    editor.open_pack(bench.path)  # it is open already
    assert editor.texts["positive"].text == "[[time]] light"
    other = bench.path.with_name("other.txt")
    other.write_bytes(b"one\n\ntwo\n\nthree\n")
    editor.begin_at(other, 1)
    editor.open_pack(other)  # it is read first
    assert editor.texts["positive"].text == "two"
    editor.open_pack(bench.path)
    assert editor.at == 0  # asked for once
    editor.begin_at(bench.path, 50)
    editor.open_pack(bench.path)
    assert editor.at == 0  # it is gone: where one was


def test_a_row_that_was_asked_for_is_found_where_it_has_moved_to(bench: Bench) -> None:
    editor = bench.editor
    editor.choose(2)
    editor.move_row(-2)
    editor.begin_at(bench.path, 0)
    editor.open_pack(bench.path)
    assert (editor.at, editor.texts["positive"].text) == (1, "a boat, at sea")


def test_saving_one_row_leaves_all_other_bytes(bench: Bench) -> None:
    editor = bench.editor
    editor.choose(1)
    editor.edit("positive", "__sky__ over the sea")
    assert editor.is_dirty
    assert bench.path.read_bytes() == PACK
    editor.save()
    assert bench.path.read_bytes() == PACK.replace(b"over the hills", b"over the sea")
    assert not editor.is_dirty
    assert editor.at == 1
    editor.save()
    assert bench.kernel.packs.edits == 1


_LINES = st.lists(
    st.sampled_from(
        ["a boat", "  at sea,  ", "# about", "", "neg: text", "\tneg: blur ", "(fog:1.2) __sky__", "é 日"]
    ),
    min_size=1,
    max_size=12,
)
_NEW = st.text(alphabet="ab é,(__", min_size=1, max_size=20).filter(lambda text: text.strip() != "")


@given(
    lines=_LINES, ends=st.sampled_from(["\n", "\r\n"]), bom=st.booleans(), last=st.booleans(), data=st.data()
)
def test_an_edited_row_changes_the_bytes_of_that_row_alone(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[str],
    ends: str,
    bom: bool,
    last: bool,
    data: st.DataObject,
) -> None:
    content = (b"\xef\xbb\xbf" if bom else b"") + (ends.join(lines) + (ends if last else "")).encode("utf-8")
    try:
        rows = parse_pack("sea.txt", content).rows
    except UserError:
        return
    if not rows:
        return
    bench = Bench(tmp_path_factory.mktemp("one"), content)
    number = data.draw(st.integers(0, len(rows) - 1))
    bench.editor.choose(number)
    bench.editor.edit("positive", data.draw(_NEW))
    bench.editor.save()
    after = bench.path.read_bytes()
    if bench.editor.is_dirty:  # a text that this format cannot hold: refused, and nothing is lost
        assert after == content
        assert bench.desk.toasts.shown
        return
    # Whole lines of this row may be others; what stands before its first and behind its last line is the same.
    first = rows[number].line - 1
    until = rows[number + 1].line - 1 if number + 1 < len(rows) else None
    old, new = content.splitlines(keepends=True), after.splitlines(keepends=True)
    assert new[:first] == old[:first]
    if until is not None:
        assert b"".join(new).endswith(b"".join(old[until:]))
    assert [row.texts for row in bench.editor.rows] == [
        (row.positive, row.negative) for row in parse_pack("sea.txt", after).rows
    ]


def test_rows_are_added_moved_taken_out_and_brought_back(bench: Bench) -> None:
    editor = bench.editor
    editor.add_row()
    assert (editor.at, bench.texts[1]) == (1, ("", "text"))
    editor.edit("positive", "new one")
    editor.move_row(-1)
    assert [text for text, _negative in bench.texts][:2] == ["new one", "a boat, at sea"]
    editor.choose(2)
    editor.remove_row()
    assert "__sky__ over the hills" not in [text for text, _negative in bench.texts]
    editor.undo_rows()
    assert "__sky__ over the hills" in [text for text, _negative in bench.texts]
    editor.choose(0)
    editor.duplicate_row()
    assert [text for text, _negative in bench.texts][:2] == ["new one", "new one"]
    editor.save()
    assert [row.positive for row in parse_pack("sea.txt", bench.path.read_bytes()).rows] == [
        "new one",
        "new one",
        "a boat, at sea",
        "__sky__ over the hills",
        "[[time]] light",
    ]
    assert not editor.is_dirty
    assert not editor.can_undo_rows


def test_an_empty_row_is_refused_and_nothing_is_written(bench: Bench) -> None:
    bench.editor.add_row()
    bench.editor.save()
    assert bench.path.read_bytes() == PACK
    assert "needs a prompt" in bench.desk.toasts.shown[0].text
    assert bench.editor.is_dirty
    bench.editor.revert()
    assert not bench.editor.is_dirty


def test_what_is_typed_while_it_is_saved_stays_and_is_not_saved(bench: Bench) -> None:
    editor = bench.editor
    editor.edit("positive", "first  ")
    bench.desk.background.held = True  # type: ignore[attr-defined]
    editor.save()
    editor.edit("negative", "typed since")
    bench.desk.background.held = False  # type: ignore[attr-defined]
    bench.desk.background.release()  # type: ignore[attr-defined]
    assert editor.row is not None
    assert editor.row.negative == "typed since"
    assert editor.is_dirty
    assert parse_pack("sea.txt", bench.path.read_bytes()).rows[0].positive == "first"
    editor.save()
    assert parse_pack("sea.txt", bench.path.read_bytes()).rows[0].negative == "typed since"


def test_a_file_that_others_changed_is_not_overwritten(bench: Bench) -> None:
    editor = bench.editor
    editor.edit("positive", "mine")
    theirs = PACK.replace(b"light", b"their light")
    bench.path.write_bytes(theirs)
    editor.save()
    assert bench.path.read_bytes() == theirs
    assert editor.conflict is not None
    editor.save()
    assert bench.path.read_bytes() == theirs
    editor.keep_mine()
    assert editor.conflict is None
    assert [text for text, _negative in bench.texts] == [
        "mine",
        "__sky__ over the hills",
        "[[time]] their light",
    ]
    editor.save()
    assert [row.positive for row in parse_pack("sea.txt", bench.path.read_bytes()).rows] == [
        text for text, _negative in bench.texts
    ]


def test_a_change_on_the_disk_is_seen_and_taken_if_nothing_is_lost(bench: Bench) -> None:
    editor = bench.editor
    bench.path.write_bytes(PACK.replace(b"light", b"dusk"))
    bench.wait(SCAN_EVERY)
    assert bench.texts[2][0] == "[[time]] dusk"
    editor.edit("positive", "mine")
    bench.path.write_bytes(PACK)
    bench.wait(SCAN_EVERY)
    assert editor.conflict is not None
    assert bench.texts[0][0] == "mine"
    editor.take_theirs()
    assert editor.conflict is None
    assert bench.texts[0][0] == "a boat, at sea"
    assert editor.texts["positive"].text == "a boat, at sea"


def test_its_own_save_is_no_change_of_others(bench: Bench) -> None:
    bench.editor.edit("positive", "mine")
    bench.editor.save()
    bench.editor.edit("positive", "mine again")
    bench.wait(SCAN_EVERY)
    assert bench.editor.conflict is None
    assert bench.texts[0][0] == "mine again"


def test_closing_asks_about_what_is_not_saved(bench: Bench) -> None:
    editor = bench.editor
    assert editor.may_close()
    editor.edit("positive", "mine")
    assert not editor.may_close()
    assert editor.asks_to_close
    editor.stay()
    assert not editor.asks_to_close
    assert not editor.may_close()
    editor.save_and_close()
    assert bench.closed == 1
    assert b"mine" in bench.path.read_bytes()
    editor.edit("positive", "other")
    assert not editor.may_close()
    editor.discard_and_close()
    assert bench.closed == 2
    assert not editor.is_dirty
    assert b"other" not in bench.path.read_bytes()


def test_what_is_not_saved_holds_the_window_back_and_another_pack_off(bench: Bench) -> None:
    editor = bench.editor
    assert not editor.holds_back()
    other = bench.path.with_name("other.txt")
    other.write_text("other\n", encoding="utf-8")
    editor.edit("positive", "mine")
    editor.open_pack(other)
    assert editor.path == bench.path
    assert editor.rows[0].positive == "mine"
    assert "not saved" in bench.desk.toasts.shown[0].text
    assert editor.holds_back()
    assert editor.asks_to_close
    editor.discard_and_close()
    assert not editor.holds_back()
    editor.open_pack(other)
    assert bench.texts == [("other", "")]


def test_a_save_that_fails_does_not_close(bench: Bench) -> None:
    bench.editor.edit("positive", "   ")
    bench.editor.save_and_close()
    assert bench.closed == 0
    assert bench.editor.is_dirty


def test_colours_come_after_a_moment_of_quiet(bench: Bench) -> None:
    editor = bench.editor
    bench.wait(QUIET)
    bench.kernel.packs.read.clear()
    for length in range(1, 4):
        editor.edit("positive", "((x"[:length])
        bench.wait(QUIET / 2)
    assert bench.kernel.packs.read == []
    bench.wait(QUIET)
    assert bench.kernel.packs.read == ["((x"]
    reading = editor.readings.found["positive"]
    assert [span.kind for span in reading.spans] == ["error", "error", "text"]
    assert not editor.readings.lines("positive")  # it is being typed
    bench.wait(PATIENCE)
    assert editor.readings.lines("positive")
    assert "character 1" in editor.readings.lines("positive")[0][1]
    assert editor.readings.tokens("positive").startswith("about 1 token")


def test_long_prompts_say_how_many_chunks(bench: Bench) -> None:
    bench.editor.edit("positive", "word " * 90)
    bench.wait(QUIET)
    assert bench.editor.readings.tokens("positive") == "about 90 tokens  ·  2 chunks of 75"


def test_what_a_run_makes_of_the_row_is_planned_with_what_is_not_saved(bench: Bench) -> None:
    editor = bench.editor
    editor.add_row()  # empty rows are no rows for the plan
    editor.choose(2)
    editor.edit("positive", "unsaved sky")
    bench.kernel.previewed.clear()
    bench.wait(PREVIEW_QUIET)
    assert len(bench.kernel.previewed) == 1
    assert bench.kernel.previewed[0].rows == "2"
    assert editor.expanded.prompts == ["unsaved sky"]
    assert editor.expanded.line == "2 images"
    assert bench.path.read_bytes() == PACK


def test_names_are_completed_as_they_are_typed(bench: Bench) -> None:
    editor = bench.editor
    backend = agent_link_pb2.BackendInfo(loras=["neon_v2"], embeddings=["easynegative"])
    node = kernel_pb2.Node(node_id="n", info=agent_link_pb2.NodeInfo(backend=backend))
    bench.desk.state.nodes["n"] = node
    bench.desk.state.touch()
    text = editor.texts["positive"]
    for letter in " <lora:ne":
        text.insert(letter)
        editor.typed("positive")
    assert editor.completion is not None
    assert list(editor.completion.options) == ["neon_v2"]
    assert not editor.may_close()  # Escape takes the offer away first
    assert editor.completion is None
    text.insert("o")
    editor.typed("positive")
    assert editor.accept()
    assert text.text == "a boat, at sea <lora:neon_v2:1>"
    assert text.caret == len(text.text)
    for letter in " __":
        text.insert(letter)
        editor.typed("positive")
    editor.offers.move(1)
    assert editor.accept()
    assert text.text.endswith(" __people/hair__")
    for letter in " [[":
        text.insert(letter)
        editor.typed("positive")
    assert editor.accept()
    assert text.text.endswith(" [[time]]")
    assert not editor.accept()
    assert editor.row is not None
    assert editor.row.positive == text.text


def test_what_is_offered_says_how_many_values_it_has(bench: Bench) -> None:
    text = bench.editor.texts["positive"]
    for letter in " __p":
        text.insert(letter)
        bench.editor.typed("positive")
    offers = bench.editor.offers
    assert offers.completion is not None
    assert offers.completion.kind == "wildcards"
    assert offers.about("people/hair") == ("60 values", "blond, dark red, grey, …")
    assert offers.about("city") == ("", "")


def test_what_is_being_typed_is_wrong_when_the_caret_has_left_it_or_after_a_moment(bench: Bench) -> None:
    editor = bench.editor
    readings, text = editor.readings, editor.texts["positive"]
    bench.wait(PREVIEW_QUIET)
    for letter in ", __zz":  # nothing is called so, and nothing is offered
        text.insert(letter)
        editor.typed("positive")
    assert editor.completion is None
    bench.wait(QUIET)
    assert readings.is_fresh("positive")
    assert readings.lines("positive") == []
    assert not readings.marks("positive")
    assert "error" not in {piece.kind for piece in readings.pieces("positive")}
    text.move("home")
    editor.typed("positive")
    assert "__" in readings.lines("positive")[0][1]
    assert readings.marks("positive")
    text.move("end")
    editor.typed("positive")
    assert readings.lines("positive") == []
    bench.wait(PATIENCE)
    assert readings.lines("positive")


def test_what_is_offered_is_not_wrong_however_long_one_looks_at_it(bench: Bench) -> None:
    text = bench.editor.texts["positive"]
    for letter in ", __ci":
        text.insert(letter)
        bench.editor.typed("positive")
    bench.wait(QUIET)
    bench.wait(PATIENCE)
    assert bench.editor.completion is not None
    assert bench.editor.readings.lines("positive") == []
    bench.editor.offers.dismiss()
    assert bench.editor.readings.lines("positive")


def test_samples_stay_while_something_has_no_end_yet(bench: Bench) -> None:
    editor, text = bench.editor, bench.editor.texts["positive"]
    bench.wait(PREVIEW_QUIET)
    before = editor.expanded
    assert before.prompts == ["a boat, at sea"]
    for letter in " [[nobody":
        text.insert(letter)
        editor.typed("positive")
    editor.readings.found["positive"] = replace(
        editor.readings.found["positive"],
        problems=[packs_pb2.PackProblem(column=16, severity="error", reason="never closed")],
    )
    editor.samples.found = Expanded(problem="never closed")
    assert editor.expanded is before
    text.insert("]]")
    editor.typed("positive")
    bench.wait(PREVIEW_QUIET)
    assert editor.expanded.problem == "nobody defines the matrix slot [[nobody]]"
    editor.choose(1)
    assert not editor.expanded.prompts


def test_others_are_drawn_and_what_cannot_be_drawn_is_said(bench: Bench) -> None:
    editor = bench.editor
    bench.wait(PREVIEW_QUIET)
    for number in (1, 2):
        editor.draw_others()
        asked = bench.kernel.previewed[-1]
        assert (asked.seed, asked.sample, asked.rows) == (number, SHOWN, "1")
        assert editor.expanded.prompts == [f"drawn {number}"]
        assert editor.expanded.line == "2 images"
    editor.samples.draws = 9
    editor.draw_others()
    assert "No others" in bench.desk.toasts.shown[0].text
    assert editor.expanded.prompts == ["drawn 2"]
    editor.edit("positive", "a boat")
    bench.wait(PREVIEW_QUIET)
    assert editor.expanded.prompts == ["a boat"]
    assert not bench.kernel.previewed[-1].HasField("seed")


def test_weights_are_changed_of_the_text_that_is_typed_into_and_taken_back(bench: Bench) -> None:
    editor = bench.editor
    editor.weigh(1)
    editor.weigh(1)
    assert editor.row is not None
    assert editor.row.positive == "a boat, at (sea:1.2)"
    editor.texts["positive"].undo()
    assert editor.texts["positive"].text == "a boat, at (sea:1.1)"
    editor.active = "negative"
    editor.weigh(-1)
    assert editor.row.negative == "(text:0.9)"
    editor.edit("negative", "")
    editor.weigh(1)
    assert editor.row.negative == ""


def test_a_pack_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    bench = Bench(tmp_path, b"\xff\xfe\x00")
    assert bench.editor.problem
    assert not bench.editor.rows


def test_without_a_kernel_it_waits_for_one(tmp_path: Path) -> None:
    (tmp_path / "packs").mkdir()
    path = tmp_path / "packs" / "sea.txt"
    path.write_bytes(PACK)
    desk = make_desk(tmp_path)
    packs = PacksModel(desk)
    pipeline = PipelineModel(desk)
    editor = EditorModel(desk, packs, pipeline, RandomizerModel(desk, packs, pipeline))
    editor.open_pack(path)
    assert editor.problem
    desk.state.connected(Kernel(), kernel_pb2.GetStatusResponse())  # type: ignore[arg-type]
    assert len(editor.rows) == 3
    assert not editor.problem


@given(read=st.text(alphabet="a ,(_", max_size=20), text=st.text(alphabet="a ,(_", max_size=20))
def test_pieces_are_always_the_whole_text(read: str, text: str) -> None:
    found = pieces(spans_of(read), read, text)
    assert "".join(text[piece.start : piece.end] for piece in found) == text
    if read == text:
        assert [(p.start, p.end, p.kind) for p in found] == [(s.start, s.end, s.kind) for s in spans_of(text)]


def test_pieces_stay_coloured_while_one_types_between_them() -> None:
    read = "__sky__ over (hills)"
    text = "__sky__ far over (hills)"
    found = {text[piece.start : piece.end]: piece.kind for piece in pieces(spans_of(read), read, text)}
    assert found["__sky__"] == "wildcard"
    assert found["("] == found[")"] == "bracket"
