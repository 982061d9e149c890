"""The prompt dialect: A1111's syntax in, ComfyUI's out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_plugins.backends.comfyui.prompt import Lora, Part, read_prompt, weighted, written

EMBEDDINGS = ["easynegative", "sub/bad-hands", "v2"]


def comfy_weights(text: str) -> list[tuple[str, float]]:
    """What ComfyUI reads in a text, by the description of its syntax. A bracket counts 1.1, or the number
    behind its last colon, which replaces all that was before; ``\\(`` is a bracket."""
    pieces: list[tuple[str, float]] = []
    stack: list[list[tuple[str, float]]] = [pieces]
    for token in re.findall(r"\\[()]|[()]|[^()\\]+|\\", text):
        if token == "(":
            stack.append([])
        elif token == ")" and len(stack) > 1:
            inner = stack.pop()
            found = re.fullmatch(r"(.*):([+-]?[\d.]+)", inner[-1][0], re.DOTALL) if inner else None
            weight = 1.1
            if found:
                weight = float(found[2])
                inner[-1] = (found[1], inner[-1][1])
            stack[-1].extend((piece, weight) for piece, _ in inner)
        else:
            stack[-1].append((token[1] if len(token) == 2 and token[0] == "\\" else token, 1.0))
    for rest in stack[1:]:
        pieces.extend(rest)
    return pieces


def one(text: str, **options: bool) -> str:
    prompt = read_prompt(text, EMBEDDINGS, **options)
    assert len(prompt.parts) == 1
    assert len(prompt.parts[0].chunks) == 1
    return prompt.parts[0].chunks[0]


@pytest.mark.parametrize(
    ("given_text", "text"),
    [
        ("a lighthouse", "a lighthouse"),
        ("(x:1.2)", "(x:1.2)"),
        ("(x)", "(x:1.1)"),
        ("((x))", "(x:1.21)"),
        ("[x]", "(x:0.909)"),
        ("((a:1.2) b:1.5)", "(a:1.8) (b:1.5)"),  # ComfyUI would read 1.2 and 1.5
        ("[(x)]", "x"),
        ("(unbalanced", "(unbalanced:1.1)"),
        ("shut) too early", r"shut\) too early"),
        (r"\(x\) \[y\]", r"\(x\) [y]"),
        (r"a \(b (c:1.3)", r"a \(b (c:1.3)"),
        (r"back\slash", r"back\slash"),
        ("(a, (b:0.5) c)", "(a,:1.1) (b:0.55) (c:1.1)"),
        ("time 12:30", "time 12:30"),
        ("(x:-1)", "(x:-1)"),
        ("(x:0)", "(x:0)"),
        ("a # a comment\nb", "a\nb"),
        ("bad easynegative, x", "bad embedding:easynegative, x"),
        ("a,EasyNegative", "a, embedding:easynegative"),
        ("bad-hands", "embedding:sub/bad-hands"),
        ("my-bad-hands bad-handsome", "my-bad-hands bad-handsome"),
        ("(v2:1.3)", "(embedding:v2:1.3)"),
        ("<embedding:foo> <embed:easynegative>", "embedding:foo embedding:easynegative"),
        ("(<embed:2>)", "(embedding:2:1.1)"),  # its name is no weight
        ("embedding:other, x", "embedding:other, x"),
        ("a <unknown:tag> b", "a <unknown:tag> b"),
        ("", ""),
    ],
)
def test_texts(given_text: str, text: str) -> None:
    assert one(given_text) == text


@pytest.mark.parametrize(
    ("tag", "lora"),
    [
        ("<lora:ink>", Lora("ink", 1.0, 1.0)),
        ("<lora:ink:0.7>", Lora("ink", 0.7, 0.7)),
        ("<lora:ink:0.7:0.5>", Lora("ink", 0.5, 0.7)),  # text encoder first, then the model
        ("<lora:ink:-0.5>", Lora("ink", -0.5, -0.5)),
        ("<lora:ink:te=0.2:unet=0.3>", Lora("ink", 0.3, 0.2)),
        ("<lyco:ink:0.7>", Lora("ink", 0.7, 0.7)),
        ("<lora:my__lora__v1: 0.7 >", Lora("my__lora__v1", 0.7, 0.7)),
        ("<LoRA:styles/ink:0.7>", Lora("styles/ink", 0.7, 0.7)),
    ],
)
def test_loras_become_nodes_and_leave_the_text(tag: str, lora: Lora) -> None:
    prompt = read_prompt(f"a {tag} b")
    assert prompt.loras == (lora,)
    assert prompt.parts[0].chunks == ("a  b",)


def test_several_loras_keep_their_order_and_the_last_weight_of_a_name_counts() -> None:
    prompt = read_prompt("<lora:a:1><lora:b:2><lora:a:0.5>")
    assert [(lora.name, lora.unet) for lora in prompt.loras] == [("a", 0.5), ("b", 2.0)]


def test_break_and_and() -> None:
    prompt = read_prompt("a BREAK (b BREAK c:1.2) AND d :0.5 AND ")
    assert prompt.parts == (Part(("a", "(b:1.2)", "(c:1.2)"), 1.0), Part(("d",), 0.5))
    assert prompt.total_weight == 1.5
    assert read_prompt("BREAKFAST ANDROID").parts == (Part(("BREAKFAST ANDROID",)),)
    assert read_prompt("cats AND dogs", negative=True).parts == (Part(("cats AND dogs",)),)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[a:b:0.5]", "switch at a step such as [a:b:0.5]"),
        ("x [b:0.5] y", "switch"),
        ("[a::10]", "switch"),
        ("[(a:1.2):b:0.5]", "switch"),
        ("a [cat|dog] b", "alternating prompts such as [cat|dog]"),
        ("[[cat|dog]]", "alternating"),
        ("<lora:x:dyn=8>", "dynamic rank"),
        ("<lora:x:strong>", "'strong' is no number"),
        ("<lora:x:foo=1>", "foo in"),
        ("<lora::1>", "without a name"),
        ("a AND b :-0.5", "negative weight"),
        ("a :0 AND b :0", "all 0"),
        ("<embed:two words>", "blank"),
    ],
)
def test_what_cannot_be_done_is_said(text: str, word: str) -> None:
    with pytest.raises(StageFailure, match=re.escape(word)) as caught:
        read_prompt(text)
    assert caught.value.kind == FailureKind.BAD_INPUT


def test_a_lora_in_a_negative_prompt_is_refused() -> None:
    with pytest.raises(StageFailure, match="in a negative prompt has no effect"):
        read_prompt("blurry <lora:ink:1>", negative=True)


def test_what_only_looks_like_a_switch_goes_through() -> None:
    assert one(r"\[a:b:0.5\]") == "[a:b:0.5]"
    assert one("[a:b]") == "(a:b:0.909)"
    assert one("(cat|dog:1.2)") == "(cat|dog:1.2)"


TEXT = st.text(alphabet="ab ,:.1(x)[]\\", max_size=30)


@given(TEXT)
def test_comfyui_reads_the_weights_that_a1111_means(text: str) -> None:
    pieces = weighted(text)
    wanted = [(char, round(weight, 3)) for piece, weight in pieces for char in piece if not char.isspace()]
    read = comfy_weights(written(pieces))
    got = [(char, round(weight, 3)) for piece, weight in read for char in piece if not char.isspace()]
    # A backslash before a bracket of ours would be taken for an escape; A1111 cannot write that either.
    if "\\" not in "".join(piece for piece, _ in pieces):
        assert got == wanted


@given(TEXT)
def test_nothing_is_lost_but_brackets_and_escapes(text: str) -> None:
    kept = "".join(piece for piece, _ in weighted(text))
    letters = [char for char in text if char in "abx,"]
    assert [char for char in kept if char in "abx,"] == letters


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    refused: StageFailure | None = None
    try:
        prompt = read_prompt(text, EMBEDDINGS)
    except StageFailure as error:
        refused = error
    if refused is not None:
        assert refused.kind == FailureKind.BAD_INPUT
        assert "\n" not in str(refused)
    else:
        assert prompt.parts
        assert all(part.chunks for part in prompt.parts)
        assert prompt.total_weight > 0


@given(st.lists(st.sampled_from(["a", "b c", "(d:1.3)", "[e]"]), min_size=1, max_size=5))
def test_break_splits_as_often_as_it_stands_there(texts: list[str]) -> None:
    prompt = read_prompt(" BREAK ".join(texts))
    assert len(prompt.parts[0].chunks) == len(texts)
    assert prompt.parts[0].chunks == tuple(one(text) for text in texts)
