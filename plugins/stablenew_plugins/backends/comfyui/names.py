"""Names: A1111's samplers, schedulers and upscalers as ComfyUI calls them, and back; files by name.

Sources: ``modules/sd_samplers_kdiffusion.py`` and ``modules/sd_schedulers.py`` of the AUTOMATIC1111 WebUI;
``comfy/samplers.py`` and ``nodes.py`` of ComfyUI.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_api.models import model_name, nearest
from stablenew_api.samplers import AUTOMATIC, automatic_scheduler

SAMPLERS: dict[str, str] = {
    "DPM++ 2M": "dpmpp_2m",
    "DPM++ SDE": "dpmpp_sde",
    "DPM++ 2M SDE": "dpmpp_2m_sde",
    "DPM++ 2M SDE Heun": "dpmpp_2m_sde_heun",
    "DPM++ 2S a": "dpmpp_2s_ancestral",
    "DPM++ 3M SDE": "dpmpp_3m_sde",
    "Euler a": "euler_ancestral",
    "Euler": "euler",
    "LMS": "lms",
    "Heun": "heun",
    "DPM2": "dpm_2",
    "DPM2 a": "dpm_2_ancestral",
    "DPM fast": "dpm_fast",
    "DPM adaptive": "dpm_adaptive",
    "DDIM": "ddim",
    "UniPC": "uni_pc",
    "LCM": "lcm",
    "DDPM": "ddpm",
}
"""By A1111 name. ``Restart`` and ``PLMS`` have no counterpart in ComfyUI."""

SCHEDULERS: dict[str, str] = {
    "Karras": "karras",
    "Exponential": "exponential",
    "SGM Uniform": "sgm_uniform",
    "KL Optimal": "kl_optimal",
    "Simple": "simple",
    "Normal": "normal",
    "DDIM": "ddim_uniform",
    "Beta": "beta",
    "Linear Quadratic": "linear_quadratic",
    "Uniform": "normal",
}
"""By A1111 label. ``Uniform`` is what k-diffusion calls the schedule that ComfyUI calls ``normal``."""

LATENT_MODES: dict[str, str] = {
    "Latent": "bilinear",
    "Latent (bicubic)": "bicubic",
    "Latent (nearest-exact)": "nearest-exact",
    "Latent (area)": "area",
    "Latent (bislerp)": "bislerp",
}
"""Upscalers of the hires pass that work on latents: ``upscale_method`` of ``LatentUpscale``. A1111's
antialiased modes and its ``Latent (nearest)`` have no counterpart."""

RESAMPLERS: dict[str, str] = {
    "Lanczos": "lanczos",
    "Nearest": "nearest-exact",
    "Bilinear": "bilinear",
    "Bicubic": "bicubic",
    "Area": "area",
}
"""Upscalers without a model: ``upscale_method`` of ``ImageScale``."""

_LABELS = {comfy: label for label, comfy in reversed(SCHEDULERS.items()) if label != "Uniform"}
_TITLES = {comfy: title for title, comfy in SAMPLERS.items()}


def refusal(kind: str, name: str, known: Iterable[str], why: str = "ComfyUI has no") -> StageFailure:
    """The error for a name that is not there, with those that look like it."""
    return StageFailure(FailureKind.BAD_INPUT, f"{why} {kind} {name!r}{nearest(name, known)}")


def sampler_title(comfy: str) -> str:
    """A1111's name of ComfyUI's sampler; its own where A1111 has none."""
    return _TITLES.get(comfy, comfy)


def scheduler_label(comfy: str) -> str:
    """A1111's label of ComfyUI's scheduler; its own where A1111 has none."""
    return _LABELS.get(comfy, comfy)


def _automatic(sampler: str) -> str:
    """ComfyUI's scheduler for ``Automatic``. A1111's LCM sampler has steps of its own: ``sgm_uniform`` are
    nearest."""
    return "sgm_uniform" if sampler == "LCM" else SCHEDULERS[automatic_scheduler(sampler)]


def sampling_names(
    sampler: str, scheduler: str, samplers: Collection[str], schedulers: Collection[str]
) -> tuple[str, str]:
    """ComfyUI's sampler and scheduler for A1111's names, ``samplers`` and ``schedulers`` being what it has.

    ComfyUI's own names are taken too, and A1111's older ``DPM++ 2M Karras``. ``Automatic`` becomes what it
    means in A1111 for this sampler. Raises StageFailure(BAD_INPUT) with the nearest names.
    """
    title, wanted = sampler.strip(), scheduler.strip() or AUTOMATIC
    by_name = {name.casefold(): name for name in SAMPLERS}
    known = by_name.get(title.casefold())
    if known is None and title not in samplers:
        # The old way: the schedule is the last word of the sampler's name.
        head, _, tail = title.rpartition(" ")
        if head.casefold() in by_name and tail.casefold() in ("karras", "exponential"):
            known = by_name[head.casefold()]
            if wanted == AUTOMATIC:
                wanted = tail
    chosen = SAMPLERS[known] if known else title
    if chosen not in samplers:
        raise refusal("sampler", sampler, sampler_names(samplers))
    if wanted.casefold() == AUTOMATIC.casefold():
        schedule = _automatic(known) if known else "normal"
    else:
        labels = {label.casefold(): name for label, name in SCHEDULERS.items()}
        schedule = labels.get(wanted.casefold(), wanted)
    if schedule not in schedulers:
        raise refusal("scheduler", scheduler, scheduler_names(schedulers))
    return chosen, schedule


def sampler_names(samplers: Iterable[str]) -> tuple[str, ...]:
    """ComfyUI's samplers as people know them: A1111's names first, then those that only ComfyUI has."""
    have = list(samplers)
    known = [title for title, comfy in SAMPLERS.items() if comfy in have]
    return (*known, *(name for name in have if name not in _TITLES))


def scheduler_names(schedulers: Iterable[str]) -> tuple[str, ...]:
    """The same for schedulers, with ``Automatic`` in front."""
    have = list(schedulers)
    known = [label for label, name in SCHEDULERS.items() if name in have and label != "Uniform"]
    return (AUTOMATIC, *known, *(name for name in have if name not in _LABELS))


def find_file(kind: str, wanted: str, files: Sequence[str]) -> str:
    """The file that ``wanted`` means, as ComfyUI lists it.

    In this order: the very name; the same with other slashes or case; without ending (and without the hash
    that a WebUI shows behind it); without folder. Raises StageFailure(BAD_INPUT) for none, and for several.
    """
    if wanted in files:
        return wanted
    plain = _slashed(wanted)
    found = [file for file in files if _slashed(file) == plain]
    if not found and "/" in plain:
        short = _without_ending(plain)
        found = [file for file in files if _without_ending(_slashed(file)) == short]
    if not found:
        base = model_name(wanted).casefold()
        found = [file for file in files if model_name(file).casefold() == base]
        if "/" in plain and len(found) > 1:
            found = [file for file in found if _slashed(file).endswith(plain)] or found
    if not found:
        raise refusal(kind, wanted, files)
    if len(found) > 1:
        raise StageFailure(
            FailureKind.BAD_INPUT,
            f"{kind} {wanted!r} may be {' or '.join(found[:4])}; give it with its folder and ending",
        )
    return found[0]


def _slashed(name: str) -> str:
    """A path with one kind of slashes, in small letters: Windows and Linux nodes write it differently."""
    return name.strip().replace("\\", "/").strip("/").casefold()


def _without_ending(path: str) -> str:
    folder, slash, file = path.rpartition("/")
    return f"{folder}{slash}{model_name(file)}"
