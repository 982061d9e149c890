"""The kinds of thing that plugins add, and what a class of each kind must have."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing that a plugin can add."""

    label: str
    hook: str
    module: str
    interface: str
    attributes: tuple[str, ...] = ("name", "title")

    def load_interface(self) -> type:
        """The interface class; imported only once a plugin adds something of this kind."""
        interface = getattr(importlib.import_module(self.module), self.interface)
        assert isinstance(interface, type)
        return interface


KINDS = {
    kind.label: kind
    for kind in (
        Kind(
            "stage",
            "stablenew_stages",
            "stablenew_api.stage",
            "Stage",
            ("name", "version", "title", "Config", "phase"),
        ),
        Kind(
            "backend",
            "stablenew_backends",
            "stablenew_api.backend",
            "Backend",
            ("name", "version", "title", "Config"),
        ),
        Kind("randomizer", "stablenew_randomizers", "stablenew_api.randomizer", "Randomizer"),
        Kind("importer", "stablenew_importers", "stablenew_api.importer", "Importer"),
        Kind("learning mode", "stablenew_learning_modes", "stablenew_api.learning", "LearningMode"),
        Kind("scheduler", "stablenew_schedulers", "stablenew_api.scheduler", "Scheduler"),
        Kind("probe", "stablenew_probes", "stablenew_api.probe", "Probe"),
        Kind("report", "stablenew_reports", "stablenew_api.report", "Report"),
        Kind("frontend", "stablenew_frontends", "stablenew_api.frontend", "Frontend"),
    )
}

# A stage's name is also a section of presets and the prefix of --set, so it must be a plain identifier.
_NAMES = {"stage": re.compile(r"[a-z][a-z0-9_]*")}
_NAME = re.compile(r"[a-z][a-z0-9_\-]*")

_RESERVED_STAGES = ("pipeline",)  # the section of a preset that says which stages run
_RESERVED_FIELDS = ("enabled",)  # in a stage's section it turns the stage on and off


def class_problem(label: str, cls: object) -> str:
    """What is wrong with ``cls`` as a ``label`` (``stage``, ``learning mode``, ...); empty when all is well.

    It looks at the class alone: kind, name, required attributes, abstract methods. What an instance does is
    checked by :mod:`stablenew_api.testing`. Raises KeyError for a label that is no kind of thing.
    """
    kind = KINDS[label]
    interface = kind.load_interface()
    if not isinstance(cls, type):
        return f"{kind.hook} returned {cls!r}; it must return classes, not instances"
    where = f"{label} class {cls.__module__}.{cls.__qualname__}"
    if not issubclass(cls, interface):
        return f"{where} is not a subclass of {kind.module}.{kind.interface}"
    missing = [name for name in kind.attributes if not hasattr(cls, name)]
    if missing:
        return f"{where} lacks {', '.join(missing)}"
    texts = [name for name in ("name", "version", "title") if name in kind.attributes]
    for name in texts:
        value = getattr(cls, name)
        if not isinstance(value, str) or not value.strip():
            return f"{where}: {name} must be a text that is not empty, not {value!r}"
    if not _NAMES.get(label, _NAME).fullmatch(text_of(cls, "name")):
        return (
            f"{where}: name {text_of(cls, 'name')!r} must be lower-case letters, digits and underscores, "
            "and begin with a letter"
        )
    if inspect.isabstract(cls):
        return f"{where} does not implement {', '.join(sorted(getattr(cls, '__abstractmethods__', ())))}"
    return _config_problem(label, cls, where)


def _config_problem(label: str, cls: type, where: str) -> str:
    """What is wrong with ``Config``, ``phase`` and ``may_follow``, for the kinds that have them."""
    if label == "stage":
        from stablenew_api.stage import Phase, Stage, StageConfig

        assert issubclass(cls, Stage)
        if not (isinstance(cls.Config, type) and issubclass(cls.Config, StageConfig)):
            return f"{where}: Config must be a subclass of stablenew_api.stage.StageConfig"
        reserved = [field for field in _RESERVED_FIELDS if field in cls.Config.model_fields]
        if reserved:
            return f"{where}: Config has a field {reserved[0]}, but that turns the stage on and off; rename it"
        if cls.name in _RESERVED_STAGES:
            return f"{where}: the name {cls.name!r} is reserved; choose another"
        if not isinstance(cls.phase, Phase):
            return f"{where}: phase must be one of {', '.join(f'Phase.{phase.name}' for phase in Phase)}"
        follow = cls.may_follow
        if follow is not None and not (
            isinstance(follow, frozenset) and all(isinstance(phase, Phase) for phase in follow)
        ):
            return f"{where}: may_follow must be None or a frozenset of Phase"
    elif label == "backend":
        from pydantic import BaseModel

        config = getattr(cls, "Config", None)
        if not (isinstance(config, type) and issubclass(config, BaseModel)):
            return f"{where}: Config must be a subclass of pydantic.BaseModel"
    return ""


def text_of(cls: type, attribute: str) -> str:
    """A class attribute that is a text; empty if it has none."""
    value = getattr(cls, attribute, "")
    return value if isinstance(value, str) else ""
