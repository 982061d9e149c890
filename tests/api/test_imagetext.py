"""Texts in JPEG and WebP files: what we write, others' rules read; what others write, we read."""

from __future__ import annotations

import contextlib
import io
import json
import struct
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD
from PIL import Image

from stablenew_api import exif, xmp
from stablenew_api.errors import UserError
from stablenew_api.imagetext import (
    exif_and_properties,
    exif_and_xmp,
    jpeg_with_texts,
    kind_of,
    read_texts,
)
from stablenew_api.png import with_text

INFOTEXT = "a castle, 蝶 🦋\nNegative prompt: fog\nSteps: 20, Sampler: Euler a, Seed: 9, Size: 16x8"
JOB = json.dumps({"format": 1, "spec": {"prompt": "a < b & c > \"d\" 'e'"}})
TEXTS = {"parameters": INFOTEXT, "stablenew": JOB}


def picture() -> Image.Image:
    return Image.linear_gradient("L").resize((16, 8)).convert("RGB")


def saved(kind: str, image: Image.Image | None = None, **more: object) -> bytes:
    out = io.BytesIO()
    (image or picture()).save(out, kind, **more)
    return out.getvalue()


def webp(texts: dict[str, str]) -> bytes:
    block, properties = exif_and_xmp(texts)
    return saved("WEBP", exif=block, xmp=xmp.packet(properties))


PLAIN = saved("JPEG")

prose = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=300)
xml_text = prose.filter(lambda text: not any(char < " " and char not in "\t\n\r" for char in text)).filter(
    lambda text: "\ufffe" not in text and "\uffff" not in text
)


def piexif_load(block: bytes) -> str:
    """UserComment as ``piexif.helper.UserComment.load`` reads it for the WebUI: big-endian UTF-16 alone."""
    with Image.open(io.BytesIO(saved("JPEG", exif=exif.HEADER + block))) as image:
        value = image.getexif().get_ifd(0x8769)[0x9286]
    assert value[:8] == b"UNICODE\0"
    return str(value[8:].decode("utf-16-be"))


@given(prose, st.one_of(st.just(""), xml_text))
@A_THIRD
@example("", "]]><x&amp;>\r\n\r")
def test_jpeg_keeps_both_texts_and_its_picture(prompt: str, job: str) -> None:
    texts = {"parameters": f"{prompt.strip()}\nSteps: 1, Seed: 2, Size: 3x4".strip(), "stablenew": job}
    written = jpeg_with_texts(PLAIN, texts)
    assert read_texts(written) == {key: text for key, text in texts.items() if text}
    with Image.open(io.BytesIO(written)) as image:
        image.load()
        assert image.tobytes() == Image.open(io.BytesIO(PLAIN)).tobytes()
    assert written.replace(written[20 : len(written) - len(PLAIN) + 20], b"", 1) == PLAIN


@pytest.mark.parametrize("make", [lambda texts: jpeg_with_texts(PLAIN, texts), webp], ids=["jpeg", "webp"])
def test_what_the_webui_reads(make: object) -> None:
    """Pillow hands ``info["exif"]`` to piexif, which takes it with or without its header."""
    written = make(TEXTS)  # type: ignore[operator]
    assert read_texts(written) == TEXTS
    with Image.open(io.BytesIO(written)) as image:
        block = image.info["exif"].removeprefix(exif.HEADER)
        assert block[:4] == b"MM\0*"
        assert piexif_load(block) == INFOTEXT
        assert image.info["xmp"].startswith(b"<?xpacket")


def test_a_job_that_fills_several_segments_comes_back() -> None:
    long = json.dumps({"prompt": "word " * 60_000})
    written = jpeg_with_texts(PLAIN, {**TEXTS, "stablenew": long})
    assert len(long) > 4 * 65_535
    assert read_texts(written)["stablenew"] == long
    with Image.open(io.BytesIO(written)) as image:  # the standard part names the rest, as the format wants it
        assert b"HasExtendedXMP" in image.info["xmp"]
    cut = written.replace(xmp.EXTENSION, xmp.EXTENSION.replace(b"xmp", b"xxx"), 1)
    assert "stablenew" not in read_texts(cut)  # one part is gone: nothing is better than half a job


