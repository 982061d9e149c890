"""Text chunks: what we splice in, Pillow reads; what Pillow writes, we read; pixels never change."""

from __future__ import annotations

import io
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from stablenew_api.png import PngError, pieces_with_text, read_text, with_text, without_text


def png(info: PngInfo | None = None) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((16, 8)).convert("RGB").save(out, "PNG", pnginfo=info)
    return out.getvalue()


PLAIN = png()

keywords = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=79)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200)


@given(st.dictionaries(keywords, texts, max_size=4))
@settings(max_examples=150, deadline=None)
def test_pillow_reads_back_what_we_wrote(chunks: dict[str, str]) -> None:
    written = with_text(PLAIN, chunks)
    with Image.open(io.BytesIO(written)) as image:
        image.load()
        assert image.text == chunks  # type: ignore[attr-defined]
        assert image.tobytes() == Image.open(io.BytesIO(PLAIN)).tobytes()
    assert read_text(written) == chunks
    assert without_text(written) == PLAIN


@given(st.dictionaries(keywords, texts, max_size=4), st.booleans())
@settings(max_examples=100, deadline=None)
def test_we_read_what_pillow_wrote(chunks: dict[str, str], compress: bool) -> None:
    info = PngInfo()
    for keyword, text in chunks.items():
        info.add_text(keyword, text, zip=compress)
    assert read_text(png(info)) == chunks


@given(st.dictionaries(keywords, texts, min_size=1, max_size=3))
@settings(max_examples=50, deadline=None)
def test_same_bytes_as_pillow_chooses(chunks: dict[str, str]) -> None:
    """tEXt or iTXt, and every byte in it, as Pillow's add_text; only the place in the file is our own."""
    info = PngInfo()
    for keyword, text in chunks.items():
        info.add_text(keyword, text)
    assert sorted(_pieces(png(info))) == sorted(_pieces(with_text(PLAIN, chunks)))


def _pieces(data: bytes) -> list[bytes]:
    found, at = [], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        found.append(data[at:end])
        at = end
    return found


def test_a_text_of_the_same_keyword_is_replaced_and_others_stay() -> None:
    once = with_text(PLAIN, {"parameters": "old", "Title": "kept"})
    assert read_text(with_text(once, {"parameters": "new ✓"})) == {"parameters": "new ✓", "Title": "kept"}


@given(st.lists(st.sampled_from(["parameters", "stablenew", "Title"]), max_size=6), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_pieces_are_few_and_are_the_image_itself(present: list[str], texts_after_pixels: int) -> None:
    """However many chunks there are, and wherever texts stand that are replaced."""
    chunks = _pieces(PLAIN)
    late = _pieces(with_text(PLAIN, {"parameters": "late"}))[1]
    image = b"".join(
        (
            PLAIN[:8],
            chunks[0],
            *(_pieces(with_text(PLAIN, {keyword: "old"}))[1] for keyword in present),
            *chunks[1:-1],
            *[late] * texts_after_pixels,
            chunks[-1],
        )
    )
    pieces = pieces_with_text(image, {"parameters": "new", "stablenew": "{}"})
    whole = b"".join(pieces)
    assert [piece for piece in _pieces(whole) if piece[4:8] != b"tEXt"] == chunks
    assert read_text(whole) == {
        "parameters": "new",
        "stablenew": "{}",
        **({"Title": "old"} if "Title" in present else {}),
    }
    own = [piece for piece in pieces if isinstance(piece, memoryview)]
    assert all(piece.obj is image for piece in own), "no copies"
    replaced = texts_after_pixels + sum(keyword != "Title" for keyword in present)
    assert len(own) <= 2 + replaced


@pytest.mark.parametrize("keyword", ["", "x" * 80, " a", "a ", "a  b", "a\nb", "日本"])
def test_keywords_that_png_forbids(keyword: str) -> None:
    with pytest.raises(ValueError, match=r"keyword|latin-1"):
        with_text(PLAIN, {keyword: "text"})


def test_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        with_text(PLAIN, {"a": "x\0y"})


@pytest.mark.parametrize("data", [b"", b"GIF89a", PLAIN[:20], PLAIN[:-1], PLAIN[:8] + PLAIN[33:]])
def test_what_is_no_png(data: bytes) -> None:
    for call in (read_text, without_text, lambda d: with_text(d, {"a": "b"})):
        with pytest.raises(PngError, match="PNG"):
            call(data)


@given(st.binary(max_size=120))
@settings(max_examples=100, deadline=None)
def test_garbage_behind_the_signature(data: bytes) -> None:
    with pytest.raises(PngError, match=r"^image: .*$"):
        read_text(PLAIN[:33] + data)


def test_a_damaged_text_is_noticed() -> None:
    written = bytearray(with_text(PLAIN, {"parameters": "Steps: 20"}))
    written[written.index(b"Steps")] ^= 1
    with pytest.raises(PngError, match=r"photo\.png.*damaged"):
        read_text(bytes(written), "photo.png")


def test_a_decompression_bomb_is_refused() -> None:
    body = zlib.compress(b"a" * (65 * 1024 * 1024), 9)
    info = b"zTXt" + b"bomb\0\0" + body
    chunk = len(info[4:]).to_bytes(4, "big") + info + zlib.crc32(info).to_bytes(4, "big")
    with pytest.raises(PngError, match="too long"):
        read_text(PLAIN[:33] + chunk + PLAIN[33:])
