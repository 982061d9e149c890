"""Samplers and schedulers by their names in the AUTOMATIC1111 WebUI; the names of other programs, turned into
these.

Sources: ``modules/sd_samplers_kdiffusion.py`` and ``modules/sd_schedulers.py`` of AUTOMATIC1111;
``comfy/samplers.py`` of ComfyUI, whose names SwarmUI and Fooocus use; ``SCHEDULER_MAP`` of InvokeAI; the values
of NovelAI's API.
"""

from __future__ import annotations

from collections.abc import Mapping

SAMPLERS = (
    "DPM++ 2M",
    "DPM++ SDE",
    "DPM++ 2M SDE",
    "DPM++ 2M SDE Heun",
    "DPM++ 2S a",
    "DPM++ 3M SDE",
    "Euler a",
    "Euler",
    "LMS",
    "Heun",
    "DPM2",
    "DPM2 a",
    "DPM fast",
    "DPM adaptive",
    "Restart",
    "DDIM",
    "DDIM CFG++",
    "PLMS",
    "UniPC",
    "LCM",
    "DDPM",
    "DEIS",
    "HeunPP2",
    "IPNDM",
    "IPNDM_V",
    "TCD",
)
"""Of A1111 1.10, then those that Forge adds."""

AUTOMATIC = "Automatic"
"""The scheduler that suits the sampler, see :func:`automatic_scheduler`."""

A1111_SCHEDULERS = (
    "Uniform",
    "Karras",
    "Exponential",
    "Polyexponential",
    "SGM Uniform",
    "KL Optimal",
    "Align Your Steps",
    "Simple",
    "Normal",
    "DDIM",
    "Beta",
)
"""Labels of A1111 1.10, without ``Automatic``."""

SCHEDULERS = (AUTOMATIC, *A1111_SCHEDULERS, "Turbo")
"""The last one is Forge's."""

_AUTOMATIC: Mapping[str, str] = {
    "DPM++ 2M": "Karras",
    "DPM++ SDE": "Karras",
    "DPM++ 2M SDE": "Exponential",
    "DPM++ 2M SDE Heun": "Exponential",
    "DPM++ 2S a": "Karras",
    "DPM++ 3M SDE": "Exponential",
    "DPM2": "Karras",
    "DPM2 a": "Karras",
    "DDIM": "DDIM",
    "PLMS": "DDIM",
}
"""Of the samplers whose ``Automatic`` is not ``Uniform``."""

_OTHER_SAMPLERS = {
    # ComfyUI
    "euler_ancestral": "Euler a",
    "dpm_2": "DPM2",
    "dpm_2_ancestral": "DPM2 a",
    "dpmpp_2s_ancestral": "DPM++ 2S a",
    "dpmpp_sde": "DPM++ SDE",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_2m_sde_heun": "DPM++ 2M SDE Heun",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "uni_pc": "UniPC",
    # InvokeAI, Dream Factory, A1111's own aliases
    "euler_a": "Euler a",
    "kdpm_2": "DPM2",
    "kdpm_2_a": "DPM2 a",
    "dpm2_a": "DPM2 a",
    "dpm_2_a": "DPM2 a",
    "dpm_ad": "DPM adaptive",
    "dpmpp_2s_a": "DPM++ 2S a",
    "dpmpp_2": "DPM++ 2M",
    "dpmpp_2_a": "DPM++ 2S a",
    "pndm": "PLMS",
    # NovelAI
    "ddim_v3": "DDIM",
}
_OTHER_SCHEDULERS = {
    "ddim_uniform": "DDIM",
    "native": "Automatic",
    "default": "Automatic",
}


def _key(name: str) -> str:
    return "_".join(name.casefold().replace("-", "_").split())


_SAMPLER = {**_OTHER_SAMPLERS, **{_key(label): label for label in SAMPLERS}}
_SCHEDULER = {**_OTHER_SCHEDULERS, **{_key(label): label for label in SCHEDULERS}}
_SUFFIXES = {
    "_karras": "Karras",
    "_exponential": "Exponential",
    "_sgm_uniform": "SGM Uniform",
    "_ka": "Karras",
    "_k": "Karras",
}


def scheduler_name(name: str) -> str | None:
    """``karras`` to ``Karras``; None for a name that A1111 does not have."""
    return _SCHEDULER.get(_key(name))


def sampler_name(name: str) -> tuple[str, str] | None:
    """Sampler and scheduler: ``dpmpp_2m`` to ("DPM++ 2M", ""), ``DPM++ 2M Karras`` and ``dpmpp_2m_k`` to
    ("DPM++ 2M", "Karras"). None for a name that A1111 does not have."""
    key = _key(name)
    for plain in (key.removesuffix("_gpu"), key.removeprefix("k_").removesuffix("_gpu")):
        if plain in _SAMPLER:
            return _SAMPLER[plain], ""
        for suffix, scheduler in _SUFFIXES.items():
            stem = plain.removesuffix(suffix)
            if stem != plain and stem in _SAMPLER:
                return _SAMPLER[stem], scheduler
    return None


def automatic_scheduler(sampler: str) -> str:
    """What ``Automatic`` means in A1111 1.10 for a sampler by its name there: ``Karras`` for ``DPM2``."""
    return _AUTOMATIC.get(sampler, "Uniform")


def split_sampler(sampler: str, scheduler: str) -> tuple[str, str]:
    """Sampler and scheduler apart: ``DPM++ 2M Karras``, as presets from before A1111 1.9 have it, with
    ``Automatic`` is ``DPM++ 2M`` with ``Karras``. A scheduler that is given goes first."""
    for label in sorted(A1111_SCHEDULERS, key=len, reverse=True):  # SGM Uniform before Uniform
        head = sampler.removesuffix(f" {label}")
        if head and head != sampler:
            return head, label if scheduler == AUTOMATIC else scheduler
    return sampler, scheduler
