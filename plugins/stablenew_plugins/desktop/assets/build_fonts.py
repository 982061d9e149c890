"""Makes the fonts of the desktop and ``theme/icons.py``; run by hand, when an icon is wanted that is not there.

    npm pack inter-ui@4.1.1 lucide-static@1.62.0 @fontsource/jetbrains-mono@5.3.0
    pip install fonttools brotli
    python build_fonts.py FOLDER

``FOLDER`` is where ``npm pack`` has put the three packages, which are read as they are and checked by their
SHA-256. Dear PyGui cannot merge fonts when it loads them, so each weight of Inter is written with the icons of
Lucide among its glyphs, and an icon is a character that stands in any label. JetBrains Mono comes in one file
per script and is put together again. The same packages make the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fontTools import subset
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.transformPen import TransformPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont

FONTS = Path(__file__).resolve().parent / "fonts"
ICONS_MODULE = Path(__file__).resolve().parent.parent / "theme" / "icons.py"

INTER = "inter-ui-4.1.1.tgz"
LUCIDE = "lucide-static-1.62.0.tgz"
JETBRAINS = "fontsource-jetbrains-mono-5.3.0.tgz"
PACKAGES = {
    INTER: "e392e4d71f18a7c1f23dfecd833d68fa05eeab41862686584e80fd2b5d87e9c0",
    LUCIDE: "386f9080c440d6f5049cefe3456ae8357f7a0c7f76e59670cd1cb83bc7050a44",
    JETBRAINS: "1bbea47d1387406da5b6ccc4184cc61eae6851cc0db5c1d9bbd088ea9daa0b4a",
}
LICENCES = {
    (INTER, "LICENSE.txt"): "Inter-OFL.txt",
    (LUCIDE, "LICENSE"): "Lucide-LICENSE.txt",
    (JETBRAINS, "LICENSE"): "JetBrainsMono-OFL.txt",
}
WEIGHTS = ("Regular", "Medium", "SemiBold", "Bold")
SCRIPTS = ("latin", "latin-ext", "cyrillic", "cyrillic-ext", "greek", "vietnamese")

CHARACTERS = (
    range(0x20, 0x250),  # Latin
    range(0x370, 0x530),  # Greek and Cyrillic
    range(0x1E00, 0x1F00),  # Vietnamese and the rest of Latin
    range(0x2000, 0x2070),  # dashes, quotes, dots
    range(0x20A0, 0x20C0),  # currencies
    range(0x2122, 0x2123),  # ™
    range(0x2190, 0x2270),  # arrows and mathematics
    range(0x25A0, 0x2610),  # shapes and stars
    range(0x2713, 0x2716),  # ✓ and ✕
)
ICON_SIZE = 1.16
"""The side of Lucide's 24 x 24 box, in em of the text: its strokes then are as high as a line."""

ICONS = """
activity aperture arrow-down arrow-left arrow-right arrow-up arrow-up-down blocks bookmark box boxes brain bug
calendar chart-bar chart-column chart-line check chevron-down chevron-left chevron-right chevron-up
chevrons-down chevrons-up circle circle-alert circle-check circle-dot circle-help circle-pause circle-play
circle-stop clock cloud columns-2 copy corner-down-left cpu crop database dice-5 download ellipsis
ellipsis-vertical expand external-link eye eye-off file-plus file-text film filter flame folder folder-open
folder-plus frame gauge git-branch graduation-cap grid-2x2 grip-vertical hand hard-drive hash heart history
house image image-off image-plus images info key-round keyboard languages layers layout-grid lightbulb link
list list-filter list-ordered loader lock log-out maximize memory-stick message-square minus monitor moon move
network octagon-alert package palette panel-left panel-right pause pen pencil play plug plus power puzzle
redo-2 refresh-cw rocket rotate-ccw rotate-cw ruler save scale scan scan-face scissors search send server
settings shrink shuffle skip-forward sliders-horizontal sparkles split square stamp star star-half sticky-note
sun tag tags terminal thermometer thumbs-down thumbs-up timer trash-2 triangle-alert type undo-2 unlock upload
video wand wand-sparkles wifi wifi-off wind workflow x zap zoom-in zoom-out
"""
"""Names of Lucide, between spaces."""


def members(folder: Path) -> Mapping[tuple[str, str], bytes]:
    """The files of the three packages, by package and path in it. Exits if one is missing or another one."""
    found = {}
    for package, digest in PACKAGES.items():
        path = folder / package
        if not path.is_file():
            sys.exit(f"{path}: not there; get it with npm pack, as this script's first lines say")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            sys.exit(f"{path}: not the file that this script knows (its SHA-256 differs)")
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is not None:
                    found[package, member.name.removeprefix("package/")] = content.read()
    return found


def load(content: bytes) -> TTFont:
    """The font of a TTF or WOFF2 file, as TTF; its dates stay what they are."""
    font = TTFont(io.BytesIO(content), recalcTimestamp=False)
    font.flavor = None
    return font


def reduce(font: TTFont, characters: Iterable[int]) -> None:
    """Leave nothing in ``font`` but ``characters``. Features go, too: Dear PyGui shapes no text."""
    options = subset.Options(layout_features=[], name_IDs=["*"], notdef_outline=True, glyph_names=True)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters)
    subsetter.subset(font)


