"""The examples of docs/randomizer.md are executed: each pack, with the settings and files beside it, gives the
prompts that the page says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from stablenew_api.errors import UserError
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.plan import PlanRequest, plan_run
from stablenew_plugins import randomizers, stages

PAGE = Path(__file__).resolve().parents[1] / "docs" / "randomizer.md"
STAGES = {stage.name: stage for stage in stages.stablenew_stages()}
STRATEGIES = {strategy.name: strategy for strategy in randomizers.stablenew_randomizers()}
BLOCK = re.compile(r"^```(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Example:
    """A pack, what is beside it, and what the page says."""

    line: int
    pack: str
    preset: dict[str, Any] | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    kind: str = ""
    stated: str = ""


def examples() -> Iterator[Example]:
    text = PAGE.read_text(encoding="utf-8")
    example: Example | None = None
    for block in BLOCK.finditer(text):
        kind, content = block[1], block[2]
        line = text.count("\n", 0, block.start()) + 1
        if kind == "pack":
            assert example is None, f"line {example and example.line}: an example without a result"
            example = Example(line, content)
            continue
        if example is None:
            assert kind == "json", f"line {line}: what does this block belong to?"
            continue  # it shows settings alone
        if kind == "json":
            example.preset = json.loads(content)
        elif kind in ("prompts", "error"):
            example.kind, example.stated = kind, content
            yield example
            example = None
        else:
            example.files[kind] = content.encode()
    assert example is None


EXAMPLES = list(examples())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"line {example.line}")
def test_the_page_says_what_happens(example: Example) -> None:
    def prompts() -> list[str]:
        request = PlanRequest(
            parse_pack("mine.txt", example.pack.encode()), example.preset, seed=1, wildcards=[example.files]
        )
        plan = plan_run(request, STAGES, rng=Random(1), randomizers=STRATEGIES)
        return [job.spec.stages[0].prompt for job in plan.jobs]

    if example.kind == "prompts":
        assert prompts() == example.stated.splitlines()
    else:
        with pytest.raises(UserError, match=re.escape(example.stated.strip())):
            prompts()


def test_there_are_examples_of_everything() -> None:
    assert len(EXAMPLES) > 15
    whole = "".join(example.pack for example in EXAMPLES)
    for sign in ("{!", "$$", "__", "${", "=!", "%{", "[[", "<lora:", "\\{"):
        assert sign in whole
