"""docs/randomizer-compatibility.md says what is so: it is made from the cases, and both sides are executed.

After a change that is meant, with STABLENEW_REWRITE=1 in the environment, this test writes the page anew.
"""

from __future__ import annotations

import json
import os
from importlib import metadata
from pathlib import Path

import pytest
from randomizer_cases import (
    DRAWS,
    FILES,
    SECTIONS,
    SHOWN,
    VERSION,
    Case,
    count,
    ours,
    same,
    theirs,
    write_files,
)

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "randomizer-compatibility.md"
RECORDED = Path(__file__).with_name("dynamicprompts.json")
"""What the library made of each case when it was executed last."""

REWRITE = os.environ.get("STABLENEW_REWRITE") == "1"

CASES = [case for cases in SECTIONS.values() for case in cases]


def key(case: Case) -> str:
    return f"{case.kind}: {case.prompt}"


def installed() -> str:
    try:
        return metadata.version("dynamicprompts")
    except metadata.PackageNotFoundError:
        return ""


def executed(folder: Path) -> dict[str, list[str]]:
    write_files(folder)
    return {key(case): theirs(case, folder) for case in CASES}


def recorded() -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found


@pytest.mark.skipif(installed() != VERSION, reason=f"dynamicprompts {VERSION} is not installed (extra: dev)")
def test_what_is_recorded_is_what_the_library_does(tmp_path: Path) -> None:
    found = executed(tmp_path)
    if REWRITE:
        text = json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True)
        RECORDED.write_text(f"{text}\n", encoding="utf-8", newline="\n")
    assert found == recorded()


@pytest.mark.parametrize("case", CASES, ids=key)
def test_a_difference_has_its_reason_and_nothing_else_has(case: Case) -> None:
    assert same(case, ours(case), recorded()[key(case)]) == (not case.why), ours(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.kind == "all"], ids=key)
def test_the_count_is_the_number_of_texts(case: Case) -> None:
    made = ours(case)
    if not made[0].startswith("error:"):
        assert len(made) == min(count(case), SHOWN)


def cell(texts: list[str]) -> str:
    if texts[0].startswith("error:"):
        return texts[0].replace("|", "\\|")
    for period in range(1, SHOWN // 2):
        if len(texts) == SHOWN and texts == (texts[:period] * SHOWN)[:SHOWN]:
            return " ".join(code(text) for text in texts[:period]) + " for ever"
    return " ".join(code(text) for text in texts) + (" …" if len(texts) == SHOWN else "")


def code(text: str) -> str:
    shown = text.replace("|", "\\|")
    return f"`{shown}`" if shown.strip() == shown and shown else f'`"{shown}"`'


def page() -> str:
    known = recorded()
    different = sum(bool(case.why) for case in CASES)
    files = "\n".join(f"{name}:\n{text.rstrip()}\n" for name, text in FILES.items())
    lines = [
        "# What dynamic prompts does, and what StableNew does",
        "",
        "<!-- Made by test_randomizer_compatibility.py, which says how to make it anew. -->",
        "",
        f"{len(CASES)} prompts, executed by the library dynamicprompts {VERSION} and by StableNew:",
        f"{len(CASES) - different} give the same, {different} differ on purpose. A test runs both sides,",
        "and fails when this page says anything else.",
        "",
        "A cell has every text in order, from the library's combinatorial generator and our `fanout`.",
        f"*Shares* are those of {DRAWS:,} draws, from the library's random generator and our `random`.",
        "Where both refuse a prompt that is the same, though ours says where and what to do.",
        "How these are written is explained on the page [Packs and the randomizer](randomizer.md).",
        "",
    ]
    for title, cases in SECTIONS.items():
        lines += [f"## {title}", "", "| prompt | dynamicprompts | StableNew |", "|---|---|---|"]
        for case in cases:
            mine, other = cell(ours(case)), cell(known[key(case)])
            if case.kind == "shares":
                mine, other = f"shares: {mine}", f"shares: {other}"
            if not case.why:
                mine = mine if case.kind == "shares" or mine.startswith("error:") else "the same"
            else:
                mine = f"{mine} ({case.why})"
            lines.append(f"| {code(case.prompt)} | {other} | {mine} |")
        lines.append("")
    lines += [
        "## The wildcard files of these prompts",
        "",
        "```",
        files.rstrip(),
        "```",
        "",
        "With `randomization.wildcards.weights_in_text` weights in text files count, too.",
        "A wildcard that nobody knows, inside a choice, keeps the library's combinatorial generator busy",
        "for ever; it is not executed here.",
    ]
    return "\n".join(lines) + "\n"


def test_the_page_is_what_was_executed() -> None:
    made = page()
    if REWRITE:
        PAGE.write_text(made, encoding="utf-8", newline="\n")
    assert PAGE.read_text(encoding="utf-8") == made
