"""The fonts of the system: their files, and which of them to look into first."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ENDINGS = (".ttf", ".ttc", ".otf", ".otc")
SLOWEST = 20.0
"""Seconds for fontconfig to list its fonts: it may have to look through them first."""

PREFERRED: Mapping[str, Sequence[str]] = {
    "ja": (
        "YuGothM.ttc", "YuGothR.ttc", "meiryo.ttc", "msgothic.ttc",
        "ヒラギノ角ゴシック W3.ttc", "Hiragino Sans W3.ttc", "NotoSansCJK", "NotoSansJP", "ipagp.ttf",
        "TakaoPGothic.ttf", "VL-PGothic-Regular.ttf",
    ),
    "ko": ("malgun.ttf", "gulim.ttc", "AppleSDGothicNeo.ttc", "NotoSansCJK", "NotoSansKR", "NanumGothic.ttf"),
    "zh-Hans": (
        "msyh.ttc", "simhei.ttf", "simsun.ttc", "PingFang.ttc", "Hiragino Sans GB.ttc", "STHeiti Medium.ttc",
        "NotoSansCJK", "NotoSansSC", "SourceHanSansCN", "wqy-microhei.ttc", "wqy-zenhei.ttc",
    ),
    "zh-Hant": (
        "msjh.ttc", "mingliu.ttc", "PingFang.ttc", "STHeiti Medium.ttc", "NotoSansCJK", "NotoSansTC",
        "SourceHanSansTW", "wqy-microhei.ttc",
    ),
    "": (
        "segoeui.ttf", "seguisym.ttf", "Nirmala.ttc", "Nirmala.ttf", "LeelawUI.ttf", "ebrima.ttf",
        "seguiemj.ttf",
        "Arial Unicode.ttf", "Apple Symbols.ttf", "NotoSans-Regular.ttf", "DejaVuSans.ttf", "NotoSansSymbols",
        "DroidSansFallback",
    ),
}  # fmt: skip
"""Beginnings of names of files, by language, the best first; none: for all that no language asks for."""

UNUSABLE = ("lastresort", "adobeblank", "notocoloremoji", "apple color emoji")
"""Beginnings of names of fonts without letters: boxes, nothing, pictures."""
LESS = ("bold", "black", "heavy", "light", "thin", "italic", "oblique", "condensed", "serif", "mincho", "song")
"""In names of fonts that look unlike ours."""


@dataclass(frozen=True, slots=True)
class FontFile:
    """A file, and what tells that it is still the same."""

    path: Path
    size: int
    changed: int
    """Nanoseconds, as the system says it."""


def font_files(
    platform: str = sys.platform, environment: Mapping[str, str] = os.environ, home: Path | None = None
) -> list[FontFile]:
    """All fonts of the system. Takes a while: never in the thread that draws. ``home``: the person's folder."""
    found: dict[Path, FontFile] = {}
    for path in (*_of_fontconfig(platform), *_in(_folders(platform, environment, home or Path.home()))):
        if path in found or path.suffix.lower() not in ENDINGS:
            continue
        try:
            state = path.stat()
        except OSError:  # it has gone, or is not for us
            continue
        found[path] = FontFile(path, state.st_size, state.st_mtime_ns)
    return list(found.values())


def in_order(files: Iterable[FontFile], languages: Sequence[str]) -> list[FontFile]:
    """``files``, those first in which to look first for what is written in ``languages``."""
    wishes = [name.lower() for language in (*languages, "") for name in PREFERRED[language]]
    # The fonts of languages that nobody asked for come next: Japanese ones have symbols that others have not.
    wishes += [name.lower() for language in PREFERRED for name in PREFERRED[language]]

    def rank(file: FontFile) -> tuple[int, int, int, str]:
        name = file.path.name.lower()
        wish = next((number for number, start in enumerate(wishes) if name.startswith(start)), len(wishes))
        return sum(word in name for word in LESS), wish, len(name), str(file.path)

    usable = [file for file in files if not file.path.name.lower().startswith(UNUSABLE)]
    return sorted(usable, key=rank)


def _of_fontconfig(platform: str) -> list[Path]:
    """What fontconfig knows, where it is installed; it also knows fonts in unusual places."""
    if platform in ("win32", "darwin") or (program := shutil.which("fc-list")) is None:
        return []
    try:
        done = subprocess.run(
            [program, "--format", "%{file}\\n"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=SLOWEST,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):  # the usual folders remain
        return []
    return sorted({Path(line) for line in done.stdout.splitlines() if line})


def _folders(platform: str, environment: Mapping[str, str], home: Path) -> list[Path]:
    if platform == "win32":
        local = Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local")
        return [
            Path(environment.get("WINDIR") or r"C:\Windows") / "Fonts",
            local / "Microsoft" / "Windows" / "Fonts",
        ]
    if platform == "darwin":
        assets = Path("/System/Library/AssetsV2/com_apple_MobileAsset_Font7")
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library" / "Fonts", assets]
    own = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share") / "fonts"
    return [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), own, home / ".fonts"]


def _in(folders: Iterable[Path]) -> list[Path]:
    return [
        Path(folder) / name
        for root in folders
        for folder, _folders_in, names in sorted(os.walk(root))
        for name in sorted(names)
    ]
