"""Models of each kind, a few thousand random numbers each: they draw noise, by the very code that the real ones use.

They have no text encoder: `read_words_simply` makes the pipelines turn words into numbers by their hash. Run as a
program, `tiny.py KIND FOLDER` writes one to disk as the real ones lie there.
"""

import functools
import hashlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus

SEED = 7
WORDS, WAN_WORDS = 7, 512  # tokens of every prompt
QWEN_WIDTH, QWEN_21_WIDTH, WAN_WIDTH = 16, 24, 32  # numbers for a token


def qwen_edit() -> Any:
    """Return an edit model."""
    torch.manual_seed(SEED)
    transformer = diffusers.QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=QWEN_WIDTH,
        guidance_embeds=False,
        axes_dims_rope=(8, 4, 4),
    )
    vae = diffusers.AutoencoderKLQwenImage(
        base_dim=24,
        z_dim=4,
        dim_mult=[1, 2, 4],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    return diffusers.QwenImageEditPlusPipeline(
        transformer=transformer,
        vae=vae,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=1.0, use_dynamic_shifting=True),
        text_encoder=None,
        tokenizer=None,
        processor=None,
    )


def wan(*, from_picture: bool) -> Any:
    """Return a video model of two transformers."""
    torch.manual_seed(SEED)
    vae = diffusers.AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    first, second = (
        diffusers.WanTransformer3DModel(
            patch_size=(1, 2, 2),
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=36 if from_picture else 16,
            out_channels=16,
            text_dim=WAN_WIDTH,
            freq_dim=256,
            ffn_dim=32,
            num_layers=2,
            cross_attn_norm=True,
            qk_norm="rms_norm_across_heads",
            rope_max_seq_len=32,
        )
        for _ in range(2)
    )
    scheduler = diffusers.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    parts = {"vae": vae, "transformer": first, "transformer_2": second, "scheduler": scheduler}
    pipeline = diffusers.WanImageToVideoPipeline if from_picture else diffusers.WanPipeline
    return pipeline(**parts, tokenizer=None, text_encoder=None, boundary_ratio=0.875)


class _Processor:
    """What the pipeline of Qwen-Image 2.1 asks its processor before there are any words."""

    tokenizer: Any = property(lambda self: self)

    def apply_chat_template(self, *_: Any, **__: Any) -> list[list[int]]:
        return [[0]]

    def encode(self, _: str) -> list[int]:
        return [1]


def qwen_21(sigmas: list[float] | None = None) -> Any:
    """Return a model of Qwen-Image 2.1; with `sigmas` one of so many steps, as Turbo is."""
    torch.manual_seed(SEED)
    transformer = diffusers.QwenImage21Transformer2DModel(
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        context_in_dim=QWEN_21_WIDTH,
        axes_dims_rope=(8, 4, 4),
    )
    vae = diffusers.AutoencoderKLQwenImage21(
        base_dim=4,
        decoder_base_dim=4,
        z_dim=4,
        dim_mult=[1, 1, 1, 1, 1],
        num_res_blocks=1,
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
        in_channels=4,
        out_channels=4,
    )
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    return diffusers.QwenImage21Pipeline(scheduler, vae, None, _Processor(), transformer, sigmas)


BUILT: Mapping[str, Callable[[], Any]] = {
    "qwen-image-edit": qwen_edit,
    "qwen-image-2.1": qwen_21,
    "wan-text-to-video": lambda: wan(from_picture=False),
    "wan-image-to-video": lambda: wan(from_picture=True),
}


def read_words_simply() -> None:
    """Let the pipelines do without text encoders, and without a megapixel for each picture that they are shown."""
    pipeline_qwenimage_edit_plus.VAE_IMAGE_SIZE = pipeline_qwenimage_edit_plus.CONDITION_IMAGE_SIZE = 64 * 64
    diffusers.QwenImageEditPlusPipeline.encode_prompt = _qwen_words
    diffusers.QwenImage21Pipeline.encode_prompt = _qwen_21_words
    wan_pipelines = (diffusers.WanPipeline, diffusers.WanImageToVideoPipeline)
    for pipeline in wan_pipelines:
        pipeline.encode_prompt = _wan_words
    missing = {"text_encoder": None, "tokenizer": None}
    _load_without(diffusers.QwenImageEditPlusPipeline, **missing, processor=None)
    for pipeline in wan_pipelines:
        _load_without(pipeline, **missing)


def _load_without(pipeline: Any, **missing: None) -> None:
    """Let a pipeline be loaded that lacks parts: diffusers takes them for forgotten otherwise."""
    pipeline.from_pretrained = functools.partial(pipeline.from_pretrained, **missing)


def _numbers(words: str, tokens: int, width: int) -> torch.Tensor:
    seed = int.from_bytes(hashlib.sha256(words.encode()).digest()[:4])
    return torch.randn(1, tokens, width, generator=torch.Generator("cpu").manual_seed(seed))


def _qwen_words(_: Any, prompt: str, **__: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return _numbers(prompt, WORDS, QWEN_WIDTH), torch.ones(1, WORDS, dtype=torch.long)


def _qwen_21_words(_: Any, prompt: str, image: list[Any] | None = None, **__: Any) -> tuple[Any, None, torch.Tensor]:
    # The words, then four places for each patch of 32 pixels of each picture.
    patches = [each.size[0] // 32 * (each.size[1] // 32) for each in image or ()]
    holds = torch.zeros(1, WORDS + sum(patches), dtype=torch.bool)
    holds[:, WORDS:] = True
    return _numbers(prompt, WORDS + sum(patches), QWEN_21_WIDTH), None, holds


def _wan_words(
    _: Any, prompt: str, negative_prompt: str | None = None, do_classifier_free_guidance: bool = True, **__: Any
) -> tuple[torch.Tensor, torch.Tensor | None]:
    away = _numbers(negative_prompt or "", WAN_WORDS, WAN_WIDTH) if do_classifier_free_guidance else None
    return _numbers(prompt, WAN_WORDS, WAN_WIDTH), away


if __name__ == "__main__":
    BUILT[sys.argv[1]]().save_pretrained(Path(sys.argv[2]))
