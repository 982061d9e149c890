"""Fields of stage cards: one for each kind of setting."""

from __future__ import annotations

from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.pipeline.cards import Field
from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
from stablenew_plugins.desktop.panels.pipeline.choicefields import (
    ChoiceField,
    ChoicesField,
    OptionField,
    SwitchField,
)
from stablenew_plugins.desktop.panels.pipeline.fieldview import FieldView
from stablenew_plugins.desktop.panels.pipeline.numberfields import SeedField, SliderField
from stablenew_plugins.desktop.panels.pipeline.textfields import ColourField, JsonField, LinesField, TypedField

WIDE = frozenset({"lines", "list", "json", "choices"})
"""Kinds that take a whole line of a card."""


def field_view(ui: Ui, model: PipelineModel, one: Field, width: float) -> FieldView:
    """The field for a setting."""
    kinds: dict[str, type[FieldView]] = {
        "switch": SwitchField,
        "text": TypedField,
        "lines": LinesField,
        "colour": ColourField,
        "option": OptionField,
        "choice": ChoiceField,
        "choices": ChoicesField,
        "list": JsonField,
        "json": JsonField,
        "seed": SeedField,
    }
    kind = SliderField if one.is_ranged else kinds.get(one.kind, TypedField)
    return kind(ui, model, one, width)
