"""What the maker says to the container, by environment variables; read once, at the start."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock_worker.kinds import KINDS, Kind

USUAL_MODELS: Mapping[str, str] = {
    "qwen-image-edit": "Qwen/Qwen-Image-Edit-2511",
    "qwen-image-2.1": "Qwen/Qwen-Image-2.1",
    "wan-text-to-video": "Wan-AI/Wan2.2-T2V-A14B-Diffusers",
    "wan-image-to-video": "Wan-AI/Wan2.2-I2V-A14B-Diffusers",
}
FAST_STEPS, FAST_GUIDANCE = 4, 1.0  # with a distilled LoRA
USUAL_FPS, MAX_FPS = 16, 60  # frames a second
MAX_STEPS = 100
MAX_GUIDANCE = 20.0
CACHE = Path("/runpod-volume/huggingface-cache/hub")
_YES, _NO = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})


class BadSettingsError(Exception):
    """The container can't start like this; the text says which variable to change."""


@dataclass(frozen=True)
class Bucket:
    """Where large results go; without `name`, to one that a job names."""

    endpoint: str
    access_key: str
    secret_key: str
    name: str
    region: str = "us-east-1"


@dataclass(frozen=True)
class Settings:
    """How this container works.

    Args:
        model: a folder, or a repository on Hugging Face (`owner/name`).
        loras: distilled or other LoRAs: a folder or repository and the file in it; the second one is for the second
            transformer of Wan 2.2 A14B.
        steps, guidance, fps: where the caller says nothing.
        offload: keep on the card only what works at the moment: slower, for smaller cards.
        cache: where RunPod keeps cached models.
        offline: never ask Hugging Face for anything.
        bucket: for results that are too large for an answer; None without one.
    """

    kind: Kind
    model: str
    loras: tuple[tuple[str, str], ...]
    steps: int
    guidance: float
    fps: int
    offload: bool
    cache: Path
    offline: bool
    bucket: Bucket | None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings. Errors: BadSettingsError."""
    kind = KINDS.get(environment.get("MODEL_KIND", ""))
    if kind is None:
        known = ", ".join(KINDS)
        raise BadSettingsError(f"MODEL_KIND is {environment.get('MODEL_KIND')!r}: set it to one of {known}")
    loras = tuple(_lora(name, environment[name]) for name in ("LORA", "LORA_2") if environment.get(name))
    return Settings(
        kind=kind,
        model=environment.get("MODEL") or USUAL_MODELS[kind.name],
        loras=loras,
        steps=round(_number(environment, "STEPS", FAST_STEPS if loras else kind.steps, (1, MAX_STEPS))),
        guidance=_number(environment, "GUIDANCE", FAST_GUIDANCE if loras else kind.guidance, (0, MAX_GUIDANCE)),
        fps=round(_number(environment, "FPS", USUAL_FPS, (1, MAX_FPS))),
        offload=_switch(environment, "OFFLOAD"),
        cache=Path(environment.get("MODEL_CACHE") or CACHE),
        offline=_switch(environment, "HF_HUB_OFFLINE"),
        bucket=_bucket(environment),
    )


def _lora(name: str, value: str) -> tuple[str, str]:
    place, _, file = value.rpartition("/")
    if not place or not file.endswith(".safetensors"):
        raise BadSettingsError(f"{name} is {value!r}: write owner/name/file.safetensors or /folder/file.safetensors")
    return place, file


def _number(environment: Mapping[str, str], name: str, usual: float, between: tuple[float, float]) -> float:
    low, high = between
    try:
        number = float(environment.get(name) or usual)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise BadSettingsError(f"{name} is {environment[name]!r}: set it to a number from {low:g} to {high:g}")
    return number


def _switch(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name, "").strip().lower()
    if value not in _YES | _NO:
        raise BadSettingsError(f"{name} is {value!r}: set it to 1 or 0")
    return value in _YES


def _bucket(environment: Mapping[str, str]) -> Bucket | None:
    names = ("BUCKET_ENDPOINT_URL", "BUCKET_ACCESS_KEY_ID", "BUCKET_SECRET_ACCESS_KEY", "BUCKET_NAME")
    values = [environment.get(name, "").strip() for name in names]
    if not any(values):
        return None
    missing = [name for name, value in zip(names, values, strict=True) if not value]
    if missing:
        raise BadSettingsError(f"{' and '.join(missing)} must be set too, or none of {', '.join(names)}")
    endpoint, access_key, secret_key, name = values
    return Bucket(endpoint, access_key, secret_key, name, environment.get("BUCKET_REGION") or Bucket.region)
