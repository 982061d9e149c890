"""The attention weights of A1111 prompts, as every backend that reads them itself gets them."""

from __future__ import annotations

import pytest

from stablenew_plugins.prompting import attention, clauses, merged


@pytest.mark.parametrize(
    ("text", "stray", "pieces"),
    [
        ("a (b:1.5) c", "", [("a ", 1.0), ("b", 1.5), (" c", 1.0)]),
        (r"\(a\) \[b\] \\", "", [("(a) [b] \\", 1.0)]),
        (r"sub\name", "", [("subname", 1.0)]),
        (r"sub\name", "\\", [("sub\\name", 1.0)]),
        (r"(\:1.5)", "", []),
        (r"(a\:1.5)", "", [("a", 1.5)]),
        ("(a:1.2.3)", "", [("a:1.2.3", 1.1)]),
        ("a:1.5)", "", [("a:1.5)", 1.0)]),
        ("(a BREAK b", "", [("a BREAK b", 1.1)]),
    ],
)
def test_attention_is_read_as_the_webui_reads_it(
    text: str, stray: str, pieces: list[tuple[str, float]]
) -> None:
    assert merged(attention(text, stray)) == pieces


def test_a_weight_belongs_to_and_alone() -> None:
    assert list(clauses("a cat :1.2 AND a dog")) == [("a cat", 1.2), (" a dog", 1.0)]
    assert list(clauses("a cat :1.2")) == [("a cat :1.2", 1.0)]
