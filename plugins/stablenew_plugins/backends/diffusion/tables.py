"""Samplers and schedule types by their A1111 names, and what diffusers calls them. Data and look-ups only."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_api.models import nearest
from stablenew_api.samplers import AUTOMATIC, automatic_scheduler, split_sampler


@dataclass(frozen=True, slots=True)
class SamplerKind:
    """A sampler of the WebUI, as a scheduler class of diffusers."""

    scheduler: str
    """Class in the ``diffusers`` package."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Fixed arguments of the class."""
    schedules: frozenset[str] = frozenset()
    """Schedule types that it can have, besides ``Automatic``."""
    borrows: bool = False
    """The class knows linspace and trailing alone; other schedules are those of ``EulerDiscreteScheduler``."""
    automatic: str = ""
    """Schedule type that ``Automatic`` stands for where A1111's cannot be had."""
    needs: str = ""
    """Module that must be installed, besides those of the extra's core."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A sampler with a schedule, ready to be made."""

    sampler: str
    """A1111 name."""
    schedule: str
    """A1111 label; never ``Automatic`` where the sampler has a choice."""
    kind: SamplerKind
    settings: Mapping[str, object]
    """Arguments of the class, besides those of the noise schedule that the model was trained with."""


SCHEDULES: Mapping[str, Mapping[str, object]] = {
    "Uniform": {"timestep_spacing": "linspace"},
    "Karras": {"timestep_spacing": "linspace", "use_karras_sigmas": True},
    "Exponential": {"timestep_spacing": "linspace", "use_exponential_sigmas": True},
    "SGM Uniform": {"timestep_spacing": "trailing"},
    "Simple": {"timestep_spacing": "trailing"},
    "Normal": {"timestep_spacing": "linspace"},
    "DDIM": {"timestep_spacing": "leading", "steps_offset": 1},
    "Beta": {"timestep_spacing": "linspace", "use_beta_sigmas": True},
}
"""Schedule types besides ``Automatic``. In A1111 ``Normal`` is computed like ``Uniform``; ``Simple`` and
``SGM Uniform`` differ from ``trailing`` by less than one of the 1,000 training steps."""

_SIGMAS = frozenset(SCHEDULES)
_TIMESTEPS = frozenset({"Uniform", "Normal", "SGM Uniform", "Simple", "DDIM"})

SAMPLERS: Mapping[str, SamplerKind] = {
    "DPM++ 2M": SamplerKind(
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "solver_order": 2},
        _SIGMAS,
    ),
    "DPM++ SDE": SamplerKind("DPMSolverSDEScheduler", {}, _SIGMAS, needs="torchsde"),
    "DPM++ 2M SDE": SamplerKind(
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++", "solver_order": 2},
        _SIGMAS,
    ),
    "DPM++ 2M SDE Heun": SamplerKind(
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++", "solver_order": 2, "solver_type": "heun"},
        _SIGMAS,
    ),
    "DPM++ 3M SDE": SamplerKind(
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++", "solver_order": 3},
        _SIGMAS,
    ),
    "Euler a": SamplerKind("EulerAncestralDiscreteScheduler", {}, _SIGMAS, borrows=True),
    "Euler": SamplerKind("EulerDiscreteScheduler", {}, _SIGMAS),
    "LMS": SamplerKind("LMSDiscreteScheduler", {}, _SIGMAS),
    "Heun": SamplerKind("HeunDiscreteScheduler", {}, _SIGMAS),
    "DPM2": SamplerKind("KDPM2DiscreteScheduler", {}, _SIGMAS),
    "DPM2 a": SamplerKind("KDPM2AncestralDiscreteScheduler", {}, _SIGMAS),
    "DDIM": SamplerKind("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False}, _TIMESTEPS),
    "PLMS": SamplerKind(
        "PNDMScheduler", {"skip_prk_steps": True, "set_alpha_to_one": False}, frozenset({"DDIM"})
    ),
    "UniPC": SamplerKind("UniPCMultistepScheduler", {"solver_type": "bh2"}, _SIGMAS),
    "LCM": SamplerKind(
        "LCMScheduler", {"clip_sample": False, "set_alpha_to_one": False}, frozenset({"DDIM"}), automatic="DDIM"
    ),
}
"""By A1111 name, in the WebUI's order."""

LATENT_MODES: Mapping[str, tuple[str, bool]] = {
    "Latent": ("bilinear", False),
    "Latent (antialiased)": ("bilinear", True),
    "Latent (bicubic)": ("bicubic", False),
    "Latent (bicubic antialiased)": ("bicubic", True),
    "Latent (nearest)": ("nearest", False),
    "Latent (nearest-exact)": ("nearest-exact", False),
}
"""For the hires pass: mode and antialias of ``torch.nn.functional.interpolate``."""

UPSCALERS: Mapping[str, str] = {
    "Lanczos": "LANCZOS",
    "Bicubic": "BICUBIC",
    "Nearest": "NEAREST",
    "None": "LANCZOS",
}
"""Resampling filters of Pillow; ``None`` is Lanczos, as in the WebUI. No network is among them."""


def choose(sampler: str, schedule: str, installed: Iterable[str] = SAMPLERS) -> Choice:
    """The sampler and the schedule called so. Presets from before WebUI 1.9 say ``DPM++ 2M Karras``: both in
    one.

    Raises StageFailure(BAD_INPUT) that lists the nearest names, for a name that is not known and for a schedule
    that this sampler cannot have.
    """
    schedule = schedule or AUTOMATIC
    if sampler not in SAMPLERS and (apart := split_sampler(sampler, schedule))[0] in SAMPLERS:
        sampler, schedule = apart
    sampler = look_up("sampler", sampler, installed)
    schedule = look_up("schedule type", schedule, (AUTOMATIC, *SCHEDULES))
    kind = SAMPLERS[sampler]
    if schedule == AUTOMATIC:
        schedule = automatic(sampler)
    elif schedule not in kind.schedules:
        having = [name for name in installed if schedule in SAMPLERS[name].schedules]
        near = difflib.get_close_matches(sampler, having, n=3, cutoff=0.0)
        raise StageFailure(
            FailureKind.BAD_INPUT,
            f"sampler {sampler!r} cannot have the schedule type {schedule!r} in diffusers; it can have: "
            f"{', '.join([AUTOMATIC, *sorted(kind.schedules)])}; "
            f"samplers near it that can have {schedule!r}: {', '.join(near)}",
        )
    return Choice(sampler, schedule, kind, {**SCHEDULES[schedule], **kind.settings})


def automatic(sampler: str) -> str:
    """The schedule type that ``Automatic`` stands for."""
    return SAMPLERS[sampler].automatic or automatic_scheduler(sampler)


def look_up(kind: str, name: str, known: Iterable[str]) -> str:
    """``name``, as ``known`` spells it; upper and lower case do not matter.

    Raises StageFailure(BAD_INPUT) that lists the nearest names.
    """
    names = list(known)
    if name in names:
        return name
    by_lower = {known_name.lower(): known_name for known_name in names}
    if name.lower() in by_lower:
        return by_lower[name.lower()]
    near = nearest(name, names) if names else "; there is none in its folders"
    raise StageFailure(FailureKind.BAD_INPUT, f"the diffusers backend has no {kind} {name!r}{near}")
