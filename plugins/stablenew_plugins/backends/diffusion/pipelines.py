"""Loads checkpoints, keeps the last used ones, places them, and changes their VAE and LoRAs. With torch."""

from __future__ import annotations

import gc
import hashlib
import logging
import re
import tempfile
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_plugins.backends.diffusion import offline
from stablenew_plugins.backends.diffusion.folders import (
    Family,
    Found,
    Hashes,
    file_family,
    folder_index,
    weights_bytes,
)
from stablenew_plugins.backends.diffusion.memory import (
    RESERVE_BYTES,
    Offload,
    choose_offload,
    ran_out_of_memory,
    working_bytes,
)
from stablenew_plugins.backends.diffusion.textcoder import TextCoder

if TYPE_CHECKING:
    from stablenew_api.cancel import CancelToken
    from stablenew_plugins.backends.diffusion.config import DiffusersConfig
    from stablenew_plugins.backends.diffusion.libs import Libraries
    from stablenew_plugins.backends.diffusion.prompt import Lora

log = logging.getLogger(__name__)

CLASSES = {
    "StableDiffusionPipeline": "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline": "StableDiffusionPipeline",
    "StableDiffusionInpaintPipeline": "StableDiffusionInpaintPipeline",
    "StableDiffusionXLPipeline": "StableDiffusionXLPipeline",
    "StableDiffusionXLImg2ImgPipeline": "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusionXLInpaintPipeline": "StableDiffusionXLInpaintPipeline",
}
"""Pipelines in a ``model_index.json`` that we can run, and the class that holds their parts."""

LORAS_KEPT = 4
"""LoRAs that stay in a loaded model though the job at hand does not use them."""
_REPO = re.compile(r"[\w.\-]+/[\w.\-]+")


@dataclass(eq=False)
class Loaded:
    """A checkpoint in memory."""

    name: str
    pipe: Any
    xl: bool
    offload: Offload = "none"
    hash: Future[str] | None = None
    own_vae: Any = None
    vae: str = ""
    """Name of the VAE in place of its own; empty: its own."""
    adapters: OrderedDict[str, Path] = field(default_factory=OrderedDict)
    """LoRAs loaded into it, by adapter name; those used last stand last."""
    coders: tuple[TextCoder, ...] = ()
    cancel: CancelToken | None = None
    """Looked at between the blocks of its networks."""

    @property
    def scale(self) -> int:
        """Pixels a latent stands for, in each direction."""
        return int(self.pipe.vae_scale_factor)

    @property
    def inpaints(self) -> bool:
        """Whether its UNet takes the mask and the masked image besides the latents."""
        return int(self.pipe.unet.config.in_channels) == 9

    @property
    def family(self) -> tuple[bool, int]:
        """Equal for checkpoints whose latents mean the same."""
        return self.xl, int(self.pipe.vae.config.latent_channels)

    @property
    def device(self) -> Any:
        """Where its work is done."""
        return self.pipe._execution_device


