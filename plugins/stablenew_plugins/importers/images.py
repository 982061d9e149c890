"""The texts in an image file, and which program wrote them.

PNG has text chunks; JPEG, WebP and AVIF have EXIF, whose UserComment takes the place of ``parameters``.
"""

from __future__ import annotations

import io
import struct
import warnings
from typing import Any, ClassVar

from stablenew_api.errors import UserError
from stablenew_api.importer import Imported, Importer, safe_stem
from stablenew_api.infotext import parse_infotext
from stablenew_api.packtext import PackRow, literal, pack_files
from stablenew_api.png import PARAMETERS, SIGNATURE, STABLENEW, read_text
from stablenew_plugins.importers.common import Flat, Notes, is_text, json_object, nested, peek

IMAGES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".avif")

_EXIF_IFD, _USER_COMMENT, _MAKER_NOTE = 0x8769, 0x9286, 0x927C
_COMFY_KEYS = ("prompt", "workflow")


class ImageImporter(Importer):
    """Reads what one program writes into its images."""

    endings: ClassVar[tuple[str, ...]] = IMAGES

    def sniff(self, name: str, data: bytes) -> bool:
        """The image has texts, and this program wrote them. Each image is known to one importer at most."""
        try:
            return wrote(texts_of(name, data)) == self.name
        except UserError:
            return False

    def texts(self, name: str, data: bytes) -> dict[str, str]:
        """The image's texts. Raises UserError for what is no image, and for one without any."""
        texts = texts_of(name, data)
        if not texts:
            raise UserError(f"{name}: no texts in it; many programs and sites leave them out")
        return texts


def texts_of(name: str, data: bytes) -> dict[str, str]:
    """Keyword to text. ``name`` is for error texts. Raises UserError for what is no image that is read here.

    A UserComment is given as ``parameters``. A text file that holds one of these texts counts as such: A1111
    can save ``.txt`` beside its images, ComfyUI exports ``.json``.
    """
    if data.startswith(SIGNATURE):
        return read_text(data, name)
    if data[:3] == b"\xff\xd8\xff" or (data[:4] == b"RIFF" and data[8:12] == b"WEBP") or data[4:8] == b"ftyp":
        return _exif_texts(name, data)
    if is_text(data) and not name.lower().endswith(IMAGES):
        text = peek(data)
        if (found := json_object(text)) is not None:
            return {"prompt" if is_graph(found) else PARAMETERS: text}
        if dict(parse_infotext(text).pairs).keys() >= {"Steps", "Sampler", "Seed"}:
            return {PARAMETERS: text}
    raise UserError(f"{name}: no PNG, JPEG, WebP or AVIF image")


def wrote(texts: dict[str, str]) -> str:
    """The importer that reads ``texts``; empty if none does."""
    parameters = texts.get(PARAMETERS, "")
    values = json_object(parameters)
    if STABLENEW in texts:
        return "stablenew_image"
    if '"sui_image_params"' in parameters[:200] or (values is not None and "sui_image_params" in values):
        return "swarmui"
    if values is not None and (values.keys() & {"base_model", "Base Model"} or texts.get("fooocus_scheme")):
        return "fooocus"
    if texts.keys() & {"invokeai_metadata", "sd-metadata", "Dream"}:
        return "invokeai"
    if texts.get("Software") == "NovelAI" and "Comment" in texts:
        return "novelai"
    if parameters and values is None:
        return "a1111_image"
    graph = json_object(texts.get("prompt", ""))
    return "comfyui" if graph is not None and is_graph(graph) else ""


def is_graph(values: dict[str, Any]) -> bool:
    """Whether ``values`` is a graph as ComfyUI queues it."""
    return any(isinstance(node, dict) and "class_type" in node for node in values.values())


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG file, in pixels."""
    if data.startswith(SIGNATURE) and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    return None


def imported_image(name: str, prompt: str, negative: str, settings: Flat, notes: Notes) -> Imported:
    """A pack of one row, with the settings of the image as its sidecar."""
    sections = nested(settings)
    rows = [PackRow(literal(prompt), literal(negative))]
    return Imported(pack_files(safe_stem(name), rows, sections), notes.all(), sections, prompt, negative)


# --- EXIF -----------------------------------------------------------------------------------------------------


def _exif_texts(name: str, data: bytes) -> dict[str, str]:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Only the head of the file is read, never the pixels.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=("JPEG", "WEBP", "AVIF")) as image:
                exif = image.getexif()
                tags = {**exif.get_ifd(_EXIF_IFD), **exif}
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise UserError(f"{name}: a damaged image, or of another kind than its name says") from error
    texts: dict[str, str] = {}
    for tag, value in tags.items():
        text = user_comment(value) if tag == _USER_COMMENT else value
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        if not isinstance(text, str):
            continue
        text = text.strip("\0 ")
        if tag == _USER_COMMENT and _tells(text):
            texts[PARAMETERS] = text
        elif tag == _MAKER_NOTE and text in ("fooocus", "a1111"):  # Fooocus writes its scheme there
            texts["fooocus_scheme"] = text
        else:  # ComfyUI writes "prompt:{...}" and "workflow:{...}" into tags that differ from node to node
            key, colon, value = text.partition(":")
            if colon and key.lower() in _COMFY_KEYS and value.lstrip().startswith("{"):
                texts[key.lower()] = value
    return texts


def _tells(text: str) -> bool:
    """Cameras write comments too: whether this one is about how an image was generated."""
    return text.startswith("{") or bool(parse_infotext(text).pairs)


def user_comment(value: object) -> str:
    """The text of an EXIF UserComment: eight bytes that name the encoding, then the text (Exif 2.32, 4.6.5)."""
    if not isinstance(value, bytes):
        return value if isinstance(value, str) else ""
    code, body = value[:8], value[8:]
    if code == b"UNICODE\0":
        if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return body.decode("utf-16", "replace")
        # The byte order is that of the writer: the side with more zeros is the high one.
        high_first = body[0::2].count(0) >= body[1::2].count(0)
        return body.decode("utf-16-be" if high_first else "utf-16-le", "replace")
    if code in (b"ASCII\0\0\0", b"\0" * 8):
        return body.decode("utf-8", "replace")
    return value.decode("utf-8", "replace")
