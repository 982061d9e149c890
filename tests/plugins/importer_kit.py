"""Files in the formats that importers read, made here."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image

from stablenew_api.importer import Importer
from stablenew_api.jobs import JobSpec
from stablenew_api.png import with_text
from stablenew_kernel.domain.infotext import stablenew_chunk
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.plan import PlanRequest, plan_run
from stablenew_plugins.importers import stablenew_importers
from stablenew_plugins.randomizers import stablenew_randomizers
from stablenew_plugins.stages import stablenew_stages

GOLDEN = Path(__file__).parent / "importers_golden"
IMPORTERS: dict[str, type[Importer]] = {kind.name: kind for kind in stablenew_importers()}
_BY_PREFIX = {
    "styles": "styles_csv",
    "prompts": "prompts_file",
    "dream": "dream_factory",
    "fooocus": "fooocus_log",
    "wildcards": "wildcards",
}


def picture(file: str, texts: dict[str, str], size: tuple[int, int] = (64, 96)) -> bytes:
    """An image file with ``texts``, as programs write them into that kind of file."""
    image = Image.new("RGB", size, (90, 120, 150))
    buffer = io.BytesIO()
    ending = file.rpartition(".")[2].lower()
    if ending == "png":
        image.save(buffer, "PNG")
        return with_text(buffer.getvalue(), texts)
    exif = Image.Exif()
    if "parameters" in texts and "fooocus_scheme" not in texts:
        comment = b"UNICODE\0" + texts["parameters"].encode("utf-16-be")
        exif.get_ifd(0x8769)[0x9286] = comment
    if "prompt" in texts:
        exif[0x0110] = f"prompt:{texts['prompt']}"
    if "fooocus_scheme" in texts:
        exif[0x9286], exif[0x927C] = texts["parameters"], texts["fooocus_scheme"]
    image.save(buffer, {"jpg": "JPEG", "webp": "WEBP", "avif": "AVIF"}[ending], exif=exif.tobytes())
    return buffer.getvalue()


def hide(text: str, *, rgb: bool, packed: bool, size: tuple[int, int] = (64, 96), kind: str = "PNG") -> bytes:
    """An image with ``text`` in its lowest bits, column by column, as the programs write it."""
    body = gzip.compress(text.encode("utf-8")) if packed else text.encode("utf-8")
    signature = f"stealth_{'rgb' if rgb else 'png'}{'comp' if packed else 'info'}".encode("ascii")
    data = signature + (8 * len(body)).to_bytes(4, "big") + body
    bits = [byte >> shift & 1 for byte in data for shift in range(7, -1, -1)]
    image = Image.new("RGB" if rgb else "RGBA", size, (90, 120, 150) if rgb else (90, 120, 150, 254))
    width, height = size
    assert len(bits) <= width * height * (3 if rgb else 1)
    pixels = image.load()
    assert pixels is not None
    at = 0
    for x in range(width):
        for y in range(height):
            values = list(pixels[x, y])  # type: ignore[arg-type]
            for channel in range(3) if rgb else [3]:
                if at < len(bits):
                    values[channel] = values[channel] & 0xFE | bits[at]
                    at += 1
            pixels[x, y] = tuple(values)
    out = io.BytesIO()
    image.save(out, kind, lossless=True, exact=True) if kind == "WEBP" else image.save(out, kind)
    return out.getvalue()


def golden_inputs() -> list[Path]:
    """Every input of the golden tests."""
    return sorted(path for path in GOLDEN.iterdir() if not path.name.endswith(".golden.json"))


def load(path: Path) -> tuple[str, str, bytes]:
    """Importer, file name and content of a golden input."""
    if path.name.endswith(".image.json"):
        recipe: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return recipe["importer"], recipe["file"], picture(recipe["file"], recipe["texts"])
    importer = _BY_PREFIX[path.name.partition("-")[0]]
    name = path.name.replace("wildcards-", "wildcards/sub/") if importer == "wildcards" else path.name
    return importer, name, path.read_bytes()


def examples(importer: str) -> dict[str, bytes]:
    """The golden inputs of one importer, by file name."""
    found = (
        {"own.png": own_picture("upscale.enabled=1", "frame.enabled=1")[0]}
        if importer == "stablenew_image"
        else {}
    )
    for number, path in enumerate(golden_inputs()):
        kind, name, data = load(path)
        if kind == importer:
            folder, _, base = name.rpartition("/")
            found[f"{folder}/{base}" if folder else f"{number}-{base}"] = data
    return found


def own_picture(*sets: str) -> tuple[bytes, JobSpec]:
    """An image as StableNew saves it, and its job."""
    pack = parse_pack("demo.txt", rb"a {red|blue} castle\nneg: fog" + b"\nneg: text\n")
    stages = {stage.name: stage for stage in stablenew_stages()}
    kinds = {kind.name: kind for kind in stablenew_randomizers()}
    request = PlanRequest(pack, sets=["txt2img.steps=30", *sets], seed=9)
    spec = plan_run(request, stages, rng=Random(1), randomizers=kinds).jobs[0].spec
    chunk = stablenew_chunk(
        spec, {}, version="1", job_id="J", run_id="R", node="attic", attempt=1, image_sha256="ab" * 32
    )
    parameters = "a castle\nSteps: 30, Sampler: Euler a, Seed: 9"
    return picture("own.png", {"parameters": parameters, "stablenew": chunk}), spec