class Shelf:
    """The checkpoints in memory, at most ``keep_models`` of them."""

    def __init__(
        self, libs: Libraries, config: DiffusersConfig, device: str, dtype: Any, hashes: Hashes
    ) -> None:
        self._libs, self._config, self._device, self._dtype = libs, config, device, dtype
        self._hashes = hashes
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()

    def get(self, found: Found, pixels: int, cancel: CancelToken, pinned: Sequence[Loaded] = ()) -> Loaded:
        """The checkpoint, loaded if it was not, ready for pictures of ``pixels``. ``pinned`` are in use too and
        stay. Raises StageFailure(BAD_INPUT) for what is no checkpoint that we can run."""
        key = str(found.path)
        if key not in self._loaded:
            self._make_room(self._config.keep_models - 1, pinned)
            self._make_vram(weights_bytes(found.path) if found.path.exists() else 0, pixels, pinned)
            cancel.raise_if_cancelled()
            self._loaded[key] = self._load(found, pixels)
        self._loaded.move_to_end(key)
        loaded = self._loaded[key]
        loaded.cancel = cancel
        cancel.raise_if_cancelled()
        return loaded

    def clear(self) -> None:
        """Let go of every checkpoint and give its VRAM back."""
        if self._loaded:
            self._loaded.clear()
            self._collect()

    def _make_room(self, keep: int, pinned: Sequence[Loaded]) -> None:
        for key in [key for key, loaded in self._loaded.items() if loaded not in pinned]:
            if len(self._loaded) <= keep:
                return
            del self._loaded[key]
            self._collect()

    def _make_vram(self, weights: int, pixels: int, pinned: Sequence[Loaded]) -> None:
        """Let go of other checkpoints until this one fits beside them, or none is left."""
        for key in [key for key, loaded in self._loaded.items() if loaded not in pinned]:
            free = self.free_vram()
            if free is None or free >= weights + working_bytes(pixels) + RESERVE_BYTES:
                return
            del self._loaded[key]
            self._collect()

    def free_vram(self) -> int | None:
        """Bytes; None where nothing can tell."""
        if self._device != "cuda":
            return None
        return int(self._libs.torch.cuda.mem_get_info()[0])

    def _collect(self) -> None:
        gc.collect()
        if self._device != "cpu":
            getattr(self._libs.torch, self._device).empty_cache()

    # --- loading ----------------------------------------------------------------------------------------------

    def _load(self, found: Found, pixels: int) -> Loaded:
        log.info("loading %s", found.path)
        pipe = self._from_file(found.path) if found.path.is_file() else self._from_folder(found)
        pipe.set_progress_bar_config(disable=True)
        if self._dtype == self._libs.torch.float16 and pipe.vae.config.force_upcast:
            pipe.vae.to(self._libs.torch.float32)  # SDXL's own VAE overflows in half precision
        xl = getattr(pipe, "text_encoder_2", None) is not None
        loaded = Loaded(found.name, pipe, xl, own_vae=pipe.vae)
        loaded.coders = tuple(
            TextCoder(self._libs.torch, tokenizer, encoder, xl)
            for tokenizer, encoder in (
                (pipe.tokenizer, pipe.text_encoder),
                (getattr(pipe, "tokenizer_2", None), getattr(pipe, "text_encoder_2", None)),
            )
            if encoder is not None
        )
        if found.path.is_file():
            loaded.hash = self._hashes.model(found.path)
        self._choose_offload(loaded, pixels)
        self.place(loaded)
        self._look_at_cancel(loaded, pipe.unet)
        self._look_at_cancel(loaded, pipe.vae)
        return loaded

    def _from_folder(self, found: Found) -> Any:
        diffusers = self._libs.diffusers
        local = found.path.is_dir()
        source = str(found.path) if local else found.name
        settings: dict[str, Any] = {"dtype": self._dtype, "local_files_only": local}
        if local:
            index = folder_index(found.path)
            kind = self._class(str(index.get("_class_name", "")), str(found.path))
            settings |= self._half_precision_files(found.path)
        else:
            index = diffusers.DiffusionPipeline.load_config(source)
            kind = self._class(str(index.get("_class_name", "")), source)
        kinds = FailureKind.BAD_INPUT if local else FailureKind.BACKEND  # a network may be back later
        with _loading(f"{source}: cannot be loaded as a diffusers folder; is it complete?", kinds):
            return kind.from_pretrained(source, use_safetensors=True, **settings)

    def _class(self, name: str, where: str) -> Any:
        if name not in CLASSES:
            raise StageFailure(
                FailureKind.BAD_INPUT,
                f"{where}: the backend cannot run a {name or 'nameless pipeline'}; it runs Stable Diffusion "
                "1.x, 2.x and XL",
            )
        return getattr(self._libs.diffusers, CLASSES[name])

    def _half_precision_files(self, path: Path) -> dict[str, str]:
        """A folder may have its weights as ``*.fp16.safetensors`` alone."""
        files = [file.name for file in path.glob("unet/*.safetensors")]
        only_half = files and all(".fp16." in name for name in files)
        return {"variant": "fp16"} if only_half else {}

    def _from_file(self, path: Path) -> Any:
        given = self._config.config_folder
        if given:
            # Its own index says which parts there are; the file's tensors must fit.
            name = str(folder_index(Path(given)).get("_class_name", ""))
            with _loading(
                f"{path}: does not fit config_folder {given}; leave it out, or name one of its family"
            ):
                return self._class(name, given).from_single_file(
                    str(path),
                    config=given,
                    dtype=self._dtype,
                    local_files_only=True,
                    **_NO_CHECKER[_is_xl(name)],
                )
        family = file_family(path)
        if family not in offline.CONFIGS:
            raise StageFailure(
                FailureKind.BAD_INPUT,
                f"{path}: a single file of {family} does not say how it was trained; name a diffusers "
                "folder of its kind with the option config_folder, or use the checkpoint as a diffusers folder",
            )
        return self._from_file_alone(path, family)

    def _from_file_alone(self, path: Path, family: Family) -> Any:
        vocabulary, merges = offline.clip_vocabulary()
        names = offline.CONFIGS[family][""]
        tokenizer = self._libs.transformers.CLIPTokenizer
        made: dict[str, Any] = {
            "scheduler": self._libs.diffusers.EulerDiscreteScheduler.from_config(offline.NOISE),
            **_NO_CHECKER[_is_xl(names["_class_name"])],
        }
        if "text_encoder" in offline.CONFIGS[family]:
            made["tokenizer"] = tokenizer(vocab=vocabulary, merges=merges)
        if "text_encoder_2" in offline.CONFIGS[family]:
            made["tokenizer_2"] = tokenizer(vocab=vocabulary, merges=merges, pad_token="!")  # noqa: S106
        with tempfile.TemporaryDirectory(prefix="stablenew-") as folder:
            offline.write_configs(family, Path(folder))
            with _loading(f"{path}: cannot be loaded as {family}; is the file complete?"):
                return self._class(names["_class_name"], str(path)).from_single_file(
                    str(path), config=folder, dtype=self._dtype, local_files_only=True, **made
                )

    # --- placing ----------------------------------------------------------------------------------------------

    def _choose_offload(self, loaded: Loaded, pixels: int) -> None:
        free = self.free_vram()
        if self._config.offload != "auto":
            loaded.offload = self._config.offload if self._device != "cpu" else "none"
        elif free is not None:
            parts = [
                sum(tensor.numel() * tensor.element_size() for tensor in part.parameters())
                for part in loaded.pipe.components.values()
                if isinstance(part, self._libs.torch.nn.Module)
            ]
            loaded.offload = choose_offload(sum(parts), max(parts), working_bytes(pixels), free)
            log.info("%s: offload %s, %d bytes free", loaded.name, loaded.offload, free)

    def place(self, loaded: Loaded) -> None:
        """Put the weights where they wait. Called again after a part was exchanged."""
        if loaded.offload == "none":
            loaded.pipe.to(self._device)
            return
        loaded.pipe.remove_all_hooks()
        if loaded.offload == "model":
            loaded.pipe.enable_model_cpu_offload(device=self._device)
        else:
            loaded.pipe.enable_sequential_cpu_offload(device=self._device)

    def _look_at_cancel(self, loaded: Loaded, network: Any) -> None:
        """A cancel is honoured between the blocks of a network: a step may take seconds."""

        def look(_module: Any, _inputs: Any) -> None:
            if loaded.cancel is not None:
                loaded.cancel.raise_if_cancelled()

        for name, module in network.named_modules():
            if name.rpartition(".")[2].isdigit() and name.rpartition(".")[0].endswith(
                ("down_blocks", "up_blocks")
            ):
                module.register_forward_pre_hook(look)

    # --- VAE and LoRAs ----------------------------------------------------------------------------------------

    def use_vae(self, loaded: Loaded, found: Found | None) -> None:
        """Decode with this VAE; None: with the checkpoint's own."""
        wanted = found.name if found else ""
        if loaded.vae == wanted:
            return
        loaded.pipe.vae = self._load_vae(loaded, found) if found else loaded.own_vae
        loaded.vae = wanted
        self.place(loaded)

    def _load_vae(self, loaded: Loaded, found: Found) -> Any:
        kind = self._libs.diffusers.AutoencoderKL
        with _loading(f"{found.path}: cannot be loaded as a VAE"):
            if found.folder:
                vae = kind.from_pretrained(str(found.path), dtype=self._dtype, local_files_only=True)
            else:
                with tempfile.TemporaryDirectory(prefix="stablenew-") as folder:
                    loaded.own_vae.save_config(folder)
                    vae = kind.from_single_file(
                        str(found.path), config=folder, dtype=self._dtype, local_files_only=True
                    )
        if int(vae.config.latent_channels) != int(loaded.own_vae.config.latent_channels):
            raise StageFailure(
                FailureKind.BAD_INPUT, f"VAE {found.name}: made for other latents than those of {loaded.name}"
            )
        vae.eval()
        self._look_at_cancel(loaded, vae)
        return vae

    def use_loras(self, loaded: Loaded, loras: Sequence[tuple[Lora, Found]]) -> None:
        """Exactly these LoRAs, with their weights."""
        pipe = loaded.pipe
        wanted: dict[str, Lora] = {}
        for lora, found in loras:
            adapter = (
                "lora_" + hashlib.sha256(str(found.path).encode("utf-8", "surrogateescape")).hexdigest()[:12]
            )
            wanted[adapter] = lora
            if adapter not in loaded.adapters:
                try:
                    self._load_lora(loaded, adapter, found)
                except Exception:
                    if adapter in {name for part in pipe.get_list_adapters().values() for name in part}:
                        pipe.delete_adapters(adapter)  # in the UNet already, and not in the text encoder
                    raise
                loaded.adapters[adapter] = found.path
            loaded.adapters.move_to_end(adapter)
        idle = [adapter for adapter in loaded.adapters if adapter not in wanted]
        for adapter in idle[: max(0, len(idle) - LORAS_KEPT)]:
            pipe.delete_adapters(adapter)
            del loaded.adapters[adapter]
        if wanted:
            pipe.enable_lora()
            pipe.set_adapters(list(wanted), [_lora_weights(pipe, lora) for lora in wanted.values()])
        elif loaded.adapters:
            pipe.disable_lora()

    def _load_lora(self, loaded: Loaded, adapter: str, found: Found) -> None:
        refused = f"LoRA {found.name}: cannot be put into {loaded.name}; is it one for this family of models?"
        with _loading(refused), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft warns of a second LoRA, which is what we want
            loaded.pipe.load_lora_weights(
                str(found.path.parent),
                weight_name=found.path.name,
                adapter_name=adapter,
                local_files_only=True,
                use_safetensors=True,
            )
        if not any(adapter in part for part in loaded.pipe.get_list_adapters().values()):
            raise StageFailure(
                FailureKind.BAD_INPUT,
                f"LoRA {found.name}: none of its weights belongs to a part of {loaded.name}",
            )


