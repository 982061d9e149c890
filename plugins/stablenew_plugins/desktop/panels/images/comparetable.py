"""What differs between images: a column below each of them, with the words that differ in colour."""

from __future__ import annotations

from collections.abc import Sequence

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import draw_words
from stablenew_plugins.desktop.components.fit import fit, width_of
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.images.imagefacts import Compared
from stablenew_plugins.desktop.models.images.worddiff import Piece, Run, around, in_lines, marked
from stablenew_plugins.desktop.theme.tokens import Colour

FONT, NAME_FONT = "small", "small"
LINE, NAME, PAD = 18, 18, 7
"""Of a line of a value, of a name, and above and below a setting; before scaling."""
SCROLLBAR = 14
"""What it takes of the last column; the others have the same room."""
MOST_LINES, ALL_LINES = 4, 30
"""Of a text, and of one of which all is shown."""


class CompareTable:
    """See above. One drawing."""

    def __init__(self, ui: Ui, tag: str) -> None:
        self._ui, self._tag = ui, tag

    def build(self) -> None:
        """Make it in the current container."""
        dpg.add_drawlist(1, 1, tag=self._tag)

    @property
    def heads_height(self) -> int:
        """What heads take, in pixels."""
        return self._ui.px(LINE + PAD)

    def show(
        self, rows: Sequence[Compared], wide: int, gap: int, *, all_words: bool, heads: Sequence[str] = ()
    ) -> int:
        """Show ``rows`` in columns of ``wide`` pixels, ``gap`` apart, with ``heads`` above them; return how
        high that is. ``all_words``: also those of texts that are the same."""
        ui, c = self._ui, self._ui.colours
        dpg.delete_item(self._tag, children_only=True)
        count = max([len(heads), *(len(row.values) for row in rows)], default=0)
        whole = max(1, count * wide + max(0, count - 1) * gap)
        y = 0
        for place, head in enumerate(heads):
            self._write(place * (wide + gap), y, fit(ui, head, "small_medium", wide), c.text, "small_medium")
        y += self.heads_height if heads else 0
        for row in rows:
            if y:
                dpg.draw_line((0, y), (whole, y), color=c.line_soft, parent=self._tag)
            y += ui.px(PAD)
            self._write(0, y, row.name, c.faint, NAME_FONT)
            y += ui.px(NAME)
            columns = self._lines(row, wide, all_words)
            pieces = [piece for lines in columns for line in lines for piece in line]
            differ, agree = self._colours(row, pieces)
            for place, lines in enumerate(columns):
                for number, line in enumerate(lines):
                    at = y + number * ui.px(LINE)
                    for piece in line:
                        left = place * (wide + gap) + piece.left
                        self._write(left, at, piece.words, differ if piece.differs else agree)
            y += max([1, *(len(lines) for lines in columns)]) * ui.px(LINE) + ui.px(PAD)
        dpg.configure_item(self._tag, width=whole, height=max(1, y))
        return y

    def _lines(self, row: Compared, wide: int, all_words: bool) -> Sequence[Sequence[Sequence[Piece]]]:
        runs: Sequence[Sequence[Run]]
        if row.is_text and row.differs:
            found = marked(row.values)
            runs = found if all_words else [around(one) for one in found]
        elif row.differs:
            runs = [[Run(value, True)] for value in row.values]
        else:
            runs = [[Run(value, False)] for value in row.values[:1]]
        room = (wide if row.differs else len(row.values) * wide) - self._ui.px(SCROLLBAR)
        most = ALL_LINES if all_words else MOST_LINES

        def measure(words: str) -> float:
            return width_of(self._ui, words, FONT)

        return [in_lines(one, room, measure, most) for one in runs]

    def _colours(self, row: Compared, pieces: Sequence[Piece]) -> tuple[Colour, Colour]:
        """Of what differs, and of what does not. Where no word is the same none has to stand out."""
        c = self._ui.colours
        stands_out = row.is_text and not all(piece.differs for piece in pieces)
        return (c.accent_high if stands_out else c.text), c.muted

    def _write(self, x: float, y: float, words: str, colour: Colour, font: str = FONT) -> None:
        draw_words(self._ui, self._tag, (x, y), words, colour, font)
