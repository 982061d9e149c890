"""Docs that cannot go stale: the README's tree, the commands and their options, exit codes, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from stablenew_kernel.cli.exits import MEANING
from stablenew_kernel.cli.main import cli

ROOT = Path(__file__).resolve().parents[1]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def section(text: str, heading: str) -> str:
    """What stands under ``heading``, up to the next heading that is not deeper."""
    level = len(heading) - len(heading.lstrip("#"))
    match = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{level}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match is not None, f"no heading {heading!r}"
    return match[1]


# --- the README's tree --------------------------------------------------------------------------------------


def tree() -> list[str]:
    """The paths that the README's map lists; folders end with a slash."""
    block = section((ROOT / "README.md").read_text(encoding="utf-8"), "## The tree").split("```")[1]
    paths: list[str] = []
    stack: list[str] = []
    for line in block.strip().splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        stack[depth:] = [name]
        paths.append("".join(stack))
    return paths


def folders(parent: Path) -> set[str]:
    """Folders below ``parent`` that belong to the project."""
    return {
        f"{item.name}/"
        for item in parent.iterdir()
        if item.is_dir() and not item.name.startswith((".", "_")) and not is_ignored(item)
    }


def is_ignored(path: Path) -> bool:
    """Whether .gitignore names it."""
    patterns = [line.strip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split()]
    return any(path.match(pattern) for pattern in patterns)


@pytest.mark.parametrize("listed", tree())
def test_the_tree_lists_only_what_is_there(listed):
    path = ROOT / listed
    assert path.is_dir() if listed.endswith("/") else path.is_file()


def test_the_tree_lists_every_file_and_folder_at_the_top():
    files = {item.name for item in ROOT.iterdir() if item.is_file() and not item.name.startswith(".")}
    files = {name for name in files if not is_ignored(ROOT / name)}
    assert files | folders(ROOT) == {path for path in tree() if "/" not in path.rstrip("/")}


def test_where_the_tree_opens_a_folder_it_lists_all_folders_in_it():
    listed = tree()
    for parent in {path.rstrip("/").rpartition("/")[0] for path in listed} - {""}:
        shown = {
            path.removeprefix(f"{parent}/")
            for path in listed
            if path.startswith(f"{parent}/") and path != f"{parent}/"
        }
        assert folders(ROOT / parent) <= shown, parent


# --- the README's first commands -----------------------------------------------------------------------------


def first_commands() -> list[list[str]]:
    """What a newcomer types, without the comments."""
    block = section((ROOT / "README.md").read_text(encoding="utf-8"), "## Start").split("```")[1]
    return [line.partition("#")[0].split() for line in block.strip().splitlines()]


def test_two_commands_set_up_one_does_the_main_job_one_runs_the_tests_one_opens_the_window():
    commands = ["setup", "run doctor", "demo", "test", "run"]
    assert first_commands() == [["python3", "dev.py", *words.split()] for words in commands]
    known = re.findall(r"^    \"(\w+)\": \w+,$", (ROOT / "dev.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert {words[2] for words in first_commands()} <= set(known)


def test_the_readmes_commands_are_there():
    block = section((ROOT / "README.md").read_text(encoding="utf-8"), "## Start").split("```")[3]
    lines = [line.partition("#")[0].split() for line in block.strip().splitlines()]
    assert len(lines) > 5
    for _program, *words in lines:
        command: click.Command = cli
        context = click.Context(cli, info_name="stablenew")
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            found = command.get_command(context, words[0])
            assert found is not None, words
            command, words = found, words[1:]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, words


# --- docs/cli.md --------------------------------------------------------------------------------------------


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    """Every command below ``command`` that does something itself, with its path."""
    if not isinstance(command, click.Group):
        yield context.command_path, command
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from commands(child, click.Context(child, info_name=name, parent=context))


def cli_doc() -> str:
    return (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def own_commands() -> dict[str, click.Command]:
    context = click.Context(cli, info_name="stablenew")
    ours = {
        path: command
        for path, command in commands(cli, context)
        if command.callback is not None
        and command.callback.__module__.startswith(("stablenew_kernel.", "stablenew_plugins."))
    }
    assert len(ours) > 15
    return ours


@pytest.mark.parametrize("path", own_commands())
def test_every_command_and_option_is_documented(path):
    level = "##" if path.count(" ") == 1 else "###"
    text = section(cli_doc(), f"{level} {path}")
    for parameter in own_commands()[path].params:
        if isinstance(parameter, click.Option):
            for option in parameter.opts:
                assert f"{option}" in re.findall(r"-{1,2}[a-z][a-z-]*", text), f"{path}: {option}"
        else:
            (name,) = re.findall(r"\w+", parameter.metavar or parameter.name or "")
            assert name.upper() in text, f"{path}: {name}"


def test_nothing_is_documented_that_is_not_there():
    known = set(own_commands()) | {path.rpartition(" ")[0] for path in own_commands()}
    documented = set(re.findall(r"^##+ (stablenew .*)$", cli_doc(), re.MULTILINE))
    assert documented <= known
    for path, command in own_commands().items():
        level = "##" if path.count(" ") == 1 else "###"
        options = {option for parameter in command.params for option in parameter.opts}
        named = set(re.findall(r"--[a-z][a-z-]*", section(cli_doc(), f"{level} {path}")))
        assert named <= options, path


def test_the_options_of_the_whole_are_documented():
    introduction = cli_doc().split("\n## ")[0]
    for parameter in cli.params:
        for option in parameter.opts:
            assert f"`{option}" in introduction


def test_the_exit_codes_are_those_of_the_code():
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", section(cli_doc(), "## Exit codes"), re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == {int(code): text for code, text in MEANING.items()}


# --- links --------------------------------------------------------------------------------------------------


def headings(text: str) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    }


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if anchor:
            assert anchor in headings(file.read_text(encoding="utf-8")), target


def test_the_index_links_every_page():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert pages <= set(re.findall(r"\]\(([\w-]+\.md)\)", index))