def hub_name(name: str) -> Found | None:
    """A model of the hub, if ``name`` looks like OWNER/NAME."""
    return Found(name, Path(name)) if _REPO.fullmatch(name) else None


_NO_CHECKER: dict[bool, dict[str, None]] = {
    False: {"safety_checker": None, "feature_extractor": None},
    True: {"feature_extractor": None},
}
"""By whether it is SDXL: parts that a single file has not. There is no network to get them from."""


def _is_xl(class_name: str) -> bool:
    return "XL" in class_name


def _lora_weights(pipe: Any, lora: Lora) -> float | dict[str, float]:
    if lora.text == lora.unet:
        return lora.unet
    encoders = [name for name in ("text_encoder", "text_encoder_2") if getattr(pipe, name, None) is not None]
    return {"unet": lora.unet, **dict.fromkeys(encoders, lora.text)}


@contextmanager
def _loading(refused: str, kind: FailureKind = FailureKind.BAD_INPUT) -> Iterator[None]:
    """Whatever a library says about a file that it cannot load becomes StageFailure(``kind``) with ``refused``;
    only memory that ran out stays what it is."""
    try:
        yield
    except Exception as error:
        if ran_out_of_memory(error):
            raise
        reason = next(iter(str(error).strip().splitlines()), "")
        raise StageFailure(kind, f"{refused} ({type(error).__name__}: {reason[:200]})", str(error)) from error
