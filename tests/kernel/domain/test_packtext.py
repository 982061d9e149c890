"""What is written into a pack comes out of it as it was."""

from __future__ import annotations

import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_stages import STAGES

from stablenew_api.packtext import PackRow, as_template, clean, literal, pack_files, write_pack
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.plan import PlanRequest, plan_run
from stablenew_kernel.domain.randomizer.grammar import SlotRef, parse, references

# What is special in packs, in the randomizer and in prompts, and no backslash: what is escaped stays escaped.
prompts = st.text(alphabet="ab #{}|_[]$%~!<>:neg\n\r\t,1.(é日\0\N{ZERO WIDTH NO-BREAK SPACE}", max_size=60)


def squeezed(text: str) -> str:
    return "".join(text.split())


@given(st.lists(st.tuples(prompts, prompts), min_size=1, max_size=4))
def test_a_literal_prompt_reaches_the_backend_as_it_was(rows: list[tuple[str, str]]) -> None:
    """Whatever it holds, but for white space, and a comma before a ``#`` or ``neg:`` at its beginning."""
    data = write_pack(
        [PackRow(literal(positive), literal(negative), "a comment") for positive, negative in rows]
    )
    pack = parse_pack("p.txt", data)
    assert not pack.problems
    jobs = plan_run(PlanRequest(pack), STAGES, rng=Random(1)).jobs
    assert len(jobs) == len(rows)
    for (positive, negative), job in zip(rows, jobs, strict=True):
        first = job.spec.stages[0]
        wanted = squeezed(clean(positive))
        taken = wanted.startswith("#") or wanted.lower().startswith("neg:")
        assert squeezed(first.prompt) == (f",{wanted}" if taken else wanted)
        assert squeezed(first.negative_prompt) == squeezed(clean(negative))


@given(prompts)
def test_a_template_never_breaks_a_pack(text: str) -> None:
    """Choices stay; what would be a slot, or a brace that nobody closes, is none."""
    made = as_template(text)
    template = parse(made)
    assert not any(isinstance(found, SlotRef) for found in references(template.nodes))
    assert not any("{ is never closed" in problem.reason for problem in template.problems)
    if "{" not in text and "}" not in text:
        assert squeezed(made) == squeezed(clean(text))


@pytest.mark.parametrize(
    ("text", "template", "final"),
    [
        ("{a|b} __hair__", "{a|b} __hair__", r"\{a|b\} \__hair\__"),
        ("[[far]] [[ a b ]]", "[ [far] ] [ [a b] ]", "[ [far] ] [ [a b] ]"),
        ("a { b", r"a \{ b", r"a \{ b"),
        ("} {", r"\} \{", r"\} \{"),
        (r"\{a\} \__", r"\{a\} \__", r"\{a\} \__"),
        ("<lora:my__style__v1:1> {", r"<lora:my__style__v1:1> \{", r"<lora:my__style__v1:1> \{"),
        ("${x}", "${x}", r"$\{x\}"),
    ],
)
def test_literal_and_template(text: str, template: str, final: str) -> None:
    assert as_template(text) == template
    assert literal(text) == final


def test_rows_comments_and_lines() -> None:
    rows = [
        PackRow("a\n\n  b \r\n# c\nneg: d", "x\ny", "one\ntwo"),
        PackRow("", "only"),
        PackRow("#1 girl"),
        PackRow("NEG: x"),
        PackRow("", ""),
    ]
    assert write_pack(rows, "top").decode("utf-8") == (
        "# top\n\n# one\n# two\na\nb # c neg: d\nneg: x\nneg: y\n\nneg: only\n\n, #1 girl\n\n, NEG: x\n\nneg:\n"
    )
    assert [row.positive for row in parse_pack("p.txt", write_pack(rows)).rows] == [
        "a b # c neg: d", "", ", #1 girl", ", NEG: x", "",
    ]  # fmt: skip


def test_half_a_surrogate_pair_is_no_reason_to_fail() -> None:
    files = pack_files("p", [PackRow("a\ud800b")], {"txt2img": {"model": "x\udfff"}})
    assert files["p.txt"] == b"a?b\n"
    assert b'"x?"' in files["p.json"]


@pytest.mark.parametrize("text", ["[[a " * 30_000, "[[a" + " " * 200_000, "{" * 60_000, "<a:" * 30_000])
def test_long_texts_take_no_long_time(text: str) -> None:
    begin = time.process_time()
    literal(text), as_template(text)
    assert time.process_time() - begin < 6
