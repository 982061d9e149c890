"""Dear PyGui themes, made of the tokens and kept: one for each look, never one for each widget."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.theme.tokens import (
    FIELD_PADDING,
    NONE,
    RADIUS,
    RADIUS_CARD,
    RADIUS_CHIP,
    WHITE,
    Colour,
    Palette,
    tint,
)

Measure = float | tuple[float, float]
_UNSCALED = frozenset(
    {
        "ChildBorderSize",
        "FrameBorderSize",
        "WindowBorderSize",
        "PopupBorderSize",
        "ButtonTextAlign",
        "SelectableTextAlign",
    }
)
"""Measures that are no lengths, or stay one pixel at every scale."""


class Themes:
    """The looks of one palette at one scale."""

    def __init__(self, palette: Palette, px: Callable[[float], int]) -> None:
        """Nothing is made before it is asked for."""
        self._palette, self._px = palette, px
        self._made: dict[object, int | str] = {}
        self._buttons: dict[tuple[str, float], int | str] = {}
        self._texts: dict[float, int | str] = {}
        """Of those that are asked for hundreds of times: to find them by their colours takes longer."""

    def theme(
        self,
        colours: Mapping[str, Colour] | None = None,
        measures: Mapping[str, Measure] | None = None,
        kind: int = dpg.mvAll,
        disabled: Mapping[str, Colour] | None = None,
    ) -> int | str:
        """The theme that sets ``colours`` (by the name behind ``mvThemeCol_``) and ``measures`` (behind
        ``mvStyleVar_``, before scaling) for items of ``kind``; ``disabled``: colours of those that are.
        """
        parts = (colours or {}, measures or {}, disabled or {})
        key = (kind, *(tuple(sorted(part.items())) for part in parts))
        if key not in self._made:
            with dpg.theme() as made:
                self._add(kind, colours or {}, measures or {}, enabled=True)
                if disabled:
                    self._add(kind, disabled, measures or {}, enabled=False)
            self._made[key] = made
        return self._made[key]

    def _add(
        self, kind: int, colours: Mapping[str, Colour], measures: Mapping[str, Measure], *, enabled: bool
    ) -> None:
        with dpg.theme_component(kind, enabled_state=enabled):
            for name, value in colours.items():
                dpg.add_theme_color(getattr(dpg, f"mvThemeCol_{name}"), value)
            for name, measure in measures.items():
                numbers = measure if isinstance(measure, tuple) else (measure,)
                # What stands on both sides may be half a pixel: the sum is whole.
                scaled = [
                    n if name in _UNSCALED else self._px(2 * n) / 2 if name == "FramePadding" else self._px(n)
                    for n in numbers
                ]
                dpg.add_theme_style(getattr(dpg, f"mvStyleVar_{name}"), *scaled)

    def close(self) -> None:
        """Let go of all."""
        dpg.bind_theme(0)
        for made in self._made.values():
            dpg.delete_item(made)
        for known in (self._made, self._buttons, self._texts):
            known.clear()

    def base(self) -> int | str:
        """What holds wherever nothing else is bound."""
        c = self._palette
        colours = {
            "WindowBg": c.bg,
            "ChildBg": NONE,
            "PopupBg": c.raised,
            "Border": c.line,
            "BorderShadow": NONE,
            "Text": c.text,
            "TextDisabled": c.faint,
            "FrameBg": c.inset,
            "FrameBgHovered": c.inset_hover,
            "FrameBgActive": c.inset_active,
            "Button": c.raised,
            "ButtonHovered": c.raised_hover,
            "ButtonActive": c.raised_active,
            "Header": c.accent_soft,
            "HeaderHovered": tint(c.accent, 55),
            "HeaderActive": tint(c.accent, 80),
            "CheckMark": c.accent_high,
            "SliderGrab": c.accent,
            "SliderGrabActive": c.accent_high,
            "ScrollbarBg": NONE,
            "ScrollbarGrab": c.scroll,
            "ScrollbarGrabHovered": c.scroll_hover,
            "ScrollbarGrabActive": c.accent,
            "Separator": c.line_soft,
            "PlotHistogram": c.accent,
            "TextSelectedBg": tint(c.accent, 90),
            "TableBorderLight": c.line_soft,
            "TableBorderStrong": c.line,
            "TableHeaderBg": c.card,
            "TableRowBgAlt": tint(c.muted, 10),
            "NavHighlight": c.accent,
            "ModalWindowDimBg": c.dim,
            "TitleBg": c.card,
            "TitleBgActive": c.card,
        }
        measures: dict[str, Measure] = {
            "WindowPadding": (0, 0),
            "FramePadding": (10, FIELD_PADDING),
            "ItemSpacing": (8, 8),
            "ItemInnerSpacing": (8, 6),
            "CellPadding": (6, 4),
            "FrameRounding": RADIUS,
            "ChildRounding": RADIUS_CARD,
            "PopupRounding": 10,
            "WindowRounding": RADIUS_CARD,
            "GrabRounding": 6,
            "TabRounding": RADIUS,
            "GrabMinSize": 12,
            "ScrollbarSize": 10,
            "ScrollbarRounding": 8,
            "WindowBorderSize": 0,
            "ChildBorderSize": 1,
            "FrameBorderSize": 1,
            "PopupBorderSize": 1,
        }
        return self.theme(colours, measures)

    def button(self, kind: str, padding: float = 2) -> int | str:
        """The look of a button: primary, soft, ghost, quiet, lit, tab, tab_on, danger, chip, chip_on,
        star, star_off.

        ``padding``: above and below its text. Where it is not what the height leaves, the text stands too low,
        or the line that the button is in becomes higher: Dear PyGui puts all texts of a line on one height.
        """
        key = kind, padding
        if key not in self._buttons:
            self._buttons[key] = self._make_button(kind, padding)
        return self._buttons[key]

    def _make_button(self, kind: str, padding: float) -> int | str:
        c = self._palette
        measures: dict[str, Measure] = {"FramePadding": (10, padding)}
        if kind.startswith("chip"):
            measures = {"FrameRounding": RADIUS_CHIP, "FramePadding": (11, padding)}
        elif kind.startswith("star"):
            measures = {"FramePadding": (3, padding)}
        off = {"Button": c.inset, "ButtonHovered": c.inset, "ButtonActive": c.inset}
        disabled = {**off, "Text": c.faint, "Border": c.line_soft}
        if kind in ("ghost", "quiet", "star", "star_off"):
            disabled = {**dict.fromkeys((*off, "Border"), NONE), "Text": tint(c.faint, 140)}
        return self.theme(_button_colours(c, kind), measures, dpg.mvButton, disabled)

    def text_in(self, padding: float) -> int | str:
        """Of a text with ``padding`` above and below, as in a frame beside it; 0: it stands among texts. Dear
        PyGui aligns every text to the padding of frames."""
        if padding not in self._texts:
            self._texts[padding] = self.theme({}, {"FramePadding": (0, padding)}, dpg.mvText)
        return self._texts[padding]

    def panel(self, background: Colour) -> int | str:
        """Of a part of the window."""
        return self.theme({"ChildBg": background}, {"ChildRounding": 0}, dpg.mvChildWindow)


def _button_colours(c: Palette, kind: str) -> Mapping[str, Colour]:
    def looks(face: Colour, hover: Colour, active: Colour, text: Colour, border: Colour) -> dict[str, Colour]:
        names = ("Button", "ButtonHovered", "ButtonActive", "Text", "Border")
        return dict(zip(names, (face, hover, active, text, border), strict=True))

    made = {
        "primary": lambda: looks(c.accent_low, c.accent, c.accent_high, WHITE, tint(c.accent_high, 90)),
        "soft": lambda: looks(c.raised, c.raised_hover, c.raised_active, c.text, c.line),
        "ghost": lambda: looks(NONE, c.raised, c.line, c.muted, NONE),
        "lit": lambda: looks(
            c.accent_soft, tint(c.accent, 60), tint(c.accent, 80), c.accent_high, c.accent_line
        ),
        "quiet": lambda: looks(NONE, c.raised, c.line, c.faint, NONE),
        "tab": lambda: looks(NONE, c.raised, c.line, c.muted, NONE),
        "tab_on": lambda: looks(c.raised, c.raised, c.line, c.text, c.line),
        "danger": lambda: looks(tint(c.red, 26), tint(c.red, 50), tint(c.red, 70), c.red, tint(c.red, 60)),
        "chip": lambda: looks(NONE, c.raised, c.line, c.muted, c.line),
        "chip_on": lambda: looks(
            c.accent_soft, tint(c.accent, 60), tint(c.accent, 80), c.accent_high, c.accent_line
        ),
        "star": lambda: looks(NONE, tint(c.star, 30), tint(c.star, 50), c.star, NONE),
        "star_off": lambda: looks(NONE, tint(c.star, 30), tint(c.star, 50), c.star_off, NONE),
    }
    return made[kind]()
