"""The models: loaded once, asked again and again. The only module that knows torch and diffusers.

What is the same for all kinds of model stands here once; `kinds.py` has the differences. The noise comes from a
generator on the CPU, so that a seed means the same picture on every card, as far as the card's own arithmetic does.
"""

import math
import tempfile
from pathlib import Path
from typing import Any, Final

import diffusers
import torch
from diffusers.utils import export_to_video
from PIL import Image

from penstock_worker.inputs import Wish, fitted
from penstock_worker.kinds import Kind
from penstock_worker.pictures import encode
from penstock_worker.results import Made
from penstock_worker.settings import Settings
from penstock_worker.watch import Stopped, Watch
from penstock_worker.weights import find_weights
from penstock_worker.work import OutOfMemoryError

STAGES: Final = {"picture": "drawing", "video": "filming"}
VIDEO_QUALITY: Final = 8.0  # of 10, of the encoder's variable rate


class DiffusionModel:
    """A pipeline of diffusers, ready to work."""

    def __init__(self, pipeline: Any, kind: Kind, name: str) -> None:
        """Work with a loaded pipeline; `name` is the model's, for results."""
        self.pipeline = pipeline
        self._kind = kind
        self._name = name
        self._multiple = multiple_of(pipeline)

    def make(self, wish: Wish, pictures: list[Image.Image], watch: Watch) -> Made:
        """Do the work. Errors: OutOfMemoryError; Stopped."""
        width, height = fitted(wish, pictures[-1].size if pictures else None, self._multiple)
        watch.begin(STAGES[self._kind.makes])
        try:
            content = self._run(wish, pictures, (width, height), watch)
        except torch.OutOfMemoryError as error:
            raise OutOfMemoryError(f"{width}x{height} pixels, {wish.frames} frames") from error
        facts = {"width": width, "height": height, "seed": wish.seed, "steps": watch.steps, "model": self._name}
        if self._kind.makes == "video":
            facts |= {"num_frames": wish.frames, "fps": wish.fps, "seconds": round(wish.frames / wish.fps, 3)}
        return Made(content, wish.form, facts)

    def _run(self, wish: Wish, pictures: list[Image.Image], size: tuple[int, int], watch: Watch) -> bytes:
        made = self.pipeline(
            prompt=wish.prompt,
            width=size[0],
            height=size[1],
            num_inference_steps=wish.steps,
            generator=torch.Generator("cpu").manual_seed(wish.seed),
            callback_on_step_end=self._counted(watch),
            **self._guidance(wish),
            **self._own(wish, pictures, size),
        )
        if watch.stopping:
            raise Stopped
        return _film(made.frames[0], wish.fps) if self._kind.makes == "video" else encode(made.images[0], wish.form)

    def _guidance(self, wish: Wish) -> dict[str, Any]:
        """Return the guidance; Qwen guides only away from something, and be it nothing."""
        away = wish.negative_prompt
        if self._kind.guidance_argument == "true_cfg_scale" and away is None:
            away = " "
        return {
            self._kind.guidance_argument: wish.guidance,
            "negative_prompt": away if wish.guidance > 1 else None,
        }

    def _own(self, wish: Wish, pictures: list[Image.Image], size: tuple[int, int]) -> dict[str, Any]:
        if self._kind.makes == "picture":
            given = {"image": pictures} if pictures else {}
            # Qwen-Image 2.1 looks at pictures as large as this; the edit model has its own idea.
            return given | ({"output_resolution": round(math.sqrt(math.prod(size)))} if self._kind.scales else {})
        first = {"image": pictures[0]} if pictures else {}
        return {"num_frames": wish.frames, **first}

    def _counted(self, watch: Watch) -> Any:
        def after_step(pipeline: Any, step: int, _time: Any, values: dict[str, Any]) -> dict[str, Any]:
            watch.step(STAGES[self._kind.makes], step + 1, pipeline.num_timesteps)
            if watch.stopping:
                pipeline._interrupt = True  # diffusers' own way; there is no method for it
            return values

        return after_step


def load(settings: Settings) -> DiffusionModel:
    """Return the model of this container, on its card. Errors: BadSettingsError; whatever diffusers finds wrong."""
    kind = settings.kind
    weights = find_weights(settings.model, settings.cache, offline=settings.offline)
    card = torch.cuda.is_available()
    usual = torch.bfloat16 if card else torch.float32
    # The VAE of Wan makes bands of colour in 16 bits.
    precision = {"default": usual, "vae": torch.float32} if kind.makes == "video" else usual
    pipeline: Any = getattr(diffusers, kind.pipeline).from_pretrained(weights, dtype=precision)
    pipeline.set_progress_bar_config(disable=True)
    _add_loras(pipeline, settings)
    if card and settings.offload:
        pipeline.enable_model_cpu_offload()
    elif card:
        pipeline.to("cuda")
    return DiffusionModel(pipeline, kind, settings.model)


def multiple_of(pipeline: Any) -> int:
    """Return what both sides of a result must be multiples of, in pixels."""
    spatial = getattr(pipeline, "vae_scale_factor_spatial", None)
    if spatial is None:
        return int(pipeline.vae_scale_factor) * 2  # Qwen packs two by two
    part = pipeline.transformer if pipeline.transformer is not None else pipeline.transformer_2
    return int(spatial) * int(part.config.patch_size[1])


def _add_loras(pipeline: Any, settings: Settings) -> None:
    """Add LoRAs, and the schedule that those of few steps were distilled for."""
    for number, (place, file) in enumerate(settings.loras):
        second = {"load_into_transformer_2": True} if number else {}
        weights = find_weights(place, settings.cache, offline=settings.offline)
        pipeline.load_lora_weights(weights, weight_name=file, **second)
    if settings.loras:
        pipeline.scheduler = _fast_schedule(pipeline.scheduler, settings.kind.fast_shift)


def _fast_schedule(scheduler: Any, shift: float) -> Any:
    """Return a scheduler with a fixed shift (lightx2v's cards of Qwen-Image-Lightning and Wan2.2-Lightning)."""
    if "flow_shift" in scheduler.config:
        return type(scheduler).from_config(scheduler.config, flow_shift=shift)
    log = math.log(shift)
    return diffusers.FlowMatchEulerDiscreteScheduler.from_config(
        scheduler.config, base_shift=log, max_shift=log, shift_terminal=None, use_dynamic_shifting=True
    )


def _film(frames: Any, fps: int) -> bytes:
    """Return frames, an array of floats 0..1 of shape (frames, height, width, 3), as MP4 with H.264."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        export_to_video(list(frames), str(path), fps=fps, quality=VIDEO_QUALITY)
        return path.read_bytes()
