"""A prompt in spans: all of it, whatever it is; and about how many tokens it has."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_kernel.domain.packs.spans import Span, estimated_tokens, spans_of

SIGNS = st.lists(
    st.sampled_from([*"{}[]()|$%~!@:,<>#\\_=. ab1\n", "__", "[[", "]]", "${", "%{", "$$", "::", "<lora:", "é"])
).map("".join)
KINDS = {
    *("text", "comma", "weight", "bracket", "lora", "embedding", "wildcard", "slot", "choice", "variable"),
    *("comment", "break", "error"),
}


@given(st.one_of(st.text(), SIGNS))
def test_spans_are_a_partition_of_any_text(prompt: str) -> None:
    spans = spans_of(prompt)
    assert "".join(prompt[span.start : span.end] for span in spans) == prompt
    ends = [0, *(span.end for span in spans)]
    assert [span.start for span in spans] == ends[:-1]
    assert all(span.start < span.end and span.depth >= 0 and span.kind in KINDS for span in spans)
    assert estimated_tokens(prompt) >= 0


def told(prompt: str) -> list[tuple[str, str, str, int]]:
    return [
        (prompt[span.start : span.end], span.kind, span.name, span.depth)
        for span in spans_of(prompt)
        if span.kind != "text"
    ]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a red hat", []),
        ("a, b", [(",", "comma", "", 0)]),
        ("(red:1.2)", [("(", "bracket", "", 0), (":1.2", "weight", "", 1), (")", "bracket", "", 0)]),
        (
            "((x))",
            [
                ("(", "bracket", "", 0),
                ("(", "bracket", "", 1),
                (")", "bracket", "", 1),
                (")", "bracket", "", 0),
            ],
        ),
        (r"\(not\)", []),
        (":)", [(")", "error", "", 0)]),
        ("(a", [("(", "error", "", 0)]),
        ("[[Time of day]]", [("[[Time of day]]", "slot", "Time of day", 0)]),
        ("__~people/hair__", [("__~people/hair__", "wildcard", "people/hair", 0)]),
        ("__dress(season=winter)__ x", [("__dress(season=winter)__", "wildcard", "dress", 0)]),
        ("snake__case", []),
        ("<lora:my__x:0.8>", [("<lora:my__x:0.8>", "lora", "my__x", 0)]),
        ("<embedding:easy>", [("<embedding:easy>", "embedding", "easy", 0)]),
        (
            "{2$$ and $$a|0.5::b}",
            [
                ("{2$$ and $$", "choice", "", 0),
                ("|", "choice", "", 0),
                ("0.5::", "weight", "", 1),
                ("}", "choice", "", 0),
            ],
        ),
        (
            "${x=!{a|b}}${x}",
            [
                ("${x=!", "variable", "x", 0),
                ("{", "choice", "", 1),
                ("|", "choice", "", 1),
                ("}", "choice", "", 1),
                ("}", "variable", "", 0),
                ("${x}", "variable", "x", 0),
            ],
        ),
        ("{a|b", [("{", "error", "", 0)]),
        ("a __hair", [("__", "error", "", 0)]),
        ("a BREAK b AND c", [("BREAK", "break", "", 0), ("AND", "break", "", 0)]),
        ("# why\na", [("# why", "comment", "", 0)]),
    ],
)
def test_each_kind_is_told(prompt: str, expected: list[tuple[str, str, str, int]]) -> None:
    assert told(prompt) == expected


def test_texts_that_follow_each_other_are_one_span() -> None:
    assert spans_of(r"a \(b\) | c }") == [Span(0, 13, "text")]
    assert spans_of("") == []


@pytest.mark.parametrize("piece", ["{", "(", "__", "<lora:", "1", "[[", "${x=", "{2$$", "a,", ": ", "__a("])
def test_a_long_text_takes_time_in_proportion(piece: str) -> None:
    prompt = (piece * 200_000)[:190_000]
    begun = time.thread_time()
    assert sum(span.end - span.start for span in spans_of(prompt)) == len(prompt)
    assert time.thread_time() - begun < 5


@pytest.mark.parametrize(
    ("prompt", "tokens"),
    [
        ("", 0),
        ("a castle at dawn, oil painting", 7),
        ("masterpiece, best quality, 1girl", 8),
        ("(red:1.3) hat [soft]", 3),
        ("<lora:detail:0.8> hat", 1),
        ("<embedding:easynegative:0.5>", 2),
        ("a BREAK b", 76),
        ("日本", 4),
        (r"\(x\)", 3),
    ],
)
def test_tokens_are_estimated(prompt: str, tokens: int) -> None:
    assert estimated_tokens(prompt) == tokens
