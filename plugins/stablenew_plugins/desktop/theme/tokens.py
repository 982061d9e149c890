"""The colours and measures of the window. No panel has a colour or a size of its own."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[int, int, int, int]
"""Red, green, blue and alpha, 0 to 255."""

NONE: Colour = (0, 0, 0, 0)
WHITE: Colour = (255, 255, 255, 255)


def colour(code: str, alpha: int = 255) -> Colour:
    """``"7C83FF"`` as a colour."""
    return int(code[0:2], 16), int(code[2:4], 16), int(code[4:6], 16), alpha


def tint(base: Colour, alpha: int) -> Colour:
    """``base``, as much to be seen through as ``alpha`` says (0 to 255)."""
    return base[0], base[1], base[2], alpha


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one theme, by what they are for."""

    name: str
    bg: Colour
    """Behind the centre."""
    rail: Colour
    """Behind the sides and the command bar."""
    foot: Colour
    """Behind the status bar."""
    card: Colour
    raised: Colour
    """Buttons and pop-ups."""
    raised_hover: Colour
    raised_active: Colour
    inset: Colour
    """Fields that are typed into."""
    inset_hover: Colour
    inset_active: Colour
    line: Colour
    line_soft: Colour
    text: Colour
    muted: Colour
    faint: Colour
    """For what matters least; still 4.5:1 on what it stands on, and 3:1 on what is chosen or raised."""
    accent: Colour
    accent_high: Colour
    """Accent for text on the card."""
    accent_low: Colour
    """Accent behind white text."""
    green: Colour
    amber: Colour
    red: Colour
    cyan: Colour
    pink: Colour
    knob_off: Colour
    track_off: Colour
    star: Colour
    star_off: Colour
    scroll: Colour
    scroll_hover: Colour
    dim: Colour
    """Over the window, below an overlay."""

    @property
    def accent_soft(self) -> Colour:
        """Behind what is selected."""
        return tint(self.accent, 38)

    @property
    def accent_line(self) -> Colour:
        """Around what is selected."""
        return tint(self.accent, 110)


DARK = Palette(
    name="dark",
    bg=colour("0E1016"),
    rail=colour("12151D"),
    foot=colour("0B0D12"),
    card=colour("171B25"),
    raised=colour("1E2330"),
    raised_hover=colour("283045"),
    raised_active=colour("303A54"),
    inset=colour("10131B"),
    inset_hover=colour("151924"),
    inset_active=colour("1A1F2C"),
    line=colour("262C3A"),
    line_soft=colour("1F2431"),
    text=colour("E8EBF4"),
    muted=colour("98A1B8"),
    faint=colour("7A849E"),
    accent=colour("7C83FF"),
    accent_high=colour("969CFF"),
    accent_low=colour("6167E8"),
    green=colour("45D19A"),
    amber=colour("F6B955"),
    red=colour("F2717E"),
    cyan=colour("56C8F5"),
    pink=colour("E883D4"),
    knob_off=colour("8089A0"),
    track_off=colour("2A3142"),
    star=colour("F6B955"),
    star_off=colour("667089"),
    scroll=colour("2B3245"),
    scroll_hover=colour("3A435C"),
    dim=(5, 7, 12, 185),
)

LIGHT = Palette(
    name="light",
    bg=colour("EEF0F5"),
    rail=colour("F7F8FB"),
    foot=colour("E6E9F0"),
    card=colour("FFFFFF"),
    raised=colour("F1F3F8"),
    raised_hover=colour("E4E8F1"),
    raised_active=colour("D7DDEA"),
    inset=colour("F6F7FA"),
    inset_hover=colour("EFF1F6"),
    inset_active=colour("E8EBF3"),
    line=colour("D5DAE5"),
    line_soft=colour("E4E8F0"),
    text=colour("1B2130"),
    muted=colour("4C556C"),
    faint=colour("626B82"),
    accent=colour("5A61E6"),
    accent_high=colour("454CD3"),
    accent_low=colour("5A61E6"),
    green=colour("0A6F49"),
    amber=colour("875200"),
    red=colour("B92537"),
    cyan=colour("0B7CAB"),
    pink=colour("B4379A"),
    knob_off=colour("FFFFFF"),
    track_off=colour("C3CAD8"),
    star=colour("BC7C00"),
    star_off=colour("8790A4"),
    scroll=colour("C9CFDC"),
    scroll_hover=colour("AEB7C9"),
    dim=(30, 36, 52, 110),
)

PALETTES = {palette.name: palette for palette in (DARK, LIGHT)}

SCALES = (1.0, 1.25, 1.5, 1.75, 2.0)
"""Factors that a person can choose."""

# Measures, before scaling.
GAP_SMALL, GAP, GAP_LARGE = 4, 8, 12
PAD_CARD = 16
RADIUS, RADIUS_CARD, RADIUS_CHIP = 7, 12, 14
BAR_HEIGHT, FOOT_HEIGHT = 60, 44
CONTROL_HEIGHT = 34
"""Of fields, combos and buttons, so that they stand in one line."""
SMALL_HEIGHT = 28
"""Of buttons with small letters."""
CHIP_PADDING = 4
"""Above and below the text of a chip."""
FIELD_PADDING = 9.5
"""Above and below a text of 15: what makes a field as high as that."""
