"""Every kind of model, tiny and random, through the pipelines of diffusers as they are."""

import io
from pathlib import Path
from typing import Any

import diffusers
import imageio.v3
import pytest
import tiny
import torch
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from PIL import Image

from penstock_worker import diffusion
from penstock_worker.diffusion import DiffusionModel
from penstock_worker.inputs import read_wish
from penstock_worker.kinds import KINDS
from penstock_worker.results import Made
from penstock_worker.settings import BadSettingsError, Settings, read_settings
from penstock_worker.watch import Stopped, Watch
from penstock_worker.work import OutOfMemoryError

SEED, STEPS, FRAMES = 5, 3, 5
CASES = [(name, count) for name, kind in KINDS.items() for count in sorted(set(kind.pictures))]
VIDEOS = [name for name, kind in KINDS.items() if kind.makes == "video"]
ON_DISK = [name for name in KINDS if name != "qwen-image-2.1"]  # whose pipeline can't be built without its processor
LORA = "distilled.safetensors"


def settings_of(name: str, **more: str) -> Settings:
    return read_settings({"MODEL_KIND": name, "MODEL": "a tiny one", **more})


@pytest.fixture(scope="module")
def models() -> dict[str, DiffusionModel]:
    """A model of each kind."""
    made = {}
    for name, kind in KINDS.items():
        pipeline = tiny.BUILT[name]()
        pipeline.set_progress_bar_config(disable=True)
        made[name] = DiffusionModel(pipeline, kind, "a tiny one")
    return made


def picture(red: int = 200) -> Image.Image:
    return Image.new("RGB", (48, 32), (red, 10, 10))


def make(
    model: DiffusionModel, name: str, count: int, watch: Watch | None = None, red: int = 200, **asked: Any
) -> Made:
    """Let a model do something small."""
    wanted = {"prompt": "a door", "size": "32x32", "steps": STEPS, "seed": SEED, "images": ["…"] * count, **asked}
    if name in VIDEOS:
        wanted.setdefault("num_frames", FRAMES)
    if not count:
        del wanted["images"]
    wish = read_wish(wanted, settings_of(name))
    return model.make(wish, [picture(red)] * count, watch or Watch(lambda *_: None))


@pytest.mark.parametrize(("name", "count"), CASES)
def test_a_seed_says_what_is_made(models: dict[str, DiffusionModel], name: str, count: int) -> None:
    first, second, other = (make(models[name], name, count, seed=seed) for seed in (SEED, SEED, SEED + 1))
    assert first == second
    assert first.content != other.content
    assert {key: first.facts[key] for key in ("width", "height", "seed", "steps", "model")} == {
        "width": 32,
        "height": 32,
        "seed": SEED,
        "steps": STEPS,
        "model": "a tiny one",
    }


@pytest.mark.parametrize("name", [name for name, count in CASES if count == 1 or name == "qwen-image-2.1"])
def test_words_and_pictures_say_what_is_made(models: dict[str, DiffusionModel], name: str) -> None:
    plain = make(models[name], name, 1).content
    assert make(models[name], name, 1, prompt="a window").content != plain
    assert make(models[name], name, 1, red=20).content != plain


@pytest.mark.parametrize("name", VIDEOS)
def test_a_video_has_the_frames_that_were_asked_for(models: dict[str, DiffusionModel], name: str) -> None:
    made = make(models[name], name, KINDS[name].pictures[0], seconds=0.6, fps=8, num_frames=None)
    assert (made.form, made.facts["num_frames"], made.facts["fps"], made.facts["seconds"]) == ("mp4", 5, 8, 0.625)
    frames = imageio.v3.imread(made.content, extension=".mp4")
    assert frames.shape == (5, 32, 32, 3)
    assert imageio.v3.immeta(made.content, extension=".mp4")["fps"] == 8


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_a_picture_comes_in_the_format_that_was_asked_for(models: dict[str, DiffusionModel], form: str) -> None:
    made = make(models["qwen-image-edit"], "qwen-image-edit", 1, output_format=form)
    assert Image.open(io.BytesIO(made.content)).format == form.upper()


def test_the_size_follows_the_picture(models: dict[str, DiffusionModel], monkeypatch: pytest.MonkeyPatch) -> None:
    model = models["wan-image-to-video"]
    wish = read_wish(
        {"prompt": "a door", "images": ["…"], "num_frames": 1, "steps": 1}, settings_of("wan-image-to-video")
    )
    seen: list[tuple[int, int]] = []

    def run(_wish: Any, _pictures: Any, size: tuple[int, int], _watch: Watch) -> bytes:
        seen.append(size)
        return b""

    monkeypatch.setattr(model, "_run", run)
    model.make(wish, [picture()], Watch(lambda *_: None))
    assert seen == [(768, 512)], "3:2 as the picture is, in multiples of 16, and about 480p"


