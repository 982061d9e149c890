"""The contract check of importers."""

from __future__ import annotations

import random
from collections.abc import Mapping

from stablenew_api.errors import UserError
from stablenew_api.importer import Imported, Importer
from stablenew_api.jobs import canonical_json
from stablenew_api.kinds import class_problem
from stablenew_api.testing.rules import global_random


def check_importer(cls: type[Importer], examples: Mapping[str, bytes], *, cases: int = 40) -> None:
    """Check that an importer keeps its contract. Raises AssertionError naming the rule that it breaks.

    ``examples`` are files of its format, by name. Each must be known and read; then ``cases`` damaged copies of
    each (always the same ones) must be read or refused with UserError.
    """
    problem = class_problem("importer", cls)
    assert not problem, problem
    who = f"importer {cls.name}"
    for ending in cls.endings:
        dotted = ending.startswith(".") and ending == ending.lower()
        assert dotted, f"{who}: the ending {ending!r} must be lower case and begin with a dot"
    assert examples, f"{who}: give it examples of its format"
    for name, data in examples.items():
        assert not cls.endings or name.lower().endswith(cls.endings), f"{who}: {name} has none of its endings"
        assert cls().sniff(name, data) is True, f"{who}: sniff() does not know {name}"
        with global_random(1):
            first = cls().read(name, data)
        _check_imported(who, name, first)
        with global_random(2):
            second = cls().read(name, data)
        assert first == second, f"{who}: read() gave two answers for {name}; depend on the arguments alone"
        _check_damaged(who, cls, name, data, cases)
    for number, nonsense in enumerate((b"", b"\0" * 64, b"\xff\xfe\xfd", b"\x89PNG\r\n\x1a\n", b"plain words")):
        name = f"nonsense-{number}{cls.endings[0] if cls.endings else ''}"
        assert cls().sniff(name, nonsense) is False, f"{who}: sniff() takes {nonsense[:12]!r} for its format"


def _check_imported(who: str, name: str, imported: Imported) -> None:
    assert isinstance(imported, Imported), f"{who}: read() returned {type(imported).__name__}, not Imported"
    assert imported.files or imported.settings is not None, (
        f"{who}: read() of {name} gave neither files nor settings"
    )
    for path, content in imported.files.items():
        assert isinstance(content, bytes), f"{who}: {path} is {type(content).__name__}, not bytes"
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise AssertionError(f"{who}: {path} is not UTF-8; packs and sidecars are") from error
    for note in imported.notes:
        line = isinstance(note, str) and note.strip() and "\n" not in note
        assert line, f"{who}: the note {note!r} is no line"
    try:
        canonical_json(dict(imported.settings or {}))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{who}: the settings of {name} do not fit into JSON: {error}") from error
    for section, values in (imported.settings or {}).items():
        assert isinstance(values, Mapping), f"{who}: the section {section} of {name} must be a mapping"


def _check_damaged(who: str, cls: type[Importer], name: str, data: bytes, cases: int) -> None:
    for case in range(cases):
        draw = random.Random(case)  # noqa: S311 - test data, nothing secret
        damaged = bytearray(data[: draw.randrange(len(data) + 1)] if case % 2 else data)
        for _ in range(draw.randrange(1, 5) if damaged else 0):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        try:
            known = cls().sniff(name, bytes(damaged))
        except Exception as error:
            raise AssertionError(f"{who}: sniff() raised {error!r} for a damaged {name}") from error
        assert isinstance(known, bool), f"{who}: sniff() returned {known!r}, not a bool"
        refusal = _refusal(who, cls, name, bytes(damaged))
        assert "\n" not in refusal, f"{who}: the error {refusal!r} must be one line"


def _refusal(who: str, cls: type[Importer], name: str, data: bytes) -> str:
    """Why ``data`` was not read; empty if it was."""
    try:
        imported = cls().read(name, data)
    except UserError as error:
        return str(error)
    except Exception as error:
        raise AssertionError(
            f"{who}: read() raised {error!r} for a damaged {name}; what cannot be read is a UserError"
        ) from error
    _check_imported(who, name, imported)
    return ""
