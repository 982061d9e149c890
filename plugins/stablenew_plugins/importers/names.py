"""Sampler and scheduler of an image, by the names of the AUTOMATIC1111 WebUI."""

from __future__ import annotations

from stablenew_api.samplers import sampler_name, scheduler_name
from stablenew_plugins.importers.common import Flat, Notes, short

__all__ = ["put_sampler", "sampler_name", "scheduler_name"]


def put_sampler(settings: Flat, sampler: str, scheduler: str, notes: Notes, section: str = "txt2img") -> None:
    """Set sampler and scheduler by their A1111 names; a name that A1111 does not have stays, and is noted."""
    names = sampler_name(sampler) if sampler else None
    if sampler and names is None:
        notes.add(f"sampler {short(sampler)!r}: A1111 has none of that name; kept as it is")
    if sampler:
        settings[f"{section}.sampler_name"] = names[0] if names else sampler
    if names and names[1]:
        settings[f"{section}.scheduler"] = names[1]
    if scheduler:
        known = scheduler_name(scheduler)
        if known is None:
            notes.add(f"scheduler {short(scheduler)!r}: A1111 has none of that name; kept as it is")
        settings[f"{section}.scheduler"] = known or scheduler
