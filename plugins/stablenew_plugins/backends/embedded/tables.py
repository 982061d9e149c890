"""The names that the embedded engine knows, and what each does. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_api.models import nearest
from stablenew_api.samplers import split_sampler

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sampler:
    """How a sampler looks and what it costs."""

    stroke: float
    """Length of the brush strokes, in thousandths of the picture's shorter side."""
    slant: float
    """Direction of the strokes: 0 along the horizon, 1 upright, between: slanted."""
    grain: float
    """Strength of the grain that stays, 0 to 1."""
    pace: float
    """How fast it converges: at 1.0 twenty steps are enough, at 2.0 ten."""
    cost: float = 1.0
    """Model calls a step; a step takes this many times as long."""
    flat: float = 0.0
    """0 to 1: how far colours gather into flat areas."""


SAMPLERS: dict[str, Sampler] = {
    "Euler": Sampler(1.5, 0.0, 0.10, 1.0),
    "Euler a": Sampler(5.0, 0.4, 0.30, 1.1),
    "LMS": Sampler(6.0, 0.0, 0.20, 0.8),
    "Heun": Sampler(2.0, 0.8, 0.05, 1.6, 2.0),
    "DPM2": Sampler(3.0, 0.6, 0.12, 1.5, 2.0),
    "DPM2 a": Sampler(6.0, 0.6, 0.30, 1.5, 2.0),
    "DPM++ 2S a": Sampler(7.0, 0.3, 0.26, 1.6, 2.0),
    "DPM++ 2M": Sampler(2.5, 0.3, 0.06, 1.3),
    "DPM++ SDE": Sampler(4.0, 0.5, 0.50, 1.9, 2.0),
    "DPM++ 2M SDE": Sampler(3.5, 0.5, 0.38, 1.4),
    "DPM++ 2M SDE Heun": Sampler(3.0, 0.7, 0.34, 1.8, 2.0),
    "DPM++ 3M SDE": Sampler(4.5, 0.2, 0.32, 1.2),
    "DPM fast": Sampler(8.0, 0.1, 0.40, 0.9),
    "DPM adaptive": Sampler(2.0, 0.5, 0.08, 2.0, 2.0),
    "Restart": Sampler(3.0, 0.9, 0.16, 1.4, 1.5),
    "DDIM": Sampler(1.0, 0.0, 0.04, 1.0, flat=0.6),
    "DDIM CFG++": Sampler(1.0, 0.0, 0.04, 1.2, flat=0.3),
    "PLMS": Sampler(2.0, 0.0, 0.10, 0.9, flat=0.4),
    "UniPC": Sampler(1.5, 0.5, 0.03, 1.7),
    "LCM": Sampler(1.0, 0.2, 0.02, 4.0, flat=0.8),
}
"""By A1111 name (the list of version 1.10)."""

SCHEDULERS: dict[str, tuple[float, float]] = {
    "Automatic": (1.00, 1.0),
    "Uniform": (0.90, 1.0),
    "Karras": (1.15, 0.6),
    "Exponential": (1.10, 0.5),
    "Polyexponential": (1.10, 0.7),
    "SGM Uniform": (1.00, 0.9),
    "KL Optimal": (1.20, 0.8),
    "Align Your Steps": (1.40, 0.9),
    "Simple": (0.95, 1.1),
    "Normal": (0.95, 1.0),
    "DDIM": (0.95, 1.2),
    "Beta": (1.05, 0.8),
}
"""By A1111 name: (factor of the sampler's pace, factor of the grain that stays)."""

DEFAULT_MODEL = "embedded-painter"

MODELS: dict[str, str] = {
    "embedded-painter": "Soft brush work on canvas.",
    "embedded-ink": "Ink and wash on paper, one colour kept back.",
    "embedded-neon": "Dark, saturated, with glowing edges.",
}
"""The fictional checkpoints."""

VAES: dict[str, float] = {"Automatic": 1.0, "None": 1.0, "embedded-vivid": 1.18, "embedded-soft": 0.84}
"""By name: factor of the saturation."""

UPSCALERS: dict[str, str] = {
    "None": "Lanczos, as in the WebUI's own list.",
    "Lanczos": "Windowed sinc, three lobes.",
    "Nearest": "Hard pixels.",
    "Embedded 4x": "Lanczos, then sharper edges; flat areas stay calm.",
}

HIRES_UPSCALERS: dict[str, str] = {
    "Latent": "Lanczos",
    "Latent (antialiased)": "Lanczos",
    "Latent (bicubic)": "Lanczos",
    "Latent (bicubic antialiased)": "Lanczos",
    "Latent (nearest)": "Nearest",
    "Latent (nearest-exact)": "Nearest",
    **{name: name for name in UPSCALERS},
}
"""What enlarges between the two passes: the latent modes of the WebUI, of which there are two here, and the
upscalers."""

LORAS: dict[str, tuple[float, float, float]] = {
    "embedded-warm": (1.00, 0.62, 0.28),
    "embedded-cool": (0.25, 0.55, 0.95),
    "embedded-rose": (0.95, 0.42, 0.60),
}
"""Fictional LoRAs: the colour each leans to. Any other name works too and gets a colour from its letters."""


def look_up(kind: str, name: str, known: dict[str, T]) -> T:
    """The entry called ``name``. Raises StageFailure(BAD_INPUT) that lists the nearest names."""
    if name in known:
        return known[name]
    raise StageFailure(
        FailureKind.BAD_INPUT, f"the embedded engine has no {kind} {name!r}{nearest(name, known)}"
    )


def sampler_and_scheduler(sampler: str, scheduler: str) -> tuple[str, str]:
    """The names proper. Presets from before WebUI 1.9 say ``DPM++ 2M Karras``: sampler and schedule in one.

    Raises StageFailure(BAD_INPUT) for a name that is not known.
    """
    if sampler not in SAMPLERS and (apart := split_sampler(sampler, scheduler))[0] in SAMPLERS:
        sampler, scheduler = apart
    look_up("sampler", sampler, SAMPLERS)
    look_up("scheduler", scheduler, SCHEDULERS)
    return sampler, scheduler
