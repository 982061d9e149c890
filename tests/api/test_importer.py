"""The contract of importers: paths that every system can have, who knows a file, what a broken one does."""

from __future__ import annotations

import pytest

from stablenew_api.errors import PluginError, UserError
from stablenew_api.importer import Imported, Importer, import_file, recognise, safe_name, safe_stem
from stablenew_api.packtext import PackRow, pack_files
from stablenew_api.testing import check_importer


class Arrows(Importer):
    """The example of the interface's docstring, complete."""

    name, title, endings = "arrows", "Lines with an arrow", (".arrows",)

    def sniff(self, name: str, data: bytes) -> bool:
        return data.startswith(b">")

    def read(self, name: str, data: bytes) -> Imported:
        lines = data.decode("utf-8", "replace").splitlines()
        return Imported(pack_files(safe_stem(name), [PackRow(line.removeprefix(">")) for line in lines]))


EXAMPLES = {"a.arrows": b">a cat\n>a dog\n"}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "a//b",
        "../a",
        "a/../b",
        "a/.",
        "C:/a",
        "a\\b",
        "a?",
        "con",
        "NUL.txt",
        "a.",
        "a ",
        " a",
        "a\0",
        "a\n",
    ],
)
def test_paths_that_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="no relative path"):
        Imported({path: b""})


@pytest.mark.parametrize(
    "path", ["a.txt", "wildcards/hair/colour.txt", "日本 1.json", ".hidden", "a-b_c (2).txt"]
)
def test_paths_that_are_fine(path: str) -> None:
    assert Imported({path: b""}).files == {path: b""}


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("styles.csv", "styles"),
        ("a/b\\c.d.png", "c.d"),
        ("CON.png", "_CON"),
        ("a:b*?.txt", "a_b__"),
        (".txt", ".txt"),
        ("...", "imported"),
        ("  x . .txt", "x"),
        ("y" * 300 + ".txt", "y" * 100),
        ("\ud800.txt", "_"),
    ],
)
def test_names_of_packs(name: str, stem: str) -> None:
    made = safe_stem(name)
    assert made == stem
    assert safe_name(made) == made


def test_who_knows_a_file() -> None:
    class Other(Arrows):
        name = "other"
        endings = ()

    kinds = {"arrows": Arrows, "other": Other}
    assert [found.name for found in recognise(kinds, "A.ARROWS", b">x")] == ["arrows", "other"]
    assert [found.name for found in recognise(kinds, "a.txt", b">x")] == ["other"]
    assert recognise(kinds, "a.arrows", b"x") == ()


def test_a_broken_importer_is_named() -> None:
    class Broken(Arrows):
        name = "broken"

        def sniff(self, name: str, data: bytes) -> bool:
            raise IndexError("oops")

        def read(self, name: str, data: bytes) -> Imported:
            if data == b"user":
                raise UserError("a.arrows: no")
            if data == b"none":
                return None  # type: ignore[return-value]
            raise IndexError("oops")

    with pytest.raises(PluginError, match=r"importer broken: sniff failed on a\.arrows: IndexError"):
        recognise({"broken": Broken}, "a.arrows", b"")
    with pytest.raises(PluginError, match=r"importer broken: read failed on a\.arrows"):
        import_file(Broken(), "a.arrows", b"")
    with pytest.raises(PluginError, match="returned NoneType"):
        import_file(Broken(), "a.arrows", b"none")
    with pytest.raises(UserError, match="no"):
        import_file(Broken(), "a.arrows", b"user")


# --- the contract's check -------------------------------------------------------------------------------------


def test_the_check_passes_a_good_one() -> None:
    check_importer(Arrows, EXAMPLES)


class KnowsAll(Arrows):
    def sniff(self, name: str, data: bytes) -> bool:
        return True


class KnowsNothing(Arrows):
    def sniff(self, name: str, data: bytes) -> bool:
        return False


class Sniffles(Arrows):
    def sniff(self, name: str, data: bytes) -> bool:
        return data.decode("utf-8").startswith(">")


class Strict(Arrows):
    def read(self, name: str, data: bytes) -> Imported:
        data.decode("utf-8")
        return super().read(name, data)


class Counts(Arrows):
    count = 0

    def read(self, name: str, data: bytes) -> Imported:
        Counts.count += 1
        return Imported({f"{Counts.count}.txt": b"a"})


class Chatty(Arrows):
    def read(self, name: str, data: bytes) -> Imported:
        return Imported({"a.txt": b"a"}, ("two\nlines",))


class Latin(Arrows):
    def read(self, name: str, data: bytes) -> Imported:
        return Imported({"a.txt": b"\xe9"})


class NoNumber(Arrows):
    def read(self, name: str, data: bytes) -> Imported:
        return Imported({}, settings={"txt2img": {"steps": float("nan")}})


class Nothing(Arrows):
    def read(self, name: str, data: bytes) -> Imported:
        return Imported({})


class Shouts(Arrows):
    endings = (".ARROWS",)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (KnowsAll, "takes b'' for its format"),
        (KnowsNothing, "does not know a.arrows"),
        (Sniffles, "sniff.. raised UnicodeDecodeError"),
        (Strict, "read.. raised UnicodeDecodeError"),
        (Counts, "two answers"),
        (Chatty, "is no line"),
        (Latin, "not UTF-8"),
        (NoNumber, "do not fit into JSON"),
        (Nothing, "neither files nor settings"),
        (Shouts, "lower case"),
    ],
)
def test_the_check_finds_what_is_wrong(broken: type[Importer], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_importer(broken, EXAMPLES)
    with pytest.raises(AssertionError, match="give it examples"):
        check_importer(Arrows, {})
