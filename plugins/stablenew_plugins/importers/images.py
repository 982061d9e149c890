"""The texts in an image file, and which program wrote them.

PNG has text chunks; JPEG, WebP and AVIF have EXIF, whose UserComment takes the place of ``parameters``. Where
none of them tells anything, the lowest bits of the pixels may (:mod:`.stealth`).
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

from stablenew_api import exif
from stablenew_api.errors import UserError
from stablenew_api.imagetext import INFOTEXT, JOB, PNG, WEBP, exif_and_properties, kind_of
from stablenew_api.importer import Imported, Importer, safe_stem
from stablenew_api.infotext import parse_infotext
from stablenew_api.packtext import PackRow, literal, pack_files
from stablenew_api.png import PARAMETERS, SIGNATURE, STABLENEW, read_text
from stablenew_plugins.importers.common import Flat, Notes, is_text, json_object, nested, peek, short
from stablenew_plugins.importers.stealth import hidden_texts

IMAGES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".avif")

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
    kind = kind_of(data)
    if kind or data[4:8] == b"ftyp":
        texts = read_text(data, name) if kind == PNG else _exif_texts(name, data)
        if kind in (PNG, WEBP) and not wrote(texts):
            texts |= hidden_texts(data)
        return texts
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


def imported_image(
    name: str,
    prompt: str,
    negative: str,
    settings: Flat,
    notes: Notes,
    *,
    program: str,
    hashes: Mapping[str, str] | None = None,
) -> Imported:
    """A pack of one row, with the settings of the image as its sidecar. ``program`` made it."""
    sections = nested(settings)
    rows = [PackRow(literal(prompt), literal(negative))]
    files = pack_files(safe_stem(name), rows, sections)
    return Imported(files, notes.all(), sections, prompt, negative, short(program), dict(hashes or {}))


# --- EXIF -----------------------------------------------------------------------------------------------------


def _exif_texts(name: str, data: bytes) -> dict[str, str]:
    """Also of our own files, whose job is in XMP (:mod:`stablenew_api.imagetext`)."""
    if kind_of(data):
        block, properties = exif_and_properties(data, name)
    else:
        block, properties = _avif_exif(name, data), {}
    texts: dict[str, str] = {}
    for tag, value in exif.text_tags(block).items():
        comment = tag == exif.USER_COMMENT
        text = (exif.user_comment(value) if comment else value.decode("utf-8", "replace")).strip("\0 ")
        if comment and _tells(text):
            texts[PARAMETERS] = text
        elif tag == exif.MAKER_NOTE and text in ("fooocus", "a1111"):  # Fooocus writes its scheme there
            texts["fooocus_scheme"] = text
        else:  # ComfyUI writes "prompt:{...}" and "workflow:{...}" into tags that differ from node to node
            key, colon, rest = text.partition(":")
            if colon and key.lower() in _COMFY_KEYS and rest.lstrip().startswith("{"):
                texts[key.lower()] = rest
    if properties.get(INFOTEXT):
        texts.setdefault(PARAMETERS, properties[INFOTEXT])
    if properties.get(JOB):
        texts[STABLENEW] = properties[JOB]
    return texts


def _avif_exif(name: str, data: bytes) -> bytes:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Only the head of the file is read, never the pixels.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=("AVIF",)) as image:
                block = image.info.get("exif", b"")
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise UserError(f"{name}: a damaged image, or of another kind than its name says") from error
    return block if isinstance(block, bytes) else b""


def _tells(text: str) -> bool:
    """Cameras write comments too: whether this one is about how an image was generated."""
    return text.startswith("{") or bool(parse_infotext(text).pairs)