def test_an_infotext_that_exif_cannot_hold_goes_to_xmp() -> None:
    long = f"{'word ' * 10_000}\nSteps: 1, Seed: 2, Size: 3x4"
    written = jpeg_with_texts(PLAIN, {"parameters": long, "stablenew": JOB})
    assert read_texts(written) == {"parameters": long, "stablenew": JOB}
    assert exif_and_properties(written)[0] == b""
    assert read_texts(webp({"parameters": long})) == {"parameters": long}  # WebP has no such limit


def test_png_is_read_as_ever() -> None:
    assert read_texts(with_text(saved("PNG"), {**TEXTS, "prompt": "{}"})) == {**TEXTS, "prompt": "{}"}


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be", "utf-16"])
def test_either_byte_order_is_read(order: str) -> None:
    assert exif.user_comment(b"UNICODE\0" + INFOTEXT.encode(order)) == INFOTEXT


def test_other_codes_of_a_comment() -> None:
    assert exif.user_comment(b"ASCII\0\0\0hello") == "hello"
    assert exif.user_comment(b"\0" * 8 + b"hello") == "hello"
    assert exif.user_comment(b"{}") == "{}"


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_block_of_pillows_own_making(order: str) -> None:
    block = Image.Exif()
    block.endian = order
    block[0x010F] = "workflow:{}"
    block.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0hello"
    data = block.tobytes()
    tags = exif.text_tags(data)
    assert tags[0x010F].rstrip(b"\0") == b"workflow:{}"
    assert tags[0x9286] == b"ASCII\0\0\0hello"


def test_properties_that_another_program_wrote_anew() -> None:
    """Adobe's programs write plain properties as attributes, and name the prefix as they like."""
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:ns1="{xmp.NAMESPACE}" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' ns1:job="{&quot;a&quot;: 1}"><dc:title>job</dc:title></rdf:Description></rdf:RDF></x:xmpmeta>'
    )
    assert xmp.properties(packet.encode("utf-8")) == {"job": '{"a": 1}'}


def test_a_document_type_is_refused() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb">]>' + xmp.packet({"job": "x"}).decode("utf-8").replace(
        ">x<", ">&b;<"
    )
    assert xmp.properties(bomb.encode("utf-8")) == {}
    assert xmp.properties(b"no xml") == {}


def test_kinds() -> None:
    assert [kind_of(saved(kind)) for kind in ("PNG", "JPEG", "WEBP", "GIF")] == ["png", "jpeg", "webp", ""]
    with pytest.raises(UserError, match=r"a\.gif: no PNG, JPEG or WebP"):
        read_texts(saved("GIF"), "a.gif")


FILES = {"jpeg": jpeg_with_texts(PLAIN, TEXTS), "webp": webp(TEXTS)}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_cut_is_an_error_that_names_it(kind: str) -> None:
    data = FILES[kind]
    end = len(data) if kind == "webp" else data.index(b"\xff\xda")
    for size in range(12, end, 7):
        with pytest.raises(UserError, match=r"b\.x: .*(cut off|damaged)"):
            read_texts(data[:size], "b.x")


@given(st.sampled_from(sorted(FILES)), st.data())
@A_THIRD
def test_damage_is_an_error_or_another_text_and_nothing_else(kind: str, draw: st.DataObject) -> None:
    data = bytearray(FILES[kind])
    for at in draw.draw(st.lists(st.integers(12, len(data) - 1), min_size=1, max_size=6)):
        data[at] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(UserError):
        assert read_texts(bytes(data), "c.x").keys() <= TEXTS.keys()


def test_a_table_that_points_nowhere_gives_what_can_be_read() -> None:
    block = bytearray(exif.comment_block("Steps"))
    assert exif.text_tags(bytes(block[: 8 + 18 + 6])) == {}
    struct.pack_into(">I", block, 4, 2**31)
    assert exif.text_tags(bytes(block)) == {}
    assert exif.text_tags(b"") == exif.text_tags(b"II*\0") == {}


def test_a_file_of_the_repository_without_texts() -> None:
    sheet = Path(__file__).resolve().parents[2] / "docs" / "images" / "demo-contact-sheet.jpg"
    assert read_texts(sheet.read_bytes()) == {}
