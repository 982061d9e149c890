"""What a model is called, whoever wrote its name."""

from __future__ import annotations

import time

import pytest

from stablenew_api.models import model_hash, model_name, same_model

SOON = 4.0
"""Seconds of this thread. What is guarded against takes minutes; a second is promised on a machine at rest."""

HASH = "dd08fa32f9"


@pytest.mark.parametrize(
    ("written", "name", "digest"),
    [
        (f"SDXL\\Juggernaut.safetensors [{HASH}]", "Juggernaut", HASH),
        (f"sd/juggernaut [{HASH.upper()}]", "juggernaut", HASH),
        ("a/b/flux.1-dev.GGUF", "flux.1-dev", ""),
        ("v1.5 [pruned]", "v1.5 [pruned]", ""),
        (".ckpt", ".ckpt", ""),
        (HASH, HASH, HASH),
        ("", "", ""),
    ],
)
def test_names_and_hashes(written, name, digest):
    assert model_name(written) == name
    assert model_hash(written) == digest


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (f"SDXL\\Jugg.safetensors [{HASH}]", "jugg", True),
        (f"SDXL/jugg.safetensors [{HASH}]", HASH, True),
        (f"jugg [{HASH}]", f"renamed [{HASH}{'0' * 54}]", True),
        (f"jugg [{HASH}]", "jugg [0123456789]", False),
        ("jugg [01234567]", f"jugg [{HASH}]", True),  # eight digits say nothing of the content
        ("jugg", "jugg-xl", False),
        ("", "", False),
        ("jugg", "", False),
    ],
)
def test_the_same_model_whoever_wrote_its_name(one: str, other: str, same: bool) -> None:
    assert same_model(one, other) is same_model(other, one) is same


@pytest.mark.parametrize("sign", [" ", "[", "/", ".", "a"])
def test_a_name_of_any_length_takes_no_time(sign):
    begun = time.thread_time()
    model_name(sign * 200_000 + "x")
    assert time.thread_time() - begun < SOON