@pytest.mark.parametrize(("name", "count"), CASES)
def test_a_stop_ends_the_steps(models: dict[str, DiffusionModel], name: str, count: int) -> None:
    watch = Watch(lambda *_: None)
    step = watch.step

    def stopped_in_the_second(stage: str, done: int, total: int) -> None:
        step(stage, done, total)
        if done == 2:
            watch.stop()

    watch.step = stopped_in_the_second  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        make(models[name], name, count, watch, steps=50)
    assert watch.steps == 2
    assert make(models[name], name, count).facts["steps"] == STEPS, "the next job is not stopped"


def test_turbo_takes_its_own_number_of_steps() -> None:
    pipeline = tiny.qwen_21([1.0, 0.5])
    pipeline.set_progress_bar_config(disable=True)
    model = DiffusionModel(pipeline, KINDS["qwen-image-2.1"], "turbo")
    assert make(model, "qwen-image-2.1", 0, steps=40).facts["steps"] == 2


def test_guidance_leads_away_from_something(models: dict[str, DiffusionModel]) -> None:
    model = models["qwen-image-edit"]
    plain = make(model, "qwen-image-edit", 1, guidance=1.0).content
    guided = make(model, "qwen-image-edit", 1, guidance=4.0).content
    assert plain != guided != make(model, "qwen-image-edit", 1, guidance=4.0, negative_prompt="doors").content


def test_a_full_card_is_said_to_be_full(models: dict[str, DiffusionModel], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    model = models["wan-text-to-video"]
    monkeypatch.setattr(model.pipeline.transformer, "forward", full)
    with pytest.raises(OutOfMemoryError, match="32x32 pixels, 5 frames"):
        make(model, "wan-text-to-video", 0)


@pytest.mark.parametrize("name", ON_DISK)
def test_what_lies_on_disk_is_loaded(models: dict[str, DiffusionModel], name: str, tmp_path: Path) -> None:
    models[name].pipeline.save_pretrained(tmp_path)
    loaded = diffusion.load(settings_of(name, MODEL=str(tmp_path), HF_HUB_OFFLINE="1"))
    count = KINDS[name].pictures[0]
    assert make(loaded, name, count).content == make(models[name], name, count).content


@pytest.mark.parametrize("name", ON_DISK)
def test_a_card_gets_16_bits_but_for_the_pictures_of_a_video(
    models: dict[str, DiffusionModel], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models[name].pipeline.save_pretrained(tmp_path)
    offloaded: list[Any] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    def offload(self: Any) -> None:
        offloaded.append(self)

    monkeypatch.setattr(diffusers.DiffusionPipeline, "enable_model_cpu_offload", offload)
    pipeline = diffusion.load(settings_of(name, MODEL=str(tmp_path), OFFLOAD="1")).pipeline
    assert offloaded == [pipeline]
    assert pipeline.transformer.proj_out.weight.dtype == torch.bfloat16
    assert pipeline.vae.dtype == (torch.float32 if name in VIDEOS else torch.bfloat16)


@pytest.mark.parametrize("name", ["qwen-image-edit", "wan-text-to-video"])
def test_a_distilled_lora_brings_its_own_schedule(models: dict[str, DiffusionModel], name: str, tmp_path: Path) -> None:
    pipeline = models[name].pipeline
    pipeline.save_pretrained(tmp_path)
    write_lora(tiny.BUILT[name](), tmp_path)
    lora = {f"LORA{which}": f"{tmp_path}/{LORA}" for which in ("", "_2") if not which or name in VIDEOS}
    settings = settings_of(name, MODEL=str(tmp_path), **lora)
    loaded = diffusion.load(settings)
    assert (settings.steps, settings.guidance) == (4, 1.0)
    shift = loaded.pipeline.scheduler.config
    assert shift["flow_shift"] == 5.0 if name in VIDEOS else shift["base_shift"] == pytest.approx(1.0986, abs=1e-4)
    adapted = [
        part
        for part in ("transformer", "transformer_2")
        if hasattr(getattr(loaded.pipeline, part, None), "peft_config")
    ]
    assert adapted == (["transformer", "transformer_2"] if name in VIDEOS else ["transformer"])
    count = KINDS[name].pictures[0]
    assert make(loaded, name, count).facts["steps"] == STEPS


def write_lora(pipeline: Any, folder: Path) -> None:
    """Write a small change of a model to disk, as the distilled ones lie there."""
    pipeline.transformer.add_adapter(LoraConfig(r=2, target_modules=["to_q"], init_lora_weights=False))
    layers = get_peft_model_state_dict(pipeline.transformer)
    pipeline.save_lora_weights(folder, transformer_lora_layers=layers, weight_name=LORA)


def test_a_model_that_is_nowhere_is_said_to_be_nowhere(tmp_path: Path) -> None:
    with pytest.raises(BadSettingsError, match="there is no model owner/name"):
        diffusion.load(
            settings_of("qwen-image-edit", MODEL="owner/name", MODEL_CACHE=str(tmp_path), HF_HUB_OFFLINE="1")
        )