def add(font: TTFont, name: str, codepoint: int, source: TTFont, scale: float = 1.0, rise: float = 0.0) -> None:
    """Draw what ``source`` has for ``codepoint`` into ``font`` as glyph ``name``, scaled and lifted."""
    glyphs = source.getGlyphSet()
    glyph_name = source.getBestCmap()[codepoint]
    recording = DecomposingRecordingPen(glyphs)  # accents are parts of letters, by names of their own font
    glyphs[glyph_name].draw(recording)
    pen = TTGlyphPen(None)
    recording.replay(TransformPen(pen, (scale, 0, 0, scale, 0, rise)))
    glyph = pen.glyph()
    font["glyf"][name] = glyph
    glyph.recalcBounds(font["glyf"])
    font["hmtx"][name] = (round(glyphs[glyph_name].width * scale), getattr(glyph, "xMin", 0))
    for table in font["cmap"].tables:
        if table.isUnicode():
            table.cmap[codepoint] = name


def rename(font: TTFont, family: str, weight: str) -> None:
    """Give ``font`` names of its own, and say whose the icons are."""
    names: dict[int, str] = {
        1: f"{family} {weight}",
        3: f"{family} {weight}",
        4: f"{family} {weight}",
        6: f"{family.replace(' ', '')}-{weight}",
        16: family,
        17: weight,
    }
    for record in font["name"].names:
        if record.nameID in names:
            record.string = names[record.nameID]
        elif record.nameID == 0:
            record.string = f"{record}. Icons: Lucide Icons and Contributors; some: Cole Bemis (Feather)"


def write(font: TTFont, name: str) -> None:
    """Write ``font`` to the fonts of the desktop."""
    font["maxp"].numGlyphs = len(font.getGlyphOrder())
    path = FONTS / name
    font.save(path)
    sys.stdout.write(f"{path.name}: {len(font.getGlyphOrder())} glyphs, {path.stat().st_size // 1024} KB\n")


def interface(files: Mapping[tuple[str, str], bytes], codepoints: Mapping[str, int]) -> None:
    """Each weight of Inter with the icons, which stand half way up its capitals."""
    lucide = load(files[LUCIDE, "font/lucide.ttf"])
    middle = (lucide["hhea"].ascent + lucide["hhea"].descent) / 2
    for weight in WEIGHTS:
        font = load(files[INTER, f"web/Inter-{weight}.woff2"])
        reduce(font, (one for characters in CHARACTERS for one in characters))
        scale = font["head"].unitsPerEm / lucide["head"].unitsPerEm * ICON_SIZE
        rise = font["OS/2"].sCapHeight / 2 - middle * scale
        for icon, codepoint in codepoints.items():
            add(font, "icon_" + icon.replace("-", "_"), codepoint, lucide, scale, rise)
        rename(font, "StableNew UI", weight)
        write(font, f"StableNewUI-{weight}.ttf")


def monospaced(files: Mapping[tuple[str, str], bytes]) -> None:
    """JetBrains Mono in one file."""
    parts = [load(files[JETBRAINS, f"files/jetbrains-mono-{script}-400-normal.woff2"]) for script in SCRIPTS]
    font, *others = parts
    reduce(font, font.getBestCmap())
    for other in others:
        for codepoint in sorted(set(other.getBestCmap()) - set(font.getBestCmap())):
            add(font, f"uni{codepoint:04X}", codepoint, other)
    write(font, "JetBrainsMono-Regular.ttf")


def constant(icon: str) -> str:
    """The name of an icon in Python."""
    return icon.replace("-", "_").upper()


def icons_module(codepoints: Mapping[str, int]) -> str:
    """The text of ``theme/icons.py``."""
    lines = [
        '"""The icons in the fonts of the desktop, as characters: ``f"{icons.PLAY} Run"``.',
        "",
        "Made by ``assets/build_fonts.py``; https://lucide.dev/icons shows them by name.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from collections.abc import Mapping",
        "from types import MappingProxyType",
        "",
        *(f'{constant(icon)} = "\\u{codepoint:04x}"' for icon, codepoint in codepoints.items()),
        "",
        "BY_NAME: Mapping[str, str] = MappingProxyType(",
        "    {",
        *(f'        "{icon}": {constant(icon)},' for icon in codepoints),
        "    }",
        ")",
        '"""Each icon by the name that Lucide has for it: ``BY_NAME["circle-play"]``."""',
        "",
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Make everything from the packages in the folder that ``arguments`` name."""
    if len(arguments) != 1:
        sys.exit("usage: python build_fonts.py FOLDER (see this script's first lines)")
    files = members(Path(arguments[0]))
    known: dict[str, Any] = json.loads(files[LUCIDE, "font/codepoints.json"])
    wanted = sorted(set(ICONS.split()))
    unknown = [icon for icon in wanted if icon not in known]
    if unknown:
        sys.exit(f"ICONS: Lucide has no {', '.join(unknown)}; see https://lucide.dev/icons")
    codepoints = {icon: known[icon] for icon in wanted}
    FONTS.mkdir(exist_ok=True)
    interface(files, codepoints)
    monospaced(files)
    for member, name in LICENCES.items():
        (FONTS / name).write_bytes(files[member])
    ICONS_MODULE.write_text(icons_module(codepoints), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
