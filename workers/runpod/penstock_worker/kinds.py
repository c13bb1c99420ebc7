"""The kinds of model that the container can hold: what goes in, what comes out, and the usual settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Kind:
    """One kind of model.

    Args:
        pipeline: the class of diffusers.
        makes: what comes out.
        pictures: how many go in, at least and at most.
        steps: denoising steps, where nothing else is said.
        guidance: strength of classifier-free guidance; above 1 every step takes twice the time.
        guidance_argument: what the pipeline calls it.
        pixels: of a result whose size nobody names, width times height.
        max_pixels: of any result.
        scales: whether it can be told how large to look at pictures.
        fast_shift: shift of the noise schedule that the distilled LoRAs of few steps are made for.
    """

    name: str
    pipeline: str
    makes: Literal["picture", "video"]
    pictures: tuple[int, int]
    steps: int
    guidance: float
    guidance_argument: str
    pixels: int
    max_pixels: int
    fast_shift: float
    scales: bool = False


_QWEN_PIXELS, _QWEN_MAX_PIXELS = 1_024 * 1_024, 1_536 * 1_536
_WAN_PIXELS, _WAN_MAX_PIXELS = 832 * 480, 1_280 * 720

# Steps and guidance are the defaults of the pipelines in diffusers 0.42.1; the edit model's 40 are its card's.
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "qwen-image-edit",
            "QwenImageEditPlusPipeline",
            makes="picture",
            pictures=(1, 3),
            steps=40,
            guidance=4.0,
            guidance_argument="true_cfg_scale",
            pixels=_QWEN_PIXELS,
            max_pixels=_QWEN_MAX_PIXELS,
            fast_shift=3.0,
        ),
        Kind(
            "qwen-image-2.1",
            "QwenImage21Pipeline",
            makes="picture",
            pictures=(0, 3),
            steps=40,
            guidance=1.0,
            guidance_argument="true_cfg_scale",
            pixels=_QWEN_PIXELS,
            max_pixels=_QWEN_MAX_PIXELS,
            fast_shift=3.0,
            scales=True,
        ),
        Kind(
            "wan-text-to-video",
            "WanPipeline",
            makes="video",
            pictures=(0, 0),
            steps=50,
            guidance=5.0,
            guidance_argument="guidance_scale",
            pixels=_WAN_PIXELS,
            max_pixels=_WAN_MAX_PIXELS,
            fast_shift=5.0,
        ),
        Kind(
            "wan-image-to-video",
            "WanImageToVideoPipeline",
            makes="video",
            pictures=(1, 1),
            steps=50,
            guidance=5.0,
            guidance_argument="guidance_scale",
            pixels=_WAN_PIXELS,
            max_pixels=_WAN_MAX_PIXELS,
            fast_shift=5.0,
        ),
    )
}
