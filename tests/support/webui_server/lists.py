"""What is installed on the server: models, samplers, LoRAs and all else that has a list."""

from __future__ import annotations

import hashlib

MODELS = ("v1-5-pruned-emaonly.safetensors", "SDXL/juggernautXL_v9.safetensors", "anime/counterfeit.ckpt")
VAES = ("vae-ft-mse-840000.safetensors", "sdxl_vae.safetensors")
ENCODERS = ("clip_l.safetensors",)
SAMPLERS = {
    "DPM++ 2M": ["k_dpmpp_2m"],
    "DPM++ SDE": ["k_dpmpp_sde"],
    "Euler a": ["k_euler_a", "k_euler_ancestral"],
    "Euler": ["k_euler"],
    "DDIM": ["ddim"],
    "UniPC": ["unipc"],
}
SCHEDULERS = {
    "automatic": "Automatic",
    "karras": "Karras",
    "exponential": "Exponential",
    "sgm_uniform": "SGM Uniform",
}
UPSCALERS = ("None", "Lanczos", "Nearest", "ESRGAN_4x", "R-ESRGAN 4x+")
LATENT = ("Latent", "Latent (antialiased)", "Latent (nearest)", "Latent (nearest-exact)")
LORAS = ("add_detail", "my__lora__v1", "film-grain")
EMBEDDINGS = {"loaded": ("easynegative",), "skipped": ("xl-negative",)}
HYPERNETWORKS = ("watercolour",)
STYLES = {"cinematic": ("{prompt}, cinematic light", "flat"), "ink": ("ink drawing of {prompt}", "")}
RESTORERS = ("CodeFormer", "GFPGAN")


def model_sha256(name: str) -> str:
    """Stands for the hash of a checkpoint's file."""
    return hashlib.sha256(f"fake {name}".encode()).hexdigest()
